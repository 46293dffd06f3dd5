"""A request and a whole answer, in no dialect.

Strategy: text travels as the JSON string that the client wrote (`msgspec.Raw`, quotes included). Every dialect here is
JSON, so a megabyte of conversation goes from one to the other without being decoded, and arrives byte for byte as it
was.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, assert_never

import msgspec

from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Rewritten,
    Stop,
    StopReason,
    Text,
    Usage,
)
from cody_oai_router.faults import Fault

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class TextPart(msgspec.Struct, frozen=True):
    """Text; `text` is a JSON string with its quotes, `cache_control` a hint (JSON) that the prompt is worth keeping up to here."""

    text: msgspec.Raw
    cache_control: msgspec.Raw | None = None


class ImagePart(msgspec.Struct, frozen=True):
    """An image by its address, mostly a `data:` URL; `url` is a JSON string with its quotes."""

    url: msgspec.Raw
    detail: str | None = None


class OtherPart(msgspec.Struct, frozen=True):
    """A part that no upstream here can carry (`input_audio`, `file`, …); `kind` is its type as the client named it."""

    kind: str


Part = TextPart | ImagePart | OtherPart


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model asked for; `arguments` is JSON text, not yet parsed by anyone."""

    id: str
    name: str
    arguments: str


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `listed` tells that the client wrote its content as a list of parts rather than as one string."""

    role: Role
    parts: tuple[Part, ...] = ()
    listed: bool = False
    name: str | None = None
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that the client offers; `description` and `parameters` (a JSON schema) are as the client wrote them."""

    name: str
    description: msgspec.Raw | None = None
    parameters: msgspec.Raw | None = None
    strict: bool | None = None


class Named(msgspec.Struct, frozen=True):
    """A choice that names tools, at least one; `required` tells that one of them must be called (OpenAI's `allowed_tools` has both)."""

    names: tuple[str, ...]
    required: bool = True


