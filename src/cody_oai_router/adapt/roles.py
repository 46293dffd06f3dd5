"""Makes a conversation out of roles and contents that the LLM API takes.

It knows `user` and `assistant` only (contract §2.3), and a message without content costs a 500. One message in is one message out, in
order; neighbours are merged and a last turn is added only where the instance has asked for it (`lessons.py`).
"""

import itertools
from typing import Final

import msgspec

from cody_oai_router.conversation import Part, Role, TextPart, Turn
from cody_oai_router.lessons import Lesson

# Words, not white space and no zero-width characters: models were seen to echo those in a loop (contract §8, trap 6).
PLACEHOLDER: Final = msgspec.Raw(b'"(empty)"')
CALL_PLACEHOLDER: Final = msgspec.Raw(b'"(calls a tool)"')
LAST_TURN: Final = Turn(role="user", parts=(TextPart(msgspec.Raw(b'"Continue."')),))

_TAGS: Final[dict[Role, bytes]] = {
    "system": b"SYSTEM_PROMPT",
    "developer": b"SYSTEM_PROMPT",
    "tool": b"TOOL_RESULT",
    "function": b"TOOL_RESULT",
}

_BLANK_LINE: Final = rb"\n\n"  # inside a JSON string

# Blank strings are short; a longer text is looked at only as far as this (bytes of JSON).
_BLANK_AT_MOST: Final = 256


def adapt_turns(turns: tuple[Turn, ...], lessons: frozenset[Lesson]) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns as the LLM API takes them, and notes of what was changed."""
    notes: set[str] = set()
    adapted = [_adapt(turn, notes, blank="fill-blank" in lessons) for turn in turns]
    if "merge" in lessons:
        adapted = _merge(adapted, notes)
    if "end-with-user" in lessons and adapted and adapted[-1].role == "assistant":
        adapted.append(LAST_TURN)
        notes.add("messages:user-turn-added")
    return tuple(adapted), notes


def _adapt(turn: Turn, notes: set[str], *, blank: bool) -> Turn:
    tag = _TAGS.get(turn.role)
    if tag is not None:
        notes.add(f"{turn.role}:wrapped")
        return Turn(role="user", parts=(TextPart(_wrapped(turn, tag)),))
    return _filled(turn, notes, blank=blank)


def _wrapped(turn: Turn, tag: bytes) -> msgspec.Raw:
    """Puts the tags around the text, inside the JSON string: no text is decoded, so none is changed."""
    inner = b"".join(bytes(text)[1:-1] for text in _texts(turn))
    return msgspec.Raw(b'"<' + tag + b">" + inner + b"</" + tag + b'>"')


def _texts(turn: Turn) -> list[msgspec.Raw]:
    return [part.text for part in turn.parts if isinstance(part, TextPart)]


def _filled(turn: Turn, notes: set[str], *, blank: bool) -> Turn:
    parts = turn.parts
    if blank:
        parts = tuple(part for part in parts if not _is_blank(part))
    if not all(map(_is_empty, parts)):
        if len(parts) == len(turn.parts):
            return turn
        notes.add("content:filled")
        return msgspec.structs.replace(turn, parts=parts)
    notes.add("content:filled")
    filler = CALL_PLACEHOLDER if turn.calls else PLACEHOLDER
    return msgspec.structs.replace(turn, parts=(TextPart(filler),), listed=False)


def _is_empty(part: Part) -> bool:
    return isinstance(part, TextPart) and len(part.text) == len(b'""')


def _is_blank(part: Part) -> bool:
    if not isinstance(part, TextPart) or len(part.text) > _BLANK_AT_MOST:
        return False
    return not msgspec.json.decode(part.text, type=str).strip()


def _merge(turns: list[Turn], notes: set[str]) -> list[Turn]:
    groups = [list(group) for _, group in itertools.groupby(turns, key=lambda turn: turn.role)]
    if len(groups) < len(turns):
        notes.add("messages:merged")
    return [_joined(group) if len(group) > 1 else group[0] for group in groups]


def _joined(turns: list[Turn]) -> Turn:
    """Joins turns by blank lines; parts stay parts, strings stay one string."""
    first = turns[0]
    calls = tuple(call for turn in turns for call in turn.calls)
    listed = any(turn.listed for turn in turns)
    if listed:
        parts = first.parts + tuple(part for turn in turns[1:] for part in _after_blank_line(turn.parts))
    else:
        text = _BLANK_LINE.join(bytes(text)[1:-1] for turn in turns for text in _texts(turn))
        parts = (TextPart(msgspec.Raw(b'"' + text + b'"')),)
    return Turn(role=first.role, parts=parts, listed=listed, name=first.name, calls=calls)


def _after_blank_line(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    head = parts[0]
    if not isinstance(head, TextPart):
        return parts
    return (TextPart(msgspec.Raw(b'"' + _BLANK_LINE + bytes(head.text)[1:])), *parts[1:])
