"""The scripted model: it decides what to say from the last words of the user, so that a test reads like a conversation.

Markers in the last user text decide; without one it repeats that text, or calls a tool whose name the text mentions, or
quotes the tool results that it was given. Tools that are offered in words (see `emulation`) it calls in words.

| marker | the model |
|---|---|
| `[[text:T]]`, `[[words:N]]`, `[[empty]]` | says exactly T; N words; nothing |
| `[[call:NAME ARGUMENTS]]` (repeatable) | calls a tool with these JSON arguments, or with some made from its schema |
| `[[calls:N]]` | makes N parallel calls, going round the offered tools |
| `[[pace:S]]` | waits S seconds before each piece |
| `[[silence:S]]`, `[[hold:NAME]]` | is silent before the first byte: S seconds; until the test releases NAME |
| `[[mid-silence:S]]`, `[[mid-hold:NAME]]` | the same in the middle |
| `[[error:T]]`, `[[mid-error:T]]` | fails with T before the first piece, in the middle |
| `[[status:CODE T]]` | is refused by its provider with this status and text |
| `[[finish:WORD]]` | ends with this finish word |
| `[[think:T]]` | thinks T before it answers, if it is a model that thinks |
| `[[attribution]]` | says something in the middle whose source cannot be looked up, which ends nothing (contract §4.4) |
| `[[eaten]]` | has spent its budget on thinking: nothing said, finish word `length` (contract §3.2) |
| `[[lost-deltas]]` | streams `finish_reason: "tool_calls"` without the calls (trap 19) |
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, NamedTuple

from cody_oai_router.simulator.emulation import Offer, read_offer, without_instruction
from cody_oai_router.simulator.schema import example
from cody_oai_router.simulator.steps import Hold, Wait

DEMO = "This is a demo answer from the simulator built into Cody OAI Router; it does not come from Sourcegraph.\n\n"


class Message(NamedTuple):
    """One message of the conversation as the provider sees it; on the LLM API it is text only (trap 25)."""

    role: str
    text: str
    calls: bool = False
    results: tuple[str, ...] = ()
    """Tool results that came as such, on Cody's stream."""
    images: tuple[str, ...] = ()
    """A description of each image that the model sees."""


class Tool(NamedTuple):
    """A tool on offer."""

    name: str
    parameters: Mapping[str, Any]


class Text(NamedTuple):
    """Some words of the answer."""

    text: str


class Thought(NamedTuple):
    """Some words of what a thinking model thinks before it answers."""

    text: str


class Attribution(NamedTuple):
    """The search for the source of what is said fails here, which ends nothing (contract §4.4)."""

    message: str


class Call(NamedTuple):
    """A tool call; `arguments` is JSON text."""

    name: str
    arguments: str


class Fail(NamedTuple):
    """The provider fails here; a `status` of its own is possible only before anything was said."""

    message: str
    status: int | None = None


