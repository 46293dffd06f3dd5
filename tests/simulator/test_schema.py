"""Example arguments fit the schema they are made from."""

from typing import Any

import pytest

from cody_oai_router.simulator.schema import example


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "city"),
        ({}, "city"),
        ({"type": "integer", "minimum": 7}, 7),
        ({"type": "number"}, 1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, "city"),
        ({"const": 4}, 4),
        ({"default": [], "type": "array"}, []),
        ({"enum": ["b", "a"]}, "b"),
        ({"examples": ["Paris"], "type": "string"}, "Paris"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["city", "city"]),
        ({"properties": {"a": {"type": "integer"}, "b": {}, "c": True}}, {"a": 1, "b": "b", "c": "c"}),
        ({"type": "object", "properties": None}, {}),
        ({"$ref": "#/nowhere/at/all"}, "city"),
        ({"$ref": "#/a", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}, "city"),
    ],
)
def test_an_example_of_each_kind(schema: dict[str, Any], value: object) -> None:
    assert example(schema, schema, "city") == value


def test_only_the_outermost_object_shows_what_is_not_required() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {}}, "required": ["x"]}
    schema = {"type": "object", "properties": {"at": inner, "note": {}}, "required": ["at"]}
    assert example(schema, schema, "value") == {"at": {"x": 1}, "note": "note"}


def test_references_are_followed_and_a_schema_that_contains_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}
    schema = {"type": "object", "properties": {"head": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    value = example(schema, schema, "value")
    depth = 0
    while value:
        value, depth = next(iter(value.values())), depth + 1
    assert depth == 6
