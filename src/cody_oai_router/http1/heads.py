"""Message heads, from bytes: httptools (llhttp) judges the syntax, and what it lets pass is judged here.

A head is handed over whole, up to and with its empty line, so the parser never sees a body: offers to upgrade are
ignored without losing a byte, and a body is framed in one place (`framing.py`).
"""

import re
from typing import Final, NamedTuple

import httptools

from cody_oai_router.http1.messages import Request

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What nearly every request begins with; whatever this does not match is judged step by step, for the reason in words.
_PLAIN_LINE: Final = re.compile(rb"(GET|POST) (/[\w/.~%?=&:@+,;-]*) HTTP/1\.1\r\n")
# One object for each name that nearly every head has, instead of a new one for each stream that is open.
_NAMES: Final = {
    spelled: name
    for name in (
        b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control", b"connection",
        b"content-encoding", b"content-length", b"content-type", b"date", b"host", b"server", b"transfer-encoding",
        b"user-agent", b"vary",
    )
    for spelled in (name, name.title())
}  # fmt: skip
_REQUEST_FIELDS: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"})
_RESPONSE_FIELDS: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class Refusal(NamedTuple):
    """Why a message is not taken: the status to answer with, and the reason in words."""

    status: int
    reason: str


class ResponseHead:
    """The head of a response, with what it says about its body."""

    __slots__ = ("chunked", "headers", "keep_alive", "length", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], *, keep_alive: bool) -> None:
        self.status = status
        self.headers = headers
        self.keep_alive = keep_alive
        self.chunked = False
        self.length: int | None = None


class _Fields(list[tuple[bytes, bytes]]):
    """The header lines, in order, as the parser calls them out (measured: cheaper than splitting them here)."""

    __slots__ = ()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.append((_NAMES.get(name) or name.lower(), value.rstrip(b" \t")))


def read_request_head(head: bytes, max_headers: int) -> Request | Refusal:
    """Read the head of a request; a Refusal says what is wrong with it."""
    plain = _PLAIN_LINE.match(head)
    line = (plain[1], plain[2], b"HTTP/1.1") if plain is not None else _read_request_line(head)
    if isinstance(line, Refusal):
        return line
    fields = _read_fields(httptools.HttpRequestParser, head, max_headers)
    if isinstance(fields, Refusal):
        return fields
    method, target, version = line
    request = Request(method.decode("ascii"), target.decode("ascii"), version[5:].decode("ascii"), fields)
    return _frame_request(request) or request


def read_response_head(head: bytes, max_headers: int) -> ResponseHead | Refusal:
    """Read the head of a response; a Refusal says what is wrong with it, and its status means nothing."""
    line = head[: head.index(b"\r\n")].split(b" ", 2)
    if line[0] not in {b"HTTP/1.1", b"HTTP/1.0"}:
        return Refusal(502, "it does not speak HTTP/1.1")
    fields = _read_fields(httptools.HttpResponseParser, head, max_headers)
    if isinstance(fields, Refusal):
        return fields
    if line[1][:1] == b"0":
        return Refusal(502, "its status is not one of HTTP")
    response = ResponseHead(int(line[1]), fields, keep_alive=line[0] == b"HTTP/1.1")
    return _frame_response(response) or response


def may_begin_request(data: bytes) -> bool:
    """Whether an unfinished head can still become one: TLS, garbage and bare line feeds are seen at once."""
    return data[:1].isupper() and data.count(b"\n") == data.count(b"\r\n")


def _read_request_line(head: bytes) -> tuple[bytes, bytes, bytes] | Refusal:
    line = head[: head.index(b"\r\n")].split(b" ")
    if len(line) != 3:  # noqa: PLR2004 - RFC 9112 §3
        return Refusal(400, "the request line is not 'METHOD target HTTP/1.1'")
    method, target, version = line
    return _judge_request_line(method, target, version) or (method, target, version)


def _judge_request_line(method: bytes, target: bytes, version: bytes) -> Refusal | None:
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        if version.startswith(b"HTTP/"):
            return Refusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        return Refusal(400, "the request line does not end in HTTP/1.1")
    if not _TOKEN.fullmatch(method):
        return Refusal(400, "the method is not a token")
    if method == b"CONNECT":
        return Refusal(400, "CONNECT is for proxies; this is not one")
    if not target.startswith(b"/") and not (target == b"*" and method == b"OPTIONS"):
        return Refusal(400, "the request target must be a path that begins with '/'")
    if b"#" in target or not target.isascii():
        return Refusal(400, "the request target contains a character that must be percent-encoded")
    return None


def _read_fields(
    parser_type: type[httptools.HttpRequestParser | httptools.HttpResponseParser], head: bytes, max_headers: int
) -> _Fields | Refusal:
    if head.count(b"\r\n") - 2 > max_headers:
        return Refusal(431, f"more than {max_headers} header lines")
    fields = _Fields()
    try:
        parser_type(fields).feed_data(head)
    except httptools.HttpParserUpgrade:
        return fields  # an offer, which we ignore
    except httptools.HttpParserInvalidMethodError:
        return Refusal(501, "the method is not known here")
    except httptools.HttpParserError as error:
        return Refusal(400, f"malformed head: {error}")
    return fields


def _frame_request(request: Request) -> Refusal | None:
    hosts = 0
    for name, value in [field for field in request.headers if field[0] in _REQUEST_FIELDS]:
        match name:
            case b"host":
                hosts += 1
            case b"connection":
                request.keep_alive = _keeps_alive(value, request.keep_alive)
            case b"expect":
                request.expect = value.lower() if request.version == "1.1" else None  # RFC 9110 §10.1.1
            case _:
                refusal = _read_framing(request, name, value)
                if refusal is not None:
                    return refusal
    if hosts > 1:
        return Refusal(400, "more than one Host header")
    if not hosts and request.version == "1.1":
        return Refusal(400, "the Host header is missing")
    if request.chunked and request.version == "1.0":
        return Refusal(400, "HTTP/1.0 has no Transfer-Encoding")
    return None


def _frame_response(response: ResponseHead) -> Refusal | None:
    for name, value in [field for field in response.headers if field[0] in _RESPONSE_FIELDS]:
        if name == b"connection":
            response.keep_alive = _keeps_alive(value, response.keep_alive)
            continue
        refusal = _read_framing(response, name, value)
        if refusal is not None:
            return refusal
    return None


def _read_framing(message: Request | ResponseHead, name: bytes, value: bytes) -> Refusal | None:
    if name == b"content-length":
        if not value.isdigit():
            return Refusal(400, "Content-Length is not a number")
        message.length = int(value)
        return None
    if value.lower() != b"chunked":
        return Refusal(501, "the only transfer coding known here is chunked")
    message.chunked = True
    return None


def _keeps_alive(value: bytes, default: bool) -> bool:  # noqa: FBT001 - the answer where the header says neither
    tokens = [token.strip() for token in value.lower().split(b",")]
    if b"close" in tokens:
        return False
    return default or b"keep-alive" in tokens
