"""Fits `temperature` and `top_p` to what the family of a model takes (contract §8, trap 47).

| family | takes | source |
|---|---|---|
| GPT-5, the o-series | neither | contract §2.2: the provider's defaults are forced |
| Claude that thinks | neither | Anthropic, "Extended thinking": `temperature` may only be 1 |
| Claude from 4.7 | neither | Anthropic, "Migrating to Claude Opus 4.7": 400 `temperature` is deprecated for this model |
| Claude from 4.1 | one of the two | Anthropic, "Migrating to Claude 4.5": 400 they cannot both be specified for this model |
| every Claude | `temperature` up to 1, where OpenAI's goes up to 2 | trap 47 |

Of the two the one that says something stays: a temperature of 1 is everybody's default, and otherwise `top_p` mostly is.
"""

import re
from functools import lru_cache
from typing import Final

# The highest temperature that Claude takes, and the default of all.
HOTTEST: Final = 1.0
_DEFAULT: Final = 1.0

_OPENAI_FIXED: Final = re.compile(r"(?:^|[/.])(?:o\d|gpt-5)")
# The version is the first number, of at most two digits: a longer one is a date.
_CLAUDE: Final = re.compile(r"claude(?:\D*(\d{1,2})(?:[-.](\d{1,2}))?(?!\d))?")
_ONE_OF_BOTH_SINCE: Final = (4, 1)
_NEITHER_SINCE: Final = (4, 7)


# Programs send the same few numbers with every request, and the patterns below cost more than all else about them.
@lru_cache(maxsize=256)
def clamp(
    temperature: float | None, top_p: float | None, ref: str
) -> tuple[float | None, float | None, frozenset[str]]:
    """Gives both as the model of that reference takes them, and notes of what was changed."""
    taken, taken_p = _taken(temperature, top_p, ref.rpartition("::")[2].lower())
    notes: set[str] = set()
    if taken != temperature:
        notes.add("temperature:dropped" if taken is None else "temperature:clamped")
    if taken_p != top_p:
        notes.add("top_p:dropped")
    return taken, taken_p, frozenset(notes)


def takes_no_stop(ref: str) -> bool:
    """Tells whether the provider refuses stop sequences for a model: OpenAI does for those that reason."""
    return bool(_OPENAI_FIXED.search(ref.rpartition("::")[2].lower()))


def _taken(temperature: float | None, top_p: float | None, name: str) -> tuple[float | None, float | None]:
    if _OPENAI_FIXED.search(name):
        return None, None
    claude = _CLAUDE.search(name)
    if claude is None:
        return temperature, top_p
    version = (int(claude[1] or 0), int(claude[2] or 0))  # (0, 0) where the name tells none
    if version >= _NEITHER_SINCE or "thinking" in name:
        return None, None
    if temperature is None:
        return None, top_p
    if top_p is not None and version >= _ONE_OF_BOTH_SINCE:
        return (None, top_p) if temperature == _DEFAULT else (min(temperature, HOTTEST), None)
    return min(temperature, HOTTEST), top_p
