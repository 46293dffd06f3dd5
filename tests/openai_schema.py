"""Checks an answer against OpenAI's own description of its API, with as much of JSON Schema as that uses for answers."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# The description is not part of the project (it has 3 MB); a checkout beside it is used where there is one.
DESCRIPTION = Path(__file__).parents[2] / "shared" / "openai" / "openapi.json"

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}


def violations(schema: str, value: Any) -> list[str]:
    """Gives what is wrong with a value, by the schema of that name; skips the test where the description is absent."""
    if not DESCRIPTION.exists():
        pytest.skip(f"no copy of OpenAI's description of its API at {DESCRIPTION}")
    return _violations({"$ref": f"#/components/schemas/{schema}"}, value, "$")


def properties(schema: str) -> set[str]:
    """Gives the names of all properties of an object, inherited ones too; skips the test where the description is absent."""
    if not DESCRIPTION.exists():
        pytest.skip(f"no copy of OpenAI's description of its API at {DESCRIPTION}")
    return _properties({"$ref": f"#/components/schemas/{schema}"})


def _properties(schema: Any) -> set[str]:
    if "$ref" in schema:
        return _properties(_schemas()[schema["$ref"].rpartition("/")[2]])
    return set(schema.get("properties", ())).union(*map(_properties, schema.get("allOf", ())))


@cache
def _schemas() -> Any:
    return json.loads(DESCRIPTION.read_bytes())["components"]["schemas"]


def _violations(schema: Any, value: Any, where: str) -> list[str]:
    if value is None and schema.get("nullable"):
        return []
    if "$ref" in schema:
        return _violations(_schemas()[schema["$ref"].rpartition("/")[2]], value, where)
    found = [fault for part in schema.get("allOf", ()) for fault in _violations(part, value, where)]
    options = schema.get("anyOf") or schema.get("oneOf") or ()
    if options and all(_violations(option, value, where) for option in options):
        found.append(f"{where}: {value!r} is none of the options")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is not one of {schema['enum']}")
    if "type" in schema and not _is_a(value, schema["type"]):
        return [*found, f"{where}: {value!r} is no {schema['type']}"]
    return found + _inner_violations(schema, value, where)


def _inner_violations(schema: Any, value: Any, where: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict):
        found += [f"{where}: {name} is missing" for name in schema.get("required", ()) if name not in value]
        for name, part in schema.get("properties", {}).items():
            if name in value:
                found += _violations(part, value[name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += _violations(schema["items"], item, f"{where}[{index}]")
    return found


def _is_a(value: Any, kind: str | list[str]) -> bool:
    kinds = [kind] if isinstance(kind, str) else kind
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, _TYPES[name]) for name in kinds)
