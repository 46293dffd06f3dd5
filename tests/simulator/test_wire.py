"""Requests are read and answers framed as HTTP/1.1 says."""

import asyncio
import gzip
import zlib
from collections.abc import Sequence

import pytest

from cody_oai_router.simulator.steps import Hold, Ordinary, Send
from cody_oai_router.simulator.wire import (
    Answer,
    Framer,
    Received,
    event,
    json_answer,
    read_json,
    read_request,
    sniffed_answer,
    text_answer,
    wants_gzip,
    write_json,
)

NOW = 1700000000.0
DATE = b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
STREAM = Answer(200, (("A", "b"),), (Send(b"data: 1\n\n"), Send(b"data: 22\n\n")), framing="chunked")


def read(data: bytes) -> Received | None:
    async def feed() -> Received | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_request(reader)

    return asyncio.run(feed())


def request(*headers: tuple[str, str], version: str = "HTTP/1.1") -> Received:
    return Received("GET", "/", version, list(headers), b"")


def frame(answer: Answer, ordinary: Ordinary | None = None, asked: Received | None = None) -> bytes:
    framer = Framer(answer, ordinary or Ordinary(), request=asked or request(), now=NOW)
    pieces = [framer.piece(piece.data) for piece in framer.pieces() if isinstance(piece, Send)]
    return b"".join([*pieces, framer.end()])


def test_a_request_with_its_body() -> None:
    received = read(b'POST /a%2Fb?x=1 HTTP/1.1\r\nHost: h\r\nX-Two: a\r\nx-two:b \r\nContent-Length: 8\r\n\r\n{"a": 1}')
    assert received is not None
    assert (received.method, received.target, received.path, received.query) == ("POST", "/a%2Fb?x=1", "/a%2Fb", "x=1")
    assert received.headers == [("Host", "h"), ("X-Two", "a"), ("x-two", "b"), ("Content-Length", "8")]
    assert (received.header("x-Two"), received.header("none")) == ("a", None)
    assert (received.body, received.json) == (b'{"a": 1}', {"a": 1})


