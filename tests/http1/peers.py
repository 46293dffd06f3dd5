"""The other side of each half: raw bytes over real sockets, read with nothing of ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from cody_oai_router.http1 import (
    Client,
    ClientError,
    ClientLimits,
    Clocks,
    Origin,
    Outgoing,
    Request,
    Response,
    Server,
    ServerExchange,
    ServerLimits,
)

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, None]], None]
Handler = Callable[[Request, ServerExchange], Awaitable[None]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PATIENT = Clocks(connect=20, first_byte=20, idle=20)


async def echo(request: Request, exchange: ServerExchange) -> None:
    """Answer with what was asked."""
    line = f"{request.method} {request.target} ".encode()
    exchange.respond(Response(200, [(b"Content-Type", b"text/plain")], line + bytes(request.body)))


@dataclass
class FakeApplication:
    """An application whose handlers are given by path."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    refusals: dict[str, Response] = field(default_factory=dict)
    admitted: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    failures: list[BaseException | None] = field(default_factory=list)

    def admit(self, request: Request) -> Response | None:
        self.admitted.append(request.target)
        return self.refusals.get(request.path)

    def malformed(self, status: int, reason: str, request: Request | None) -> Response:
        assert request is None or request.method
        return Response(status, [(b"Content-Type", b"text/plain")], reason.encode())

    def failed(self, request: Request, error: BaseException | None) -> Response:
        self.requests.append(request)
        self.failures.append(error)
        return Response(500, [], b"failed")

    async def handle(self, request: Request, exchange: ServerExchange) -> None:
        self.requests.append(request)
        await self.handlers.get(request.path, echo)(request, exchange)


@dataclass
class Answer:
    """A response as a strict reader of RFC 9112 sees it."""

    status: int
    headers: dict[str, str]
    body: bytes
    interim: list[int]


class Wire:
    """A raw connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> tuple[int, dict[str, str]]:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = text[:-4].split("\r\n")
        assert line.startswith("HTTP/1.1 ")
        headers = dict(one.split(": ", 1) for one in fields)
        assert len(headers) == len(fields)
        return int(line.split(" ")[1]), headers

    async def answer(self, *, head_only: bool = False) -> Answer:
        interim: list[int] = []
        status, headers = await self.head()
        while status < 200:
            interim.append(status)
            status, headers = await self.head()
        if head_only:
            return Answer(status, headers, b"", interim)
        if headers.get("Transfer-Encoding") == "chunked":
            return Answer(status, headers, b"".join([piece async for piece in self.chunks()]), interim)
        length = headers.get("Content-Length")
        body = await (self.reader.read() if length is None else self.reader.readexactly(int(length)))
        return Answer(status, headers, body, interim)

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"

    async def closed(self) -> bytes:
        """Everything until the server closes."""
        return await self.reader.read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Pulse:
    """A connection of its own through system and loop: what was sent before a beat has been read when the beat is over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def beat(self, times: int = 1) -> None:
        """Send a byte and wait until it comes back."""
        for _ in range(times):
            self._writer.write(b".")
            assert await self._reader.readexactly(1) == b"."


@contextlib.asynccontextmanager
async def pulse() -> AsyncIterator[Pulse]:
    async def returns(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1):
            writer.write(data)

    async with origin(returns) as (_, port), await wire(port) as peer:
        yield Pulse(peer.reader, peer.writer)


async def begun(*work: Coroutine[Any, Any, T]) -> list[asyncio.Task[T]]:
    """Start tasks; each has come as far as it can without waiting."""
    events = [asyncio.Event() for _ in work]

    async def begin(one: Coroutine[Any, Any, T], event: asyncio.Event) -> T:
        event.set()
        return await one

    tasks = [asyncio.ensure_future(begin(*each)) for each in zip(work, events, strict=True)]
    for event in events:
        await event.wait()
    return tasks


async def wire(port: int) -> Wire:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return Wire(reader, writer)


@contextlib.asynccontextmanager
async def serving(
    application: FakeApplication, limits: ServerLimits | None = None
) -> AsyncIterator[tuple[Server, int]]:
    server = Server(application, limits)
    try:
        addresses = await server.start("127.0.0.1", 0)
        yield server, addresses[0][1]
    finally:
        await server.close()


def open_connections(server: Server) -> int:
    """Count what the server still looks after."""
    return server.surplus() - 1 + server.limits.connections


class FakeOrigin:
    """A server whose every connection follows the next script (the last one for ever)."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        try:
            await script(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._tasks.append(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def origin(*scripts: Script) -> AsyncIterator[tuple[FakeOrigin, int]]:
    fake = FakeOrigin(*scripts)
    server = await asyncio.start_server(fake.accept, "127.0.0.1", 0)
    try:
        yield fake, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await fake.stop()


@contextlib.asynccontextmanager
async def client_of(port: int, limits: ClientLimits | None = None) -> AsyncIterator[Client]:
    client = Client(Origin("http", "127.0.0.1", port), limits)
    try:
        yield client
    finally:
        await client.close()


async def request_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def answering(*answers: bytes) -> Script:
    """Answer each request (without a body) with the next bytes, then wait for the client to close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request_head(reader)
            writer.write(answer)
        await reader.read()

    return script


def closing_after(answer: bytes) -> Script:
    """Answer one request and close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(answer)

    return script


def get(target: bytes = b"/", method: bytes = b"GET") -> Outgoing:
    return Outgoing(method, target, b"Accept: */*\r\n")


class FakeSink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.came: asyncio.Event = asyncio.Event()
        self.end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_data(self, data: bytes) -> None:
        self.pieces.append(data)
        self.came.set()

    def on_end(self, *, delimited: bool) -> None:
        self.end.set_result(delimited)
        self.came.set()

    def on_fail(self, error: ClientError) -> None:
        self.end.set_exception(error)
        self.came.set()

    async def grown(self, size: int) -> None:
        """Wait until the body has so many bytes; what ends it before is raised."""
        while len(self.body) < size:
            assert not self.end.done(), await self.end
            self.came.clear()
            await self.came.wait()

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


class Holding:
    """A handler that sends its head at once and its end when it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    async def __call__(self, _: Request, exchange: ServerExchange) -> None:
        exchange.start(200, [])
        exchange.write(b"held")
        await self.let_go.wait()
        exchange.finish()
