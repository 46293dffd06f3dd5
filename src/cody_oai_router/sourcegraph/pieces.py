"""Pieces of JSON that the requests to both endpoints are put together from, without decoding a text."""

from typing import Final, cast

import msgspec

from cody_oai_router.conversation import Tool

# A text up to this size is cheaper copied; a longer one goes to the socket from where it stands.
_COPIED_BELOW: Final = 4 * 1024

_encode = msgspec.json.Encoder().encode


def text_bytes(text: msgspec.Raw) -> bytes:
    """Gives a JSON string as bytes; a long one as a view of where it stands, so that a megabyte is not copied here."""
    return bytes(text) if len(text) <= _COPIED_BELOW else cast("bytes", memoryview(text))


def number(value: float) -> bytes:
    """Writes a number, a whole one without a point."""
    return _encode(int(value) if value.is_integer() else value)


def function_tool(tool: Tool) -> bytes:
    """Writes a tool in OpenAI's shape, which both endpoints take (contract §2.2, §4.3)."""
    fields = [b'{"name":' + _encode(tool.name)]
    if tool.description is not None:
        fields.append(b'"description":' + bytes(tool.description))
    if tool.parameters is not None:
        fields.append(b'"parameters":' + bytes(tool.parameters))
    if tool.strict is not None:
        fields.append(b'"strict":' + _encode(tool.strict))
    return b'{"type":"function","function":' + b",".join(fields) + b"}}"
