"""Roles that an endpoint takes: one message in, one message out (contract §2.3, §4.3; traps 4 to 6, 9 and 10)."""

import itertools
import re

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from cody_oai_router.adapt.roles import adapt_turns, joined
from cody_oai_router.conversation import ImagePart, Part, Role, TextPart, ToolCall, Turn
from cody_oai_router.lessons import Lesson
from cody_oai_router.notes import NOTES

CALL = ToolCall("c", "f", "{}")
DROPPED = {"content:empty-dropped"}
IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))


def text(wire: str) -> TextPart:
    """Text as it stands on the wire, without its quotes."""
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()))


def turn(role: Role, *wire: str, listed: bool = False, calls: tuple[ToolCall, ...] = ()) -> Turn:
    return Turn(role=role, parts=tuple(map(text, wire)), listed=listed, calls=calls)


def adapted(*turns: Turn, lessons: tuple[Lesson, ...] = ()) -> tuple[list[Turn], set[str]]:
    found, notes = adapt_turns(turns, frozenset(lessons))
    return list(found), notes


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        (turn("system", "Be kind."), turn("user", "<SYSTEM_PROMPT>Be kind.</SYSTEM_PROMPT>"), {"system:wrapped"}),
        (turn("developer", "C"), turn("user", "<SYSTEM_PROMPT>C</SYSTEM_PROMPT>"), {"developer:wrapped"}),
        (turn("tool", "42"), turn("user", "<TOOL_RESULT>42</TOOL_RESULT>"), {"tool:wrapped"}),
        (turn("function", "42"), turn("user", "<TOOL_RESULT>42</TOOL_RESULT>"), {"function:wrapped"}),
        (
            turn("system", "a", "", "b", listed=True),
            turn("user", "<SYSTEM_PROMPT>ab</SYSTEM_PROMPT>"),
            {"system:wrapped"},
        ),
        (turn("system"), turn("user", "<SYSTEM_PROMPT></SYSTEM_PROMPT>"), {"system:wrapped"}),
        (turn("tool", ""), turn("user", "<TOOL_RESULT></TOOL_RESULT>"), {"tool:wrapped"}),
        (
            turn("tool", r"\"\u00e9\n</TOOL_RESULT>"),
            turn("user", r"<TOOL_RESULT>\"\u00e9\n</TOOL_RESULT></TOOL_RESULT>"),
            {"tool:wrapped"},
        ),
        (turn("user", "hi"), turn("user", "hi"), set()),
        (turn("assistant", "hi"), turn("assistant", "hi"), set()),
        (turn("user", "a", "b", listed=True), turn("user", "a", "b", listed=True), set()),
        (turn("user", "a", "", listed=True), turn("user", "a", listed=True), DROPPED),
        (turn("user", "", "a", "", "b", listed=True), turn("user", "a", "b", listed=True), DROPPED),
        (
            turn("assistant", "", "a", listed=True, calls=(CALL,)),
            turn("assistant", "a", listed=True, calls=(CALL,)),
            DROPPED,
        ),
        (turn("user", " ", "a", listed=True), turn("user", " ", "a", listed=True), set()),
        (turn("user", " "), turn("user", " "), set()),
        (turn("user", ""), turn("user", "(empty)"), {"content:filled"}),
        (turn("user"), turn("user", "(empty)"), {"content:filled"}),
        (turn("user", listed=True), turn("user", "(empty)"), {"content:filled"}),
        (turn("user", "", "", listed=True), turn("user", "(empty)"), {"content:filled"}),
        (turn("assistant"), turn("assistant", "(empty)"), {"content:filled"}),
        (
            turn("assistant", calls=(CALL,)),
            turn("assistant", "(calls a tool)", calls=(CALL,)),
            {"content:filled"},
        ),
        (turn("assistant", "x", calls=(CALL,)), turn("assistant", "x", calls=(CALL,)), set()),
    ],
)
def test_one_in_one_out(given: Turn, sent: Turn, notes: set[str]) -> None:
    assert adapted(given) == ([sent], notes)


def test_order_and_number_stay() -> None:
    given = [turn("system", "s"), turn("user", "a"), turn("user", "b"), turn("tool", "t"), turn("assistant", "c")]
    sent = [
        turn("user", "<SYSTEM_PROMPT>s</SYSTEM_PROMPT>"),
        turn("user", "a"),
        turn("user", "b"),
        turn("user", "<TOOL_RESULT>t</TOOL_RESULT>"),
        turn("assistant", "c"),
    ]
    assert adapted(*given) == (sent, {"system:wrapped", "tool:wrapped"})


