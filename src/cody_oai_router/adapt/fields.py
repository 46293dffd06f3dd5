"""Leaves out what a message says besides its words, where the endpoint would not take it, and says so."""

import msgspec

from cody_oai_router.conversation import Part, TextPart, Turn


def drop_fields(turns: tuple[Turn, ...], *, cache_hints: bool, names: bool) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns without cache hints (refused before api-version 7: contract §4.1) and speakers' names, as told, and notes."""
    notes: set[str] = set()
    if cache_hints and any(map(_hints, turns)):
        notes.add("cache_control:dropped")
        turns = tuple(map(_without_hints, turns))
    if names and any(turn.name is not None and turn.role in ("user", "assistant") for turn in turns):
        notes.add("message-fields:dropped")
    return turns, notes


def _hints(turn: Turn) -> bool:
    return any(isinstance(part, TextPart) and part.cache_control is not None for part in turn.parts)


def _without_hints(turn: Turn) -> Turn:
    return msgspec.structs.replace(turn, parts=tuple(map(_bare, turn.parts)))


def _bare(part: Part) -> Part:
    return TextPart(part.text) if isinstance(part, TextPart) else part
