"""Reading schemas: what of them is checked, what is refused in which words, and that nothing hostile takes long."""

import json
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from cody_oai_router.adapt.schema import MAX_SCHEMA_BYTES, MAX_SCHEMAS, Schema, read_schema
from cody_oai_router.adapt.violation import Json
from cody_oai_router.faults import Fault
from strategies import json_values, wild_bytes


def read(schema: Json) -> Schema | Fault:
    return read_schema(msgspec.Raw(json.dumps(schema).encode()), "shape")


def wrong(schema: Json, value: object) -> tuple[str, ...]:
    """Gives what is wrong with a value."""
    found = read(schema)
    assert isinstance(found, Schema)
    return found.violations(value)


def nested(depth: int) -> Json:
    schema: Json = {"type": "string"}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ([], "it must be an object, not array"),
        (True, "it must be an object, not boolean"),
        ({"type": "string"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'"),
        ({"type": "objec"}, "In context=('type',), 'objec' is not a type"),
        (
            {"properties": {"a": 1}},
            "In context=('properties', 'a'), a schema must be an object or a boolean, not number",
        ),
        ({"properties": []}, "In context=('properties',), it must be an object, not array"),
        ({"items": [1]}, "In context=('items', '0'), a schema must be an object or a boolean, not number"),
        ({"anyOf": []}, "In context=('anyOf',), it must not be empty"),
        ({"anyOf": {}}, "In context=('anyOf',), it must be an array, not object"),
        ({"patternProperties": {"[": {}}}, "In context=('patternProperties',), the pattern breaks off"),
        ({"items": {"pattern": None}}, "In context=('items', 'pattern'), it must be a string, not null"),
        ({"pattern": "("}, "In context=('pattern',), the pattern has a ( without its )"),
        ({"anyOf": [{"pattern": "a{1600}"}] * 40}, "its patterns are too large together"),
        ({"anyOf": [{}] * MAX_SCHEMAS}, "it holds more than 10000 schemas"),
        ({"unevaluatedProperties": False}, "'unevaluatedProperties' is not supported"),
        ({"items": {"$id": "a"}}, "In context=('items',), '$id' is not supported"),
        ({"$ref": 1}, "In context=('$ref',), it must be a string, not number"),
        ({"$ref": "#/$defs/a"}, "In context=('$ref',), '#/$defs/a' names no schema in this one"),
        ({"$ref": "#a"}, "In context=('$ref',), '#a' names no schema in this one"),
        (
            {"$ref": "#/properties", "properties": {}},
            "In context=('$ref',), '#/properties' names no schema in this one",
        ),
        ({"$ref": "http://a/b"}, "In context=('$ref',), 'http://a/b' is not in this schema, and nothing is fetched"),
        ({"$ref": "file:///a"}, "In context=('$ref',), 'file:///a' is not in this schema, and nothing is fetched"),
        ({"$ref": "#"}, "it refers to itself without end"),
        ({"items": {"anyOf": [{}, {"$ref": "#/items"}]}}, "In context=('items',), it refers to itself without end"),
        (nested(100), "it is nested deeper than 64 steps"),
        ({"enum": ["a" * MAX_SCHEMA_BYTES]}, "it is larger than 256 KB"),
        ({"$ref": "a" * 300}, f"In context=('$ref',), '{'a' * 200}…' is not in this schema, and nothing is fetched"),
    ],
)
def test_what_is_refused(schema: Json, problem: str) -> None:
    assert read(schema) == Fault(
        kind="bad_request",
        message=f"Invalid schema for response_format 'shape': {problem}.",
        param="response_format",
        code="invalid_json_schema",
    )


@pytest.mark.parametrize(
    "raw", [b'{"a":', b'{"a":"\xff"}', b"[" * 100_000, b'{"enum":' + b"[" * 900 + b"]" * 900 + b"}"]
)
def test_what_is_no_json_or_too_deep_is_a_fault(raw: bytes) -> None:
    assert isinstance(read_schema(msgspec.Raw(raw), "shape"), Fault)


def test_a_cycle_of_references_is_found_wherever_it_stands() -> None:
    definitions = {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"if": {"$ref": "#/$defs/a"}}}
    found = read({"$defs": definitions, "properties": {"x": {"$ref": "#/$defs/a"}}})
    assert isinstance(found, Fault)
    assert found.message.endswith("it refers to itself without end.")


LIST: Json = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}},
    "required": ["value"],
}


def test_a_schema_may_come_back_to_itself_deeper_in_the_value() -> None:
    assert wrong(LIST, {"value": 1, "next": {"value": 2, "next": {}}}) == ('$.next.next: lacks "value".',)


@pytest.mark.parametrize(
    "reference", ["#/$defs/a~1b%20c~0", "#/properties/0/anyOf/1", "#/definitions/d", "#/items/0", "#/properties/items"]
)
def test_references_name_places_by_pointers(reference: str) -> None:
    schema = {
        "$defs": {"a/b c~": {"type": "string"}},
        "definitions": {"d": {"type": "string"}},
        "properties": {
            "0": {"anyOf": [True, {"type": "string"}]},
            "items": {"type": "string"},
            "x": {"$ref": reference},
        },
        "items": [{"type": "string"}],
    }
    assert wrong(schema, {"x": 1}) == ("$.x: must be string, not number.",)


def test_what_is_no_keyword_is_passed_over() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:x",
        "title": 1,
        "format": "email",
        "x-order": [],
        "properties": {"unevaluatedItems": {"format": "date", "default": {"$ref": "nowhere"}}},
    }
    assert wrong(schema, {"unevaluatedItems": "no date"}) == ()


