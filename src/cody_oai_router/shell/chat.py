"""One chat request, from the body read to the answer ended: its choices asked for, its head and its end told truly.

What happens to each choice on its way is in `asking.py`.
"""

import asyncio
from collections.abc import Sequence

from cody_oai_router import exchange as exchanges
from cody_oai_router.catalogue import Catalogue
from cody_oai_router.conversation import FORGOTTEN, Prompt, Reply, Stamp, usage_together
from cody_oai_router.dialects import openai_chat
from cody_oai_router.events import Usage
from cody_oai_router.exchange import Plan
from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Incoming, Request, Response, ServerExchange
from cody_oai_router.shell.asking import NONCE_LETTERS, Asking
from cody_oai_router.shell.streaming import Stream
from cody_oai_router.shell.workshop import Workshop

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


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

    __slots__ = (
        "_askings",
        "_broken_off",
        "_exchange",
        "_incoming",
        "_own_headers",
        "_prompt",
        "_request",
        "_shop",
        "_spent",
        "_stamp",
        "_stream",
        "_task",
        "_told",
        "record",
    )

    _stamp: Stamp

    def __init__(
        self, shop: Workshop, request: Request, exchange: ServerExchange, headers: Headers, record: Record
    ) -> None:
        self._shop = shop
        self._request = request
        self._exchange = exchange
        self._own_headers = headers
        self._prompt = FORGOTTEN
        self._askings: Sequence[Asking] = ()
        self._stream: Stream | None = None
        self._told: tuple[str, ...] | None = None  # the reference and the notes in a head that is out
        self._task: asyncio.Task[None] | None = None
        self._broken_off = False
        self._incoming: tuple[Incoming, ...] = ()
        self._spent: tuple[Usage, ...] = ()
        self.record = record

    async def answer(self) -> None:
        """Answers the request, whatever happens; a client that leaves cancels it."""
        self._task = asyncio.current_task()
        try:
            fault = self._read()
            if fault is None:
                fault = self._prepare(await self._shop.instance.catalogue())
            if fault is not None:
                self._refuse(fault)
            elif len(self._askings) == 1:
                self._conclude([await self._askings[0].settle()])
            else:
                self._conclude(await _settled_together(self._askings))
        except asyncio.CancelledError:
            if not self._broken_off:
                raise
            self._refuse(Fault(kind="unavailable", message="The router is shutting down; ask again when it is back."))
            self.record.failure = "shutdown"
        finally:
            if self._stream is not None:
                self._shop.pulse.remove(self._stream)

    def break_off(self) -> None:
        """Ends the answer now, with an error that the client can see."""
        if self._task is not None and not self._exchange.ended:
            self._broken_off = True
            self._task.cancel()

    def _read(self) -> Fault | None:
        """Reads the request, and has a client that streams kept waiting from now on."""
        prompt = openai_chat.read_prompt(self._request.body)
        if isinstance(prompt, Fault):
            return prompt
        self._prompt = prompt
        self.record.model = prompt.model
        model = prompt.model or self._shop.settings.default_model or ""
        self._stamp = Stamp(self._shop.clock.identifier(), model, int(self._shop.clock.wall()))
        if prompt.stream:
            self._stream = self._begin_stream(prompt)
            self._shop.pulse.add(self._stream)
        return None

    def _begin_stream(self, prompt: Prompt) -> Stream:
        timeouts, interval = self._shop.settings.timeouts, self._shop.pulse.interval
        return Stream(
            self._exchange,
            [openai_chat.Writer(self._stamp, prompt, index) for index in range(prompt.choices)],
            self._stream_headers,
            hold=timeouts.head_hold - interval,
            heartbeat=timeouts.heartbeat - interval,
            now=asyncio.get_running_loop().time(),
        )

    def _prepare(self, catalogue: Catalogue) -> Fault | None:
        """Finds the model, and makes what asks for each choice."""
        prompt = self._prompt
        resolved = exchanges.resolve(prompt, catalogue)
        if isinstance(resolved, Fault):
            return resolved
        self.record.ref = resolved.ref
        self._askings = [
            Asking(
                self._shop,
                self,
                prompt,
                resolved,
                self._stream.choices[index] if self._stream else None,
                nonce=f"{self._stamp.id[:NONCE_LETTERS]}{index:x}",  # ids of emulated calls are made from it
            )
            for index in range(prompt.choices)
        ]
        return None

    @property
    def head_is_out(self) -> bool:
        """Whether a status has been sent."""
        return self._exchange.started

    def planned(self) -> None:
        """Counts a request that is about to be sent."""
        self.record.attempts += 1

    @property
    def _plans(self) -> list[Plan]:
        """What was asked last for each choice: the client is told of all of it."""
        return [asking.plan for asking in self._askings if asking.plan is not None]

    def answered(self, after: float) -> None:
        """Keeps when the first byte came."""
        if self.record.first_byte is None:
            self.record.first_byte = after - self._request.received

    def begun(self) -> None:
        """Lets go of what only another request would need, once every choice has begun."""
        if self._stream is not None and all(choice.begun for choice in self._stream.choices):
            self._prompt = FORGOTTEN
            self._request.forget()
            self._own_headers.clear()

    def spent(self, usage: Usage | None) -> None:
        """Keeps what an answer cost that the client will not see."""
        if usage is not None:
            self._spent += (usage,)

    def attach(self, incoming: Incoming) -> None:
        """Has an answer paused while the client of a stream does not read."""
        if self._stream is None:
            return
        self._incoming += (incoming,)
        self._exchange.on_pause = self._pause
        self._exchange.on_resume = self._resume
        if self._exchange.paused:
            incoming.pause()

    def detach(self, incoming: Incoming) -> None:
        """Lets go of an answer that has ended."""
        if self._stream is None:
            return
        self._incoming = tuple(other for other in self._incoming if other is not incoming)
        incoming.resume()  # what is left of it has nothing to do with a slow client
        if not self._incoming:
            self._exchange.on_pause = self._exchange.on_resume = None

    def _pause(self) -> None:
        for incoming in self._incoming:
            incoming.pause()

    def _resume(self) -> None:
        for incoming in self._incoming:
            incoming.resume()

    def _conclude(self, outcomes: Sequence[Reply | Fault | None]) -> None:
        """Ends the answer: with the first fault, with replies to write, or with nothing more for a stream that went well."""
        fault = next((outcome for outcome in outcomes if isinstance(outcome, Fault)), None)
        if fault is not None:
            self._refuse(fault)
            return
        self.record.status = 200
        replies = [outcome for outcome in outcomes if outcome is not None and not isinstance(outcome, Fault)]
        if replies:
            self._reply(replies)
        elif self._stream is not None:
            self._end(self._stream)

    def _reply(self, replies: Sequence[Reply]) -> None:
        usage = usage_together([reply.usage for reply in replies if reply.usage is not None])
        self.record.usage = usage
        late = tuple(note for reply in replies for note in reply.adapted)
        body = openai_chat.write_replies(replies, usage, self._stamp, self._prompt)
        self._exchange.respond(Response(200, [JSON, *self._answer_headers(late)], body))

    def _end(self, stream: Stream) -> None:
        """Ends a stream with its usage, and with what was not yet known when its head had to leave."""
        usage = usage_together(stream.usages)
        self.record.usage = usage
        if self._told is not None and not self._told:
            stream.comment(f"x-router-model: {self.record.ref}")
        stream.finish(usage, self._late_notes())

    def _late_notes(self) -> list[str]:
        """Gives what was changed and is not in a head that is out."""
        return sorted(_adapted(self._plans).difference(self._told)) if self._told is not None else []

    def _refuse(self, fault: Fault) -> None:
        self.record.failure = fault.kind
        seen = self._stream.usages if self._stream is not None else []
        self.record.usage = usage_together([*seen, *self._spent])
        body = openai_chat.write_fault(self._shop.redacted(fault))
        if self._exchange.started and self._stream is not None:
            self.record.status = 200
            late = [*self._late_notes(), *(note for choice in self._stream.choices for note in choice.writer.notes)]
            if late:
                self._stream.comment(f"x-router-adapted: {', '.join(dict.fromkeys(late))}")
            self._stream.fail(body)
            return
        self.record.status = fault.status
        headers = [JSON, *self._answer_headers(())]
        if fault.retry_after is not None:
            headers.append((b"retry-after", str(fault.retry_after).encode()))
        self._exchange.respond(Response(fault.status, headers, body))

    def _stream_headers(self) -> Headers:
        plans = self._plans
        self._told = (self.record.ref, *_adapted(plans)) if plans else ()
        return EVENT_STREAM + self._answer_headers(())

    def _answer_headers(self, late: tuple[str, ...]) -> Headers:
        headers = list(self._own_headers)
        plans = self._plans
        if plans:
            headers.append((b"x-router-model", self.record.ref.encode("ascii", "replace")))
            adapted = sorted(_adapted(plans).union(late))
            if adapted:
                headers.append((b"x-router-adapted", ", ".join(adapted).encode()))
        return headers


def _adapted(plans: Sequence[Plan]) -> set[str]:
    return {note for plan in plans for note in plan.adapted}


async def _settled_together(askings: Sequence[Asking]) -> Sequence[Reply | Fault | None]:
    """Settles several choices at once; the first fault ends the others."""
    tasks = [asyncio.create_task(asking.settle()) for asking in askings]
    pending = set(tasks)
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in tasks if task in done]
            faults = [task.result() for task in ended if isinstance(task.result(), Fault)]
            if faults:
                return faults[:1]
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]
