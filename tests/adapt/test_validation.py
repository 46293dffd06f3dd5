"""Checking values: each keyword by a table, all of them together beside the reference implementation, and their steps."""

import json

import jsonschema  # type: ignore[import-untyped]  # it has no types
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.schema import Schema, read_schema
from cody_oai_router.adapt.validation import MAX_STEPS, key, violations
from cody_oai_router.adapt.violation import Json

TOO_MUCH = ("$: is too large, or nested too deeply, to be checked against the schema.",)


def read(schema: Json) -> Schema:
    """Reads a schema of one property, since a whole one describes an object."""
    found = read_schema(msgspec.Raw(json.dumps({"properties": {"x": schema}}).encode()), "shape")
    assert isinstance(found, Schema)
    return found


def wrong(schema: Json, value: Json) -> list[str]:
    return [told.removeprefix("$.x") for told in read(schema).violations({"x": value})]


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        (True, [1, None], []),
        (False, [], [1, None]),
        ({}, [1, None], []),
        ({"type": "integer"}, [1, 1.0, -3, 10**30], [1.5, True, "1", None]),
        ({"type": "number"}, [1, 1.5], [True, "1"]),
        ({"type": ["boolean", "null"]}, [True, None], [0, ""]),
        ({"enum": [1, "a", None, [1, {"a": 2}]]}, [1, 1.0, "a", None, [1.0, {"a": 2.0}]], [True, "A", [1], {}]),
        ({"const": {"a": [], "b": False}}, [{"b": False, "a": []}], [{"a": [], "b": 0}, {"a": []}]),
        ({"minimum": 2, "maximum": 4}, [2, 4, "1"], [1, 4.1]),
        ({"exclusiveMinimum": 2, "exclusiveMaximum": 4}, [3, 2.1], [2, 4]),
        ({"multipleOf": 0.1}, [0.3, 1, 1e300, 0], [0.25]),
        ({"multipleOf": 3}, [9, 3e0, -6], [4, 3.5]),
        ({"minLength": 1, "maxLength": 2}, ["a", "\U0001f600é", 1], ["", "abc"]),
        ({"pattern": "^a"}, ["ab", 1], ["b"]),
        ({"minItems": 1, "maxItems": 2}, [[1], "abc"], [[], [1, 2, 3]]),
        ({"uniqueItems": True}, [[1, True, "1", [1], {"a": 1}], []], [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
        ({"uniqueItems": False}, [[1, 1]], []),
        ({"prefixItems": [{"type": "string"}], "items": {"type": "number"}}, [["a", 1], [], ["a"]], [[1], ["a", "b"]]),
        ({"items": False}, [[], {}], [[1]]),
        ({"contains": {"const": 1}}, [[2, 1], "a"], [[], [2]]),
        ({"contains": {"const": 1}, "minContains": 0, "maxContains": 1}, [[], [1]], [[1, 1]]),
        ({"minContains": 2}, [[]], []),
        ({"required": ["a"]}, [{"a": None}, []], [{}]),
        ({"properties": {"a": {"type": "string"}}}, [{"a": ""}, {"b": 1}, 1], [{"a": 1}]),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}, {}], [{"b": 1}]),
        ({"patternProperties": {"^a": {"type": "string"}}}, [{"a1": ""}, {"b": 1}], [{"a": 1}]),
        (
            {"properties": {"x": {}}, "patternProperties": {"^a": {}}, "additionalProperties": {"type": "null"}},
            [{"x": 1, "a1": 1, "b": None}],
            [{"b": 1}],
        ),
        ({"propertyNames": {"maxLength": 1}}, [{"a": 1}, "abc"], [{"ab": 1}]),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}, []], [{}, {"a": 1, "b": 1}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"b": 1}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{}, {"a": 1, "b": 1}], [{"a": 1}]),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
        ({"anyOf": [{"type": "string"}, {"minimum": 2}]}, ["a", 2], [1]),
        ({"oneOf": [{"minimum": 2}, {"maximum": 4}]}, [1, 5], [3, "a"]),
        ({"not": {"type": "string"}}, [1], ["a"]),
        ({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"minimum": 1}}, ["a", 1], ["", 0]),
        ({"if": {"type": "string"}}, ["a", 1], []),
        ({"then": False, "else": False}, [1], []),
    ],
)
def test_each_keyword(schema: Json, valid: list[Json], invalid: list[Json]) -> None:
    assert [value for value in [*valid, *invalid] if not wrong(schema, value)] == valid


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"anyOf": [{"type": "string"}, {"type": ["null", "string"]}]}, 1, [": must be string or null, not number."]),
        ({"anyOf": [{"type": "null"}, {"required": ["a"], "type": "object"}]}, {}, [': lacks "a".']),
        ({"anyOf": [{"enum": ["a", "b"]}, {"const": "c"}]}, "d", [': must be one of "a", "b", "c".']),
        (
            {"anyOf": [{"properties": {"kind": {"const": kind}, kind: {"type": "number"}}} for kind in ("a", "b")]},
            {"kind": "b", "a": 1, "b": "no"},
            [".b: must be number, not string."],
        ),
        ({"anyOf": [{"minLength": 3, "pattern": "^b"}, {"minLength": 2}]}, "a", [": does not meet minLength 2."]),
        (
            {"oneOf": [{"type": "string"}, {"minLength": 1}]},
            "a",
            [": matches several of the alternatives where only one may match."],
        ),
        ({"anyOf": [{"anyOf": [{"type": "null"}]}, {"type": "string"}]}, 1, [": must be null or string, not number."]),
    ],
)
def test_of_several_alternatives_the_nearest_is_told(schema: Json, value: Json, told: list[str]) -> None:
    assert wrong(schema, value) == told


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from([0.5, 1.0]), st.sampled_from(["", "a", "ab", "b"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=5,
)
small = st.integers(0, 2)
names = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
types = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])


