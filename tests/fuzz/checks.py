"""What schemathesis asks, and what must come of it: scripts/fuzz uses it.

Names that are made up are nobody's: half of them become names of metrics that there are. Schemathesis' own check of GraphQL takes each error of
a resolver for a failure of the server; here a wrong argument is one, with a code.
"""

import dataclasses
import zlib

import graphql
import schemathesis

NAMES = ["hottry", "binance:m1usdt", "m0usdt:volume", "binance:hottry", "m1usdt:volume"]
NAMED = {"name", "metric", "metrics"}
CODES_OF_THE_SERVER = {"INTERNAL", "UNAVAILABLE", "OVERLOADED", "TIMEOUT"}


def known(name):
    """The name, or one that there is: the same for the same name."""
    number = zlib.crc32(repr(name).encode())
    return NAMES[number // 2 % len(NAMES)] if number % 2 else name


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "name" in path_parameters:
        path_parameters["name"] = known(path_parameters["name"])
    return path_parameters


class Names(graphql.Visitor):
    """Puts names into arguments; nodes cannot be changed."""

    def leave_argument(self, node, *_):
        return dataclasses.replace(node, value=named(node.value)) if node.name.value in NAMED else node


def named(value):
    if isinstance(value, graphql.StringValueNode):
        return dataclasses.replace(value, value=known(value.value))
    if isinstance(value, graphql.ListValueNode):
        return dataclasses.replace(value, values=tuple(named(item) for item in value.values))
    return value


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, graphql.DocumentNode):
        return graphql.visit(body, Names())
    return body


@schemathesis.check
def is_the_askers_error(context, response, case):
    """No answer says that the server failed, and each error says what is wrong by a code."""
    assert response.status_code < 500, response.text
    for error in response.json().get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code, f"an error without a code: {error}"
        assert code not in CODES_OF_THE_SERVER, error
        assert error["message"], error
