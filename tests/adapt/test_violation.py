"""The words for what is wrong: a path, one sentence, and no more of them than a model can put right."""

import pytest

from cody_oai_router.adapt.pattern import Pattern
from cody_oai_router.adapt.violation import MAX_TOLD, Json, Path, Values, Violation, kind, told


def values(*shown: Json) -> Values:
    return Values(shown, frozenset())


@pytest.mark.parametrize(
    ("keyword", "wanted", "value", "words"),
    [
        ("false", False, 1, "is not allowed"),
        ("type", ("string",), None, "must be string, not null"),
        ("type", ("string", "null"), 1, "must be string or null, not number"),
        ("type", ("integer",), 1.5, "must be integer, not a fraction"),
        ("enum", values("a", 1, None), "b", 'must be one of "a", 1, null'),
        ("enum", values(*range(30)), "b", f"must be one of {', '.join(map(str, range(20)))} and 10 more"),
        ("const", values("a" * 100), "b", f'must be "{"a" * 59}…'),
        ("required", ("a", "b", "c"), {"b": 1}, 'lacks "a", "c"'),
        ("propertyNames", "b", {}, 'may not have a property named "b"'),
        ("contains", 0, [], "has 0 items of the kind that `contains` counts"),
        ("oneOf", [], 1, "matches several of the alternatives where only one may match"),
        ("not", {}, 1, "matches what it must not (`not`)"),
        ("pattern", Pattern("^a"), "b", 'does not match the pattern "^a"'),
        ("uniqueItems", True, [], "has the same item twice"),
        ("dependentRequired", {}, {}, "lacks a property that another one asks for (`dependentRequired`)"),
        ("minimum", 3, 1, "does not meet minimum 3"),
        ("maxLength", 2, "secret", "does not meet maxLength 2"),
    ],
)
def test_what_is_wrong(keyword: str, wanted: Json, value: Json, words: str) -> None:
    assert told([Violation((), keyword, wanted, value)]) == (f"$: {words}.",)


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ((), "$"),
        (("a", 0, "b_1"), "$.a[0].b_1"),
        (("odd name", 'with "', "1"), r'$["odd name"]["with \""]["1"]'),
        (("a" * 70,), f'$["{"a" * 59}…]'),
    ],
)
def test_where_it_is(path: Path, written: str) -> None:
    assert told([Violation(path, "false", False, 1)]) == (f"{written}: is not allowed.",)


def test_many_are_counted_and_the_same_is_told_once() -> None:
    found = [Violation((at,), "false", False, 1) for at in range(MAX_TOLD)]
    assert told([*found, found[0], found[0]])[-2:] == (f"$[{MAX_TOLD - 1}]: is not allowed.", "$: 2 more like these.")
    assert told([found[0], found[0]]) == ("$[0]: is not allowed.",)


@pytest.mark.parametrize(
    ("value", "name"),
    [(True, "boolean"), ("", "string"), (1, "number"), (1.5, "number"), ({}, "object"), ([], "array"), (None, "null")],
)
def test_kinds(value: Json, name: str) -> None:
    assert kind(value) == name
