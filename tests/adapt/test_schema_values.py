"""Keywords that hold values: what is read, and what is wrong with the rest."""

import pytest

from cody_oai_router.adapt.schema_values import VALUES, SchemaError, short
from cody_oai_router.adapt.validation import key
from cody_oai_router.adapt.violation import Json, Values

AT = ("here",)


@pytest.mark.parametrize(
    ("keyword", "value", "read"),
    [
        ("type", "string", ("string",)),
        ("type", ["integer", "null"], ("integer", "null")),
        ("required", ["a", "b"], ("a", "b")),
        ("minimum", -1.5, -1.5),
        ("maxLength", 3.0, 3.0),
        ("multipleOf", 0.1, 0.1),
        ("uniqueItems", True, True),
        ("enum", [1, "a"], Values([1, "a"], frozenset({1, "a"}))),
        ("const", [1], Values(([1],), frozenset({key([1])}))),
        ("dependentRequired", {"a": ["b"]}, {"a": ("b",)}),
    ],
)
def test_what_is_read(keyword: str, value: Json, read: Json) -> None:
    assert VALUES[keyword](value, AT) == read


@pytest.mark.parametrize(
    ("keyword", "value", "problem"),
    [
        ("type", "strin", "'strin' is not a type"),
        ("type", ["string", ""], "'' is not a type"),
        ("type", [], "it must name a type"),
        ("type", 1, "it must be an array, not number"),
        ("type", [1], "it must be a string, not number"),
        ("required", "a", "it must be an array, not string"),
        ("enum", {}, "it must be an array, not object"),
        ("minimum", True, "it must be a number, not boolean"),
        ("minimum", "1", "it must be a number, not string"),
        ("multipleOf", 0, "it must be greater than 0"),
        ("minLength", -1, "it must be a whole number, 0 or more"),
        ("minLength", 1.5, "it must be a whole number, 0 or more"),
        ("uniqueItems", 1, "it must be a boolean, not number"),
        ("dependentRequired", [], "it must be an object, not array"),
    ],
)
def test_what_is_refused(keyword: str, value: Json, problem: str) -> None:
    with pytest.raises(SchemaError) as refused:
        VALUES[keyword](value, AT)
    assert (refused.value.path, refused.value.problem) == (AT, problem)


def test_the_place_of_a_wrong_dependant_is_told() -> None:
    with pytest.raises(SchemaError) as refused:
        VALUES["dependentRequired"]({"a": 1}, AT)
    assert refused.value.path == ("here", "a")


def test_a_clients_words_are_cut() -> None:
    assert (short("a" * 200), short("a" * 201)) == ("a" * 200, "a" * 200 + "…")
