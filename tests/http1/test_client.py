"""Requests as bytes on the wire, and what an origin that misbehaves becomes."""

import asyncio
import re
import socket

import pytest

from cody_oai_router.http1 import (
    BadResponse,
    Client,
    ClientLimits,
    Clocks,
    ConnectFailed,
    ConnectionLost,
    Origin,
    Outgoing,
    TimedOut,
)
from cody_oai_router.http1 import client as module
from cody_oai_router.http1.dial import dial
from http1.clocked import Clocked, ClockedLoop
from http1.peers import (
    PATIENT,
    FakeApplication,
    FakeSink,
    Run,
    answering,
    begun,
    client_of,
    closing_after,
    echo,
    get,
    open_connections,
    origin,
    request_head,
    serving,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("outgoing", "wanted"),
    [
        (
            Outgoing(b"POST", b"/a?b=c", b"Accept: */*\r\n", b"abc"),
            b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAccept: */*\r\nContent-Length: 3\r\n\r\nabc",
        ),
        (
            Outgoing(b"POST", b"/", b"", [b"a" * 3, b"b" * 30_000]),
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Length: 30003\r\n\r\naaa" + b"b" * 30_000,
        ),
        (Outgoing(b"POST", b"/"), b"POST / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Length: 0\r\n\r\n"),
        (Outgoing(b"GET", b"/"), b"GET / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n"),
    ],
)
def test_a_request_on_the_wire(run: Run, outgoing: Outgoing, wanted: bytes) -> None:
    async def main() -> None:
        received: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.append(await reader.readexactly(len(wanted) - len(b"PORT") + len(str(port))))
            writer.write(OK)
            await reader.read()

        async with origin(script) as (_, port), client_of(port) as client:
            incoming = await client.send(outgoing, PATIENT)
            assert await incoming.read(10) == b"ok"
        assert received == [wanted.replace(b"PORT", b"%d" % port)]

    run(main())


def test_a_connection_is_used_again_after_a_complete_answer(run: Run) -> None:
    async def main() -> None:
        async with origin(answering(OK, OK)) as (fake, port), client_of(port) as client:
            first = await client.send(get(), PATIENT)
            assert await first.read(10) == b"ok"
            second = await client.send(get(), PATIENT)
            assert await second.read(10) == b"ok"
            assert (first.reused, second.reused) == (False, True)
            assert fake.connections == 1

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
    ],
)
def test_a_connection_is_not_used_again_after(run: Run, answer: bytes) -> None:
    async def main() -> None:
        async with origin(answering(answer)) as (fake, port), client_of(port) as client:
            for _ in range(2):
                incoming = await client.send(get(), PATIENT)
                assert await incoming.read(100) == b"ok"
                assert not incoming.reused
            assert fake.connections == 2

    run(main())


def test_a_pooled_connection_that_died_is_replaced_in_silence(run: Run) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def dies_on_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(OK)
            await request_head(reader)
            closed.set()

        async with origin(dies_on_the_second, answering(OK)) as (fake, port), client_of(port) as client:
            assert await (await client.send(get(), PATIENT)).read(10) == b"ok"
            again = await client.send(get(), PATIENT)
            assert await again.read(10) == b"ok"
            assert closed.is_set()
            assert not again.reused
            assert fake.connections == 2

    run(main())


def test_a_fresh_connection_that_dies_is_not_replaced(run: Run) -> None:
    async def main() -> None:
        async with origin(closing_after(b"")) as (fake, port), client_of(port) as client:
            with pytest.raises(ConnectionLost, match=r"^127\.0\.0\.1:\d+ closed the connection before it answered$"):
                await client.send(get(), PATIENT)
            assert fake.connections == 1

    run(main())


def test_an_answer_that_has_begun_is_not_asked_for_again(run: Run) -> None:
    async def main() -> None:
        async def begins(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(OK)
            await request_head(reader)
            writer.write(b"HTTP/1.1 2")

        async with origin(begins) as (fake, port), client_of(port) as client:
            assert await (await client.send(get(), PATIENT)).read(10) == b"ok"
            with pytest.raises(ConnectionLost):
                await client.send(get(), PATIENT)
            assert fake.connections == 1

    run(main())


def test_nobody_listens(run: Run) -> None:
    async def main() -> None:
        async with origin(closing_after(b"")) as (_, port):
            pass
        async with client_of(port) as client:
            with pytest.raises(ConnectFailed, match=f"^cannot connect to 127.0.0.1:{port}: Connection refused$"):
                await client.send(get(), PATIENT)

    run(main())


def test_a_redirect_is_an_answer_like_any_other(run: Run) -> None:
    async def main() -> None:
        async with origin(answering(OK)) as (elsewhere, other):
            moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % other
            async with origin(answering(moved)) as (_, port), client_of(port) as client:
                assert (await client.send(get(), PATIENT)).status == 302
            assert elsewhere.connections == 0

    run(main())


def test_each_clock_says_what_it_waited_for(run: Run) -> None:
    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        for answer, clocks, phase, words in [
            (b"", Clocks(9, 0.05, 9), "first byte", "no answer within 0.05 s"),
            (head, Clocks(9, 0.05, 9), "first byte", "no answer within 0.05 s"),
            (head + b"x", Clocks(9, 9, 0.05), "idle", "nothing more came within 0.05 s"),
            (head + b"x", Clocks(9, 9, 9, 0.05), "total", "the answer was not complete within 0.05 s"),
        ]:
            async with origin(answering(answer)) as (_, port), client_of(port) as client:
                with pytest.raises(TimedOut) as caught:
                    await (await client.send(get(), clocks)).read(10)
                assert (caught.value.phase, caught.value.seconds) == (phase, 0.05)
                assert caught.value.message == f"127.0.0.1:{port}: {words}"

    run(main())


def test_what_keeps_coming_is_never_cut_by_the_idle_clock(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nx")
            for size in range(1, 20):
                await sink.grown(size)
                await loop.let_pass(1.4)
                writer.write(b"x")

        sink = FakeSink()
        async with origin(drips) as (_, port), client_of(port) as client:
            incoming = await client.send(get(), Clocks(9, 1.5, 1.5))
            incoming.attach(sink)
            assert await sink.end
            assert sink.body == b"x" * 20

    clocked(main)


def test_waiting_for_a_connection_is_bounded_by_the_connect_clock(run: Run) -> None:
    async def main() -> None:
        async with origin(answering(b"")) as (_, port), client_of(port, ClientLimits(connections=1)) as client:
            (first,) = await begun(client.send(get(), PATIENT))
            with pytest.raises(TimedOut) as caught:
                await client.send(get(), Clocks(0.05, 9, 9))
            assert caught.value.phase == "connect"
            with pytest.raises(TimedOut) as caught:
                await client.send(get(), Clocks(9, 9, 9, 0.05))
            assert caught.value.phase == "total"
            first.cancel()
            await asyncio.wait([first])

    run(main())


def test_a_slow_upload_is_not_a_silent_origin(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        steps = 0

        async def reads_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal steps
            await request_head(reader)
            (connection,) = client._pool._live
            left = 30_000_000
            while left:
                before = connection.unsent()
                while left and connection.unsent() > before - 1_000_000:
                    left -= len(await reader.read(left))
                    assert not reader.at_eof()
                if connection.unsent():  # what is in the system's buffers is sent, as far as the client can see
                    await loop.let_pass(0.3)
                    steps += 1
            writer.write(OK)
            await reader.read()

        async with origin(reads_slowly) as (_, port), client_of(port) as client:
            incoming = await client.send(Outgoing(b"POST", b"/", b"", b"x" * 30_000_000), Clocks(9, 0.4, 0.4))
            assert await incoming.read(10) == b"ok"
        assert steps > 2

    clocked(main)


def test_an_early_answer_ends_the_upload(run: Run) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
            try:
                while await reader.read(65536):
                    pass
            finally:
                gone.set()

        async with origin(refuses) as (fake, port), client_of(port) as client:
            incoming = await client.send(Outgoing(b"POST", b"/", b"", b"x" * 30_000_000), PATIENT)
            assert incoming.status == 413
            await gone.wait()
            assert (await client.send(get(), PATIENT)).status == 413
            assert fake.connections == 2

    run(main())


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_cancelling_closes_the_connection_at_once(run: Run, answer: bytes) -> None:
    async def main() -> None:
        asked, reading, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(answer)
            asked.set()
            try:
                await reader.read()
            finally:
                gone.set()

        async def ask(client: Client) -> None:
            incoming = await client.send(get(), PATIENT)
            reading.set()
            await incoming.read(10)

        async with origin(script) as (_, port), client_of(port) as client:
            task = asyncio.ensure_future(ask(client))
            await (reading if answer else asked).wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await gone.wait()

    run(main())


def test_closing_fails_what_is_under_way_and_what_waits(run: Run) -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await request_head(reader)
            asked.set()
            await reader.read()

        asked = asyncio.Event()
        async with origin(script) as (_, port), client_of(port, ClientLimits(connections=1)) as client:
            tasks = await begun(*[client.send(get(), PATIENT) for _ in range(2)])
            await asked.wait()
            await client.close()
            for task in tasks:
                with pytest.raises(ConnectionLost, match=r"^the router is shutting down$"):
                    await task
            with pytest.raises(ConnectionLost):
                await client.send(get(), PATIENT)

    run(main())


def test_closing_while_connecting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async def held(host: str, port: int, whom: str) -> socket.socket:
            connecting.set()
            await closed.wait()
            return await dial(host, port, whom)

        connecting, closed = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(module, "dial", held)
        async with origin(answering(OK)) as (_, port), client_of(port) as client:
            task = asyncio.ensure_future(client.send(get(), PATIENT))
            await connecting.wait()
            await client.close()
            closed.set()
            with pytest.raises(ConnectionLost, match=r"^the router is shutting down$"):
                await task

    run(main())


def test_https_needs_a_context(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="SSLContext"):
            Client(Origin("https", "127.0.0.1", 443))

    run(main())


def test_fifty_exchanges_over_few_connections_get_each_its_own_answer(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (server, port), client_of(port, ClientLimits(connections=7)) as client:

            async def ask(number: int) -> None:
                for turn in range(10):
                    body = b"%d/%d " % (number, turn) * (1 + number * 10)
                    incoming = await client.send(Outgoing(b"POST", b"/%d" % number, b"", body), PATIENT)
                    if turn % 2:
                        got = await incoming.read(1_000_000)
                    else:
                        sink = FakeSink()
                        incoming.attach(sink)
                        assert await sink.end
                        got = sink.body
                    assert got == b"POST /%d " % number + body

            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(ask(number))
            assert open_connections(server) <= 7

    run(main())


def test_our_halves_speak_with_each_other(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication(handlers={"/": echo})
        async with serving(application) as (_, port), client_of(port) as client:
            head = await client.send(get(method=b"HEAD"), PATIENT)
            assert (head.status, head.header(b"content-length"), await head.read(0)) == (200, b"7", b"")
            incoming = await client.send(get(b"/x"), PATIENT)
            assert incoming.reused
            assert await incoming.read(100) == b"GET /x "
            refused = await client.send(get(b"/\x01"), PATIENT)
            assert refused.status == 400
            assert re.match(rb"malformed head", await refused.read(100))

    run(main())


def test_the_bound_on_an_answer(run: Run) -> None:
    async def main() -> None:
        async with origin(answering(OK)) as (_, port), client_of(port) as client:
            with pytest.raises(BadResponse, match=r"^the answer is larger than 1 bytes$"):
                await (await client.send(get(), PATIENT)).read(1)

    run(main())
