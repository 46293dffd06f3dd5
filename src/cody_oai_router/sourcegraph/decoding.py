"""Decodes the JSON of answers, of which nothing promises that it is any."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from cody_oai_router.sse import Lines

_Decoded = TypeVar("_Decoded")

# What decoding raises for bytes that are not the JSON that is wanted.
NO_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_each(decode_lines: Callable[[bytes], list[_Decoded]], lines: Lines) -> list[_Decoded] | None:
    """Decodes an object from each line, all in one call; gives nothing where one is not what is wanted."""
    # A line may not hold two objects for another that holds none, nor an object go on in the next line: within a value, no `}`
    # stands before a `{` with nothing but space between them. So where all line ends are such, none is inside an object.
    if lines.count > 1 and lines.data.count(b"}\r{") != lines.count - 1:
        return None
    try:
        objects = decode_lines(lines.data)
    except NO_JSON:
        return None
    return objects if len(objects) == lines.count else None
