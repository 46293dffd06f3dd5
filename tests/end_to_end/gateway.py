"""What stands between a router and its Sourcegraph in a company: a gateway that speaks TLS, and a proxy that lets out.

Both are real sockets and keep what passes through: the gateway in clear, the proxy as anybody on the way could see it.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class Seen:
    """Where one of them listens, and what it saw."""

    port: int = 0
    asked: list[bytes] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)


@contextlib.asynccontextmanager
async def gateway(certificate: Path, to: int, *, demands: Path | None = None) -> AsyncIterator[Seen]:
    """Speaks TLS and hands on, in clear, to a port of this machine; `demands` is whose client certificates it wants."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(demands)
    seen = Seen()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, to, seen.passed)

    async with _listening(accept, seen, context):
        yield seen


@contextlib.asynccontextmanager
async def proxy(routes: dict[str, int], *, answer: bytes = b"", credentials: str | None = None) -> AsyncIterator[Seen]:
    """Connects to what `routes` gives for a host and port; `answer` is what it says instead, to everybody."""
    seen = Seen()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.asked.append(head)
        wanted = None if credentials is None else f"proxy-authorization: basic {credentials}".lower().encode()
        if answer:
            writer.write(answer)
        elif wanted is not None and wanted not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(reader, writer, routes[head.split(b" ")[1].decode()], seen.passed)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with _listening(accept, seen):
        yield seen


@contextlib.asynccontextmanager
async def _listening(accept: Accept, seen: Seen, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    tasks: set[asyncio.Task[None]] = set()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await accept(reader, writer)
        finally:
            writer.transport.abort()
            tasks.discard(task)

    # The gateway's side of a handshake that the router breaks off is reported to the loop.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    server = await asyncio.start_server(keep, "127.0.0.1", 0, ssl=context)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int, passed: bytearray) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", to)

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                passed.extend(data)
                target.write(data)
                await target.drain()
        target.close()

    try:
        await asyncio.gather(pump(reader, back), pump(there, writer))
    finally:
        back.transport.abort()
        with contextlib.suppress(ConnectionError):
            await back.wait_closed()
