"""Requests to Cody's stream, as text (contract §4.1, §4.3)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import ImagePart, OtherPart, Part, Prompt, Role, TextPart, Tool, ToolCall, Turn
from cody_oai_router.dialects.cody_stream import write_prompt


def text(wire: str) -> TextPart:
    """Text as it stands on the wire, without its quotes."""
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()))


def turn(role: Role, *parts: Part | str, **fields: Any) -> Turn:
    return Turn(role=role, parts=tuple(text(part) if isinstance(part, str) else part for part in parts), **fields)


CACHED = TextPart(msgspec.Raw(b'"c"'), msgspec.Raw(b'{"type" : "ephemeral"}'))
IMAGE = ImagePart(msgspec.Raw(b'"data:image\\/png;base64,AA=="'))
DETAILED = ImagePart(msgspec.Raw(b'"data:,"'), "low")
WIRE_IMAGE = '{"type":"image_url","image_url":{"url":"data:image\\/png;base64,AA=="}}'
HI = turn("user", "hi")
WIRE_HI = '{"speaker":"human","text":"hi"}'
OPEN_TURN = '{"speaker":"assistant"}'


def written(*turns: Turn, stream: bool = True, version: int = 9, **fields: Any) -> str:
    prompt = Prompt(model="client's name", turns=turns or (HI,), **fields)
    return b"".join(write_prompt(prompt, "p::v::m", max_tokens=9, stream=stream, version=version)).decode()


UNSET = ',"topK":-1,"topP":-1'


def body(rest: str = UNSET, messages: str = WIRE_HI) -> str:
    return f'{{"model":"p::v::m","messages":[{messages}],"maxTokensToSample":9{rest}}}'


@pytest.mark.parametrize(
    ("fields", "rest"),
    [
        ({}, UNSET),
        ({"stream": False}, f'{UNSET},"stream":false'),
        ({"temperature": 0.0}, f',"temperature":0{UNSET}'),
        ({"temperature": 0.2, "top_p": 0.95}, ',"temperature":0.2,"topK":-1,"topP":0.95'),
        ({"top_p": 1.0}, ',"topK":-1,"topP":1'),
        ({"stop": ("a", 'é"')}, f'{UNSET},"stopSequences":["a","é\\""]'),
        (
            {"tools": (Tool(name="f"), Tool(name="g", strict=False)), "stream": False},
            (
                f'{UNSET},"stream":false,"tools":[{{"type":"function","function":{{"name":"f"}}}},'
                '{"type":"function","function":{"name":"g","strict":false}}]'
            ),
        ),
        ({"max_tokens": 1, "include_usage": True, "reasoning": True, "adapted": ("x",)}, UNSET),
    ],
)
def test_fields(fields: dict[str, Any], rest: str) -> None:
    assert written(**fields) == body(rest)


CALLS = (ToolCall("i", "f", '{"x":"é"}'), ToolCall("j", "g", "{}"))
WIRE_CALLS = (
    '{"type":"tool_call","tool_call":{"id":"i","name":"f","arguments":"{\\"x\\":\\"é\\"}"}},'
    '{"type":"tool_call","tool_call":{"id":"j","name":"g","arguments":"{}"}}'
)


def result(call_id: str, content: str) -> str:
    return f'{{"type":"tool_result","tool_result":{{"id":"{call_id}","content":"{content}"}}}}'


QUOTED = result('\\"', "r\\u00e9")


def piece(content: str) -> str:
    return f'{{"type":"text","text":"{content}"}}'


@pytest.mark.parametrize(
    ("turns", "wire"),
    [
        ([turn("system", "s")], '{"speaker":"system","text":"s"}'),
        ([turn("assistant", "\\u00e9\\n")], '{"speaker":"assistant","text":"\\u00e9\\n"}'),
        ([turn("user", "a", listed=True)], '{"speaker":"human","text":"a"}'),
        ([turn("user", "a", name="bob")], '{"speaker":"human","text":"a"}'),
        (
            [turn("user", "a", "b", listed=True)],
            f'{{"speaker":"human","content":[{piece("a")},{piece("b")}]}}',
        ),
        (
            [turn("system", CACHED, listed=True)],
            '{"speaker":"system","content":[{"type":"text","text":"c","cache_control":{"type" : "ephemeral"}}]}',
        ),
        ([turn("user", IMAGE, listed=True)], f'{{"speaker":"human","content":[{WIRE_IMAGE}]}}'),
        (
            [turn("user", "a", DETAILED, listed=True)],
            (
                f'{{"speaker":"human","content":[{piece("a")},'
                '{"type":"image_url","image_url":{"url":"data:,","detail":"low"}}]}'
            ),
        ),
        ([turn("user", "a", "b", OtherPart("file"))], f'{{"speaker":"human","content":[{piece("a")},{piece("b")}]}}'),
        (
            [turn("assistant", "x", calls=CALLS)],
            f'{{"speaker":"assistant","content":[{piece("x")},{WIRE_CALLS}]}}',
        ),
        ([turn("tool", "r", call_id="i")], f'{{"speaker":"human","content":[{result("i", "r")}]}}'),
        ([turn("tool", "r", "\\u00e9", "", call_id='"')], f'{{"speaker":"human","content":[{QUOTED}]}}'),
        ([turn("tool", "r")], f'{{"speaker":"human","content":[{result("", "r")}]}}'),
        ([turn("tool", call_id="i")], f'{{"speaker":"human","content":[{result("i", "")}]}}'),
        (
            [turn("tool", "r", IMAGE, call_id="i")],
            f'{{"speaker":"human","content":[{result("i", "r")},{WIRE_IMAGE}]}}',
        ),
        (
            [turn("tool", "r", call_id="i"), turn("tool", "s", call_id="j"), turn("user", "u"), turn("user", "v")],
            (
                f'{{"speaker":"human","content":[{result("i", "r")},{result("j", "s")},{piece("u")}]}},'
                '{"speaker":"human","text":"v"}'
            ),
        ),
        (
            [turn("tool", "r", call_id="i"), turn("assistant", "a"), turn("tool", "s", call_id="j")],
            (
                f'{{"speaker":"human","content":[{result("i", "r")}]}},{{"speaker":"assistant","text":"a"}},'
                f'{{"speaker":"human","content":[{result("j", "s")}]}}'
            ),
        ),
        ([HI, HI], f"{WIRE_HI},{WIRE_HI}"),
    ],
)
def test_messages(turns: list[Turn], wire: str) -> None:
    assert written(*turns) == body(messages=wire)
    assert written(turn("assistant", "b"), *turns) == body(messages=f'{{"speaker":"assistant","text":"b"}},{wire}')


@pytest.mark.parametrize("version", range(10))
def test_an_old_api_version_takes_no_parts(version: int) -> None:
    ended = f",{OPEN_TURN}" if version == 0 else ""
    parts = f'{{"speaker":"human","content":[{piece("a")},{piece("b")}]}}'
    joined = '{"speaker":"human","text":"ab"}'
    assert written(turn("user", "a", "b", listed=True), version=version) == body(
        messages=(parts if version >= 3 else joined) + ended
    )


def test_before_there_were_api_versions_the_answers_turn_is_there_already() -> None:
    assert written(version=0) == body(messages=f"{WIRE_HI},{OPEN_TURN}")
    assert written(HI, turn("assistant", "a"), version=0) == body(
        messages=f'{WIRE_HI},{{"speaker":"assistant","text":"a"}}'
    )
    assert written(version=1) == body()
    mixtral = write_prompt(Prompt(model="m", turns=(HI,)), "f::v::mixtral-8x7b", max_tokens=9, stream=True, version=0)
    assert b"".join(mixtral).decode() == body().replace("p::v::m", "f::v::mixtral-8x7b")


def test_a_conversation_of_nobody_is_json_still() -> None:
    prompt = Prompt(model="m", turns=())
    assert b"".join(write_prompt(prompt, "p::v::m", max_tokens=9, stream=True, version=0)).decode() == body(messages="")


def test_a_long_text_is_not_copied() -> None:
    long = turn("user", "x" * 5000)
    pieces = write_prompt(Prompt(model="m", turns=(long,)), "m", max_tokens=1, stream=True, version=9)
    assert [isinstance(piece, bytes) for piece in pieces if len(piece) == 5002] == [False]


numbers = st.none() | st.floats(0, 2)
said = st.lists(st.text(), max_size=3)


@given(said, said, numbers, st.lists(st.text(), max_size=3).map(tuple), st.integers(0, 9))
def test_what_is_written_is_json_and_says_what_was_meant(
    asked: list[str], found: list[str], temperature: float | None, stop: tuple[str, ...], version: int
) -> None:
    def parts(texts: list[str]) -> tuple[Part, ...]:
        return tuple(TextPart(msgspec.Raw(json.dumps(each).encode())) for each in texts)

    user = Turn(role="user", parts=parts(asked), listed=True)
    caller = Turn(role="assistant", parts=parts(["x"]), calls=(ToolCall("c", "f", "{}"),))
    results = Turn(role="tool", parts=parts(found), call_id="c")
    wire = json.loads(written(user, caller, results, temperature=temperature, stop=stop, version=version))
    first, second, third, *more = wire["messages"]
    assert (first.get("text") or "".join(part["text"] for part in first.get("content", ()))) == "".join(asked)
    assert [part["type"] for part in second["content"]] == ["text", "tool_call"]
    assert third["content"] == [{"type": "tool_result", "tool_result": {"id": "c", "content": "".join(found)}}]
    assert more == ([] if version else [{"speaker": "assistant"}])
    assert wire.get("temperature") == temperature
    assert tuple(wire.get("stopSequences", ())) == stop
