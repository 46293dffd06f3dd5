"""What a caller hands to the client: where to, what to send, how long to wait."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: the only place that a client ever sends anything to."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port; as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """Host and port, as CONNECT and messages have them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; `credentials` are `user:password` for basic authentication and are never printed."""

    host: str
    port: int
    credentials: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Outgoing(NamedTuple):
    """One request; Host and Content-Length are the client's to add."""

    method: bytes
    target: bytes
    headers: bytes = b""
    """Ready-made lines, each ended by CRLF."""
    body: bytes | bytearray | Sequence[bytes] = b""


class Clocks(NamedTuple):
    """How long to wait, in seconds. Each but `total` measures silence, and none runs while the reader is paused."""

    connect: float
    """For a connection, waiting for a free one included."""
    first_byte: float
    """From the request sent to the first byte of the answer's body (or its end)."""
    idle: float
    """From one piece of the body to the next."""
    total: float | None = None
    """For all of it."""
