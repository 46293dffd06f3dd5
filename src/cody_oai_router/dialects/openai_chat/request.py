"""Reads OpenAI's chat request into a `Prompt`.

Strategy: the body is decoded one level deep, each field as the bytes it stood in (`Raw`): the whole document is checked,
large texts are never decoded, and an error can name the field it is in. What the LLM API cannot take is left out here
only where it means the same to every upstream; each change leaves a note (`notes.py`).

What most clients send fits `_Usual` and is decoded in one go before that is tried. It gives the same prompt for a third of the
instructions, and never a fault of its own: a body that it does not take is read field by field.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Final, TypedDict, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from cody_oai_router.conversation import Prompt, Tool
from cody_oai_router.dialects.openai_chat.messages import (
    STRING,
    Notes,
    Raws,
    UsualMessage,
    chosen_names,
    first,
    invalid_type,
    is_null,
    missing,
    objects,
    read_turns,
    usual_turns,
)
from cody_oai_router.faults import Fault
from cody_oai_router.notes import DROPPED_FIELDS, UNKNOWN_FIELD

T = TypeVar("T")

# OpenAI's own limit on stop sequences (CreateChatCompletionRequest, `stop`).
MAX_STOPS: Final = 4

_body = msgspec.json.Decoder(dict[str, Raw])

# The kinds that a field can have, each with its decoder (making one costs more than using it) and OpenAI's word for it.
_Kind = tuple[Callable[[Raw], T], str]
_BOOLEAN: Final[_Kind[bool]] = (msgspec.json.Decoder(bool).decode, "a boolean")
_INTEGER: Final[_Kind[int]] = (msgspec.json.Decoder(int).decode, "an integer")
_DECIMAL: Final[_Kind[float]] = (msgspec.json.Decoder(float).decode, "a decimal")
_STRING: Final[_Kind[str]] = (msgspec.json.Decoder(str).decode, "a string")
_STRINGS: Final[_Kind[list[str]]] = (msgspec.json.Decoder(list[str]).decode, "an array")
_OBJECT: Final[_Kind[Raws]] = (msgspec.json.Decoder(dict[str, Raw]).decode, "an object")

_REFUSABLE: Final = frozenset({"logprobs", "modalities", "n"})

_READ_HERE: Final = frozenset(
    {
        "model", "messages", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "n",
        "tools", "functions",
    }
)  # fmt: skip


_ABSENT: Final = Raw()


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields that most clients send, in the form that is not refused; those that are `Raw` are read one by one."""

    messages: Annotated[list[UsualMessage], Meta(min_length=1)]
    model: str = ""
    stream: bool = False
    max_tokens: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    max_completion_tokens: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    stream_options: Raw = _ABSENT
    stop: Raw = _ABSENT
    tools: Raw = _ABSENT
    tool_choice: Raw = _ABSENT
    parallel_tool_calls: Raw = _ABSENT
    reasoning_effort: Raw = _ABSENT
    frequency_penalty: Raw = _ABSENT
    presence_penalty: Raw = _ABSENT
    seed: Raw = _ABSENT
    user: Raw = _ABSENT


_usual = msgspec.json.Decoder(_Usual)
_ONE_BY_ONE: Final = tuple(field.name for field in msgspec.structs.fields(_Usual) if field.type is Raw)
_one_by_one = attrgetter(*_ONE_BY_ONE)
_NONE_OF_THEM: Final = (_ABSENT,) * len(_ONE_BY_ONE)


class _Rest(TypedDict, total=False):
    """The fields of a `Prompt` that are read one by one."""

    include_usage: bool
    stop: tuple[str, ...]
    tools: tuple[Tool, ...]
    reasoning: bool


