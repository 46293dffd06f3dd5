"""The client's side of a streamed answer: the head and when it leaves, heartbeats, and an end that tells the truth."""

from collections.abc import Callable, Sequence

from cody_oai_router.conversation import Reply, play
from cody_oai_router.events import Event, Failed, Usage
from cody_oai_router.http1 import ServerExchange
from cody_oai_router.relay import Writer
from cody_oai_router.sse import write_comment, write_data

Headers = list[tuple[bytes, bytes]]

_HEARTBEAT = write_comment("keep-alive")


class Choice:
    """One choice of a streamed answer.

    `begun` tells that a part of it is out, after which it is not asked for again; `on_begun` is called then, once.
    """

    __slots__ = ("_stream", "begun", "on_begun", "size", "writer")

    def __init__(self, stream: "Stream", writer: Writer) -> None:
        self._stream = stream
        self.writer = writer
        self.begun = False
        self.on_begun: Callable[[], None] | None = None
        self.size = 0  # nothing is held here

    def feed(self, events: list[Event]) -> None:
        """Writes events as they come, in one write; a failure is left to `Stream.fail`, which knows whether anything is out."""
        data = self.writer.write(events[:-1] if type(events[-1]) is Failed else events)
        if data and self.begun:
            self._stream.write(data)
        elif data:
            self._begin(data)

    def take(self, reply: Reply) -> None:
        """Writes an answer that came in one piece."""
        self.feed(list(play(reply)))

    def _begin(self, data: bytes) -> None:
        self.begun = True
        self._stream.write(self._stream.begin_before(self) + data)
        on_begun, self.on_begun = self.on_begun, None
        if on_begun is not None:
            on_begun()


class Stream:
    """Writes one streamed answer, of one choice or of several.

    The head waits for the first event, so that an early failure keeps its true status, but at most `hold` seconds;
    then, and whenever nothing was written for `heartbeat` seconds, a comment keeps the client waiting.
    """

    __slots__ = ("_exchange", "_headers", "_heartbeat", "_hold", "_now", "_written", "choices")

    def __init__(
        self,
        exchange: ServerExchange,
        writers: Sequence[Writer],
        headers: Callable[[], Headers],
        *,
        hold: float,
        heartbeat: float,
        now: float,
    ) -> None:
        self._exchange = exchange
        self._headers = headers
        self._hold = hold
        self._heartbeat = heartbeat
        self._written = now
        self._now = now
        self.choices = [Choice(self, writer) for writer in writers]

    @property
    def usages(self) -> list[Usage]:
        """What upstream has said of the tokens, one for each choice of which it has."""
        return [choice.writer.usage for choice in self.choices if choice.writer.usage is not None]

    def begin_before(self, choice: Choice) -> bytes:
        """Begins the choices that stand before one: clients (the official SDK) count them in the order in which they come."""
        return b"".join([other.writer.begin() for other in self.choices[: self.choices.index(choice)]])

    def write(self, data: bytes) -> None:
        """Writes a part of an answer."""
        if not self._exchange.started:
            self._open()
        self._exchange.write(data)
        self._written = self._now

    def comment(self, text: str) -> None:
        """Writes a comment into an answer whose head is out."""
        self._exchange.write(write_comment(text))

    def finish(self, usage: Usage | None, late: Sequence[str]) -> None:
        """Ends a complete answer; `late` are notes that came after the head."""
        if not self._exchange.started:
            self._open()
        notes = [note for choice in self.choices for note in choice.writer.notes]
        self._exchange.finish(self.choices[0].writer.finish(usage, [*notes, *late]))

    def fail(self, body: bytes) -> None:
        """Ends an answer whose head is out: an error event, no `[DONE]`, no terminating chunk."""
        self._exchange.abort(write_data(body))

    def tick(self, now: float) -> None:
        """Sends the head or a heartbeat where it is time; nothing into a client that does not read."""
        self._now = now
        if self._exchange.ended or self._exchange.paused:
            return
        if now - self._written >= (self._heartbeat if self._exchange.started else self._hold):
            self.write(_HEARTBEAT)

    def _open(self) -> None:
        self._exchange.start(200, self._headers())
