"""Answers as raw bytes, cut anywhere, and how they reach their reader."""

import asyncio
import gzip
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cody_oai_router.http1 import (
    BadResponse,
    ClientError,
    ClientLimits,
    Clocks,
    ConnectionLost,
    Incoming,
    TimedOut,
)
from http1.clocked import Clocked, ClockedLoop
from http1.peers import (
    PATIENT,
    FakeSink,
    Run,
    Script,
    answering,
    client_of,
    closing_after,
    get,
    origin,
    pulse,
    request_head,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def received(
    answer: bytes, limits: ClientLimits | None = None, method: bytes = b"GET"
) -> tuple[Incoming, bytes, bool]:
    """The answer of an origin that closes after these bytes."""
    async with origin(closing_after(answer)) as (_, port), client_of(port, limits) as client:
        incoming = await client.send(get(method=method), PATIENT)
        sink = FakeSink()
        incoming.attach(sink)
        delimited = await sink.end
        return incoming, sink.body, delimited


@pytest.mark.parametrize(
    ("answer", "status", "body", "delimited"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", 200, b"hello", True),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", 200, b"hello", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", 200, b"", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"", True),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + CHUNKED + b"0\r\n\r\n",
            200,
            b"",
            True,
        ),
        (b"HTTP/1.1 200\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(b"hello", mtime=0), 200, b"hello", False),
        (b"HTTP/1.1 200\r\nContent-Encoding: deflate\r\n\r\n" + zlib.compress(b"hello"), 200, b"hello", False),
    ],
)
def test_where_a_body_ends(run: Run, answer: bytes, status: int, body: bytes, delimited: bool) -> None:
    async def main() -> None:
        incoming, got, was_delimited = await received(answer)
        assert (incoming.status, got, was_delimited) == (status, body, delimited)

    run(main())


def test_the_answer_to_head_has_no_body(run: Run) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\nX-Y: 1\r\nx-y: 2\r\n\r\n"
        incoming, got, delimited = await received(answer, method=b"HEAD")
        assert (got, delimited, incoming.header(b"x-y"), incoming.header(b"z")) == (b"", True, b"1", None)

    run(main())


TOO_LONG = b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", ConnectionLost, "closed the connection in the middle of"),
        (CHUNKED + b"5\r\nhello\r\n", ConnectionLost, "closed the connection in the middle of its answer"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", ConnectionLost, "closed the connection in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nCont", ConnectionLost, "closed the connection before it answered"),
        (b"SSH-2.0-OpenSSH\r\n", BadResponse, "it does not speak HTTP/1.1"),
        (b"HTTP/2 200\r\n\r\n", BadResponse, "it does not speak HTTP/1.1"),
        (
            b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            BadResponse,
            "it switches to a protocol that was not",
        ),
        (b"HTTP/1.1 200 OK\r\nA\r\n\r\n", BadResponse, "malformed head: "),
        (TOO_LONG, BadResponse, "its head is larger than 100 bytes"),
        (TOO_LONG + b"\r\n\r\n", BadResponse, "its head is larger than 100 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 6 + b"\r\n", BadResponse, "more than 5 header lines"),
        (CHUNKED + b"x\r\n", BadResponse, "a chunk size is malformed"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n",
            BadResponse,
            "it is in a Content-Encoding that was not asked for",
        ),
        (b"HTTP/1.1 200\r\nContent-Encoding: gzip\r\n\r\nplain", BadResponse, "its compressed body is damaged"),
        (
            b"HTTP/1.1 200\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello", mtime=0)[:-4],
            BadResponse,
            "its compressed body is cut off",
        ),
        (
            b"HTTP/1.1 200\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 10_000_000, mtime=0),
            BadResponse,
            "it grows beyond 1000 bytes when decompressed",
        ),
    ],
)
def test_what_is_no_answer(run: Run, answer: bytes, error: type[ClientError], words: str) -> None:
    async def main() -> None:
        with pytest.raises(error, match=words):
            await received(answer, ClientLimits(head_bytes=100, headers=5, decoded_bytes=1000))

    run(main())


SESSION = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
    b"9\r\ndata: 1\n\n\r\nA;x=y\r\ndata: two\n\r\n1\r\n\n\r\n0\r\nTrailer: x\r\n\r\n"
)
BODIES = [b"data: 1\n\ndata: two\n\n", b""]


def cut_at(places: list[int]) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cuts = sorted(places)
        await request_head(reader)
        async with pulse() as heart:
            for start, end in zip([0, *cuts], [*cuts, len(SESSION)], strict=True):
                writer.write(SESSION[start:end])
                await heart.beat()
        await request_head(reader)
        writer.write(CHUNKED + b"0\r\n\r\n")
        await reader.read()

    return script


async def read_session(script: Script) -> list[bytes]:
    """Gives the bodies of two answers that came over one connection."""
    async with origin(script) as (_, port), client_of(port) as client:
        incoming = await client.send(get(), PATIENT)
        assert incoming.header(b"content-type") == b"text/event-stream"
        first = await incoming.read(100)
        again = await client.send(get(), PATIENT)
        assert again.reused
        return [first, await again.read(100)]


def test_an_answer_byte_by_byte(run: Run) -> None:
    async def main() -> None:
        assert await read_session(cut_at(list(range(1, len(SESSION))))) == BODIES

    run(main())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(1, len(SESSION) - 1), max_size=6))
