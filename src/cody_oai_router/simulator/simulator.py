"""The simulator itself: a server, what it received, and what it was told to do next."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from cody_oai_router.simulator import control, site
from cody_oai_router.simulator.connection import Connection
from cody_oai_router.simulator.holds import Holds
from cody_oai_router.simulator.instance import Catalogue, Gate, Instance, Listing, Parallel
from cody_oai_router.simulator.model import Reply
from cody_oai_router.simulator.profiles import PROFILES
from cody_oai_router.simulator.steps import Fault, Ordinary
from cody_oai_router.simulator.wire import Answer, Received

DEMO_TOKEN = "sgp_0000000000000000_" + "de30" * 10  # the form of a real one (contract §7.1), of no use anywhere


class Simulator:
    """A Sourcegraph of one profile that runs in this process.

    `pace` is the time in seconds before each piece of an answer. `demo` makes every answer say that it is none of
    Sourcegraph's; such a simulator may run for days, so it records nothing and has no control routes. `alternation`
    makes providers refuse neighbours of one speaker: for all models of the providers that do, or for the refs given; by
    default only on 5.6. `prefill` overrides whether a conversation may end with the assistant. `parallel` chooses the
    hypothesis of how a second tool call streams, `gate` the status of the licence gate, `listing` what the model
    listings show ("null": no models at all; "unlisted": an empty listing, though the models answer). `catalogue` chooses
    the models themselves: those of the profile's time, the six of one 6.12 site, the 57 of a large one, or none.
    `context_filters` makes the site one that defines them, which lets Cody's stream look at who asks.
    """

    def __init__(
        self,
        profile: str = "6.12",
        *,
        token: str = DEMO_TOKEN,
        pace: float = 0.0,
        demo: bool = False,
        gate: Gate = "403",
        parallel: Parallel = "new-id",
        listing: Listing = "full",
        alternation: bool | Sequence[str] | None = None,
        prefill: bool | None = None,
        cody_enabled: bool = True,
        context_filters: bool = False,
        catalogue: Catalogue = "standard",
        seed: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        facts = PROFILES[profile]
        self.instance = Instance(
            profile=facts,
            token=token,
            pace=pace,
            demo=demo,
            gate=gate,
            parallel=parallel,
            listing=listing,
            alternation=facts.old if alternation is None else alternation,
            prefill=prefill,
            cody_enabled=cody_enabled and not facts.dotcom,
            context_filters=context_filters,
            catalogue=catalogue,
            random=Random(seed),
            clock=clock,
        )
        self.received: list[Received] = []
        self.holds = Holds()
        self._queue: deque[tuple[str, Fault | Reply]] = deque()
        self._arrival = asyncio.Condition()
        self._connections: set[asyncio.Task[None]] = set()
        self._count = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Starts to listen and returns the port."""
        self._server = await asyncio.start_server(self._accept, host, port)
        listening: int = self._server.sockets[0].getsockname()[1]
        return listening

    async def stop(self) -> None:
        """Stops to listen and drops every connection."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def queue(self, item: Fault | Reply, path: str = site.CHAT, times: int = 1) -> None:
        """Makes the next request to a path get this fault, or this reply of the model; first in, first out."""
        self._queue.extend([(path, item)] * times)

    async def wait_for(self, requests: int) -> None:
        """Waits until this many requests have arrived since the start or the last `reset`."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.received) >= requests)

    def release(self, name: str) -> None:
        """Lets an answer that is held under this name go on."""
        self.holds.release(name)

    async def held(self, name: str) -> None:
        """Waits until an answer is held under this name."""
        await self.holds.reached(name)

    def reset(self) -> None:
        """Forgets what was received and queued, and lets every held answer go on."""
        self.received.clear()
        self._queue.clear()
        self.holds.reset()

    def now(self) -> float:
        """Returns the Unix time."""
        return self.instance.clock()

    async def take(self, request: Received) -> tuple[Fault, Callable[[], Awaitable[Answer]]]:
        """Records a request and returns what to play for it, and how to make the ordinary answer."""
        if not self.instance.demo:
            if request.path.startswith(control.PREFIX):
                return _PLAIN, lambda: control.respond(request, self)
            async with self._arrival:
                self.received.append(request)
                self._arrival.notify_all()
        item = self._next(request.path)
        reply = item if isinstance(item, Reply) else None

        async def ordinary() -> Answer:
            return site.respond_to(request, self.instance, reply)

        return (item if isinstance(item, Fault) else _PLAIN), ordinary

    def _next(self, path: str) -> Fault | Reply | None:
        for entry in self._queue:
            if entry[0] == path:
                self._queue.remove(entry)
                return entry[1]
        return None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        self._count += 1
        with contextlib.suppress(asyncio.CancelledError):
            await Connection(self, self._count, reader, writer).serve()


_PLAIN = Fault((Ordinary(),))
