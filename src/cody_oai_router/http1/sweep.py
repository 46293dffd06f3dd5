"""One coarse timer for many clocks: it runs only while there is something to watch."""

import asyncio
from collections.abc import Callable
from typing import Final

_SHORTEST: Final = 0.005
_LONGEST: Final = 1.0
_SHARE: Final = 4
"""A clock is looked at this many times while it runs, so it is late by at most a quarter."""


class Sweep:
    """Calls `look(now)` again and again, as often as the shortest clock needs, until it returns False."""

    __slots__ = ("_interval", "_look", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[float], bool]) -> None:
        self._loop = loop
        self._look = look
        self._interval = _LONGEST
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, shortest: float) -> None:
        """See to it that a clock of `shortest` seconds is looked at in time."""
        interval = max(_SHORTEST, shortest / _SHARE)
        if self._timer is not None:
            if interval >= self._interval:
                return
            self._timer.cancel()
        self._interval = min(interval, self._interval)
        self._timer = self._loop.call_later(self._interval, self._run)

    def stop(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        if not self._look(self._loop.time()):
            self._interval = _LONGEST
        elif self._timer is None:  # `look` itself may have started something new to watch
            self._timer = self._loop.call_later(self._interval, self._run)