class _Refused(Exception):  # noqa: N818 - control flow inside this module, never an error that leaves it
    """Carries a `Fault` out of the reading of one field."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def read_prompt(body: bytes | bytearray) -> Prompt | Fault:
    """Reads the body of `POST /chat/completions`; never raises, whatever the bytes are."""
    try:
        return _read(body)
    except _Refused as refused:
        return refused.fault
    except RecursionError:
        return Fault(kind="bad_request", message="The body is nested too deeply.", code="invalid_json")


def _read(body: bytes | bytearray) -> Prompt:
    try:
        if not body.isascii():
            str(body, "utf-8")  # msgspec does not look into strings that it skips
        return _usual_prompt(body) or _any_prompt(body)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise _Refused(_not_json(body, error)) from None


def _usual_prompt(body: bytes | bytearray) -> Prompt | None:
    try:
        usual = _usual.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    notes = Notes()
    turns = usual_turns(usual.messages, notes)
    if turns is None:
        return None
    raws = _one_by_one(usual)
    rest = _Rest() if raws == _NONE_OF_THEM else _rest(raws, notes)
    if rest is None:
        return None
    newer, older = usual.max_completion_tokens, usual.max_tokens
    if newer is not UNSET:
        notes.add("max_completion_tokens:renamed")
    max_tokens = older if newer is UNSET else newer
    return Prompt(
        model=usual.model,
        turns=turns,
        stream=usual.stream,
        max_tokens=None if max_tokens is UNSET else max_tokens,
        temperature=None if usual.temperature is UNSET else usual.temperature,
        top_p=None if usual.top_p is UNSET else usual.top_p,
        adapted=notes.sorted(),
        **rest,
    )


def _rest(raws: tuple[Raw, ...], notes: Notes) -> _Rest | None:
    fields = {name: raw for name, raw in zip(_ONE_BY_ONE, raws, strict=True) if raw is not _ABSENT}
    if any(map(is_null, fields.values())):
        return None
    _note_dropped(fields, notes)
    return {
        "include_usage": _include_usage(fields),
        "stop": _stop(fields, notes),
        "tools": _tools(fields, notes),
        "reasoning": _wants_reasoning(fields),
    }


def _any_prompt(body: bytes | bytearray) -> Prompt:
    notes = Notes()
    return _prompt(_without_nulls(_body.decode(body), notes), notes)


def _not_json(body: bytes | bytearray, error: Exception) -> Fault:
    if not body:
        return Fault(kind="bad_request", message="The body is empty; send a JSON object with `model` and `messages`.")
    if isinstance(error, msgspec.ValidationError):
        return Fault(kind="bad_request", message="The body must be a JSON object with `model` and `messages`.")
    reason = str(error).removeprefix("JSON is malformed: ")
    if isinstance(error, UnicodeDecodeError):
        reason = "it is not UTF-8"
    elif "truncated" in reason and body.rstrip().endswith(b"}"):
        reason = r"it ends too early, or a string holds half of a surrogate pair (such as \ud800)"
    return Fault(kind="bad_request", message=f"The body is not valid JSON: {reason}.", code="invalid_json")


def _without_nulls(fields: Raws, notes: Notes) -> Raws:
    kept = {name: raw for name, raw in fields.items() if not is_null(raw)}
    if len(kept) != len(fields):
        notes.add("nulls:dropped")
    return kept


def _prompt(fields: Raws, notes: Notes) -> Prompt:
    if not _REFUSABLE.isdisjoint(fields):
        _refuse(fields)
    _note_dropped(fields, notes)
    turns = read_turns(_messages(fields), notes)
    if isinstance(turns, Fault):
        raise _Refused(turns)
    return Prompt(
        model=_field(fields, "model", _STRING) or "",
        turns=turns,
        stream=_field(fields, "stream", _BOOLEAN) or False,
        include_usage=_include_usage(fields),
        max_tokens=_max_tokens(fields, notes),
        temperature=_number(fields, "temperature", 2),
        top_p=_number(fields, "top_p", 1),
        stop=_stop(fields, notes),
        tools=_tools(fields, notes),
        reasoning=_wants_reasoning(fields),
        legacy_functions="functions" in fields and "tools" not in fields,
        adapted=notes.sorted(),
    )


def _note_dropped(fields: Raws, notes: Notes) -> None:
    for name in fields:
        if name not in _READ_HERE:
            notes.add(f"{name}:dropped" if name in DROPPED_FIELDS else UNKNOWN_FIELD)


def _refuse(fields: Raws) -> None:
    """Refuses what no upstream can give, rather than give something else."""
    if _field(fields, "logprobs", _BOOLEAN):
        raise _invalid("logprobs", "No upstream gives log probabilities; leave `logprobs` out.", "unsupported_value")
    modalities = _field(fields, "modalities", _STRINGS)
    if modalities is not None and modalities != ["text"]:
        raise _invalid(
            "modalities", 'Text is the only modality here; send ["text"] or leave it out.', "unsupported_value"
        )
    choices = _field(fields, "n", _INTEGER)
    if choices is not None and choices < 1:
        raise _invalid(
            "n", f"Invalid 'n': expected a value >= 1, but got {choices} instead.", "integer_below_min_value"
        )
    if choices is not None and choices > 1:
        raise _invalid("n", "Only one choice can be given; leave `n` out or send 1.", "unsupported_value")


def _wants_reasoning(fields: Raws) -> bool:
    """Tells whether any of the spellings asks for a model that thinks (contract §2.2)."""
    reasoning = _field(fields, "reasoning", _OBJECT) or {}
    thinking = _field(fields, "thinking", _OBJECT) or {}
    efforts = (_field(fields, "reasoning_effort", _STRING), _inner(reasoning, "effort", _STRING, "reasoning"))
    kind = _inner(thinking, "type", _STRING, "thinking")
    return any(effort not in (None, "none", "minimal") for effort in efforts) or kind in ("enabled", "adaptive")


def _messages(fields: Raws) -> list[Raws]:
    raw = fields.get("messages")
    if raw is None:
        raise _Refused(missing("messages"))
    messages = objects(raw, "messages")
    if isinstance(messages, Fault):
        raise _Refused(messages)
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise _invalid("messages", message, "empty_array")
    return messages


def _include_usage(fields: Raws) -> bool:
    options = _field(fields, "stream_options", _OBJECT) or {}
    return bytes(options.get("include_usage", b"")) == b"true"


def _max_tokens(fields: Raws, notes: Notes) -> int | None:
    newer = _field(fields, "max_completion_tokens", _INTEGER)
    older = _field(fields, "max_tokens", _INTEGER)
    if newer is not None:
        notes.add("max_completion_tokens:renamed")
    for name, value in (("max_completion_tokens", newer), ("max_tokens", older)):
        if value is not None and value < 1:
            message = f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
            raise _invalid(name, message, "integer_below_min_value")
    return newer if newer is not None else older


def _number(fields: Raws, name: str, most: int) -> float | None:
    value = _field(fields, name, _DECIMAL)
    if value is not None and not 0 <= value <= most:
        word = "below minimum" if value < 0 else "above maximum"
        bound = ">= 0" if value < 0 else f"<= {most}"
        message = f"Invalid '{name}': decimal {word} value. Expected a value {bound}, but got {value:g} instead."
        raise _invalid(
            name, message, f"decimal_{word.replace(' ', '_').replace('minimum', 'min').replace('maximum', 'max')}_value"
        )
    return value


def _stop(fields: Raws, notes: Notes) -> tuple[str, ...]:
    raw = fields.get("stop")
    if raw is None:
        return ()
    try:
        given: str | list[str] = msgspec.json.decode(raw, type=str | list[str])
    except msgspec.DecodeError:
        raise _Refused(invalid_type("stop", "a string or an array of strings", raw)) from None
    stops = [given] if isinstance(given, str) else given
    if len(stops) > MAX_STOPS:
        message = (
            f"Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOPS}, but got {len(stops)}."
        )
        raise _invalid("stop", message, "array_above_max_length")
    kept = tuple(stop for stop in stops if stop)
    if isinstance(given, str) and given:
        notes.add("stop:listed")
    elif len(kept) < len(stops) or not stops:
        notes.add("stop:empty-dropped")
    return kept


def _tools(fields: Raws, notes: Notes) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, item in enumerate(_listed(fields, "tools")):
        where = f"tools[{index}]"
        kind = _inner(item, "type", _STRING, where)
        function = _inner(item, "function", _OBJECT, where)
        if kind not in (None, "function") or function is None:
            message = f"Invalid '{where}': only tools of type 'function' can be carried."
            raise _invalid(where, message, "unsupported_value")
        tools.append(_function(function, f"{where}.function", notes))
    if not tools:
        tools = [_function(item, f"functions[{i}]", notes) for i, item in enumerate(_listed(fields, "functions"))]
        if tools:
            notes.add("functions:as-tools")
    _refuse_twins(tools)
    return _chosen(tuple(tools), fields, notes)


def _listed(fields: Raws, name: str) -> list[Raws]:
    raw = fields.get(name)
    if raw is None:
        return []
    items = objects(raw, name)
    if isinstance(items, Fault):
        raise _Refused(items)
    return items


def _function(function: Raws, where: str, notes: Notes) -> Tool:
    name = _inner(function, "name", _STRING, where)
    if not name:
        raise _Refused(missing(f"{where}.name"))
    return Tool(
        name=name,
        description=_present(function, "description"),
        parameters=_schema(function, where, notes),
        strict=_inner(function, "strict", _BOOLEAN, where),
    )


def _schema(function: Raws, where: str, notes: Notes) -> Raw:
    """Gives the schema of a tool's parameters, with the `type` that Sourcegraph demands (contract §8, trap 60)."""
    schema = _inner(function, "parameters", _OBJECT, where) or {}
    raw = _present(function, "parameters")
    if raw is not None and "type" in schema:
        return raw
    notes.add("tools:schema-filled")
    filled = {"type": Raw(b'"object"'), "properties": Raw(b"{}")} | schema
    return Raw(msgspec.json.encode(filled))


