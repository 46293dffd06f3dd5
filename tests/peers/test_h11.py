"""h11 on either side: a strict judge of every byte that we send, as a client's library and as an upstream's."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import h11
import pytest

from end_to_end.harness import CHAT_PATH, GPT, Client, ask, both, chat, connected, router, run

LISTING = json.dumps({"object": "list", "data": [{"id": GPT, "object": "model", "created": 0}]}).encode()
PIECES = [
    b'data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":""}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":""}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
]


# The client.


@dataclass
class Judge:
    """A client connection on which h11 writes the requests and reads the answers."""

    client: Client
    state: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))

    async def ask(self, method: str, target: str, body: bytes = b"", *, chunked: bool = False) -> tuple[int, bytes]:
        """Sends one request and reads its answer; the connection is ready for the next one after it."""
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
        self.send(h11.Request(method=method, target=target, headers=[("Host", "127.0.0.1"), framing]))
        for start in range(0, len(body), 100):
            self.send(h11.Data(data=body[start : start + 100]))
        self.send(h11.EndOfMessage())
        status, said = await self.answer()
        self.state.start_next_cycle()
        return status, said

    def send(self, event: h11.Event) -> None:
        self.client.send(self.state.send(event) or b"")

    async def answer(self) -> tuple[int, bytes]:
        status, said = 0, b""
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                said += event.data
        return status, said

    async def _next(self) -> Any:
        while (event := self.state.next_event()) is h11.NEED_DATA:
            self.state.receive_data(await self.client.reader.read(1 << 16))
        return event


def body(*, stream: bool, content: str = "Hello there") -> bytes:
    return json.dumps(chat(content, stream=stream)).encode()


def test_a_client_that_keeps_its_connection() -> None:
    async def scenario() -> None:
        async with both() as (_, running), connected(running) as client:
            judge = Judge(client)
            for chunked in (False, True):
                status, said = await judge.ask("POST", "/v1/chat/completions", body(stream=True), chunked=chunked)
                assert (status, said[-14:]) == (200, b"data: [DONE]\n\n")
                status, said = await judge.ask("POST", "/v1/chat/completions", body(stream=False), chunked=chunked)
                assert (status, json.loads(said)["object"]) == (200, "chat.completion")
                assert await judge.ask("HEAD", "/health") == (200, b"")
                assert (await judge.ask("GET", "/v1/models"))[0] == 200
                assert (await judge.ask("GET", "/v1/nothing"))[0] == 404
                assert (await judge.ask("OPTIONS", "/health"))[0] == 405

    run(scenario())


def test_a_client_sees_that_a_stream_is_broken() -> None:
    async def scenario() -> None:
        async with both() as (_, running), connected(running) as client:
            judge = Judge(client)
            with pytest.raises(h11.RemoteProtocolError, match="without sending complete message body"):
                await judge.ask(
                    "POST", "/v1/chat/completions", body(stream=True, content="[[words:3]] [[mid-error:x]]")
                )

    run(scenario())


def test_100_continue_comes_before_the_body_is_sent() -> None:
    async def scenario() -> None:
        async with both() as (_, running), connected(running) as client:
            judge, data = Judge(client), body(stream=False)
            headers = [("Host", "127.0.0.1"), ("Content-Length", str(len(data))), ("Expect", "100-continue")]
            judge.send(h11.Request(method="POST", target="/v1/chat/completions", headers=headers))
            event = await judge._next()
            assert isinstance(event, h11.InformationalResponse)
            assert event.status_code == 100
            judge.send(h11.Data(data=data))
            judge.send(h11.EndOfMessage())
            assert (await judge.answer())[0] == 200

    run(scenario())


# The upstream.


@dataclass
class Upstream:
    """A Sourcegraph whose HTTP is h11's: it answers with the model of `LISTING`, framed as `headers` say."""

    headers: list[tuple[str, str]]
    requests: list[h11.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until either side ends it."""
        self.connections += 1
        state = h11.Connection(h11.SERVER)
        with contextlib.suppress(ConnectionError):
            while await self._exchange(state, reader, writer):
                state.start_next_cycle()
        writer.transport.abort()

    async def _exchange(
        self, state: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        said = b""
        while not isinstance(event := await _event(state, reader), h11.EndOfMessage):
            if isinstance(event, h11.ConnectionClosed):
                return False
            if isinstance(event, h11.Request):
                self.requests.append(event)
            elif isinstance(event, h11.Data):
                said += event.data
        self.bodies.append(said)
        for answer in self._answer(self.requests[-1].target.decode()):
            writer.write(state.send(answer) or b"")
            await writer.drain()
        return state.our_state is h11.DONE

    def _answer(self, target: str) -> list[h11.Event]:
        if target == CHAT_PATH:
            head = h11.Response(status_code=200, headers=[("Content-Type", "text/event-stream"), *self.headers])
            return [head, *(h11.Data(data=piece) for piece in PIECES), h11.EndOfMessage()]
        found = target == "/.api/llm/models"
        data = LISTING if found else b"{}"
        head = h11.Response(status_code=200 if found else 404, headers=[("Content-Length", str(len(data)))])
        return [head, h11.Data(data=data), h11.EndOfMessage()]


async def _event(state: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := state.next_event()) is h11.NEED_DATA:
        state.receive_data(await reader.read(1 << 16))
    return event


@contextlib.asynccontextmanager
async def listening(upstream: Upstream) -> AsyncIterator[int]:
    server = await asyncio.start_server(upstream.accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("headers", "keeps"),
    [
        ([("Transfer-Encoding", "chunked")], True),
        ([("Content-Length", str(sum(map(len, PIECES))))], True),
        ([("Connection", "close")], False),
    ],
    ids=["chunked", "length", "close"],
)
def test_an_upstream(headers: list[tuple[str, str]], *, keeps: bool) -> None:
    async def scenario() -> None:
        upstream = Upstream(headers)
        async with listening(upstream) as port, router(port) as running:
            for _ in range(3):
                answer = await ask(running, stream=True)
                answer.assert_whole()
                assert answer.text == "Hello"
        chats = [request for request in upstream.requests if request.target.decode() == CHAT_PATH]
        assert len(chats) == 3
        for asked in upstream.requests:
            names = [name for name, _ in asked.headers]
            assert len(names) == len(set(names)), "a header is there twice"
            assert dict(asked.headers)[b"host"] == f"127.0.0.1:{port}".encode()
        assert all(json.loads(said)["stream"] is True for said in upstream.bodies if b"messages" in said)
        used = upstream.connections
        assert (
            used <= 4 if keeps else used >= 3
        )  # what the instance says of itself is read at once, and beside the first chat

    run(scenario())
