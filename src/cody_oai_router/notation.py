"""How values are written in variables: numbers with units, switches, lists; and what to say of a wrong one.

Strategy: every reader takes the text of a variable and returns its value or a `Wrong`, the counterpart of `Fault` for
what a user has configured. None of them raises.
"""

from typing import Final, Literal

import msgspec

_SHOWN: Final = 60
_UNITS: Final = {"": 1, "b": 1, "k": 1024, "kb": 1024, "kib": 1024, "m": 1024**2, "mb": 1024**2, "mib": 1024**2}
_LARGEST_COUNT: Final = 1_000_000_000
_MOST_WORKERS: Final = 64
_LONGEST: Final = 7 * 24 * 3600.0
_SWITCH: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


class Wrong(msgspec.Struct, frozen=True):
    """The reason why a value is refused: half a sentence that follows the name of the variable and a colon."""

    why: str


def quoted(text: str) -> str:
    """`text` as a message may show it: in quotes, in ASCII, cut, and not where it looks like a misplaced token."""
    if "sgp_" in text.lower():
        return "(a value that looks like a token)"
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def read_count(text: str) -> int | Wrong:
    """A whole number from 1."""
    number = _digits(text)
    if number is None or number < 1:
        return Wrong(f"{quoted(text)} is not a whole number from 1 to {_LARGEST_COUNT}")
    return number


def read_port(text: str) -> int | Wrong:
    """A TCP port, 0 for any free one."""
    number = _digits(text)
    if number is None or number > 65535:  # noqa: PLR2004 - the largest port there is
        return Wrong(f"{quoted(text)} is not a port: give a whole number from 0 to 65535")
    return number


def read_workers(text: str) -> int | Wrong:
    """A number of processes from 1; more than the largest machines have use for are a slip of the finger."""
    number = _digits(text)
    if number is None or not 1 <= number <= _MOST_WORKERS:
        return Wrong(f"{quoted(text)} is not a number of processes from 1 to {_MOST_WORKERS}")
    return number


def _digits(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LARGEST_COUNT)):
        return None
    number = int(text)
    return number if number <= _LARGEST_COUNT else None


def read_bytes(text: str) -> int | Wrong:
    """A size in bytes; `64KB` and `64MB` count in powers of 1024."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = _UNITS.get(text[len(digits) :].strip().lower())
    number = _digits(digits)
    if not number or unit is None:
        return Wrong(f"{quoted(text)} is not a size: give a number of bytes from 1, or such as 64KB or 64MB")
    return number * unit


def read_seconds(text: str) -> float | Wrong:
    """A duration in seconds, fractions allowed, at most a week."""
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        return Wrong(f"{quoted(text)} is not a duration: give a number of seconds above 0, such as 60 or 2.5")
    return seconds


def read_wait(text: str) -> float | Wrong:
    """A duration in seconds that may be none at all."""
    return 0.0 if text.removesuffix("s").strip() == "0" else read_seconds(text)


def read_switch(text: str) -> bool | Wrong:
    """1, true, yes or on; 0, false, no or off."""
    on = _SWITCH.get(text.lower())
    return Wrong(f"{quoted(text)} is neither 1 nor 0") if on is None else on


def read_list(text: str) -> tuple[str, ...]:
    """The words between commas, without empty ones."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def read_text(text: str) -> str | Wrong:
    """One line of visible text."""
    return text if text.isprintable() else Wrong(f"{quoted(text)} contains a control character")


def read_aliases(text: str) -> dict[str, str] | Wrong:
    """The models that further names stand for: `name=model,name=model`."""
    if not text.isprintable():
        return Wrong(f"{quoted(text)} contains a control character")
    aliases: dict[str, str] = {}
    for pair in read_list(text):
        name, equals, model = (part.strip() for part in pair.partition("="))
        if not (name and equals and model):
            return Wrong(f"{quoted(pair)} is not an alias: write it like name=model")
        if name in aliases:
            return Wrong(f"{quoted(name)} is given twice")
        aliases[name] = model
    return aliases


def read_api(text: str) -> Literal["auto", "llm", "cody"] | Wrong:
    """The endpoint of Sourcegraph that answers."""
    match text.strip().lower():
        case "auto":
            return "auto"
        case "llm":
            return "llm"
        case "cody":
            return "cody"
    return Wrong(f"{quoted(text)} is not auto, llm or cody")


def read_log_format(text: str) -> Literal["text", "json"] | Wrong:
    """`text` or `json`."""
    word = text.lower()
    return "text" if word == "text" else "json" if word == "json" else Wrong(f"{quoted(text)} is neither text nor json")
