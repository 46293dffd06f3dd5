"""Carries an answer across: upstream's bytes → events → the client's bytes.

`Source` judges what upstream sends: frames of a stream, or a whole body where a stream was asked for (an instance
before 6.0, an error inside HTTP 200), told apart by the first byte. It also judges when an answer is complete (ARCHITECTURE.md
§5): after a finish word, or at the end of a terminated chunked or length-delimited body; anything else is a broken
answer.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from cody_oai_router.conversation import Reply, play
from cody_oai_router.events import Event, Failed, Usage
from cody_oai_router.faults import EMPTY_ANSWER, Fault
from cody_oai_router.sse import Frame, Lines, Splitter

_SPACE: Final = b" \t\r\n"
# After events that were more than text, as thoughts and arguments of calls are, so many reads are not tried as text: to fail at it
# costs as much again as to read them (counted).
_TEXTS_AGAIN: Final = 16
_NOTHING: Final = "Sourcegraph answered with nothing; ask again."


class Reader(Protocol):
    """What a dialect gives to read a stream with."""

    @property
    def ended(self) -> bool:
        """Whether the answer is complete even if the connection breaks now."""
        ...

    @property
    def final(self) -> bool:
        """Whether nothing more can come."""
        ...

    def texts(self, lines: Lines) -> list[Event] | None:
        """Reads events that are a piece of text each and nothing else, as nearly all are; reads nothing where one is more."""
        ...

    def read(self, frames: list[Frame]) -> list[Event]:
        """Reads the next frames."""
        ...

    def finish(self) -> list[Event]:
        """Ends an answer that upstream ended properly."""
        ...


class Writer(Protocol):
    """What a dialect gives to write a stream with."""

    usage: Usage | None
    notes: list[str]

    def begin(self) -> bytes:
        """Writes what an answer begins with, before anything is known of it; nothing where that is out."""
        ...

    def write(self, events: Sequence[Event]) -> bytes:
        """Writes a batch of events."""
        ...

    def finish(self, usage: Usage | None, notes: Sequence[str]) -> bytes:
        """Writes the end of a complete answer: what it cost, and what was changed about it."""
        ...


class Upstream(Protocol):
    """What an endpoint of Sourcegraph gives to carry an answer with."""

    @property
    def Reader(self) -> Callable[[], Reader]:  # noqa: N802 - the name of the class that makes one
        """Makes what reads one streamed answer."""
        ...

    @property
    def read_reply(self) -> Callable[[bytes], Reply | Fault]:
        """Reads a whole answer."""
        ...


class Adaptation(Protocol):
    """What changes the events of an answer on their way; it sees the last one (`Stop` or `Failed`) like every other."""

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes the next events and gives those that can go on."""
        ...


class Cutter(Protocol):
    """An adaptation that may end an answer before upstream does."""

    @property
    def cut(self) -> bool:
        """Whether the answer is complete by now, whatever upstream may still send."""
        ...


class Tail(Protocol):
    """An adaptation that may have something to add to an answer that has ended well."""

    def finish(self) -> list[Event]:
        """Gives what is still missing."""
        ...


class Chain:
    """Several adaptations one after the other, the first nearest to upstream; some may end the answer, one may add to its end."""

    __slots__ = ("_cutters", "_links", "_tail")

    def __init__(self, links: Sequence[Adaptation], cutters: Sequence[Cutter] = (), tail: Tail | None = None) -> None:
        self._links = links
        self._cutters = cutters
        self._tail = tail

    @property
    def cut(self) -> bool:
        """Whether one of them has ended the answer."""
        return any(cutter.cut for cutter in self._cutters)

    def adapt(self, events: list[Event]) -> list[Event]:
        """Takes the next events through all of them."""
        for link in self._links:
            events = link.adapt(events)
        return events

    def finish(self) -> list[Event]:
        """Gives what is still missing at the end."""
        return self._tail.finish() if self._tail is not None else []


