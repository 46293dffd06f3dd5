"""`tool_choice` and `parallel_tool_calls`: said in words, looked after, asked for once more, or failed in the open."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.tool_choice import OneCall, fault, instruct, repair, verdict
from cody_oai_router.conversation import (
    ImagePart,
    Named,
    Part,
    Reply,
    Role,
    TextPart,
    ToolCall,
    ToolChoice,
    Turn,
    collect,
    play,
)
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Stop,
    StopReason,
    Text,
    Usage,
)
from cody_oai_router.faults import Fault

CHOSEN, SINGLE = "tool_choice:instructed", "parallel_tool_calls:instructed"
ONE, TWO = Named(("read",)), Named(("read", "write"))
FREE = Named(("read", "write"), required=False)
HINT = msgspec.Raw(b'{"type":"ephemeral"}')


def text(said: str) -> TextPart:
    return TextPart(msgspec.Raw(msgspec.json.encode(said)))


def turn(role: Role, *said: str, listed: bool = False) -> Turn:
    return Turn(role=role, parts=tuple(map(text, said)), listed=listed)


HI = turn("user", "hi")


@pytest.mark.parametrize(
    ("choice", "parallel", "words", "notes"),
    [
        ("auto", True, None, set()),
        ("none", True, None, set()),
        ("none", False, None, set()),
        (FREE, True, None, set()),
        ("auto", False, "Call at most one tool in this answer.", {SINGLE}),
        (FREE, False, "Call at most one tool in this answer.", {SINGLE}),
        ("required", True, "Answer by calling at least one tool.", {CHOSEN}),
        ("required", False, "Answer by calling exactly one tool.", {CHOSEN, SINGLE}),
        (ONE, True, 'Answer by calling the tool "read".', {CHOSEN}),
        (ONE, False, 'Answer by calling the tool "read" exactly once.', {CHOSEN, SINGLE}),
        (TWO, True, 'Answer by calling at least one of the tools "read" and "write".', {CHOSEN}),
        (TWO, False, 'Answer by calling exactly one of the tools "read" and "write".', {CHOSEN, SINGLE}),
        (Named(('"\n',)), True, 'Answer by calling the tool "\\"\\n".', {CHOSEN}),
        (
            Named(("a", "b", "c")),
            True,
            'Answer by calling at least one of the tools "a", "b" and "c".',
            {CHOSEN},
        ),
    ],
)
def test_words(choice: ToolChoice, parallel: bool, words: str | None, notes: set[str]) -> None:
    expected = HI if words is None else turn("user", f"hi\n\n{words}")
    assert instruct((HI,), choice, parallel=parallel) == ((expected,), notes)


WORDS = "Answer by calling at least one tool."
IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))
HINTED = TextPart(msgspec.Raw(b'"h"'), HINT)


@pytest.mark.parametrize(
    ("turns", "sent"),
    [
        ([], [turn("user", WORDS)]),
        ([turn("user")], [turn("user", WORDS)]),
        ([HI, turn("assistant", "a")], [HI, turn("assistant", "a"), turn("user", WORDS)]),
        ([HI, turn("tool", "r")], [HI, turn("tool", "r"), turn("user", WORDS)]),
        ([turn("system", "s")], [turn("system", "s"), turn("user", WORDS)]),
        ([turn("user", "a", "b", listed=True)], [turn("user", "a", "b", f"\n\n{WORDS}", listed=True)]),
    ],
)
def test_words_stand_at_the_end(turns: list[Turn], sent: list[Turn]) -> None:
    assert instruct(tuple(turns), "required", parallel=True)[0] == tuple(sent)


@pytest.mark.parametrize("last", [IMAGE, HINTED])
def test_words_are_a_part_of_their_own_after_parts(last: Part) -> None:
    given_turn = Turn(role="user", parts=(text("a"), last), listed=True, name="bob")
    sent = Turn(role="user", parts=(text("a"), last, text(f"\n\n{WORDS}")), listed=True, name="bob")
    assert instruct((given_turn,), "required", parallel=True)[0] == (sent,)


def reply(*names: str, stop: StopReason = "stop", said: str = "") -> Reply:
    return Reply(text=said, calls=tuple(ToolCall("c", name, "{}") for name in names), stop=stop)


NO_CALL = "Your last answer called no tool."


@pytest.mark.parametrize(
    ("answer", "choice", "broken"),
    [
        (reply(), "auto", None),
        (reply("x"), "auto", None),
        (reply(), "none", None),
        (reply("x"), "none", "Your last answer called a tool, but no tool may be called now."),
        (reply("x"), "required", None),
        (reply(), "required", NO_CALL),
        (reply(stop="length"), "required", None),
        (reply(stop="content_filter"), ONE, None),
        (reply("read", "read"), ONE, None),
        (reply(), ONE, NO_CALL),
        (reply("x"), ONE, 'Your last answer called "x", which may not be called now.'),
        (reply("x", stop="length"), ONE, 'Your last answer called "x", which may not be called now.'),
        (reply("read", "x", "y", "x"), TWO, 'Your last answer called "x" and "y", which may not be called now.'),
        (reply("write"), TWO, None),
        (reply(), FREE, None),
        (reply("x"), FREE, 'Your last answer called "x", which may not be called now.'),
    ],
)
def test_verdicts(answer: Reply, choice: ToolChoice, broken: str | None) -> None:
    assert verdict(answer, choice) == broken


@pytest.mark.parametrize(
    ("answer", "turns", "sent"),
    [
        (reply(said="no"), [HI], [HI, turn("assistant", "no"), turn("user", NO_CALL)]),
        (reply("x", said="é\n"), [HI], [HI, turn("assistant", "é\n"), turn("user", NO_CALL)]),
        (reply(said=" \n"), [HI], [turn("user", f"hi\n\n{NO_CALL}")]),
        (reply("x"), [HI, turn("tool", "r")], [HI, turn("tool", "r"), turn("user", NO_CALL)]),
    ],
)
def test_it_is_asked_once_more(answer: Reply, turns: list[Turn], sent: list[Turn]) -> None:
    assert repair(tuple(turns), answer, NO_CALL) == tuple(sent)


def test_the_repair_is_instructed_again() -> None:
    again = repair((HI,), reply(said="no"), NO_CALL)
    last = turn("user", f"{NO_CALL}\n\n{WORDS}")
    assert instruct(again, "required", parallel=True)[0] == (HI, turn("assistant", "no"), last)


@pytest.mark.parametrize(
    ("choice", "wish"),
    [
        ("auto", "to call what it likes"),
        ("none", "to call no tool"),
        ("required", "to call a tool"),
        (ONE, 'to call "read"'),
        (TWO, 'to call "read" or "write"'),
        (FREE, 'to call only "read" or "write"'),
    ],
)
def test_the_failure_says_what_was_not_kept(choice: ToolChoice, wish: str) -> None:
    message = (
        f"The model did not keep `tool_choice`: it was told {wish}, and did not do so when it was asked once more. "
        "Sourcegraph carries `tool_choice` only in words; ask again, ask for it in a message of your own, or choose another model."
    )
    found = fault(choice)
    assert found == Fault(kind="unprocessable", message=message, param="tool_choice", code="tool_choice_not_kept")
    assert found.status == 422


FIRST_KEPT = Adapted("tool-calls:first-kept")
END = Stop("tool_calls")
BROKEN = Failed(Fault(kind="bad_gateway", message="broken"))
FIRST, SECOND, THIRD = (CallStart(index, str(index), "f") for index in range(3))


def one(*batches: list[Event]) -> tuple[list[list[Event]], bool]:
    only = OneCall()
    return [only.adapt(batch) for batch in batches], only.cut


def whole(index: int) -> CallArguments:
    return CallArguments(index, '{"a": 1}')


@pytest.mark.parametrize(
    "events",
    [
        [Text("a"), Stop("stop"), Usage(1, 2, 3)],
        [Reasoning("r"), Text("a"), FIRST, CallArguments(0, '{"a":'), CallArguments(0, "1}"), END, Usage(1, 2, 3)],
        [FIRST, BROKEN],
        [FIRST, whole(0), Text("b"), Adapted("tool-calls:split"), Stop("length")],
    ],
)
def test_one_call_passes_untouched(events: list[Event]) -> None:
    assert one(events) == ([events], False)


def test_the_second_call_ends_the_answer() -> None:
    rest: list[Event] = [whole(1), Text("b"), THIRD, Adapted("n"), END]
    assert one([Text("a"), FIRST, CallArguments(0, '{"a":')], [CallArguments(0, "1}"), SECOND, *rest], [BROKEN]) == (
        [[Text("a"), FIRST, CallArguments(0, '{"a":')], [CallArguments(0, "1}"), FIRST_KEPT, END], []],
        True,
    )


def test_after_the_cut_usage_passes() -> None:
    assert one([FIRST, whole(0), SECOND, END, Usage(1, 2, 3)]) == (
        [[FIRST, whole(0), FIRST_KEPT, END, Usage(1, 2, 3)]],
        True,
    )


@pytest.mark.parametrize("begun", ["", '{"a":', "[1]", "{" * 2000, '{"a":' * 2000, "\ud800"])
def test_a_first_call_that_is_not_whole_is_waited_for(begun: str) -> None:
    start = CallArguments(0, begun)
    more = CallArguments(0, "1}")
    given_events: list[Event] = [FIRST, start, SECOND, whole(1), THIRD, more, Text("b"), Stop("length")]
    assert one(given_events) == ([[FIRST, start, FIRST_KEPT, more, Text("b"), Stop("length")]], False)
    assert one([FIRST, start, SECOND, BROKEN]) == ([[FIRST, start, FIRST_KEPT, BROKEN]], False)


def test_a_first_call_that_became_whole_is_enough_for_the_third() -> None:
    given_events: list[Event] = [FIRST, SECOND, whole(0), THIRD, whole(1)]
    assert one(given_events) == ([[FIRST, FIRST_KEPT, whole(0), END]], True)


calls = st.lists(st.builds(ToolCall, st.just("c"), st.just("f"), st.sampled_from(["", "{}", '{"a":1}', '{"a"'])))


@given(calls, st.text("ab", max_size=4), st.integers(1, 3))
def test_the_first_call_is_kept_whatever_follows(made: list[ToolCall], said: str, size: int) -> None:
    answer = Reply(text=said, calls=tuple(made), stop="tool_calls" if made else "stop", usage=Usage(1, 2, 3))
    events = list(play(answer))
    only = OneCall()
    found = collect(out for start in range(0, len(events), size) for out in only.adapt(events[start : start + size]))
    notes = ("tool-calls:first-kept",) if len(made) > 1 else ()
    assert found == msgspec.structs.replace(answer, calls=tuple(made[:1]), adapted=notes)
