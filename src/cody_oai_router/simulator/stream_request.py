"""Reads the body of a request to Cody's stream as Go decodes it (contract §4.3): unknown keys are ignored, wrong types not.

What decodes is then resolved to a model; whatever else is wrong with it is the provider's to say (see `complaints`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any

from cody_oai_router.simulator import catalogue
from cody_oai_router.simulator.catalogue import Model
from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.model import Message, Tool
from cody_oai_router.simulator.refusals import REFUSALS, Refusal
from cody_oai_router.simulator.stream_version import LEGACY

# The api-version with which each thing came; [I]: the version that is asked for decides, not the server's newest.
CONTENT, CACHING, TOOLS = 3, 7, 8

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message as it was decoded: who speaks, and parts in the wire's own form."""

    speaker: str
    parts: Sequence[Fields]

    @property
    def text(self) -> str:
        """The text and the files of all parts, joined."""
        return "".join(_text(part) for part in self.parts)

    def of(self, kind: str) -> list[Any]:
        """Returns what the parts of one kind hold."""
        return [part.get(kind) or {} for part in self.parts if part.get("type") == kind]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was decoded and whose model exists."""

    body: Fields
    version: int
    model: Model
    turns: Sequence[Turn]
    tools: Sequence[Tool]

    @property
    def streams(self) -> bool:
        """Whether the answer is to be a stream, which it is unless told otherwise."""
        return self.body.get("stream") is not False

    @property
    def max_tokens(self) -> int:
        """The longest answer; 0 where it was not said."""
        return self.body.get("maxTokensToSample") or 0

    @property
    def stop(self) -> Sequence[str]:
        """The stop sequences; Claude is not shown those that are nothing but space."""
        words: Sequence[str] = self.body.get("stopSequences") or ()
        return [word for word in words if word.strip()] if self.model.provider == "anthropic" else words

    @property
    def messages(self) -> list[Message]:
        """The conversation as the model sees it: without vision it sees no images [I]."""
        return [_message(turn, self.model) for turn in self.turns]


def read_request(body: Any, version: int, instance: Instance) -> Asked | Refusal:
    """Returns the request, or the status with which it is refused before anything is streamed."""
    if not _fits(body, _TYPES) or not all(isinstance(word, str) for word in body.get("stopSequences") or ()):
        return REFUSALS["undecodable"]
    turns = [_read_turn(message, version, instance) for message in body.get("messages") or ()]
    tools = list(_read_tools(body)) if version >= TOOLS else []
    if None in turns or None in tools:
        return REFUSALS["undecodable"]
    decoded = [turn for turn in turns if turn is not None]
    if any(turn.of("repo") for turn in decoded):
        return REFUSALS["no repo"]
    model = _find_model(body, instance)
    if model is None:
        return REFUSALS["unknown model"].about(body.get("model") or "", catalogue.default_ref(instance.models))
    seen = [tool for tool in tools if tool is not None] if model.can("tools") else []  # [I]: else they are not shown it
    return Asked(body, version, model, _without_legacy_end(decoded, version), seen)


_Types = Mapping[str, type | UnionType]

_TYPES: _Types = {
    "model": str,
    "messages": list,
    "tools": list,
    "stopSequences": list,
    "maxTokensToSample": int,
    "temperature": int | float,
    "topK": int | float,
    "topP": int | float,
    "stream": bool,
    "fast": bool,
    "prediction": dict,
}
_MESSAGE_TYPES: _Types = {"speaker": str, "role": str, "text": str, "content": str | list}
_ROLES = {"user": "human"}
_OLD_PARTS = {"text", "image_url", "file", "repo", "context_file", "context_repo", "input_audio"}
_TOOL_PARTS = {"tool_call", "tool_result"}
_PART_TYPES: Mapping[str, _Types] = {
    "image_url": {"url": str, "detail": str},
    "file": {"uri": str, "language_id": str, "content": str},
    "repo": {"name": str, "id": str},
    "tool_call": {"id": str, "name": str, "arguments": str},
    "tool_result": {"id": str, "content": str},
}


def _fits(fields: Any, types: _Types) -> bool:
    """Tells whether every known field has its type; null is as good as absent, and true is no number."""
    if not isinstance(fields, dict):
        return False
    for name, kind in types.items():
        value = fields.get(name)
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            return False
    return True


def _read_turn(message: Any, version: int, instance: Instance) -> Turn | None:
    """Reads one message, None where it does not decode; builds of 2024 know only `speaker` and `text`.

    `content` beside `text` was refused at version 2, the same message without it taken, `cacheEnabled` and all (recorded
    on 2025-02-21). [I]: before 3 it is refused alone too, and beside `text` in every version.
    """
    if not _fits(message, _MESSAGE_TYPES) or (version < CACHING and "cache_control" in message):
        return None
    content = None if instance.profile.old else message.get("content")
    role = "" if instance.profile.old else message.get("role") or ""
    speaker = message.get("speaker") or _ROLES.get(role, role)
    if content is None:
        return Turn(speaker, [{"type": "text", "text": message.get("text") or ""}])
    if version < CONTENT or message.get("text") is not None:
        return None
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return Turn(speaker, parts) if all(_decodes(part, version) for part in parts) else None


def _decodes(part: Any, version: int) -> bool:
    """Tells whether a build knows a content part; tool parts came with 8."""
    known = _OLD_PARTS if version < TOOLS else _OLD_PARTS | _TOOL_PARTS
    if not _fits(part, {"type": str, "text": str}) or part.get("type") not in known:
        return False
    if version < CACHING and "cache_control" in part:
        return False
    return _fits(part.get(part["type"]) or {}, _PART_TYPES.get(part["type"], {})) if part["type"] != "text" else True


def _read_tools(body: Fields) -> Iterator[Tool | None]:
    """Reads the tools on offer; None stands for one that does not decode."""
    for tool in body.get("tools") or ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if function is None or not _fits(function, {"name": str, "description": str}):
            yield None
        else:
            yield Tool(function.get("name") or "", function.get("parameters") or {})


def _find_model(body: Fields, instance: Instance) -> Model | None:
    """Finds the chat model; none named means the site's default, `fast` its fast one whatever was named."""
    default = catalogue.fast_ref if body.get("fast") else catalogue.default_ref
    name = "" if body.get("fast") else body.get("model") or ""
    model = catalogue.resolve(instance.models, name or default(instance.models))
    return model if model is not None and model.chats else None


