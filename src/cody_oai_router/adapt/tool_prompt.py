"""Describes tools in words, for a model or an endpoint that takes none: the half that goes to the model.

The model is asked to write a call as `<tool_call_NONCE>{"name": …, "arguments": …}</tool_call_NONCE>`, which `tool_text.py` finds in the
answer. The nonce is new with each request, so that nothing which the conversation quotes can pass for a call. Calls of the history are
written out in the same form, with the same nonce: a model imitates what it sees. Texts stay the JSON strings that they are.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from cody_oai_router.adapt.tool_call import closing, opening
from cody_oai_router.conversation import Part, TextPart, Tool, ToolCall, Turn

_BEFORE_TOOLS: Final = (
    'You can call the tools in <TOOLS>, one JSON object per line; "parameters" is the JSON schema of the arguments.\n'
    "<TOOLS>\n"
)
_AFTER_TOOLS: Final = (
    "\n</TOOLS>\n"
    "To call a tool, write exactly\n"
    '{opening}{{"name": "TOOL", "arguments": {{...}}}}{closing}\n'
    "with valid JSON and no code fence. Several calls follow each other. Write nothing after the last call: results come "
    'in the next message in <TOOL_RESULT> tags (call="2" marks the second of several calls). '
    "Never write a result yourself, and never write this marker except to call."
)

_NEW_LINE: Final = rb"\n"  # inside a JSON string

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def describe(turns: tuple[Turn, ...], tools: tuple[Tool, ...], nonce: str) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives turns without calls and results that say the same in text, and notes of what was changed.

    With tools, an instruction comes first, as a system turn. `nonce` is lower-case hex.
    """
    notes: set[str] = set()
    labels: dict[str, bytes] = {}
    # Where no tool can be called now, nothing may teach the model a marker that nobody looks for.
    write_call = partial(_call, nonce=nonce) if tools else _said
    adapted = [_adapt(turn, write_call, labels, notes) for turn in turns]
    if tools:
        notes.add("tools:emulated")
        adapted.insert(0, Turn(role="system", parts=(TextPart(_instruction(tools, nonce)),)))
    return tuple(adapted), notes


def _adapt(turn: Turn, write_call: Callable[[ToolCall], str], labels: dict[str, bytes], notes: set[str]) -> Turn:
    """Rewrites one turn; `labels` holds what names each call so far in the tag of its result."""
    if turn.role in ("tool", "function"):
        notes.add(f"{turn.role}:wrapped")
        return _result(turn, labels.get(turn.call_id or "", b""))
    if not turn.calls:
        return turn
    notes.add("tool-calls:as-text")
    several = len(turn.calls) > 1
    for number, call in enumerate(turn.calls, start=1):
        labels[call.id] = _inner(f' call="{number}" name={_encode(call.name).decode()}') if several else b""
    return _with_calls(turn, _NEW_LINE.join(_inner(write_call(call)) for call in turn.calls))


def _result(turn: Turn, label: bytes) -> Turn:
    """Puts the tags around a result; what is no text stays a part between them."""
    start, end = b"<TOOL_RESULT" + label + b">", b"</TOOL_RESULT>"
    texts = [part for part in turn.parts if isinstance(part, TextPart)]
    if len(texts) == len(turn.parts):
        words = b"".join(bytes(part.text)[1:-1] for part in texts)
        hints = [part.cache_control for part in texts if part.cache_control is not None]
        return Turn(role="user", parts=(_text(start + words + end, hints[-1] if hints else None),))
    return Turn(role="user", parts=(_text(start), *turn.parts, _text(end)), listed=True)


def _with_calls(turn: Turn, calls: bytes) -> Turn:
    """Puts written calls after what the turn says."""
    parts: tuple[Part, ...] = tuple(part for part in turn.parts if not _is_empty(part))
    hint = None
    if parts and isinstance(parts[-1], TextPart):
        calls = bytes(parts[-1].text)[1:-1] + _NEW_LINE + calls
        hint = parts[-1].cache_control
        parts = parts[:-1]
    parts = (*parts, _text(calls, hint))
    return msgspec.structs.replace(turn, parts=parts, listed=turn.listed or len(parts) > 1, calls=())


def _is_empty(part: Part) -> bool:
    return isinstance(part, TextPart) and len(part.text) == len(b'""')


def _call(call: ToolCall, nonce: str) -> str:
    written = f'{{"name": {_encode(call.name).decode()}, "arguments": {_arguments(call.arguments)}}}'
    return f"{opening(nonce)}{written}{closing(nonce)}"


def _said(call: ToolCall) -> str:
    return f"(called {call.name} with {_arguments(call.arguments)})"


def _arguments(text: str) -> str:
    """Gives arguments as they are where they are an object, else as a string: the marker must hold JSON."""
    try:
        _object.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _encode(text).decode()
    return text


def _instruction(tools: tuple[Tool, ...], nonce: str) -> msgspec.Raw:
    after = _AFTER_TOOLS.format(opening=opening(nonce), closing=closing(nonce))
    lines = _NEW_LINE.join(map(_line, tools))
    return _text(_inner(_BEFORE_TOOLS) + lines + _inner(after)).text


def _line(tool: Tool) -> bytes:
    """Gives a tool as one line of JSON, as it stands inside a JSON string."""
    fields = [b'"name":' + _encode(tool.name)]
    if tool.description is not None:
        fields.append(b'"description":' + _one_line(tool.description))
    if tool.parameters is not None:
        fields.append(b'"parameters":' + _one_line(tool.parameters))
    line = b"{" + b",".join(fields) + b"}"
    return line.replace(b"\\", rb"\\").replace(b'"', rb"\"")


def _one_line(raw: msgspec.Raw) -> bytes:
    """Takes the line breaks and the indentation out of JSON: no string of it can hold a line break."""
    return b"".join(map(bytes.strip, bytes(raw).splitlines())).replace(b"\t", b" ")


def _inner(text: str) -> bytes:
    """Gives text as it stands inside a JSON string."""
    return _encode(text)[1:-1]


def _text(inner: bytes, hint: msgspec.Raw | None = None) -> TextPart:
    return TextPart(msgspec.Raw(b'"' + inner + b'"'), hint)
