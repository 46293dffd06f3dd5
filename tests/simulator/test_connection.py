"""What happens on the sockets: keep-alive, faults as bytes, and a client that leaves."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cody_oai_router.simulator import (
    CHAT,
    DEMO_TOKEN,
    STREAM,
    Close,
    Fault,
    Hold,
    Ordinary,
    Reply,
    Reset,
    Send,
    Simulator,
    Text,
    Wait,
    faults,
)
from cody_oai_router.simulator.wire import MAX_HEAD

HEALTH = b"GET /healthz HTTP/1.1\r\n\r\n"


def chat(prompt: str = "hi", *, close: bool = False, headers: str = "", **fields: Any) -> bytes:
    body = {"model": "openai::2024-02-01::gpt-4o", "max_tokens": 99, "stream": True, **fields}
    data = json.dumps({**body, "messages": [{"role": "user", "content": prompt}]}).encode()
    lines = f"Authorization: token {DEMO_TOKEN}\r\nContent-Length: {len(data)}\r\n{headers}"
    lines += "Connection: close\r\n" if close else ""
    return f"POST /.api/llm/chat/completions HTTP/1.1\r\n{lines}\r\n".encode() + data


def play(story: Callable[[Simulator, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """Runs a story with a simulator and one connection to it."""

    async def stage() -> None:
        simulator = Simulator("6.12")
        port = await simulator.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(20):
                await story(simulator, reader, writer)
        finally:
            writer.close()
            await simulator.stop()

    asyncio.run(stage())


def answer_to(data: bytes, *items: Fault | Reply, path: str = CHAT) -> bytes:
    """Returns all that the simulator sends until it closes."""
    got = []

    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for item in items:
            simulator.queue(item, path=path)
        writer.write(data)
        got.append(await reader.read())

    play(story)
    return got[0]


async def whole(reader: asyncio.StreamReader) -> bytes:
    """Reads one chunked answer."""
    return await reader.readuntil(b"\r\n0\r\n\r\n")


def test_a_connection_carries_several_requests_one_after_the_other() -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(chat("one") + chat("two"))
        assert b"one" in await whole(reader)
        assert b"two" in await whole(reader)
        assert [request.connection for request in simulator.received] == [1, 1]

    play(story)


def test_a_close_that_was_asked_for() -> None:
    assert answer_to(chat(close=True)).endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"GET /\r\n\r\n", b"x" * (MAX_HEAD + 4)])
def test_what_is_not_http_is_a_400(data: bytes) -> None:
    assert answer_to(data).startswith(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n")


def test_half_a_request_is_not_recorded() -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEALTH[:-2])
        writer.write_eof()
        assert await reader.read() == b""
        assert simulator.received == []

    play(story)


@pytest.mark.parametrize("prompt", ["[[hold:gate]]", "[[words:4]][[mid-hold:gate]]", "[[silence:600]]"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_is_noticed_at_once(prompt: str, stream: bool) -> None:
    async def story(simulator: Simulator, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(chat(prompt, stream=stream))
        await simulator.wait_for(1)
        (request,) = simulator.received
        if "hold" in prompt:
            await simulator.held("gate")
        assert not request.disconnected.is_set()
        writer.close()
        await request.disconnected.wait()
        assert not request.answered.is_set()

    play(story)


def test_a_client_that_resets_while_the_answer_flows() -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(chat("[[words:2000]]", max_tokens=2000))
        await reader.readexactly(1000)
        writer.transport.abort()
        (received,) = simulator.received
        await received.disconnected.wait()
        assert not received.answered.is_set()

    play(story)


def test_a_client_that_leaves_after_the_answer_is_no_disconnect() -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(chat())
        await whole(reader)
        writer.close()
        (request,) = simulator.received
        await request.answered.wait()
        assert not request.disconnected.is_set()

    play(story)


def test_a_held_answer_goes_on_when_released() -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(chat("[[words:2]][[mid-hold:gate]]"))
        assert b"word1 " in await reader.readuntil(b"\n\n\r\n")
        await simulator.held("gate")
        simulator.release("gate")
        assert b"word2" in await whole(reader)

    play(story)


def test_the_deadline_before_the_first_byte() -> None:
    answer = answer_to(chat("[[hold:never]]", headers="X-Timeout-Ms: 20\r\n", close=True))
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n")
    assert answer.endswith(b'{"message":"context deadline exceeded","type":"completion.process_completion"}')


def test_the_deadline_in_mid_stream_is_a_line_without_a_prefix() -> None:
    answer = answer_to(chat("[[words:2]][[mid-hold:never]]", headers="X-Timeout-Ms: 20\r\n", close=True))
    line = b'{"message":"context deadline exceeded","type":"completion.process_completion"}\n'
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\n\n\r\n" + faults.chunk(line) + faults.END)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (faults.raw(b"SSH-2.0\r\n"), b"SSH-2.0\r\n"),
        (faults.raw(b"HTTP/1.1 200 OK\r\n\r\nab", Send(b"c"), Close()), b"HTTP/1.1 200 OK\r\n\r\nabc"),
        (faults.drop(), b""),
        (Fault((Wait(0.0), Hold("open"), Send(b"x"), Close())), b"x"),
    ],
)
def test_raw_faults(fault: Fault, answer: bytes) -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        simulator.queue(fault)
        simulator.release("open")
        writer.write(chat())
        assert await reader.read() == answer
        assert simulator.received[0].answered.is_set()

    play(story)


@pytest.mark.parametrize("steps", [(Reset(),), (Ordinary(pieces=1), Reset())])
def test_a_reset(steps: tuple[Reset | Ordinary, ...]) -> None:
    with pytest.raises(ConnectionResetError):
        answer_to(chat(), Fault(steps))


def test_a_dead_pooled_connection() -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        simulator.queue(faults.then_close())
        writer.write(chat())
        answer = await reader.read()
        assert answer.endswith(faults.END)
        assert b"Connection: close" not in answer

    play(story)


@pytest.mark.parametrize(
    ("fault", "widest"), [(faults.cut_every(1), 1), (faults.cut_every(7), 7), (faults.cut_at(1, 5, 9000), 9000)]
)
def test_cut_answers_arrive_in_pieces_and_whole(fault: Fault, widest: int) -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        simulator.queue(fault)
        writer.write(chat("é" * 9))
        pieces = [await reader.read(100_000)]
        while not b"".join(pieces).endswith(faults.END):
            pieces.append(await reader.read(100_000))
        assert max(map(len, pieces)) <= widest
        assert "é".encode() * 9 in b"".join(pieces)

    play(story)


def test_a_cut_lies_where_it_was_asked_for() -> None:
    async def story(simulator: Simulator, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        simulator.queue(faults.cut_at(1, 5))
        writer.write(chat())
        assert [await reader.read(100_000) for _ in range(2)] == [b"H", b"TTP/"]

    play(story)


@pytest.mark.parametrize("fault", [faults.broken_after(1), faults.broken_after(1, reset=False), faults.unterminated()])
def test_an_answer_that_breaks_off(fault: Fault) -> None:
    answer = answer_to(chat("[[words:2]]"), fault)
    assert b"word1 " in answer
    assert not answer.endswith(faults.END)
    assert answer.endswith(b"\n\n\r\n")


def test_stopping_drops_a_client_that_does_not_read() -> None:
    async def story(simulator: Simulator, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        simulator.queue(faults.oversized_line(64 << 20))
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own transports have it
        writer.write(chat())
        await simulator.wait_for(1)
        await simulator.stop()
        (received,) = simulator.received
        assert not received.answered.is_set()

    play(story)


def test_a_reply_of_the_model() -> None:
    assert b'"content":"chosen"' in answer_to(chat(close=True), Reply((Text("chosen"),)))


def ask(prompt: str = "hi", *, headers: str = "") -> bytes:
    """A request to Cody's stream, on a connection that ends with its answer."""
    data = json.dumps({"messages": [{"speaker": "human", "text": prompt}], "maxTokensToSample": 99}).encode()
    lines = f"Authorization: token {DEMO_TOKEN}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n{headers}"
    return f"POST {STREAM}?api-version=2 HTTP/1.1\r\n{lines}\r\n".encode() + data


