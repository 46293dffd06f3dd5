"""Calls and their results on Cody's stream: each call answered, right after its turn (contract §4.3, traps 5, 7 and 8)."""

import itertools
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.pairing import pair_results
from cody_oai_router.conversation import ImagePart, Part, Role, TextPart, ToolCall, Turn

IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))
FILLED = {"tool-results:filled"}
MOVED = {"tool-results:moved"}
MERGED = {"messages:merged"}


def text(wire: str) -> TextPart:
    """Text as it stands on the wire, without its quotes."""
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()))


def says(role: Role, wire: str) -> Turn:
    return Turn(role=role, parts=(text(wire),))


def calls(*ids: str, name: str = "f", said: str = "x") -> Turn:
    """A turn that says "x" and calls `f` once for each id."""
    made = tuple(ToolCall(call_id, name, "{}") for call_id in ids)
    return Turn(role="assistant", parts=(text(said),), calls=made)


def result(call_id: str | None, wire: str, *more: Part, name: str | None = None, role: Role = "tool") -> Turn:
    return Turn(role=role, parts=(text(wire), *more), listed=bool(more), call_id=call_id, name=name)


def stray(wire: str, *more: Part) -> Turn:
    return Turn(role="user", parts=(text(f"<TOOL_RESULT>{wire}</TOOL_RESULT>"), *more), listed=bool(more))


USER = says("user", "u")
NONE = "(no result)"
SEE = text("(an image, beside this)")


