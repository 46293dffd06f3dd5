"""Types of images."""

import msgspec
import pytest

from cody_oai_router.adapt.images import correct_types
from cody_oai_router.conversation import ImagePart, TextPart, Turn

CORRECTED = {"image-type:corrected"}


def image(url: str) -> ImagePart:
    return ImagePart(msgspec.Raw(url.encode()), "low")


@pytest.mark.parametrize(
    ("url", "sent", "notes"),
    [
        ('"data:image/jpg;base64,AA"', '"data:image/jpeg;base64,AA"', CORRECTED),
        (r'"data:image\/jpg;base64,A\/"', r'"data:image/jpeg;base64,A\/"', CORRECTED),
        ('"data:image/jpeg;base64,AA"', '"data:image/jpeg;base64,AA"', set()),
        ('"https://a/jpg"', '"https://a/jpg"', set()),
    ],
)
def test_the_type_of_an_image(url: str, sent: str, notes: set[str]) -> None:
    text = TextPart(msgspec.Raw(b'"data:image/jpg"'))
    turns = (Turn(role="user", parts=(text, image(url)), listed=True), Turn(role="user", parts=(text,)))
    found, said = correct_types(turns)
    assert found == (Turn(role="user", parts=(text, image(sent)), listed=True), turns[1])
    assert said == notes
