"""Reads single fields of OpenAI's requests, each with the words that OpenAI has for a wrong one."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from cody_oai_router.dialects.openai_chat.messages import Raws, invalid_type, is_null, objects
from cody_oai_router.faults import Fault

T = TypeVar("T")

# The kinds that a field can have, each with its decoder (making one costs more than using it) and OpenAI's word for it.
Kind = tuple[Callable[[Raw], T], str]
BOOLEAN: Final[Kind[bool]] = (msgspec.json.Decoder(bool).decode, "a boolean")
INTEGER: Final[Kind[int]] = (msgspec.json.Decoder(int).decode, "an integer")
DECIMAL: Final[Kind[float]] = (msgspec.json.Decoder(float).decode, "a decimal")
TEXT: Final[Kind[str]] = (msgspec.json.Decoder(str).decode, "a string")
STRINGS: Final[Kind[list[str]]] = (msgspec.json.Decoder(list[str]).decode, "an array")
OBJECT: Final[Kind[Raws]] = (msgspec.json.Decoder(dict[str, Raw]).decode, "an object")


class Refused(Exception):  # noqa: N818 - control flow inside this dialect, never an error that leaves it
    """Carries a `Fault` out of the reading of one field."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def field(fields: Raws, name: str, kind: Kind[T]) -> T | None:
    """Gives a field of the request, nothing where it is not there; raises `Refused` where it is of another kind."""
    raw = fields.get(name)
    return None if raw is None else typed(raw, kind, name)


def inner(fields: Raws, name: str, kind: Kind[T], where: str) -> T | None:
    """Gives a field of the object at `where`; null is the same as absent."""
    return typed(present(fields, name), kind, f"{where}.{name}")


def present(fields: Raws, name: str) -> Raw | None:
    """Gives a field as it stands, nothing for null."""
    raw = fields.get(name)
    return None if is_null(raw) else raw


def typed(raw: Raw | None, kind: Kind[T], where: str) -> T | None:
    """Decodes a value of a kind."""
    if raw is None:
        return None
    decode, word = kind
    try:
        return decode(raw)
    except msgspec.DecodeError:
        raise Refused(invalid_type(where, word, raw)) from None


def invalid(param: str, message: str, code: str) -> Refused:
    """Makes the refusal of a value, with the code that OpenAI has for it."""
    return Refused(Fault(kind="bad_request", message=message, param=param, code=code))


def listed(fields: Raws, name: str) -> list[Raws]:
    """Gives a field that is a list of objects, empty where it is not there."""
    raw = fields.get(name)
    if raw is None:
        return []
    items = objects(raw, name)
    if isinstance(items, Fault):
        raise Refused(items)
    return items
