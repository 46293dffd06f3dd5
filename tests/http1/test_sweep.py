"""The timer runs while there is something to watch, as often as the shortest clock needs."""

import asyncio

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


def test_what_a_look_starts_to_watch_is_watched_once(run: Run) -> None:
    async def main() -> None:
        looks: list[float] = []
        enough = asyncio.Event()

        def look(now: float) -> bool:
            looks.append(now)
            sweep.watch(0.02)
            if len(looks) == 4:
                enough.set()
            return True

        sweep = Sweep(asyncio.get_running_loop(), look)
        sweep.watch(0.02)
        began = asyncio.get_running_loop().time()
        await enough.wait()
        assert asyncio.get_running_loop().time() - began >= 4 * 0.005
        sweep.stop()

    run(main())
