"""Receives one answer from upstream and hands its events on, without a coroutine between the two sockets."""

import asyncio
from typing import Final, Protocol

from cody_oai_router.conversation import Reply
from cody_oai_router.events import Event
from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Incoming
from cody_oai_router.relay import Source
from cody_oai_router.shell.failures import fault_of

# What may follow a complete answer, so that its connection can be used again: an event or two. More is not worth a connection.
MAX_REST_BYTES: Final = 64 * 1024


class Outlet(Protocol):
    """Where the events of an answer go: to a client as they come, or into a whole reply. `size` is what it holds of them, in characters."""

    size: int

    def feed(self, events: list[Event]) -> None:
        """Takes the next events, at least one; the last one may be a `Failed`."""
        ...

    def take(self, reply: Reply) -> None:
        """Takes an answer in one piece, instead of events."""
        ...


class Reception:
    """The sink of one upstream answer. `outcome` becomes None for a complete answer, or the fault that broke it.

    After a complete answer the rest of the body, if there is any, is read and thrown away, so that its connection can be used again.
    """

    __slots__ = ("_incoming", "_outlet", "_rest", "_size_limit", "_source", "first_byte", "outcome")

    def __init__(self, incoming: Incoming, source: Source, outlet: Outlet, *, size_limit: int) -> None:
        self._incoming = incoming
        self._source = source
        self._outlet = outlet
        self._size_limit = size_limit
        self.first_byte = 0.0
        self._rest = 0
        self.outcome: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()

    def on_data(self, data: bytes) -> None:
        """Takes the next bytes of the body."""
        if not self.first_byte:
            self.first_byte = self.outcome.get_loop().time()
        if self.outcome.done():
            self._rest += len(data)
            if self._rest > MAX_REST_BYTES:
                self._incoming.cancel()
            return
        events = self._source.feed(data)
        if events:
            self._outlet.feed(events)
        if self._source.failed is not None:
            self._settle(self._source.failed)
        elif self._source.complete:
            self._settle(None)
        elif self._outlet.size > self._size_limit:
            message = "Sourcegraph's answer is longer than MAX_REPLY_BYTES allows."
            self._settle(Fault(kind="bad_gateway", message=message))

    def on_end(self, *, delimited: bool) -> None:
        """Takes the end of the body."""
        reply = self._source.whole()
        if reply is not None:
            self._outlet.take(reply)
        else:
            self._hand_on(self._source.end(delimited=delimited))
        self._settle(self._source.failed)

    def on_fail(self, error: Exception) -> None:
        """Takes the failure of the connection."""
        self._hand_on(self._source.fail(fault_of(error)))
        self._settle(self._source.failed)

    def _hand_on(self, events: list[Event]) -> None:
        if events:
            self._outlet.feed(events)

    def _settle(self, fault: Fault | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(fault)
        if fault is not None or self._source.cut:
            self._incoming.cancel()
        else:
            self._incoming.resume()  # a slow client may have stopped it, who has nothing to do with the rest
