"""Roles on the LLM API: one message in, one message out (contract §2.3, traps 4 to 6, 9 and 10)."""

import msgspec
import pytest

from cody_oai_router.adapt.roles import adapt_turns
from cody_oai_router.conversation import ImagePart, Part, Role, TextPart, ToolCall, Turn
from cody_oai_router.lessons import Lesson

CALL = ToolCall("c", "f", "{}")
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
        (turn("user", "a", "", listed=True), turn("user", "a", "", listed=True), set()),
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


CONTINUE = turn("user", "Continue.")


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


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        (turn("user", " "), turn("user", "(empty)"), {"content:filled"}),
        (turn("user", r"\n\t\u00a0 "), turn("user", "(empty)"), {"content:filled"}),
        (turn("user", " ", "a", "", listed=True), turn("user", "a", listed=True), {"content:filled"}),
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
