"""What a message says besides its words (contract §4.1: cache hints since api-version 7, no names at all)."""

import msgspec
import pytest

from cody_oai_router.adapt.fields import drop_fields
from cody_oai_router.conversation import ImagePart, Part, Role, TextPart, ToolCall, Turn

HINT = msgspec.Raw(b'{"type":"ephemeral"}')
PLAIN = TextPart(msgspec.Raw(b'"a"'))
HINTED = TextPart(msgspec.Raw(b'"a"'), HINT)
IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))
CACHE_NOTE = {"cache_control:dropped"}
NAME_NOTE = {"message-fields:dropped"}


def turn(*parts: Part, role: Role = "user", name: str | None = None) -> Turn:
    return Turn(role=role, parts=parts, listed=True, name=name, calls=(ToolCall("c", "f", "{}"),), call_id="i")


@pytest.mark.parametrize(
    ("turns", "sent", "cache_hints", "names", "notes"),
    [
        ([turn(HINTED)], [turn(PLAIN)], True, True, CACHE_NOTE),
        ([turn(PLAIN), turn(IMAGE, HINTED, PLAIN)], [turn(PLAIN), turn(IMAGE, PLAIN, PLAIN)], True, False, CACHE_NOTE),
        ([turn(HINTED)], [turn(HINTED)], False, True, set()),
        ([turn(PLAIN, IMAGE)], [turn(PLAIN, IMAGE)], True, True, set()),
        ([], [], True, True, set()),
    ],
)
def test_cache_hints(turns: list[Turn], sent: list[Turn], cache_hints: bool, names: bool, notes: set[str]) -> None:
    assert drop_fields(tuple(turns), cache_hints=cache_hints, names=names) == (tuple(sent), notes)


@pytest.mark.parametrize(
    ("role", "name", "names", "notes"),
    [
        ("user", "bob", True, NAME_NOTE),
        ("assistant", "bob", True, NAME_NOTE),
        ("user", "", True, NAME_NOTE),
        ("user", "bob", False, set()),
        ("user", None, True, set()),
        # Of a function's result the name is no speaker's, and of an instruction nobody reads it.
        ("function", "f", True, set()),
        ("tool", "f", True, set()),
        ("system", "s", True, set()),
    ],
)
def test_names(role: Role, name: str | None, names: bool, notes: set[str]) -> None:
    turns = (turn(PLAIN), turn(PLAIN, role=role, name=name))
    assert drop_fields(turns, cache_hints=True, names=names) == (turns, notes)


def test_both_are_noted() -> None:
    assert drop_fields((turn(HINTED, name="bob"),), cache_hints=True, names=True)[1] == CACHE_NOTE | NAME_NOTE
