"""What we have learnt of the Sourcegraph instance: its models, its roads and what it refuses. Kept in memory, for as long as it holds.

Discovery is lazy (the first request that needs it), one at a time, with a deadline, and each part of it is allowed to fail: an instance
that says nothing of itself still answers on the LLM API, with the model's name passed as the client wrote it. Only whether the site has
context filters is asked as soon as the router listens; nothing waits for the answer.
"""

import asyncio
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from cody_oai_router.catalogue import Catalogue, Model, merged, read_listing, read_supported
from cody_oai_router.faults import UPSTREAM_GATE, Fault
from cody_oai_router.http1 import Client
from cody_oai_router.lessons import LIFETIME, NO_LESSONS, OF_INSTANCE, Lesson
from cody_oai_router.roads import Site
from cody_oai_router.settings import Settings
from cody_oai_router.shell.clock import Clock
from cody_oai_router.shell.log import Log
from cody_oai_router.shell.pages import Pages
from cody_oai_router.site import (
    CONTEXT_FILTERS,
    PRODUCT_VERSION,
    has_context_filters,
    read_client_config,
    read_release,
)
from cody_oai_router.upstreams import completions_stream
from cody_oai_router.upstreams.requests import (
    CLIENT_CONFIG_PATH,
    CONTEXT_FILTERS_PATH,
    HEALTH_PATH,
    MODELS_PATH,
    PRODUCT_VERSION_PATH,
    SUPPORTED_PATH,
)

# Models change a few times a year; ten minutes is what a user waits for a new one without restarting anything.
FRESH_SECONDS: Final = 600.0
# An instance that could not be asked is asked again after this long, not at every request.
RETRY_SECONDS: Final = 30.0
# A listing comes from the instance's memory; one that takes longer than this must not hold up a chat (HEAD_HOLD is 10).
DISCOVERY_SECONDS: Final = 8.0

# The part of that time after which the release is asked for as well, where the api-version has not come.
_HEAD_START: Final = 0.25

_ALL: Final = ""

_SIGNS_OF_A_GATE: Final = 2

# What is known of the LLM API.
Access = Literal["open", "closed", "unknown"]

_FILTERS_NOTICE: Final = (
    "This Sourcegraph site has context filters: repositories that must not reach a language model. Cody's own clients keep "
    "them; here it is up to you and your tools not to send what is in them."
)


@lru_cache(maxsize=16)
def _site(api_version: int | None) -> Site:
    """Gives what is known of an instance that has refused nothing: it is the same for every request."""
    return Site(api_version if api_version is None else min(api_version, completions_stream.NEWEST))


