"""The scripted model does what the last words of the user ask."""

import json

import pytest

from cody_oai_router.simulator.model import (
    DEMO,
    Attribution,
    Call,
    Fail,
    Message,
    Part,
    Text,
    Thought,
    Tool,
    respond,
    tokens,
)
from cody_oai_router.simulator.steps import Hold, Wait

WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}})
CLOCK = Tool("clock", {"type": "object", "properties": {}})


def say(text: str, *tools: Tool) -> tuple[Part, ...]:
    return respond([Message("user", text)], tools).parts


def spoken(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text))


def test_it_repeats_the_last_user_text() -> None:
    messages = [Message("user", "one"), Message("assistant", "two"), Message("user", "three four")]
    assert spoken(respond(messages, []).parts) == "You said: three four"


def test_a_system_prompt_in_a_tag_is_not_what_the_user_said() -> None:
    system = "<SYSTEM_PROMPT>Be [[words:3]] brief</SYSTEM_PROMPT>"
    assert spoken(respond([Message("user", "hello"), Message("user", system)], []).parts) == "You said: hello"
    assert spoken(say(f"{system}\n\nhello")) == "You said: hello"


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("[[text:a b]]", (Text("a "), Text("b"))),
        ("[[text:]]", ()),
        ("[[words:2]]", (Text("word1 "), Text("word2"))),
        ("[[empty]] talk", ()),
        ("[[eaten]]", ()),
        ("[[pace:0.5]][[words:2]]", (Wait(0.5), Text("word1 "), Wait(0.5), Text("word2"))),
        ("[[silence:3]][[hold:a]][[words:1]]", (Wait(3), Hold("a"), Text("word1"))),
        ("[[mid-silence:3]][[mid-hold:a]][[words:2]]", (Text("word1 "), Wait(3), Hold("a"), Text("word2"))),
        ("[[error:no]][[words:1]]", (Fail("no"), Text("word1"))),
        ("[[mid-error:no]][[words:2]]", (Text("word1 "), Fail("no"), Text("word2"))),
        ("[[status:429 slow down]][[words:1]]", (Fail("slow down", 429), Text("word1"))),
    ],
)
def test_markers_decide(prompt: str, parts: tuple[Part, ...]) -> None:
    assert say(prompt) == parts


@pytest.mark.parametrize(
    ("prompt", "finish"),
    [("[[finish:content_filter]]", "content_filter"), ("[[eaten]]", "length"), ("hello", None)],
)
def test_the_finish_word_may_be_chosen(prompt: str, finish: str | None) -> None:
    assert respond([Message("user", prompt)], []).finish == finish


@pytest.mark.parametrize("prompt", ["How is the weather?", "Use get_weather now", "WEATHER please"])
def test_it_calls_a_tool_that_the_text_mentions(prompt: str) -> None:
    assert say(prompt, CLOCK, WEATHER) == (Call("get_weather", '{"city": "city"}'),)


@pytest.mark.parametrize("prompt", ["Get me the news", "[[text:weather]]"])
def test_it_calls_no_tool_that_was_not_asked_for(prompt: str) -> None:
    assert not any(isinstance(part, Call) for part in say(prompt, WEATHER))


def test_it_makes_several_calls_with_given_and_with_made_arguments() -> None:
    prompt = '[[call:get_weather {"city":"Paris"}]] [[call:clock]] [[call:unknown]]'
    assert say(prompt, CLOCK, WEATHER) == (Call("get_weather", '{"city":"Paris"}'), Call("clock", "{}"))


def test_it_goes_round_the_tools_for_parallel_calls() -> None:
    calls = [part for part in say("[[calls:3]]", CLOCK, WEATHER) if isinstance(part, Call)]
    assert [call.name for call in calls] == ["clock", "get_weather", "clock"]
    assert json.loads(calls[1].arguments) == {"city": "city"}


def test_it_says_something_before_it_calls_when_told_to() -> None:
    assert say("[[text:wait]][[call:clock]]", CLOCK) == (Text("wait"), Call("clock", "{}"))


@pytest.mark.parametrize(
    "turn",
    [
        [Message("user", "<TOOL_RESULT>sunny weather</TOOL_RESULT>"), Message("user", "<TOOL_RESULT>12</TOOL_RESULT>")],
        [Message("user", "<TOOL_RESULT>sunny weather</TOOL_RESULT>\n\n<TOOL_RESULT>12</TOOL_RESULT>")],
        [Message("user", "sunny weather"), Message("user", "12")],
    ],
)
def test_it_quotes_tool_results_and_calls_no_tool_again(turn: list[Message]) -> None:
    before = [Message("user", "How is the weather?"), Message("assistant", "-", calls=True)]
    assert spoken(respond([*before, *turn], [WEATHER]).parts) == "The tool answered: sunny weather | 12"


@pytest.mark.parametrize("prompt", ["hello", "[[empty]]", "weather"])
def test_a_demo_answer_says_so_first(prompt: str) -> None:
    parts = respond([Message("user", prompt)], [WEATHER], demo=True).parts
    assert spoken(parts).startswith(DEMO)
    assert "does not come from Sourcegraph" in DEMO


@pytest.mark.parametrize("text", ["", "a", " a  b\n\nc ", "日本 語"])
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_a_thinking_model_thinks_first() -> None:
    thoughts = [part for part in respond([Message("user", "hi")], [], thinks=True).parts if isinstance(part, Thought)]
    assert "".join(part.text for part in thoughts) == "Let me think about this."
    chosen = respond([Message("user", "[[think:so so]][[words:1]]")], [], thinks=True).parts
    assert chosen == (Thought("so "), Thought("so"), Text("word1"))
    assert say("[[think:so so]][[words:1]]") == (Text("word1"),)


def test_the_search_for_a_source_fails_in_the_middle() -> None:
    assert say("[[attribution]][[words:2]]") == (
        Text("word1 "),
        Attribution("attribution search failed"),
        Text("word2"),
    )


def test_it_quotes_native_results_and_calls_nothing_again() -> None:
    before = [Message("user", "[[call:clock]]"), Message("assistant", "-", calls=True)]
    turn = Message("user", "", results=("sunny", "12"))
    assert spoken(respond([*before, turn], [CLOCK]).parts) == "The tool answered: sunny | 12"


def test_it_heeds_what_is_said_beside_a_result() -> None:
    messages = [Message("user", "hi"), Message("assistant", "-", calls=True)]
    turn = Message("user", "[[text:thanks]]", results=("sunny",))
    assert spoken(respond([*messages, turn], []).parts) == "thanks"


def test_it_describes_the_images_that_it_sees() -> None:
    messages = [Message("user", "old", images=("image/gif",)), Message("assistant", "ok")]
    assert spoken(respond([*messages, Message("user", "hi", images=("image/png",))], []).parts) == (
        "You said: hi [image/png]"
    )
    assert spoken(respond([Message("user", "", images=("image/png",))], []).parts) == "You said:  [image/png]"


def test_tags_of_results_may_have_attributes() -> None:
    turn = Message("user", '<TOOL_RESULT id="a" name="b">sunny</TOOL_RESULT><TOOL_RESULTS>x</TOOL_RESULTS>')
    assert spoken(respond([turn], []).parts) == "The tool answered: sunny"


@pytest.mark.parametrize("messages", [[], [Message("assistant", "ok")], [Message("user", " ")]])
def test_where_nobody_said_anything(messages: list[Message]) -> None:
    assert spoken(respond(messages, []).parts) == "You said: "