def _without_legacy_end(turns: Sequence[Turn], version: int) -> Sequence[Turn]:
    """Takes away the empty turn of the assistant that legacy clients end with."""
    if version == LEGACY and turns and turns[-1].speaker == "assistant" and not turns[-1].text:
        return turns[:-1]
    return turns


def _text(part: Fields) -> str:
    read: Callable[[Fields], str] = _TEXTS.get(part.get("type") or "", lambda _: "")
    return read(part)


_TEXTS: Mapping[str, Callable[[Fields], str]] = {
    "text": lambda part: part.get("text") or "",
    "file": lambda part: (part.get("file") or {}).get("content") or "",  # an OpenAI-style file has none: trap 28
    "context_file": lambda part: str(part.get("content") or ""),
}
_SPEAKERS = {"human": "user"}


def _message(turn: Turn, model: Model) -> Message:
    images = [image.get("url") or "" for image in turn.of("image_url")] if model.can("vision") else []
    return Message(
        role=_SPEAKERS.get(turn.speaker, turn.speaker),
        text=turn.text,
        calls=bool(turn.of("tool_call")),
        results=tuple(result.get("content") or "" for result in turn.of("tool_result")),
        images=tuple(_describe(image) for image in images),
    )


def _describe(url: str) -> str:
    """Describes an image as the model quotes it: its type and how many characters of base64 it was."""
    media, _, data = url.removeprefix("data:").partition(";base64,")
    return f"{media}, {len(data)} characters of base64"
