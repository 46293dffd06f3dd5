"""Answers as bytes on the wire, and what a handler learns of its client."""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable

import pytest

from cody_oai_router.http1 import Request, Response, ServerExchange, ServerLimits
from http1.peers import FakeApplication, Handler, Run, pulse, serving, wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
EVENTS = [(b"Content-Type", b"text/event-stream")]


def answered_by(handler: Handler) -> FakeApplication:
    return FakeApplication(handlers={"/": handler})


def without_date(data: bytes) -> bytes:
    return b"\r\n".join(line for line in data.split(b"\r\n") if not line.startswith(b"Date: "))


@pytest.mark.parametrize(
    ("request_line", "close", "wanted"),
    [
        (
            b"GET / HTTP/1.1",
            b"Connection: close\r\n",
            (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                b"2\r\nab\r\n1\r\nc\r\n1\r\nd\r\n0\r\n\r\n"
            ),
        ),
        (
            b"GET / HTTP/1.0",
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nabcd",
        ),
        (
            b"HEAD / HTTP/1.1",
            b"Connection: close\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        ),
    ],
)
def test_a_stream_on_the_wire(run: Run, request_line: bytes, close: bytes, wanted: bytes) -> None:
    async def stream(_: Request, exchange: ServerExchange) -> None:
        exchange.start(200, EVENTS)
        exchange.write(b"ab")
        exchange.write(b"")
        exchange.write(b"c")
        exchange.finish(b"d")

    async def main() -> None:
        async with serving(answered_by(stream)) as (_, port), await wire(port) as peer:
            peer.send(request_line + b"\r\nHost: a\r\n" + close + b"\r\n")
            assert without_date(await peer.closed()) == wanted

    run(main())


@pytest.mark.parametrize(
    ("method", "status", "wanted"),
    [
        (b"GET", 200, b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz"),
        (b"HEAD", 200, b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"),
        (b"GET", 204, b"HTTP/1.1 204 No Content\r\nA: b\r\nConnection: close\r\n\r\n"),
        (b"GET", 304, b"HTTP/1.1 304 Not Modified\r\nA: b\r\nConnection: close\r\n\r\n"),
        (b"GET", 599, b"HTTP/1.1 599 \r\nA: b\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz"),
    ],
)
def test_a_whole_answer_on_the_wire(run: Run, method: bytes, status: int, wanted: bytes) -> None:
    async def whole(_: Request, exchange: ServerExchange) -> None:
        exchange.respond(Response(status, [(b"A", b"b")], b"xyz"))

    async def main() -> None:
        async with serving(answered_by(whole)) as (_, port), await wire(port) as peer:
            peer.send(method + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert without_date(await peer.closed()) == wanted

    run(main())


def test_the_head_waits_for_the_first_data_and_leaves_with_it(run: Run) -> None:
    async def main() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def stream(_: Request, exchange: ServerExchange) -> None:
            exchange.start(200, EVENTS)
            begun.set()
            await go.wait()
            exchange.write(b"first")
            await asyncio.Event().wait()

        async with serving(answered_by(stream)) as (_, port), pulse() as heart:
            loop = asyncio.get_running_loop()
            with socket.create_connection(("127.0.0.1", port)) as peer:
                peer.setblocking(False)
                await loop.sock_sendall(peer, GET)
                received = asyncio.ensure_future(loop.sock_recv(peer, 65536))
                await begun.wait()
                await heart.beat(times=5)
                assert not received.done()
                go.set()
                data = await received
                assert data.startswith(b"HTTP/1.1 200 OK\r\n")
                assert data.endswith(b"\r\n\r\n5\r\nfirst\r\n")

    run(main())


def test_flush_sends_the_head_alone(run: Run) -> None:
    async def main() -> None:
        seen = asyncio.Event()

        async def stream(_: Request, exchange: ServerExchange) -> None:
            exchange.start(200, EVENTS)
            exchange.flush()
            exchange.flush()
            await seen.wait()
            exchange.finish()

        async with serving(answered_by(stream)) as (_, port), await wire(port) as peer:
            peer.send(GET)
            assert (await peer.head())[0] == 200
            seen.set()
            assert [piece async for piece in peer.chunks()] == []
            peer.send(GET)
            assert (await peer.answer()).body == b""

    run(main())


def test_an_aborted_stream_is_delivered_and_then_seen_as_broken(run: Run) -> None:
    async def stream(_: Request, exchange: ServerExchange) -> None:
        exchange.start(200, EVENTS)
        exchange.write(b"x" * 1_000_000)
        exchange.abort(b"error")

    async def main() -> None:
        async with serving(answered_by(stream)) as (_, port), await wire(port) as peer:
            peer.send(GET + GET)
            await peer.head()
            data = await peer.closed()
            assert data == b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n5\r\nerror\r\n"

    run(main())


def test_a_handler_that_fails_before_its_answer_gives_a_500(run: Run) -> None:
    async def broken(_: Request, __: ServerExchange) -> None:
        raise KeyError("x")

    async def mute(_: Request, __: ServerExchange) -> None:
        return

    async def main() -> None:
        for handler, kind in ((broken, KeyError), (mute, type(None))):
            application = answered_by(handler)
            async with serving(application) as (_, port), await wire(port) as peer:
                peer.send(GET * 2)
                assert [(await peer.answer()).status for _ in range(2)] == [500, 500]
            assert [type(failure) for failure in application.failures] == [kind, kind]

    run(main())


def test_a_handler_that_fails_in_its_stream_breaks_it(run: Run) -> None:
    async def broken(_: Request, exchange: ServerExchange) -> None:
        exchange.start(200, EVENTS)
        exchange.write(b"x")
        raise KeyError("x")

    async def main() -> None:
        application = answered_by(broken)
        async with serving(application) as (_, port), await wire(port) as peer:
            peer.send(GET)
            await peer.head()
            assert await peer.closed() == b"1\r\nx\r\n"
        assert isinstance(application.failures[0], KeyError)

    run(main())


def test_a_handler_that_is_cancelled_from_within_closes(run: Run) -> None:
    async def cancelled(_: Request, __: ServerExchange) -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        async with serving(answered_by(cancelled)) as (_, port), await wire(port) as peer:
            peer.send(GET)
            with contextlib.suppress(ConnectionResetError):  # either end will do
                assert await peer.closed() == b""

    run(main())


def test_an_application_that_cannot_even_fail_closes(run: Run) -> None:
    class Hopeless(FakeApplication):
        def failed(self, request: Request, error: BaseException | None) -> Response:
            return Response(500, [(b"A", b"b\r\nSet-Cookie: evil")], request.path.encode() + repr(error).encode())

    async def main() -> None:
        application = Hopeless(handlers={"/": split})
        reported: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
        async with serving(application) as (_, port), await wire(port) as peer:
            peer.send(GET)
            with contextlib.suppress(ConnectionResetError):  # either end will do
                assert await peer.closed() == b""

    async def split(_: Request, exchange: ServerExchange) -> None:
        exchange.respond(Response(200, [(b"A", b"b\r\nSet-Cookie: evil")]))

    run(main())


def test_misuse_is_an_error(run: Run) -> None:
    async def main() -> None:
        messages: list[str] = []

        async def wrong(_: Request, exchange: ServerExchange) -> None:
            misuses: list[Callable[[], None]] = [
                lambda: exchange.write(b"x"),
                lambda: exchange.start(200, [(b"A", b"b\nc")]),
                lambda: exchange.respond(Response(200)),
                lambda: exchange.respond(Response(200)),
                lambda: exchange.start(200, []),
            ]
            for misuse in misuses:
                try:
                    misuse()
                except (RuntimeError, ValueError) as error:
                    messages.append(str(error))
            exchange.write(b"late")
            exchange.finish(b"late")
            exchange.abort(b"late")

        async with serving(answered_by(wrong)) as (_, port), await wire(port) as peer:
            peer.send(GET * 2)
            assert [(await peer.answer()).body for _ in range(2)] == [b"", b""]
        assert messages[:4] == [
            "the answer has not begun: call start first",
            "a header name or value contains a line break",
            "the answer has already begun",
            "the answer has already begun",
        ]

    run(main())


def test_a_client_that_leaves_is_told_once_and_the_rest_does_nothing(run: Run) -> None:
    async def main() -> None:
        left: list[str] = []
        began, gone, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def stream(_: Request, exchange: ServerExchange) -> None:
            def on_gone() -> None:
                left.append("gone")
                gone.set()

            exchange.on_gone = on_gone
            exchange.start(200, EVENTS)
            exchange.write(b"x")
            began.set()
            await gone.wait()
            assert exchange.gone
            assert exchange.ended
            exchange.write(b"y")
            exchange.flush()
            exchange.respond(Response(200))
            exchange.start(200, [])
            exchange.finish()
            exchange.abort()
            done.set()

        application = answered_by(stream)
        async with serving(application) as (_, port):
            async with await wire(port) as peer:
                peer.send(GET)
                await began.wait()
            await done.wait()
        assert left == ["gone"]
        assert application.failures == []

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="the layout of SO_LINGER is another one there")
def test_a_client_that_resets_before_a_large_write_is_no_failure(run: Run) -> None:
    async def main() -> None:
        gone = asyncio.Event()
        peer = socket.socket()

        async def stream(_: Request, exchange: ServerExchange) -> None:
            exchange.on_gone = gone.set
            exchange.start(200, EVENTS)
            peer.close()  # so that the write is the first to learn of it
            exchange.write(b"x" * 500_000)
            exchange.write(b"y")
            exchange.flush()
            await gone.wait()

        application = answered_by(stream)
        async with serving(application) as (_, port):
            peer.connect(("127.0.0.1", port))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with RST
            peer.sendall(GET)
            await gone.wait()
        assert application.failures == []

    run(main())


def test_a_slow_reader_pauses_and_resumes_the_writer(run: Run) -> None:
    async def main() -> None:
        happened: list[str] = []
        paused = asyncio.Event()

        async def stream(_: Request, exchange: ServerExchange) -> None:
            resumed = asyncio.Event()

            def on_pause() -> None:
                happened.append("pause")
                paused.set()

            def on_resume() -> None:
                happened.append("resume")
                resumed.set()

            exchange.on_pause, exchange.on_resume = on_pause, on_resume
            exchange.start(200, EVENTS)
            while not exchange.paused:  # without a pause in which somebody could read
                exchange.write(b"x" * 65536)
            await resumed.wait()
            happened.append(f"paused: {exchange.paused}")
            exchange.finish(b"end")

        async with serving(answered_by(stream)) as (_, port), await wire(port) as peer:
            peer.send(GET)
            await paused.wait()
            assert (await peer.answer()).body.endswith(b"xend")
        assert happened == ["pause", "resume", "paused: False"]

    run(main())


def test_a_reader_that_takes_nothing_is_given_up(run: Run) -> None:
    async def main() -> None:
        gone = asyncio.Event()
        given_up: list[bool] = []

        async def stream(_: Request, exchange: ServerExchange) -> None:
            def leave() -> None:
                given_up.append(exchange.gone)
                gone.set()

            exchange.on_gone = leave
            exchange.start(200, EVENTS)
            # More than the system's buffers hold: on Windows each write pauses until they have taken it.
            exchange.write(b"x" * 64 * 1024 * 1024)
            await gone.wait()

        async with serving(answered_by(stream), ServerLimits(write_stall=0.1)) as (_, port):
            with socket.create_connection(("127.0.0.1", port)) as peer:
                peer.sendall(GET)
                await gone.wait()
                assert given_up == [True]

    run(main())


class Closing(asyncio.Transport):
    """A transport that is on its way out."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[bytes | bytearray | memoryview] = []

    def is_closing(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.taken.append(data)


def test_nothing_is_written_to_a_connection_that_closes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written = asyncio.Event()
    transport = Closing()

    async def stream(_: Request, exchange: ServerExchange) -> None:
        exchange.start(200, EVENTS)
        exchange.write(b"ab")
        monkeypatch.setattr(exchange, "_transport", transport)
        exchange.write(b"cd")
        exchange.write(b"e" * 100_000)
        written.set()

    async def main() -> None:
        async with serving(answered_by(stream)) as (_, port), await wire(port) as peer:
            peer.send(GET)
            await written.wait()
        assert transport.taken == []

    run(main())
