"""Single fields: what each kind takes, and the words for what it does not."""

import json
from typing import Any

import pytest
from msgspec import Raw

from cody_oai_router.dialects.openai_chat.fields import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    OBJECT,
    STRINGS,
    TEXT,
    Refused,
    field,
    inner,
    invalid,
    listed,
    present,
    typed,
)
from cody_oai_router.faults import Fault

KINDS: dict[str, Any] = {
    "boolean": BOOLEAN,
    "integer": INTEGER,
    "decimal": DECIMAL,
    "text": TEXT,
    "strings": STRINGS,
    "object": OBJECT,
}


def raw(value: str) -> Raw:
    return Raw(value.encode())


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("integer", "7", 7),
        ("integer", "-123456789012345678901234567890", -123456789012345678901234567890),
        ("decimal", "7", 7.0),
        ("decimal", "0.5", 0.5),
        ("text", '"\\u00e9"', "é"),
        ("text", '""', ""),
        ("strings", '["a",""]', ["a", ""]),
        ("strings", "[]", []),
        ("object", '{"a": [1] }', {"a": raw("[1]")}),
        ("object", "{}", {}),
    ],
)
def test_what_a_kind_takes(kind: str, given: str, expected: object) -> None:
    found: object = field({"f": raw(given)}, "f", KINDS[kind])
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("boolean", '"yes"', "a boolean, but got a string"),
        ("boolean", "null", "a boolean, but got null"),
        ("integer", "1.5", "an integer, but got a number"),
        ("integer", '"7"', "an integer, but got a string"),
        ("decimal", "[]", "a decimal, but got an array"),
        ("text", "{}", "a string, but got an object"),
        ("strings", '"a"', "an array, but got a string"),
        ("strings", "[1]", "an array, but got an array"),
        ("object", "true", "an object, but got a boolean"),
    ],
)
def test_what_a_kind_does_not_take(kind: str, given: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        field({"f": raw(given)}, "f", KINDS[kind])
    message = f"Invalid type for 'f': expected {words} instead."
    assert refused.value.fault == Fault(kind="bad_request", message=message, param="f", code="invalid_type")
    assert str(refused.value) == message


def test_what_is_not_there_is_nothing() -> None:
    assert field({}, "f", TEXT) is None
    assert typed(None, TEXT, "f") is None
    assert inner({}, "g", TEXT, "f") is None
    assert present({}, "g") is None
    assert listed({}, "f") == []


def test_a_field_of_an_object_may_be_null() -> None:
    assert inner({"g": raw("null")}, "g", TEXT, "f") is None
    assert present({"g": raw("null")}, "g") is None
    assert present({"g": raw("[null]")}, "g") == raw("[null]")
    assert inner({"g": raw('"x"')}, "g", TEXT, "f") == "x"


def test_a_field_of_an_object_is_named_with_its_place() -> None:
    with pytest.raises(Refused, match=r"Invalid type for 'f\.g': expected a string, but got a number instead\."):
        inner({"g": raw("7")}, "g", TEXT, "f")


def test_a_list_of_objects() -> None:
    assert listed({"f": raw('[{"a":1},{}]')}, "f") == [{"a": raw("1")}, {}]
    for given, where, words in (
        (7, "f", "an array of objects, but got a number"),
        ([{}, "x"], "f[1]", "an object, but got a string"),
    ):
        with pytest.raises(Refused) as refused:
            listed({"f": raw(json.dumps(given))}, "f")
        assert refused.value.fault.param == where
        assert refused.value.fault.message == f"Invalid type for '{where}': expected {words} instead."


def test_a_refusal_of_a_value() -> None:
    refused = invalid("f", "No.", "invalid_value")
    assert refused.fault == Fault(kind="bad_request", message="No.", param="f", code="invalid_value")
