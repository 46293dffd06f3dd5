"""The tree of client errors."""

import pytest

from cody_oai_router.http1 import (
    BadResponse,
    ClientError,
    ConnectFailed,
    ConnectionLost,
    ProxyFailed,
    TimedOut,
    TLSFailed,
)


@pytest.mark.parametrize("kind", [BadResponse, ConnectFailed, ConnectionLost, ProxyFailed, TLSFailed])
def test_one_except_clause_catches_all(kind: type[ClientError]) -> None:
    error = kind("what happened")
    assert isinstance(error, ClientError)
    assert (str(error), error.message) == ("what happened", "what happened")


def test_a_timeout_says_where_how_and_after_how_long() -> None:
    error = TimedOut("connect", 60.0, "a.example:443")
    assert isinstance(error, ClientError)
    assert error.message == "a.example:443: no connection within 60 s"
