"""Requests as raw bytes over real sockets: framing, order, limits and clocks."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cody_oai_router.http1 import Request, Response, Server, ServerExchange, ServerLimits
from cody_oai_router.http1.server_connection import ServerConnection
from http1.clocked import Clocked, ClockedLoop
from http1.peers import FakeApplication, Run, Wire, open_connections, origin, pulse, serving, wire

GET = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *more: bytes, target: bytes = b"/") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n%b" % (target, len(body), b"".join(more), body)


async def refused(port: int, data: bytes) -> tuple[int, str]:
    """Send what must be refused; the connection must be closed after the answer."""
    async with await wire(port) as peer:
        peer.send(data)
        answer = await peer.answer()
        assert answer.headers["Connection"] == "close"
        assert await peer.closed() == b""
        return answer.status, answer.body.decode()


def test_requests_follow_each_other_on_one_connection(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port), await wire(port) as peer:
            for request, body in [
                (GET, b"GET /1 "),
                (post(b"abc"), b"POST / abc"),
                (b"\r\n\r\n" + GET, b"GET /1 "),
                (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"OPTIONS * "),
            ]:
                peer.send(request)
                answer = await peer.answer()
                assert (answer.status, answer.body) == (200, body)
                assert "Connection" not in answer.headers
                assert answer.headers["Date"].endswith(" GMT")

    run(main())


def test_what_is_no_http_is_refused_at_once(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port):
            assert await refused(port, b"\x16\x03\x01\x02") == (400, "this is not HTTP/1.1")
            assert await refused(port, b"GET / HTTP/1.1\nHost: a\n\n") == (400, "this is not HTTP/1.1")
            assert await refused(port, b"GET / HTTP/1.1\r\n\r\n") == (400, "the Host header is missing")
            assert (await refused(port, b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"))[0] == 501
            assert (await refused(port, b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"))[0] == 505

    run(main())


def test_nothing_after_a_refused_request_is_read(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication()
        async with serving(application) as (_, port):
            smuggling = post(b"abc", b"Transfer-Encoding: chunked\r\n") + GET
            assert (await refused(port, smuggling))[0] == 400
        assert application.admitted == []

    run(main())


def test_heads_have_a_limit_in_bytes_and_in_lines(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication(), ServerLimits(head_bytes=100, headers=3)) as (_, port):
            long = b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 100
            assert await refused(port, long) == (431, "the head is larger than 100 bytes")
            assert await refused(port, long + b"\r\n\r\n") == (431, "the head is larger than 100 bytes")
            many = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 3
            assert await refused(port, many + b"\r\n") == (431, "more than 3 header lines")

    run(main())


def test_answers_come_in_the_order_of_the_requests_sent_ahead(run: Run) -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def gated(request: Request, exchange: ServerExchange) -> None:
        await gates[int(request.path[1:])].wait()
        exchange.respond(Response(200, [], request.path.encode() + bytes(request.body)))

    async def main() -> None:
        application = FakeApplication(handlers={f"/{n}": gated for n in range(3)})
        async with serving(application) as (_, port), await wire(port) as peer:
            peer.send(post(b"a", target=b"/0") + post(b"b" * 100_000, target=b"/1") + post(b"c", target=b"/2"))
            gates[2].set()
            gates[1].set()
            gates[0].set()
            bodies = [(await peer.answer()).body for _ in range(3)]
            assert bodies == [b"/0a", b"/1" + b"b" * 100_000, b"/2c"]

    run(main())


def test_only_one_request_of_a_connection_is_answered_at_a_time(run: Run) -> None:
    async def main() -> None:
        working = 0
        most = 0

        async def counted(_: Request, exchange: ServerExchange) -> None:
            nonlocal working, most
            working += 1
            most = max(most, working)
            await heart.beat()
            working -= 1
            exchange.respond(Response(200))

        application = FakeApplication(handlers={"/1": counted})
        async with serving(application) as (_, port), await wire(port) as peer, pulse() as heart:
            peer.send(GET * 50)
            for _ in range(50):
                await peer.answer()
        assert most == 1

    run(main())


def test_a_client_that_sends_far_ahead_is_held_back_and_served_in_the_end(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication()
        async with serving(application, ServerLimits(ahead_bytes=1000)) as (_, port), await wire(port) as peer:
            peer.send(post(b"x" * 500) * 2000)
            for _ in range(2000):
                assert len((await peer.answer()).body) == 507

    run(main())


def test_a_refusal_of_a_bodiless_request_keeps_the_connection(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication(refusals={"/1": Response(403, [], b"no")})
        async with serving(application) as (_, port), await wire(port) as peer:
            peer.send(GET * 3 + post(b"a", target=b"/2"))
            assert [(await peer.answer()).status for _ in range(4)] == [403, 403, 403, 200]

    run(main())


def test_a_refusal_before_a_body_closes(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication(refusals={"/": Response(403, [], b"no")})
        async with serving(application) as (_, port):
            assert await refused(port, post(b"abc") + GET) == (403, "no")
            assert await refused(port, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == (
                403,
                "no",
            )
        assert application.admitted == ["/", "/"]
        assert application.requests == []

    run(main())


def test_a_guard_that_raises_refuses(run: Run) -> None:
    class BrokenGuard(FakeApplication):
        def admit(self, request: Request) -> Response | None:
            raise KeyError(request.path)

    async def main() -> None:
        application = BrokenGuard()
        async with serving(application) as (_, port), await wire(port) as peer:
            peer.send(GET)
            assert (await peer.answer()).status == 500
        assert isinstance(application.failures[0], KeyError)

    run(main())


def test_continue_is_sent_only_for_a_body_that_will_be_read(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication(refusals={"/no": Response(403)})
        async with serving(application, ServerLimits(body_bytes=10)) as (_, port):
            expect = b"Expect: 100-continue\r\n"
            async with await wire(port) as peer:
                peer.send(post(b"abc", expect)[:-3])
                assert (await peer.head())[0] == 100
                peer.send(b"abc")
                assert (await peer.answer()).body == b"POST / abc"
                peer.send(post(b"abc", expect))
                assert (await peer.answer()).interim == []
                peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + expect + b"\r\n")
                assert (await peer.head())[0] == 100
                peer.send(b"0\r\n\r\n")
                assert (await peer.answer()).body == b"POST / "
            assert (await refused(port, post(b"abc", expect, target=b"/no")[:-3]))[0] == 403
            assert (await refused(port, post(b"a" * 11, expect)[:-11]))[0] == 413
            assert (await refused(port, post(b"abc", b"Expect: tea\r\n")))[0] == 417

    run(main())


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
def test_an_offer_to_upgrade_is_ignored_and_no_byte_is_lost(run: Run, upgrade: bytes) -> None:
    async def main() -> None:
        offer = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\nUpgrade: " + upgrade + b"\r\n"
        async with serving(FakeApplication()) as (_, port), await wire(port) as peer:
            peer.send(post(b"abc", offer) + GET)
            assert (await peer.answer()).body == b"POST / abc"
            assert (await peer.answer()).body == b"GET /1 "
            chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + offer + b"\r\n"
            peer.send(chunked + b"3\r\nabc\r\n0\r\n\r\n" + GET)
            assert (await peer.answer()).body == b"POST / abc"
            assert (await peer.answer()).body == b"GET /1 "

    run(main())


def test_http_1_0_is_closed_by_default_and_kept_when_asked(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port), await wire(port) as peer:
            peer.send(b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await peer.answer()).headers["Connection"] == "keep-alive"
            peer.send(b"GET /1 HTTP/1.0\r\n\r\n")
            answer = await peer.answer()
            assert (answer.headers["Connection"], answer.body) == ("close", b"GET /1 ")
            assert await peer.closed() == b""

    run(main())


def test_connection_close_is_honoured(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port), await wire(port) as peer:
            peer.send(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
            assert (await peer.answer()).headers["Connection"] == "close"
            assert await peer.closed() == b""

    run(main())


def test_a_slow_head_is_told_so(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication(), ServerLimits(head_time=0.05)) as (_, port):
            assert await refused(port, b"GET / HT") == (408, "the head did not arrive in time")

    run(main())


def test_bytes_one_by_one_do_not_extend_the_time_of_a_head(clocked: Clocked) -> None:
    def has_read(server: Server, data: bytes) -> bool:
        return any(isinstance(one, ServerConnection) and one._ahead == data for one in server._connections)

    async def main(loop: ClockedLoop) -> None:
        async with serving(FakeApplication(), ServerLimits(head_time=8)) as (server, port), await wire(port) as peer:
            answered = asyncio.ensure_future(peer.answer())
            begun = b""
            for piece in (b"GET / HTTP/1.1\r\nA: ", *[b"a"] * 5):
                peer.send(piece)
                begun += piece
                await loop.until(partial(has_read, server, begun))
                assert not answered.done()
                await loop.let_pass(1.5)
            assert (await answered).status == 408

    clocked(main)


@pytest.mark.parametrize(
    "begin", [post(b"abcd")[:-2], b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab"]
)
def test_a_body_that_falls_silent_is_told_so(run: Run, begin: bytes) -> None:
    async def main() -> None:
        async with serving(FakeApplication(), ServerLimits(body_silence=0.05)) as (_, port):
            assert await refused(port, begin) == (408, "the body did not arrive in time")

    run(main())


def test_an_idle_connection_expires_in_silence(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        async with serving(FakeApplication(), ServerLimits(keep_alive=8)) as (server, port):
            for requests in range(2):
                async with await wire(port) as peer:
                    for _ in range(requests):
                        await loop.let_pass(7)
                        peer.send(GET)
                        await peer.answer()
                    await loop.until(lambda: open_connections(server) == 1)
                    await loop.let_pass(7.9)
                    assert open_connections(server) == 1
                    await loop.let_pass(1.1)
                    assert await peer.closed() == b""

    clocked(main)


def test_no_clock_runs_while_a_request_is_answered(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        async def slow(_: Request, exchange: ServerExchange) -> None:
            await loop.let_pass(600)
            exchange.respond(Response(200))

        limits = ServerLimits(keep_alive=3, head_time=3, body_silence=3)
        async with serving(FakeApplication(handlers={"/1": slow}), limits) as (_, port), await wire(port) as peer:
            peer.send(GET)
            assert (await peer.answer()).status == 200

    clocked(main)


def test_one_connection_too_many_is_told_so(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication(), ServerLimits(connections=1)) as (_, port), await wire(port) as peer:
            peer.send(GET)
            await peer.answer()
            assert await refused(port, GET) == (503, "too many connections")
            peer.send(GET)
            assert (await peer.answer()).status == 200

    run(main())


def test_a_connection_accepted_while_stopping_is_closed(run: Run) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            assert await reader.read() == b""
            closed.set()

        async with serving(FakeApplication()) as (server, _), origin(script) as (_, elsewhere):
            server.stop()
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: ServerConnection(server), "127.0.0.1", elsewhere)
            await closed.wait()
            assert open_connections(server) == 0

    run(main())


def test_a_client_that_leaves_cancels_the_handler(run: Run) -> None:
    async def main() -> None:
        began, cancelled = asyncio.Event(), asyncio.Event()

        async def endless(_: Request, __: ServerExchange) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async with serving(FakeApplication(handlers={"/1": endless})) as (_, port):
            leaves: list[Callable[[Wire], None]] = [
                lambda peer: peer.writer.transport.abort(),
                lambda peer: peer.writer.write_eof(),
            ]
            for leave in leaves:
                async with await wire(port) as peer:
                    peer.send(GET)
                    await began.wait()
                    leave(peer)
                    assert await cancelled.wait()
                began.clear()
                cancelled.clear()

    run(main())


SESSION = (
    b"\r\n"
    + GET
    + post(b"hello")
    + b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n"
    + post(b"up", b"Connection: upgrade\r\nUpgrade: h2c\r\n")
    + b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n"
    + b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
)
ANSWERS = [b"GET /1 ", b"POST / hello", b"POST /c abcde", b"POST / up"]


async def play_session(peer: Wire) -> list[bytes]:
    """Gives the bodies of all answers, of which one has only a head."""
    bodies = [(await peer.answer()).body for _ in ANSWERS]
    assert (await peer.answer(head_only=True)).headers["Content-Length"] == "8"
    bodies.append((await peer.answer()).body)
    assert await peer.closed() == b""
    return bodies


def test_a_session_sent_byte_by_byte(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port), await wire(port) as peer, pulse() as heart:
            played = asyncio.ensure_future(play_session(peer))
            for at in range(len(SESSION)):
                peer.send(SESSION[at : at + 1])
                await heart.beat()
            assert await played == [*ANSWERS, b"GET /last "]

    run(main())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(1, len(SESSION) - 1), max_size=6))
def test_a_session_cut_anywhere(run: Run, places: list[int]) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port), await wire(port) as peer, pulse() as heart:
            played = asyncio.ensure_future(play_session(peer))
            cuts = sorted(places)
            for start, end in zip([0, *cuts], [*cuts, len(SESSION)], strict=True):
                peer.send(SESSION[start:end])
                await heart.beat()
            assert await played == [*ANSWERS, b"GET /last "]

    run(main())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [GET, post(b"abc"), b"\r\n", b"GET / HTTP/1.1\r\n", b"Host: a\r\n\r\n", SESSION[29:90], b"0\r\n"]
            ),
        ),
        max_size=6,
    ).map(b"".join)
)
def test_garbage_is_answered_or_ends_the_connection(run: Run, data: bytes) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port):
            async with await wire(port) as peer:
                peer.send(data)
                peer.writer.write_eof()
                received = await peer.closed()
                assert received == b"" or received.startswith(b"HTTP/1.1 ")
            async with await wire(port) as peer:
                peer.send(GET)
                assert (await peer.answer()).status == 200

    run(main())