def with_schemas(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    keywords: dict[str, st.SearchStrategy[Json]] = {
        "type": st.one_of(types, st.lists(types, min_size=1, max_size=2, unique=True)),
        "enum": st.lists(values, min_size=1, max_size=2),
        "const": values,
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), st.integers(-1, 2)),
        "multipleOf": st.integers(1, 2),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), small),
        **dict.fromkeys(("minContains", "maxContains"), small),
        "uniqueItems": st.booleans(),
        "pattern": st.sampled_from(["^a", "b$", "^(a|b)*$"]),
        "required": names,
        "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=2),
        **dict.fromkeys(("properties", "dependentSchemas"), named),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "[bc]"]), inner, max_size=2),
        **dict.fromkeys(
            ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"), inner
        ),
        **dict.fromkeys(("prefixItems", "allOf", "anyOf", "oneOf"), several),
        "$ref": st.just("#/$defs/d"),
    }
    return st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({keyword: keywords[keyword] for keyword in chosen})
    )


schemas = st.recursive(st.booleans(), with_schemas, max_leaves=6)


@given(schemas, st.sampled_from([{"type": "string"}, {"minProperties": 1}, {"items": {"$ref": "#/$defs/d"}}]), values)
def test_it_says_what_the_reference_implementation_says(schema: Json, definition: Json, value: Json) -> None:
    document = {"$defs": {"d": definition}, "properties": {"x": schema}}
    found = read_schema(msgspec.Raw(json.dumps(document).encode()), "shape")
    assert isinstance(found, Schema)
    reference = jsonschema.Draft202012Validator(document)
    assert (not found.violations({"x": value})) is reference.is_valid({"x": value})


@given(values, values)
def test_keys_are_equal_where_values_are(one: Json, other: Json) -> None:
    same = jsonschema.Draft202012Validator({"const": one}).is_valid(other)
    assert (key(one) == key(other)) is same


def test_a_check_ends_when_its_steps_are_spent() -> None:
    many = [{"a": 1}] * 1000
    schema = {"items": {"properties": {"a": {"type": "integer"}}}}
    assert wrong(schema, many) == []
    compiled: Json = {"items": {"properties": {"a": {"type": ("integer",)}}}}
    assert violations(compiled, {}, many, steps=5001) == TOO_MUCH
    assert violations(compiled, {}, many, steps=5002) == ()


@pytest.mark.parametrize("keyword", ["enum", "const", "uniqueItems"])
def test_comparing_costs_steps(keyword: str) -> None:
    wanted = {"enum": [1], "const": 1, "uniqueItems": True}[keyword]
    assert read({keyword: wanted}).violations({"x": [0] * (MAX_STEPS + 1)}) == TOO_MUCH


def test_an_answer_as_large_as_they_come_is_checked() -> None:
    row = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in "abcdef"},
        "additionalProperties": False,
    }
    answer = [dict.fromkeys("abcdef", "x" * 10) for _ in range(1200)]
    assert len(json.dumps(answer)) > 128 * 1024
    assert wrong({"items": row}, answer) == []