def test_a_list_of_items_is_what_it_was_before_2020() -> None:
    schema = {"items": [{"type": "string"}], "additionalItems": {"type": "number"}}
    assert wrong(schema, [1, 2, "a"]) == ("$[2]: must be number, not string.", "$[0]: must be string, not number.")
    assert wrong({"items": [True]}, [1, 2]) == ()
    assert wrong({"items": {"type": "string"}, "additionalItems": False}, ["a"]) == ()


def test_openais_rules_for_strict_are_not_asked_for() -> None:
    assert wrong({"type": "object", "properties": {"a": {}}}, {"b": 1}) == ()


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    name: Annotated[str, Field(min_length=1, pattern=r"^\w+$")]


class Dog(BaseModel):
    kind: Literal["dog"]
    age: Annotated[int, Field(ge=0, lt=30)]
    friends: list["Pet"] = []


class Pet(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    color: Color | None = None
    size: tuple[int, str]
    counts: dict[Color, Annotated[float, Field(multiple_of=0.1)]] = {}
    tags: set[str] = set()


PET = Pet.model_json_schema()
CAT = {"pet": {"kind": "cat", "name": "Tom"}, "size": [1, "cm"]}


@pytest.mark.parametrize(
    ("value", "violations"),
    [
        (CAT, ()),
        ({**CAT, "color": "red", "counts": {"red": 0.3}, "tags": ["a", "b"]}, ()),
        ({"pet": {"kind": "dog", "age": 3, "friends": [CAT]}, "size": [1.0, "cm"], "color": None}, ()),
        ({**CAT, "color": "green"}, ('$.color: must be one of "red", "blue".',)),
        ({**CAT, "color": 1}, ("$.color: must be string or null, not number.",)),
        ({**CAT, "pet": {"kind": "cow", "name": ""}}, ('$.pet.kind: must be one of "cat", "dog".',)),
        (
            {**CAT, "pet": {"kind": "cat", "name": ""}},
            ("$.pet.name: does not meet minLength 1.", r'$.pet.name: does not match the pattern "^\\w+$".'),
        ),
        ({**CAT, "pet": {"kind": "dog", "age": 30}}, ("$.pet.age: does not meet exclusiveMaximum 30.",)),
        (
            {**CAT, "pet": {"kind": "dog", "age": 3, "friends": [{"size": [1, "cm"]}]}},
            ('$.pet.friends[0]: lacks "pet".',),
        ),
        ({**CAT, "size": [1]}, ("$.size: does not meet minItems 2.",)),
        ({**CAT, "counts": {"green": 1}}, ('$.counts: may not have a property named "green".',)),
        ({**CAT, "counts": {"red": 0.25}}, ("$.counts.red: does not meet multipleOf 0.1.",)),
        ({**CAT, "tags": ["a", "a"]}, ("$.tags: has the same item twice.",)),
        ("Tom", ("$: must be object, not string.",)),
    ],
)
def test_schemas_of_pydantic(value: Json, violations: tuple[str, ...]) -> None:
    assert wrong(PET, value) == violations


cats = st.builds(Cat, kind=st.just("cat"), name=st.text("abc_1", min_size=1, max_size=3))
dogs = st.builds(
    Dog, kind=st.just("dog"), age=st.integers(0, 29), friends=st.lists(st.deferred(lambda: pets), max_size=2)
)
pets: st.SearchStrategy[Pet] = st.builds(
    Pet,
    pet=cats | dogs,
    color=st.none() | st.sampled_from(Color),
    size=st.tuples(st.integers(), st.text()),
    counts=st.dictionaries(st.sampled_from(Color), st.sampled_from([0.1, 0.3, 2.0])),
    tags=st.sets(st.text()),
)


@given(pets)
def test_what_pydantic_writes_is_valid_by_its_schema(pet: Pet) -> None:
    assert wrong(PET, json.loads(pet.model_dump_json())) == ()


TOO_MUCH = ("$: is too large, or nested too deeply, to be checked against the schema.",)


def doubling(depth: int) -> dict[str, Any]:
    """Gives a schema that asks for two to the power of `depth` checks."""
    twice = {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(depth)}
    return {"$defs": {**twice, f"d{depth}": {}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling(60), {}),
        (doubling(800), {}),
        ({"enum": [["a"] * 1000]}, [["a"] * 1000] * 1000),
        ({"properties": {"a": {"pattern": "(?!(?!a*b)a*b)c"}}}, {"a": "a" * 10_000}),
        ({"items": {"properties": {f"p{at}": {} for at in range(1000)}}}, [{}] * 1000),
        ({"items": {"required": [f"p{at}" for at in range(1000)]}}, [{}] * 1000),
    ],
)
def test_what_would_take_long_is_ended(schema: Json, value: Json) -> None:
    assert wrong(schema, value) == TOO_MUCH


def test_a_value_that_is_nested_deeper_than_can_be_followed() -> None:
    value: Json = {}
    for _ in range(900):
        value = {"value": 1, "next": value}
    assert wrong(LIST, value) == TOO_MUCH


@given(wild_bytes(PET, LIST, doubling(3)), json_values)
def test_any_bytes_are_read_or_a_fault_and_any_value_is_checked(raw: bytes, value: Json) -> None:
    found = read_schema(msgspec.Raw(raw), "shape")
    assert isinstance(found, Fault) or isinstance(found.violations(value), tuple)
