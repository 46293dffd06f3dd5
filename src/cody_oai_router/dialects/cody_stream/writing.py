"""Writes a `Prompt` as Cody's stream takes it (contract §4.3).

By the time a prompt comes here its first turn alone may be `system`, and every result of a tool stands right after the turn that
called it (`adapt/`). Results, the images in them, and the user's words after them are one `human` message: so the next one after the
calls, as the endpoint demands. A message is `{speaker, text}`, as every recorded one is, or `{speaker, content: [parts]}` where it
holds more than one text.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, assert_never

import msgspec

from cody_oai_router.conversation import ImagePart, OtherPart, Part, Prompt, Role, TextPart, ToolCall, Turn
from cody_oai_router.sourcegraph.pieces import function_tool, number, text_bytes

# Cody's own word for "not set" in every recorded request (contract §4.3).
_UNSET: Final = b"-1"

_SPEAKERS: Final[dict[Role, bytes]] = {
    "system": b'{"speaker":"system"',
    "user": b'{"speaker":"human"',
    "tool": b'{"speaker":"human"',
    "assistant": b'{"speaker":"assistant"',
}
# Before there were api-versions the assistant's turn had to be there already, without a text (contract §4.1); of all recorded models
# only Mixtral went without.
_OPEN_TURN: Final = b',{"speaker":"assistant"}'
_PARTS_SINCE: Final = 3

_encode = msgspec.json.Encoder().encode


def write_prompt(prompt: Prompt, ref: str, *, max_tokens: int, stream: bool, version: int) -> list[bytes]:
    """Writes the body of the request, as buffers that follow each other; `ref` is the model, `version` the api-version."""
    pieces: list[bytes] = [b'{"model":', _encode(ref), b',"messages":[']
    for number_, message in enumerate(_messages(prompt.turns)):
        if number_:
            pieces.append(b",")
        _message(message, pieces, version)
    if not version and "mixtral" not in ref and prompt.turns[-1:] and prompt.turns[-1].role != "assistant":
        pieces.append(_OPEN_TURN)
    pieces.append(b'],"maxTokensToSample":%d' % max_tokens)
    _options(prompt, pieces)
    if not stream:
        pieces.append(b',"stream":false')
    if prompt.tools:
        pieces += (b',"tools":[', b",".join(map(function_tool, prompt.tools)), b"]")
    pieces.append(b"}")
    return pieces


def _options(prompt: Prompt, pieces: list[bytes]) -> None:
    if prompt.temperature is not None:
        pieces += (b',"temperature":', number(prompt.temperature))
    pieces += (b',"topK":', _UNSET, b',"topP":', _UNSET if prompt.top_p is None else number(prompt.top_p))
    if prompt.stop:
        pieces += (b',"stopSequences":', _encode(prompt.stop))
    if prompt.prediction is not None:
        pieces += (b',"prediction":', text_bytes(prompt.prediction))


def _messages(turns: tuple[Turn, ...]) -> Iterator[list[Turn]]:
    """Puts turns together that are one message here: results of tools, and what the user says to them."""
    message: list[Turn] = []
    for turn in turns:
        if message and not (message[-1].role == "tool" and turn.role in ("tool", "user")):
            yield message
            message = []
        message.append(turn)
    if message:
        yield message


def _message(turns: list[Turn], pieces: list[bytes], version: int) -> None:
    first = turns[0]
    pieces.append(_SPEAKERS[first.role])
    parts = [part for turn in turns for part in turn.parts]
    alone = len(turns) == 1 and first.role != "tool" and not first.calls
    if (alone and len(parts) == 1 and _is_plain(parts[0])) or (alone and version < _PARTS_SINCE):
        pieces.append(b',"text":')
        _text(parts, pieces)
    else:
        pieces.append(b',"content":[')
        images = [
            _image(part) for turn in turns if turn.role == "tool" for part in turn.parts if isinstance(part, ImagePart)
        ]
        results = [_result(turn) for turn in turns if turn.role == "tool"]
        said = chain.from_iterable(_written(turn) for turn in turns if turn.role != "tool")
        for number_, part in enumerate(chain(results, images, said)):
            pieces += (b",", *part) if number_ else part
        pieces.append(b"]")
    pieces.append(b"}")


def _is_plain(part: Part) -> bool:
    return isinstance(part, TextPart) and part.cache_control is None


def _text(parts: Sequence[Part], pieces: list[bytes]) -> None:
    """Writes texts as one string, without anything between them, as the server puts parts together (contract §2.3)."""
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    if len(texts) == 1:
        pieces.append(text_bytes(texts[0]))
    else:
        pieces += (b'"', *(bytes(text)[1:-1] for text in texts), b'"')


def _written(turn: Turn) -> Iterator[tuple[bytes, ...]]:
    """Gives the parts of a turn as they are written, each as buffers that follow each other."""
    for part in turn.parts:
        match part:
            case TextPart(text=text, cache_control=None):
                yield b'{"type":"text","text":', text_bytes(text), b"}"
            case TextPart():
                cache = bytes(part.cache_control or b"")
                yield b'{"type":"text","text":', text_bytes(part.text), b',"cache_control":', cache, b"}"
            case ImagePart():
                yield _image(part)
            case OtherPart():
                pass  # refused before (`abilities.lost`)
            case _:
                assert_never(part)
    yield from map(_call, turn.calls)


def _image(image: ImagePart) -> tuple[bytes, ...]:
    detail = b"" if image.detail is None else b',"detail":' + _encode(image.detail)
    return b'{"type":"image_url","image_url":{"url":', text_bytes(image.url), detail, b"}}"


def _call(call: ToolCall) -> tuple[bytes, ...]:
    fields = {"id": call.id, "name": call.name, "arguments": call.arguments}
    return b'{"type":"tool_call","tool_call":', _encode(fields), b"}"


def _result(turn: Turn) -> tuple[bytes, ...]:
    pieces: list[bytes] = [b'{"type":"tool_result","tool_result":{"id":', _encode(turn.call_id or ""), b',"content":']
    _text(turn.parts, pieces)
    return (*pieces, b"}}")
