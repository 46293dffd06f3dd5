"""Reads what Cody's stream answers: named events, or one whole object where no stream was asked for.

Text is told by its key, not by the api-version: `deltaText` is a piece, `completion` all the text so far (contract §4.4). An answer is
complete after `event: done` and not before. Never raises, whatever the bytes are.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from cody_oai_router.conversation import Reply, collect
from cody_oai_router.events import Event, Failed, Reasoning, Rewritten, Text
from cody_oai_router.faults import Fault
from cody_oai_router.sourcegraph.answers import MAX_CALLS, TOO_MANY_CALLS, UNREADABLE, ending, read_usage
from cody_oai_router.sourcegraph.calls import CallIndexer
from cody_oai_router.sourcegraph.decoding import NO_JSON, decode_each
from cody_oai_router.sourcegraph.refusals import NOTHING, fault_of_text, fault_of_words
from cody_oai_router.sse import Frame, Lines

_CUT_OFF: Final = Fault(
    kind="bad_gateway", message="The answer broke off: Sourcegraph ended it without saying that it was done."
)

# Ends a text that was cut inside a character; the next `completion` has the whole one in its place.
_HALF_CHARACTER: Final = "\ufffd"


_ABSENT: Final = msgspec.Raw()


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Completion(msgspec.Struct, gc=False):
    deltaText: str | None = None  # noqa: N815 - the wire's own name
    completion: str | None = None
    stopReason: str | None = None  # noqa: N815 - the wire's own name
    delta_thinking: str | None = None
    delta_tool_calls: list[_Call] | None = None
    tool_calls: list[_Call] | None = None
    usage: msgspec.Raw = _ABSENT
    message: Any = None
    error: Any = None


class _Piece(msgspec.Struct, gc=False):
    """A `_Completion` that is a piece of text and nothing else: decoding fails where anything else that counts has a value."""

    deltaText: Annotated[str, msgspec.Meta(min_length=1)]  # noqa: N815 - the wire's own name
    completion: None = None
    stopReason: Literal[""] | None = None  # noqa: N815 - the wire's own name
    delta_thinking: Literal[""] | None = None
    delta_tool_calls: None = None
    tool_calls: None = None
    usage: None = None
    message: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Completion).decode
_decode_pieces = msgspec.json.Decoder(_Piece).decode_lines


class Reader:
    """Reads the frames of one streamed answer into events. `ended` tells that `event: done` was seen."""

    __slots__ = ("_begun", "_calls", "_failed", "_latest", "_said", "_so_far", "_word", "ended", "final")

    def __init__(self) -> None:
        self._calls: CallIndexer | None = None  # few answers have any
        self._so_far = ""  # of a cumulative text: what the events so far amount to
        self._said = 0  # how long the pieces of it are that nobody can take back
        self._latest = ""  # and what there is
        self._word = ""
        self._begun = False
        self._failed = False
        self.ended = False
        self.final = False  # the same: nothing more can come

    def texts(self, lines: Lines) -> list[Event] | None:
        """Reads pieces of text in one go, which nearly all events are; nothing where anything else is among them."""
        if lines.event != b"completion" or self.ended or self._failed:
            return None
        pieces = decode_each(_decode_pieces, lines)
        if pieces is None:
            return None
        self._begun = True
        return [Text(piece.deltaText) for piece in pieces]

    def read(self, frames: list[Frame]) -> list[Event]:
        """Reads the next frames; after the end, or a `Failed`, nothing more comes."""
        events: list[Event] = []
        for frame in frames:
            if self.ended or self._failed:
                break
            if frame.event != b"completion":
                self._other(frame, events)
                continue
            try:
                completion = _decode(frame.data)
            except NO_JSON:
                self._fail(UNREADABLE, events)
                continue
            self._begun = True
            self._completion(completion, events)
        return events

    def finish(self) -> list[Event]:
        """Ends an answer whose body ended without `event: done`: it broke off, however properly HTTP ended it."""
        if self.ended or self._failed:
            return []
        self._failed = True
        return [Failed(_CUT_OFF)]

    def _other(self, frame: Frame, events: list[Event]) -> None:
        if frame.event == b"done":
            self._done(events)
        elif frame.event == b"error" or frame.stray:
            self._fail(fault_of_text(frame.data), events)
        # Whatever else there is tells about the answer and is no part of it: `attribution-error` is not fatal (contract §4.4).

    def _completion(self, completion: _Completion, events: list[Event]) -> None:
        if completion.delta_thinking:
            events.append(Reasoning(completion.delta_thinking))
        if completion.deltaText:
            events.append(Text(completion.deltaText))
        if completion.completion is not None:
            self._latest = completion.completion
            self._cumulative(completion.completion.rstrip(_HALF_CHARACTER), events)
        if completion.delta_tool_calls or completion.tool_calls:
            self._called(completion, events)
        if completion.stopReason:
            self._word = completion.stopReason
        usage = None if completion.usage is _ABSENT or self._failed else read_usage(completion.usage)
        if usage is not None:
            events.append(usage)

    def _cumulative(self, text: str, events: list[Event]) -> None:
        """Gives what is new in a text that comes whole each time, and what reads otherwise now (trap 38)."""
        if self._so_far.startswith(text):
            return  # a shorter one may still become the same again
        if len(self._so_far) < self._said or not text.startswith(self._so_far):
            events.append(Rewritten(text[: self._said]))
        if len(text) > self._said:
            events.append(Text(text[self._said :]))
            self._said = len(text)
        self._so_far = text

    def _called(self, completion: _Completion, events: list[Event]) -> None:
        """Takes calls: of a streamed piece a new id is a new call, as there is no index (contract §4.4); a whole one is a call each."""
        pieces = completion.delta_tool_calls
        indexer = self._calls = self._calls or CallIndexer(MAX_CALLS)
        for number, call in enumerate(pieces or completion.tool_calls or ()):
            function = call.function or _Function()
            index = 0 if pieces else number
            events += indexer.take(index, call.id or "", function.name or "", function.arguments or "")
            if indexer.overflowed:
                self._fail(TOO_MANY_CALLS, events)
                return

    def _done(self, events: list[Event]) -> None:
        if not self._begun:
            self._fail(NOTHING, events)
            return
        self._cumulative(self._latest, events)  # half a character that nothing came after
        if self._latest != self._so_far:
            events.append(Rewritten(self._latest))  # it has become shorter
        count = 0
        if self._calls is not None:
            events += self._calls.rest()
            count = self._calls.count
        end = ending(self._word, calls=count)
        if isinstance(end, Failed):
            self._fail(end.fault, events)
            return
        self.ended = self.final = True
        events.append(end)

    def _fail(self, fault: Fault, events: list[Event]) -> None:
        self._failed = True
        events.append(Failed(fault))


def read_reply(body: bytes) -> Reply | Fault:
    """Reads a whole answer, by its shape (contract §4.5: its content type says nothing); an error inside HTTP 200 becomes a `Fault`."""
    try:
        completion = _decode(body)
    except NO_JSON:
        return UNREADABLE if body.startswith(b"{") else fault_of_text(body)
    if completion.error is not None or completion.message is not None:
        return fault_of_text(body)
    if completion.completion is None and completion.deltaText is None and not completion.tool_calls:
        return fault_of_words("")
    reader = Reader()
    return collect(reader.read([Frame(b"completion", body), Frame(b"done", b"{}")]))
