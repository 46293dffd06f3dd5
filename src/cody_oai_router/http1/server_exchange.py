"""One request and the answer to it: what a handler holds. Never reused, and harmless once the client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cody_oai_router.http1.messages import Headers, Request, Response, has_no_body, response_head

if TYPE_CHECKING:
    from cody_oai_router.http1.server_connection import ServerConnection

_COPY_BELOW: Final = 16 * 1024
"""Smaller data is joined with what goes around it: one system call; larger data is not copied."""

_LAST_CHUNK: Final = b"0\r\n\r\n"


class ServerExchange:
    """The way to answer one request.

    Either `respond` once, or `start`, any number of `write`, and `finish` or `abort`. After the client has left, all of
    them do nothing.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_corked",
        "_keep",
        "_request",
        "_silent",
        "_transport",
        "ended",
        "gone",
        "on_gone",
        "on_pause",
        "on_resume",
        "paused",
        "started",
        "task",
    )

    def __init__(self, connection: ServerConnection, transport: asyncio.Transport, request: Request) -> None:
        self._connection = connection
        self._transport = transport
        self._request = request
        self._corked = b""
        self._keep = False
        self._chunked = False
        self._silent = request.method == "HEAD"
        self.started = False
        """The head of the answer is decided; no other status can be sent."""
        self.ended = False
        """The answer is complete, or given up."""
        self.gone = False
        """The client left before that."""
        self.paused = False
        """The client reads slower than we write."""
        self.on_gone: Callable[[], None] | None = None
        """Called once when the client leaves before the answer has ended; without it the handler is cancelled."""
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self.task: asyncio.Task[None] | None = None

    def respond(self, response: Response) -> None:
        """Send a whole answer; its Content-Length is set here."""
        if self.gone:
            return
        if self.started:
            raise RuntimeError("the answer has already begun")
        self._keep = self._connection.keeps_alive(self._request)
        status, headers, body = response
        bodiless = has_no_body(status)
        head = self._head(status, headers, b"" if bodiless else b"Content-Length: %d\r\n" % len(body))
        self.started = True
        self._send(head, b"" if self._silent or bodiless else body, b"")
        self._end()

    def start(self, status: int, headers: Headers) -> None:
        """Begin a streamed answer; its head leaves together with the first data, or with `flush`."""
        if self.gone:
            return
        if self.started:
            raise RuntimeError("the answer has already begun")
        self._silent = self._silent or has_no_body(status)
        self._chunked = self._request.version == "1.1" and not has_no_body(status)
        self._keep = self._connection.keeps_alive(self._request) and (self._chunked or self._silent)
        self._corked = self._head(status, headers, b"Transfer-Encoding: chunked\r\n" if self._chunked else b"")
        self.started = True

    def flush(self) -> None:
        """Send the head now, with nothing after it yet."""
        if self._corked and not self.ended:
            head, self._corked = self._corked, b""
            self._send(head, b"", b"")

    def write(self, data: bytes) -> None:
        """Send a piece of the answer, as one chunk."""
        middle = self._chunked and not (self._corked or self._silent or self.ended)
        if middle and 0 < len(data) < _COPY_BELOW and not self._transport.is_closing():
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))  # nearly every write of a stream
        else:
            self._write(data, b"")

    def finish(self, data: bytes = b"") -> None:
        """Send the last piece and the end of the answer."""
        if self.ended:
            return
        self._write(data, _LAST_CHUNK if self._chunked else b"")
        self._end()

    def abort(self, data: bytes = b"") -> None:
        """Send a last piece and close without the end of the answer, so that the client sees a broken stream.

        An HTTP/1.0 client cannot see the difference: there the end of the connection is the end of the answer.
        """
        if self.ended:
            return
        self._write(data, b"")
        self._keep = False
        self._end()

    # Called by the connection.

    def leave(self) -> None:
        """The client is gone."""
        if self.ended:
            return
        self.ended = self.gone = True
        if self.on_gone is not None:
            self.on_gone()
        elif self.task is not None:
            self.task.cancel()

    def drop(self) -> None:
        """The handler is done: whatever it left unanswered is closed at once."""
        if not self.ended:
            self._transport.abort()

    def pause(self) -> None:
        """The client reads slowly."""
        self.paused = True
        if self.on_pause is not None and not self.ended:
            self.on_pause()

    def resume(self) -> None:
        """The client has caught up."""
        self.paused = False
        if self.on_resume is not None and not self.ended:
            self.on_resume()

    def _write(self, data: bytes, end: bytes) -> None:
        if self.ended:
            return
        if not self.started:
            raise RuntimeError("the answer has not begun: call start first")
        if self._silent:
            data = end = b""
        before, self._corked = self._corked, b""
        if data and self._chunked:
            before = b"%b%x\r\n" % (before, len(data))
            end = b"\r\n" + end
        self._send(before, data, end)

    def _send(self, before: bytes, data: bytes | bytearray, after: bytes) -> None:
        if len(data) < _COPY_BELOW:
            data = before + data + after
            if data and not self._transport.is_closing():
                self._transport.write(data)
            return
        for part in (before, data, after):  # not writelines: in asyncio 3.12.0 to 3.13.0 it never pauses the writer
            if part and not self._transport.is_closing():
                self._transport.write(part)

    def _head(self, status: int, headers: Headers, framing: bytes) -> bytes:
        more = self._connection.date_line() + framing
        if not self._keep:
            more += b"Connection: close\r\n"
        elif self._request.version == "1.0":
            more += b"Connection: keep-alive\r\n"
        return response_head(status, headers, more)

    def _end(self) -> None:
        self.ended = True
        self._connection.answered(keep=self._keep)