def test_an_answer_cut_anywhere(run: Run, places: list[int]) -> None:
    async def main() -> None:
        assert await read_session(cut_at(places)) == BODIES

    run(main())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [b"HTTP/1.1 200 OK\r\n", CHUNKED, b"\r\n", b"1\r\na\r\n", b"0\r\n\r\n", b"Content-Length: 1\r\n\r\n"]
            ),
            st.sampled_from([b"Content-Encoding: gzip\r\n", gzip.compress(b"a", mtime=0), b"HTTP/1.1 204 \r\n\r\n"]),
        ),
        max_size=6,
    ).map(b"".join)
)
def test_garbage_is_an_answer_or_a_documented_error(run: Run, data: bytes) -> None:
    async def main() -> None:
        try:
            incoming, _, __ = await received(data)
        except (BadResponse, ConnectionLost):
            return
        assert 200 <= incoming.status <= 999

    run(main())


def test_what_comes_in_one_read_is_pushed_in_one_piece(run: Run) -> None:
    async def main() -> None:
        answer = CHUNKED + b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
        async with origin(answering(answer)) as (_, port), client_of(port) as client:
            incoming = await client.send(get(), PATIENT)
            sink = FakeSink()
            incoming.attach(sink)
            assert await sink.end
            assert sink.pieces == [b"abc"]

    run(main())


def test_a_body_that_nobody_reads_is_held_within_a_bound_while_the_clocks_stand_still(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        sent = 0

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await request_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
            while sent < 50_000_000:
                writer.write(b"x" * 100_000)
                sent += 100_000
                await writer.drain()
            await reader.read()

        async with origin(endless) as (_, port), client_of(port) as client:
            incoming = await client.send(get(), Clocks(9, 30, 30))
            (connection,) = client._pool._live
            await loop.until(lambda: not connection._transport.is_reading())
            await loop.let_pass(600)
            assert sum(map(len, incoming._held)) < 64 * 1024 + 256 * 1024  # one read beyond the bound
            assert sent < 50_000_000
            assert len(await incoming.read(50_000_000)) == 50_000_000

    clocked(main)


def test_a_paused_reader_stops_the_origin(run: Run) -> None:
    async def main() -> None:
        async def bursts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
            await paused.wait()
            writer.write(b"b")
            said.set()
            await reader.read()

        paused, said = asyncio.Event(), asyncio.Event()
        async with origin(bursts) as (_, port), client_of(port) as client, pulse() as heart:
            incoming = await client.send(get(), PATIENT)
            sink = FakeSink()
            incoming.attach(sink)
            await sink.came.wait()
            incoming.pause()
            incoming.pause()
            paused.set()
            await said.wait()
            await heart.beat(times=5)
            assert sink.pieces == [b"a"]
            incoming.resume()
            incoming.resume()
            assert await sink.end
            assert sink.pieces == [b"a", b"b"]

    run(main())


def test_clocks_stand_still_in_a_pause_and_run_on_after_it(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        async with (
            origin(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")) as (_, port),
            client_of(port) as client,
        ):
            for clocks in (Clocks(9, 40, 4), Clocks(9, 40, 40, 4)):
                incoming = await client.send(get(), clocks)
                sink = FakeSink()
                incoming.attach(sink)
                await sink.grown(1)
                incoming.pause()
                await loop.let_pass(600)
                assert not sink.end.done()
                incoming.resume()
                await loop.let_pass(3.9)
                assert not sink.end.done()
                await loop.let_pass(1.1)  # a clock is late by at most a quarter
                assert isinstance(sink.end.exception(), TimedOut)

    clocked(main)


def test_a_connection_whose_reader_paused_at_the_end_is_used_again(run: Run) -> None:
    async def main() -> None:
        class Pausing(FakeSink):
            def on_data(self, data: bytes) -> None:
                incoming.pause()
                super().on_data(data)

        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        async with origin(answering(answer, answer)) as (fake, port), client_of(port) as client:
            incoming = await client.send(get(), PATIENT)
            sink = Pausing()
            incoming.attach(sink)
            assert await sink.end
            incoming.resume()
            assert await (await client.send(get(), PATIENT)).read(10) == b"ok"
            assert fake.connections == 1

    run(main())


@pytest.mark.parametrize("early", [True, False])
def test_a_cancelled_exchange_delivers_nothing_more_and_closes(run: Run, early: bool) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na" + (b"bcd" if early else b""))
            try:
                await reader.read()
            finally:
                gone.set()

        class Cancelling(FakeSink):
            def on_data(self, data: bytes) -> None:
                super().on_data(data)
                incoming.cancel()

        async with origin(script) as (_, port), client_of(port) as client:
            incoming = await client.send(get(), PATIENT)
            sink = Cancelling()
            incoming.attach(sink)
            await sink.came.wait()
            if not early:
                await gone.wait()
            incoming.cancel()
            incoming.pause()
            incoming.resume()
        await gone.wait()
        assert not sink.end.done()
        assert len(sink.pieces) == 1

    run(main())


def test_an_error_before_anybody_reads_is_kept_for_the_reader(run: Run) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(CHUNKED + b"1\r\na\r\n")
            writer.write_eof()
            assert await reader.read() == b""
            closed.set()

        async with origin(breaks_off) as (_, port), client_of(port) as client:
            incoming = await client.send(get(), PATIENT)
            await closed.wait()
            with pytest.raises(ConnectionLost):
                await incoming.read(10)

    run(main())
