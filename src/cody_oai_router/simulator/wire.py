"""HTTP/1.1 as bytes: read a request from a stream, frame an answer.

Written on its own, without the router's HTTP layer, so that neither can hide a mistake of the other.
"""

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from cody_oai_router.simulator.steps import FramingName, Hold, Ordinary, Send, Wait

MAX_HEAD = 1 << 20  # bytes; Go's default is the same (net/http DefaultMaxHeaderBytes)
BATCH = 8  # events that share one flush when a stream is compressed (contract §2.1, trap 35)

Piece = Send | Wait | Hold


@dataclass(eq=False, slots=True)
class Received:
    """A request as it arrived, and what became of its answer.

    `answered` is set once the last byte of the answer was handed to the system; `disconnected` once the client was seen
    to leave before that. Header names keep the case in which they came.
    """

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int = 0
    json: Any = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> str:
        """The target up to its query, not decoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, not decoded."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Returns the first value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def keeps_alive(self) -> bool:
        """Tells whether the client expects to send another request on this connection."""
        return self.version == "HTTP/1.1" and (self.header("Connection") or "").lower() != "close"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole ordinary answer before it is framed.

    After `deadline` seconds what is left is dropped: `late` is answered where nothing was sent yet, else `late_line`
    ends the body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: tuple[Piece, ...]
    framing: FramingName = "length"
    deadline: float | None = None
    late: "Answer | None" = None
    late_line: bytes = b""


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    """Reads one request with its body; None where the client closed the connection between requests.

    Raises `asyncio.IncompleteReadError` or `asyncio.LimitOverrunError` on half a request, `ValueError` on what is not
    HTTP/1.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    headers = [(name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]
    request = Received(method, target, version, headers, b"")
    request.body = await _read_body(reader, request)
    request.json = read_json(request.body)
    return request


def read_json(body: bytes) -> Any:
    """Decodes a body as JSON; None where it is none (or is `null`)."""
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def write_json(value: Any, *, indent: int | None = None) -> bytes:
    """Encodes as Go does: compact, UTF-8, with `<`, `>`, `&` and the two line separators escaped (contract §4.4).

    Half a surrogate pair, which JSON can write and UTF-8 cannot, becomes U+FFFD as in Go.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
    return _SURROGATES.sub("\ufffd", text.translate(_GO_ESCAPES)).encode()


def event(name: str, data: Mapping[str, object]) -> bytes:
    """Returns one frame of Cody's stream (contract §4.4)."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), write_json(data))


def text_answer(status: int, text: str) -> Answer:
    """Returns an error as Go's `http.Error` writes it: plain text that ends in a newline."""
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
    return Answer(status, headers, (Send(f"{text}\n".encode()),))


def json_answer(value: Any, status: int = 200) -> Answer:
    """Returns a whole JSON answer."""
    return Answer(status, (("Content-Type", "application/json"),), (Send(write_json(value)),))


def sniffed_answer(body: bytes) -> Answer:
    """Returns a body whose type nobody set: Go's server calls text and JSON alike plain text (contract §1.2)."""
    return Answer(200, (("Content-Type", "text/plain; charset=utf-8"),), (Send(body),))


def wants_gzip(request: Received) -> bool:
    """Tells whether the client accepts gzip: Go's middleware looks for the word, `gzip;q=0` refuses it."""
    codings = (coding.replace(" ", "").lower() for coding in (request.header("Accept-Encoding") or "").split(","))
    return any(
        name == "gzip" and quality != "q=0" for name, _, quality in (coding.partition(";") for coding in codings)
    )


class Framer:
    """Turns the pieces of one answer into the bytes of one HTTP message; the head goes out with the first piece."""

    def __init__(self, answer: Answer, ordinary: Ordinary, *, request: Received, now: float) -> None:
        self.started = False
        self.compressed = ordinary.gzip or wants_gzip(request)
        framing = ordinary.framing or answer.framing
        self.framing: FramingName = "eof" if request.version == "HTTP/1.0" and framing == "chunked" else framing
        self.keeps_alive = request.keeps_alive() and self.framing != "eof"
        self.now = now
        self._answer = answer
        self._ordinary = ordinary
        self._gzip = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
        self._unflushed = 0
        self._pieces = self._prepared()

    def pieces(self) -> Sequence[Piece]:
        """Returns the body's pieces, as many of them as are wanted."""
        whole = self._pieces[: len(self._pieces) - self._ordinary.omitted]
        return whole[: self._ordinary.pieces]

    def piece(self, data: bytes) -> bytes:
        """Frames the next bytes of the body; no bytes at all mean the head alone, where it is still to be sent."""
        return self._head() + self._frame(self._encode(data))

    def end(self) -> bytes:
        """Frames the end of the body, or nothing where the answer is to stay unfinished."""
        head = self._head()
        if not self._ordinary.end or self._ordinary.pieces is not None:
            return head
        rest = self._gzip.flush() if self.compressed and self.framing != "length" else b""
        return head + self._frame(rest) + (b"0\r\n\r\n" if self.framing == "chunked" else b"")

    def _prepared(self) -> Sequence[Piece]:
        """Returns the pieces as this framing needs them: a compressed body of known length goes out whole."""
        pieces = self._answer.body
        if self.compressed and self.framing == "length":
            pauses = [piece for piece in pieces if not isinstance(piece, Send)]
            return [*pauses, Send(gzip.compress(b"".join(p.data for p in pieces if isinstance(p, Send)), mtime=0))]
        return [self._rewritten(piece) if isinstance(piece, Send) else piece for piece in pieces]

    def _rewritten(self, piece: Send) -> Send:
        if self._answer.framing != "chunked":
            return piece
        text = piece.data.replace(b"data: ", self._ordinary.data_prefix.encode(), 1)
        return Send(text.replace(b"\n", self._ordinary.newline.encode()))

    def _encode(self, data: bytes) -> bytes:
        if not data or not self.compressed or self.framing == "length":
            return data
        self._unflushed = (self._unflushed + 1) % BATCH
        return self._gzip.compress(data) + (b"" if self._unflushed else self._gzip.flush(zlib.Z_SYNC_FLUSH))

    def _frame(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self.framing == "chunked" and data else data

    def _head(self) -> bytes:
        if self.started:
            return b""
        self.started = True
        headers = [*self._answer.headers, *self._ordinary.headers, ("Date", formatdate(self.now, usegmt=True))]
        if self.compressed:
            headers.append(("Content-Encoding", "gzip"))
        if self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
        elif self.framing == "length":
            headers.append(("Content-Length", str(sum(len(p.data) for p in self._pieces if isinstance(p, Send)))))
        if not self.keeps_alive:
            headers.append(("Connection", "close"))
        return head_bytes(self._answer.status, headers)


def head_bytes(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    """Returns a response head with exactly these headers, the empty line included."""
    phrase = _PHRASES.get(status, "Unknown")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_GO_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}

_SURROGATES = re.compile("[\ud800-\udfff]")


def _refuse(constant: str) -> None:
    """Refuses `NaN` and `Infinity`, which Python reads and Go does not."""
    raise ValueError(constant)


async def _read_body(reader: asyncio.StreamReader, request: Received) -> bytes:
    if (request.header("Transfer-Encoding") or "").lower() == "chunked":
        return await _read_chunks(reader)
    return await reader.readexactly(int(request.header("Content-Length") or "0"))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)