class Source:
    """Turns the bytes of one upstream answer into events, up to and including the first `Failed`.

    `complete` tells that the answer is whole although its body may go on.
    """

    __slots__ = (
        "_chain",
        "_event_limit",
        "_read_reply",
        "_reader",
        "_reads_before_texts",
        "_reply_limit",
        "_size",
        "_splitter",
        "_whole",
        "complete",
        "failed",
    )

    def __init__(
        self,
        reader: Reader,
        read_reply: Callable[[bytes], Reply | Fault],
        chain: Chain | None = None,
        *,
        event_limit: int,
        reply_limit: int,
    ) -> None:
        self._reader = reader
        self._read_reply = read_reply
        self._chain = chain
        self._event_limit = event_limit
        self._reply_limit = reply_limit
        self._splitter: Splitter | None = None  # none until the first byte has told a stream from a whole body
        self._reads_before_texts = 0
        self._whole: list[bytes] = []
        self._size = 0
        self.failed: Fault | None = None
        self.complete = False

    @property
    def cut(self) -> bool:
        """Whether the answer is complete by now, whatever upstream may still send."""
        return self._chain is not None and self._chain.cut

    def feed(self, data: bytes) -> list[Event]:
        """Takes the next bytes of the body."""
        if self.failed is not None or self.complete:
            return []
        events = self._first(data) if self._splitter is None else self._read(self._splitter, data)
        if self._chain is not None and events:
            events = self._checked(self._chain.adapt(events))
            if self._chain.cut and self.failed is None:
                self.complete = True
                return [*events, *self._chain.finish()]
        if self._reader.final and self.failed is None:
            self.complete = True
            return events if self._chain is None else [*events, *self._chain.finish()]
        return events

    def whole(self) -> Reply | None:
        """Gives an answer that came in one piece and needs no change, instead of the events of `end`: most often it is wanted so."""
        if self._splitter is not None or self._chain is not None or self.failed is not None or not self._whole:
            return None
        reply = self._read_reply(b"".join(self._whole).strip(_SPACE))
        return None if isinstance(reply, Fault) else reply

    def end(self, *, delimited: bool) -> list[Event]:
        """Takes the end of the body; `delimited` tells that HTTP itself marked it as the end."""
        if self.failed is not None or self.complete:
            return []
        return self._last(self._ended(delimited=delimited))

    def fail(self, fault: Fault) -> list[Event]:
        """Takes the failure of the connection; after a finish word it takes nothing from the answer."""
        if self.failed is not None or self.complete:
            return []
        return self._last([] if self._reader.ended else self._fail(self._last_words() or fault))

    def _last(self, events: list[Event]) -> list[Event]:
        """Takes the last events through the chain, with what that adds to an answer that has ended well."""
        if self._chain is None:
            return events
        adapted = self._checked(self._chain.adapt(events)) if events else events
        return adapted if self.failed is not None else [*adapted, *self._chain.finish()]

    def _ended(self, *, delimited: bool) -> list[Event]:
        if self._splitter is None:
            return self._whole_reply()
        events = self._frames(self._splitter.finish())
        if self._is_settled():
            return events
        if delimited:
            return events + self._checked(self._reader.finish())
        message = "The answer broke off: Sourcegraph closed the connection before it was complete."
        return events + self._fail(Fault(kind="bad_gateway", message=message))

    def _is_settled(self) -> bool:
        return self.failed is not None or self._reader.ended

    def _first(self, data: bytes) -> list[Event]:
        """Holds back until the first byte that is not white space tells a stream from a whole body."""
        if not self._whole:
            data = data.lstrip(_SPACE)
            if not data:
                return []
            if data[:1] not in (b"{", b"<", b"["):
                self._splitter = Splitter(self._event_limit)
                return self._frames(self._splitter.feed(data))
        self._whole.append(data)
        self._size += len(data)
        if self._size > self._reply_limit:
            message = "Sourcegraph's answer is longer than MAX_REPLY_BYTES allows."
            return self._fail(Fault(kind="bad_gateway", message=message))
        return []

    def _read(self, splitter: Splitter, data: bytes) -> list[Event]:
        lines = splitter.lines(data)
        if lines is None:
            return self._frames(splitter.cut(data))
        if not self._reads_before_texts:
            texts = self._reader.texts(lines)
            if texts is not None:
                return texts
            self._reads_before_texts = _TEXTS_AGAIN
        self._reads_before_texts -= 1
        return self._frames(lines.frames())

    def _frames(self, frames: list[Frame]) -> list[Event]:
        events = self._reader.read(frames)
        if events and type(events[-1]) is Failed:
            self.failed = events[-1].fault
        if self._splitter is not None and self._splitter.overflowed and not self._is_settled():
            message = "Sourcegraph sent an event that is longer than MAX_EVENT_BYTES allows."
            return events + self._fail(Fault(kind="bad_gateway", message=message))
        return events

    def _whole_reply(self) -> list[Event]:
        body = b"".join(self._whole).strip(_SPACE)
        reply = self._read_reply(body) if body else Fault(kind="bad_gateway", message=_NOTHING, code=EMPTY_ANSWER)
        return self._fail(reply) if isinstance(reply, Fault) else list(play(reply))

    def _last_words(self) -> Fault | None:
        """Gives the error that upstream had written whole before it closed without an end: a bare line (contract §3.2)."""
        if not self._whole or not self._whole[0].startswith(b"{"):
            return None
        reply = self._read_reply(b"".join(self._whole).strip(_SPACE))
        return reply if isinstance(reply, Fault) and reply.said else None

    def _checked(self, events: list[Event]) -> list[Event]:
        """Notes a failure, which a reader gives as its last event."""
        if events and type(events[-1]) is Failed:
            self.failed = events[-1].fault
        return events

    def _fail(self, fault: Fault) -> list[Event]:
        self.failed = fault
        return [Failed(fault)]
