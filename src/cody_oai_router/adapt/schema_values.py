"""Reads the keywords of a JSON schema that hold values: numbers, names, types."""

from collections.abc import Callable
from typing import Any, Final

from cody_oai_router.adapt.validation import key
from cody_oai_router.adapt.violation import Values, kind

Path = tuple[str, ...]

_LONGEST_SHOWN: Final = 200  # letters

_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


def short(text: str) -> str:
    """Gives the client's own words as an error can say them."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


class SchemaError(Exception):
    """A schema that cannot be checked: where in it, and why."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


def string(value: Any, path: Path) -> str:
    """Reads a string."""
    if not isinstance(value, str):
        raise SchemaError(path, f"it must be a string, not {kind(value)}")
    return value


def _bool(value: Any, path: Path) -> bool:
    if not isinstance(value, bool):
        raise SchemaError(path, f"it must be a boolean, not {kind(value)}")
    return value


def _number(value: Any, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SchemaError(path, f"it must be a number, not {kind(value)}")
    return value


def _divisor(value: Any, path: Path) -> float:
    number = _number(value, path)
    if number <= 0:
        raise SchemaError(path, "it must be greater than 0")
    return number


def _count(value: Any, path: Path) -> float:
    number = _number(value, path)
    if number < 0 or number != int(number):
        raise SchemaError(path, "it must be a whole number, 0 or more")
    return number


def array(value: Any, path: Path) -> list[Any]:
    """Reads a list."""
    if not isinstance(value, list):
        raise SchemaError(path, f"it must be an array, not {kind(value)}")
    return value


def mapping(value: Any, path: Path) -> dict[str, Any]:
    """Reads an object."""
    if not isinstance(value, dict):
        raise SchemaError(path, f"it must be an object, not {kind(value)}")
    return value


def _strings(value: Any, path: Path) -> tuple[str, ...]:
    return tuple(string(item, path) for item in array(value, path))


def _types(value: Any, path: Path) -> tuple[str, ...]:
    types = (value,) if isinstance(value, str) else _strings(value, path)
    unknown = next((name for name in types if name not in _TYPES), None)
    if unknown is not None or not types:
        raise SchemaError(path, f"'{short(unknown or '')}' is not a type" if types else "it must name a type")
    return types


def _values(value: Any, path: Path) -> Values:
    values = array(value, path)
    return Values(values, frozenset(map(key, values)))


def _value(value: Any, _: Path) -> Values:
    return Values((value,), frozenset((key(value),)))


def _dependants(value: Any, path: Path) -> dict[str, tuple[str, ...]]:
    return {name: _strings(names, (*path, name)) for name, names in mapping(value, path).items()}


# Keyword → what reads its value, given where it stands; raises `SchemaError`.
VALUES: Final[dict[str, Callable[[Any, Path], Any]]] = {
    "const": _value,
    "dependentRequired": _dependants,
    "enum": _values,
    "exclusiveMaximum": _number,
    "exclusiveMinimum": _number,
    "maxContains": _count,
    "maxItems": _count,
    "maxLength": _count,
    "maxProperties": _count,
    "maximum": _number,
    "minContains": _count,
    "minItems": _count,
    "minLength": _count,
    "minProperties": _count,
    "minimum": _number,
    "multipleOf": _divisor,
    "required": _strings,
    "type": _types,
    "uniqueItems": _bool,
}
