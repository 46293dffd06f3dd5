"""The last answer reaches a client that is still sending, and no connection is closed for ever."""

import asyncio
import socket

from cody_oai_router.http1 import Request, Response, ServerExchange, ServerLimits
from http1.peers import FakeApplication, Run, serving, until, wire

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


async def lingers(limits: ServerLimits, more: bytes) -> None:
    """The server must close for good although the client does not."""
    async with serving(FakeApplication(), limits) as (server, port):
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.setblocking(False)
            await loop.sock_sendall(peer, TOO_LARGE)
            assert (await loop.sock_recv(peer, 65536)).startswith(b"HTTP/1.1 413 ")
            try:
                while server.surplus() > 1 - server.limits.connections:
                    await loop.sock_sendall(peer, more)
                    await asyncio.sleep(0.001)
            except ConnectionError:
                return


def test_a_silent_client_is_given_up(run: Run) -> None:
    run(lingers(ServerLimits(body_bytes=10, linger_silence=0.05), b""))


def test_a_client_that_never_stops_is_given_up(run: Run) -> None:
    run(lingers(ServerLimits(body_bytes=10, linger_time=0.1), b"x"))
    run(lingers(ServerLimits(body_bytes=10, linger_bytes=MIB), b"x" * 65536))


def test_a_slow_reader_of_the_last_answer_is_waited_for(run: Run) -> None:
    async def large(_: Request, exchange: ServerExchange) -> None:
        exchange.respond(Response(200, [], b"x" * 20 * MIB))

    async def main() -> None:
        limits = ServerLimits(linger_time=0.05, linger_silence=0.02)
        async with serving(FakeApplication(handlers={"/": large}), limits) as (_, port):
            loop = asyncio.get_running_loop()
            with socket.create_connection(("127.0.0.1", port)) as peer:
                peer.setblocking(False)
                await loop.sock_sendall(peer, b"GET / HTTP/1.0\r\n\r\n")
                await asyncio.sleep(0.2)
                size = 0
                while data := await loop.sock_recv(peer, MIB):
                    size += len(data)
                assert size > 20 * MIB

    run(main())


def test_a_reader_that_takes_nothing_of_its_last_answer_is_given_up(run: Run) -> None:
    async def large(_: Request, exchange: ServerExchange) -> None:
        exchange.respond(Response(200, [], b"x" * 20 * MIB))

    async def main() -> None:
        application = FakeApplication(handlers={"/": large})
        async with serving(application, ServerLimits(write_stall=0.1)) as (server, port):
            loop = asyncio.get_running_loop()
            with socket.create_connection(("127.0.0.1", port)) as peer:
                peer.setblocking(False)
                await loop.sock_sendall(peer, b"GET / HTTP/1.0\r\n\r\n")
                await until(lambda: bool(application.requests))
                await until(lambda: server.surplus() <= 1 - server.limits.connections)

    run(main())
