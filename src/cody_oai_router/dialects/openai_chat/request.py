"""Reads OpenAI's chat request into a `Prompt`.

Strategy: the body is decoded one level deep, each field as the bytes it stood in (`Raw`): the whole document is checked,
large texts are never decoded, and an error can name the field it is in. What the LLM API cannot take is left out here
only where it means the same to every upstream; each change leaves a note (`notes.py`).

What most clients send fits `_Usual` and is decoded in one go before that is tried. It gives the same prompt for a third of the
instructions, and never a fault of its own: a body that it does not take is read field by field.
"""

from operator import attrgetter
from typing import Annotated, Final, TypedDict

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from cody_oai_router.conversation import Format, Prompt, Tool, ToolChoice
from cody_oai_router.dialects.openai_chat.fields import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    OBJECT,
    STRINGS,
    TEXT,
    Refused,
    field,
    inner,
    invalid,
    listed,
    present,
)
from cody_oai_router.dialects.openai_chat.formats import read_format
from cody_oai_router.dialects.openai_chat.messages import (
    Notes,
    Raws,
    UsualMessage,
    invalid_type,
    is_null,
    missing,
    objects,
    read_turns,
    usual_turns,
)
from cody_oai_router.dialects.openai_chat.tools import read_parallel, read_tools
from cody_oai_router.faults import Fault
from cody_oai_router.notes import DROPPED_FIELDS, UNKNOWN_FIELD

# OpenAI's own limit on stop sequences (CreateChatCompletionRequest, `stop`).
MAX_STOPS: Final = 4
# Requests that one request may make at once.
MAX_CHOICES: Final = 8

_body = msgspec.json.Decoder(dict[str, Raw])

_REFUSABLE: Final = frozenset({"logprobs", "modalities"})

_READ_HERE: Final = frozenset(
    {
        "model", "messages", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "n",
        "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls", "response_format", "prediction",
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
    response_format: Raw = _ABSENT
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
    tool_choice: ToolChoice
    parallel_calls: bool
    format: Format | None
    reasoning: bool


def read_prompt(body: bytes | bytearray) -> Prompt | Fault:
    """Reads the body of `POST /chat/completions`; never raises, whatever the bytes are."""
    try:
        return _read(body)
    except Refused as refused:
        return refused.fault
    except RecursionError:
        return Fault(kind="bad_request", message="The body is nested too deeply.", code="invalid_json")


def _read(body: bytes | bytearray) -> Prompt:
    try:
        if not body.isascii():
            str(body, "utf-8")  # msgspec does not look into strings that it skips
        return _usual_prompt(body) or _any_prompt(body)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise Refused(_not_json(body, error)) from None


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
    tools, choice = read_tools(fields, notes)
    return {
        "include_usage": _include_usage(fields),
        "stop": _stop(fields, notes),
        "tools": tools,
        "tool_choice": choice,
        "parallel_calls": read_parallel(fields),
        "format": read_format(fields),
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
        raise Refused(turns)
    tools, choice = read_tools(fields, notes)
    legacy = "functions" in fields and not listed(fields, "tools")
    return Prompt(
        model=field(fields, "model", TEXT) or "",
        turns=turns,
        stream=field(fields, "stream", BOOLEAN) or False,
        include_usage=_include_usage(fields),
        max_tokens=_max_tokens(fields, notes),
        temperature=_number(fields, "temperature", 2),
        top_p=_number(fields, "top_p", 1),
        stop=_stop(fields, notes),
        tools=tools,
        tool_choice=choice,
        parallel_calls=read_parallel(fields) and not legacy,  # `function_call` has room for one
        format=read_format(fields),
        prediction=_prediction(fields),
        reasoning=_wants_reasoning(fields),
        legacy_functions=legacy,
        choices=_choices(fields),
        adapted=notes.sorted(),
    )


def _note_dropped(fields: Raws, notes: Notes) -> None:
    for name in fields:
        if name not in _READ_HERE:
            notes.add(f"{name}:dropped" if name in DROPPED_FIELDS else UNKNOWN_FIELD)


def _refuse(fields: Raws) -> None:
    """Refuses what no upstream can give, rather than give something else."""
    if field(fields, "logprobs", BOOLEAN):
        raise invalid("logprobs", "No upstream gives log probabilities; leave `logprobs` out.", "unsupported_value")
    modalities = field(fields, "modalities", STRINGS)
    if modalities is not None and modalities != ["text"]:
        raise invalid(
            "modalities", 'Text is the only modality here; send ["text"] or leave it out.', "unsupported_value"
        )


def _wants_reasoning(fields: Raws) -> bool:
    """Tells whether any of the spellings asks for a model that thinks (contract §2.2)."""
    reasoning = field(fields, "reasoning", OBJECT) or {}
    thinking = field(fields, "thinking", OBJECT) or {}
    efforts = (field(fields, "reasoning_effort", TEXT), inner(reasoning, "effort", TEXT, "reasoning"))
    kind = inner(thinking, "type", TEXT, "thinking")
    return any(effort not in (None, "none", "minimal") for effort in efforts) or kind in ("enabled", "adaptive")


def _messages(fields: Raws) -> list[Raws]:
    raw = fields.get("messages")
    if raw is None:
        raise Refused(missing("messages"))
    messages = objects(raw, "messages")
    if isinstance(messages, Fault):
        raise Refused(messages)
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise invalid("messages", message, "empty_array")
    return messages


def _choices(fields: Raws) -> int:
    """Reads `n`; each choice is a request of its own, and paid for, so there are fewer than OpenAI's 128."""
    choices = field(fields, "n", INTEGER)
    if choices is not None and not 1 <= choices <= MAX_CHOICES:
        bound, code = (
            (">= 1", "integer_below_min_value") if choices < 1 else (f"<= {MAX_CHOICES}", "integer_above_max_value")
        )
        raise invalid("n", f"Invalid 'n': expected a value {bound}, but got {choices} instead.", code)
    return choices or 1


def _include_usage(fields: Raws) -> bool:
    options = field(fields, "stream_options", OBJECT) or {}
    return bytes(options.get("include_usage", b"")) == b"true"


def _prediction(fields: Raws) -> Raw | None:
    field(fields, "prediction", OBJECT)
    return present(fields, "prediction")


def _max_tokens(fields: Raws, notes: Notes) -> int | None:
    newer = field(fields, "max_completion_tokens", INTEGER)
    older = field(fields, "max_tokens", INTEGER)
    if newer is not None:
        notes.add("max_completion_tokens:renamed")
    for name, value in (("max_completion_tokens", newer), ("max_tokens", older)):
        if value is not None and value < 1:
            message = f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
            raise invalid(name, message, "integer_below_min_value")
    return newer if newer is not None else older


def _number(fields: Raws, name: str, most: int) -> float | None:
    value = field(fields, name, DECIMAL)
    if value is not None and not 0 <= value <= most:
        word = "below minimum" if value < 0 else "above maximum"
        bound = ">= 0" if value < 0 else f"<= {most}"
        message = f"Invalid '{name}': decimal {word} value. Expected a value {bound}, but got {value:g} instead."
        raise invalid(
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
        raise Refused(invalid_type("stop", "a string or an array of strings", raw)) from None
    stops = [given] if isinstance(given, str) else given
    if len(stops) > MAX_STOPS:
        message = (
            f"Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOPS}, but got {len(stops)}."
        )
        raise invalid("stop", message, "array_above_max_length")
    kept = tuple(stop for stop in stops if stop)
    if isinstance(given, str) and given:
        notes.add("stop:listed")
    elif len(kept) < len(stops) or not stops:
        notes.add("stop:empty-dropped")
    return kept
