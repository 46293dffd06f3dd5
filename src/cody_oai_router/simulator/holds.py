"""Named points at which an answer waits for the test, so that no test has to sleep."""

import asyncio
from collections import defaultdict


class Holds:
    """Holds answers by name; a name once released stays open until `reset`."""

    def __init__(self) -> None:
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def hold(self, name: str) -> None:
        """Waits until the name is released."""
        self._reached[name].set()
        await self._released[name].wait()

    def release(self, name: str) -> None:
        """Lets everything that waits under this name go on, now and later."""
        self._released[name].set()

    async def reached(self, name: str) -> None:
        """Waits until an answer has come to this name."""
        await self._reached[name].wait()

    def reset(self) -> None:
        """Lets everything go on and forgets all names."""
        for event in self._released.values():
            event.set()
        self._reached.clear()
        self._released.clear()
