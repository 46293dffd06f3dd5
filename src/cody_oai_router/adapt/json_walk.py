"""Follows JSON that a model writes, piece by piece, to the bracket that ends it.

It is judged by brackets alone, since what was passed on cannot be taken back; line breaks and other control characters in its strings,
which models write as they are and JSON does not have, are put right on the way.
"""

import re
from typing import Final

_IN_STRING: Final = re.compile(r'["\\\x00-\x1f]')
_OUTSIDE_STRING: Final = re.compile(r'["{}\[\]]')
_ESCAPES: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


class JsonWalker:
    """Follows JSON text as it comes; `depth` is how many brackets are open already, `mended` tells that something was put right."""

    __slots__ = ("_depth", "_escaped", "_in_string", "mended")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._in_string = False
        self._escaped = False  # the last piece ended in a backslash
        self.mended = False

    def walk(self, text: str, until: int = 0) -> tuple[str, int | None]:
        """Takes the next text up to the bracket that closes down to a depth; gives it as JSON, and where that bracket ends."""
        pieces: list[str] = []
        start = 0
        position = 1 if self._escaped and text else 0
        self._escaped = self._escaped and not text
        while match := (_IN_STRING if self._in_string else _OUTSIDE_STRING).search(text, position):
            mark, position = match.group(), match.end()
            if mark == '"':
                self._in_string = not self._in_string
            elif mark == "\\":
                position += 1
                self._escaped = position > len(text)
            elif self._in_string:
                pieces += (text[start : position - 1], _ESCAPES.get(mark, f"\\u{ord(mark):04x}"))
                start = position
                self.mended = True
            else:
                self._depth += 1 if mark in "{[" else -1
                if self._depth == until:
                    return "".join((*pieces, text[start:position])), position
        return "".join((*pieces, text[start:])), None
