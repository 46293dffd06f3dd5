"""An event loop whose time passes only when a test says so, while its sockets are real.

Strategy: nothing here measures time. A loop that is about to wait for its sockets has done all that there is to do: at
that moment the conditions that tests wait for are looked at. To let time pass is to set the clock to each timer in turn
and to go round until the loop would wait again, so a timer fires at its very moment however slow the machine is.
"""

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final, TypeVarTuple

Ts = TypeVarTuple("Ts")

PATIENCE: Final = 20.0
"""Seconds of the real world without anything to do; after them a test waits for what will never come, and fails."""


class _Watched(selectors.DefaultSelector):
    """A selector that asks before it waits whether somebody can go on instead."""

    def __init__(self, wake: Callable[[], bool]) -> None:
        super().__init__()
        self._wake = wake

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; a `timeout` other than 0 is no number of seconds here, as the clock stands still."""
        ready = super().select(0)
        if ready or timeout == 0 or self._wake():
            return ready
        ready = super().select(PATIENCE)
        if not ready:
            raise TimeoutError("the test waits for what does not come")
        return ready


class ClockedLoop(asyncio.SelectorEventLoop):
    """The clocked loop. Deadlines of a test's own, as those of `asyncio.timeout`, stand still like all others."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._timers: list[float] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        super().__init__(_Watched(self._wake))

    def time(self) -> float:
        """Return the seconds that the clock shows."""
        return self._now

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer, and remember when it is due."""
        heapq.heappush(self._timers, when)
        return super().call_at(when, callback, *args, context=context)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait, without letting time pass, until the condition holds and there is nothing left to do but wait."""
        waiter = self.create_future()
        self._waiting.append((condition, waiter))
        await waiter

    async def idle(self) -> None:
        """Go round until there is nothing left to do but wait.

        What a peer sent may still be on its way through the system then, so a test that needs it waits for its effect.
        """
        await self.until(lambda: True)

    async def let_pass(self, seconds: float) -> None:
        """Let time pass; every timer fires at its moment, and what follows from it is done before time goes on."""
        end = self._now + seconds
        await self.idle()
        while self._timers and self._timers[0] <= end:
            self._now = max(self._now, heapq.heappop(self._timers))
            await self.idle()
        self._now = end

    def _wake(self) -> bool:
        """Let those go on whose condition holds; the result is whether there are any."""
        able = [waiter for condition, waiter in self._waiting if not waiter.done() and condition()]
        for waiter in able:
            waiter.set_result(None)
        self._waiting = [entry for entry in self._waiting if not entry[1].done()]
        return bool(able)


Clocked = Callable[[Callable[[ClockedLoop], Coroutine[Any, Any, None]]], None]
"""Runs a test's main function on a clocked loop, which it is given."""