@pytest.mark.parametrize(
    ("given_turns", "sent", "notes"),
    [
        ([], [], set()),
        ([USER, says("assistant", "x")], [USER, says("assistant", "x")], set()),
        ([calls("a"), result("a", "r"), USER], [calls("a"), result("a", "r"), USER], set()),
        (
            [calls("a", "b"), result("b", "s"), result("a", "r")],
            [calls("a", "b"), result("a", "r"), result("b", "s")],
            set(),
        ),
        ([calls("a"), USER, result("a", "r")], [calls("a"), result("a", "r"), USER], MOVED),
        (
            [calls("a"), says("system", "s"), result("a", "r")],
            [calls("a"), result("a", "r"), says("system", "s")],
            MOVED,
        ),
        (
            [calls("a", "b"), result("b", "s"), USER, result("a", "r")],
            [calls("a", "b"), result("a", "r"), result("b", "s"), USER],
            MOVED,
        ),
        ([calls("a"), result("a", "r"), USER, USER], [calls("a"), result("a", "r"), USER, USER], set()),
        ([calls("a")], [calls("a"), result("a", NONE)], FILLED),
        ([calls("a", "b"), result("b", "s")], [calls("a", "b"), result("a", NONE), result("b", "s")], FILLED),
        # Neighbours that call are one turn, whose results come together.
        (
            [calls("a"), calls("b"), result("b", "s")],
            [calls("a", "b", said=r"x\n\nx"), result("a", NONE), result("b", "s")],
            FILLED | MERGED,
        ),
        (
            [calls("a"), calls("a"), calls(""), result("a", "r"), result("a", "s"), result(None, "t")],
            [
                calls("a", "a_1", "call_1", said=r"x\n\nx\n\nx"),
                result("a", "r"),
                result("a_1", "s"),
                result("call_1", "t"),
            ],
            MERGED,
        ),
        (
            [calls("a"), USER, calls("b"), result("b", "s")],
            [calls("a"), result("a", NONE), USER, calls("b"), result("b", "s")],
            FILLED,
        ),
        ([calls("a"), says("assistant", "y")], [calls("a"), result("a", NONE), says("assistant", "y")], FILLED),
        ([says("assistant", "y"), calls("a")], [says("assistant", "y"), calls("a"), result("a", NONE)], FILLED),
        # A result that comes after the assistant has spoken again comes too late.
        (
            [calls("a"), says("assistant", "y"), result("a", "r")],
            [calls("a"), result("a", NONE), says("assistant", "y"), stray("r")],
            FILLED | {"tool:wrapped"},
        ),
        ([result("a", "r"), USER], [stray("r"), USER], {"tool:wrapped"}),
        (
            [calls("a"), result("z", "r"), result("a", "s")],
            [calls("a"), result("a", "s"), stray("r")],
            MOVED | {"tool:wrapped"},
        ),
        (
            [calls("a"), result("a", "r"), result("a", "s")],
            [calls("a"), result("a", "r"), stray("s")],
            {"tool:wrapped"},
        ),
        # Results that say nothing of their calls answer them in order.
        ([calls("a"), result(None, "r")], [calls("a"), result("a", "r")], set()),
        (
            [calls("", ""), result("", "r"), result("", "s")],
            [calls("call_1", "call_2"), result("call_1", "r"), result("call_2", "s")],
            set(),
        ),
        # The same id in two rounds answers in each, under names of their own.
        (
            [calls("a"), result("a", "r"), calls("a", "b"), result("a", "s"), result("b", "t")],
            [calls("a"), result("a", "r"), calls("a_1", "b"), result("a_1", "s"), result("b", "t")],
            set(),
        ),
        (
            [calls("a"), Turn(role="tool", parts=(IMAGE,), listed=True, call_id="a")],
            [calls("a"), result("a", "(an image, beside this)", IMAGE)],
            {"tool-images:beside"},
        ),
        # Without words beside it, and an empty text is none.
        (
            [calls("a"), result("a", "", IMAGE)],
            [calls("a"), Turn(role="tool", parts=(SEE, text(""), IMAGE), listed=True, call_id="a")],
            {"tool-images:beside"},
        ),
        # Legacy results have no id but the function's name.
        (
            [calls("a"), result(None, "r", name="f", role="function")],
            [calls("a"), result("a", "r")],
            set(),
        ),
        (
            [
                calls("a", "b"),
                result(None, "r", name="f", role="function"),
                result(None, "s", name="f", role="function"),
            ],
            [calls("a", "b"), result("a", "r"), result("b", "s")],
            set(),
        ),
        (
            [calls("a"), result(None, "r", name="g", role="function")],
            [calls("a"), result("a", NONE), Turn(role="user", parts=(text("<TOOL_RESULT>r</TOOL_RESULT>"),))],
            FILLED | {"function:wrapped"},
        ),
        (
            [calls("a"), result("a", "r", IMAGE)],
            [calls("a"), result("a", "r", IMAGE)],
            {"tool-images:beside"},
        ),
        ([result("a", "r", IMAGE)], [stray("r", IMAGE)], {"tool:wrapped"}),
        # Calls without ids, or with the same one, get ids of their own, none that another call has.
        (
            [calls("", ""), USER],
            [calls("call_1", "call_2"), result("call_1", NONE), result("call_2", NONE), USER],
            FILLED,
        ),
        ([calls("call_1", "")], [calls("call_1", "call_2"), result("call_1", NONE), result("call_2", NONE)], FILLED),
        ([calls("", "call_1")], [calls("call_2", "call_1"), result("call_2", NONE), result("call_1", NONE)], FILLED),
        (
            [calls("a", "a_1", "a"), result("a_1", "r"), result("a", "s")],
            [calls("a", "a_1", "a_2"), result("a", "s"), result("a_1", "r"), result("a_2", NONE)],
            FILLED,
        ),
    ],
)
def test_rounds(given_turns: list[Turn], sent: list[Turn], notes: set[str]) -> None:
    found, said = pair_results(tuple(given_turns))
    assert list(found) == sent
    assert said == notes


@pytest.mark.timeout(30)
def test_one_id_in_thousands_of_rounds_costs_no_square() -> None:
    """Legacy calls have no other id; a search from the beginning in each round would take minutes."""
    rounds = 20_000
    found, _ = pair_results((calls("a"), result("a", "r")) * rounds)
    assert [call.id for turn in found for call in turn.calls][-2:] == [f"a_{rounds - 2}", f"a_{rounds - 1}"]


def called(arguments: str) -> Turn:
    return Turn(role="assistant", parts=(text("x"),), calls=(ToolCall("a", "f", arguments),))


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ("{}", "{}"),
        (' {"a": [1, {}]}\n', ' {"a": [1, {}]}\n'),
        ("", '{"arguments":""}'),
        ("[1]", '{"arguments":"[1]"}'),
        ("null", '{"arguments":"null"}'),
        ('"a"', '{"arguments":"\\"a\\""}'),
        ('{"a": "cut o', '{"arguments":"{\\"a\\": \\"cut o"}'),
        ("{}{}", '{"arguments":"{}{}"}'),
        ("\u00e9", '{"arguments":"\u00e9"}'),
        ("\ud800", '{"arguments":"?"}'),
    ],
)
def test_arguments_that_are_no_object_go_as_text_in_one(arguments: str, sent: str) -> None:
    found, notes = pair_results((called(arguments), result("a", "r")))
    assert found == (called(sent), result("a", "r"))
    assert notes == (set() if arguments == sent else {"arguments:wrapped"})