@pytest.mark.parametrize(
    ("given", "sent", "merges"),
    [
        ([turn("user", "a"), turn("user", "b")], [turn("user", r"a\n\nb")], True),
        (
            [turn("system", "s"), turn("user", "a"), turn("assistant", "b"), turn("assistant", "c"), turn("user", "d")],
            [turn("user", r"<SYSTEM_PROMPT>s</SYSTEM_PROMPT>\n\na"), turn("assistant", r"b\n\nc"), turn("user", "d")],
            True,
        ),
        (
            [turn("user", "a", "b", listed=True), turn("user", "c")],
            [turn("user", "a", "b", r"\n\nc", listed=True)],
            True,
        ),
        (
            [turn("user", "a"), turn("user", "b", "c", listed=True), turn("user", "d")],
            [turn("user", "a", r"\n\nb", "c", r"\n\nd", listed=True)],
            True,
        ),
        (
            [turn("assistant", "a", calls=(CALL,)), turn("assistant", "b", calls=(CALL,))],
            [turn("assistant", r"a\n\nb", calls=(CALL, CALL))],
            True,
        ),
        ([turn("user", "a"), turn("assistant", "b")], [turn("user", "a"), turn("assistant", "b")], False),
        ([], [], False),
    ],
)
def test_neighbours_are_merged_where_the_instance_asked_for_it(
    given: list[Turn], sent: list[Turn], merges: bool
) -> None:
    found, notes = adapted(*given, lessons=("merge",))
    assert found == sent
    assert ("messages:merged" in notes) == merges


def test_a_part_that_is_no_text_starts_no_blank_line() -> None:
    parts: tuple[Part, ...] = (IMAGE, text("b"))
    given = [turn("user", "a"), Turn(role="user", parts=parts, listed=True)]
    assert adapted(*given, lessons=("merge",))[0] == [Turn(role="user", parts=(text("a"), *parts), listed=True)]


def test_a_message_that_is_only_an_image_is_not_empty() -> None:
    given = Turn(role="user", parts=(IMAGE,), listed=True)
    assert adapted(given) == ([given], set())
    assert adapted(given, lessons=("fill-blank",)) == ([given], set())
    beside = Turn(role="user", parts=(text(""), IMAGE), listed=True)
    assert adapted(beside) == ([given], DROPPED)


CONTINUE = turn("user", "Continue.")
NATIVE: frozenset[Role] = frozenset({"system", "tool"})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([turn("user", "a"), turn("assistant", "b")], [turn("user", "a"), turn("assistant", "b"), CONTINUE]),
        ([turn("user", "a")], [turn("user", "a")]),
        ([turn("tool", "a")], [turn("user", "<TOOL_RESULT>a</TOOL_RESULT>")]),
        ([], []),
    ],
)
def test_a_user_turn_is_added_where_the_instance_asked_for_it(given: list[Turn], sent: list[Turn]) -> None:
    found, notes = adapted(*given, lessons=("end-with-user",))
    assert found == sent
    assert ("messages:user-turn-added" in notes) == (len(sent) > len(given))


BEGIN = turn("user", "(The conversation begins.)")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([turn("assistant", "a"), turn("user", "b")], [BEGIN, turn("assistant", "a"), turn("user", "b")]),
        (
            [turn("system", "s"), turn("assistant", "a")],
            [turn("system", "s"), BEGIN, turn("assistant", "a")],
        ),
        ([turn("system", "s"), turn("user", "a")], [turn("system", "s"), turn("user", "a")]),
        ([turn("system", "s")], [turn("system", "s")]),
        ([turn("user", "a"), turn("assistant", "b")], [turn("user", "a"), turn("assistant", "b")]),
        ([], []),
    ],
)
def test_a_user_turn_is_put_first_where_the_instance_asked_for_it(given: list[Turn], sent: list[Turn]) -> None:
    found, notes = adapt_turns(tuple(given), frozenset({"begin-with-user"}), NATIVE)
    assert list(found) == sent
    assert notes == ({"messages:user-turn-first"} if len(sent) > len(given) else set())
    assert adapt_turns(tuple(given), frozenset(), NATIVE)[0] == tuple(given)


