"""The timer runs while there is something to watch, as often as the shortest clock needs."""

import asyncio
from collections.abc import Callable
from typing import cast

from cody_oai_router.http1.sweep import Sweep
from http1.peers import Run


def test_it_stops_when_there_is_nothing_left_and_starts_again(run: Run) -> None:
    async def main() -> None:
        looks: list[float] = []
        enough = asyncio.Event()

        def look(now: float) -> bool:
            looks.append(now)
            if len(looks) % 3 == 0:
                enough.set()
            return len(looks) % 3 != 0

        sweep = Sweep(asyncio.get_running_loop(), look)
        sweep.watch(0.02)
        await enough.wait()
        enough.clear()
        assert len(looks) == 3
        assert sweep._timer is None
        sweep.watch(0.02)
        await enough.wait()
        assert len(looks) == 6

    run(main())


class Timers:
    """Stands in for a loop: keeps what is to be called and calls it when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.delays: list[float] = []

    def time(self) -> float:
        return 0.0

    def call_later(self, delay: float, callback: Callable[[], None]) -> "Handle":
        self.delays.append(delay)
        self.waiting.append(callback)
        return Handle(self, callback)

    def fire(self) -> None:
        self.waiting.pop()()


class Handle:
    def __init__(self, timers: Timers, callback: Callable[[], None]) -> None:
        self._timers = timers
        self._callback = callback

    def cancel(self) -> None:
        self._timers.waiting.remove(self._callback)


def sweep_of(timers: Timers, look: Callable[[float], bool]) -> Sweep:
    return Sweep(cast("asyncio.AbstractEventLoop", timers), look)


def test_a_shorter_clock_is_looked_at_sooner_and_a_longer_one_changes_nothing() -> None:
    timers = Timers()
    sweep = sweep_of(timers, lambda _: True)
    for shortest in (600, 0.04, 600):
        sweep.watch(shortest)
    assert timers.delays == [1.0, 0.01]
    assert len(timers.waiting) == 1


def test_it_can_be_stopped() -> None:
    timers = Timers()
    sweep = sweep_of(timers, lambda _: True)
    sweep.stop()
    sweep.watch(0.02)
    assert len(timers.waiting) == 1
    sweep.stop()
    assert timers.waiting == []


def test_what_a_look_starts_to_watch_is_watched_once() -> None:
    timers = Timers()

    def look(_: float) -> bool:
        sweep.watch(0.02)
        return True

    sweep = sweep_of(timers, look)
    sweep.watch(0.02)
    for _ in range(4):
        assert len(timers.waiting) == 1
        timers.fire()
    sweep.stop()
    assert timers.waiting == []
