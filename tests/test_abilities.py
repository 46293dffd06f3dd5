"""Abilities: what cannot be carried is refused, and where it stands is said."""

import msgspec
import pytest

from cody_oai_router.abilities import LLM_API, Abilities, missing
from cody_oai_router.conversation import ImagePart, OtherPart, Part, Prompt, TextPart, Turn

TEXT = TextPart(msgspec.Raw(b'"hi"'))
IMAGE = ImagePart(msgspec.Raw(b'"data:image/png;base64,AA=="'))


def prompt(*parts: Part) -> Prompt:
    turns = (Turn(role="user", parts=(TEXT,)), Turn(role="user", parts=(TEXT, *parts), listed=True))
    return Prompt(model="m", turns=turns)


def test_text_can_be_carried() -> None:
    assert missing(prompt(TEXT), LLM_API) is None


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (IMAGE, "'messages[1].content[1]' is an image; Sourcegraph's LLM API drops images unseen. Send text only."),
        (
            OtherPart("input_audio"),
            "'messages[1].content[1]' is of type 'input_audio'; only text can be carried.",
        ),
        (OtherPart("file"), "'messages[1].content[1]' is of type 'file'; only text can be carried."),
        (OtherPart(""), "'messages[1].content[1]' is of an unknown type; only text can be carried."),
        (OtherPart("a\r\nb"), "'messages[1].content[1]' is of an unknown type; only text can be carried."),
    ],
)
def test_what_the_llm_api_lacks(part: Part, message: str) -> None:
    fault = missing(prompt(part), LLM_API)
    assert fault is not None
    assert (fault.status, fault.message) == (400, message)
    assert (fault.param, fault.code) == ("messages[1].content[1]", "unsupported_value")


def test_an_endpoint_with_images() -> None:
    seeing = Abilities(images=True, reliable_streamed_calls=True)
    assert missing(prompt(IMAGE), seeing) is None
    fault = missing(prompt(IMAGE, OtherPart("file")), seeing)
    assert fault is not None
    assert fault.param == "messages[1].content[2]"