def test_arguments_too_deep_to_be_read_go_as_text_too() -> None:
    deep = '{"a":' * 100_000
    found, notes = pair_results((called(deep), result("a", "r")))
    assert msgspec.json.decode(found[0].calls[0].arguments) == {"arguments": deep}
    assert notes == {"arguments:wrapped"}


HINTED = TextPart(msgspec.Raw(b'"r"'), msgspec.Raw(b'{"type":"ephemeral"}'))


def test_a_result_has_no_place_for_a_cache_hint_and_words_have() -> None:
    hinted = Turn(role="tool", parts=(HINTED,), listed=True, call_id="a")
    _, notes = pair_results((calls("a"), hinted))
    assert notes == {"cache_control:dropped"}
    found, notes = pair_results((hinted, calls("a"), result("a", "r")))
    assert found[0] == Turn(role="user", parts=(stray_hint("r"),), listed=True)
    assert notes == {"tool:wrapped"}
    asked = Turn(role="user", parts=(HINTED,), listed=True)
    assert pair_results((calls("a"), result("a", "r"), asked)) == ((calls("a"), result("a", "r"), asked), set())


def stray_hint(wire: str) -> TextPart:
    return TextPart(stray(wire).parts[0].text, HINTED.cache_control)  # type: ignore[union-attr]  # it is text


def test_a_pairing_is_paired_already() -> None:
    once, _ = pair_results((calls("a", "b"), USER, result("b", "r"), result("z", "s")))
    assert pair_results(once) == (once, set())


ids = st.sampled_from(["", "a", "a_1", "b", "call_1"])
names = st.sampled_from(["f", "g"])
made_calls = st.lists(st.builds(ToolCall, ids, names, st.just("{}")), max_size=4).map(tuple)
turns_of_calls = st.builds(Turn, role=st.just("assistant"), calls=made_calls)
results = st.builds(
    Turn,
    role=st.sampled_from(["tool", "function"]),
    parts=st.sampled_from([(), (IMAGE,)]),
    call_id=st.none() | ids,
    name=st.none() | names,
)
others = st.builds(Turn, role=st.sampled_from(["user", "system", "assistant"]))


@given(st.lists(st.one_of(turns_of_calls, results, others), max_size=10))
def test_every_call_is_answered_right_after_its_turn_by_one_result_and_no_text_is_lost(made: list[Turn]) -> None:
    turns = tuple(
        msgspec.structs.replace(turn, parts=(text(f"w{index}."), *turn.parts)) for index, turn in enumerate(made)
    )
    sent, _ = pair_results(turns)
    answered: set[int] = set()
    for index, turn in enumerate(sent):
        assert turn.role != "function"
        if not turn.calls:
            continue
        wanted = [call.id for call in turn.calls]
        after = range(index + 1, index + 1 + len(wanted))
        assert len(set(wanted)) == len(wanted)
        assert all(wanted)
        assert [(sent[at].role, sent[at].call_id) for at in after] == [("tool", call_id) for call_id in wanted]
        answered |= set(after)
    assert {index for index, turn in enumerate(sent) if turn.role == "tool"} == answered
    words = [
        word
        for turn in sent
        for part in turn.parts
        if isinstance(part, TextPart)
        for word in re.findall(rb"w\d+\.", bytes(part.text))
    ]
    assert sorted(words) == sorted(f"w{index}.".encode() for index in range(len(turns)))
    assert sum(part == IMAGE for turn in sent for part in turn.parts) == sum(
        part == IMAGE for turn in turns for part in turn.parts
    )
    spoken = [
        part.text for turn in sent if turn.role == "assistant" for part in turn.parts if isinstance(part, TextPart)
    ]
    said = [
        part.text for turn in turns if turn.role == "assistant" for part in turn.parts if isinstance(part, TextPart)
    ]
    assert b"".join(map(bytes, spoken)).replace(b'"', b"").replace(rb"\n\n", b"") == b"".join(map(bytes, said)).replace(
        b'"', b""
    )
    assert not any(one.calls and other.calls for one, other in itertools.pairwise(sent))
    named = [call.id for turn in sent for call in turn.calls]
    assert len(set(named)) == len(named)
    assert [(call.name, call.arguments) for turn in sent for call in turn.calls] == [
        (call.name, call.arguments) for turn in turns for call in turn.calls
    ]
