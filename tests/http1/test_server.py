"""The life of a server: start, stop, drain, close."""

import asyncio
import errno
import socket
import sys

import pytest

from cody_oai_router.http1 import Request, Response, Server, ServerExchange, ServerLimits
from http1.peers import FakeApplication, Run, serving, wire

GET = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"


def test_it_listens_where_it_says(run: Run) -> None:
    async def main() -> None:
        server = Server(FakeApplication(), product=b"router/1")
        try:
            ((host, port),) = await server.start("127.0.0.1", 0)
            assert host == "127.0.0.1"
            async with await wire(port) as peer:
                peer.send(GET)
                assert (await peer.answer()).headers["Server"] == "router/1"
        finally:
            await server.close()

    run(main())


def test_a_port_in_use_is_an_error_and_stays_with_its_owner(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port):
            second = Server(FakeApplication())
            with pytest.raises(OSError, match=rf"Errno {errno.EADDRINUSE}\b|WinError 10048\b"):
                await second.start("127.0.0.1", port)
            await second.close()

    run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="SO_REUSEPORT balances connections only on Linux")
def test_workers_may_share_a_port(run: Run) -> None:
    async def main() -> None:
        servers = [Server(FakeApplication()) for _ in range(2)]
        try:
            ((_, port),) = await servers[0].start("127.0.0.1", 0, reuse_port=True)
            assert await servers[1].start("127.0.0.1", port, reuse_port=True) == [("127.0.0.1", port)]
            with pytest.raises(OSError, match="in use"):
                await servers[1].start("127.0.0.1", port)
        finally:
            for server in servers:
                await server.close()

    run(main())


def test_accepted_connections_send_small_writes_at_once(run: Run) -> None:
    async def main() -> None:
        delays: list[int] = []

        async def look(_: Request, exchange: ServerExchange) -> None:
            sock: socket.socket = exchange._transport.get_extra_info("socket")
            delays.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            exchange.respond(Response(200))

        async with serving(FakeApplication(handlers={"/1": look})) as (_, port), await wire(port) as peer:
            peer.send(GET)
            await peer.answer()
        assert delays
        assert 0 not in delays

    run(main())


def test_stopping_closes_idle_connections_and_lets_the_others_finish(run: Run) -> None:
    async def main() -> None:
        began, finish = asyncio.Event(), asyncio.Event()

        async def held(_: Request, exchange: ServerExchange) -> None:
            began.set()
            await finish.wait()
            exchange.respond(Response(200, [], b"done"))

        async with serving(FakeApplication(handlers={"/held": held})) as (server, port):
            async with await wire(port) as idle, await wire(port) as busy, await wire(port) as begun:
                idle.send(GET)
                await idle.answer()
                begun.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
                busy.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
                await began.wait()
                server.stop()
                assert await idle.closed() == b""
                assert not await server.drain(0.02)
                finish.set()
                answer = await busy.answer()
                assert (answer.headers["Connection"], answer.body) == ("close", b"done")
                assert await server.drain(5)
                begun.send(b"b")
                assert (await begun.answer()).headers["Connection"] == "close"
            with pytest.raises(ConnectionRefusedError):
                await wire(port)

    run(main())


def test_closing_cancels_what_is_left(run: Run) -> None:
    async def main() -> None:
        began = asyncio.Event()
        ended: list[str] = []

        async def endless(_: Request, exchange: ServerExchange) -> None:
            exchange.on_gone = lambda: ended.append("gone")
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        async with serving(FakeApplication(handlers={"/1": endless})) as (server, port), await wire(port) as peer:
            peer.send(GET)
            await began.wait()
            await server.close()
            assert sorted(ended) == ["cancelled", "gone"]

    run(main())


def test_far_too_many_connections_are_closed_without_a_word(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication(), ServerLimits(connections=1, linger_silence=60)) as (_, port):
            peers = [await wire(port) for _ in range(80)]
            answers = [await peer.reader.read(12) for peer in peers[66:]]
            assert set(answers) <= {b""}
            for peer in peers:
                async with peer:
                    pass

    run(main())


@pytest.mark.heavy
def test_many_connections_at_once_get_each_its_own_answers(run: Run) -> None:
    async def main() -> None:
        async def one(number: int, port: int) -> None:
            async with await wire(port) as peer:
                for turn in range(5):
                    peer.send(b"GET /%d/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (number, turn))
                    assert (await peer.answer()).body == b"GET /%d/%d " % (number, turn)

        async with serving(FakeApplication()) as (_, port), asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(one(number, port))

    run(main())
