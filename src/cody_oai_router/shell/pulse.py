"""One coarse timer for all open streams: sends the head that has waited too long, and heartbeats while upstream is silent."""

import asyncio
from typing import Final, Protocol

# Fine enough for seconds, coarse enough to cost nothing with a thousand streams open.
_COARSEST: Final = 1.0
_FINEST: Final = 0.01
_TICKS_PER_WAIT: Final = 8


class Beating(Protocol):
    """Something that wants to know the time now and then."""

    def tick(self, now: float) -> None:
        """Is told the loop's time, in seconds."""
        ...


class Pulse:
    """Calls `tick` of every member each `interval` seconds, a few times within `shortest`; runs only while there are members."""

    def __init__(self, loop: asyncio.AbstractEventLoop, shortest: float) -> None:
        self._loop = loop
        self.interval = min(_COARSEST, max(_FINEST, shortest / _TICKS_PER_WAIT))
        self._members: set[Beating] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Beating) -> None:
        """Begins to call a member."""
        self._members.add(member)
        if self._timer is None:
            self._timer = self._loop.call_later(self.interval, self._tick)

    def remove(self, member: Beating) -> None:
        """Stops calling a member."""
        self._members.discard(member)

    def close(self) -> None:
        """Stops the timer."""
        self._members.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        for member in tuple(self._members):
            member.tick(now)
        if self._members:
            self._timer = self._loop.call_later(self.interval, self._tick)
