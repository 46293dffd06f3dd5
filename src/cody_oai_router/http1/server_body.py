"""A request body on its way in. While it arrives, a receiver takes the connection's place as the transport's protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cody_oai_router.http1.framing import Chunked, FramingError

if TYPE_CHECKING:
    from cody_oai_router.http1.server_connection import ServerConnection

_FIRST: Final = 1024 * 1024
"""Memory for a body before most of it has come; then it doubles."""


def initial_size(length: int) -> int:
    """Bytes of memory that a body of `length` bytes begins with."""
    return min(length, _FIRST)


class _Receiver(asyncio.BaseProtocol):
    """What a receiver leaves to the connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def eof_received(self) -> bool | None:
        """The client stopped before the body was complete."""
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """An earlier answer is still on its way."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """It is not any more."""
        self._connection.resume_writing()


class SizedReceiver(_Receiver, asyncio.BufferedProtocol):
    """Receives a body of known length straight into one bytearray.

    No piece is allocated, joined or copied, which is most of the cost of a large body; not a byte beyond the body is
    read. The memory grows with what arrives, not with what a head claims.
    """

    __slots__ = ("_filled", "_granted", "_length", "_memory")

    def __init__(self, connection: ServerConnection, length: int, first: bytes) -> None:
        super().__init__(connection)
        self._length = length
        self._filled = len(first)
        self._granted = max(initial_size(length), len(first))
        self._memory = bytearray(self._granted)
        self._memory[: len(first)] = first

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return the memory that the next bytes go to."""
        if self._granted > len(self._memory):
            self._memory.extend(bytes(self._granted - len(self._memory)))
        return memoryview(self._memory)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Count what came."""
        self._filled += nbytes
        if self._filled == self._length:
            self._connection.body_complete(self._memory, b"")
            return
        self._connection.body_progress()
        if self._filled == self._granted:
            self._grow()

    def _grow(self) -> None:
        # The memory itself can only grow when the transport has let go of it: in the next get_buffer.
        granted = min(2 * self._granted, self._length)
        if self._connection.body_grows(granted - self._granted):
            self._granted = granted


class CopyingReceiver(_Receiver, asyncio.Protocol):
    """Receives a body of known length from the loop of Windows, with the same memory.

    It would copy into a `SizedReceiver` anyway, and hold on to its memory, which then cannot grow, until everything is
    passed on, which can be more than the body.
    """

    __slots__ = ("_granted", "_length", "_memory")

    def __init__(self, connection: ServerConnection, length: int, first: bytes) -> None:
        super().__init__(connection)
        self._length = length
        self._granted = max(initial_size(length), len(first))
        self._memory = bytearray(first)

    def data_received(self, data: bytes) -> None:
        """Add what came."""
        missing = self._length - len(self._memory)
        filled = len(self._memory) + min(len(data), missing)
        while filled > self._granted:
            granted = min(2 * self._granted, self._length)
            if not self._connection.body_grows(granted - self._granted):
                return
            self._granted = granted
        self._memory += data[:missing]
        if filled == self._length:
            self._connection.body_complete(self._memory, data[missing:])
        else:
            self._connection.body_progress()


class ChunkedReceiver(_Receiver, asyncio.Protocol):
    """Receives a chunked body, up to a limit."""

    __slots__ = ("_body", "_chunks", "_limit")

    def __init__(self, connection: ServerConnection, limit: int) -> None:
        super().__init__(connection)
        self._limit = limit
        self._chunks = Chunked()
        self._body = bytearray()

    def data_received(self, data: bytes) -> None:
        """Add the payload of what came."""
        try:
            payload = self._chunks.feed(data)
        except FramingError as error:
            self._connection.body_fails(400, f"malformed chunked body: {error}")
            return
        if len(self._body) + len(payload) > self._limit:
            self._connection.body_fails(413, f"the body is larger than {self._limit} bytes")
        elif self._connection.body_grows(len(payload)):
            self._body += payload
            if self._chunks.done:
                self._connection.body_complete(self._body, self._chunks.rest)
            else:
                self._connection.body_progress()
