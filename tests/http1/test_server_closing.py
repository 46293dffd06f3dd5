"""The last answer reaches a client that is still sending, and no connection is closed for ever."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from cody_oai_router.http1 import Request, Response, Server, ServerExchange, ServerLimits
from cody_oai_router.http1.server_closing import ClosingConnection
from http1.clocked import Clocked, ClockedLoop
from http1.peers import FakeApplication, Run, open_connections, serving, wire

MIB = 1024 * 1024
TOO_LARGE = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (20 * MIB)
SMALL = ServerLimits(body_bytes=10)


def test_a_client_that_sends_all_before_it_reads_still_sees_the_413(run: Run) -> None:
    def upload(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(TOO_LARGE)
            for _ in range(20):
                peer.sendall(b"x" * MIB)
            return peer.recv(65536)

    async def main() -> None:
        async with serving(FakeApplication(), SMALL) as (_, port):
            assert (await asyncio.to_thread(upload, port)).startswith(b"HTTP/1.1 413 ")

    run(main())


def test_the_write_side_is_shut_at_once(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication(), SMALL) as (_, port), await wire(port) as peer:
            peer.send(TOO_LARGE)
            assert (await peer.answer()).status == 413
            assert await peer.closed() == b""

    run(main())


async def refused(peer: socket.socket) -> None:
    """Be refused without having sent all, and stay."""
    loop = asyncio.get_running_loop()
    peer.setblocking(False)
    await loop.sock_sendall(peer, TOO_LARGE)
    assert (await loop.sock_recv(peer, 65536)).startswith(b"HTTP/1.1 413 ")


def test_a_silent_client_is_given_up(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        limits = ServerLimits(body_bytes=10, linger_silence=8, linger_time=100)
        async with serving(FakeApplication(), limits) as (server, port):
            with socket.create_connection(("127.0.0.1", port)) as peer:
                await refused(peer)
                await loop.let_pass(7.9)
                assert open_connections(server) == 1
                await loop.let_pass(1.1)
                assert open_connections(server) == 0

    clocked(main)


def test_a_client_that_never_stops_is_given_up_in_time(clocked: Clocked) -> None:
    def has_read(connection: ClosingConnection, size: int) -> bool:
        return connection._budget == connection._limits.linger_bytes - size

    async def main(loop: ClockedLoop) -> None:
        limits = ServerLimits(body_bytes=10, linger_silence=8, linger_time=30)
        async with serving(FakeApplication(), limits) as (server, port):
            with socket.create_connection(("127.0.0.1", port)) as peer:
                await refused(peer)
                (connection,) = server._connections
                assert isinstance(connection, ClosingConnection)
                for number in range(1, 5):
                    await loop.let_pass(7.4)
                    await loop.sock_sendall(peer, b"x")
                    await loop.until(partial(has_read, connection, number))
                assert open_connections(server) == 1
                await loop.let_pass(1.4)
                assert open_connections(server) == 0

    clocked(main)


def test_a_client_that_never_stops_is_given_up_after_so_many_bytes(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(FakeApplication(), ServerLimits(body_bytes=10, linger_bytes=MIB)) as (_, port):
            with socket.create_connection(("127.0.0.1", port)) as peer:
                await refused(peer)
                with pytest.raises(ConnectionError):
                    await loop.sock_sendall(peer, b"x" * 64 * MIB)

    run(main())


@asynccontextmanager
async def unread_answer(loop: ClockedLoop, limits: ServerLimits) -> AsyncIterator[tuple[Server, socket.socket]]:
    """A connection in its last answer, of which the client has taken nothing."""

    async def large(_: Request, exchange: ServerExchange) -> None:
        exchange.respond(Response(200, [], b"x" * 20 * MIB))

    def is_closing() -> bool:
        return any(isinstance(connection, ClosingConnection) for connection in server._connections)

    async with serving(FakeApplication(handlers={"/": large}), limits) as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.setblocking(False)
            await loop.sock_sendall(peer, b"GET / HTTP/1.0\r\n\r\n")
            await loop.until(is_closing)
            yield server, peer


def test_a_slow_reader_of_the_last_answer_is_waited_for(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        async with unread_answer(loop, ServerLimits(linger_time=8, linger_silence=8)) as (server, peer):
            await loop.let_pass(200)
            size = 0
            while data := await loop.sock_recv(peer, MIB):
                size += len(data)
            assert size > 20 * MIB
            await loop.let_pass(6)
            assert open_connections(server) == 1
            await loop.let_pass(3)
            assert open_connections(server) == 0

    clocked(main)


def test_a_reader_that_takes_nothing_of_its_last_answer_is_given_up(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        async with unread_answer(loop, ServerLimits(write_stall=8)) as (server, _):
            await loop.let_pass(7.9)
            assert open_connections(server) == 1
            await loop.let_pass(20)  # the clock begins when the system has taken what it can
            assert open_connections(server) == 0

    clocked(main)
