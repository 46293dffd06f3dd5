"""The Sourcegraph of the benchmark: byte-exact answers from memory, at next to no cost, in the benchmark's own loop."""

import asyncio
import re
from collections.abc import Callable
from typing import Final, cast

from bench.work import MARK, REF, WORD, Wanted, cody_event, event, read_tag, reply_body

# Seconds between two batches of an answer that nobody can see before its end.
TIMED_STEP: Final = 0.005

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_LAST_CHUNK: Final = b"0\r\n\r\n"


def _json_answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


_REPLY: Final = _json_answer(reply_body())
_CODY_REPLY: Final = _json_answer(b'{"completion":"%b","stopReason":"end_turn"}' % (b"hello " * 150))
_LISTING: Final = _json_answer(
    b'{"object":"list","data":[{"id":"%b","object":"model","created":0,"owned_by":"openai"}]}' % REF.encode()
)
# What an instance says of itself, by a part of the address.
_PAGES: Final = {
    b"/.api/llm/models": _LISTING,
    b"/supported-models": _json_answer(b'{"models":null}'),
    b"/client-config": _json_answer(b'{"codyEnabled":true,"latestSupportedCompletionsStreamAPIVersion":9}'),
    b"/graphql": _json_answer(b'{"data":{}}'),
}


class Upstream:
    """Answers what the tags of requests ask for; `advance` lets a stream in lockstep go on."""

    def __init__(self) -> None:
        self.port = 0
        self.streams: dict[int, Callable[[], None]] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    def advance(self, number: int) -> None:
        """Sends the next batch of a stream."""
        step = self.streams.get(number)
        if step is not None:
            step()

    def close(self) -> None:
        """Stops listening; connections are the proxies' to close."""
        if self._server is not None:
            self._server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._held = bytearray()
        self._expected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._expected:
            self._expected = _whole_length(self._held)
        if self._expected and len(self._held) >= self._expected:
            request, self._held = self._held, bytearray()
            self._expected = 0
            self._answer(request)

    def _answer(self, request: bytearray) -> None:
        line = request.partition(b"\r\n")[0]
        page = next((page for part, page in _PAGES.items() if part in line), None)
        if page is not None:
            self._transport.write(page)
            return
        wanted = read_tag(request)
        codys = b"/completions/stream" in line
        if wanted.manner == "whole":
            self._transport.write(_CODY_REPLY if codys else _REPLY)
        else:
            write = cody_event if codys else event
            _Stream(self._upstream, self._transport, wanted, write).step()


class _Stream:
    """One answer in events."""

    def __init__(
        self, upstream: Upstream, transport: asyncio.Transport, wanted: Wanted, write: Callable[..., bytes]
    ) -> None:
        self._write = write
        self._upstream = upstream
        self._transport = transport
        self._wanted = wanted
        self._left = wanted.events
        self._head = _STREAM_HEAD
        if wanted.manner == "lockstep":
            upstream.streams[wanted.number] = self.step

    def step(self) -> None:
        """Writes the next batch: one chunk, one write."""
        count = min(self._wanted.batch, self._left)
        self._left -= count
        payload = self._write(WORD) * (count - 1) + self._write(MARK, last=not self._left)
        head, self._head = self._head, b""
        end = b"" if self._left else _LAST_CHUNK
        self._transport.write(b"%b%x\r\n%b\r\n%b" % (head, len(payload), payload, end))
        if not self._left:
            self._upstream.streams.pop(self._wanted.number, None)
        elif self._wanted.manner == "timed":
            asyncio.get_running_loop().call_later(TIMED_STEP, self.step)


def _whole_length(held: bytearray) -> int:
    """Gives the length of head and body together; nothing while the head is not complete."""
    end = held.find(b"\r\n\r\n")
    if end < 0:
        return 0
    match = _LENGTH.search(held, 0, end)
    return end + 4 + (int(match[1]) if match else 0)
