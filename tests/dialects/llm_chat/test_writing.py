"""Requests to the LLM API, as text (contract §2.2)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import OtherPart, Prompt, TextPart, Tool, ToolCall, Turn
from cody_oai_router.dialects.llm_chat import write_prompt


def text(wire: str) -> TextPart:
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()))


HI = Turn(role="user", parts=(text("hi"),))
WIRE_HI = '{"role":"user","content":"hi"}'


def written(*turns: Turn, stream: bool = False, **fields: Any) -> str:
    prompt = Prompt(model="client's name", turns=turns or (HI,), **fields)
    return b"".join(write_prompt(prompt, "p::v::m", max_tokens=9, stream=stream)).decode()


def body(rest: str = "", messages: str = WIRE_HI) -> str:
    return f'{{"model":"p::v::m","messages":[{messages}],"max_tokens":9{rest}}}'


@pytest.mark.parametrize(
    ("fields", "rest"),
    [
        ({}, ""),
        ({"stream": True}, ',"stream":true'),
        ({"temperature": 0.0}, ',"temperature":0'),
        ({"temperature": 1.0, "top_p": 0.95}, ',"temperature":1,"top_p":0.95'),
        ({"stop": ("a", 'é"')}, ',"stop":["a","é\\""]'),
        (
            {"tools": (Tool(name="f"), Tool(name="g", strict=False))},
            (
                ',"tools":[{"type":"function","function":{"name":"f"}},'
                '{"type":"function","function":{"name":"g","strict":false}}]'
            ),
        ),
        (
            {
                "tools": (
                    Tool(
                        name="f",
                        description=msgspec.Raw(b'"d\\u00e9"'),
                        parameters=msgspec.Raw(b'{"type" : "object"}'),
                        strict=True,
                    ),
                )
            },
            (
                ',"tools":[{"type":"function","function":{"name":"f","description":"d\\u00e9",'
                '"parameters":{"type" : "object"},"strict":true}}]'
            ),
        ),
        ({"max_tokens": 1, "include_usage": True, "reasoning": True, "adapted": ("x",)}, ""),
    ],
)
def test_fields(fields: dict[str, Any], rest: str) -> None:
    assert written(**fields) == body(rest)


@pytest.mark.parametrize(
    ("turn", "wire"),
    [
        (HI, WIRE_HI),
        (Turn(role="assistant", parts=(text("\\u00e9\\n"),)), '{"role":"assistant","content":"\\u00e9\\n"}'),
        (
            Turn(role="user", parts=(text("a"), text("b")), listed=True),
            '{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}',
        ),
        (
            Turn(role="user", parts=(text("a"),), listed=True),
            '{"role":"user","content":[{"type":"text","text":"a"}]}',
        ),
        (
            Turn(role="user", parts=(text("a"), OtherPart("file")), listed=True),
            '{"role":"user","content":[{"type":"text","text":"a"}]}',
        ),
        (Turn(role="user", parts=(text("a"),), name='b"b'), '{"role":"user","content":"a","name":"b\\"b"}'),
        (
            Turn(
                role="assistant", parts=(text("a"),), calls=(ToolCall("i", "f", '{"x":"é"}'), ToolCall("", "g", "{}"))
            ),
            (
                '{"role":"assistant","content":"a","tool_calls":['
                '{"id":"i","type":"function","function":{"name":"f","arguments":"{\\"x\\":\\"é\\"}"}},'
                '{"id":"","type":"function","function":{"name":"g","arguments":"{}"}}]}'
            ),
        ),
    ],
)
def test_messages(turn: Turn, wire: str) -> None:
    assert written(turn) == body(messages=wire)
    assert written(HI, turn) == body(messages=f"{WIRE_HI},{wire}")


numbers = st.none() | st.floats(0, 2)


@given(st.text(), st.text(), numbers, st.lists(st.text(), max_size=3).map(tuple))
def test_what_is_written_is_json_and_says_what_was_meant(
    said: str, name: str, temperature: float | None, stop: tuple[str, ...]
) -> None:
    turn = Turn(role="user", parts=(TextPart(msgspec.Raw(json.dumps(said).encode())),), name=name)
    found = json.loads(written(turn, temperature=temperature, stop=stop))
    assert found["messages"] == [{"role": "user", "content": said, "name": name}]
    assert found.get("temperature") == temperature
    assert tuple(found.get("stop", ())) == stop
