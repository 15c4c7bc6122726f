"""What answers to made-up GraphQL must be, for schemathesis: scripts/fuzz uses it.

Its own check takes each error of a resolver for a failure of the server; here a wrong argument is one, with a code and the argument's name.
"""

import schemathesis

CODES_OF_THE_SERVER = {"INTERNAL", "UNAVAILABLE", "OVERLOADED", "TIMEOUT"}


@schemathesis.check
def is_the_askers_error(context, response, case):
    """No answer says that the server failed, and each error says what is wrong by a code."""
    assert response.status_code < 500, response.text
    for error in response.json().get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code, f"an error without a code: {error}"
        assert code not in CODES_OF_THE_SERVER, error
        assert error["message"], error