ToolChoice = Literal["auto", "none", "required"] | Named


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """What the client asks an answer to be: `schema` is JSON as it wrote it, checked where `strict`."""

    kind: Literal["json_object", "json_schema"]
    name: str = ""
    description: str | None = None
    schema: msgspec.Raw | None = None
    strict: bool = False


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for.

    `model` is the name as the client wrote it, empty where it gave none. `adapted` lists what reading the request
    already changed. `reasoning` tells that the client asked for a model that thinks first. `choices` is how many answers it wants.
    `prediction` is text (JSON, in OpenAI's form) that much of the answer is likely to repeat.
    """

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_calls: bool = True
    format: Format | None = None
    prediction: msgspec.Raw | None = None
    reasoning: bool = False
    legacy_functions: bool = False
    choices: int = 1
    adapted: tuple[str, ...] = ()


# Stands for a prompt that nobody will need again, which may have been megabytes.
FORGOTTEN: Final = Prompt(model="", turns=())


class Stamp(msgspec.Struct, frozen=True):
    """What a writer may not invent: an id (hex digits), the model's name as the client wrote it, and the time (Unix seconds)."""

    id: str
    model: str
    created: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    stop: StopReason = "stop"
    usage: Usage | None = None
    adapted: tuple[str, ...] = ()


class ListedModel(msgspec.Struct, frozen=True):
    """One line of a model listing; `created` is in Unix seconds, 0 where nobody knows; limits are in tokens."""

    id: str
    owned_by: str
    created: int = 0
    max_input: int | None = None
    max_output: int | None = None
    abilities: tuple[str, ...] = ()


class Collector:
    """Folds the events of an answer into a `Reply`, as they come; `size` is how many characters it holds."""

    __slots__ = (
        "_adapted",
        "_arguments",
        "_calls",
        "_fault",
        "_reasoning",
        "_stop",
        "_taken",
        "_text",
        "size",
        "usage",
    )

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[CallStart] = []
        self._arguments: list[list[str]] = []
        self._stop: StopReason | None = None
        self.usage: Usage | None = None
        self._adapted: dict[str, None] = {}
        self.size = 0
        self._taken: Reply | None = None
        self._fault: Fault | None = None

    def feed(self, events: Sequence[Event]) -> None:
        """Takes the next events; after a `Failed` nothing more counts."""
        texts = [event.text for event in events if type(event) is Text]
        if len(texts) == len(events):
            self._text += texts
            self.size += sum(map(len, texts))
            return
        for event in events:
            self._event(event)

    def take(self, reply: Reply) -> None:
        """Takes an answer in one piece, instead of events."""
        self._taken = reply

    def reply(self) -> Reply | Fault:
        """Gives the whole answer, or the fault that broke it."""
        if self._taken is not None:
            return self._taken
        if self._fault is not None:
            return self._fault
        if self._stop is None:
            return Fault(kind="bad_gateway", message="The answer from Sourcegraph broke off before it was complete.")
        calls = zip(self._calls, self._arguments, strict=True)
        return Reply(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            calls=tuple(ToolCall(start.id, start.name, "".join(pieces)) for start, pieces in calls),
            stop=self._stop,
            usage=self.usage,
            adapted=tuple(self._adapted),
        )

    def _event(self, event: Event) -> None:
        match event:
            case Text():
                self._text.append(event.text)
                self.size += len(event.text)
            case Rewritten():
                self.size += len(event.text) - sum(map(len, self._text))
                self._text = [event.text]
            case Reasoning():
                self._reasoning.append(event.text)
                self.size += len(event.text)
            case CallStart():
                self._calls.append(event)
                self._arguments.append([])
            case CallArguments():
                self._arguments[event.index].append(event.text)
                self.size += len(event.text)
            case Stop():
                self._stop = event.reason
            case Usage():
                self.usage = event
            case Adapted():
                self._adapted[event.note] = None
            case Failed():
                self._fault = self._fault or event.fault
            case _:
                assert_never(event)


def usage_together(usages: Sequence[Usage]) -> Usage | None:
    """Gives what several choices cost: the prompt counted once, as OpenAI does, and all that was billed beside it."""
    if len(usages) <= 1:
        return usages[0] if usages else None
    first = max(usages, key=lambda usage: usage.prompt_tokens)
    completion = sum(usage.completion_tokens for usage in usages)
    reasoning = [usage.reasoning_tokens for usage in usages if usage.reasoning_tokens is not None]
    credits_ = [usage.credits for usage in usages if usage.credits is not None]
    return msgspec.structs.replace(
        first,
        completion_tokens=completion,
        total_tokens=first.prompt_tokens + completion,
        reasoning_tokens=sum(reasoning) if reasoning else None,
        credits=sum(credits_) if credits_ else None,
        billed_tokens=sum(map(_billed, usages)),
        estimated=any(usage.estimated for usage in usages),
    )


def usage_after(rejected: Usage | None, usage: Usage | None) -> Usage | None:
    """Gives the usage of an answer that was asked for a second time: the client's own prompt, and what both attempts cost."""
    if rejected is None or usage is None:
        return usage
    spent = (
        None if rejected.credits is None and usage.credits is None else (rejected.credits or 0) + (usage.credits or 0)
    )
    return msgspec.structs.replace(
        usage,
        prompt_tokens=rejected.prompt_tokens,
        total_tokens=rejected.prompt_tokens + usage.completion_tokens,
        credits=spent,
        billed_tokens=_billed(rejected) + _billed(usage),
    )


def _billed(usage: Usage) -> int:
    return usage.billed_tokens or usage.total_tokens or usage.prompt_tokens + usage.completion_tokens


def collect(events: Iterable[Event]) -> Reply | Fault:
    """Folds a streamed answer into a whole one."""
    collector = Collector()
    collector.feed(list(events))
    return collector.reply()


def play(reply: Reply) -> Iterator[Event]:
    """Gives a whole answer as a streamed one: the inverse of `collect`."""
    if reply.reasoning:
        yield Reasoning(reply.reasoning)
    if reply.text:
        yield Text(reply.text)
    for index, call in enumerate(reply.calls):
        yield CallStart(index, call.id, call.name)
        if call.arguments:
            yield CallArguments(index, call.arguments)
    for note in reply.adapted:
        yield Adapted(note)
    yield Stop(reply.stop)
    if reply.usage is not None:
        yield reply.usage
