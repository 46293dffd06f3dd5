"""Whole answers and streamed ones: each made of the other."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import Collector, Reply, ToolCall, collect, play, usage_after, usage_together
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Rewritten,
    Stop,
    StopReason,
    Text,
    Usage,
)
from cody_oai_router.faults import Fault

FAULT = Fault(kind="timed_out", message="too late")

replies = st.builds(
    Reply,
    text=st.text(),
    reasoning=st.text(),
    calls=st.lists(st.builds(ToolCall, st.text(), st.text(), st.text()), max_size=3).map(tuple),
    stop=st.sampled_from(get_args(StopReason)),
    usage=st.none() | st.builds(Usage),
    adapted=st.lists(st.text(), max_size=2, unique=True).map(tuple),
)


@given(replies)
def test_folding_what_is_played_gives_the_answer_again(reply: Reply) -> None:
    assert collect(play(reply)) == reply


def _length(reply: Reply) -> int:
    return len(reply.text) + len(reply.reasoning) + sum(len(call.arguments) for call in reply.calls)


def _cut_up(event: Event, size: int) -> list[Event]:
    match event:
        case Text() | Reasoning():
            kind = type(event)
            return [kind(event.text[i : i + size]) for i in range(0, len(event.text), size)]
        case CallArguments():
            pieces = range(0, len(event.text), size)
            return [CallArguments(event.index, event.text[i : i + size]) for i in pieces]
        case _:
            return [event]


@given(replies, st.integers(1, 5))
def test_the_size_of_the_pieces_does_not_matter(reply: Reply, size: int) -> None:
    collector = Collector()
    for event in play(reply):
        collector.feed(_cut_up(event, size))
    assert collector.reply() == reply
    assert collector.size == _length(reply)


def test_what_is_held_is_counted_in_characters_of_the_answer() -> None:
    collector = Collector()
    assert collector.size == 0
    steps: list[tuple[Event, int]] = [
        (Text("\u00e9\u00e9"), 2),
        (Rewritten("\u00e9"), 1),
        (Text("\u00e9"), 2),
        (Reasoning("hm"), 4),
        (CallStart(0, "id", "name"), 4),
        (CallArguments(0, "{}"), 6),
        (Adapted("arguments:filled"), 6),
        (Usage(1, 2, 3), 6),
        (Stop("tool_calls"), 6),
    ]
    for event, size in steps:
        collector.feed([event])
        assert collector.size == size


@pytest.mark.parametrize(
    ("events", "reply"),
    [
        ([Stop("stop")], Reply()),
        ([Text("a"), Text("b"), Stop("length")], Reply(text="ab", stop="length")),
        # Nothing of it was shown, so nothing has to be told.
        ([Text("a"), Text("b"), Rewritten("Xb"), Text("c"), Stop("stop")], Reply(text="Xbc")),
        ([Text("ab"), Reasoning("hm"), Rewritten(""), Stop("stop")], Reply(reasoning="hm")),
        (
            [
                CallStart(0, "a", "f"),
                CallStart(1, "b", "g"),
                CallArguments(1, "[]"),
                CallArguments(0, "{"),
                CallArguments(0, "}"),
                Adapted("tool-calls:split"),
                Stop("tool_calls"),
                Usage(1, 2, 3),
            ],
            Reply(
                calls=(ToolCall("a", "f", "{}"), ToolCall("b", "g", "[]")),
                stop="tool_calls",
                usage=Usage(1, 2, 3),
                adapted=("tool-calls:split",),
            ),
        ),
        ([Text("a"), Failed(FAULT), Stop("stop")], FAULT),
        ([Failed(FAULT), Failed(Fault(kind="internal", message="second"))], FAULT),
        (
            [Text("a")],
            Fault(kind="bad_gateway", message="The answer from Sourcegraph broke off before it was complete."),
        ),
    ],
)
def test_folding(events: list[Event], reply: Reply | Fault) -> None:
    assert collect(events) == reply


def test_an_answer_in_one_piece_is_taken_as_it_is() -> None:
    collector = Collector()
    reply = Reply(text="a", adapted=("tool-calls:split",))
    collector.take(reply)
    assert collector.reply() is reply


def test_playing_puts_thoughts_first_and_usage_last() -> None:
    reply = Reply(text="t", reasoning="r", calls=(ToolCall("i", "f", ""),), stop="tool_calls", usage=Usage())
    assert list(play(reply)) == [Reasoning("r"), Text("t"), CallStart(0, "i", "f"), Stop("tool_calls"), Usage()]


def test_choices_of_one_prompt_count_it_once() -> None:
    first = Usage(10, 3, 13, cached_tokens=0, cache_creation_tokens=8, reasoning_tokens=1, credits=2)
    second = Usage(10, 4, 14, cached_tokens=8, reasoning_tokens=2)
    third = Usage(9, 5, 0, credits=1, estimated=True)
    together = Usage(10, 12, 22, 0, 8, reasoning_tokens=3, credits=3, billed_tokens=13 + 14 + 14, estimated=True)
    assert usage_together([first, second, third]) == together
    assert usage_together([third, first]) == Usage(10, 8, 18, 0, 8, 1, 3, billed_tokens=27, estimated=True)
    assert usage_together([third]) == third
    assert usage_together([]) is None


counts = st.integers(0, 1000)
usages_given = st.builds(Usage, counts, counts, credits=st.one_of(st.none(), counts))


@given(st.lists(usages_given, min_size=2, max_size=5))
def test_nothing_that_was_charged_is_lost(usages: list[Usage]) -> None:
    whole = usage_together(usages)
    assert whole is not None
    assert whole.completion_tokens == sum(usage.completion_tokens for usage in usages)
    assert whole.prompt_tokens == max(usage.prompt_tokens for usage in usages)
    assert whole.total_tokens == whole.prompt_tokens + whole.completion_tokens
    assert (whole.credits or 0) == sum(usage.credits or 0 for usage in usages)
    assert (whole.billed_tokens or 0) >= whole.total_tokens


@pytest.mark.parametrize(
    ("rejected", "usage", "told"),
    [
        (None, None, None),
        (None, Usage(1, 2, 3), Usage(1, 2, 3)),
        (Usage(1, 2, 3), None, None),
        (Usage(4, 1, 5), Usage(9, 2, 11), Usage(4, 2, 6, billed_tokens=16)),
        (Usage(4, 1), Usage(9, 2, 11, credits=2), Usage(4, 2, 6, credits=2, billed_tokens=16)),
        (Usage(4, 1, credits=1), Usage(9, 2, credits=2), Usage(4, 2, 6, credits=3, billed_tokens=16)),
    ],
)
def test_a_second_attempt_costs_what_both_cost(rejected: Usage | None, usage: Usage | None, told: Usage | None) -> None:
    assert usage_after(rejected, usage) == told


def test_choices_that_were_asked_again_are_billed_as_they_were() -> None:
    together = usage_together([Usage(1, 2, 3, billed_tokens=8), Usage(1, 4, 5)])
    assert together == Usage(1, 6, 7, billed_tokens=13)
