"""One choice of an answer, from the plan to its end: ask, carry across, check, ask again where that is honest.

The coroutine here thinks; the bytes of a streamed answer go from socket to socket through `Reception` and `Stream` without it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from cody_oai_router import exchange as exchanges
from cody_oai_router.abilities import Endpoint, traits_of
from cody_oai_router.adapt.usage import with_usage
from cody_oai_router.catalogue import Resolved
from cody_oai_router.checks import Check
from cody_oai_router.conversation import FORGOTTEN, Collector, Prompt, Reply, play, usage_after
from cody_oai_router.events import Usage
from cody_oai_router.exchange import Again, Plan
from cody_oai_router.faults import UPSTREAM_GATE, Fault
from cody_oai_router.http1 import ClientError, Clocks, Incoming, Outgoing
from cody_oai_router.lessons import NO_LESSONS, UNMISTAKABLE
from cody_oai_router.relay import Source, Upstream
from cody_oai_router.roads import choose
from cody_oai_router.shell.failures import fault_of
from cody_oai_router.shell.pages import decoded
from cody_oai_router.shell.reception import Outlet, Reception
from cody_oai_router.shell.workshop import Workshop
from cody_oai_router.sourcegraph.refusals import read_fault
from cody_oai_router.sourcegraph.waits import in_seconds, with_pause
from cody_oai_router.upstreams import completions_stream, llm_api
from cody_oai_router.upstreams.requests import request_headers

_UPSTREAMS: Mapping[Endpoint, Upstream] = {"llm": llm_api, "cody": completions_stream}

_NEVER: Final = frozenset[str]()

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

    def begun(self) -> None:
        """Hears that a part of a choice is out: it is not asked for again."""
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

    __slots__ = (
        "_before",
        "_client",
        "_closed",
        "_lessons",
        "_nonce",
        "_patience",
        "_prompt",
        "_refused",
        "_rejected",
        "_resolved",
        "_shop",
        "_stream",
        "plan",
    )

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
        self._before = _NEVER
        self._lessons = NO_LESSONS
        self._refused: tuple[int, ...] = ()
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
                self._before |= {"repair"}
                continue
            if not isinstance(outcome, Fault):
                self._keep_lessons(plan)
                return outcome
            outcome = in_seconds(outcome, self._shop.clock.wall())
            api = self._shop.settings.sourcegraph_api
            again = exchanges.again(outcome, plan, self._before, api=api, patience=self._patience)
            if again is None or self._is_too_late(again):
                return with_pause(outcome)
            await self._prepare(again, plan, outcome)

    def _is_too_late(self, again: Again) -> bool:
        """Tells that a part of an answer is out; after an empty answer, which may have cost the user, the head is enough."""
        begun = self._stream is not None and self._stream.begun
        return begun or (again.why == "empty" and self._client.head_is_out)

    def _make_plan(self) -> Plan | Fault:
        settings, instance = self._shop.settings, self._shop.instance
        site = instance.site.without(self._refused) if self._refused else instance.site
        if self._closed is not None:
            site = msgspec.structs.replace(site, gated=True)
        traits = traits_of(self._prompt)
        road = choose(self._prompt, self._resolved, site, settings.sourcegraph_api, traits)
        lessons = instance.lessons(self._resolved.ref)
        if self._lessons:
            lessons |= self._lessons
        whole = "ask-whole" in self._before
        plan = exchanges.plan(
            self._prompt,
            self._resolved,
            road,
            lessons,
            self._shop.budgets,
            nonce=self._nonce,
            traits=traits,
            whole=whole,
            repaired="repair" in self._before,
        )
        if isinstance(plan, Plan):
            self.plan = plan
            self._client.planned()
        return plan

    async def _prepare(self, again: Again, tried: Plan, fault: Fault) -> None:
        """Takes what a refusal taught into the next request, or waits as it asks to."""
        self._before |= {again.why}
        if again.lesson is not None:
            self._lessons |= {again.lesson}
            if again.lesson in UNMISTAKABLE:
                self._shop.instance.learn(tried.ref, (again.lesson,))
        if again.why == "older":
            self._refused += (tried.road.version,)
        if again.why in ("gate", "other-road"):
            self._closed = fault
        if again.why == "wait":
            self._patience -= again.wait
            await asyncio.sleep(again.wait)

    def _keep_lessons(self, plan: Plan) -> None:
        """Has the instance remembered by what it taught, now that this has led to an answer."""
        instance = self._shop.instance
        instance.learn(plan.ref, self._lessons)
        instance.refuses(self._refused)
        if self._closed is not None and self._closed.code == UPSTREAM_GATE:
            instance.gate(self._closed)
        elif plan.road.endpoint == "llm":
            instance.ungate()

    async def _ask(self, plan: Plan) -> Reply | Prompt | Fault | None:
        """Sends one request and carries its answer; gives a prompt where the answer has to be asked for once more."""
        try:
            incoming = await self._shop.client.send(self._outgoing(plan), self._clocks(plan))
            if incoming.status != 200:  # noqa: PLR2004 - HTTP's own number
                return await self._refusal(plan, incoming)
        except ClientError as error:
            return fault_of(error)
        incoming.headers.clear()  # looked at for a refusal only, and gateways send kilobytes of them
        outlet: Outlet = Collector() if self._stream is None or plan.check is not None else self._stream
        reception = self._reception(plan, incoming, outlet)
        try:
            fault = await reception.outcome
        finally:
            self._let_go(incoming, reception)
        if not isinstance(outlet, Collector):
            return fault
        if fault is not None:
            self._client.spent(outlet.usage)
            return fault
        reply = outlet.reply()
        if isinstance(reply, Fault):
            return reply
        if self._stream is None:
            reply = with_usage(reply, self._prompt)
        return reply if plan.check is None else await self._judged(plan.check, reply)

    async def _judged(self, check: Check, reply: Reply) -> Reply | Prompt | Fault | None:
        """Has a held answer checked; one that is right goes where it is waited for."""
        # In a thread: a large answer takes a quarter of a second to check, in which other streams go on.
        verdict = await asyncio.to_thread(check.judge, reply, self._prompt, last="repair" in self._before)
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

    async def _refusal(self, plan: Plan, incoming: Incoming) -> Fault:
        body = await incoming.read(MAX_ERROR_BYTES)
        headers = decoded(incoming.headers)
        return read_fault(incoming.status, headers, body, self._shop.clock.wall(), asked=plan.road.endpoint)

    def _reception(self, plan: Plan, incoming: Incoming, outlet: Outlet) -> Reception:
        """Lets the answer flow."""
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
        if self._stream is not None and outlet is self._stream:
            self._stream.on_begun = self._forget
        self._client.attach(incoming)
        incoming.attach(reception)
        return reception

    def _let_go(self, incoming: Incoming, reception: Reception) -> None:
        self._client.detach(incoming)
        if reception.first_byte:
            self._client.answered(reception.first_byte)
        if not reception.outcome.done() or reception.outcome.cancelled():
            incoming.cancel()

    def _forget(self) -> None:
        """Lets go of the prompt, for as long as its answer takes to come."""
        self._prompt = FORGOTTEN
        if self.plan is not None:
            self.plan.forget()
        self._client.begun()

    def _outgoing(self, plan: Plan) -> Outgoing:
        headers = request_headers(self._shop.common_headers, stream=plan.stream)
        return Outgoing(b"POST", self._shop.target(plan.road), headers, plan.body)

    def _clocks(self, plan: Plan) -> Clocks:
        # Whole arguments of a call, and thoughts, may be kept back in the middle of an answer as well.
        return self._shop.clocks(slow=plan.slow, halting=plan.slow or bool(self._prompt.tools))


class StreamOutlet(Outlet, Protocol):
    """An outlet to a client that streams.

    `begun` tells that a part of this choice is out, after which it is not asked again; `on_begun` is called then.
    """

    begun: bool
    on_begun: Callable[[], None] | None
