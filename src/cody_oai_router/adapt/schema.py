"""Reads the JSON schema of a `response_format`, so that a bad one is told before anything is asked.

Strategy: what is read becomes a schema of exactly the keywords that are checked (`adapt/validation.py`), with patterns and values made
ready. It is JSON Schema 2020-12, with a list of `items` as drafts before it have them, since the schemas of zod are draft 7.
Annotations are left out; `format` is one. References lead to other places of the same schema only: nothing is ever fetched.

What would not be checked is refused rather than passed over: a client that asks for `strict` counts on it. OpenAI's own rules for strict
schemas (`additionalProperties: false`, every property required) are not asked for: they are about its grammar, not about validity.
"""

import graphlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from cody_oai_router.adapt.pattern import Pattern
from cody_oai_router.adapt.pattern_syntax import PatternError
from cody_oai_router.adapt.schema_values import VALUES, Path, SchemaError, array, mapping, short, string
from cody_oai_router.adapt.validation import Compiled, violations
from cody_oai_router.adapt.violation import kind
from cody_oai_router.faults import Fault

# OpenAI takes 120,000 letters of names and values, 5,000 properties and 10 levels of nesting; twice that, a level being up to three steps
# of a path.
MAX_SCHEMA_BYTES: Final = 256 * 1024
MAX_SCHEMAS: Final = 10_000
MAX_DEPTH: Final = 64
# Of all patterns: `a{4000}` has eight letters and takes 32 KB of memory.
MAX_INSTRUCTIONS: Final = 50_000

# What a text that is JSON and nothing else can be told by from prose.
_ROOTS: Final = frozenset({"object", "array"})
# They need to know what other keywords have looked at, or are a second way to refer; nobody generates them for models.
_UNSUPPORTED: Final = frozenset(
    {
        "$anchor",
        "$dynamicAnchor",
        "$dynamicRef",
        "$recursiveRef",
        "dependencies",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
# Those that look at the same value as the schema that they stand in: through them alone a reference must not come back.
_IN_PLACE: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})


class Schema:
    """A schema that answers can be checked against; `name` is the client's word for it."""

    __slots__ = ("_root", "_targets", "name")

    def __init__(self, name: str, root: Compiled, targets: dict[str, Compiled]) -> None:
        self.name = name
        self._root = root
        self._targets = targets

    def violations(self, value: object) -> tuple[str, ...]:
        """Gives what is wrong with a value, as sentences with JSON paths for the model; nothing where it is valid."""
        return violations(self._root, self._targets, value)


def read_schema(raw: msgspec.Raw, name: str) -> Schema | Fault:
    """Reads a schema; one that cannot be checked is a 400 in OpenAI's words."""
    try:
        return _read(raw, name)
    except SchemaError as error:
        where = f"In context={short(str(error.path))}, " if error.path else ""
        message = f"Invalid schema for response_format '{name}': {where}{error.problem}."
    except RecursionError:
        message = f"Invalid schema for response_format '{name}': it is nested too deeply."
    return Fault(kind="bad_request", message=message, param="response_format", code="invalid_json_schema")


def _read(raw: msgspec.Raw, name: str) -> Schema:
    if len(raw) > MAX_SCHEMA_BYTES:
        raise SchemaError((), f"it is larger than {MAX_SCHEMA_BYTES // 1024} KB")
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SchemaError((), "it is not valid JSON") from None
    reader = _Reader()
    root = reader.root(document)
    reader.settle()
    if "type" in root and not _ROOTS & set(root["type"]):
        raise SchemaError((), f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{root['type'][0]}\"'")
    return Schema(name, root, reader.targets)


