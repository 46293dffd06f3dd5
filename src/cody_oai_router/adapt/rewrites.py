"""Settles what an instance rewrote of its text before anything looks into that text (contract §4.4; §8, trap 38).

Only the oldest api-versions say all the text so far each time, and so can say it otherwise. Who reads on from piece to piece cannot go
back, so a whole answer is held until its text is the last one, and in a stream a rewriting is only told.
"""

from collections.abc import Iterable

from cody_oai_router.events import REWRITTEN, Adapted, Event, Failed, Rewritten, Stop, Text


class Rewrites:
    """Takes the rewritings out of the events of one answer; `whole` tells that nothing of it is shown before its end."""

    __slots__ = ("_held", "_whole")

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._held: list[Event] = []

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives what can be passed on."""
        return self._settled(events) if self._whole else [_told(event) for event in events]

    def _settled(self, events: Iterable[Event]) -> list[Event]:
        out: list[Event] = []
        for event in events:
            match event:
                case Text():
                    self._held.append(event)
                case Rewritten():
                    self._held = [Text(event.text)]
                case Stop() | Failed():
                    out += (*self._held, event)
                    self._held = []
                case _:
                    out.append(event)
        return out


def _told(event: Event) -> Event:
    return Adapted(REWRITTEN) if isinstance(event, Rewritten) else event
