"""One chat request, from the body read to the answer ended: plan, ask, carry across, ask again where that is honest.

The coroutine here thinks; the bytes of a streamed answer go from socket to socket through `Reception` and `Stream` without it.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping

import msgspec

from cody_oai_router import exchange as exchanges
from cody_oai_router.abilities import Endpoint
from cody_oai_router.catalogue import Resolved
from cody_oai_router.conversation import Collector, Prompt, Reply, Stamp
from cody_oai_router.dialects import openai_chat
from cody_oai_router.events import Adapted, Usage
from cody_oai_router.exchange import Again, Plan
from cody_oai_router.faults import Fault
from cody_oai_router.http1 import ClientError, Clocks, Incoming, Outgoing, Request, Response, ServerExchange
from cody_oai_router.relay import Source, Upstream
from cody_oai_router.shell.failures import fault_of
from cody_oai_router.shell.pages import decoded
from cody_oai_router.shell.reception import Outlet, Reception
from cody_oai_router.shell.streaming import Stream
from cody_oai_router.shell.workshop import Workshop
from cody_oai_router.sourcegraph.refusals import read_fault
from cody_oai_router.upstreams import completions_stream, llm_api
from cody_oai_router.upstreams.requests import request_headers

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]

_UPSTREAMS: Mapping[Endpoint, Upstream] = {"llm": llm_api, "cody": completions_stream}

# An error body is a sentence; a page of HTML is read far enough to find its title.
MAX_ERROR_BYTES = 256 * 1024


# Of the marker by which emulated tool calls are found in a text: what nobody can have written into a file before.
NONCE_LETTERS = 12


class Record:
    """What the log will say about one request."""

    __slots__ = ("attempts", "failure", "first_byte", "model", "ref", "status", "usage")

    def __init__(self) -> None:
        self.status = 0
        self.model = ""
        self.ref = ""
        self.attempts = 0
        self.failure = ""
        self.first_byte: float | None = None
        self.usage: Usage | None = None


class Chat:
    """Answers one chat request."""

    def __init__(
        self, shop: Workshop, request: Request, exchange: ServerExchange, headers: Headers, record: Record
    ) -> None:
        self._shop = shop
        self._request = request
        self._exchange = exchange
        self._own_headers = headers
        self._plan: Plan | None = None
        self._stream: Stream | None = None
        self._before: set[str] = set()
        self._told: frozenset[str] | None = None  # the notes in a head that is out
        self._task: asyncio.Task[None] | None = None
        self._broken_off = False
        self._nonce = shop.clock.identifier()[:NONCE_LETTERS]
        self._patience = shop.settings.timeouts.concurrency_wait
        self.record = record

    async def answer(self) -> None:
        """Answers the request, whatever happens; a client that leaves cancels it."""
        self._task = asyncio.current_task()
        try:
            await self._answer()
        except asyncio.CancelledError:
            if not self._broken_off:
                raise
            self._refuse(Fault(kind="unavailable", message="The router is shutting down; ask again when it is back."))
            self.record.failure = "shutdown"

    def break_off(self) -> None:
        """Ends the answer now, with an error that the client can see."""
        if self._task is not None and not self._exchange.ended:
            self._broken_off = True
            self._task.cancel()

    async def _answer(self) -> None:
        prompt = openai_chat.read_prompt(self._request.body)
        if isinstance(prompt, Fault):
            self._refuse(prompt)
            return
        self.record.model = prompt.model
        model = prompt.model or self._shop.settings.default_model or ""
        stamp = Stamp(self._shop.clock.identifier(), model, int(self._shop.clock.wall()))
        with self._streaming(prompt, stamp):
            outcome = await self._ask_until_settled(prompt)
            self._conclude(outcome, prompt, stamp)

    @contextlib.contextmanager
    def _streaming(self, prompt: Prompt, stamp: Stamp) -> Iterator[None]:
        if not prompt.stream:
            yield
            return
        self._stream = Stream(
            self._exchange,
            openai_chat.Writer(stamp, prompt),
            self._stream_headers,
            hold=self._shop.settings.timeouts.head_hold - self._shop.pulse.interval,
            heartbeat=self._shop.settings.timeouts.heartbeat - self._shop.pulse.interval,
            now=asyncio.get_running_loop().time(),
        )
        self._shop.pulse.add(self._stream)
        try:
            yield
        finally:
            self._shop.pulse.remove(self._stream)

    async def _ask_until_settled(self, prompt: Prompt) -> Reply | Fault | None:
        catalogue = await self._shop.instance.catalogue()
        resolved = exchanges.resolve(prompt, catalogue)
        if isinstance(resolved, Fault):
            return resolved
        self.record.ref = resolved.ref
        while True:
            plan = self._make_plan(prompt, resolved)
            if isinstance(plan, Fault):
                return plan
            outcome = await self._ask(plan)
            if not isinstance(outcome, Fault):
                return outcome
            again = exchanges.again(
                outcome,
                plan,
                frozenset(self._before),
                api=self._shop.settings.sourcegraph_api,
                patience=self._patience,
            )
            if again is None or self._is_too_late(again):
                return outcome
            await self._prepare(again, plan, outcome)

    def _is_too_late(self, again: Again) -> bool:
        """Tells that a part of an answer is out; after an empty answer, which may have cost the user, the head is enough."""
        begun = self._stream is not None and self._stream.begun
        return begun or (again.why == "empty" and self._exchange.started)

    def _make_plan(self, prompt: Prompt, resolved: Resolved) -> Plan | Fault:
        settings, instance = self._shop.settings, self._shop.instance
        site = instance.site
        if "gate" in self._before:
            site = msgspec.structs.replace(site, gated=True)
        road = exchanges.choose(prompt, resolved, site, settings.sourcegraph_api)
        budgets = exchanges.Budgets(settings.default_max_tokens, settings.default_max_tokens_reasoning)
        whole = "ask-whole" in self._before
        lessons = instance.lessons(resolved.ref)
        plan = exchanges.plan(prompt, resolved, road, lessons, budgets, nonce=self._nonce, whole=whole)
        if isinstance(plan, Plan):
            self._plan = plan
        return plan

    async def _prepare(self, again: Again, tried: Plan, fault: Fault) -> None:
        """Keeps what a refusal taught, or waits as it asks to."""
        self._before.add(again.why)
        self._shop.instance.learn(tried, again)
        if again.why == "gate":
            self._shop.instance.gate(fault)
        if again.why == "wait":
            self._patience -= again.wait
            await asyncio.sleep(again.wait)

    async def _ask(self, plan: Plan) -> Reply | Fault | None:
        """Sends one request and carries its answer; gives a reply to write, a fault, or nothing for a stream that went well."""
        self.record.attempts += 1
        collector = Collector()
        try:
            incoming = await self._shop.client.send(self._outgoing(plan), self._clocks(plan))
            if incoming.status != 200:  # noqa: PLR2004 - HTTP's own number
                return await self._refusal(incoming)
        except ClientError as error:
            return fault_of(error)
        if plan.road.endpoint == "llm":
            self._shop.instance.ungate()
        fault = await self._receive(plan, incoming, self._stream or collector)
        return fault if fault is not None or self._stream is not None else collector.reply()

    async def _refusal(self, incoming: Incoming) -> Fault:
        body = await incoming.read(MAX_ERROR_BYTES)
        return read_fault(incoming.status, decoded(incoming.headers), body, self._shop.clock.wall())

    async def _receive(self, plan: Plan, incoming: Incoming, outlet: Outlet) -> Fault | None:
        limits = self._shop.settings.limits
        upstream = _UPSTREAMS[plan.road.endpoint]
        source = Source(
            upstream.Reader(),
            upstream.read_reply,
            plan.finder(),
            event_limit=limits.event_bytes,
            reply_limit=limits.reply_bytes,
        )
        bounded = None if self._stream is not None else limits.reply_bytes
        reception = Reception(incoming, source, outlet, size_limit=bounded)
        if self._stream is not None:
            self._exchange.on_pause = incoming.pause
            self._exchange.on_resume = incoming.resume
            if self._exchange.paused:
                incoming.pause()
        incoming.attach(reception)
        try:
            return await reception.outcome
        finally:
            self._exchange.on_pause = self._exchange.on_resume = None
            self.record.usage = outlet.usage
            if reception.first_byte:
                self.record.first_byte = reception.first_byte - self._request.received
            if not reception.outcome.done() or reception.outcome.cancelled():
                incoming.cancel()

    def _outgoing(self, plan: Plan) -> Outgoing:
        headers = request_headers(self._shop.common_headers, stream=plan.stream)
        return Outgoing(b"POST", self._shop.target(plan.road), headers, plan.body)

    def _clocks(self, plan: Plan) -> Clocks:
        timeouts = self._shop.settings.timeouts
        first_byte = timeouts.slow_first_byte if plan.slow else timeouts.first_byte
        return Clocks(timeouts.connect, first_byte, timeouts.idle, timeouts.total)

    def _conclude(self, outcome: Reply | Fault | None, prompt: Prompt, stamp: Stamp) -> None:
        match outcome:
            case Fault():
                self._refuse(outcome)
            case Reply():
                self.record.status = 200
                body = openai_chat.write_reply(outcome, stamp, prompt)
                self._exchange.respond(Response(200, [JSON, *self._answer_headers(outcome.adapted)], body))
            case None:
                self.record.status = 200
                if self._stream is not None:
                    self._tell_late(self._stream)
                    self._stream.finish()

    def _tell_late(self, stream: Stream) -> None:
        """Tells what was not yet known when the head of a stream had to leave."""
        if self._plan is None or self._told is None:
            return
        if not self._told:
            stream.comment(f"x-router-model: {self._plan.ref}")
        late = set(self._plan.adapted) - self._told
        if late:
            stream.feed([Adapted(note) for note in sorted(late)])

    def _refuse(self, fault: Fault) -> None:
        self.record.failure = fault.kind
        body = openai_chat.write_fault(self._shop.redacted(fault))
        if self._exchange.started and self._stream is not None:
            self.record.status = 200
            self._stream.fail(body)
            return
        self.record.status = fault.status
        headers = [JSON, *self._answer_headers(())]
        if fault.retry_after is not None:
            headers.append((b"retry-after", str(fault.retry_after).encode()))
        self._exchange.respond(Response(fault.status, headers, body))

    def _stream_headers(self) -> Headers:
        self._told = frozenset((self._plan.ref, *self._plan.adapted)) if self._plan is not None else frozenset()
        return EVENT_STREAM + self._answer_headers(())

    def _answer_headers(self, late: tuple[str, ...]) -> Headers:
        headers = list(self._own_headers)
        if self._plan is not None:
            headers.append((b"x-router-model", self._plan.ref.encode("ascii", "replace")))
            adapted = sorted({*self._plan.adapted, *late})
            if adapted:
                headers.append((b"x-router-adapted", ", ".join(adapted).encode()))
        return headers