class _Reader:
    """Reads all schemas in a document. `targets` are those that references name."""

    __slots__ = ("_found", "_instructions", "_references", "_within", "targets")

    def __init__(self) -> None:
        self.targets: dict[str, Compiled] = {}
        self._found: dict[Path, Compiled] = {}
        self._instructions = 0
        self._references: list[tuple[Path, str]] = []
        self._within: dict[Path, set[Path]] = {}  # what each schema asks of the same value

    def root(self, document: Any) -> dict[str, Any]:
        """Reads the schema that is the document."""
        if not isinstance(document, dict):
            raise SchemaError((), f"it must be an object, not {kind(document)}")
        return self._keywords(document, ())

    def read(self, schema: Any, path: Path) -> Compiled:
        """Reads one schema and those in it."""
        if len(self._found) >= MAX_SCHEMAS:
            raise SchemaError((), f"it holds more than {MAX_SCHEMAS} schemas")
        if isinstance(schema, bool):
            self._found[path] = schema
            return schema
        if not isinstance(schema, dict):
            raise SchemaError(path, f"a schema must be an object or a boolean, not {kind(schema)}")
        return self._keywords(schema, path)

    def _keywords(self, schema: dict[str, Any], path: Path) -> dict[str, Any]:
        if len(path) > MAX_DEPTH:
            raise SchemaError((), f"it is nested deeper than {MAX_DEPTH} steps")
        compiled: dict[str, Any] = {}
        self._found[path] = compiled
        self._within[path] = set()
        for keyword, value in schema.items():
            if keyword in _UNSUPPORTED or (keyword == "$id" and path):
                raise SchemaError(path, f"'{keyword}' is not supported")
            inside = (*path, keyword)
            if keyword in VALUES:
                compiled[keyword] = VALUES[keyword](value, inside)
            elif keyword in _SCHEMAS:
                compiled[keyword] = _SCHEMAS[keyword](self, value, inside)
        return _settled(compiled)

    def settle(self) -> None:
        """Finds what the references name, and that none comes back to its own value."""
        for path, reference in self._references:
            place = _place(reference)
            if place is None or place not in self._found:
                raise SchemaError(path, f"'{short(reference)}' names no schema in this one")
            self.targets[reference] = self._found[place]
            self._within[path[:-1]].add(place)
        try:
            graphlib.TopologicalSorter(self._within).prepare()
        except graphlib.CycleError as error:
            raise SchemaError(error.args[1][0], "it refers to itself without end") from None

    def inner(self, schema: Any, path: Path) -> Compiled:
        """Reads a schema within another one."""
        parent = path[:-1] if path[:-1] in self._within else path[:-2]
        if path[len(parent)] in _IN_PLACE:
            self._within[parent].add(path)
        return self.read(schema, path)

    def reference(self, value: Any, path: Path) -> str:
        """Reads what a `$ref` names, which is looked for once all is read."""
        text = string(value, path)
        if not text.startswith("#"):
            raise SchemaError(path, f"'{short(text)}' is not in this schema, and nothing is fetched")
        self._references.append((path, text))
        return text

    def pattern(self, value: Any, path: Path) -> Pattern:
        """Reads a pattern."""
        text = string(value, path)
        try:
            read = Pattern(text)
        except PatternError as error:
            raise SchemaError(path, f"the pattern {error}") from None
        self._instructions += read.size
        if self._instructions > MAX_INSTRUCTIONS:
            raise SchemaError((), "its patterns are too large together")
        return read


def _place(reference: str) -> Path | None:
    """Gives the place that a JSON pointer names; none where the reference is no pointer."""
    before, *steps = unquote(reference[1:]).split("/")
    if before:
        return None
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _settled(compiled: dict[str, Any]) -> dict[str, Any]:
    """Gives a list of `items` its name of 2020-12, with `additionalItems` for what follows; what is only referred to goes."""
    for keyword in ("$defs", "definitions"):
        compiled.pop(keyword, None)
    rest = compiled.pop("additionalItems", True)
    if isinstance(compiled.get("items"), list):
        compiled["prefixItems"] = compiled["items"]
        compiled["items"] = rest
    return compiled


def _schemas(reader: _Reader, value: Any, path: Path) -> list[Compiled]:
    branches = [reader.inner(branch, (*path, str(at))) for at, branch in enumerate(array(value, path))]
    if not branches:
        raise SchemaError(path, "it must not be empty")
    return branches


def _items(reader: _Reader, value: Any, path: Path) -> Compiled | list[Compiled]:
    if not isinstance(value, list):
        return reader.inner(value, path)
    return [reader.inner(branch, (*path, str(at))) for at, branch in enumerate(value)]


def _named(reader: _Reader, value: Any, path: Path) -> dict[str, Compiled]:
    return {name: reader.inner(branch, (*path, name)) for name, branch in mapping(value, path).items()}


def _patterned(reader: _Reader, value: Any, path: Path) -> list[tuple[Pattern, Compiled]]:
    branches = mapping(value, path).items()
    return [(reader.pattern(text, path), reader.inner(branch, (*path, text))) for text, branch in branches]


_SCHEMAS: Final[dict[str, Callable[[_Reader, Any, Path], Any]]] = {
    "$defs": _named,
    "$ref": _Reader.reference,
    "additionalItems": _Reader.inner,
    "additionalProperties": _Reader.inner,
    "allOf": _schemas,
    "anyOf": _schemas,
    "contains": _Reader.inner,
    "definitions": _named,
    "dependentSchemas": _named,
    "else": _Reader.inner,
    "if": _Reader.inner,
    "items": _items,
    "not": _Reader.inner,
    "oneOf": _schemas,
    "pattern": _Reader.pattern,
    "patternProperties": _patterned,
    "prefixItems": _schemas,
    "properties": _named,
    "propertyNames": _Reader.inner,
    "then": _Reader.inner,
}
