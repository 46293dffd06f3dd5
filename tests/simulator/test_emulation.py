"""Tools offered in words are found, told from what the user says, and called in words."""

import pytest

from cody_oai_router.simulator import Call, Text
from cody_oai_router.simulator.emulation import Offer, read_offer, without_instruction
from cody_oai_router.simulator.model import Message, Tool, respond

LINE = '{"name":"get_weather","description":"d","parameters":{"type":"object","required":["city"],"properties":{"city":{}}}}'
MARKS = "<tool_call_0a1b>{...}</tool_call_0a1b>"
INSTRUCTION = f"You have tools.\n<TOOLS>\n{LINE}\n</TOOLS>\nTo call one write {MARKS}."
CALL = '<tool_call_0a1b>{"name": "get_weather", "arguments": {"city": "city"}}</tool_call_0a1b>'


def said(messages: list[Message], *tools: Tool) -> str:
    return "".join(part.text for part in respond(messages, tools).parts if isinstance(part, Text))


def test_an_offer_is_read() -> None:
    offer = read_offer([f"not json\n{INSTRUCTION}"])
    assert offer is not None
    assert ([tool["name"] for tool in offer.tools], offer.nonce) == (["get_weather"], "0a1b")


def test_lines_that_are_no_tools_are_passed_over() -> None:
    offer = read_offer([f'<TOOLS>\nwords\n["a"]\n{{"name":1}}\n{{"name":"f"}}\n</TOOLS> {MARKS}'])
    assert offer == Offer([{"name": "f"}], "0a1b")


@pytest.mark.parametrize("text", ["", MARKS, f"<TOOLS>\n{LINE}\n</TOOLS>", "<TOOLS></TOOLS> <tool_call_XY>"])
def test_without_tools_or_marker_nothing_is_offered(text: str) -> None:
    assert read_offer([text]) is None
    assert without_instruction(text) == text


def test_the_last_instruction_and_its_last_nonce_count() -> None:
    later = INSTRUCTION.replace("0a1b", "ff") + " Not <tool_call_ee>, but <tool_call_dd>."
    offer = read_offer([INSTRUCTION, later, "<tool_call_cc> alone"])
    assert offer is not None
    assert offer.nonce == "dd"


@pytest.mark.parametrize("role", ["system", "user"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_the_model_calls_in_words(role: str, wrapped: bool) -> None:
    text = f"<SYSTEM_PROMPT>{INSTRUCTION}</SYSTEM_PROMPT>" if wrapped else INSTRUCTION
    assert said([Message(role, text), Message("user", "how is the weather?")]) == CALL


def test_an_instruction_before_the_users_words_is_not_what_he_says() -> None:
    trap = INSTRUCTION.replace("You have tools.", "The weather [[words:3]] is only an example.")
    assert said([Message("user", f"{trap}\n\nhello")]) == "You said: hello"
    assert said([Message("user", f"{trap}\n\nWeather?")]) == CALL
    assert said([Message("user", "hello"), Message("user", trap)]) == "You said: hello"


def test_it_makes_as_many_calls_as_it_would_natively() -> None:
    prompt = '[[text:so ]][[call:get_weather {"city": "Oslo"}]][[call:get_weather oops]][[call:unknown]]'
    assert said([Message("system", INSTRUCTION), Message("user", prompt)]) == (
        'so <tool_call_0a1b>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call_0a1b>'
        '<tool_call_0a1b>{"name": "get_weather", "arguments": oops}</tool_call_0a1b>'
    )


def test_it_comes_a_token_at_a_time() -> None:
    parts = respond([Message("system", INSTRUCTION), Message("user", "weather")], []).parts
    assert len(parts) > 3


def test_native_tools_come_first() -> None:
    messages = [Message("system", INSTRUCTION), Message("user", "weather")]
    parts = respond(messages, [Tool("weather_now", {"type": "object"})]).parts
    assert parts == (Call("weather_now", "{}"),)


@pytest.mark.parametrize("tag", ["<TOOL_RESULT>", '<TOOL_RESULT id="call_1" name="get_weather">'])
def test_results_are_quoted_and_nothing_is_called_again(tag: str) -> None:
    messages = [
        Message("system", INSTRUCTION),
        Message("user", "[[call:get_weather]]"),
        Message("assistant", CALL),
        Message("user", f"{tag}sunny weather</TOOL_RESULT>"),
    ]
    assert said(messages) == "The tool answered: sunny weather"


def test_a_tag_that_the_instruction_mentions_is_no_result() -> None:
    instruction = f"{INSTRUCTION} Results come in <TOOL_RESULT> tags."
    assert said([Message("user", f"{instruction}\n\n<TOOL_RESULT>12</TOOL_RESULT>")]) == "The tool answered: 12"
    assert said([Message("user", f"<SYSTEM_PROMPT>{instruction}</SYSTEM_PROMPT>\n\nhello </TOOL_RESULT>")]) == (
        "You said: hello </TOOL_RESULT>"
    )
