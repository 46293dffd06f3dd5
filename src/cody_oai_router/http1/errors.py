"""What can go wrong on the way to the origin and back: one small tree, with messages for the user.

No message contains a header, a credential or a part of a body.
"""
# ruff: noqa: N818 - `except TimedOut` says more than a suffix that all of them would share

from typing import Literal

Phase = Literal["connect", "first byte", "idle", "total"]


class ClientError(Exception):
    """An exchange with the origin failed; the text says how and, where that is known, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConnectFailed(ClientError):
    """No connection: the name is unknown, nobody listens, or the network is unreachable."""


class TLSFailed(ClientError):
    """No trusted TLS connection."""


class ProxyFailed(ClientError):
    """The proxy refused to connect us."""


class TimedOut(ClientError):
    """A clock ran out; `phase` says which one, `seconds` where it stood."""

    def __init__(self, phase: Phase, seconds: float, where: str) -> None:
        super().__init__(f"{where}: {_PHASES[phase]} within {seconds:g} s")
        self.phase: Phase = phase
        self.seconds = seconds


class ConnectionLost(ClientError):
    """The origin closed or reset the connection before the answer was complete."""


class BadResponse(ClientError):
    """The answer is not HTTP/1.1, is over a limit or cannot be decoded."""


_PHASES: dict[Phase, str] = {
    "connect": "no connection",
    "first byte": "no answer",
    "idle": "nothing more came",
    "total": "the answer was not complete",
}
