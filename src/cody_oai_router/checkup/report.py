"""Writes the report: lines for a terminal, or one object of JSON for programs."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from cody_oai_router.checkup.check import NAMES, Check, Status, verdict, works

Marks = Mapping[Status, str]

SIGNS: Final[Marks] = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}
# For consoles whose encoding has no such signs.
WORDS: Final[Marks] = {"ok": "ok", "warning": "!!", "failed": "XX", "skipped": "--"}

_LABEL: Final = max(map(len, NAMES))


def write_lines(check: Check, marks: Marks, width: int) -> list[str]:
    """Writes one check for a terminal of `width` columns: what was seen, and below it what to do."""
    start = f"{marks[check.status]} {check.name:<{_LABEL}}  "
    indent = " " * len(start)
    lines = _wrapped(check.detail, start, indent, width)
    for paragraph in check.advice.splitlines():
        lines += _wrapped(paragraph, indent, indent, width)
    return lines


def write_skipped(checks: Sequence[Check], marks: Marks, width: int) -> list[str]:
    """Writes all that was not looked at as one line, since the reason is the same."""
    names = [check.name for check in checks if check.status == "skipped"]
    if not names:
        return []
    start = f"{marks['skipped']} {'not looked at':<{_LABEL}}  "
    return _wrapped(", ".join(names), start, " " * len(start), width)


def write_verdict(checks: Sequence[Check], width: int) -> list[str]:
    """Writes what it all comes to, below an empty line."""
    return ["", *textwrap.wrap(verdict(checks), width, break_on_hyphens=False)]


def write_json(checks: Sequence[Check]) -> str:
    """Writes all checks as one object, in ASCII."""
    report = {"ok": works(checks), "checks": [msgspec.structs.asdict(check) for check in checks]}
    return "".join(_escaped(letter) for letter in msgspec.json.encode(report).decode())


def _wrapped(text: str, first: str, rest: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _escaped(letter: str) -> str:
    if letter.isascii():
        return letter
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[start : start + 2].hex()}" for start in range(0, len(units), 2))
