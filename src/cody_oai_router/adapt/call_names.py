"""Refuses an answer in which calls were run together without their names, where it can be asked for once more in one piece.

A stream in which no new id and no name marks the next call is taken apart, and each call gets the name of the one before it (contract
§3.2: a second line of defence). With several tools that may be the wrong one, and a client would run it. In a whole answer each call has
its name.
"""

from collections.abc import Iterable
from typing import Final

from cody_oai_router.events import Adapted, CallStart, Event, Failed
from cody_oai_router.faults import HOLLOW_TOOL_CALLS, Fault

SPLIT: Final = Adapted("tool-calls:split")

_NAMELESS: Final = Fault(
    kind="bad_gateway",
    message="Sourcegraph ran several tool calls together and left out which tools they are for; ask again.",
    code=HOLLOW_TOOL_CALLS,
)


class CallNames:
    """Passes the events of one answer up to the first call whose name was only assumed: the one right after the note of it."""

    __slots__ = ("_over", "_split")

    def __init__(self) -> None:
        self._split = False
        self._over = False

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives them on; nothing after a `Failed`."""
        out: list[Event] = []
        for event in events:
            if self._over:
                break
            self._over = self._split and isinstance(event, CallStart)
            self._split |= event == SPLIT
            out.append(Failed(_NAMELESS) if self._over else event)
        return out
