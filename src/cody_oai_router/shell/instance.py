"""What we have learnt of the Sourcegraph instance: its models and what it refuses. Kept in memory, for as long as it holds.

Discovery is lazy (the first request that needs it), one at a time, with a deadline, and allowed to fail: an instance that lists no
models still answers, with the model's name passed as the client wrote it.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from cody_oai_router.catalogue import Catalogue, Model, merged, read_listing, read_supported
from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Client, ClientError, Clocks, Outgoing
from cody_oai_router.lessons import LIFETIME, OF_INSTANCE, Lesson
from cody_oai_router.settings import Settings
from cody_oai_router.shell.clock import Clock
from cody_oai_router.shell.failures import fault_of
from cody_oai_router.sourcegraph.refusals import read_fault
from cody_oai_router.upstreams import llm_api

# Models change a few times a year; ten minutes is what a user waits for a new one without restarting anything.
FRESH_SECONDS: Final = 600.0
# An instance that could not be asked is asked again after this long, not at every request.
RETRY_SECONDS: Final = 30.0
# A listing comes from the instance's memory; one that takes longer than this must not hold up a chat (HEAD_HOLD is 10).
DISCOVERY_SECONDS: Final = 8.0
# The largest recorded listing is 60 KB.
MAX_LISTING_BYTES: Final = 8 * 1024 * 1024

_ALL: Final = ""


class Instance:
    """One Sourcegraph instance as this process knows it."""

    def __init__(self, client: Client, settings: Settings, common: bytes, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._headers = common + b"accept: application/json\r\n"
        self._clock = clock
        self._models: list[Model] | None = None
        self._catalogue = self._made(())
        self._good_until = -1.0
        self._discovery: asyncio.Task[None] | None = None
        self._lessons: dict[tuple[str, Lesson], float] = {}
        self.listing_fault: Fault | None = None

    async def catalogue(self) -> Catalogue:
        """Gives the models; asks the instance where nothing is known yet, and in the background where it is stale."""
        if self._clock.monotonic() >= self._good_until and self._discovery is None:
            self._discovery = asyncio.get_running_loop().create_task(self._discover())
        if self._models is None and self._discovery is not None:
            await asyncio.shield(self._discovery)
        return self._catalogue

    def lessons(self, ref: str) -> frozenset[Lesson]:
        """Gives what this instance has taught about a model, or about all of them, within the last hour."""
        now = self._clock.monotonic()
        known = self._lessons.items()
        return frozenset(lesson for (model, lesson), until in known if model in (ref, _ALL) and until > now)

    def learn(self, ref: str, lesson: Lesson) -> None:
        """Keeps a lesson for an hour."""
        self._lessons[_ALL if lesson in OF_INSTANCE else ref, lesson] = self._clock.monotonic() + LIFETIME

    async def close(self) -> None:
        """Gives up a discovery that still runs."""
        if self._discovery is not None:
            self._discovery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._discovery

    async def _discover(self) -> None:
        try:
            async with asyncio.timeout(DISCOVERY_SECONDS):
                listing, supported = await asyncio.gather(
                    self._get(llm_api.MODELS_PATH), self._get(llm_api.SUPPORTED_PATH)
                )
            self._keep(listing, supported)
        except TimeoutError:
            self.listing_fault = Fault(kind="timed_out", message="Sourcegraph did not list its models in time.")
            self._good_until = self._clock.monotonic() + RETRY_SECONDS
        finally:
            self._discovery = None

    def _keep(self, listing: bytes | Fault, supported: bytes | Fault) -> None:
        models = merged(
            None if isinstance(listing, Fault) else read_listing(listing),
            None if isinstance(supported, Fault) else read_supported(supported),
        )
        self.listing_fault = listing if models is None and isinstance(listing, Fault) else None
        if models is not None:
            self._models = models
            self._catalogue = self._made(models)
        self._good_until = self._clock.monotonic() + (RETRY_SECONDS if models is None else FRESH_SECONDS)

    def _made(self, models: Sequence[Model]) -> Catalogue:
        return Catalogue(models, aliases=self._settings.model_aliases, default=self._settings.default_model)

    async def _get(self, path: str) -> bytes | Fault:
        timeouts = self._settings.timeouts
        clocks = Clocks(timeouts.connect, timeouts.first_byte, timeouts.idle, None)
        target = self._settings.upstream.target(path).encode()
        try:
            incoming = await self._client.send(Outgoing(b"GET", target, self._headers, b""), clocks)
            body = await incoming.read(MAX_LISTING_BYTES)
        except ClientError as error:
            return fault_of(error)
        if incoming.status == 200:  # noqa: PLR2004 - HTTP's own number
            return body
        return read_fault(incoming.status, decoded(incoming.headers), body, self._clock.wall())


def decoded(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Gives upstream's headers as text, the first of each name."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found
