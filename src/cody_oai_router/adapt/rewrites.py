"""Settles what an instance rewrote of its text before anything looks into that text (contract §4.4; §8, trap 38).

Only the oldest api-versions say all the text so far each time, and so can say it otherwise. Who reads on from piece to piece cannot go
back, so a whole answer is held until its text is the last one, and in a stream a rewriting is only told.
"""

from collections.abc import Iterable
from typing import Final

from cody_oai_router.events import REWRITTEN, Adapted, Event, Failed, Rewritten, Stop, Text
from cody_oai_router.faults import Fault

# Characters of one answer. No model writes a hundredth of it; what is held here, MAX_REPLY_BYTES does not see.
MAX_HELD: Final = 64 * 1024 * 1024

_TOO_LONG: Final = Failed(
    Fault(kind="bad_gateway", message="Sourcegraph's answer is longer than the router can hold until its end.")
)


class Rewrites:
    """Takes the rewritings out of the events of one answer; `whole` tells that nothing of it is shown before its end."""

    __slots__ = ("_held", "_over", "_size", "_whole")

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._held: list[Event] = []
        self._size = 0  # of what is held
        self._over = False

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives what can be passed on."""
        return self._settled(events) if self._whole else [_told(event) for event in events]

    def _settled(self, events: Iterable[Event]) -> list[Event]:
        out: list[Event] = []
        for event in events:
            if self._over:
                break
            match event:
                case Text():
                    self._held.append(event)
                    self._size += len(event.text)
                case Rewritten():
                    self._held = [Text(event.text)]
                    self._size = len(event.text)
                case Stop() | Failed():
                    out += (*self._held, event)
                    self._held = []
                case _:
                    out.append(event)
            if self._size > MAX_HELD:
                self._over = True
                self._held = []
                out.append(_TOO_LONG)
        return out


def _told(event: Event) -> Event:
    return Adapted(REWRITTEN) if isinstance(event, Rewritten) else event