class Instance:
    """One Sourcegraph instance as this process knows it."""

    def __init__(self, client: Client, settings: Settings, common: bytes, clock: Clock, log: Log) -> None:
        self._pages = Pages(client, settings, common, clock)
        self._settings = settings
        self._clock = clock
        self._log = log
        self._models: list[Model] | None = None
        self._catalogue = self._made(())
        self._good_until = -1.0
        self._discovery: asyncio.Task[None] | None = None
        self._aside: asyncio.Task[None] | None = None
        self._lessons: dict[tuple[str, Lesson], float] = {}
        self._asked = False  # once; who comes later does not wait for another try
        self._filters_asked = False
        self._api_version: int | None = None
        self._refused: dict[int, float] = {}  # api-versions, and until when that counts
        self._gate_seen = 0
        self._gated_until = -1.0
        self._seen_by_chat: Access = "unknown"
        self._seen_by_listing: Access = "unknown"
        self.listing_fault: Fault | None = None

    async def catalogue(self) -> Catalogue:
        """Gives the models; asks the instance where nothing is known yet, and in the background where it is stale."""
        if self._clock.monotonic() >= self._good_until and self._discovery is None:
            self._discovery = asyncio.get_running_loop().create_task(self._discover())
        if not self._asked and self._discovery is not None:
            await asyncio.shield(self._discovery)
        return self._catalogue

    @property
    def site(self) -> Site:
        """What is known of the roads to its models."""
        if not self._refused and self._gated_until < 0:
            return _site(self._api_version)
        now = self._clock.monotonic()
        refused = [step for step, until in self._refused.items() if until > now]
        return msgspec.structs.replace(_site(self._api_version), gated=self._gated_until > now).without(refused)

    @property
    def llm_api(self) -> Access:
        """Whether the LLM API is open, as far as anything was heard of it: from a chat, which is what counts, or from its listing."""
        if self.site.gated:
            return "closed"
        return self._seen_by_listing if self._seen_by_chat == "unknown" else self._seen_by_chat

    def lessons(self, ref: str) -> frozenset[Lesson]:
        """Gives what this instance has taught about a model, or about all of them, within the last hour."""
        if not self._lessons:
            return NO_LESSONS
        now = self._clock.monotonic()
        known = self._lessons.items()
        return frozenset(lesson for (model, lesson), until in known if model in (ref, _ALL) and until > now)

    def learn(self, ref: str, lessons: Collection[Lesson]) -> None:
        """Keeps for an hour what refusals have taught, by which an answer was had."""
        if not lessons:
            return
        until = self._clock.monotonic() + LIFETIME
        for lesson in lessons:
            self._lessons[_ALL if lesson in OF_INSTANCE else ref, lesson] = until

    def refuses(self, versions: Collection[int]) -> None:
        """Keeps for an hour that the instance refused api-versions of Cody's stream, and took an older one."""
        if not versions:
            return
        until = self._clock.monotonic() + LIFETIME
        self._refused |= dict.fromkeys(versions, until)

    def gate(self, fault: Fault) -> None:
        """Keeps for an hour that the LLM API is closed: from its second sign on, as one may be a load balancer's mood."""
        closed = self.listing_fault is not None and self.listing_fault.code == UPSTREAM_GATE
        self._gate_seen += 2 if closed else 1
        self._seen_by_chat = "closed"
        if self._gate_seen < _SIGNS_OF_A_GATE or self.site.gated:
            return
        self._gate_seen = 0
        self._gated_until = self._clock.monotonic() + LIFETIME
        self._log.note(
            f"Sourcegraph does not serve the LLM API here (HTTP {fault.status}): for the next hour everything goes to Cody's stream."
        )

    def ungate(self) -> None:
        """Forgets a single sign of a gate: the LLM API has answered."""
        self._gate_seen = 0
        self._seen_by_chat = "open"

    def leave_context_filters(self) -> None:
        """Never asks for them."""
        self._filters_asked = True

    def look_for_context_filters(self) -> None:
        """Says once, in its own time, that the site has context filters: that is worth knowing before anything is sent to it."""
        if not self._filters_asked and self._aside is None:
            self._aside = asyncio.get_running_loop().create_task(self._look_for_context_filters())

    async def close(self) -> None:
        """Gives up a discovery that still runs."""
        tasks = [task for task in (self._discovery, self._aside) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _discover(self) -> None:
        try:
            listing, supported, version = await asyncio.gather(
                self._page(MODELS_PATH), self._page(SUPPORTED_PATH), self._offered_version()
            )
            self._keep(listing, supported, version)
        finally:
            self._asked = True
            self._discovery = None
        self.look_for_context_filters()

    async def _page(self, path: str, query: str = "", *, deadline: float | None = None) -> bytes | Fault:
        """Gives one page; that it is slow keeps nobody from the others. `deadline` is of the loop's clock."""
        try:
            async with asyncio.timeout_at(deadline or asyncio.get_running_loop().time() + DISCOVERY_SECONDS):
                return await (self._pages.query(path, query) if query else self._pages.get(path))
        except TimeoutError:
            return Fault(kind="timed_out", message=f"Sourcegraph did not answer {path} in time.")

    async def _offered_version(self) -> int | None:
        """Gives the newest api-version of Cody's stream: as the instance says it, else by its release, within the time of one page."""
        deadline = asyncio.get_running_loop().time() + DISCOVERY_SECONDS
        async with asyncio.TaskGroup() as group:
            told = group.create_task(self._told_version(deadline))
            release = group.create_task(self._release_unless(told, deadline))
            version = await told
            if version is not None:
                release.cancel()
                return version
        found = release.result()
        return completions_stream.newest_of(found) if found else None

    async def _told_version(self, deadline: float) -> int | None:
        config = await self._page(CLIENT_CONFIG_PATH, deadline=deadline)
        found = None if isinstance(config, Fault) else read_client_config(config)
        if found is None:
            return None
        # What it says now is newer than what it once refused.
        self._refused = {step: until for step, until in self._refused.items() if step > found.api_version}
        return found.api_version

    async def _release_unless(self, told: asyncio.Task[int | None], deadline: float) -> tuple[int, int] | None:
        """Asks for the release, as soon as the api-version is not told or late: what is slow must not take all the time there is."""
        done, _ = await asyncio.wait((told,), timeout=DISCOVERY_SECONDS * _HEAD_START)
        if done and told.result() is not None:
            return None
        pages = (
            self._page(HEALTH_PATH, deadline=deadline),
            self._page(PRODUCT_VERSION_PATH, PRODUCT_VERSION, deadline=deadline),
        )
        releases = [read_release(page) for page in await asyncio.gather(*pages) if isinstance(page, bytes)]
        return next((release for release in releases if release is not None), None)

    async def _look_for_context_filters(self) -> None:
        answer = await self._page(CONTEXT_FILTERS_PATH, CONTEXT_FILTERS)
        self._aside = None
        self._filters_asked = isinstance(answer, bytes)
        if isinstance(answer, bytes) and has_context_filters(answer):
            self._log.note(_FILTERS_NOTICE)

    def _keep(self, listing: bytes | Fault, supported: bytes | Fault, version: int | None) -> None:
        listed = None if isinstance(listing, Fault) else read_listing(listing)
        models = merged(listed, None if isinstance(supported, Fault) else read_supported(supported))
        self.listing_fault = listing if isinstance(listing, Fault) else None
        if listed is not None:
            self._seen_by_listing = "open"
        elif self.listing_fault is not None and self.listing_fault.code == UPSTREAM_GATE:
            self._seen_by_listing = "closed"
        if models is not None:
            self._models = models
            self._catalogue = self._made(models)
        if version is not None:
            self._api_version = version
        known = models is not None and version is not None
        self._good_until = self._clock.monotonic() + (FRESH_SECONDS if known else RETRY_SECONDS)

    def _made(self, models: Sequence[Model]) -> Catalogue:
        return Catalogue(models, aliases=self._settings.model_aliases, default=self._settings.default_model)
