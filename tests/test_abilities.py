"""Abilities: what each endpoint carries, what a prompt needs, and what is lost is refused with the place where it stands."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.abilities import (
    PLAIN,
    Abilities,
    Grade,
    Need,
    Traits,
    cody_stream,
    llm_api,
    lost,
    needs,
    traits_of,
)
from cody_oai_router.conversation import ImagePart, OtherPart, Part, Prompt, Role, TextPart, Tool, ToolCall, Turn

TEXT = TextPart(msgspec.Raw(b'"hi"'))
CODY = cody_stream(9)
LLM = llm_api(9)


def image(url: str) -> ImagePart:
    return ImagePart(msgspec.Raw(f'"{url}"'.encode()))


IMAGE = image("data:image/png;base64,AA==")


def prompt(*parts: Part, role: Role = "user") -> Prompt:
    turns = (Turn(role="user", parts=(TEXT,)), Turn(role=role, parts=(TEXT, *parts), listed=True))
    return Prompt(model="m", turns=turns)


# Each row is an api-version: grades of tools, images and reasoning, then what is carried as it is.
ROWS: list[tuple[int, str, str]] = [
    (0, "adapted lost adapted", ""),
    (1, "adapted lost adapted", "system"),
    (2, "adapted lost adapted", "system"),
    (3, "adapted whole adapted", "system"),
    (4, "adapted whole adapted", "system"),
    (5, "adapted whole adapted", "system"),
    (6, "adapted whole adapted", "system"),
    (7, "adapted whole adapted", "system hints"),
    (8, "adapted whole whole", "system tools results hints"),
    (9, "whole whole whole", "system tools results hints"),
    (12, "whole whole whole", "system tools results hints"),
]
NEEDS: tuple[Need, ...] = ("tools", "images", "reasoning")


def grades(abilities: Abilities) -> str:
    return " ".join(abilities.grade(need).name.lower() for need in NEEDS)


@pytest.mark.parametrize(("version", "graded", "carried"), ROWS)
def test_what_codys_stream_carries(version: int, graded: str, carried: str) -> None:
    found = cody_stream(version)
    assert grades(found) == graded
    flags = {
        "system": found.system,
        "tools": found.native_tools,
        "results": found.tool_results,
        "hints": found.cache_hints,
    }
    assert " ".join(name for name, flag in flags.items() if flag) == carried
    assert (found.names, found.reliable_streamed_calls) == (False, True)


@pytest.mark.parametrize(
    ("version", "native"), [(None, True), (9, True), (6, True), (5, False), (1, False), (0, False)]
)
def test_what_the_llm_api_carries(version: int | None, native: bool) -> None:
    found = llm_api(version)
    assert grades(found) == "adapted lost adapted"
    assert found.native_tools == native
    assert (found.system, found.tool_results, found.cache_hints, found.names) == (False, False, False, True)
    assert not found.reliable_streamed_calls


def test_the_grades_are_in_order() -> None:
    assert sorted(Grade) == [Grade.LOST, Grade.ADAPTED, Grade.WHOLE]


CALLED = Prompt(model="m", turns=(Turn(role="assistant", calls=(ToolCall("c", "f", "{}"),)),))


@pytest.mark.parametrize(
    ("asked", "thinks", "found"),
    [
        (prompt(), False, ""),
        (prompt(), True, "reasoning"),
        (prompt(OtherPart("file"), role="system"), False, ""),
        (prompt(IMAGE), False, "images"),
        (prompt(role="tool"), False, "tools"),
        (prompt(role="function"), False, "tools"),
        (CALLED, False, "tools"),
        (Prompt(model="m", turns=(), tools=(Tool(name="f"),)), False, "tools"),
        (Prompt(model="m", turns=(), reasoning=True), False, "reasoning"),
        (Prompt(model="m", turns=prompt(IMAGE, role="tool").turns, reasoning=True), True, "images reasoning tools"),
    ],
)
def test_what_a_prompt_needs(asked: Prompt, thinks: bool, found: str) -> None:
    assert " ".join(sorted(needs(asked, traits_of(asked), thinks=thinks))) == found


HINTED = TextPart(msgspec.Raw(b'"a"'), msgspec.Raw(b'{"type":"ephemeral"}'))
CALL = ToolCall("c", "f", "{}")


@pytest.mark.parametrize(
    ("turn", "traits"),
    [
        (Turn(role="user", parts=(TEXT,)), PLAIN),
        (Turn(role="assistant", parts=(TEXT, TEXT), listed=True), PLAIN),
        (Turn(role="system", name="s"), Traits(instructions=True)),
        (Turn(role="developer"), Traits(instructions=True)),
        (Turn(role="tool", parts=(TEXT,), name="f"), Traits(history=True)),
        (Turn(role="function", name="f"), Traits(history=True)),
        (Turn(role="assistant", calls=(CALL,)), Traits(history=True)),
        (Turn(role="user", parts=(TEXT, IMAGE)), Traits(images=True)),
        (Turn(role="user", parts=(OtherPart("file"),)), Traits(others=True)),
        (Turn(role="user", parts=(HINTED, TEXT)), Traits(hints=True)),
        (Turn(role="user", name="bob"), Traits(names=True)),
        (Turn(role="assistant", name=""), Traits(names=True)),
        (
            Turn(role="tool", parts=(IMAGE, HINTED, OtherPart("x"))),
            Traits(history=True, images=True, hints=True, others=True),
        ),
    ],
)
def test_what_there_is_in_a_prompt_besides_words(turn: Turn, traits: Traits) -> None:
    said = Turn(role="user", parts=(TEXT,))
    for turns in ((turn,), (said, turn), (turn, said)):
        found = traits_of(Prompt(model="m", turns=turns))
        assert found == traits
        assert (found is PLAIN) == (traits == PLAIN)  # by which the shortest way is taken


@pytest.mark.parametrize("abilities", [CODY, LLM])
@pytest.mark.parametrize("blind", [True, False])
def test_text_can_be_carried(abilities: Abilities, blind: bool) -> None:
    assert lost(prompt(TEXT), abilities, blind=blind) is None
    assert lost(Prompt(model="m", turns=()), abilities, blind=blind) is None


NO_WAY = (
    "is an image; the LLM API drops images unseen, and Cody's stream, which carries them since 5.8, is not offered here or not allowed "
    "by SOURCEGRAPH_API. Send text only."
)
NO_EYES = "is an image, which this model cannot see; GET /v1/models shows what each model can."
NOT_FETCHED = "is an image by its address, which the router does not fetch; send it as a data: URL (base64)."
NO_TYPE = "is an image of a type that models do not take; send image/png, image/jpeg, image/webp, image/gif."
NO_BASE64 = "is an image that is not base64; send it as data:<type>;base64,<data>."


@pytest.mark.parametrize(
    ("part", "abilities", "blind", "message"),
    [
        (IMAGE, LLM, False, NO_WAY),
        (IMAGE, LLM, True, NO_WAY),
        (IMAGE, cody_stream(2), False, NO_WAY),
        (IMAGE, CODY, True, NO_EYES),
        (image("https://example.com/a.png"), CODY, False, NOT_FETCHED),
        (image(r"https:\/\/example.com\/a.png"), CODY, False, NOT_FETCHED),
        (image("file:///a.png"), CODY, False, NOT_FETCHED),
        (image(""), CODY, False, NOT_FETCHED),
        (image("data:image/tiff;base64,AA=="), CODY, False, NO_TYPE),
        (image("data:image/jpgs;base64,AA=="), CODY, False, NO_TYPE),
        (image("data:image/jpg,AA=="), CODY, False, NO_BASE64),
        (image("data:image/svg+xml;base64,AA=="), CODY, False, NO_TYPE),
        (image("data:application/pdf;base64,AA=="), CODY, False, NO_TYPE),
        (image("data:,"), CODY, False, NO_TYPE),
        (image("data:;base64,AA=="), CODY, False, NO_TYPE),
        (image("data:\u00e9;base64,AA=="), CODY, False, NO_TYPE),
        (image("data:image/png,AA"), CODY, False, NO_BASE64),
        (image("data:image/png;" + "x" * 60 + ";base64,AA=="), CODY, False, NO_BASE64),
        (OtherPart("input_audio"), CODY, False, "is of type 'input_audio'; only text and images can be carried."),
        (OtherPart("file"), LLM, True, "is of type 'file'; only text and images can be carried."),
        (OtherPart(""), CODY, False, "is of an unknown type; only text and images can be carried."),
        (OtherPart("a\r\nb"), CODY, False, "is of an unknown type; only text and images can be carried."),
    ],
)
def test_what_is_lost_is_refused(part: Part, abilities: Abilities, blind: bool, message: str) -> None:
    fault = lost(prompt(part), abilities, blind=blind)
    assert fault is not None
    assert (fault.status, fault.message) == (400, f"'messages[1].content[1]' {message}")
    assert (fault.param, fault.code) == ("messages[1].content[1]", "unsupported_value")


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,AA==",
        "data:image/jpeg;base64,",
        "data:image/jpg;base64,AA==",  # many write it; `adapt/images.py` corrects it
        r"data:image\/jpg;base64,AA==",
        r"data:image\/webp;base64,AA==",
        "DATA:IMAGE/GIF;BASE64,AA==",
        "data:image/png;name=a;base64,AA==",
        "data:image/png;base64," + "A" * 100_000,
    ],
)
def test_images_that_a_model_will_see(url: str) -> None:
    assert lost(prompt(image(url)), CODY, blind=False) is None


def test_the_first_that_is_lost_is_named() -> None:
    fault = lost(prompt(IMAGE, OtherPart("file"), OtherPart("x")), CODY, blind=False)
    assert fault is not None
    assert fault.param == "messages[1].content[2]"
    result = Prompt(model="m", turns=(Turn(role="tool", parts=(IMAGE,)), *prompt(OtherPart("x")).turns))
    early = lost(result, LLM, blind=False)
    assert early is not None
    assert early.param == "messages[0].content[0]"


parts = st.one_of(st.just(TEXT), st.text(max_size=30).map(lambda url: ImagePart(msgspec.Raw(msgspec.json.encode(url)))))


@given(st.lists(parts, max_size=4), st.integers(0, 9), st.booleans())
def test_no_image_makes_it_raise(given_parts: Iterable[Part], version: int, blind: bool) -> None:
    asked = prompt(*given_parts)
    fault = lost(asked, cody_stream(version), blind=blind)
    assert fault is None or "images" in needs(asked, traits_of(asked), thinks=False)
