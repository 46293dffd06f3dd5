"""Many at once: no event lost, doubled or out of order, and memory bounded by what is open, not by what passes through."""

import asyncio
import hashlib
import json
import socket
from pathlib import Path

import pytest

from cody_oai_router.simulator import Fault, Send, Simulator, faults
from end_to_end.harness import (
    CHAT_PATH,
    Answer,
    Process,
    account,
    ask,
    chat,
    chats,
    connected,
    nth_chat,
    process,
    request,
    run,
    simulated,
)

pytestmark = pytest.mark.heavy

STREAMS = 200
WORDS = 100
SLOW = 100
PIECES = 32
PIECE = 64 * 1024
MEGABYTE = 1 << 20


def keep_little(simulator: Simulator) -> None:
    """Has the system keep little of what the simulator has written: what nobody takes must not seem to be sent."""
    assert simulator._server is not None
    for listener in simulator._server.sockets:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)


def peak_memory(running: Process) -> int | None:
    """Gives the most memory that a process has had, in bytes; nothing where the system does not say."""
    try:
        status = Path(f"/proc/{running.process.pid}/status").read_text()
    except OSError:
        return None
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def pieces(answer: Answer) -> list[str]:
    """Gives the text of each event, in order; usage, role and end have none."""
    deltas = [chunk["choices"][0]["delta"] for chunk in answer.chunks]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert deltas[-1] == {}
    return [delta["content"] for delta in deltas[1:-1]]


def test_many_streams_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port), process(tmp_path, environment=account(port)) as running:
            await ask(running)

            async def one(number: int) -> None:
                words = [f"{number}-{count} " for count in range(WORDS)]
                async with connected(running) as client:
                    client.send(request(chat(f"[[text:{''.join(words)}]] [[mid-hold:all]]", stream=True)))
                    await client.until(f'"{number}-{WORDS // 2 - 1} "'.encode())
                    half.release()
                    answer = await client.to_end()
                answer.assert_whole()
                assert pieces(answer) == words
                assert len({chunk["id"] for chunk in answer.chunks}) == 1
                seen.add(answer.chunks[0]["id"])

            half, seen = asyncio.Semaphore(0), set[str]()
            async with asyncio.TaskGroup() as streams:
                for number in range(STREAMS):
                    streams.create_task(one(number))
                for _ in range(STREAMS):
                    await half.acquire()  # all are open, each with its first half delivered
                assert len(chats(simulator)) == STREAMS + 1
                simulator.release("all")
            assert len(seen) == STREAMS
            peak = peak_memory(running)
            assert peak is None or peak < 200 * MEGABYTE

    run(scenario(), patience=60)


def streamed(texts: list[str]) -> Fault:
    """Makes an answer whose bytes are ready, so that it costs the simulator nothing."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    events = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text.encode() for text in texts]
    return Fault((Send(head), *(Send(faults.chunk(event)) for event in events), Send(faults.END)))


def test_many_slow_readers(tmp_path: Path) -> None:
    """What upstream would send at once is 200 MB; it must wait in the systems' buffers and upstream, not in the router."""
    texts = [f"{number:06d}".ljust(PIECE, "x") for number in range(PIECES)]
    whole = hashlib.sha256("".join(texts).encode()).digest()

    async def scenario() -> None:
        async with simulated() as (simulator, port), process(tmp_path, environment=account(port)) as running:
            keep_little(simulator)
            await ask(running)
            before = peak_memory(running)
            simulator.queue(streamed(texts), times=SLOW)
            async with asyncio.TaskGroup() as readers:
                turn, started = asyncio.Lock(), asyncio.Semaphore(0)
                await turn.acquire()

                async def read() -> None:
                    async with connected(running, room=PIECE) as client:
                        client.send(request(chat(stream=True)))
                        await client.until(b"\r\n\r\n")
                        started.release()
                        async with turn:  # one after the other: all others stand still meanwhile
                            answer = await client.to_end()
                        answer.assert_whole()
                        assert [piece[:6] for piece in pieces(answer)] == [f"{n:06d}" for n in range(PIECES)]
                        assert hashlib.sha256(answer.text.encode()).digest() == whole

                for _ in range(SLOW):
                    readers.create_task(read())
                for _ in range(SLOW):
                    await started.acquire()
                await nth_chat(simulator, SLOW + 1)
                for number in range(20):  # others are served as if nothing were the matter
                    answer = await ask(running, f"[[text:{number}]]", stream=True)
                    answer.assert_whole()
                    assert answer.text == str(number)
                turn.release()
            after = peak_memory(running)
            if before is None or after is None:
                pytest.skip("everything arrived, but this system does not say how much memory a process has had")
            assert after - before < 80 * MEGABYTE  # measured: 50; without back-pressure 110

    run(scenario(), patience=90)


def test_requests_that_come_all_at_once_are_all_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port), process(tmp_path, environment=account(port)) as running:
            asked = [ask(running, f"[[text:{number}]]", stream=number % 2 == 0) for number in range(STREAMS)]
            answers = await asyncio.gather(*asked)  # the first of them have the models listed
            for number, answer in enumerate(answers):
                assert answer.status == 200
                body = answer.text if number % 2 == 0 else json.loads(answer.body)["choices"][0]["message"]["content"]
                assert body == str(number)
            assert len(chats(simulator)) == STREAMS
            once = [received.path for received in simulator.received if received.path != CHAT_PATH]
            assert len(once) == len(set(once))  # what the instance says of itself was asked for once

    run(scenario(), patience=60)
