"""Reads the messages of OpenAI's chat request into turns.

A message is one turn, in order. Text stays the JSON string that it was; what a message may hold besides is named in
`_KNOWN`, and anything else is left out with a note, since no upstream reads it.

Strategy: what most clients write is described by `UsualMessage` and decoded in one go, which costs less than reading it field
by field; only the second way can say what is wrong with a message, so it has the last word on all that the first does not take.
"""

from collections.abc import Sequence
from typing import Final, get_args

import msgspec
from msgspec import UNSET, UnsetType

from cody_oai_router.conversation import ImagePart, OtherPart, Part, Role, TextPart, ToolCall, Turn
from cody_oai_router.dialects.openai_chat.thoughts import without_thoughts
from cody_oai_router.faults import Fault

Raws = dict[str, msgspec.Raw]

_ROLES: Final[frozenset[str]] = frozenset(get_args(Role))
_KNOWN: Final = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "cache_control"}
)

STRING: Final = ord('"')
ARRAY: Final = ord("[")
_OBJECT: Final = ord("{")
_KINDS: Final = {
    STRING: "a string",
    ARRAY: "an array",
    _OBJECT: "an object",
    ord("t"): "a boolean",
    ord("f"): "a boolean",
    ord("n"): "null",
}

_string = msgspec.json.Decoder(str)
_object = msgspec.json.Decoder(Raws)
_objects = msgspec.json.Decoder(list[Raws])
_items = msgspec.json.Decoder(list[msgspec.Raw])


class _UsualFunction(msgspec.Struct, gc=False):
    name: str
    arguments: str


class _UsualCall(msgspec.Struct, gc=False):
    function: _UsualFunction
    id: str = ""


class UsualMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message with nothing in it that has to be noted or refused, its content aside."""

    role: Role
    content: msgspec.Raw = msgspec.Raw()
    name: str | UnsetType = UNSET
    tool_calls: tuple[_UsualCall, ...] = ()
    tool_call_id: str | UnsetType = UNSET


def is_null(raw: msgspec.Raw | None) -> bool:
    """Tells whether a field is null, without copying what may be a megabyte of text."""
    return raw is not None and len(raw) == len(b"null") and bytes(raw) == b"null"


def first(raw: msgspec.Raw) -> int:
    """Gives the first byte, which tells the kind of a JSON value."""
    return memoryview(raw)[0]


class Notes:
    """Gathers notes, each once."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        self._notes: set[str] = set()

    def add(self, note: str) -> None:
        """Adds one note of the vocabulary."""
        self._notes.add(note)

    def sorted(self) -> tuple[str, ...]:
        """Gives them in a fixed order."""
        return tuple(sorted(self._notes))


def read_turns(messages: list[Raws], notes: Notes) -> tuple[Turn, ...] | Fault:
    """Reads all messages; gives the first fault that there is."""
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        turn = _turn(message, f"messages[{index}]", notes)
        if isinstance(turn, Fault):
            return turn
        turns.append(turn)
    return tuple(turns)


def usual_turns(messages: Sequence[UsualMessage], notes: Notes) -> tuple[Turn, ...] | None:
    """Gives what `read_turns` gives; nothing where a message has to be read field by field after all."""
    turns: list[Turn] = []
    for message in messages:
        turn = _usual_turn(message, notes)
        if turn is None:
            return None
        turns.append(turn)
    return tuple(turns)


def objects(raw: msgspec.Raw, where: str, expected: str = "an array of objects") -> list[Raws] | Fault:
    """Reads a list of objects; a fault names the item that is none."""
    try:
        return _objects.decode(raw)
    except msgspec.DecodeError:
        if first(raw) != ARRAY:
            return invalid_type(where, expected, raw)
    items = _items.decode(raw)
    index = next(index for index, item in enumerate(items) if first(item) != _OBJECT)
    return invalid_type(f"{where}[{index}]", "an object", items[index])


def invalid_type(where: str, expected: str, raw: msgspec.Raw) -> Fault:
    """Words a wrong type as OpenAI does."""
    message = f"Invalid type for '{where}': expected {expected}, but got {_KINDS.get(first(raw), 'a number')} instead."
    return Fault(kind="bad_request", message=message, param=where, code="invalid_type")


def missing(where: str) -> Fault:
    """Words a field that is not there as OpenAI does."""
    message = f"Missing required parameter: '{where}'."
    return Fault(kind="bad_request", message=message, param=where, code="missing_required_parameter")


