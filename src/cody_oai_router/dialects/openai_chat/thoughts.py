r"""Takes out of an assistant's earlier text what it thought: clients that show `<think>…</think>` before the answer send it back.

Cody strips it too, since it only pollutes the prompt (contract §4.3; §8, trap 50). Only at the head, and only where it is closed: anywhere
else it may be what the conversation is about. The text stays the JSON string that it is, in which `<` may be written `\u003c`.
"""

import re
from typing import Final

from msgspec import Raw

_SPACE: Final = rb"(?:\\[nrt]| )*+"
_LESS: Final = rb"(?:<|\\u003[cC])"
_GREATER: Final = rb"(?:>|\\u003[eE])"
_OPENING: Final = re.compile(rb'"' + _SPACE + _LESS + rb"think" + _GREATER)
_CLOSING: Final = re.compile(_LESS + rb"\\?/think" + _GREATER + _SPACE)

# White space before the tag is a line break or two.
_FAR: Final = 64


def without_thoughts(text: Raw) -> Raw | None:
    """Gives the text of an answer without the thoughts at its head; nothing where there are none."""
    if not _OPENING.match(bytes(memoryview(text)[:_FAR])):
        return None
    closing = _CLOSING.search(memoryview(text))
    return None if closing is None else Raw(b'"' + bytes(memoryview(text)[closing.end() :]))
