"""`response_format`: what each form of it asks for, and the words for what is none."""

from typing import Any

import msgspec
import pytest

from cody_oai_router.conversation import Format
from cody_oai_router.dialects.openai_chat.fields import Refused
from cody_oai_router.dialects.openai_chat.formats import read_format

SCHEMA = '{"type" : "object"}'


def read(given: str) -> Format | None:
    return read_format({"response_format": msgspec.Raw(given.encode())})


def schema(fields: str) -> str:
    return f'{{"type":"json_schema","json_schema":{{"name":"s"{fields}}}}}'


def wanted(**fields: Any) -> Format:
    return Format(kind="json_schema", name="s", **fields)


RAW = msgspec.Raw(SCHEMA.encode())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"type":"text"}', None),
        ('{"type":"json_object"}', Format(kind="json_object")),
        ('{"type":"json_object","json_schema":{"name":"s"}}', Format(kind="json_object")),
        (schema(f',"schema":{SCHEMA}'), wanted(schema=RAW)),
        (schema(f',"schema":{SCHEMA},"strict":true'), wanted(schema=RAW, strict=True)),
        (schema(f',"schema":{SCHEMA},"strict":false'), wanted(schema=RAW)),
        (schema(f',"schema":{SCHEMA},"strict":null,"description":null'), wanted(schema=RAW)),
        (schema(f',"schema":{SCHEMA},"description":"\\u00e9"'), wanted(schema=RAW, description="é")),
        (schema(f',"schema":{SCHEMA},"more":[]'), wanted(schema=RAW)),
        (schema(""), wanted()),
        (schema(',"strict":true'), wanted()),
        (schema(',"schema":null,"strict":true'), wanted()),
    ],
)
def test_what_is_asked_for(given: str, expected: Format | None) -> None:
    assert read(given) == expected


def test_no_format_is_text() -> None:
    assert read_format({}) is None


def wrong(where: str, expected: str, got: str) -> tuple[str, str, str]:
    message = f"Invalid type for '{where}': expected {expected}, but got {got} instead."
    return message, where, "invalid_type"


def lacking(where: str) -> tuple[str, str, str]:
    return f"Missing required parameter: '{where}'.", where, "missing_required_parameter"


INNER = "response_format.json_schema"


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ('"json_object"', wrong("response_format", "an object", "a string")),
        ("{}", lacking("response_format.type")),
        ('{"type":null}', lacking("response_format.type")),
        ('{"type":7}', wrong("response_format.type", "a string", "a number")),
        (
            '{"type":"grammar"}',
            (
                "Invalid value: 'grammar'. Supported values are: 'json_object', 'json_schema', and 'text'.",
                "response_format.type",
                "invalid_value",
            ),
        ),
        ('{"type":"json_schema"}', lacking(INNER)),
        ('{"type":"json_schema","json_schema":[]}', wrong(INNER, "an object", "an array")),
        ('{"type":"json_schema","json_schema":{}}', lacking(f"{INNER}.name")),
        ('{"type":"json_schema","json_schema":{"name":""}}', lacking(f"{INNER}.name")),
        ('{"type":"json_schema","json_schema":{"name":7}}', wrong(f"{INNER}.name", "a string", "a number")),
        (schema(',"schema":true'), wrong(f"{INNER}.schema", "an object", "a boolean")),
        (schema(',"schema":"{}"'), wrong(f"{INNER}.schema", "an object", "a string")),
        (schema(',"description":7'), wrong(f"{INNER}.description", "a string", "a number")),
        (schema(',"strict":"yes"'), wrong(f"{INNER}.strict", "a boolean", "a string")),
    ],
)
def test_a_refusal_names_the_field(given: str, refusal: tuple[str, str, str]) -> None:
    with pytest.raises(Refused) as refused:
        read(given)
    fault = refused.value.fault
    assert (fault.message, fault.param, fault.code) == refusal
    assert fault.kind == "bad_request"