def _usual_turn(message: UsualMessage, notes: Notes) -> Turn | None:
    content = message.content
    kind = first(content) if len(content) else None
    parts = (TextPart(content),) if kind == STRING else _content(content if kind else None, "", notes)
    if message.role == "assistant" and not isinstance(parts, Fault):
        parts = _said_before(parts, "", notes)
    if isinstance(parts, Fault):
        return None
    calls: tuple[ToolCall, ...] = ()
    if message.tool_calls:
        if not all(call.function.name and call.function.arguments for call in message.tool_calls):
            return None
        calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls)
    return Turn(
        role=message.role,
        parts=parts,
        listed=kind == ARRAY,
        name=None if message.name is UNSET else message.name,
        calls=calls,
        call_id=None if message.tool_call_id is UNSET else message.tool_call_id,
    )


def _turn(message: Raws, where: str, notes: Notes) -> Turn | Fault:
    role = _role(message.get("role"), where)
    if isinstance(role, Fault):
        return role
    content = message.get("content")
    parts = _parts(message, role, where, notes)
    if isinstance(parts, Fault):
        return parts
    calls = _history(message, where, notes)
    if isinstance(calls, Fault):
        return calls
    _note_others(message, notes)
    return Turn(
        role=role,
        parts=parts,
        listed=content is not None and first(content) == ARRAY,
        name=_text(message, "name"),
        calls=calls,
        call_id=_text(message, "tool_call_id"),
    )


def _role(raw: msgspec.Raw | None, where: str) -> Role | Fault:
    if raw is None:
        return missing(f"{where}.role")
    if first(raw) != STRING:
        return invalid_type(f"{where}.role", "a string", raw)
    role = _string.decode(raw)
    if role in _ROLES:
        return role  # type: ignore[return-value]  # `in _ROLES` is the check; mypy cannot see it
    supported = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
    message = f"Invalid value: '{role}'. Supported values are: {supported}."
    return Fault(kind="bad_request", message=message, param=f"{where}.role", code="invalid_value")


def _parts(message: Raws, role: Role, where: str, notes: Notes) -> tuple[Part, ...] | Fault:
    """Reads the content, and the fields beside it that belong to it."""
    parts = _content(message.get("content"), where, notes)
    if isinstance(parts, Fault):
        return parts
    if role == "assistant":
        said = _said_before(parts, where, notes)
        if isinstance(said, Fault):
            return said
        parts = said
    parts = _with_refusal(message, parts, notes)
    return _with_hint(message, parts, notes)


def _said_before(parts: tuple[Part, ...], where: str, notes: Notes) -> tuple[Part, ...] | Fault:
    """Gives what an assistant said without what it thought; refuses images as OpenAI does: only a user can show any (contract §4.3)."""
    if any(isinstance(part, ImagePart) for part in parts):
        message = (
            f"Invalid '{where}'. Image URLs are only allowed for messages with role 'user', but this message with role 'assistant' "
            "contains an image URL."
        )
        return Fault(kind="bad_request", message=message, param=where, code="invalid_value")
    head = parts[0] if parts else None
    if not isinstance(head, TextPart) or (bare := without_thoughts(head.text)) is None:
        return parts
    notes.add("think-tags:dropped")
    return (TextPart(bare, head.cache_control), *parts[1:])


def _with_refusal(message: Raws, parts: tuple[Part, ...], notes: Notes) -> tuple[Part, ...]:
    """Puts a refusal where the content would be; beside a content, which OpenAI never has, it is left out."""
    raw = message.get("refusal")
    if raw is None or is_null(raw):
        return parts
    if first(raw) != STRING or not all(map(_is_empty, parts)):
        notes.add("message-fields:dropped")
        return parts
    notes.add("refusal:as-text")
    return (TextPart(raw),)


def _with_hint(message: Raws, parts: tuple[Part, ...], notes: Notes) -> tuple[Part, ...]:
    """Moves the cache hint of a message to its last text, which is as far as it reaches; one that stands there already stays."""
    texts = {at: part for at, part in enumerate(parts) if isinstance(part, TextPart) and not _is_empty(part)}
    hint = _hint(message.get("cache_control"), notes, carried=bool(texts))
    if hint is None:
        return parts
    at, last = texts.popitem()
    return (*parts[:at], TextPart(last.text, last.cache_control or hint), *parts[at + 1 :])


