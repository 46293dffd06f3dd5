"""Makes arguments that fit a JSON schema, the way a model would: an example, not a proof."""

from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_DEPTH = 6  # a schema may refer to itself


def example(schema: Schema, root: Schema, name: str, depth: int = _DEPTH) -> Any:
    """Returns a value for the schema; strings repeat the name of their property, `$ref` is looked up in `root`."""
    schema = _resolved(schema, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    return _MAKERS.get(kind, _make_null)(schema, root, name, depth)


def _resolved(schema: Any, root: Schema) -> Schema:
    """Follows references and takes the first of alternatives; what is no object (`true` is a schema too) allows anything."""
    for _ in range(_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        alternatives = next((schema[key] for key in ("anyOf", "oneOf", "allOf") if schema.get(key)), None)
        if alternatives:
            schema = alternatives[0]
        elif isinstance(schema.get("$ref"), str):
            schema = _target(schema["$ref"], root)
        else:
            return schema
    return {}


def _target(reference: str, root: Schema) -> Any:
    target: Any = root
    for part in reference.removeprefix("#/").split("/"):
        target = target.get(part) if isinstance(target, Mapping) else None
    return target


def _make_object(schema: Schema, root: Schema, _name: str, depth: int) -> dict[str, Any]:
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    wanted = properties if depth == _DEPTH else schema.get("required", ())
    return {key: example(properties.get(key, {}), root, key, depth - 1) for key in wanted if depth}


def _make_array(schema: Schema, root: Schema, name: str, depth: int) -> list[Any]:
    items = schema.get("items", {})
    return [example(items, root, name, depth - 1) for _ in range(max(1, schema.get("minItems", 1))) if depth]


def _make_string(_schema: Schema, _root: Schema, name: str, _depth: int) -> str:
    return name


def _make_number(schema: Schema, _root: Schema, _name: str, _depth: int) -> Any:
    return schema.get("minimum", 1)


def _make_true(_schema: Schema, _root: Schema, _name: str, _depth: int) -> bool:
    return True


def _make_null(_schema: Schema, _root: Schema, _name: str, _depth: int) -> None:
    return None


_MAKERS: Mapping[str, Callable[[Schema, Schema, str, int], Any]] = {
    "object": _make_object,
    "array": _make_array,
    "string": _make_string,
    "integer": _make_number,
    "number": _make_number,
    "boolean": _make_true,
}
