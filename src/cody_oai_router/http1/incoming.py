"""One answer on its way in: made for one attempt, never reused.

Its state is here and not on the connection, so that nothing late can reach another exchange. What comes is pushed to the
sink as soon as it comes; before there is a sink it is held, within a bound.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Final, Protocol

from cody_oai_router.http1.clock import ExchangeClock
from cody_oai_router.http1.decoding import DecodingError, Inflater, inflater
from cody_oai_router.http1.errors import BadResponse, ClientError, ConnectionLost, TimedOut, TLSFailed
from cody_oai_router.http1.framing import Chunked, Framing, FramingError, Sized, UntilClose
from cody_oai_router.http1.heads import Refusal, ResponseHead, read_response_head
from cody_oai_router.http1.limits import ClientLimits
from cody_oai_router.http1.messages import first_header, has_no_body
from cody_oai_router.http1.tls import explain_tls

if TYPE_CHECKING:
    from cody_oai_router.http1.client_connection import ClientConnection

_SWITCHING_PROTOCOLS: Final = 101
_FIRST_FINAL: Final = 200


class Sink(Protocol):
    """Where the body of an answer goes."""

    def on_data(self, data: bytes) -> None:
        """Take the next piece: whatever came in one read."""

    def on_end(self, *, delimited: bool) -> None:
        """Note the end of the body; not `delimited` means that only the close of the connection ended it."""

    def on_fail(self, error: ClientError) -> None:
        """Note that the rest of the body will not come."""


class Incoming:
    """The answer to one request."""

    __slots__ = (
        "_clock",
        "_connection",
        "_delimited",
        "_error",
        "_framing",
        "_head",
        "_head_only",
        "_held",
        "_held_back",
        "_inflater",
        "_keep",
        "_limits",
        "_loop",
        "_sink",
        "_unread",
        "_where",
        "headers",
        "reused",
        "status",
        "untouched",
    )

    def __init__(
        self,
        connection: ClientConnection,
        limits: ClientLimits,
        clock: ExchangeClock,
        *,
        where: str,
        head_only: bool,
        reused: bool,
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.reused = reused
        """The request went out on a connection that had served before."""
        self.untouched = True
        """Not one byte of an answer has come."""
        self._loop = asyncio.get_running_loop()
        self._connection: ClientConnection | None = connection
        self._limits = limits
        self._clock = clock
        self._where = where
        self._head_only = head_only
        self._head: asyncio.Future[None] = self._loop.create_future()
        self._unread = b""
        self._framing: Framing | None = None
        self._inflater: Inflater | None = None
        self._keep = False
        self._sink: Sink | None = None
        self._held: list[bytes] = []
        self._held_back = False
        self._delimited: bool | None = None
        self._error: ClientError | None = None

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header called `name` (lower case), or None."""
        return first_header(self.headers, name)

    async def read(self, limit: int) -> bytes:
        """Return the whole body, decoded; raises a ClientError, BadResponse for more than `limit` bytes."""
        collector = _Collector(self, limit)
        self.attach(collector)
        try:
            return await collector.whole
        except asyncio.CancelledError:
            self.cancel()
            _forget(collector.whole)
            raise

    def attach(self, sink: Sink) -> None:
        """Push the body to `sink` from now on; what has come already is pushed before this returns."""
        self._sink = sink
        held, self._held = b"".join(self._held), []
        if held:
            sink.on_data(held)
        if self._held_back:
            self._held_back = False
            self.resume()
        self._push_end()

    def pause(self) -> None:
        """Stop reading; the clocks stand still meanwhile."""
        if self._connection is not None:
            self._clock.pause(self._loop.time())
            self._connection.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._connection is not None:
            self._clock.resume(self._loop.time())
            self._connection.resume_reading()

    def cancel(self) -> None:
        """Drop the exchange: the connection is closed at once and nothing more is delivered."""
        self._sink = None
        self._held.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    # The client calls.

    async def wait_for_head(self) -> None:
        """Wait until status and headers are there; raises a ClientError."""
        try:
            await self._head
        except asyncio.CancelledError:
            self.cancel()
            _forget(self._head)
            raise

    # The connection calls.

    def receive(self, data: bytes) -> None:
        """Take what came from the origin."""
        self.untouched = False
        if self._framing is None:
            self._read_heads(self._unread + data)
        else:
            self._read_body(self._framing, data)

    def lost(self, error: Exception | None) -> None:
        """The connection is closed; `error` is what broke it."""
        if isinstance(error, ssl.SSLError):
            self.fail(TLSFailed(explain_tls(error, self._where)))
        elif error is None and isinstance(self._framing, UntilClose):
            self._complete(self._framing)
        else:
            how = "reset" if error is not None else "closed"
            part = "before it answered" if self._framing is None else "in the middle of its answer"
            self.fail(ConnectionLost(f"{self._where} {how} the connection {part}"))

    def check(self, now: float) -> None:
        """Look at the clocks."""
        if self._connection is not None:
            self._clock.sending(now, self._connection.unsent())
            expired = self._clock.expired(now)
            if expired is not None:
                self.fail(TimedOut(*expired, self._where))

    def fail(self, error: ClientError) -> None:
        """End the exchange with an error and close the connection."""
        if self._connection is None:
            return
        self._connection.drop()
        self._connection = None
        self._error = error
        if not self._head.done():
            self._head.set_exception(error)
        self._push_end()

    def _read_heads(self, data: bytes) -> None:
        while self._framing is None:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:  # noqa: PLR2004 - not found
                self._wait_for_head(data)
                return
            if end > self._limits.head_bytes:
                self._fail_head(f"its head is larger than {self._limits.head_bytes} bytes")
                return
            head = read_response_head(data[:end], self._limits.headers)
            if isinstance(head, Refusal):
                self._fail_head(head.reason)
                return
            data = data[end:]
            if head.status == _SWITCHING_PROTOCOLS:
                self._fail_head("it switches to a protocol that was not asked for")
                return
            if head.status >= _FIRST_FINAL and not self._open(head):
                return
        if not self._head.done():
            self._head.set_result(None)
        self._read_body(self._framing, data)

    def _wait_for_head(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/"[: len(data)]):
            self._fail_head("it does not speak HTTP/1.1")
        elif len(data) > self._limits.head_bytes:
            self._fail_head(f"its head is larger than {self._limits.head_bytes} bytes")
        else:
            self._unread = data

    def _open(self, head: ResponseHead) -> bool:
        self._unread = b""
        self.status = head.status
        self.headers = head.headers
        self._keep = head.keep_alive
        if self._head_only or has_no_body(head.status):
            self._framing = Sized(0)
        elif head.chunked:
            self._framing = Chunked()
        else:
            self._framing = UntilClose() if head.length is None else Sized(head.length)
        try:
            self._inflater = inflater(self.header(b"content-encoding"), self._limits.decoded_bytes)
        except DecodingError as error:
            self._fail_head(str(error))
            return False
        return True

    def _fail_head(self, reason: str) -> None:
        self.fail(BadResponse(f"{self._where} sent an answer that cannot be used: {reason}"))

    def _read_body(self, framing: Framing, data: bytes) -> None:
        try:
            payload = framing.feed(data)
            if self._inflater is not None:
                payload = self._inflater.feed(payload)
        except (FramingError, DecodingError) as error:
            self._fail_head(str(error))
            return
        self._clock.received(self._loop.time(), body=bool(payload))
        if payload:
            if self._sink is not None:
                self._sink.on_data(payload)
            else:
                self._hold(payload)
        if framing.done and self._connection is not None:
            self._complete(framing)

    def _hold(self, payload: bytes) -> None:
        self._held.append(payload)
        if not self._held_back and sum(map(len, self._held)) > self._limits.held_bytes:
            self._held_back = True
            self.pause()

    def _complete(self, framing: Framing) -> None:
        if self._inflater is not None and not self._head_only:
            try:
                self._inflater.finish()
            except DecodingError as error:
                self._fail_head(str(error))
                return
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finished(keep=self._keep and framing.delimited and not framing.rest)
        self._delimited = framing.delimited
        self._push_end()

    def _push_end(self) -> None:
        if self._sink is None:
            return
        if self._error is not None:
            self._sink.on_fail(self._error)
        elif self._delimited is not None:
            self._sink.on_end(delimited=self._delimited)


class _Collector:
    """A sink that puts the body together."""

    def __init__(self, incoming: Incoming, limit: int) -> None:
        self.whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._incoming = incoming
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def on_data(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._limit:
            self._incoming.cancel()
            self.on_fail(BadResponse(f"the answer is larger than {self._limit} bytes"))

    def on_end(self, *, delimited: bool) -> None:  # noqa: ARG002 - a sink's signature
        if not self.whole.done():
            self.whole.set_result(b"".join(self._pieces))

    def on_fail(self, error: ClientError) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)


def _forget(future: asyncio.Future[bytes] | asyncio.Future[None]) -> None:
    """See to it that an error which nobody waits for any more is not reported as lost."""
    if not future.cancel() and not future.cancelled():
        future.exception()
