"""What an answer took: upstream's own numbers, else an estimate that says so; and the sum of several answers."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.usage import IMAGE_TOKENS, TURN_TOKENS, Estimator, estimate_prompt, with_usage
from cody_oai_router.conversation import ImagePart, OtherPart, Part, Prompt, Reply, TextPart, Tool, ToolCall, Turn
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Rewritten,
    Stop,
    Text,
    Usage,
)
from cody_oai_router.faults import Fault

END = Stop("stop")
ESTIMATED = Adapted("usage:estimated")
BROKEN = Failed(Fault(kind="bad_gateway", message="broken"))


def ended(*events: Event, prompt_tokens: int = 10) -> list[Event]:
    """Gives what an estimator adds at the end; it passes all but a usage that counts nothing."""
    estimator = Estimator(prompt_tokens)
    found = [out for event in events for out in estimator.adapt([event])]
    assert found == [event for event in events if not (isinstance(event, Usage) and event.total_tokens == 0)]
    return estimator.finish()


def estimate(completion: int, reasoning: int | None = None, charged: int | None = None) -> list[Event]:
    usage = Usage(10, completion, 10 + completion, reasoning_tokens=reasoning, credits=charged, estimated=True)
    return [usage, ESTIMATED]


@pytest.mark.parametrize(
    ("events", "added"),
    [
        ([END], estimate(0)),
        ([Text("abcd"), END], estimate(1)),
        ([Text("abcd"), Text("e"), END], estimate(2)),
        ([Text("日本"), END], estimate(2)),
        ([Text("abcdefgh"), Rewritten("ab"), Text("cde"), END], estimate(2)),
        ([Text("🎉"), END], estimate(1)),
        ([Text("\ud800"), END], estimate(1)),
        ([Reasoning("abcde"), Text("a"), END], estimate(3, reasoning=2)),
        ([CallStart(0, "an id", "read"), CallArguments(0, '{"a":1}'), Stop("tool_calls")], estimate(3)),
        ([Text("abcd"), END, Usage()], estimate(1)),
        ([Usage(credits=3), Text("abcd"), END], estimate(1, charged=3)),
        ([Text("abcd"), Stop("length"), Adapted("text:rewritten")], estimate(1)),
    ],
)
def test_what_upstream_did_not_count_is_estimated(events: list[Event], added: list[Event]) -> None:
    assert ended(*events) == added


@pytest.mark.parametrize(
    "events",
    [
        [Text("abcd"), END, Usage(1, 2, 3)],
        [Usage(1, 2, 3), Text("abcd"), END],
        [Usage(1, 2, 3), END, Usage()],
        [END, Usage(total_tokens=1)],
        [Text("abcd"), BROKEN],
        [Text("abcd")],
        [],
    ],
)
def test_what_upstream_counted_and_what_did_not_end_is_left_alone(events: list[Event]) -> None:
    assert ended(*events) == []


@pytest.mark.parametrize("usage", [Usage(prompt_tokens=1), Usage(completion_tokens=1), Usage(total_tokens=1)])
def test_one_number_is_a_count(usage: Usage) -> None:
    estimator = Estimator(10)
    assert estimator.adapt([END, usage]) == [END, usage]
    assert estimator.finish() == []


def text(wire: str) -> TextPart:
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()))


IMAGE = ImagePart(msgspec.Raw(b'"data:image/png;base64,' + b"A" * 4000 + b'"'))
TOOL = Tool(name="read", description=msgspec.Raw(b'"why"'), parameters=msgspec.Raw(b'{"type":"object"}'))


def prompt(*turns: Turn, tools: tuple[Tool, ...] = ()) -> Prompt:
    return Prompt(model="m", turns=turns, tools=tools)


def turn(*parts: Part) -> Turn:
    return Turn(role="user", parts=parts)


@pytest.mark.parametrize(
    ("given_prompt", "tokens"),
    [
        (prompt(), 0),
        (prompt(turn()), TURN_TOKENS),
        (prompt(turn(text("abcd"))), 1 + TURN_TOKENS),
        (prompt(turn(text("abcd"), text("e"))), 2 + TURN_TOKENS),
        (prompt(turn(text("ab")), turn(text("cd"))), 1 + 2 * TURN_TOKENS),
        (prompt(turn(text("日本"))), 2 + TURN_TOKENS),
        (prompt(turn(text(r"\n\u00e9"))), 2 + TURN_TOKENS),
        (prompt(turn(IMAGE, text("abcd"), IMAGE)), 1 + TURN_TOKENS + 2 * IMAGE_TOKENS),
        (prompt(turn(OtherPart("file"))), TURN_TOKENS),
        (prompt(Turn(role="user", parts=(text("ab"),), name="éa")), 2 + TURN_TOKENS),
        (prompt(Turn(role="assistant", calls=(ToolCall("an id", "read", '{"é":1}'),))), 3 + TURN_TOKENS),
        (prompt(tools=(TOOL,)), 7),
        (prompt(tools=(Tool(name="read"), Tool(name="write"))), 3),
    ],
)
def test_a_prompt_is_estimated_by_its_bytes(given_prompt: Prompt, tokens: int) -> None:
    assert estimate_prompt(given_prompt) == tokens


@given(st.text(max_size=40), st.integers(1, 5))
def test_the_cut_of_a_text_does_not_change_its_estimate(said: str, step: int) -> None:
    pieces = [Text(said[start : start + step]) for start in range(0, len(said), step)]
    assert ended(*pieces, END) == ended(Text(said), END) == estimate(-(-len(said.encode()) // 4))


PROMPT = Prompt(model="m", turns=(Turn(role="user", parts=(TextPart(msgspec.Raw(b'"abcdefgh"')),)),))
ASKED = 2 + TURN_TOKENS


@pytest.mark.parametrize("usage", [None, Usage(), Usage(credits=3)])
def test_a_whole_answer_that_nobody_counted_is_estimated(usage: Usage | None) -> None:
    call = ToolCall("an id", "read", '{"a":1}')
    reply = Reply(text="abcd", reasoning="abcde", calls=(call,), stop="tool_calls", usage=usage, adapted=("a:note",))
    known = None if usage is None else usage.credits
    expected = Usage(ASKED, 6, ASKED + 6, reasoning_tokens=2, credits=known, estimated=True)
    assert with_usage(reply, PROMPT) == msgspec.structs.replace(
        reply, usage=expected, adapted=("a:note", "usage:estimated")
    )


def test_a_whole_answer_that_was_counted_is_the_same() -> None:
    reply = Reply(text="abcd", usage=Usage(1, 2, 3))
    assert with_usage(reply, PROMPT) is reply
