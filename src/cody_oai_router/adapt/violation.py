"""What is wrong with a value, and the words for it: short sentences with JSON paths, from which a model can put it right.

No word of the value itself is in them but the names of its properties.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

Json = Any
Kind = Literal["object", "array", "string", "number", "boolean", "null"]
Path = tuple[str | int, ...]

# As many as a model can be expected to put right at once; the first ones often explain the rest.
MAX_TOLD: Final = 10

_LONGEST_VALUE: Final = 60  # letters of a value of the schema that are shown
_MOST_VALUES: Final = 20  # values of an enum, or names of properties, that are shown

_encode = msgspec.json.Encoder().encode


class Values(msgspec.Struct, frozen=True):
    """The values of an `enum`, or the one of a `const`: as they are shown, and keys that are equal where they are."""

    shown: Sequence[Json]
    keys: frozenset[object]


class Violation(msgspec.Struct, frozen=True):
    """One thing that is wrong: where, by which keyword, with its value in the schema and the value at fault."""

    path: Path
    keyword: str
    wanted: Json
    value: Json


def told(found: Sequence[Violation]) -> tuple[str, ...]:
    """Gives violations as sentences, the first ones only where they are many."""
    sentences = (f"{_written(violation.path)}: {_worded(violation)}." for violation in found[:MAX_TOLD])
    more = len(found) - MAX_TOLD
    return (*dict.fromkeys(sentences), *([f"$: {more} more like these."] if more > 0 else []))


def kind(value: Json) -> Kind:
    """Gives the type of a value as a schema names it."""
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return "null"


def _shown(value: Json) -> str:
    text = _encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _listed(values: Iterable[Json], count: int) -> str:
    shown = ", ".join(_shown(value) for _, value in zip(range(_MOST_VALUES), values, strict=False))
    return f"{shown} and {count - _MOST_VALUES} more" if count > _MOST_VALUES else shown


def _lacks(violation: Violation) -> str:
    missing = [name for name in violation.wanted if name not in violation.value]
    return f"lacks {_listed(missing, len(missing))}"


def _wrong_type(violation: Violation) -> str:
    wanted = " or ".join(violation.wanted)
    found = kind(violation.value)
    return f"must be {wanted}, not {'a fraction' if found == 'number' and 'integer' in violation.wanted else found}"


def _wrong_value(violation: Violation) -> str:
    values: Values = violation.wanted
    count = len(values.shown)
    return f"must be {'one of ' if count > 1 else ''}{_listed(values.shown, count)}"


_WORDS: Final[dict[str, Callable[[Violation], str]]] = {
    "false": lambda _: "is not allowed",
    "type": _wrong_type,
    "enum": _wrong_value,
    "const": _wrong_value,
    "required": _lacks,
    "propertyNames": lambda violation: f"may not have a property named {_shown(violation.wanted)}",
    "contains": lambda violation: f"has {violation.wanted} items of the kind that `contains` counts",
    "oneOf": lambda _: "matches several of the alternatives where only one may match",
    "not": lambda _: "matches what it must not (`not`)",
    "pattern": lambda violation: f"does not match the pattern {_shown(violation.wanted.text)}",
    "uniqueItems": lambda _: "has the same item twice",
    "dependentRequired": lambda _: "lacks a property that another one asks for (`dependentRequired`)",
}


def _worded(violation: Violation) -> str:
    words = _WORDS.get(violation.keyword)
    return words(violation) if words else f"does not meet {violation.keyword} {_shown(violation.wanted)}"


def _written(path: Path) -> str:
    """Writes a path as JSONPath does: `$.a[0]["odd name"]`."""
    return "".join(("$", *map(_step, path)))


def _step(step: str | int) -> str:
    if isinstance(step, str) and step.isidentifier() and len(step) <= _LONGEST_VALUE:
        return f".{step}"
    return f"[{_shown(step)}]"
