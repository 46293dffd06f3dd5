"""Why a configured value cannot be used, as a value: the counterpart of `Fault` for what a user writes into a variable."""

from typing import Final

import msgspec

_SHOWN: Final = 60


class Wrong(msgspec.Struct, frozen=True):
    """The reason why a value is refused: half a sentence that follows the name of the variable and a colon."""

    why: str


def quoted(text: str) -> str:
    """`text` as a message may show it: in quotes, in ASCII, cut, and never where it looks like a token in the wrong place."""
    if "sgp_" in text.lower():
        return "(a value that looks like a token)"
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
