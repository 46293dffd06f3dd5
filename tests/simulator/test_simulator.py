"""The face that tests use: start and stop, what was received, what comes next."""

import asyncio
import json
from typing import Any

import pytest

from cody_oai_router.simulator import DEMO_TOKEN, Close, Fault, Reply, Send, Simulator, Text

MODELS = "/.api/llm/models"
CHAT = "/.api/llm/chat/completions"


async def ask(port: int, path: str = MODELS, body: Any = None) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = b"" if body is None else json.dumps(body).encode()
    lines = f"Authorization: token {DEMO_TOKEN}\r\nConnection: close\r\nContent-Length: {len(data)}"
    method = "GET" if body is None else "POST"
    writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n\r\n".encode() + data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_what_was_received() -> None:
    async def story() -> None:
        simulator = Simulator()
        port = await simulator.start()
        arrived = asyncio.create_task(simulator.wait_for(2))
        await ask(port)
        assert not arrived.done()
        await ask(port, f"{CHAT}?x", {"a": "é"})
        await arrived
        first, second = simulator.received
        assert (first.method, first.target, first.body) == ("GET", MODELS, b"")
        assert second.header("authorization") == f"token {DEMO_TOKEN}"
        assert (second.path, second.json, second.answered.is_set()) == (CHAT, {"a": "é"}, True)
        assert (first.connection, second.connection) == (1, 2)
        simulator.reset()
        assert simulator.received == []
        await simulator.stop()

    asyncio.run(story())


def test_the_queue_is_by_path_and_in_order() -> None:
    def gone(word: bytes) -> Fault:
        return Fault((Send(word), Close()))

    async def story() -> None:
        simulator = Simulator()
        port = await simulator.start()
        simulator.queue(gone(b"chat"))
        simulator.queue(gone(b"one"), path=MODELS, times=2)
        simulator.queue(gone(b"two"), path=MODELS)
        simulator.queue(Reply((Text("chosen"),)))
        answers = [await ask(port) for _ in range(4)]
        assert answers[:3] == [b"one", b"one", b"two"]
        assert answers[3].startswith(b"HTTP/1.1 200 OK")
        assert await ask(port, CHAT, {}) == b"chat"
        simulator.reset()
        body = {"model": "openai::2024-02-01::gpt-4o", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        assert b"You said: hi" in await ask(port, CHAT, body)
        await simulator.stop()

    asyncio.run(story())


def test_a_demo_keeps_no_record_and_has_no_control_routes() -> None:
    async def story() -> None:
        simulator = Simulator(demo=True)
        port = await simulator.start()
        assert (await ask(port)).startswith(b"HTTP/1.1 200 OK")
        assert (await ask(port, "/.simulator/received")).startswith(b"HTTP/1.1 404 Not Found")
        assert simulator.received == []
        await simulator.stop()

    asyncio.run(story())


def test_an_unknown_profile() -> None:
    with pytest.raises(KeyError):
        Simulator("4.0")


def test_the_same_seed_gives_the_same_identifiers() -> None:
    ids = [[Simulator(seed=seed).instance.chat_id() for _ in range(2)] for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_stopping_before_the_start_and_with_an_open_connection() -> None:
    async def story() -> None:
        simulator = Simulator()
        await simulator.stop()
        port = await simulator.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"6.12.5040")
        await simulator.stop()
        with pytest.raises(ConnectionError):
            await ask(port)
        writer.close()

    asyncio.run(story())
