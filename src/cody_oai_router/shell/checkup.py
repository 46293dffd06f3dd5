"""Looks at everything between this machine and a model, one thing after the other, each with a deadline.

What is seen is judged in `checkup/`; here is only the order, and what has to be asked.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from cody_oai_router.checkup.account import ENABLED, ENABLED_PATH, USER, USER_PATH, VERSION, VERSION_PATH
from cody_oai_router.checkup.answers import (
    judge_answer,
    judge_stream,
    judge_tools,
    plain_question,
    streamed_question,
    tool_question,
)
from cody_oai_router.checkup.check import NAMES, Check, Name, skipped, too_slow, unseen
from cody_oai_router.checkup.instance import (
    Page,
    doubt,
    judge_api_version,
    judge_cody,
    judge_filters,
    judge_llm_api,
    judge_token,
    judge_version,
    release_of,
)
from cody_oai_router.checkup.models import judge_models, model_to_try
from cody_oai_router.http1 import ClientError
from cody_oai_router.settings import Settings
from cody_oai_router.shell.log import Log
from cody_oai_router.shell.offer import read_offer
from cody_oai_router.shell.pages import Pages
from cody_oai_router.shell.router import close_workshop, open_workshop
from cody_oai_router.shell.trial import Trial, trial
from cody_oai_router.shell.way import Way
from cody_oai_router.shell.workshop import Workshop
from cody_oai_router.site import CONTEXT_FILTERS, read_release
from cody_oai_router.upstreams.requests import (
    CLIENT_CONFIG_PATH,
    CONTEXT_FILTERS_PATH,
    HEALTH_PATH,
    authorization,
)

# Seconds for a step. On the way: what a user waits for a page before trying another network.
WAY_SECONDS: Final = 15.0
# A page that takes longer than discovery may (instance.py) would not be read by the router either.
PAGE_SECONDS: Final = 10.0
# A few words from a model that is under load.
ANSWER_SECONDS: Final = 60.0

Tell = Callable[[Check], None]
Step = tuple[Name, Callable[[], Awaitable[Check]]]


async def check_up(settings: Settings, configuration: Check, log: Log, tell: Tell) -> list[Check]:
    """Looks at everything and hands each check to `tell` as soon as it is made; gives them all, without any secret."""
    report = _Report(log, tell)
    report.add(configuration)
    way = Way(settings)
    try:
        steps: list[Step] = [("dns", way.dns), ("connection", way.connection), ("proxy", way.proxy), ("tls", way.tls)]
        await report.take(steps, WAY_SECONDS)
    finally:
        way.close()
    if report.broken is None:
        await _look_at_instance(settings, log, report)
    report.skip_rest()
    return report.checks


class _Report:
    """The checks so far, and the first one that makes the rest pointless."""

    def __init__(self, log: Log, tell: Tell) -> None:
        self._log = log
        self._tell = tell
        self.checks: list[Check] = []
        self.broken: Name | None = None

    def add(self, check: Check) -> None:
        clean = msgspec.structs.replace(
            check, detail=self._log.redact(check.detail), advice=self._log.redact(check.advice)
        )
        self.checks.append(clean)
        # A stream that does not work says nothing of tools, which are asked for whole.
        if check.status == "failed" and check.name != "streaming":
            self.broken = check.name
        self._tell(clean)

    def skip_rest(self) -> None:
        """Says of everything else that it was not looked at."""
        seen = {check.name for check in self.checks}
        for name in NAMES:
            if self.broken is not None and name not in seen:
                self.add(skipped(name, self.broken))

    async def take(self, steps: list[Step], seconds: float) -> None:
        """Takes the steps one after the other, until one makes the rest pointless."""
        for name, step in steps:
            if self.broken is not None:
                return
            try:
                async with asyncio.timeout(seconds):
                    check = await step()
            except TimeoutError:
                check = too_slow(name, seconds)
            except ClientError as error:
                check = unseen(name, error.message)
            self.add(check)


async def _look_at_instance(settings: Settings, log: Log, report: _Report) -> None:
    shop = open_workshop(settings, log, demo=False)
    try:
        visit = _Visit(shop)
        await report.take(visit.steps, PAGE_SECONDS)
        if report.broken is None:
            await _try(visit, report)
    finally:
        await close_workshop(shop)


async def _try(visit: "_Visit", report: _Report) -> None:
    try:
        async with visit.trial() as questions:
            await report.take(questions, ANSWER_SECONDS)
    except OSError as error:
        detail = f"this machine lets no program listen on 127.0.0.1: {error.strerror or error}"
        report.add(Check("answer", "failed", detail))


class _Visit:
    """One visit to an instance: its pages, what the router itself concludes from them, and three questions."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._settings = shop.settings
        self._pages = Pages(shop.client, shop.settings, shop.common_headers, shop.clock)
        self._config: Page = b""
        self._release: tuple[int, int] | None = None
        self._known = False  # whether something has answered as Sourcegraph does
        self._model = ""
        self.steps: list[Step] = [
            ("version", self._version),
            ("token", self._token),
            ("cody", self._cody),
            ("llm-api", self._llm_api),
            ("api-version", self._api_version),
            ("context-filters", self._filters),
            ("models", self._models),
        ]

    async def _version(self) -> Check:
        health, product = await asyncio.gather(self._pages.get(HEALTH_PATH), self._pages.query(VERSION_PATH, VERSION))
        self._release = read_release(release_of(health, product))
        return self._noted(judge_version(health, product))

    async def _token(self) -> Check:
        scheme = authorization(self._settings.token.reveal()).partition(" ")[0]
        return self._noted(judge_token(await self._pages.query(USER_PATH, USER), scheme))

    async def _cody(self) -> Check:
        self._config, enabled, _ = await asyncio.gather(
            self._pages.get(CLIENT_CONFIG_PATH),
            self._pages.query(ENABLED_PATH, ENABLED),
            self._shop.instance.catalogue(),
        )
        return self._noted(judge_cody(self._config, enabled, self._shop.instance.listing_fault))

    def _noted(self, check: Check) -> Check:
        """Keeps in mind that what was looked at answers as Sourcegraph does, if it does."""
        self._known = self._known or check.status == "ok"
        return check

    async def _llm_api(self) -> Check:
        instance = self._shop.instance
        listed = instance.llm_api == "open"
        return judge_llm_api(instance.listing_fault, self._settings.sourcegraph_api, self._release, listed=listed)

    async def _api_version(self) -> Check:
        chosen = self._shop.instance.site.api_version
        return judge_api_version(self._config, self._release, chosen, self._settings.sourcegraph_api)

    async def _filters(self) -> Check:
        return judge_filters(await self._pages.query(CONTEXT_FILTERS_PATH, CONTEXT_FILTERS))

    async def _models(self) -> Check:
        chosen, aliases = self._settings.default_model, self._settings.model_aliases
        # A page that takes too long ends this step, and a model is needed all the same.
        self._model = model_to_try(await self._shop.instance.catalogue(), None, chosen, aliases)
        offer = await read_offer(self._shop)
        self._known = self._known or bool(offer.catalogue.models)
        self._model = model_to_try(offer.catalogue, offer.default, chosen, aliases)
        return judge_models(offer.catalogue, offer.default, chosen, aliases)

    @contextlib.asynccontextmanager
    async def trial(self) -> AsyncIterator[list[Step]]:
        """Gives the three questions, with a router to ask until the block ends."""
        async with trial(self._shop, ANSWER_SECONDS) as router:
            yield [
                ("answer", lambda: self._answer(router)),
                ("streaming", lambda: self._stream(router)),
                ("tools", lambda: self._tools(router)),
            ]

    async def _answer(self, router: Trial) -> Check:
        suspicion = doubt(self._shop.instance.listing_fault, self._settings.sourcegraph_api, known=self._known)
        return judge_answer(await router.ask(plain_question(self._model)), self._model, suspicion)

    async def _stream(self, router: Trial) -> Check:
        return judge_stream(await router.ask(streamed_question(self._model)), self._model)

    async def _tools(self, router: Trial) -> Check:
        return judge_tools(await router.ask(tool_question(self._model)), self._model)
