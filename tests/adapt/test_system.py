"""The system message of Cody's stream: one, and only as the first (contract §4.3)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.system import lead_with_system
from cody_oai_router.conversation import ImagePart, Role, TextPart, Turn


def text(wire: str, cache: str | None = None) -> TextPart:
    """Text as it stands on the wire, without its quotes."""
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()), None if cache is None else msgspec.Raw(cache.encode()))


def turn(role: Role, *wire: str, listed: bool = False, name: str | None = None) -> Turn:
    return Turn(role=role, parts=tuple(map(text, wire)), listed=listed, name=name)


HI = turn("user", "hi")


@pytest.mark.parametrize(
    ("given_turns", "sent", "notes"),
    [
        ([], [], set()),
        ([HI], [HI], set()),
        ([turn("system", "s"), HI], [turn("system", "s"), HI], set()),
        ([turn("system", "s", "t", listed=True), HI], [turn("system", "s", "t", listed=True), HI], set()),
        ([turn("developer", "d", name="n"), HI], [turn("system", "d", name="n"), HI], {"developer:as-system"}),
        (
            [turn("system", "s"), turn("developer", r"\u00e9"), HI],
            [turn("system", r"s\n\n\u00e9"), HI],
            {"system:merged", "developer:as-system"},
        ),
        (
            [turn("developer", "d"), turn("system", "s"), HI],
            [turn("system", r"d\n\ns"), HI],
            {"system:merged", "developer:as-system"},
        ),
        (
            [turn("system", "s"), turn("system", "t"), turn("system", "u"), HI],
            [turn("system", r"s\n\nt\n\nu"), HI],
            {"system:merged"},
        ),
        (
            [turn("system", "s"), turn("system", "t", "u", listed=True), HI],
            [turn("system", "s", r"\n\nt", "u", listed=True), HI],
            {"system:merged"},
        ),
        # An empty one adds nothing, wherever it stands.
        (
            [turn("system", ""), turn("developer", "d", "e", listed=True), HI],
            [turn("system", "d", "e", listed=True), HI],
            {"system:merged", "developer:as-system"},
        ),
        ([turn("system", "s"), turn("system", ""), HI], [turn("system", "s"), HI], {"system:merged"}),
        # A later one stays for `adapt/roles.py`.
        ([HI, turn("system", "s")], [HI, turn("system", "s")], set()),
        ([turn("system", "s"), HI, turn("system", "t")], [turn("system", "s"), HI, turn("system", "t")], set()),
        # Somebody has to be spoken to.
        ([turn("system", "s")], [turn("user", "<SYSTEM_PROMPT>s</SYSTEM_PROMPT>")], {"system:wrapped"}),
        (
            [turn("system", "s"), turn("developer", "d")],
            [turn("user", "<SYSTEM_PROMPT>s</SYSTEM_PROMPT>"), turn("user", "<SYSTEM_PROMPT>d</SYSTEM_PROMPT>")],
            {"system:wrapped", "developer:wrapped"},
        ),
    ],
)
def test_leading_instructions(given_turns: list[Turn], sent: list[Turn], notes: set[str]) -> None:
    assert lead_with_system(tuple(given_turns)) == (tuple(sent), notes)


IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))


def shows(role: Role, wire: str) -> Turn:
    return Turn(role=role, parts=(text(wire), IMAGE), listed=True)


@pytest.mark.parametrize(
    ("given_turns", "sent", "notes"),
    [
        ([shows("system", "s"), HI], [shows("user", "<SYSTEM_PROMPT>s</SYSTEM_PROMPT>"), HI], {"system:wrapped"}),
        (
            [turn("system", "s"), shows("developer", "d"), HI],
            [turn("system", "s"), shows("user", "<SYSTEM_PROMPT>d</SYSTEM_PROMPT>"), HI],
            {"developer:wrapped"},
        ),
        ([HI, shows("system", "s")], [HI, shows("user", "<SYSTEM_PROMPT>s</SYSTEM_PROMPT>")], {"system:wrapped"}),
        ([shows("user", "u"), shows("tool", "t")], [shows("user", "u"), shows("tool", "t")], set()),
    ],
)
def test_an_instruction_with_images_goes_as_words_of_the_user(
    given_turns: list[Turn], sent: list[Turn], notes: set[str]
) -> None:
    assert lead_with_system(tuple(given_turns)) == (tuple(sent), notes)


def test_a_cache_hint_stays_with_its_text() -> None:
    hinted = Turn(role="system", parts=(text("s", '{"type":"ephemeral"}'),), listed=True)
    merged = (text("t"), text(r"\n\ns", '{"type":"ephemeral"}'))
    assert lead_with_system((hinted, HI)) == ((hinted, HI), set())
    assert lead_with_system((turn("system", "t"), hinted, HI))[0] == (
        Turn(role="system", parts=merged, listed=True),
        HI,
    )


roles = st.sampled_from(["system", "developer", "user", "assistant", "tool"])


@given(st.lists(roles, max_size=6))
def test_at_most_one_comes_first_and_no_text_is_lost(given_roles: list[Role]) -> None:
    turns = tuple(turn(role, f"t{index}") for index, role in enumerate(given_roles))
    sent, _ = lead_with_system(turns)
    leading = [each.role for each in sent[:2] if each.role in ("system", "developer")]
    assert leading in ([], ["system"]) or (sent[0].role not in ("system", "developer"))
    words = "".join(bytes(part.text).decode() for each in sent for part in each.parts if isinstance(part, TextPart))
    assert [words.index(f"t{index}") for index in range(len(turns))] == sorted(
        words.index(f"t{index}") for index in range(len(turns))
    )