def names(answer: bytes) -> list[str]:
    return re.findall(r"^event: (.*?)\r?$", answer.decode(), re.MULTILINE)


SPOKEN = ["completion"] * 4  # You, said:, hi, and the reason


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        (faults.cut_every(), [*SPOKEN, "done"]),
        (faults.lines(), [*SPOKEN, "done"]),
        (faults.framed("eof"), [*SPOKEN, "done"]),
        (faults.without_done(), SPOKEN),
        (faults.broken_after(2), ["completion"] * 2),
        (faults.stream_error("no"), ["error", "done"]),
        (faults.stream_error("no", after=2), ["completion", "completion", "error", "done"]),
        (faults.stream_error("no", after=2, done=False), ["completion", "completion", "error"]),
        (faults.empty(), []),
    ],
)
def test_faults_of_codys_stream(fault: Fault, events: list[str]) -> None:
    answer = answer_to(ask(), Fault((*fault.steps, Close())), path=STREAM)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert names(answer) == events


def test_a_stream_without_done_ends_properly() -> None:
    assert answer_to(ask(), faults.without_done(), path=STREAM).endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("prompt", "events"),
    [("[[silence:20]]", ["error", "done"]), ("[[mid-silence:20]][[words:2]]", ["completion", "error", "done"])],
)
def test_the_deadline_of_codys_stream_is_an_event(prompt: str, events: list[str]) -> None:
    answer = answer_to(ask(prompt, headers="X-Timeout-Ms: 20\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
    assert names(answer) == events
    assert b'{"error":"context deadline exceeded"}' in answer
    assert answer.endswith(b"\r\n0\r\n\r\n")
