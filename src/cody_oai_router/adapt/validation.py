"""Checks a value against a schema that was read (`adapt/schema.py`), and says what is wrong so that a model can put it right.

Strategy: every keyword that is tried and every value that is compared costs a step, and a check ends when they are spent: a schema of a few
hundred bytes can ask for more work than there is time. So nothing here costs more than its steps: values are compared by keys made of them,
and words are made only for the few violations that are told.

Where none of several alternatives is met, what is told is what the nearest one lacks: that is what the model meant to write.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from cody_oai_router.adapt.pattern import Pattern
from cody_oai_router.adapt.violation import Json, Kind, Path, Values, Violation, kind, told

Compiled = bool | dict[str, Any]

# A step takes about a microsecond, and everything else waits meanwhile; an answer of 64 KB takes some 20,000.
MAX_STEPS: Final = 200_000


class _SpentError(Exception):
    """No steps are left."""


_Found = Sequence[Violation]
_NOTHING: Final[_Found] = ()


def violations(
    root: Compiled, targets: Mapping[str, Compiled], value: Json, *, steps: int = MAX_STEPS
) -> tuple[str, ...]:
    """Gives what is wrong with a value, as sentences with paths; nothing where it is valid. `targets` are what `$ref` names."""
    check = _Check(targets, steps)
    try:
        found = check.find(root, value, ())
    except (_SpentError, RecursionError):
        return ("$: is too large, or nested too deeply, to be checked against the schema.",)
    return told(found)


def key(value: Json, spend: Callable[[int], None] | None = None) -> object:
    """Gives what is equal for equal values of JSON: 1 and 1.0 are, 1 and true are not."""
    if spend is not None:
        spend(1)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return ("array", *(key(item, spend) for item in value))
    if isinstance(value, dict):
        return ("object", frozenset((name, key(item, spend)) for name, item in value.items()))
    return value


class _Check:
    """One check: what is left of its steps."""

    __slots__ = ("_left", "targets")

    def __init__(self, targets: Mapping[str, Compiled], steps: int) -> None:
        self.targets = targets
        self._left = steps

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _SpentError

    def find(self, schema: Compiled, value: Json, path: Path) -> _Found:
        """Gives all that is wrong with a value, in the order of the schema."""
        self.spend(1)
        if not isinstance(schema, dict):
            return _NOTHING if schema else [Violation(path, "false", schema, value)]
        found: list[Violation] = []
        tests, search = _TESTS[kind(value)], _SEARCHES[kind(value)]
        for keyword, wanted in schema.items():
            self.spend(1)
            test = tests.get(keyword)
            if test is not None and not test(self, wanted, value):
                found.append(Violation(path, keyword, wanted, value))
            elif keyword in search:
                found += search[keyword](self, schema, value, path)
        return found

    def is_valid(self, schema: Compiled, value: Json) -> bool:
        return not self.find(schema, value, ())


def _is_of_type(_: _Check, wanted: Sequence[str], value: Json) -> bool:
    name = kind(value)
    whole = name == "number" and (isinstance(value, int) or value.is_integer())
    return name in wanted or (whole and "integer" in wanted)


def _is_one_of(check: _Check, wanted: Values, value: Json) -> bool:
    return key(value, check.spend) in wanted.keys


def _is_multiple(_: _Check, wanted: float, value: float) -> bool:
    """Compares as decimals, as both are written: 0.3 is a multiple of 0.1."""
    over, under = _ratio(value)
    over_wanted, under_wanted = _ratio(wanted)
    return (over * under_wanted) % (over_wanted * under) == 0


def _ratio(number: float) -> tuple[int, int]:
    return (number, 1) if isinstance(number, int) else Decimal(repr(number)).as_integer_ratio()


def _is_unique(check: _Check, wanted: bool, value: list[Json]) -> bool:  # noqa: FBT001 - a keyword's value
    return not wanted or len({key(item, check.spend) for item in value}) == len(value)


def _has_all(check: _Check, wanted: Sequence[str], value: dict[str, Json]) -> bool:
    check.spend(len(wanted))
    return all(name in value for name in wanted)


def _has_dependants(check: _Check, wanted: dict[str, Sequence[str]], value: dict[str, Json]) -> bool:
    return all(_has_all(check, names, value) for name, names in wanted.items() if name in value)


_Test = Callable[[_Check, Any, Any], bool]
_ANY_TESTS: Final[dict[str, _Test]] = {
    "type": _is_of_type,
    "enum": _is_one_of,
    "const": _is_one_of,
    "not": lambda check, wanted, value: not check.is_valid(wanted, value),
}
_TESTS: Final[dict[Kind, dict[str, _Test]]] = {
    "null": _ANY_TESTS,
    "boolean": _ANY_TESTS,
    "number": {
        **_ANY_TESTS,
        "minimum": lambda _, wanted, value: value >= wanted,
        "maximum": lambda _, wanted, value: value <= wanted,
        "exclusiveMinimum": lambda _, wanted, value: value > wanted,
        "exclusiveMaximum": lambda _, wanted, value: value < wanted,
        "multipleOf": _is_multiple,
    },
    "string": {
        **_ANY_TESTS,
        "minLength": lambda _, wanted, value: len(value) >= wanted,
        "maxLength": lambda _, wanted, value: len(value) <= wanted,
        "pattern": lambda check, wanted, value: wanted.occurs(value, check.spend),
    },
    "array": {
        **_ANY_TESTS,
        "minItems": lambda _, wanted, value: len(value) >= wanted,
        "maxItems": lambda _, wanted, value: len(value) <= wanted,
        "uniqueItems": _is_unique,
    },
    "object": {
        **_ANY_TESTS,
        "required": _has_all,
        "minProperties": lambda _, wanted, value: len(value) >= wanted,
        "maxProperties": lambda _, wanted, value: len(value) <= wanted,
        "dependentRequired": _has_dependants,
    },
}

_Search = Callable[[_Check, dict[str, Any], Any, Path], Iterable[Violation]]


def _follow(check: _Check, schema: dict[str, Any], value: Json, path: Path) -> _Found:
    return check.find(check.targets[schema["$ref"]], value, path)


def _all(check: _Check, schema: dict[str, Any], value: Json, path: Path) -> _Found:
    return [violation for branch in schema["allOf"] for violation in check.find(branch, value, path)]


def _any(check: _Check, schema: dict[str, Any], value: Json, path: Path) -> _Found:
    missed: list[_Found] = []
    for branch in schema["anyOf"]:
        found = check.find(branch, value, path)
        if not found:
            return _NOTHING
        missed.append(found)
    return _nearest(missed, path)


def _one(check: _Check, schema: dict[str, Any], value: Json, path: Path) -> _Found:
    tried = [check.find(branch, value, path) for branch in schema["oneOf"]]
    missed = [found for found in tried if found]
    if len(missed) == len(tried):
        return _nearest(missed, path)
    return _NOTHING if len(missed) == len(tried) - 1 else [Violation(path, "oneOf", schema["oneOf"], value)]


def _if(check: _Check, schema: dict[str, Any], value: Json, path: Path) -> _Found:
    branch = schema.get("then" if check.is_valid(schema["if"], value) else "else", True)
    return check.find(branch, value, path)


def _dependants(check: _Check, schema: dict[str, Any], value: dict[str, Json], path: Path) -> _Found:
    branches = [branch for name, branch in schema["dependentSchemas"].items() if name in value]
    return [violation for branch in branches for violation in check.find(branch, value, path)]


def _properties(check: _Check, schema: dict[str, Any], value: dict[str, Json], path: Path) -> _Found:
    found: list[Violation] = []
    for name, branch in schema["properties"].items():
        check.spend(1)
        if name in value:
            found += check.find(branch, value[name], (*path, name))
    return found


def _patterned(check: _Check, schema: dict[str, Any], value: dict[str, Json], path: Path) -> _Found:
    found: list[Violation] = []
    for pattern, branch in schema["patternProperties"]:
        for name, inner in value.items():
            if pattern.occurs(name, check.spend):
                found += check.find(branch, inner, (*path, name))
    return found


def _additional(check: _Check, schema: dict[str, Any], value: dict[str, Json], path: Path) -> _Found:
    known: Mapping[str, Json] = schema.get("properties", {})
    patterns: Sequence[tuple[Pattern, Compiled]] = schema.get("patternProperties", ())
    found: list[Violation] = []
    for name, inner in value.items():
        check.spend(1)
        if name not in known and not any(pattern.occurs(name, check.spend) for pattern, _ in patterns):
            found += check.find(schema["additionalProperties"], inner, (*path, name))
    return found


def _names(check: _Check, schema: dict[str, Any], value: dict[str, Json], path: Path) -> _Found:
    wrong = [name for name in value if not check.is_valid(schema["propertyNames"], name)]
    return [Violation(path, "propertyNames", name, value) for name in wrong]


def _first_items(check: _Check, schema: dict[str, Any], value: list[Json], path: Path) -> _Found:
    pairs = enumerate(zip(schema["prefixItems"], value, strict=False))
    return [violation for at, (branch, item) in pairs for violation in check.find(branch, item, (*path, at))]


def _items(check: _Check, schema: dict[str, Any], value: list[Json], path: Path) -> _Found:
    found: list[Violation] = []
    for at in range(len(schema.get("prefixItems", ())), len(value)):
        found += check.find(schema["items"], value[at], (*path, at))
    return found


def _contains(check: _Check, schema: dict[str, Any], value: list[Json], path: Path) -> _Found:
    count = sum(check.is_valid(schema["contains"], item) for item in value)
    if schema.get("minContains", 1) <= count <= schema.get("maxContains", len(value)):
        return _NOTHING
    return [Violation(path, "contains", count, value)]


_ANY_SEARCHES: Final[dict[str, _Search]] = {"$ref": _follow, "allOf": _all, "anyOf": _any, "oneOf": _one, "if": _if}
_SEARCHES: Final[dict[Kind, dict[str, _Search]]] = {
    "null": _ANY_SEARCHES,
    "boolean": _ANY_SEARCHES,
    "number": _ANY_SEARCHES,
    "string": _ANY_SEARCHES,
    "array": {**_ANY_SEARCHES, "prefixItems": _first_items, "items": _items, "contains": _contains},
    "object": {
        **_ANY_SEARCHES,
        "properties": _properties,
        "patternProperties": _patterned,
        "additionalProperties": _additional,
        "propertyNames": _names,
        "dependentSchemas": _dependants,
    },
}


def _nearest(missed: Sequence[_Found], path: Path) -> _Found:
    """Gives what the nearest of several alternatives lacks; what all of them ask of one place is told together."""
    types = [_types(found, path) for found in missed]
    if all(types):
        wanted = dict.fromkeys(name for names in types for name in names)
        return [Violation(path, "type", tuple(wanted), missed[0][0].value)]
    tags = [_tag(found, path) for found in missed]
    known = [tag for tag in tags if tag is not None]
    if len(known) == len(missed) and len({tag.path for tag in known}) == 1:
        shown = [value for tag in known for value in tag.wanted.shown]
        return [msgspec.structs.replace(known[0], keyword="enum", wanted=Values(shown, frozenset()))]
    ranks = [(bool(types[at]), tags[at] is not None, len(found)) for at, found in enumerate(missed)]
    return missed[ranks.index(min(ranks))]


def _types(found: _Found, path: Path) -> Sequence[str]:
    """Gives the types that the value itself does not have."""
    return next((violation.wanted for violation in found if violation.keyword == "type" and violation.path == path), ())


def _tag(found: _Found, path: Path) -> Violation | None:
    """Gives the word by which an alternative tells itself from the others, where the value or a property of it has another one."""
    near = (violation for violation in found if len(violation.path) <= len(path) + 1)
    return next((violation for violation in near if violation.keyword in ("const", "enum")), None)