def _refuse_twins(tools: list[Tool]) -> None:
    """Refuses two tools of one name, which providers refuse in words of their own (contract §8, trap 59)."""
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            message = f"Tool names must be unique; '{tool.name}' is there more than once."
            raise _invalid("tools", message, "invalid_value")
        seen.add(tool.name)


def _chosen(tools: tuple[Tool, ...], fields: Raws, notes: Notes) -> tuple[Tool, ...]:
    """Applies `tool_choice` as far as leaving tools out can: "none" and a named tool (contract §8, traps 14 and 15)."""
    choice = fields.get("tool_choice", fields.get("function_call"))
    if choice is None or not tools:
        return tools
    if bytes(choice) == b'"none"':
        notes.add("tools:withheld")
        return ()
    if first(choice) == STRING:
        return tools
    named = chosen_names(choice)
    kept = tuple(tool for tool in tools if tool.name in named)
    if not kept:
        raise _invalid("tool_choice", "Invalid 'tool_choice': it names no tool of this request.", "invalid_value")
    if len(kept) < len(tools):
        notes.add("tools:narrowed")
    return kept


def _field(fields: Raws, name: str, kind: _Kind[T]) -> T | None:
    raw = fields.get(name)
    return None if raw is None else _typed(raw, kind, name)


def _inner(fields: Raws, name: str, kind: _Kind[T], where: str) -> T | None:
    return _typed(_present(fields, name), kind, f"{where}.{name}")


def _present(fields: Raws, name: str) -> Raw | None:
    raw = fields.get(name)
    return None if is_null(raw) else raw


def _typed(raw: Raw | None, kind: _Kind[T], where: str) -> T | None:
    if raw is None:
        return None
    decode, word = kind
    try:
        return decode(raw)
    except msgspec.DecodeError:
        raise _Refused(invalid_type(where, word, raw)) from None


def _invalid(param: str, message: str, code: str) -> _Refused:
    return _Refused(Fault(kind="bad_request", message=message, param=param, code=code))