def test_a_chunked_request() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    received = read(head + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n")
    assert received is not None
    assert (received.body, received.json) == (b"abc0123456789", None)


def test_nothing_is_no_request() -> None:
    assert read(b"") is None


@pytest.mark.parametrize("data", [b"GET / HTT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"])
def test_half_a_request(data: bytes) -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        read(data)


@pytest.mark.parametrize("data", [b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(data)


@pytest.mark.parametrize(
    ("version", "headers", "keeps"),
    [
        ("HTTP/1.1", (), True),
        ("HTTP/1.1", (("connection", "Close"),), False),
        ("HTTP/1.0", (), False),
    ],
)
def test_keep_alive(version: str, headers: Sequence[tuple[str, str]], keeps: bool) -> None:
    assert request(*headers, version=version).keeps_alive() is keeps


@pytest.mark.parametrize(
    ("value", "wants"),
    [
        (None, False),
        ("identity", False),
        ("gzip", True),
        ("br, GZIP", True),
        ("gzip;q=0.5", True),
        ("gzip; q=0", False),
    ],
)
def test_gzip_only_when_asked(value: str | None, wants: bool) -> None:
    headers = [("accept-encoding", value)] if value else []
    assert wants_gzip(request(*headers)) is wants


def test_json_is_escaped_as_go_does() -> None:
    assert write_json({"a": "<b>&\u2028 é"}) == '{"a":"\\u003cb\\u003e\\u0026\\u2028 é"}'.encode()
    assert write_json({"a": [1]}, indent=4) == b'{\n    "a": [\n        1\n    ]\n}'


def test_half_a_surrogate_pair_becomes_a_replacement() -> None:
    assert write_json(read_json(b'"\\ud83d \\ud83d\\ude00"')) == '"\ufffd \U0001f600"'.encode()


@pytest.mark.parametrize("body", [b"", b"NaN", b"[1e999, Infinity]", b"\xff", b"[" * 100_000])
def test_what_go_does_not_read_as_json(body: bytes) -> None:
    assert read_json(body) is None


def test_an_event_is_a_name_and_its_data() -> None:
    assert event("completion", {"deltaText": "<"}) == b'event: completion\ndata: {"deltaText":"\\u003c"}\n\n'


def test_text_errors_end_in_a_newline() -> None:
    head = (
        b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
    )
    assert frame(text_answer(401, "no")) == head + DATE + b"Content-Length: 3\r\n\r\nno\n"


def test_whole_answers_have_a_length() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    assert frame(json_answer({"a": 1})) == head + DATE + b'Content-Length: 7\r\n\r\n{"a":1}'
    assert frame(sniffed_answer(b"5.6")).endswith(b"\r\n\r\n5.6")


def test_a_status_without_a_phrase() -> None:
    assert frame(Answer(599, (), ())).startswith(b"HTTP/1.1 599 Unknown\r\n")


def test_a_stream_is_chunked_one_chunk_a_piece() -> None:
    head = b"HTTP/1.1 200 OK\r\nA: b\r\n" + DATE + b"Transfer-Encoding: chunked\r\n\r\n"
    assert frame(STREAM) == head + b"9\r\ndata: 1\n\n\r\na\r\ndata: 22\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("asked", [request(), request(version="HTTP/1.0")])
def test_a_stream_may_end_with_the_connection(asked: Received) -> None:
    head = b"HTTP/1.1 200 OK\r\nA: b\r\n" + DATE + b"Connection: close\r\n\r\n"
    ordinary = Ordinary(framing="eof") if asked.version == "HTTP/1.1" else Ordinary()
    assert frame(STREAM, ordinary, asked) == head + b"data: 1\n\ndata: 22\n\n"


def test_a_stream_may_have_a_length() -> None:
    head = b"HTTP/1.1 200 OK\r\nA: b\r\n" + DATE + b"Content-Length: 19\r\n\r\n"
    assert frame(STREAM, Ordinary(framing="length")) == head + b"data: 1\n\ndata: 22\n\n"


def test_a_broken_answer_promises_its_whole_length() -> None:
    assert b"Content-Length: 19\r\n\r\ndata: 1\n\n" in frame(STREAM, Ordinary(framing="length", pieces=1))


@pytest.mark.parametrize(
    ("ordinary", "body"),
    [
        (Ordinary(end=False), b"9\r\ndata: 1\n\n\r\na\r\ndata: 22\n\n\r\n"),
        (Ordinary(pieces=1), b"9\r\ndata: 1\n\n\r\n"),
        (Ordinary(pieces=0), b""),
        (Ordinary(omitted=1), b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"),
        (Ordinary(omitted=2), b"0\r\n\r\n"),
        (Ordinary(newline="\r\n"), b"b\r\ndata: 1\r\n\r\n\r\nc\r\ndata: 22\r\n\r\n\r\n0\r\n\r\n"),
        (Ordinary(data_prefix="data:"), b"8\r\ndata:1\n\n\r\n9\r\ndata:22\n\n\r\n0\r\n\r\n"),
    ],
)
def test_mangled_streams(ordinary: Ordinary, body: bytes) -> None:
    assert frame(STREAM, ordinary).partition(b"\r\n\r\n")[2] == body


def test_only_streams_have_their_lines_rewritten() -> None:
    assert frame(text_answer(400, "data: x"), Ordinary(newline="\r\n", data_prefix="data:")).endswith(
        b"\n\r\ndata: x\n"
    )


def test_more_headers() -> None:
    assert b"A: b\r\nRetry-After: 512\r\n" in frame(STREAM, Ordinary(headers=(("Retry-After", "512"),)))


def test_the_head_may_go_out_alone() -> None:
    framer = Framer(STREAM, Ordinary(), request=request(), now=NOW)
    assert framer.piece(b"").endswith(b"\r\n\r\n")
    assert framer.piece(b"x") == b"1\r\nx\r\n"


def test_pauses_stay_in_place() -> None:
    framer = Framer(Answer(200, (), (Send(b"a"), Hold("h"))), Ordinary(), request=request(), now=NOW)
    assert framer.pieces() == [Send(b"a"), Hold("h")]


def test_a_compressed_answer_of_known_length() -> None:
    answer = frame(json_answer({"a": 1}), asked=request(("Accept-Encoding", "gzip")))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert gzip.decompress(body) == b'{"a":1}'
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Content-Encoding: gzip" in head


def test_a_compressed_stream_is_batched_by_eight() -> None:
    pieces = tuple(Send(b"data: %d\n\n" % number) for number in range(10))
    framer = Framer(Answer(200, (), pieces, framing="chunked"), Ordinary(gzip=True), request=request(), now=NOW)
    written = [framer.piece(piece.data) for piece in pieces]
    first = next(data for data in written[1:] if data)
    bodies = [data.partition(b"\r\n")[2][:-2] for data in (first, framer.end().removesuffix(b"0\r\n\r\n"))]
    begun = written[0].partition(b"\r\n\r\n")[2].partition(b"\r\n")[2][:-2]
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    assert written.index(first) == 7
    assert unzip.decompress(begun + bodies[0]) == b"".join(piece.data for piece in pieces[:8])
    assert unzip.decompress(bodies[1]) == b"".join(piece.data for piece in pieces[8:])
    assert unzip.eof
