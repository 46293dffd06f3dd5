"""Limits are kept and costs counted, whatever the dialect in which it is then written."""

import pytest

from cody_oai_router.simulator import Call, Hold, Reply, Simulator, Text, Thought, Wait
from cody_oai_router.simulator.catalogue import MODELS
from cody_oai_router.simulator.model import Message, Part
from cody_oai_router.simulator.speech import count, pauses, speak

CLAUDE, GPT = MODELS[0], MODELS[5]


@pytest.mark.parametrize(
    ("parts", "stop", "limit", "text", "finish"),
    [
        ((Text("one two"),), [], 9, "one two", "stop"),
        ((Text("one two"),), [], 1, "one ", "length"),
        ((Text("one two"),), ["e tw"], 9, "on", "stop_sequence"),
        ((Text("one two"),), ["two", "one"], 9, "", "stop_sequence"),
        ((Text("one two"),), [""], 9, "one two", "stop"),
        ((Text("one"), Call("f", "{}")), [], 9, "one", "tool_calls"),
        ((Text("one two"), Call("f", "{}")), [], 1, "one ", "length"),
        ((Thought("a b c"), Text("one")), [], 1, "one", "stop"),
    ],
)
def test_a_reply_is_cut_to_size(parts: tuple[Part, ...], stop: list[str], limit: int, text: str, finish: str) -> None:
    spoken = speak(Reply(parts), stop, limit)
    assert (spoken.text, spoken.finish) == (text, finish)


def test_thoughts_words_and_arguments_cost_a_token_each() -> None:
    spoken = speak(Reply((Thought("a b"), Text("c"), Call("f", '{"x": 1}'))), [], 9)
    assert spoken.tokens == 5
    assert count([Message("user", "one two")], spoken, GPT, Simulator("6.12").instance) == {
        "completion_tokens": 5,
        "prompt_tokens": 2,
        "total_tokens": 7,
        "credits": 1,
    }


@pytest.mark.parametrize(
    ("profile", "keys"),
    [
        ("5.8", ["completion_tokens", "prompt_tokens", "total_tokens"]),
        ("5.10", ["completion_tokens", "prompt_tokens", "total_tokens"]),
        ("6.5-starter", ["completion_tokens", "prompt_tokens", "total_tokens", "credits", "prompt_tokens_details"]),
    ],
)
def test_what_is_counted_depends_on_the_version(profile: str, keys: list[str]) -> None:
    usage = count([Message("user", "hi")], speak(Reply((Text("yo"),)), [], 9), CLAUDE, Simulator(profile).instance)
    assert list(usage) == keys
    assert (usage["total_tokens"] == 0) is (profile == "5.8")


def test_a_whole_answer_takes_the_time_of_its_stream() -> None:
    parts = (Wait(2), Text("a"), Hold("h"), Call("f", "{}"))
    assert list(pauses(parts, 0.0)) == [Wait(2), Hold("h")]
    assert list(pauses(parts, 0.5)) == [Wait(2), Wait(0.5), Hold("h"), Wait(0.5)]
