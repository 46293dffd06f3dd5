"""Ends an answer at its stop sequences, exactly, also where upstream does not.

Strategy: a model stops as soon as a sequence is complete, so the sequence that ends first counts; of those that end at the same place,
the longest. Text is passed on as it comes, except the end of it that may still become a sequence. So what a client sees depends on
the text alone, never on where it was cut into pieces.

Only text is searched, and no sequence reaches across a tool call. Upstream is asked to stop too: where it did, nothing is found here.
"""

import re
from collections.abc import Iterable, Sequence

from cody_oai_router.events import Adapted, CallStart, Event, Failed, Stop, Text, Usage


class StopCutter:
    """Passes the events of one answer up to the first stop sequence, at least one of which is given and none empty.

    `cut` tells that it was found: the answer has had its `Stop`, and the rest of what upstream says, its failure too, is no part of it.
    Only its usage still passes.
    """

    __slots__ = ("_called", "_firsts", "_held", "_longest", "_stops", "cut")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._longest = max(map(len, stops))
        self._firsts = re.compile("|".join({re.escape(stop[0]) for stop in stops}))
        self._held = ""  # what may still become a sequence
        self._called = False
        self.cut = False

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives what can be passed on."""
        out: list[Event] = []
        for event in events:
            if self.cut:
                if isinstance(event, Usage):
                    out.append(event)
            elif isinstance(event, Text):
                self._take(self._held + event.text, out)
            else:
                self._pass(event, out)
        return out

    def _take(self, text: str, out: list[Event]) -> None:
        """Passes text on up to a sequence, or up to what may become one."""
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.cut = True
            _say(text[: min(found)[1]], out)
            out += (Adapted("stop:cut-here"), Stop("tool_calls" if self._called else "stop"))
            return
        end = self._begun(text)
        self._held = text[end:]
        _say(text[:end], out)

    def _begun(self, text: str) -> int:
        """Gives where the longest beginning of a sequence stands at the end of the text, else the end."""
        for match in self._firsts.finditer(text, max(0, len(text) - self._longest + 1)):
            rest = text[match.start() :]
            if any(stop.startswith(rest) for stop in self._stops):
                return match.start()
        return len(text)

    def _pass(self, event: Event, out: list[Event]) -> None:
        if isinstance(event, CallStart | Stop | Failed):
            self._called |= isinstance(event, CallStart)
            _say(self._held, out)
            self._held = ""
        out.append(event)


def _say(text: str, out: list[Event]) -> None:
    if text:
        out.append(Text(text))