def test_a_system_turn_that_is_wrapped_begins_a_conversation() -> None:
    wrapped = turn("user", "<SYSTEM_PROMPT>s</SYSTEM_PROMPT>")
    given = [turn("system", "s"), turn("assistant", "a")]
    assert adapted(*given, lessons=("begin-with-user",)) == ([wrapped, given[1]], {"system:wrapped"})


def test_a_turn_that_is_put_first_and_one_that_is_added_last_stand_apart() -> None:
    given = [turn("assistant", "a"), turn("assistant", "b")]
    notes = {"messages:merged", "messages:user-turn-first", "messages:user-turn-added"}
    sent = [BEGIN, turn("assistant", r"a\n\nb"), CONTINUE]
    assert adapted(*given, lessons=("merge", "begin-with-user", "end-with-user")) == (sent, notes)


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        (turn("user", " "), turn("user", "(empty)"), {"content:filled"}),
        (turn("user", r"\n\t\u00a0 "), turn("user", "(empty)"), {"content:filled"}),
        (turn("user", " ", "a", "", listed=True), turn("user", "a", listed=True), DROPPED),
        (turn("assistant", " ", calls=(CALL,)), turn("assistant", "(calls a tool)", calls=(CALL,)), {"content:filled"}),
        (turn("user", " a "), turn("user", " a "), set()),
        (turn("user", " " * 254), turn("user", "(empty)"), {"content:filled"}),
        (turn("user", " " * 255), turn("user", " " * 255), set()),
    ],
)
def test_blank_text_counts_as_empty_where_the_instance_asked_for_it(given: Turn, sent: Turn, notes: set[str]) -> None:
    assert adapted(given, lessons=("fill-blank",)) == ([sent], notes)


def test_lessons_add_up() -> None:
    given = [turn("user", "a"), turn("user", " "), turn("assistant", "b")]
    sent = [turn("user", r"a\n\n(empty)"), turn("assistant", "b"), CONTINUE]
    notes = {"messages:merged", "messages:user-turn-added", "content:filled"}
    assert adapted(*given, lessons=("merge", "end-with-user", "fill-blank")) == (sent, notes)


def result(wire: str, call_id: str) -> Turn:
    return Turn(role="tool", parts=(text(wire),), call_id=call_id)


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        ([turn("system", "s"), turn("user", "u")], [turn("system", "s"), turn("user", "u")], set()),
        (
            [turn("user", "u"), turn("system", "s")],
            [turn("user", "u"), turn("user", "<SYSTEM_PROMPT>s</SYSTEM_PROMPT>")],
            {"system:wrapped"},
        ),
        (
            [turn("developer", "d"), turn("function", "r")],
            [turn("user", "<SYSTEM_PROMPT>d</SYSTEM_PROMPT>"), turn("user", "<TOOL_RESULT>r</TOOL_RESULT>")],
            {"developer:wrapped", "function:wrapped"},
        ),
        ([result("r", "a"), result("s", "b")], [result("r", "a"), result("s", "b")], set()),
        ([turn("system"), turn("tool")], [turn("system", "(empty)"), turn("tool", "(empty)")], {"content:filled"}),
    ],
)
def test_roles_that_an_endpoint_carries_stay(given: list[Turn], sent: list[Turn], notes: set[str]) -> None:
    found, said = adapt_turns(tuple(given), frozenset(), NATIVE)
    assert (list(found), said) == (sent, notes)


def test_each_result_of_a_tool_stands_for_itself_where_neighbours_are_merged() -> None:
    turns = (result("r", "a"), result("s", "b"), turn("user", "u"), turn("user", "v"))
    assert adapt_turns(turns, frozenset({"merge"}), NATIVE) == (
        (*turns[:2], turn("user", r"u\n\nv")),
        {"messages:merged"},
    )


def test_images_go_with_what_is_wrapped() -> None:
    given = Turn(role="tool", parts=(text("r"), IMAGE, text("s")), listed=True, call_id="c")
    sent = Turn(role="user", parts=(text("<TOOL_RESULT>rs</TOOL_RESULT>"), IMAGE), listed=True)
    assert adapted(given) == ([sent], {"tool:wrapped"})


def test_what_has_a_cache_hint_is_joined_as_parts_though_it_was_no_list() -> None:
    hinted = Turn(role="user", parts=(TextPart(msgspec.Raw(b'"a"'), msgspec.Raw(b'{"type":"ephemeral"}')),))
    after = TextPart(msgspec.Raw(rb'"\n\nb"'))
    merged, _ = adapt_turns((hinted, turn("user", "b")), frozenset({"merge"}))
    assert merged == (Turn(role="user", parts=(*hinted.parts, after), listed=True),)


