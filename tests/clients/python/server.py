"""The server that the tests started, and what is expected of it whatever the library."""

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

SERVER = SimpleNamespace(**json.loads(Path("server.json").read_text(encoding="utf-8")))
TOKEN, REVOKE, INTROSPECT = (
    f"{SERVER.issuer}/oauth/{name}" for name in ("token", "revoke", "introspect")
)
# A route that wants a bearer token.
RESOURCE = f"{SERVER.issuer}/endpoint"


@contextmanager
def refused(error, code):
    """What is done within is refused with `code`, as the library's own error."""
    try:
        yield
    except error as raised:
        assert raised.error == code, f"{raised!r} is not {code}"
    else:
        raise AssertionError(f"it was not refused with {code}")


def expect(found, wanted):
    """Like `assert`, and says what was found."""
    assert found == wanted, f"{found!r} is not {wanted!r}"
