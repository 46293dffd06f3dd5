"""Reads what the LLM API answers: a stream of chunks, or a whole completion.

Tolerant of all that the contract saw (§3.1, §3.2): a new id in every chunk, empty model and finish words, the role repeated, usage in
the last chunk, no `[DONE]`, an error as a bare line or inside HTTP 200. Never raises, whatever the bytes are.
"""

from typing import Any, Final

import msgspec

from cody_oai_router.conversation import Reply, collect
from cody_oai_router.dialects.llm_chat.calls import CallIndexer
from cody_oai_router.dialects.llm_chat.refusals import fault_of_text, fault_of_words
from cody_oai_router.events import Event, Failed, Reasoning, Stop, StopReason, Text, Usage
from cody_oai_router.faults import HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.sse import Frame

# One answer calls a handful of tools; a hundred times that is a fault of upstream, not a wish of the model.
MAX_CALLS: Final = 512

# Contract §3.3. Words not listed end an answer like `stop` does.
STOP_REASONS: Final[dict[str, StopReason]] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "tool_use": "tool_calls",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "refusal": "content_filter",
}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    credits: float | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    message: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode

# A piece of an answer, never quoted: its text is the model's, and its words are no refusal to learn from.
_UNREADABLE: Final = Fault(
    kind="bad_gateway", message="Sourcegraph sent something that is not whole, or no JSON; ask again."
)


class Reader:
    """Reads the frames of one streamed answer into events.

    `ended` tells that a finish word was seen: the answer is complete even if the connection breaks now.
    """

    __slots__ = ("_calls", "_failed", "_reason", "ended")

    def __init__(self) -> None:
        self._calls = CallIndexer(MAX_CALLS)
        self._reason: StopReason | None = None
        self._failed = False
        self.ended = False

    def read(self, frames: list[Frame]) -> list[Event]:
        """Reads the next frames; after a `Failed` nothing more comes."""
        events: list[Event] = []
        for frame in frames:
            if self._failed:
                break
            self._frame(frame, events)
        return events

    def finish(self) -> list[Event]:
        """Ends an answer that upstream ended properly but without a finish word (contract §3.3, last lines)."""
        if self._failed or self.ended:
            return []
        events: list[Event] = []
        self._stop("", events)
        return events

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        if frame.event == b"error" or frame.stray:
            self._error(frame.data, events)
            return
        if frame.data == b"[DONE]":
            return
        try:
            chunk = _decode(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._several(frame, events)
            return
        self._chunk(chunk, frame.data, events)

    def _several(self, frame: Frame, events: list[Event]) -> None:
        """Reads data lines that no blank line parts (contract §3.2 has seen one `data:` line a chunk, not what is between)."""
        lines = frame.data.split(b"\n")
        if len(lines) == 1:
            self._fail(_UNREADABLE, events)
            return
        for line in lines:
            if line and not self._failed:
                self._frame(Frame(frame.event, line), events)

    def _chunk(self, chunk: _Chunk, data: bytes, events: list[Event]) -> None:
        if chunk.error is not None or (chunk.message is not None and not chunk.choices):
            self._error(data, events)
            return
        if chunk.choices:
            choice = chunk.choices[0]
            said = choice.delta if choice.message is None else _numbered(choice.message)
            if said is not None:
                self._said(said, events)
            if choice.finish_reason and not self._failed:
                self._stop(choice.finish_reason, events)
        if chunk.usage is not None and not self._failed:
            events.append(_usage(chunk.usage))

    def _said(self, said: _Said, events: list[Event]) -> None:
        if said.reasoning_content:
            events.append(Reasoning(said.reasoning_content))
        if said.content:
            events.append(Text(said.content))
        if said.tool_calls:
            self._called(said.tool_calls, events)

    def _called(self, calls: list[_Call], events: list[Event]) -> None:
        for call in calls:
            function = call.function or _Function()
            events += self._calls.take(call.index or 0, call.id or "", function.name or "", function.arguments or "")
            if self._calls.overflowed:
                message = f"Sourcegraph sent more than {MAX_CALLS} tool calls in one answer."
                self._fail(Fault(kind="bad_gateway", message=message), events)
                return

    def _stop(self, word: str, events: list[Event]) -> None:
        if self.ended:
            return
        reason = STOP_REASONS.get(word, "stop")
        if reason == "tool_calls" and not self._calls.count:
            message = "Sourcegraph announced tool calls and then sent none; ask again."
            self._fail(Fault(kind="bad_gateway", message=message, code=HOLLOW_TOOL_CALLS), events)
            return
        self.ended = True
        events.append(Stop("tool_calls" if reason == "stop" and self._calls.count else reason))

    def _error(self, data: bytes, events: list[Event]) -> None:
        self._fail(fault_of_text(data), events)

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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _UNREADABLE if body.startswith(b"{") else fault_of_text(body)
    if not chunk.choices:
        return fault_of_text(body) if chunk.error is not None or chunk.message is not None else fault_of_words("")
    reader = Reader()
    events: list[Event] = []
    reader._chunk(chunk, body, events)  # noqa: SLF001 - a whole completion is one chunk of the same module's reader
    return collect(events + reader.finish())


def _numbered(message: _Said) -> _Said:
    """Gives a whole message with its tool calls numbered: each entry of it is a call, whatever index it has."""
    for index, call in enumerate(message.tool_calls or ()):
        call.index = index
    return message


def _usage(usage: _Usage) -> Usage:
    prompt = usage.prompt_tokens_details or _PromptDetails()
    completion = usage.completion_tokens_details or _CompletionDetails()
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        total_tokens=usage.total_tokens or 0,
        cached_tokens=prompt.cached_tokens,
        cache_creation_tokens=prompt.cache_creation_input_tokens,
        reasoning_tokens=completion.reasoning_tokens,
        credits=None if usage.credits is None else -int(-usage.credits // 1),
    )
