"""The load generator: keep-alive connections that ask, and watch the answer only as closely as is needed."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Final, Self, cast

from bench.upstream import Upstream
from bench.work import MARK_BYTES, Work, request_body

# No answer of the benchmark takes longer, also under an instruction counter.
PATIENCE: Final = 120.0

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_LAST_CHUNK: Final = b"0\r\n\r\n"
# Streams that are being opened at the same time.
_OPENING: Final = 100
_OVERLAP: Final = len(MARK_BYTES) - 1

_numbers: Final = count(1)


class Unexpected(Exception):  # noqa: N818 - the name says what it is
    """A proxy answered something else than what the benchmark asked for."""


class Connection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[None] | None = None
        self._on_mark: Callable[[], None] = _nothing
        self._tail = b""
        self._head = b""
        self._left: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it

    def ask(self, request: bytes, on_mark: Callable[[], None]) -> asyncio.Future[None]:
        """Sends a request; `on_mark` is called for every batch of events, the future is done when the answer ends."""
        self._answer = asyncio.get_running_loop().create_future()
        self._on_mark = on_mark
        self._tail = self._head = b""
        self._left = None
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Looks for the head, for marks and for the end."""
        if not self._head.endswith(b"\r\n\r\n"):
            data = self._read_head(data)
        if self._left is not None:
            self._left -= len(data)
        window = self._tail + data
        self._tail = window[-max(_OVERLAP, len(_LAST_CHUNK)) :]
        if window.find(MARK_BYTES, max(0, len(window) - len(data) - _OVERLAP)) >= 0:
            self._on_mark()
        if self._is_complete(window):
            self._settle(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails the request under way."""
        self._settle(exc or Unexpected("the proxy closed the connection"))

    def close(self) -> None:
        """Closes the connection at once."""
        self._answer = None
        self._transport.abort()

    def _read_head(self, data: bytes) -> bytes:
        whole = self._head + data
        end = whole.find(b"\r\n\r\n") + 4
        if end < 4:
            self._head = whole
            return b""
        self._head = whole[:end]
        if not self._head.startswith(b"HTTP/1.1 200"):
            self._settle(Unexpected(whole[:400].decode("latin-1")))
        match = _LENGTH.search(self._head)
        self._left = int(match[1]) if match else None
        return whole[end:]

    def _is_complete(self, window: bytes) -> bool:
        if not self._head.endswith(b"\r\n\r\n"):
            return False
        return self._left == 0 if self._left is not None else window.endswith(_LAST_CHUNK)

    def _settle(self, error: Exception | None) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)


async def connect(port: int) -> Connection:
    """Opens a connection to a proxy."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def drive(
    port: int, path: str, work: Work, upstream: Upstream, *, requests: int, connections: int
) -> list[float]:
    """Sends so many requests over so many connections, each as soon as the one before is answered; gives their seconds."""
    todo = iter(range(requests))
    seconds: list[float] = []
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for _ in range(min(connections, requests)):
            group.create_task(_work_off(port, path, work, upstream, todo, seconds))
    return seconds


class Held:
    """Streams that are open: each has shown its first event and waits for the second. Closed at the end of the block."""

    def __init__(self, port: int, path: str, work: Work) -> None:
        self._port = port
        self._path = path
        self._work = work
        self._connections: list[Connection] = []

    async def __aenter__(self) -> Self:
        """Begins with none."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes all."""
        for connection in self._connections:
            connection.close()

    async def open(self, streams: int) -> None:
        """Opens further ones until there are so many, some at a time."""
        while len(self._connections) < streams:
            some = min(_OPENING, streams - len(self._connections))
            await asyncio.gather(*(self._open() for _ in range(some)))

    async def _open(self) -> None:
        connection = await connect(self._port)
        self._connections.append(connection)
        begun = asyncio.get_running_loop().create_future()
        answer = connection.ask(_request(self._path, self._work, next(_numbers)), lambda: begun.set_result(None))
        await asyncio.wait((answer, begun), return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()


async def _work_off(
    port: int, path: str, work: Work, upstream: Upstream, todo: Iterator[int], seconds: list[float]
) -> None:
    with closing(await connect(port)) as connection:
        number = next(_numbers)
        request = _request(path, work, number)
        for _ in todo:
            begun = time.perf_counter()
            await connection.ask(request, lambda: upstream.advance(number))
            seconds.append(time.perf_counter() - begun)


def _request(path: str, work: Work, number: int) -> bytes:
    body = request_body(work, number)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\nAuthorization: Bearer none\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _nothing() -> None:
    """Is called where nobody looks for marks."""