def _hint(raw: msgspec.Raw | None, notes: Notes, *, carried: bool) -> msgspec.Raw | None:
    """Gives a cache hint, nothing for what is none or has no place to stand."""
    if raw is None or is_null(raw):
        return None
    if carried and first(raw) == _OBJECT:
        return raw
    notes.add("cache_control:dropped")
    return None


def _is_empty(part: Part) -> bool:
    return isinstance(part, TextPart) and len(part.text) == len(b'""')


def _content(raw: msgspec.Raw | None, where: str, notes: Notes) -> tuple[Part, ...] | Fault:
    if raw is None or is_null(raw):
        return ()
    if first(raw) == STRING:
        return (TextPart(raw),)
    items = objects(raw, f"{where}.content", "a string or an array of objects")
    if isinstance(items, Fault):
        return items
    parts: list[Part] = []
    for index, item in enumerate(items):
        part = _part(item, f"{where}.content[{index}]", notes)
        if isinstance(part, Fault):
            return part
        parts.append(part)
    return tuple(parts)


def _part(item: Raws, where: str, notes: Notes) -> Part | Fault:
    kind = _text(item, "type")
    hint = _hint(item.get("cache_control"), notes, carried=kind in ("text", "refusal"))
    if kind == "image_url":
        return _image(item, where)
    if kind not in ("text", "refusal"):
        return OtherPart(kind or "")
    text = item.get(kind)
    if text is None or is_null(text):
        return missing(f"{where}.{kind}")
    if first(text) != STRING:
        return invalid_type(f"{where}.{kind}", "a string", text)
    if kind == "refusal":
        notes.add("refusal:as-text")
    return TextPart(text, hint)


def _image(item: Raws, where: str) -> ImagePart | Fault:
    raw = item.get("image_url")
    if raw is None or first(raw) != _OBJECT:
        return missing(f"{where}.image_url") if raw is None else invalid_type(f"{where}.image_url", "an object", raw)
    image = _object.decode(raw)
    url = image.get("url")
    if url is None or first(url) != STRING:
        return missing(f"{where}.image_url.url")
    return ImagePart(url, _text(image, "detail"))


def _history(message: Raws, where: str, notes: Notes) -> tuple[ToolCall, ...] | Fault:
    raw = message.get("tool_calls")
    if raw is None or is_null(raw):
        return _legacy_history(message, where, notes)
    items = objects(raw, f"{where}.tool_calls")
    if isinstance(items, Fault):
        return items
    calls: list[ToolCall] = []
    for index, item in enumerate(items):
        call = _call(item.get("function"), f"{where}.tool_calls[{index}].function", _text(item, "id"), notes)
        if isinstance(call, Fault):
            return call
        calls.append(call)
    return tuple(calls)


def _legacy_history(message: Raws, where: str, notes: Notes) -> tuple[ToolCall, ...] | Fault:
    raw = message.get("function_call")
    if raw is None or is_null(raw):
        return ()
    notes.add("functions:as-tools")
    call = _call(raw, f"{where}.function_call", None, notes)
    return call if isinstance(call, Fault) else (msgspec.structs.replace(call, id=f"call_{call.name}"),)


def _call(raw: msgspec.Raw | None, where: str, call_id: str | None, notes: Notes) -> ToolCall | Fault:
    if raw is None or is_null(raw):
        return missing(where)
    if first(raw) != _OBJECT:
        return invalid_type(where, "an object", raw)
    function = _object.decode(raw)
    name = _text(function, "name")
    if not name:
        return missing(f"{where}.name")
    arguments = function.get("arguments")
    if arguments is not None and not is_null(arguments) and first(arguments) != STRING:
        return invalid_type(f"{where}.arguments", "a string", arguments)
    text = _text(function, "arguments")
    if not text:
        notes.add("arguments:filled")
    return ToolCall(call_id or "", name, text or "{}")


def _note_others(message: Raws, notes: Notes) -> None:
    for name, raw in message.items():
        if is_null(raw) and name != "content":
            notes.add("nulls:dropped")
        elif name not in _KNOWN:
            notes.add("reasoning_content:dropped" if name == "reasoning_content" else "message-fields:dropped")


def _text(fields: Raws, name: str) -> str | None:
    raw = fields.get(name)
    if raw is None or first(raw) != STRING:
        return None
    return _string.decode(raw)
