"""Gives images the type that their clients mean: many write `image/jpg`, which no provider takes."""

import msgspec

from cody_oai_router.conversation import ImagePart, Part, Turn

_WRONG = (b'"data:image/jpg', rb'"data:image\/jpg')
_RIGHT = b'"data:image/jpeg'


def correct_types(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns with right types of images, and a note where one was wrong."""
    if not any(map(_is_wrong, (part for turn in turns for part in turn.parts))):
        return turns, set()
    return tuple(map(_corrected, turns)), {"image-type:corrected"}


def _corrected(turn: Turn) -> Turn:
    parts = tuple(_right(part) if isinstance(part, ImagePart) and _is_wrong(part) else part for part in turn.parts)
    return msgspec.structs.replace(turn, parts=parts)


def _is_wrong(part: Part) -> bool:
    return isinstance(part, ImagePart) and bytes(memoryview(part.url)[: len(_WRONG[1])]).lower().startswith(_WRONG)


def _right(image: ImagePart) -> ImagePart:
    url = bytes(image.url)
    start = url[: len(_WRONG[1])].lower()
    wrong = next(wrong for wrong in _WRONG if start.startswith(wrong))
    return ImagePart(msgspec.Raw(_RIGHT + url[len(wrong) :]), image.detail)