Part = Text | Thought | Call | Attribution | Fail | Wait | Hold


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model does for one request, part by part; `finish` overrides the finish word."""

    parts: tuple[Part, ...]
    finish: str | None = None
    lost_deltas: bool = False


def respond(messages: Sequence[Message], tools: Sequence[Tool], *, demo: bool = False, thinks: bool = False) -> Reply:
    """Returns what the scripted model says to this conversation; `thinks` makes it show what it thinks."""
    said = _last_words(messages)
    markers = _read_markers(said)
    offer = None if tools else read_offer(_instructions(messages))
    offered = [Tool(tool["name"], tool.get("parameters") or {}) for tool in offer.tools] if offer else tools
    content = list(_content(messages, offered, _MARKER.sub("", said).strip(), markers))
    if offer:
        content = [*_in_words(content, offer)]
    if demo:
        content.insert(0, Text(DEMO))
    if thinks:
        content.insert(0, Thought(markers.get("think", [_THOUGHT])[-1]))
    return Reply(
        parts=tuple(_staged(content, markers)),
        finish="length" if "eaten" in markers else markers.get("finish", [None])[0],
        lost_deltas="lost-deltas" in markers,
    )


def tokens(text: str) -> list[str]:
    """Cuts a text into the tokens of this model: words with the space after them; joined they are the text again."""
    return re.findall(r"\S+\s*|\s+", text)


def split(part: Part) -> Sequence[Part]:
    """Splits what is said or thought into parts of one token each."""
    match part:
        case Text(text):
            return [Text(token) for token in tokens(text)]
        case Thought(text):
            return [Thought(token) for token in tokens(text)]
    return [part]


_THOUGHT = "Let me think about this."
_TELLING = 4  # letters: "get" and "the" say nothing about which tool is meant
_MARKER = re.compile(r"\[\[([a-z-]+)(?::(.*?))?\]\]", re.DOTALL)
_SYSTEM = re.compile(r"<SYSTEM_PROMPT>.*?</SYSTEM_PROMPT>\s*", re.DOTALL)
_RESULT = re.compile(r"<TOOL_RESULT(?:\s[^>]*)?>(.*?)</TOOL_RESULT>", re.DOTALL)


def _read_markers(text: str) -> dict[str, list[str]]:
    markers: dict[str, list[str]] = {}
    for name, value in _MARKER.findall(text):
        markers.setdefault(name, []).append(value)
    return markers


def _last_turn(messages: Sequence[Message]) -> tuple[list[Message], Message | None]:
    """Returns the user's messages at the end, and the assistant's message before them."""
    turn: list[Message] = []
    for message in reversed(messages):
        if message.role != "user":
            return turn, message
        turn.insert(0, message)
    return turn, None


def _instructions(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages if message.role != "assistant"]


def _own_words(message: Message) -> str:
    """Returns what the user says himself, beside a system prompt in a tag and an instruction about tools."""
    return without_instruction(_SYSTEM.sub("", message.text))


def _last_words(messages: Sequence[Message]) -> str:
    """Returns the last user text that says something; tool results and images that came as such say something too."""
    for message in reversed(messages):
        words = _own_words(message) if message.role == "user" else ""
        if words.strip() or message.results or message.images:
            return words
    return ""


def _results(messages: Sequence[Message]) -> list[str]:
    """Returns the tool results of the last turn: as such, tagged, or as the text that follows a tool call."""
    turn, before = _last_turn(messages)
    if native := [result for message in turn for result in message.results]:
        return native
    tagged = [result for message in turn for result in _RESULT.findall(_own_words(message))]
    return tagged or ([message.text for message in turn] if before and before.calls else [])


def _seen(messages: Sequence[Message]) -> str:
    """Describes the images of the last turn, in brackets."""
    turn, _ = _last_turn(messages)
    return "".join(f" [{image}]" for message in turn for image in message.images)


def _in_words(content: Sequence[Part], offer: Offer) -> Iterator[Part]:
    for part in content:
        yield Text(offer.call(part.name, part.arguments)) if isinstance(part, Call) else part


def _content(
    messages: Sequence[Message], tools: Sequence[Tool], said: str, markers: Mapping[str, list[str]]
) -> Iterator[Part]:
    calls = _calls(tools, markers)
    if "empty" in markers or "eaten" in markers:
        return
    if "text" in markers:
        yield Text(markers["text"][0])
    elif "words" in markers:
        yield Text(" ".join(f"word{number}" for number in range(1, int(markers["words"][0]) + 1)))
    elif not calls and (results := _results(messages)):
        yield Text(f"The tool answered: {' | '.join(results)}")
    elif not calls and not (calls := _mentioned(tools, said)):
        yield Text(f"You said: {said}{_seen(messages)}")
    yield from calls


def _calls(tools: Sequence[Tool], markers: Mapping[str, list[str]]) -> list[Call]:
    offered = {tool.name: tool for tool in tools}
    named = [value.partition(" ") for value in markers.get("call", ())]
    calls = [Call(name, arguments or _arguments(offered[name])) for name, _, arguments in named if name in offered]
    around = islice(cycle(tools), int(markers["calls"][0])) if "calls" in markers else ()
    return [*calls, *(Call(tool.name, _arguments(tool)) for tool in around)]


def _mentioned(tools: Sequence[Tool], said: str) -> list[Call]:
    """Calls the first tool that the text asks for: a telling word of its name occurs in it."""
    heard = set(re.findall(r"[a-z0-9]+", said.lower()))
    for tool in tools:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", tool.name) if len(word) >= _TELLING}
        if tool.name in said or words & heard:
            return [Call(tool.name, _arguments(tool))]
    return []


def _arguments(tool: Tool) -> str:
    return json.dumps(example(tool.parameters, tool.parameters, "value"), ensure_ascii=False)


def _staged(content: Sequence[Part], markers: Mapping[str, list[str]]) -> Iterator[Part]:
    """Puts silences and failures before and into what is said."""
    yield from _interruptions(markers, "")
    if "status" in markers:
        code, _, text = markers["status"][0].partition(" ")
        yield Fail(text, int(code))
    middle = list(_interruptions(markers, "mid-"))
    pieces = [piece for part in content for piece in split(part)]
    pace = [Wait(float(markers["pace"][0]))] if "pace" in markers else []
    for position, piece in enumerate(pieces):
        if position == len(pieces) // 2:
            yield from middle
        yield from (*pace, piece)


def _interruptions(markers: Mapping[str, list[str]], prefix: str) -> Iterator[Part]:
    yield from (Wait(float(seconds)) for seconds in markers.get(f"{prefix}silence", ()))
    yield from (Hold(name) for name in markers.get(f"{prefix}hold", ()))
    yield from (Fail(message) for message in markers.get(f"{prefix}error", ()))
    yield from (Attribution("attribution search failed") for _ in markers.get("attribution", ()) if prefix)
