"""Reads which tools a request offers, and what it says of their use."""

from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from msgspec import Raw

from cody_oai_router.conversation import Named, Tool, ToolChoice
from cody_oai_router.dialects.openai_chat.fields import (
    BOOLEAN,
    OBJECT,
    TEXT,
    Refused,
    field,
    inner,
    invalid,
    listed,
    present,
)
from cody_oai_router.dialects.openai_chat.messages import STRING, Notes, Raws, first, is_null, missing
from cody_oai_router.notes import UNKNOWN_FIELD

_OF_A_TOOL: Final = frozenset({"type", "function"})
_OF_A_FUNCTION: Final = frozenset({"name", "description", "parameters", "strict"})

_object = msgspec.json.Decoder(Raws)
_objects = msgspec.json.Decoder(list[Raws])


def read_tools(fields: Raws, notes: Notes) -> tuple[tuple[Tool, ...], ToolChoice]:
    """Reads `tools` (or legacy `functions`) and `tool_choice` (or `function_call`): the tools that may be called, and whether they must.

    Leaving tools out keeps "none", and the names of a choice, whatever upstream does with the field (contract §8, traps 14 and 15).
    """
    tools = _offered(fields, notes)
    where = "tool_choice" if "tool_choice" in fields else "function_call"
    raw = fields.get(where)
    if raw is None:
        return tools, "auto"
    if not tools:
        notes.add(f"{where}:dropped")
        return tools, "auto"
    choice = _choice(raw, where)
    if choice == "none":
        notes.add("tools:withheld")
        return (), "auto"
    if not isinstance(choice, Named):
        return tools, choice
    kept = tuple(tool for tool in tools if tool.name in choice.names)
    if not kept:
        raise invalid(where, f"Invalid '{where}': it names no tool of this request.", "invalid_value")
    if len(kept) < len(tools):
        notes.add("tools:narrowed")
    return kept, Named(tuple(tool.name for tool in kept), choice.required)


def read_parallel(fields: Raws) -> bool:
    """Reads `parallel_tool_calls`: whether one answer may hold several calls."""
    return field(fields, "parallel_tool_calls", BOOLEAN) is not False


def _choice(raw: Raw, where: str) -> ToolChoice:
    if first(raw) == STRING:
        word = msgspec.json.decode(raw)
        if word in ("auto", "none", "required"):
            return word  # type: ignore[no-any-return]  # `in` is the check; mypy cannot see it
        message = f"Invalid value: '{word}'. Supported values are: 'none', 'auto', and 'required'."
        raise invalid(where, message, "invalid_value")
    try:
        choice = _object.decode(raw)
        allowed = _object.decode(choice["allowed_tools"]) if "allowed_tools" in choice else {}
        named = _objects.decode(allowed["tools"]) if allowed else [choice]
        functions = [_object.decode(item["function"]) if "function" in item else item for item in named]
        names = tuple(str(msgspec.json.decode(function["name"], type=str)) for function in functions)
    except (msgspec.DecodeError, KeyError):
        message = f"Invalid '{where}': it must be a word or name a function."
        raise invalid(where, message, "invalid_value") from None
    return Named(names, required=bytes(allowed.get("mode", b"")) != b'"auto"')


def _offered(fields: Raws, notes: Notes) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, item in enumerate(listed(fields, "tools")):
        where = f"tools[{index}]"
        kind = inner(item, "type", TEXT, where)
        function = inner(item, "function", OBJECT, where)
        if kind not in (None, "function") or function is None:
            message = f"Invalid '{where}': only tools of type 'function' can be carried."
            raise invalid(where, message, "unsupported_value")
        _note_others(item, _OF_A_TOOL, notes)
        tools.append(_function(function, f"{where}.function", notes))
    if not tools:
        tools = [_function(item, f"functions[{i}]", notes) for i, item in enumerate(listed(fields, "functions"))]
        if tools:
            notes.add("functions:as-tools")
    _refuse_twins(tools)
    return tuple(tools)


def _function(function: Raws, where: str, notes: Notes) -> Tool:
    name = inner(function, "name", TEXT, where)
    if not name:
        raise Refused(missing(f"{where}.name"))
    _note_others(function, _OF_A_FUNCTION, notes)
    return Tool(
        name=name,
        description=_description(function, where),
        parameters=_schema(function, where, notes),
        strict=inner(function, "strict", BOOLEAN, where),
    )


def _note_others(fields: Raws, known: AbstractSet[str], notes: Notes) -> None:
    """Notes what is left out of a tool: neither endpoint has a place for it there, not even for a cache hint (contract §2.2, §4.3)."""
    for name, raw in fields.items():
        if name not in known and not is_null(raw):
            notes.add("cache_control:dropped" if name == "cache_control" else UNKNOWN_FIELD)


def _description(function: Raws, where: str) -> Raw | None:
    """Gives the description as it stood; anything but a string would make the instance refuse the whole body."""
    inner(function, "description", TEXT, where)
    return present(function, "description")


def _schema(function: Raws, where: str, notes: Notes) -> Raw:
    """Gives the schema of a tool's parameters, with the `type` that Sourcegraph demands (contract §8, trap 60)."""
    schema = inner(function, "parameters", OBJECT, where) or {}
    raw = present(function, "parameters")
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
            raise invalid("tools", message, "invalid_value")
        seen.add(tool.name)
