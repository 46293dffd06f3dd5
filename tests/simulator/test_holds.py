"""Held answers wait for the test, never longer."""

import asyncio

from cody_oai_router.simulator.holds import Holds


def test_a_hold_is_reached_and_then_released() -> None:
    async def story() -> None:
        holds = Holds()
        holding = asyncio.create_task(holds.hold("a"))
        await holds.reached("a")
        assert not holding.done()
        holds.release("b")
        holds.release("a")
        await holding
        await holds.hold("a")

    asyncio.run(story())


def test_a_reset_releases_and_forgets() -> None:
    async def story() -> None:
        holds = Holds()
        holding = asyncio.create_task(holds.hold("a"))
        await holds.reached("a")
        holds.reset()
        await holding
        again = asyncio.create_task(holds.hold("a"))
        await holds.reached("a")
        assert not again.done()
        holds.reset()
        await again

    asyncio.run(story())
