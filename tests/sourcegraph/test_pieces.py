"""Pieces of JSON, as text: no text is decoded, and a long one is not copied."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import Tool
from cody_oai_router.sourcegraph.pieces import function_tool, number, text_bytes


@pytest.mark.parametrize(("inner", "copied"), [("", True), (r"\u00e9", True), ("x" * 4094, True), ("x" * 4095, False)])
def test_a_text_is_the_string_that_it_was(inner: str, copied: bool) -> None:
    found = text_bytes(msgspec.Raw(f'"{inner}"'.encode()))
    assert b"".join([found]).decode() == f'"{inner}"'
    assert isinstance(found, bytes) == copied


@pytest.mark.parametrize(
    ("value", "wire"),
    [(0.0, "0"), (-0.0, "0"), (1.0, "1"), (2.0, "2"), (0.2, "0.2"), (0.95, "0.95"), (1e-7, "1e-7"), (-1.5, "-1.5")],
)
def test_numbers(value: float, wire: str) -> None:
    assert number(value).decode() == wire


@given(st.floats(0, 2))
def test_a_number_is_read_as_it_was_meant(value: float) -> None:
    assert msgspec.json.decode(number(value), type=float) == value


RAW = msgspec.Raw


@pytest.mark.parametrize(
    ("tool", "wire"),
    [
        (Tool(name="f"), '{"name":"f"}'),
        (Tool(name='é"'), '{"name":"é\\""}'),
        (Tool(name="f", description=RAW(b'"d\\u00e9"')), '{"name":"f","description":"d\\u00e9"}'),
        (Tool(name="f", parameters=RAW(b'{"type" : "object"}')), '{"name":"f","parameters":{"type" : "object"}}'),
        (Tool(name="f", strict=True), '{"name":"f","strict":true}'),
        (
            Tool(name="f", description=RAW(b'""'), parameters=RAW(b"{}"), strict=False),
            '{"name":"f","description":"","parameters":{},"strict":false}',
        ),
    ],
)
def test_a_tool(tool: Tool, wire: str) -> None:
    assert function_tool(tool).decode() == f'{{"type":"function","function":{wire}}}'
