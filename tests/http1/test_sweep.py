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


def test_a_shorter_clock_is_looked_at_sooner(run: Run) -> None:
    async def main() -> None:
        looked = asyncio.Event()

        def look(_: float) -> bool:
            looked.set()
            return False

        sweep = Sweep(asyncio.get_running_loop(), look)
        sweep.watch(600)
        sweep.watch(0.02)
        sweep.watch(600)
        await asyncio.wait_for(looked.wait(), 0.5)

    run(main())


def test_it_can_be_stopped(run: Run) -> None:
    async def main() -> None:
        looks: list[float] = []

        def look(now: float) -> bool:
            looks.append(now)
            return True

        sweep = Sweep(asyncio.get_running_loop(), look)
        sweep.stop()
        sweep.watch(0.02)
        sweep.stop()
        await asyncio.sleep(0.05)
        assert looks == []

    run(main())


class Timers:
    """Stands in for a loop: keeps what is to be called and calls it when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def time(self) -> float:
        return 0.0

    def call_later(self, _: float, callback: Callable[[], None]) -> "Handle":
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


def test_what_a_look_starts_to_watch_is_watched_once() -> None:
    timers = Timers()

    def look(_: float) -> bool:
        sweep.watch(0.02)
        return True

    sweep = Sweep(cast("asyncio.AbstractEventLoop", timers), look)
    sweep.watch(0.02)
    for _ in range(4):
        assert len(timers.waiting) == 1
        timers.fire()
    sweep.stop()
    assert timers.waiting == []
