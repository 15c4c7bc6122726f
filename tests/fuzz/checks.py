"""Schemathesis hooks and checks of scripts/fuzz.

Half of the generated names are replaced by names of existing metrics. Schemathesis' own GraphQL
check counts each error of a resolver as a server failure; here a wrong argument is an expected
error with a code.
"""

import dataclasses
import zlib

import graphql
import schemathesis

NAMES = ["hottry", "binance:m1usdt", "m0usdt:volume", "binance:hottry", "m1usdt:volume"]
NAMED = {"name", "metric", "metrics"}
CODES_OF_THE_SERVER = {"INTERNAL", "UNAVAILABLE", "OVERLOADED", "TIMEOUT"}


def known(name):
    """Maps a generated name to itself or to an existing one, deterministically."""
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
def is_client_error(context, response, case):
    """Checks that no response is a server error, and that each error has a code."""
    assert response.status_code < 500, response.text
    for error in response.json().get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code, f"an error without a code: {error}"
        assert code not in CODES_OF_THE_SERVER, error
        assert error["message"], error
