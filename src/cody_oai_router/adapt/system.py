"""Gives Cody's stream its system message: one, and only as the first (contract §4.3).

What the client wrote at the beginning, as `system` or `developer`, becomes that message; a system message later on stays for
`adapt/roles.py` to wrap.
"""

from itertools import takewhile

import msgspec

from cody_oai_router.adapt.roles import joined, wrapped
from cody_oai_router.conversation import Turn


def lead_with_system(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns with at most one system turn at their head, and notes of what was changed."""
    notes: set[str] = set()
    leading = list(takewhile(lambda turn: turn.role in ("system", "developer"), turns))
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
