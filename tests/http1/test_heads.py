"""What a head must be, row by row; the reasons are compared word for word because users read them."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.http1.heads import (
    Refusal,
    ResponseHead,
    may_begin_request,
    read_request_head,
    read_response_head,
)
from cody_oai_router.http1.messages import Request

HOST = b"Host: a\r\n"


def request(line: bytes = b"POST / HTTP/1.1", fields: bytes = HOST) -> Request | Refusal:
    return read_request_head(line + b"\r\n" + fields + b"\r\n", 100)


@pytest.mark.parametrize(
    ("line", "fields", "status", "reason"),
    [
        (b"GET /", HOST, 400, "the request line is not 'METHOD target HTTP/1.1'"),
        (b"GET  / HTTP/1.1", HOST, 400, "the request line is not 'METHOD target HTTP/1.1'"),
        (b"GET /a b HTTP/1.1", HOST, 400, "the request line is not 'METHOD target HTTP/1.1'"),
        (b"GET / HTTP/2.0", HOST, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here"),
        (b"GET / HTTP/1.2", HOST, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here"),
        (b"GET / HTTP/0.9", HOST, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here"),
        (b"SOURCE / ICE/1.0", HOST, 400, "the request line does not end in HTTP/1.1"),
        (b"GET / RTSP/1.0", HOST, 400, "the request line does not end in HTTP/1.1"),
        (b"G\xe4T / HTTP/1.1", HOST, 400, "the method is not a token"),
        (b"BREW / HTTP/1.1", HOST, 501, "the method is not known here"),
        (b"get / HTTP/1.1", HOST, 501, "the method is not known here"),
        (b"CONNECT a:443 HTTP/1.1", HOST, 400, "CONNECT is for proxies; this is not one"),
        (b"GET http://a/ HTTP/1.1", HOST, 400, "the request target must be a path that begins with '/'"),
        (b"GET * HTTP/1.1", HOST, 400, "the request target must be a path that begins with '/'"),
        (b"GET /#x HTTP/1.1", HOST, 400, "the request target contains a character that must be percent-encoded"),
        (b"GET /\xff HTTP/1.1", HOST, 400, "the request target contains a character that must be percent-encoded"),
        (b"GET /\x7f HTTP/1.1", HOST, 400, None),
        (b"GET /\t HTTP/1.1", HOST, 400, None),
        (b"GET / HTTP/1.1", b"", 400, "the Host header is missing"),
        (b"GET / HTTP/1.1", HOST + HOST, 400, "more than one Host header"),
        (b"GET / HTTP/1.0", HOST + b"host: b\r\n", 400, "more than one Host header"),
        (b"GET / HTTP/1.1", HOST + b"A: b\r\n c\r\n", 400, None),
        (b"GET / HTTP/1.1", b" A: b\r\n" + HOST, 400, None),
        (b"GET / HTTP/1.1", HOST + b"A : b\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b"A\xe4: b\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b": b\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b"no colon\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b"A: b\rc\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b"A: b\nB: c\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b"A: b\x00\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b"A: b\x01\r\n", 400, None),
        (b"GET / HTTP/1.1", HOST + b"A: b\x7f\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: 3, 3\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: +3\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: -3\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: 0x3\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: 1_0\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length:\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: 99999999999999999999\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: gzip, chunked\r\n", 501, None),
        (b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: xchunked\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked, gzip\r\n", 400, None),
        (b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: \x0bchunked\r\n", 400, None),
        (b"POST / HTTP/1.0", HOST + b"Transfer-Encoding: chunked\r\n", 400, "HTTP/1.0 has no Transfer-Encoding"),
        (b"GET / HTTP/1.1", HOST + b"A: b\r\n" * 100, 431, "more than 100 header lines"),
    ],
)
def test_what_is_refused(line: bytes, fields: bytes, status: int, reason: str | None) -> None:
    refusal = request(line, fields)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    assert reason is None or refusal.reason == reason


def test_what_a_request_says() -> None:
    taken = request(b"POST /v1/models/a%2Fb?x=1 HTTP/1.1", b"Host:  a:80 \r\nX-Y: \t1, 2 \r\nx-y: 3\r\nEmpty:\r\n")
    assert isinstance(taken, Request)
    assert (taken.method, taken.target, taken.path, taken.version) == (
        "POST",
        "/v1/models/a%2Fb?x=1",
        "/v1/models/a%2Fb",
        "1.1",
    )
    assert taken.headers == [(b"host", b"a:80"), (b"x-y", b"1, 2"), (b"x-y", b"3"), (b"empty", b"")]
    assert taken.header(b"x-y") == b"1, 2"
    assert taken.header(b"x") is None


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x, CLOSE\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n", True),
        (b"1.1", b"Connection: upgrade\r\nUpgrade: websocket\r\n", True),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_whether_the_connection_is_kept(version: bytes, connection: bytes, kept: bool) -> None:
    taken = request(b"GET / HTTP/" + version, HOST + connection)
    assert isinstance(taken, Request)
    assert taken.keep_alive is kept


@pytest.mark.parametrize(
    ("fields", "length", "chunked", "expect"),
    [
        (b"", 0, False, None),
        (b"Content-Length: 0012\r\n", 12, False, None),
        (b"Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n", 0, True, b"100-continue"),
    ],
)
def test_how_the_body_is_framed(fields: bytes, length: int, chunked: bool, expect: bytes | None) -> None:
    taken = request(b"POST / HTTP/1.1", HOST + fields)
    assert isinstance(taken, Request)
    assert (taken.length, taken.chunked, taken.expect) == (length, chunked, expect)


def test_every_line_of_a_name_that_comes_again_is_kept_in_its_place() -> None:
    fields = b"Cookie: a\r\nHost: h\r\nX-Own: 1 \r\ncookie: b\r\nCookie: a\r\nX-Empty:\r\n"
    request = read_request_head(b"GET / HTTP/1.1\r\n" + fields + b"\r\n", 100)
    assert isinstance(request, Request)
    assert request.headers == [
        (b"cookie", b"a"),
        (b"host", b"h"),
        (b"x-own", b"1"),
        (b"cookie", b"b"),
        (b"cookie", b"a"),
        (b"x-empty", b""),
    ]


def test_an_expectation_of_http_1_0_is_ignored() -> None:
    taken = request(b"POST / HTTP/1.0", HOST + b"Expect: 100-continue\r\n")
    assert isinstance(taken, Request)
    assert taken.expect is None


def test_options_may_ask_for_everything() -> None:
    assert isinstance(request(b"OPTIONS * HTTP/1.1"), Request)


@pytest.mark.parametrize(
    ("data", "possible"),
    [
        (b"G", True),
        (b"GET / HTTP/1.1\r\nHost: a\r", True),
        (b"GET / HTTP/1.1\nHost: a\n\n", False),
        (b"\x16\x03\x01\x02\x00", False),
        (b"get /", False),
        (b"{}", False),
    ],
)
def test_what_can_still_become_a_request(data: bytes, possible: bool) -> None:
    assert may_begin_request(data) is possible


def response(head: bytes) -> ResponseHead | Refusal:
    return read_response_head(head, 100)


@pytest.mark.parametrize(
    ("head", "status", "chunked", "length", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, False, None, True),
        (b"HTTP/1.1 200 \r\n\r\n", 200, False, None, True),
        (b"HTTP/1.1 200\r\n\r\n", 200, False, None, True),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n", 404, False, 5, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", 200, True, None, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", 200, False, 5, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", 200, False, 5, True),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 101, False, None, True),
    ],
)
def test_what_a_response_says(head: bytes, status: int, chunked: bool, length: int | None, kept: bool) -> None:
    taken = response(head)
    assert isinstance(taken, ResponseHead)
    assert (taken.status, taken.chunked, taken.length, taken.keep_alive) == (status, chunked, length, kept)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    ],
)
def test_which_responses_are_refused(head: bytes) -> None:
    assert isinstance(response(head), Refusal)


NAMES = st.text("abcXYZ-_09!#$%&'*+.^`|~", min_size=1).filter(
    lambda name: name.lower() not in {"host", "connection", "expect", "content-length", "transfer-encoding", "upgrade"}
)
VALUES = st.text(string.ascii_letters + string.digits + " !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~\t")


@given(st.lists(st.tuples(NAMES, VALUES), max_size=20))
def test_all_that_is_legal_is_read_as_it_is(fields: list[tuple[str, str]]) -> None:
    block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    taken = request(b"GET / HTTP/1.1", HOST + block)
    assert isinstance(taken, Request)
    assert taken.headers[1:] == [(name.lower().encode(), value.strip(" \t").encode()) for name, value in fields]


@given(st.binary())
def test_garbage_is_refused_or_read_but_never_raises(data: bytes) -> None:
    head = re.sub(rb"\r\n\r\n", b"", data) + b"\r\n\r\n"
    assert isinstance(read_request_head(head, 10), (Request, Refusal))
    assert isinstance(read_request_head(b"GET / HTTP/1.1\r\n" + head, 10), (Request, Refusal))
    assert isinstance(read_response_head(head, 10), (ResponseHead, Refusal))
    assert isinstance(read_response_head(b"HTTP/1.1 200 OK\r\n" + head, 10), (ResponseHead, Refusal))
    assert isinstance(read_response_head(b"HTTP/1.1 " + head, 10), (ResponseHead, Refusal))
