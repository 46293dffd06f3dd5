"""The end of a connection, without a reset that would eat the last answer.

Closing a socket with unread bytes in it makes the system send RST, and the client's system then drops what the client
has not yet read: a 413 would never be seen. So our side is shut first (FIN follows the answer), and what the client still
sends is read and dropped until it closes too, within bounds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cody_oai_router.http1.server import Server


class StallWatch:
    """Notices that a peer takes nothing of what was written to it."""

    __slots__ = ("_limit", "_pending", "_since", "_transport")

    def __init__(self, transport: asyncio.Transport, limit: float) -> None:
        self._transport = transport
        self._limit = limit
        self._pending = 0
        self._since = 0.0

    def stalls(self, now: float) -> bool:
        """Whether the same number of bytes has been waiting for longer than the limit."""
        pending = self._transport.get_write_buffer_size()
        if pending != self._pending:
            self._pending = pending
            self._since = now
        return pending > 0 and now - self._since >= self._limit

    @property
    def waits(self) -> bool:
        """Whether something was still to be taken at the last look."""
        return self._pending > 0


class ClosingConnection(asyncio.Protocol):
    """Takes a connection's place when the last answer has been written."""

    __slots__ = ("_budget", "_limits", "_quiet_since", "_server", "_transport", "_until", "_watch")

    def __init__(self, server: Server, transport: asyncio.Transport) -> None:
        now = server.now()
        self._server = server
        self._limits = server.limits
        self._transport = transport
        self._watch = StallWatch(transport, self._limits.write_stall)
        self._until = now + self._limits.linger_time
        self._quiet_since = now
        self._budget = self._limits.linger_bytes
        server.track(self)
        transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Drop what still comes."""
        self._quiet_since = self._server.now()
        self._budget -= len(data)
        if self._budget < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Both sides are closed."""
        self._server.untrack(self)

    def check(self, now: float) -> None:
        """Give up a client that neither reads nor closes."""
        if self._watch.stalls(now):
            self._transport.abort()
        elif self._watch.waits:
            self._until = now + self._limits.linger_time
            self._quiet_since = now
        elif now >= self._until or now - self._quiet_since >= self._limits.linger_silence:
            self._transport.abort()

    def shut_if_idle(self) -> None:
        """Nothing to do: it is closing already."""

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
