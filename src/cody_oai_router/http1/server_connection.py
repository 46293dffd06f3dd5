"""One connection from a client: heads in, one exchange at a time, answers strictly in order.

A client that ends its side of the connection is taken to be gone, as Node.js, nginx and uvicorn take it: programs that
half-close and still wait are rare, programs that are killed are not, and for these the upstream's work must end at once.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from cody_oai_router.http1 import proactor
from cody_oai_router.http1.heads import Refusal, may_begin_request, read_request_head
from cody_oai_router.http1.messages import Request, Response
from cody_oai_router.http1.server_body import ChunkedReceiver, CopyingReceiver, SizedReceiver, initial_size
from cody_oai_router.http1.server_closing import ClosingConnection, StallWatch
from cody_oai_router.http1.server_exchange import ServerExchange

if TYPE_CHECKING:
    from cody_oai_router.http1.server import Server

_HEAD_END: Final = b"\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REFUSALS: Final = 64
"""Connections beyond the limit that are told so at the same time; further ones are closed without a word."""

_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*")


class ServerConnection(asyncio.Protocol):
    """The protocol of an accepted connection, except while a body arrives and after the last answer."""

    __slots__ = (
        "_ahead",
        "_charged",
        "_deadline",
        "_exchange",
        "_held_back",
        "_limits",
        "_request",
        "_server",
        "_transport",
        "_watch",
        "_writable",
    )

    _transport: asyncio.Transport
    _watch: StallWatch

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._ahead = b""  # received and not yet read: part of a head, or requests sent ahead of an answer
        self._deadline = math.inf
        self._request: Request | None = None  # whose body is arriving
        self._exchange: ServerExchange | None = None
        self._charged = 0
        self._writable = True
        self._held_back = False

    # The transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first head, unless there are too many connections."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        if proactor.PROACTOR:
            # That loop sets it for connections that it opens, and forgets those that it accepts.
            with suppress(OSError):
                transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch = StallWatch(self._transport, self._limits.write_stall)
        surplus = self._server.surplus()
        self._server.track(self)
        self._deadline = self._server.now() + self._limits.keep_alive
        if surplus > _REFUSALS or self._server.stopping:
            self._transport.abort()
        elif surplus > 0:
            self._refuse(Refusal(503, "too many connections"))

    def data_received(self, data: bytes) -> None:
        """Read heads, or keep what comes ahead of its turn."""
        if self._exchange is None:
            self._read_heads(self._ahead + data if self._ahead else data)
            return
        self._ahead += data
        if len(self._ahead) > self._limits.ahead_bytes:
            self._held_back = True
            self._transport.pause_reading()

    def eof_received(self) -> bool | None:
        """The client is gone; what was already written to it is still sent."""
        self._leave()
        return None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client is gone."""
        self._server.untrack(self)
        self._leave()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._writable = False
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable = True
        if self._exchange is not None:
            self._exchange.resume()

    # The server calls.

    def check(self, now: float) -> None:
        """Close what is silent for too long."""
        if self._watch.stalls(now):
            self._transport.abort()
        elif now >= self._deadline:
            if self._request is not None:
                self.body_fails(408, "the body did not arrive in time")
            elif self._ahead:
                self._refuse(Refusal(408, "the head did not arrive in time"))
            else:
                self._transport.close()

    def shut_if_idle(self) -> None:
        """Close, unless a request is being received or answered."""
        if self._exchange is None and self._request is None and not self._ahead:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # The receiver of a body calls.

    def body_progress(self) -> None:
        """Another piece has come."""
        self._deadline = self._server.now() + self._limits.body_silence

    def body_grows(self, size: int) -> bool:
        """Reserve memory; without it the request is refused and the result is False."""
        if self._charge(size):
            return True
        self.body_fails(503, "too many bytes are being received")
        return False

    def body_complete(self, body: bytearray, rest: bytes) -> None:
        """Hand over to the handler; `rest` came after the body."""
        request = self._request
        assert request is not None  # noqa: S101 - a receiver exists only while a body arrives
        self._request = None
        request.body = body
        self._take_over(self)
        self._ahead = rest
        self._handle(request)

    def body_fails(self, status: int, reason: str) -> None:
        """Refuse a request whose body cannot be taken."""
        request, self._request = self._request, None
        self._refuse(Refusal(status, reason), request)

    # The exchange calls.

    def date_line(self) -> bytes:
        """Return the header lines that every answer carries."""
        return self._server.date.current()

    def keeps_alive(self, request: Request) -> bool:
        """Whether the connection stays open after the answer to `request`."""
        return request.keep_alive and not self._server.stopping

    def answered(self, *, keep: bool) -> None:
        """Go on with the next request, or close."""
        self._exchange = None
        self._release()
        if not keep or self._transport.is_closing():
            self._close()
            return
        self._deadline = self._server.now() + self._limits.keep_alive
        if self._held_back:
            self._held_back = False
            self._transport.resume_reading()
        if self._ahead:
            data, self._ahead = self._ahead, b""
            self._read_heads(data)

    def _read_heads(self, data: bytes) -> None:
        begun, self._ahead = bool(self._ahead), b""
        while data and self._exchange is None:
            if data.startswith(b"\r\n"):  # tolerated before a request line: RFC 9112 §2.2
                data = data[_EMPTY_LINES.match(data).end() :]  # type: ignore[union-attr]
            end = data.find(_HEAD_END) + len(_HEAD_END)
            if end < len(_HEAD_END):
                self._wait_for_head(data, begun=begun)
                return
            data = self._read_head(data[:end], data[end:])
            begun = False
        if data:
            self._ahead = data

    def _wait_for_head(self, data: bytes, *, begun: bool) -> None:
        if len(data) > self._limits.head_bytes:
            self._refuse(self._head_too_large())
        elif data not in {b"", b"\r"} and not may_begin_request(data):
            self._refuse(Refusal(400, "this is not HTTP/1.1"))
        else:
            self._ahead = data
            if data and not begun:
                self._deadline = self._server.now() + self._limits.head_time

    def _read_head(self, head: bytes, rest: bytes) -> bytes:
        """Begin an exchange; the result is what of `rest` belongs to the next one."""
        if len(head) > self._limits.head_bytes:
            self._refuse(self._head_too_large())
            return b""
        request = read_request_head(head, self._limits.headers)
        if isinstance(request, Refusal):
            self._refuse(request)
            return b""
        request.received = self._server.now()
        answer = self._server.admit(request)
        if answer is not None:
            self._answer_unread(request, answer)
            return rest if request.keep_alive else b""
        return self._read_body(request, rest)

    def _answer_unread(self, request: Request, answer: Response) -> None:
        if request.chunked or request.length:
            request.keep_alive = False  # rather than read a body for nothing
        self._exchange = exchange = ServerExchange(self, self._transport, request)
        exchange.respond(answer)

    def _read_body(self, request: Request, rest: bytes) -> bytes:
        length = request.length
        arrived = len(rest) >= length and not request.chunked
        refusal = self._judge_body(request, len(rest) if arrived else initial_size(length))
        if refusal is not None:
            self._refuse(refusal, request)
            return b""
        if arrived:
            if length:
                request.body = rest[:length]
                rest = rest[length:]
            self._handle(request)
            return rest
        if request.expect is not None and not rest:
            self._transport.write(_CONTINUE)
        self._receive(request, rest)
        return b""

    def _judge_body(self, request: Request, memory: int) -> Refusal | None:
        if request.expect not in {None, b"100-continue"}:
            return Refusal(417, "the only expectation known here is 100-continue")
        if request.length > self._limits.body_bytes:
            return Refusal(413, f"the body is larger than {self._limits.body_bytes} bytes")
        if not self._charge(memory):
            return Refusal(503, "too many bytes are being received")
        return None

    def _receive(self, request: Request, first: bytes) -> None:
        self._request = request
        self.body_progress()
        if not request.chunked:
            receives = CopyingReceiver if proactor.PROACTOR else SizedReceiver
            self._take_over(receives(self, request.length, first))
            return
        receiver = ChunkedReceiver(self, self._limits.body_bytes)
        self._take_over(receiver)
        if first:
            receiver.data_received(first)

    def _take_over(self, protocol: asyncio.BaseProtocol) -> None:
        # uvloop chooses how it reads when reading starts, so a change of protocol must stop and start it. The loop of Windows
        # would start a second read beside the one that it has not begun yet, into the same memory.
        if not proactor.PROACTOR:
            self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    def _handle(self, request: Request) -> None:
        self._exchange = exchange = ServerExchange(self, self._transport, request)
        exchange.paused = not self._writable
        self._deadline = math.inf
        self._server.handle(request, exchange)

    def _refuse(self, refusal: Refusal, request: Request | None = None) -> None:
        answer = self._server.malformed(refusal.status, refusal.reason, request)
        request = request or Request("GET", "*", "1.1", [])
        request.keep_alive = False
        self._exchange = exchange = ServerExchange(self, self._transport, request)
        exchange.respond(answer)

    def _head_too_large(self) -> Refusal:
        return Refusal(431, f"the head is larger than {self._limits.head_bytes} bytes")

    def _charge(self, size: int) -> bool:
        if not self._server.budget.take(size):
            return False
        self._charged += size
        return True

    def _release(self) -> None:
        self._server.budget.give(self._charged)
        self._charged = 0

    def _close(self) -> None:
        self._ahead = b""
        if not self._transport.is_closing():
            self._server.untrack(self)
            self._take_over(ClosingConnection(self._server, self._transport))

    def _leave(self) -> None:
        self._ahead = b""
        self._request = None
        self._release()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.leave()
