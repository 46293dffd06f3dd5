"""One choice of an answer, from the plan to its end: ask, carry across, check, ask again where that is honest.

The coroutine here thinks; the bytes of a streamed answer go from socket to socket through `Reception` and `Stream` without it.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import msgspec

from cody_oai_router import exchange as exchanges
from cody_oai_router.abilities import Endpoint
from cody_oai_router.catalogue import Resolved
from cody_oai_router.conversation import Collector, Prompt, Reply, play, usage_after
from cody_oai_router.events import Usage
from cody_oai_router.exchange import Again, Plan
from cody_oai_router.faults import Fault
from cody_oai_router.http1 import ClientError, Clocks, Incoming, Outgoing
from cody_oai_router.lessons import UNMISTAKABLE, Lesson
from cody_oai_router.relay import Source, Upstream
from cody_oai_router.roads import choose
from cody_oai_router.shell.failures import fault_of
from cody_oai_router.shell.pages import decoded
from cody_oai_router.shell.reception import Outlet, Reception
from cody_oai_router.shell.workshop import Workshop
from cody_oai_router.sourcegraph.refusals import read_fault, seconds_until
from cody_oai_router.upstreams import completions_stream, llm_api
from cody_oai_router.upstreams.requests import request_headers

_UPSTREAMS: Mapping[Endpoint, Upstream] = {"llm": llm_api, "cody": completions_stream}

# An error body is a sentence; a page of HTML is read far enough to find its title.
MAX_ERROR_BYTES = 256 * 1024

# Of the marker by which emulated tool calls are found in a text: what nobody can have written into a file before.
NONCE_LETTERS = 12


class Client(Protocol):
    """Who is answered: hears what is planned, says whether its head is out, and holds up upstream where it does not read."""

    @property
    def head_is_out(self) -> bool:
        """Whether a status has been sent."""
        ...

    def planned(self) -> None:
        """Hears of a request that will be sent."""
        ...

    def spent(self, usage: Usage | None) -> None:
        """Hears what an answer cost that the client will not see."""
        ...

    def answered(self, after: float) -> None:
        """Hears of the first byte of an answer, by the loop's time."""
        ...

    def attach(self, incoming: Incoming) -> None:
        """Has an answer paused while the client does not read."""
        ...

    def detach(self, incoming: Incoming) -> None:
        """Lets go of an answer that has ended."""
        ...


