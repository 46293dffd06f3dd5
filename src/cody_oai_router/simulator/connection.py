"""Plays answers and faults on one connection, and notices at once when the client leaves.

A pump moves what the client sends into an inbox, so that the end of its side is seen while an answer is being written,
as Go's server sees it. Whatever plays is then cancelled and the request marked as disconnected.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from cody_oai_router.simulator.holds import Holds
from cody_oai_router.simulator.steps import Close, Fault, Hold, Ordinary, Reset, Send, Wait
from cody_oai_router.simulator.wire import MAX_HEAD, Answer, Framer, Piece, Received, head_bytes, read_request

_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Site(Protocol):
    """What a connection asks of the simulator."""

    holds: Holds

    async def take(self, request: Received) -> tuple[Fault, Callable[[], Awaitable[Answer]]]:
        """Records a request and returns what to play for it, and how to make the ordinary answer."""

    def now(self) -> float:
        """Returns the Unix time."""


class Connection:
    """One accepted connection, from the first request to the close."""

    def __init__(self, site: Site, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._site = site
        self._number = number
        self._reader = reader
        self._writer = writer
        self._inbox = asyncio.StreamReader(limit=MAX_HEAD)
        self._gone = asyncio.Event()

    async def serve(self) -> None:
        """Serves requests until one side closes; a request that is not HTTP is answered 400 and closed."""
        pump = asyncio.create_task(self._pump())
        try:
            while (request := await read_request(self._inbox)) and await self._exchange(request):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except (asyncio.LimitOverrunError, ValueError):
            self._writer.write(head_bytes(400, [("Connection", "close"), ("Content-Length", "0")]))
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise
        finally:
            pump.cancel()
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _pump(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(1 << 16):
                self._inbox.feed_data(data)
        self._inbox.feed_eof()
        self._gone.set()

    async def _exchange(self, request: Received) -> bool:
        """Plays the answer to one request; tells whether the connection may carry another."""
        request.connection = self._number
        fault, ordinary = await self._site.take(request)
        player = _Player(self._site, self._writer, request, ordinary)
        playing = asyncio.create_task(player.play(fault))
        leaving = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait((playing, leaving), return_when=asyncio.FIRST_COMPLETED)
            left = not playing.done() or isinstance(playing.exception(), ConnectionError)
        finally:
            playing.cancel()
            leaving.cancel()
            await asyncio.gather(playing, leaving, return_exceptions=True)
        if left:
            request.disconnected.set()
        return not left and playing.result()


class _Player:
    """Plays the steps of one answer."""

    def __init__(
        self,
        site: Site,
        writer: asyncio.StreamWriter,
        request: Received,
        ordinary: Callable[[], Awaitable[Answer]],
    ) -> None:
        self._site = site
        self._writer = writer
        self._request = request
        self._ordinary = ordinary
        self._keep = request.keeps_alive()

    async def play(self, fault: Fault) -> bool:
        for step in fault.steps:
            match step:
                case Close():
                    self._writer.close()
                    self._keep = False
                case Reset():
                    self._reset()
                    self._keep = False
                case Ordinary():
                    await self._answer(step)
                case _:
                    await self._piece(step, self._write)
        self._request.answered.set()
        return self._keep

    async def _answer(self, ordinary: Ordinary) -> None:
        answer = await self._ordinary()
        framer = Framer(answer, ordinary, request=self._request, now=self._site.now())
        self._keep = framer.keeps_alive
        cut = _Cutter(ordinary)

        async def write(data: bytes) -> None:
            await self._write_cut(cut(framer.piece(data)))

        try:
            async with asyncio.timeout(answer.deadline):
                for piece in framer.pieces():
                    await self._piece(piece, write)
        except TimeoutError:
            framer = await self._overrun(answer, framer, write)
        await self._write_cut(cut(framer.end()))

    async def _overrun(self, answer: Answer, framer: Framer, write: Callable[[bytes], Awaitable[None]]) -> Framer:
        """Ends an answer that took too long: its own status where nothing was said yet, else a bare line."""
        if framer.started or answer.late is None:
            await write(answer.late_line)
            return framer
        late = Framer(answer.late, Ordinary(), request=self._request, now=self._site.now())
        for piece in late.pieces():
            await self._piece(piece, lambda data: self._write(late.piece(data)))
        return late

    async def _piece(self, piece: Piece, write: Callable[[bytes], Awaitable[None]]) -> None:
        match piece:
            case Send(data):
                await write(data)
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Hold(name):
                await self._site.holds.hold(name)

    async def _write_cut(self, parts: Sequence[bytes]) -> None:
        for part in parts:
            await asyncio.sleep(0)  # with the one in `_write`: a client on this loop has read the part before
            await self._write(part)

    async def _write(self, data: bytes) -> None:
        """Gives the others their turn, then writes: after the last byte nothing may come between it and `answered`."""
        await asyncio.sleep(0)
        if self._writer.is_closing():
            raise ConnectionResetError("the client has left")
        self._writer.write(data)
        await self._writer.drain()

    def _reset(self) -> None:
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self._writer.transport.abort()


class _Cutter:
    """Splits what is written, counted from the first byte of the head, at the places that a fault names."""

    def __init__(self, ordinary: Ordinary) -> None:
        self._every = ordinary.cut_every
        self._at = ordinary.cut_at
        self._sent = 0

    def __call__(self, data: bytes) -> Sequence[bytes]:
        start, self._sent = self._sent, self._sent + len(data)
        marks = self._at if self._every is None else range(0, self._sent, self._every)
        inner = sorted({mark - start for mark in marks if start < mark < self._sent})
        return [data[a:b] for a, b in zip([0, *inner], [*inner, len(data)], strict=True) if a < b]
