"""Gives Cody's stream its system message: one, and only as the first (contract §4.3).

What the client wrote at the beginning, as `system` or `developer`, becomes that message; a system message later on stays for
`adapt/roles.py` to wrap. One with images is wrapped wherever it stands: only a `human` message can show any.
"""

from itertools import takewhile

import msgspec

from cody_oai_router.adapt.roles import joined, wrapped
from cody_oai_router.conversation import ImagePart, Turn

_INSTRUCTIONS = ("system", "developer")


def lead_with_system(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns with at most one system turn at their head, and notes of what was changed."""
    notes: set[str] = set()
    turns = tuple(wrapped(turn, notes) if _is_shown(turn) else turn for turn in turns)
    leading = list(takewhile(lambda turn: turn.role in _INSTRUCTIONS, turns))
    if not leading:
        return turns, notes
    if len(leading) == len(turns):
        return tuple(wrapped(turn, notes) for turn in leading), notes  # somebody has to be spoken to
    if any(turn.role == "developer" for turn in leading):
        notes.add("developer:as-system")
    if len(leading) > 1:
        notes.add("system:merged")
    head = joined(leading) if len(leading) > 1 else leading[0]
    return (msgspec.structs.replace(head, role="system"), *turns[len(leading) :]), notes


def _is_shown(turn: Turn) -> bool:
    return turn.role in _INSTRUCTIONS and any(isinstance(part, ImagePart) for part in turn.parts)
