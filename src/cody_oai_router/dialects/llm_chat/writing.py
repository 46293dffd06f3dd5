"""Writes a `Prompt` as the LLM API takes it.

By the time a prompt comes here its roles are `user` and `assistant` and no content is empty (`adapt/roles.py`). Texts go in as the
JSON strings that the client wrote. Fields: contract §2.2; `max_tokens` is always sent, because the server's default was 16.
"""

from collections.abc import Iterable

import msgspec

from cody_oai_router.conversation import Part, Prompt, TextPart, Tool, ToolCall, Turn

_encode = msgspec.json.Encoder().encode


def write_prompt(prompt: Prompt, ref: str, *, max_tokens: int, stream: bool) -> bytes:
    """Writes the body of the request; `ref` is the model's full reference."""
    fields = [b'{"model":' + _encode(ref), b'"messages":[' + b",".join(map(_turn, prompt.turns)) + b"]"]
    fields.append(b'"max_tokens":%d' % max_tokens)
    if stream:
        fields.append(b'"stream":true')
    if prompt.temperature is not None:
        fields.append(b'"temperature":' + _number(prompt.temperature))
    if prompt.top_p is not None:
        fields.append(b'"top_p":' + _number(prompt.top_p))
    if prompt.stop:
        fields.append(b'"stop":' + _encode(prompt.stop))
    if prompt.tools:
        fields.append(b'"tools":[' + b",".join(map(_tool, prompt.tools)) + b"]")
    return b",".join(fields) + b"}"


def _number(value: float) -> bytes:
    return _encode(int(value) if value.is_integer() else value)


def _turn(turn: Turn) -> bytes:
    fields = [b'{"role":' + _encode(turn.role), b'"content":' + _content(turn)]
    if turn.name is not None:
        fields.append(b'"name":' + _encode(turn.name))
    if turn.calls:
        fields.append(b'"tool_calls":' + _encode([_call(call) for call in turn.calls]))
    return b",".join(fields) + b"}"


def _content(turn: Turn) -> bytes:
    texts = list(_texts(turn.parts))
    if not turn.listed and len(texts) == 1:
        return texts[0]
    return b"[" + b",".join(b'{"type":"text","text":' + text + b"}" for text in texts) + b"]"


def _texts(parts: Iterable[Part]) -> Iterable[bytes]:
    return (bytes(part.text) for part in parts if isinstance(part, TextPart))


def _call(call: ToolCall) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool(tool: Tool) -> bytes:
    fields = [b'{"name":' + _encode(tool.name)]
    if tool.description is not None:
        fields.append(b'"description":' + bytes(tool.description))
    if tool.parameters is not None:
        fields.append(b'"parameters":' + bytes(tool.parameters))
    if tool.strict is not None:
        fields.append(b'"strict":' + _encode(tool.strict))
    return b'{"type":"function","function":' + b",".join(fields) + b"}}"
