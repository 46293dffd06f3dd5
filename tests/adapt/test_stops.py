"""Stop sequences: the first to be complete ends the answer, and no cut of the text makes a difference."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cody_oai_router.adapt.stops import StopCutter
from cody_oai_router.conversation import Reply, collect
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Stop,
    Text,
    Usage,
)
from cody_oai_router.faults import Fault

CUT = Adapted("stop:cut-here")
END = Stop("stop")
BROKEN = Failed(Fault(kind="bad_gateway", message="broken"))
CALL = CallStart(0, "c", "f")


def passed(stops: list[str], *batches: list[Event]) -> list[list[Event]]:
    cutter = StopCutter(stops)
    return [cutter.adapt(batch) for batch in batches]


def expected(text: str, stops: list[str]) -> str | None:
    """Gives what comes before the sequence that ends first, letter by letter as a model would; nothing where there is none."""
    for end in range(len(text) + 1):
        ended = [stop for stop in stops if text[:end].endswith(stop)]
        if ended:
            return text[: end - max(map(len, ended))]
    return None


@pytest.mark.parametrize(
    ("text", "stops", "kept"),
    [
        ("one\ntwo", ["\n"], "one"),
        ("one two", ["\n"], None),
        ("", ["x"], None),
        ("stop", ["stop"], ""),
        ("a stop", ["top", "stop"], "a "),
        ("aab", ["ab"], "a"),
        ("aaab", ["aab"], "a"),
        ("abcd", ["abcd", "c"], "ab"),
        ("abcd", ["bc", "b"], "a"),
        ("bcab", ["ab", "bc"], ""),
        ("x.y*z", ["*"], "x.y"),
        ("x^]y", ["^]"], "x"),
        ("日本🎉語", ["🎉"], "日本"),
        ("an END and an END", ["END"], "an "),
        ("almost EN", ["END"], None),
    ],
)
def test_the_sequence_that_is_complete_first_ends_the_text(text: str, stops: list[str], kept: str | None) -> None:
    assert expected(text, stops) == kept
    for pieces in ([text], list(text)):
        given_events: list[Event] = [*map(Text, pieces), Stop("length")]
        cutter = StopCutter(stops)
        found = collect(out for event in given_events for out in cutter.adapt([event]))
        assert cutter.cut == (kept is not None)
        if kept is None:
            assert found == Reply(text=text, stop="length")
        else:
            assert found == Reply(text=kept, stop="stop", adapted=("stop:cut-here",))


def test_only_what_may_become_a_sequence_is_held() -> None:
    batches: list[list[Event]] = [[Text("ab<")], [Text("/")], [Text("x<")], [Text("<")], [Text("/b>c")]]
    assert passed(["</b>", "xyz"], *batches) == [
        [Text("ab")],
        [],
        [Text("</x")],
        [Text("<")],
        [CUT, END],
    ]


def test_one_letter_holds_nothing() -> None:
    assert passed(["\n"], [Text("a")], [Text("b\nc")]) == [[Text("a")], [Text("b"), CUT, END]]


@pytest.mark.parametrize("event", [CALL, Stop("length"), Stop("stop"), BROKEN])
def test_what_is_held_comes_before_what_it_was_written_before(event: Event) -> None:
    assert passed(["END"], [Text("aE"), event]) == [[Text("a"), Text("E"), event]]
    assert passed(["END"], [event]) == [[event]]


@pytest.mark.parametrize("event", [Reasoning("ND"), Usage(1, 2, 3), Adapted("tool-calls:split")])
def test_what_is_no_text_passes_and_is_not_searched(event: Event) -> None:
    assert passed(["END"], [Text("aE"), event, Text("N"), Text("D")]) == [[Text("a"), event, CUT, END]]
    assert passed(["ND"], [event, Text("x")]) == [[event, Text("x")]]


def test_no_sequence_reaches_across_a_call() -> None:
    arguments = CallArguments(0, "END")
    given_events: list[Event] = [Text("aE"), CALL, arguments, Text("ND"), Stop("tool_calls")]
    assert passed(["END"], given_events) == [[Text("a"), Text("E"), CALL, arguments, Text("ND"), Stop("tool_calls")]]


def test_an_answer_with_a_call_that_is_cut_ends_for_its_call() -> None:
    assert passed(["END"], [CALL, Text("aEND")]) == [[CALL, Text("a"), CUT, Stop("tool_calls")]]


def test_after_the_cut_only_usage_passes() -> None:
    rest: list[Event] = [Text("b"), Reasoning("r"), CALL, CallArguments(0, "{}"), Adapted("n"), Stop("length")]
    assert passed(["END"], [Text("aENDx"), *rest, Usage(1, 2, 3)], [Text("c"), BROKEN], []) == [
        [Text("a"), CUT, END, Usage(1, 2, 3)],
        [],
        [],
    ]


letters = st.text("ab\n🎉", max_size=12)
sequences = st.lists(st.text("ab\n🎉", min_size=1, max_size=4), min_size=1, max_size=4)


@given(letters, sequences, st.lists(st.integers(0, 12)), st.booleans())
@example("aabaab", ["aabaac", "baab"], [1, 2, 3, 4, 5], False)
def test_any_cut_gives_what_the_whole_text_gives(text: str, stops: list[str], places: list[int], batched: bool) -> None:
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    events: list[Event] = [Text(text[start:end]) for start, end in itertools.pairwise(edges)]
    events.append(Stop("length"))
    cutter = StopCutter(stops)
    found = cutter.adapt(events) if batched else [out for event in events for out in cutter.adapt([event])]
    kept = expected(text, stops)
    assert cutter.cut == (kept is not None)
    assert collect(found) == (
        Reply(text=text, stop="length") if kept is None else Reply(text=kept, adapted=("stop:cut-here",))
    )
    assert Text("") not in found


others = st.sampled_from([Reasoning("ab"), CallStart(0, "c", "f"), CallArguments(0, "ab"), Usage(1, 1, 2)])


@given(st.lists(st.one_of(letters.map(Text), others), max_size=8), sequences)
def test_nothing_is_lost_doubled_or_reordered(events: list[Event], stops: list[str]) -> None:
    cutter = StopCutter(stops)
    found = [out for event in [*events, END] for out in cutter.adapt([event])]
    assert found.count(END) + found.count(Stop("tool_calls")) == 1
    if not cutter.cut:
        assert between_calls(found) == between_calls([*events, END])
    else:
        kept = between_calls(found)
        assert [text for text, _ in kept[:-1]] == [text for text, _ in between_calls(events)[: len(kept) - 1]]
        assert kept[-1][0] == expected(between_calls(events)[len(kept) - 1][0], stops)


def between_calls(events: list[Event]) -> list[tuple[str, list[Event]]]:
    """Gives the text, and what is no text, up to each call and after the last."""
    found: list[tuple[str, list[Event]]] = [("", [])]
    for event in events:
        text, rest = found[-1]
        if isinstance(event, CallStart):
            found.append(("", [event]))
        elif isinstance(event, Text):
            found[-1] = (text + event.text, rest)
        else:
            found[-1] = (text, [*rest, event])
    return found
