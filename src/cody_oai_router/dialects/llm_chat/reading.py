"""Reads what the LLM API answers: a stream of chunks, or a whole completion.

Tolerant of all that the contract saw (§3.1, §3.2): a new id in every chunk, empty model and finish words, the role repeated, usage in
the last chunk, no `[DONE]`, an error as a bare line or inside HTTP 200. Never raises, whatever the bytes are.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from cody_oai_router.conversation import Reply, collect
from cody_oai_router.events import Event, Failed, Reasoning, Text
from cody_oai_router.faults import Fault
from cody_oai_router.sourcegraph.answers import MAX_CALLS, TOO_MANY_CALLS, UNREADABLE, ending, read_usage
from cody_oai_router.sourcegraph.calls import CallIndexer
from cody_oai_router.sourcegraph.decoding import NO_JSON, decode_each
from cody_oai_router.sourcegraph.refusals import fault_of_text, fault_of_words
from cody_oai_router.sse import Frame, Lines

_ABSENT: Final = msgspec.Raw()


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _ABSENT
    message: Any = None
    error: Any = None


class _TextSaid(msgspec.Struct, gc=False):
    content: Annotated[str, msgspec.Meta(min_length=1)]
    reasoning_content: Literal[""] | None = None
    tool_calls: None = None


class _TextChoice(msgspec.Struct, gc=False):
    delta: _TextSaid
    message: None = None
    finish_reason: Literal[""] | None = None


class _TextChunk(msgspec.Struct, gc=False):
    """A `_Chunk` that is a piece of text and nothing else: decoding fails where anything else that counts has a value."""

    choices: tuple[_TextChoice]
    usage: None = None
    error: None = None
    message: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_texts = msgspec.json.Decoder(_TextChunk).decode_lines


class Reader:
    """Reads the frames of one streamed answer into events.

    `ended` tells that a finish word was seen: the answer is complete even if the connection breaks now.
    """

    __slots__ = ("_calls", "_failed", "ended", "final")

    def __init__(self) -> None:
        self._calls: CallIndexer | None = None  # few answers have any
        self._failed = False
        self.ended = False
        self.final = False

    def texts(self, lines: Lines) -> list[Event] | None:
        """Reads pieces of text in one go, which nearly all chunks are; nothing where anything else is among them."""
        if lines.event == b"error" or self.final or self._failed:
            return None
        chunks = decode_each(_decode_texts, lines)
        return None if chunks is None else [Text(chunk.choices[0].delta.content) for chunk in chunks]

    def read(self, frames: list[Frame]) -> list[Event]:
        """Reads the next frames; after a `Failed`, or the mark of the end, nothing more comes."""
        events: list[Event] = []
        for frame in frames:
            if self._failed or self.final:
                break
            if frame.event == b"error" or frame.stray:
                self._fail(fault_of_text(frame.data), events)
                continue
            try:
                chunk = _decode(frame.data)
            except NO_JSON:
                self._no_chunk(frame, events)
                continue
            self._chunk(chunk, frame.data, events)
        return events

    def finish(self) -> list[Event]:
        """Ends an answer that upstream ended properly but without a finish word (contract §3.3, last lines)."""
        if self._failed or self.ended:
            return []
        events: list[Event] = []
        self._stop("", events)
        return events

    def _no_chunk(self, frame: Frame, events: list[Event]) -> None:
        if frame.data == b"[DONE]":
            self.final = self.ended  # by no instance that is known
        else:
            self._several(frame, events)

    def _several(self, frame: Frame, events: list[Event]) -> None:
        """Reads data lines that no blank line parts (contract §3.2 has seen one `data:` line a chunk, not what is between)."""
        lines = frame.data.split(b"\n")
        if len(lines) == 1:
            self._fail(UNREADABLE, events)
            return
        events += self.read([Frame(frame.event, line) for line in lines if line])

    def _chunk(self, chunk: _Chunk, data: bytes, events: list[Event]) -> None:
        if chunk.error is not None or (chunk.message is not None and not chunk.choices):
            self._fail(fault_of_text(data), events)
            return
        if chunk.choices:
            choice = chunk.choices[0]
            said = choice.delta if choice.message is None else _numbered(choice.message)
            if said is not None:
                self._said(said, events)
            if choice.finish_reason and not self._failed:
                self._stop(choice.finish_reason, events)
        usage = None if chunk.usage is _ABSENT or self._failed else read_usage(chunk.usage)
        if usage is not None:
            events.append(usage)

    def _said(self, said: _Said, events: list[Event]) -> None:
        if said.reasoning_content:
            events.append(Reasoning(said.reasoning_content))
        if said.content:
            events.append(Text(said.content))
        if said.tool_calls and not self.ended:
            self._called(said.tool_calls, events)

    def _called(self, calls: list[_Call], events: list[Event]) -> None:
        indexer = self._calls = self._calls or CallIndexer(MAX_CALLS)
        for call in calls:
            function = call.function or _Function()
            events += indexer.take(call.index or 0, call.id or "", function.name or "", function.arguments or "")
            if indexer.overflowed:
                self._fail(TOO_MANY_CALLS, events)
                return

    def _stop(self, word: str, events: list[Event]) -> None:
        if self.ended:
            return
        end = ending(word, calls=0 if self._calls is None else self._calls.count)
        if isinstance(end, Failed):
            self._fail(end.fault, events)
            return
        self.ended = True
        if self._calls is not None:
            events += self._calls.rest()
        events.append(end)

    def _fail(self, fault: Fault, events: list[Event]) -> None:
        """Breaks the answer off; one that has had its finish word is complete, whatever comes after."""
        if self.ended:
            return
        self._failed = True
        events.append(Failed(fault))


def read_reply(body: bytes) -> Reply | Fault:
    """Reads a whole completion; an error inside HTTP 200 becomes a `Fault`."""
    try:
        chunk = _decode(body)
    except NO_JSON:
        return UNREADABLE if body.startswith(b"{") else fault_of_text(body)
    if not chunk.choices:
        return fault_of_text(body) if chunk.error is not None or chunk.message is not None else fault_of_words("")
    choice = chunk.choices[0]
    if choice.message is not None and not choice.message.tool_calls and chunk.error is None:
        return _without_calls(choice.message, choice.finish_reason or "", chunk.usage)
    reader = Reader()
    events: list[Event] = []
    reader._chunk(chunk, body, events)  # noqa: SLF001 - a whole completion is one chunk of the same module's reader
    return collect(events + reader.finish())


def _without_calls(said: _Said, word: str, usage: msgspec.Raw) -> Reply | Fault:
    """Gives what the same answer would be as events: to make them takes twice the instructions of all else here (counted)."""
    end = ending(word, calls=0)
    if isinstance(end, Failed):
        return end.fault
    return Reply(
        text=said.content or "",
        reasoning=said.reasoning_content or "",
        stop=end.reason,
        usage=None if usage is _ABSENT else read_usage(usage),
    )


def _numbered(message: _Said) -> _Said:
    """Gives a whole message with its tool calls numbered: each entry of it is a call, whatever index it has."""
    for index, call in enumerate(message.tool_calls or ()):
        call.index = index
    return message
