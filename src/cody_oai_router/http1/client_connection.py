"""One connection to the origin: it carries one exchange at a time and knows nothing of what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from cody_oai_router.http1 import proactor
from cody_oai_router.http1.errors import ConnectionLost
from cody_oai_router.http1.incoming import Incoming
from cody_oai_router.http1.upload import Upload

if TYPE_CHECKING:
    from cody_oai_router.http1.pool import Pool

_COPY_BELOW: Final = 16 * 1024
"""A smaller request is joined into one buffer; the parts of a larger one are not copied."""


class ClientConnection(asyncio.Protocol):
    """The protocol of a connection to the origin or its proxy."""

    __slots__ = ("_exchange", "_pool", "_transport", "_upload", "idle_since", "idle_since_wall", "reused")

    _transport: asyncio.Transport

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._exchange: Incoming | None = None
        self._upload: Upload | None = None
        self.reused = False
        self.idle_since = 0.0
        self.idle_since_wall = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        """Hand over to the exchange; without one, nothing may come."""
        if self._exchange is not None:
            self._exchange.receive(data)
        else:
            self.drop()

    def resume_writing(self) -> None:
        """The system has taken what it was given."""
        if self._upload is not None:
            self._upload.go_on()

    def eof_received(self) -> bool | None:
        """The origin has said all it will say."""
        self._end(None)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._end(exc)
        self._pool.closed(self)

    # The client and the exchange call.

    def send(self, exchange: Incoming, parts: Sequence[bytes | bytearray]) -> None:
        """Send a request; what comes from now on belongs to `exchange`."""
        if self._transport.is_closing():
            exchange.lost(None)
            return
        self._exchange = exchange
        if sum(map(len, parts)) < _COPY_BELOW:
            self._transport.write(b"".join(parts))
        elif proactor.PROACTOR:
            self._upload = Upload(self._transport, parts)
            self._upload.go_on()
        else:
            self._transport.writelines([part for part in parts if part])

    def pause_reading(self) -> None:
        """Stop reading."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def unsent(self) -> int:
        """Count the bytes of the request that the system has not taken yet."""
        return self._transport.get_write_buffer_size() + (0 if self._upload is None else self._upload.left)

    def finished(self, *, keep: bool) -> None:
        """The exchange is complete: back into the pool, or close."""
        self._exchange = None
        self.reused = True
        if self._transport.is_closing():
            self._pool.discard(self)
        elif self.unsent():  # answered before it had read the request: the rest of it is for nobody
            self.drop()
        elif not keep:
            self._pool.discard(self)
            self._transport.close()
        else:
            self._upload = None
            if not self._transport.is_reading():
                self._transport.resume_reading()
            self._pool.release(self)

    def drop(self) -> None:
        """Close at once, whatever is going on."""
        self._exchange = self._upload = None
        self._pool.discard(self)
        self._transport.abort()

    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return not self._transport.is_closing()

    def check(self, now: float) -> None:
        """Look at the clocks of the exchange."""
        if self._exchange is not None:
            self._exchange.check(now)

    def fail(self, reason: str) -> None:
        """Close at once; an exchange under way fails with this reason."""
        if self._exchange is not None:
            self._exchange.fail(ConnectionLost(reason))
        else:
            self.drop()

    def _end(self, error: Exception | None) -> None:
        exchange, self._exchange = self._exchange, None
        self._pool.discard(self)
        if exchange is not None:
            exchange.lost(error)
