"""A transport without a socket: what a peer sends comes in the cuts that the fuzzer chose, what is answered is kept."""

import asyncio
from collections.abc import Iterator
from typing import Any

from http1.clocked import ClockedLoop


class Wire(asyncio.Transport):
    """The transport of one connection of ours; as in asyncio, `connection_lost` comes in a later turn of the loop."""

    def __init__(self, loop: ClockedLoop, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self._reading = True
        self._lost = False
        self.written = bytearray()
        protocol.connection_made(self)

    async def receive(self, data: bytes) -> None:
        """Hands a piece over, as far as it is still read, and lets what follows from it happen."""
        view = memoryview(data)
        while view and not self._closing:
            view = view[self._hand_over(view) :]
            await self._loop.idle()

    async def end(self) -> None:
        """Ends the peer's side."""
        if not self._closing:
            self._protocol_now.eof_received()
            self.close()
        await self._loop.idle()

    def _hand_over(self, view: memoryview) -> int:
        protocol = self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            room = memoryview(protocol.get_buffer(len(view)))
            taken = min(len(room), len(view))
            room[:taken] = view[:taken]
            protocol.buffer_updated(taken)
            return taken
        self._protocol_now.data_received(bytes(view))
        return len(view)

    @property
    def _protocol_now(self) -> Any:
        return self._protocol

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(None)

    # What a protocol calls.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def write_eof(self) -> None:
        """Nothing: the peer takes what it was sent."""

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._lose)

    def abort(self) -> None:
        self.close()


def cuts(data: bytes, size: int) -> Iterator[bytes]:
    """Cuts into pieces of `size` bytes; of any size where it is 0."""
    step = size or max(1, len(data))
    for start in range(0, len(data), step):
        yield data[start : start + step]