def test_a_cache_hint_stays_with_its_text() -> None:
    hinted = TextPart(msgspec.Raw(b'"b"'), msgspec.Raw(b'{"type":"ephemeral"}'))
    given = [turn("user", "a"), Turn(role="user", parts=(hinted,), listed=True)]
    after = TextPart(msgspec.Raw(rb'"\n\nb"'), hinted.cache_control)
    assert adapted(*given, lessons=("merge",))[0] == [Turn(role="user", parts=(text("a"), after), listed=True)]


HINT = msgspec.Raw(b'{"type":"ephemeral"}')
LATER_HINT = msgspec.Raw(b'{"type":"ephemeral","ttl":"1h"}')


@pytest.mark.parametrize(
    ("hints", "kept"),
    [((None, None), None), ((HINT, None), HINT), ((None, HINT), HINT), ((HINT, LATER_HINT), LATER_HINT)],
)
def test_what_is_wrapped_keeps_the_last_cache_hint(
    hints: tuple[msgspec.Raw | None, msgspec.Raw | None], kept: msgspec.Raw | None
) -> None:
    parts = tuple(TextPart(text(wire).text, hint) for wire, hint in zip("ab", hints, strict=True))
    given = Turn(role="system", parts=parts, listed=True)
    sent = TextPart(text("<SYSTEM_PROMPT>ab</SYSTEM_PROMPT>").text, kept)
    found, notes = adapted(given)
    assert (found, notes) == ([Turn(role="user", parts=(sent,), listed=kept is not None)], {"system:wrapped"})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([turn("user", "a", listed=True), turn("user", listed=True)], turn("user", "a", listed=True)),
        ([turn("user", "", listed=True), turn("user", "b", listed=True)], turn("user", "b", listed=True)),
        ([turn("user", ""), turn("user", "b", "c", listed=True)], turn("user", "b", "c", listed=True)),
        ([turn("user", "a"), turn("user", "")], turn("user", "a")),
        ([turn("user", ""), turn("user", "b")], turn("user", "b")),
        ([turn("user", "a"), turn("user", ""), turn("user", "c")], turn("user", r"a\n\nc")),
        ([turn("user", ""), turn("user")], turn("user", "")),
        ([turn("user", "a"), turn("user", "", listed=True)], turn("user", "a")),
        (
            [turn("assistant", "", calls=(CALL,)), turn("assistant", "b", calls=(CALL,))],
            turn("assistant", "b", calls=(CALL, CALL)),
        ),
        (
            [turn("assistant", calls=(CALL,)), turn("assistant", "", calls=(CALL,))],
            turn("assistant", "", calls=(CALL, CALL)),
        ),
    ],
)
def test_what_is_empty_adds_no_blank_line(given: list[Turn], sent: Turn) -> None:
    assert joined(given) == sent


roles = st.sampled_from(["system", "developer", "user", "assistant", "tool", "function"])
lessons_taught = st.sets(st.sampled_from(["merge", "end-with-user", "begin-with-user", "fill-blank"]))


@for_all(st.lists(st.tuples(roles, st.booleans()), max_size=8), lessons_taught, st.booleans())
def test_roles_are_those_that_the_endpoint_takes_and_no_text_is_lost(
    specs: list[tuple[Role, bool]], lessons: set[Lesson], native: bool
) -> None:
    turns = tuple(turn(role, f"w{index}", listed=listed) for index, (role, listed) in enumerate(specs))
    sent, notes = adapt_turns(turns, frozenset(lessons), NATIVE if native else frozenset())
    taken = {"user", "assistant", "tool"} if native else {"user", "assistant"}
    assert {each.role for each in sent[1:]} <= taken
    assert {each.role for each in sent[:1]} <= taken | ({"system"} if native else set())
    words = b" ".join(bytes(part.text) for each in sent for part in each.parts if isinstance(part, TextPart))
    assert re.findall(rb"w\d", words) == [f"w{index}".encode() for index in range(len(turns))]
    if "merge" in lessons:
        assert all(one.role != other.role or one.role == "tool" for one, other in itertools.pairwise(sent))
    if "begin-with-user" in lessons and turns:
        assert [each.role for each in sent if each.role != "system"][:1] != ["assistant"]
    if "end-with-user" in lessons and turns:
        assert sent[-1].role != "assistant"
    assert notes <= set(NOTES)
