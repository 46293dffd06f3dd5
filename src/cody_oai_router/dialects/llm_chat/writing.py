"""Writes a `Prompt` as the LLM API takes it.

By the time a prompt comes here its roles are `user` and `assistant` and no content is empty (`adapt/roles.py`). Texts go in as the
JSON strings that the client wrote. Fields: contract §2.2; `max_tokens` is always sent, because the server's default was 16.
"""

from typing import Final, get_args

import msgspec

from cody_oai_router.conversation import Prompt, Role, TextPart, ToolCall, Turn
from cody_oai_router.sourcegraph.pieces import function_tool, number, text_bytes

_encode = msgspec.json.Encoder().encode
_ROLES: Final = {role: b'{"role":"%b","content":' % role.encode() for role in get_args(Role)}


def write_prompt(prompt: Prompt, ref: str, *, max_tokens: int, stream: bool) -> list[bytes]:
    """Writes the body of the request, as buffers that follow each other; `ref` is the model's full reference."""
    pieces: list[bytes] = [b'{"model":', _encode(ref), b',"messages":']
    opening = b"["
    for turn in prompt.turns:
        pieces.append(opening)
        _turn(turn, pieces)
        opening = b","
    pieces.append(b'],"max_tokens":%d' % max_tokens)
    if stream:
        pieces.append(b',"stream":true')
    _options(prompt, pieces)
    if prompt.tools:
        pieces += (b',"tools":[', b",".join(map(function_tool, prompt.tools)), b"]")
    pieces.append(b"}")
    return pieces


def _options(prompt: Prompt, pieces: list[bytes]) -> None:
    if prompt.temperature is not None:
        pieces += (b',"temperature":', number(prompt.temperature))
    if prompt.top_p is not None:
        pieces += (b',"top_p":', number(prompt.top_p))
    if prompt.stop:
        pieces += (b',"stop":', _encode(prompt.stop))


def _turn(turn: Turn, pieces: list[bytes]) -> None:
    parts = turn.parts
    if len(parts) == 1 and not turn.listed and isinstance(parts[0], TextPart):
        pieces += (_ROLES[turn.role], text_bytes(parts[0].text))
    else:
        pieces.append(_ROLES[turn.role])
        _parts(turn, pieces)
    if turn.name is not None:
        pieces += (b',"name":', _encode(turn.name))
    if turn.calls:
        pieces += (b',"tool_calls":', _encode([_call(call) for call in turn.calls]))
    pieces.append(b"}")


def _parts(turn: Turn, pieces: list[bytes]) -> None:
    texts = [part.text for part in turn.parts if isinstance(part, TextPart)]
    if not turn.listed and len(texts) == 1:
        pieces.append(text_bytes(texts[0]))
        return
    pieces.append(b"[")
    for index, text in enumerate(texts):
        pieces += (b',{"type":"text","text":' if index else b'{"type":"text","text":', text_bytes(text), b"}")
    pieces.append(b"]")


def _call(call: ToolCall) -> dict[str, object]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