class Asking:
    """Asks for one choice until it is settled. `stream` is where its events go, where the client streams; `plan` is what was asked last."""

    def __init__(
        self,
        shop: Workshop,
        client: Client,
        prompt: Prompt,
        resolved: Resolved,
        stream: "StreamOutlet | None",
        *,
        nonce: str,
    ) -> None:
        self._shop = shop
        self._client = client
        self._prompt = prompt
        self._resolved = resolved
        self._stream = stream
        self._nonce = nonce
        self.plan: Plan | None = None
        self._before: set[str] = set()
        self._lessons: frozenset[Lesson] = frozenset()
        self._refused: set[int] = set()
        self._rejected: Usage | None = None
        self._closed: Fault | None = None
        timeouts = shop.settings.timeouts
        # After our head has left, a limit could not be told as one any more.
        self._patience = min(timeouts.concurrency_wait, timeouts.head_hold if stream else timeouts.concurrency_wait)

    async def settle(self) -> Reply | Fault | None:
        """Gives a reply to write, a fault, or nothing for a stream that went well."""
        while True:
            plan = self._make_plan()
            if isinstance(plan, Fault):
                return plan
            outcome = await self._ask(plan)
            if isinstance(outcome, Prompt):
                self._prompt = outcome
                self._before.add("repair")
                continue
            if not isinstance(outcome, Fault):
                self._keep_lessons(plan)
                return outcome
            outcome = self._dated(outcome)
            api = self._shop.settings.sourcegraph_api
            again = exchanges.again(outcome, plan, frozenset(self._before), api=api, patience=self._patience)
            if again is None or self._is_too_late(again):
                return outcome
            await self._prepare(again, plan, outcome)

    def _is_too_late(self, again: Again) -> bool:
        """Tells that a part of an answer is out; after an empty answer, which may have cost the user, the head is enough."""
        begun = self._stream is not None and self._stream.begun
        return begun or (again.why == "empty" and self._client.head_is_out)

    def _make_plan(self) -> Plan | Fault:
        settings, instance = self._shop.settings, self._shop.instance
        site = instance.site.without(self._refused)
        if self._closed is not None:
            site = msgspec.structs.replace(site, gated=True)
        road = choose(self._prompt, self._resolved, site, settings.sourcegraph_api)
        budgets = exchanges.Budgets(settings.default_max_tokens, settings.default_max_tokens_reasoning)
        lessons = instance.lessons(self._resolved.ref) | self._lessons
        whole = "ask-whole" in self._before
        plan = exchanges.plan(
            self._prompt,
            self._resolved,
            road,
            lessons,
            budgets,
            nonce=self._nonce,
            whole=whole,
            repaired="repair" in self._before,
        )
        if isinstance(plan, Plan):
            self.plan = plan
            self._client.planned()
        return plan

    async def _prepare(self, again: Again, tried: Plan, fault: Fault) -> None:
        """Takes what a refusal taught into the next request, or waits as it asks to."""
        self._before.add(again.why)
        if again.lesson is not None:
            self._lessons |= {again.lesson}
            if again.lesson in UNMISTAKABLE:
                self._shop.instance.learn(tried.ref, (again.lesson,))
        if again.why == "older":
            self._refused.add(tried.road.version)
        if again.why == "gate":
            self._closed = fault
        if again.why == "wait":
            self._patience -= again.wait
            await asyncio.sleep(again.wait)

    def _keep_lessons(self, plan: Plan) -> None:
        """Has the instance remembered by what it taught, now that this has led to an answer."""
        instance = self._shop.instance
        instance.learn(plan.ref, self._lessons)
        instance.refuses(self._refused)
        if self._closed is not None:
            instance.gate(self._closed)
        elif plan.road.endpoint == "llm":
            instance.ungate()

    def _dated(self, fault: Fault) -> Fault:
        """Turns a time to come back at into seconds."""
        if fault.retry_at is None or fault.retry_after is not None:
            return fault
        return msgspec.structs.replace(fault, retry_after=seconds_until(fault.retry_at, self._shop.clock.wall()))

    async def _ask(self, plan: Plan) -> Reply | Prompt | Fault | None:
        """Sends one request and carries its answer; gives a prompt where the answer has to be asked for once more."""
        try:
            incoming = await self._shop.client.send(self._outgoing(plan), self._clocks(plan))
            if incoming.status != 200:  # noqa: PLR2004 - HTTP's own number
                return await self._refusal(incoming)
        except ClientError as error:
            return fault_of(error)
        if self._stream is not None and plan.check is None:
            return await self._receive(plan, incoming, self._stream)
        collector = Collector()
        fault = await self._receive(plan, incoming, collector)
        if fault is not None:
            self._client.spent(collector.usage)
        return fault if fault is not None else await self._judged(plan, collector.reply())

    async def _judged(self, plan: Plan, reply: Reply | Fault) -> Reply | Prompt | Fault | None:
        """Has a held answer checked; one that is right goes where it is waited for."""
        if plan.check is None or isinstance(reply, Fault):
            return reply
        # In a thread: a large answer takes a quarter of a second to check, in which other streams go on.
        verdict = await asyncio.to_thread(plan.check.judge, reply, self._prompt, last="repair" in self._before)
        if isinstance(verdict, Prompt):
            self._rejected = reply.usage
        if isinstance(verdict, Fault):
            self._client.spent(usage_after(self._rejected, reply.usage))
        if not isinstance(verdict, Reply):
            return verdict
        verdict = msgspec.structs.replace(verdict, usage=usage_after(self._rejected, verdict.usage))
        if self._stream is None:
            return verdict
        self._stream.feed(list(play(verdict)))
        return None

    async def _refusal(self, incoming: Incoming) -> Fault:
        body = await incoming.read(MAX_ERROR_BYTES)
        return read_fault(incoming.status, decoded(incoming.headers), body, self._shop.clock.wall())

    async def _receive(self, plan: Plan, incoming: Incoming, outlet: Outlet) -> Fault | None:
        limits = self._shop.settings.limits
        upstream = _UPSTREAMS[plan.road.endpoint]
        source = Source(
            upstream.Reader(),
            upstream.read_reply,
            plan.chain(),
            event_limit=limits.event_bytes,
            reply_limit=limits.reply_bytes,
        )
        reception = Reception(incoming, source, outlet, size_limit=limits.reply_bytes)
        self._client.attach(incoming)
        incoming.attach(reception)
        try:
            return await reception.outcome
        finally:
            self._client.detach(incoming)
            if reception.first_byte:
                self._client.answered(reception.first_byte)
            if not reception.outcome.done() or reception.outcome.cancelled():
                incoming.cancel()

    def _outgoing(self, plan: Plan) -> Outgoing:
        headers = request_headers(self._shop.common_headers, stream=plan.stream)
        return Outgoing(b"POST", self._shop.target(plan.road), headers, plan.body)

    def _clocks(self, plan: Plan) -> Clocks:
        timeouts = self._shop.settings.timeouts
        first_byte = timeouts.slow_first_byte if plan.slow else timeouts.first_byte
        # Whole arguments of a call, and thoughts, may be kept back in the middle of an answer as well.
        idle = max(timeouts.idle, first_byte) if plan.slow or self._prompt.tools else timeouts.idle
        return Clocks(timeouts.connect, first_byte, idle, timeouts.total)


class StreamOutlet(Outlet, Protocol):
    """An outlet to a client that streams. `begun` tells that a part of this choice is out, after which it is not asked again."""

    begun: bool
