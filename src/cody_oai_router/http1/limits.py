"""What the layer allows, as values: each limit has a name, a default and the reason for it.

Sizes are bytes, times are seconds. Nothing here does I/O.
"""

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one server accepts from its clients."""

    connections: int = 1000
    """Open connections; each costs some kilobytes and a file descriptor. One more is answered 503 at once."""

    head_bytes: int = 32 * KIB
    """Request line and headers together: what nginx allows; Node allows half of it."""

    headers: int = 100
    """Header lines in one request, as Apache allows; each costs a Python object."""

    head_time: float = 20.0
    """From the first byte of a head to its last; Apache allows 20 s too. Later is answered 408."""

    body_bytes: int = 64 * MIB
    """One request body: a prompt with several images in base64 is some tens of megabytes."""

    body_silence: float = 30.0
    """Between two pieces of a body; a slow upload may last, a silent one is answered 408."""

    buffered_bytes: int = 512 * MIB
    """All request bodies and requests sent ahead, over all connections. Beyond it: 503, so that memory stays bounded."""

    ahead_bytes: int = 64 * KIB
    """Sent by one client ahead of its answer (pipelining); reading pauses beyond it."""

    keep_alive: float = 120.0
    """An idle connection stays this long: longer than common clients keep theirs (90 s in Go and reqwest), so that
    the client closes first and never sends into a connection that is being closed."""

    write_stall: float = 300.0
    """A client that takes not one byte of its answer for this long is gone."""

    linger_time: float = 30.0
    """After an early refusal the rest of the request is read and dropped, so that the client sees the answer instead
    of a reset; at most this long (nginx: lingering_time)."""

    linger_silence: float = 5.0
    """The same, without a byte from the client (nginx: lingering_timeout)."""

    linger_bytes: int = 256 * MIB
    """The same, in bytes: dropping is cheap, but not for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLimits:
    """What one client accepts from its origin."""

    connections: int = 500
    """Open connections to the origin. Each open stream holds one, so this bounds the streams; the next one waits."""

    idle: float = 50.0
    """An unused connection is kept this long: below the 60 s of common load balancers and the 75 s of nginx, above the
    pauses of an agent that runs its tools between two requests. A connection that dies earlier is replaced silently."""

    head_bytes: int = 64 * KIB
    """Status line and headers together; gateways set large cookies."""

    headers: int = 200
    """Header lines in one response."""

    held_bytes: int = 64 * KIB
    """Body bytes kept for a response that nobody reads yet; reading pauses beyond it."""

    decoded_bytes: int = 64 * MIB
    """What one compressed body may grow to; more is a decompression bomb."""


class ByteBudget:
    """One bound on buffered bytes, shared by all who buffer."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; False when they do not fit."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give(self, size: int) -> None:
        """Return `size` bytes that were taken."""
        self.used -= size
