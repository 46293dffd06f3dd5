"""Makes a conversation out of roles and contents that the endpoint takes.

The LLM API knows `user` and `assistant` only (contract §2.3); Cody's stream also a first `system` message and results of tools. A
message without content costs a 500 on either. One message in is one message out, in order; neighbours are merged and a last turn is
added only where the instance has asked for it (`lessons.py`).
"""

import itertools
from collections.abc import Sequence
from typing import Final

import msgspec

from cody_oai_router.conversation import ImagePart, Part, Role, TextPart, Turn
from cody_oai_router.lessons import Lesson

# Words, not white space and no zero-width characters: models were seen to echo those in a loop (contract §8, trap 6).
PLACEHOLDER: Final = msgspec.Raw(b'"(empty)"')
CALL_PLACEHOLDER: Final = msgspec.Raw(b'"(calls a tool)"')
FIRST_TURN: Final = Turn(role="user", parts=(TextPart(msgspec.Raw(b'"(The conversation begins.)"')),))
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


def adapt_turns(
    turns: tuple[Turn, ...], lessons: frozenset[Lesson], native: frozenset[Role] = frozenset()
) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns as the endpoint takes them, and notes of what was changed.

    `native` are the roles that it carries besides the two; `system` among them only as the first turn.
    """
    notes: set[str] = set()
    blank = "fill-blank" in lessons
    adapted: list[Turn] = []
    for index, turn in enumerate(turns):
        carried = turn.role not in _TAGS or (turn.role in native and (index == 0 or turn.role != "system"))
        adapted.append(_filled(turn, notes, blank=blank) if carried else wrapped(turn, notes))
    if "merge" in lessons:
        adapted = _merge(adapted, notes)
    if "begin-with-user" in lessons:
        start = 1 if adapted and adapted[0].role == "system" else 0
        if adapted[start:] and adapted[start].role == "assistant":
            adapted.insert(start, FIRST_TURN)
            notes.add("messages:user-turn-first")
    if "end-with-user" in lessons and adapted and adapted[-1].role == "assistant":
        adapted.append(LAST_TURN)
        notes.add("messages:user-turn-added")
    return tuple(adapted), notes


def wrapped(turn: Turn, notes: set[str]) -> Turn:
    """Gives a turn of a role that cannot be carried as words of the user, in the tags of that role; notes it."""
    notes.add(f"{turn.role}:wrapped")
    tag = _TAGS[turn.role]
    if len(turn.parts) == 1 and isinstance(turn.parts[0], TextPart) and turn.parts[0].cache_control is None:
        return Turn(role="user", parts=(TextPart(_tagged(bytes(turn.parts[0].text)[1:-1], tag)),))
    images = tuple(part for part in turn.parts if isinstance(part, ImagePart))
    hints = [part.cache_control for part in turn.parts if isinstance(part, TextPart) and part.cache_control is not None]
    words = b"".join([bytes(text)[1:-1] for text in _texts(turn)])
    text = TextPart(_tagged(words, tag), hints[-1] if hints else None)
    return Turn(role="user", parts=(text, *images), listed=bool(images or hints))


def joined(turns: Sequence[Turn]) -> Turn:
    """Joins turns by blank lines into one of the first one's role: parts stay parts, strings one string unless one has a cache hint."""
    first = turns[0]
    calls = tuple(call for turn in turns for call in turn.calls)
    turns = [turn for turn in turns if not all(map(_is_empty, turn.parts))] or turns[:1]
    listed = any(turn.listed or _is_hinted(turn) for turn in turns)
    if listed:
        parts = turns[0].parts + tuple(part for turn in turns[1:] for part in _after_blank_line(turn.parts))
    else:
        text = _BLANK_LINE.join(bytes(text)[1:-1] for turn in turns for text in _texts(turn))
        parts = (TextPart(msgspec.Raw(b'"' + text + b'"')),)
    return Turn(role=first.role, parts=parts, listed=listed, name=first.name, calls=calls)


def _tagged(words: bytes, tag: bytes) -> msgspec.Raw:
    """Puts the tags around a text, inside the JSON string: no text is decoded, so none is changed."""
    return msgspec.Raw(b'"<%b>%b</%b>"' % (tag, words, tag))


def _texts(turn: Turn) -> list[msgspec.Raw]:
    return [part.text for part in turn.parts if isinstance(part, TextPart)]


def _is_hinted(turn: Turn) -> bool:
    return any(isinstance(part, TextPart) and part.cache_control is not None for part in turn.parts)


def _filled(turn: Turn, notes: set[str], *, blank: bool) -> Turn:
    is_nothing = _is_blank if blank else _is_empty
    if len(turn.parts) == 1 and not is_nothing(turn.parts[0]):
        return turn
    parts = tuple(part for part in turn.parts if not is_nothing(part))
    if parts:
        if len(parts) == len(turn.parts):
            return turn
        notes.add("content:empty-dropped")
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
    groups = [list(group) for _, group in itertools.groupby(turns, key=_speaker)]
    if len(groups) < len(turns):
        notes.add("messages:merged")
    return [joined(group) if len(group) > 1 else group[0] for group in groups]


def _speaker(turn: Turn) -> tuple[Role, str | None]:
    """Tells whose turn it is; each result of a tool stands for itself, and is put with its neighbours by the dialect."""
    return turn.role, turn.call_id if turn.role == "tool" else None


def _after_blank_line(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    head = parts[0] if parts else None
    if not isinstance(head, TextPart):
        return parts
    text = msgspec.Raw(b'"' + _BLANK_LINE + bytes(head.text)[1:])
    return (TextPart(text, head.cache_control), *parts[1:])
