"""Every clock, with small values: what is cut, what is told, and what no clock ever cuts."""

import asyncio
from typing import Any

import pytest

from cody_oai_router.simulator import Fault, Hold, Ordinary, Reply, Send, Text, Wait, faults
from end_to_end.harness import Router, ask, both, chat, chats, connected, exchange, nth_chat, request, router, run

THINKING = "claude-sonnet-4-5-thinking-latest"
TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("head_first", [True, False])
def test_silence_before_the_first_byte(*, head_first: bool, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables={"FIRST_BYTE_TIMEOUT": "0.2"}) as (simulator, running):
            simulator.queue(Fault((*([Send(HEAD)] if head_first else []), Hold("for good"))))
            answer = await ask(running, stream=stream)
            assert answer.status == 504
            assert answer.error["type"] == "server_error"
            assert answer.error["code"] == "timeout"
            assert "silent for 0.2 s (first byte); FIRST_BYTE_TIMEOUT" in answer.error["message"]
            await (await nth_chat(simulator, 1)).disconnected.wait()
            assert (await ask(running)).status == 200

    run(scenario())


@pytest.mark.parametrize(
    "fields", [{"model": THINKING, "stream": True}, {"tools": [TOOL]}], ids=["thinking", "asked-whole"]
)
def test_what_takes_its_time_has_a_longer_clock(fields: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with both(variables={"FIRST_BYTE_TIMEOUT": "0.1", "IDLE_TIMEOUT": "0.1"}) as (simulator, running):
            await ask(running)
            simulator.queue(faults.held("slow"))
            slow = asyncio.create_task(ask(running, **fields))
            await simulator.held("slow")
            simulator.queue(faults.held("other"))
            assert (await ask(running)).status == 504  # so the shorter clock has run out for the slow one, too
            simulator.release("slow")
            assert (await slow).status == 200

    run(scenario())


@pytest.mark.parametrize("fields", [{"model": THINKING, "stream": True}, {"tools": [TOOL]}])
def test_the_longer_clock_runs_out_too(fields: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with both(variables={"SLOW_FIRST_BYTE_TIMEOUT": "0.2"}) as (simulator, running):
            simulator.queue(faults.held("for good"))
            answer = await ask(running, **fields)
            assert answer.status == 504
            assert "SLOW_FIRST_BYTE_TIMEOUT" in answer.error["message"]

    run(scenario())


def test_silence_in_the_middle() -> None:
    async def scenario() -> None:
        async with both(variables={"IDLE_TIMEOUT": "0.2"}) as (simulator, running):
            simulator.queue(faults.held("for good", after=2), times=2)
            answer = await ask(running, stream=True)
            error = answer.assert_broken()
            assert (error["type"], error["code"]) == ("server_error", "timeout")
            assert "silent for 0.2 s (idle); IDLE_TIMEOUT" in error["message"]
            assert answer.text == "You said: "
            await chats(simulator)[0].disconnected.wait()
            whole = await ask(running)
            assert whole.status == 504
            assert "IDLE_TIMEOUT" in whole.error["message"]

    run(scenario())


def test_what_keeps_producing_is_never_cut() -> None:
    async def scenario() -> None:
        clocks = {
            "FIRST_BYTE_TIMEOUT": "0.25",
            "IDLE_TIMEOUT": "0.25",
            "CONNECT_TIMEOUT": "0.25",
            "WRITE_TIMEOUT": "0.25",
        }
        async with both(variables=clocks) as (_, running):
            question = "[[words:40]] [[pace:0.02]]"
            streamed, whole = await asyncio.gather(ask(running, question, stream=True), ask(running, question))
            streamed.assert_whole()
            assert streamed.text == whole.json["choices"][0]["message"]["content"]
            assert streamed.text.split() == [f"word{number}" for number in range(1, 41)]

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
def test_an_optional_total(*, stream: bool) -> None:
    async def scenario() -> None:
        word = b'data: {"choices":[{"delta":{"content":"word "}}]}\n\n'
        endless = Fault((Send(HEAD), *(step for _ in range(500) for step in (Wait(0.02), Send(faults.chunk(word))))))
        async with both(variables={"TOTAL_TIMEOUT": "0.3"}) as (simulator, running):
            await ask(running)
            simulator.queue(endless)
            answer = await ask(running, stream=stream)
            error = answer.assert_broken() if stream else answer.error
            assert (error["type"], error["code"]) == ("server_error", "timeout")
            assert error["message"] == "The answer took longer than the 0.3 s that TOTAL_TIMEOUT allows."
            assert stream or answer.status == 504
            await (await nth_chat(simulator, 2)).disconnected.wait()
            assert chats(simulator)[1].header("X-Timeout-Ms") == "300"

    run(scenario())


def test_a_connection_that_does_not_come_about() -> None:
    """A listener that never says a word of TLS."""

    async def scenario() -> None:
        writers: list[asyncio.StreamWriter] = []
        silent = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        variables = {"SOURCEGRAPH_BASE_URL": f"https://127.0.0.1:{port}", "CONNECT_TIMEOUT": "0.2"}
        async with silent:
            async with router(port, variables) as running:
                answer = await ask(running)
                assert answer.status == 504
                assert "(connect); CONNECT_TIMEOUT" in answer.error["message"]
            for writer in writers:
                writer.close()

    run(scenario())


# The head and heartbeats.

BEATS = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}


def test_a_silent_stream_gets_its_head_and_heartbeats() -> None:
    async def scenario() -> None:
        async with both(variables=BEATS) as (simulator, running), connected(running) as client:
            simulator.queue(faults.held("first"))
            client.send(request(chat("[[text:late]]", stream=True)))
            got = await client.until(b": keep-alive\n\n", times=3)
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"data:" not in got
            simulator.release("first")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.text == "late"
            assert answer.events[:3] == [": keep-alive"] * 3

    run(scenario())


def test_heartbeats_in_the_middle_lie_between_events() -> None:
    async def scenario() -> None:
        async with both(variables=BEATS) as (simulator, running), connected(running) as client:
            client.send(request(chat("[[words:4]] [[mid-hold:middle]]", stream=True)))
            await client.until(b"word2")
            await client.until(b": keep-alive\n\n", times=3)
            simulator.release("middle")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.text == "word1 word2 word3 word4"
            assert answer.events.count(": keep-alive") >= 3

    run(scenario())


def test_a_whole_answer_has_no_head_and_no_heartbeat_before_it_is_whole() -> None:
    async def scenario() -> None:
        async with (
            both(variables=BEATS) as (simulator, running),
            connected(running) as whole,
            connected(running) as other,
        ):
            simulator.queue(faults.held("first"), times=2)
            whole.send(request(chat()))
            await nth_chat(simulator, 1)
            other.send(request(chat(stream=True)))
            await other.until(b": keep-alive\n\n", times=2)
            simulator.release("first")
            answer = await whole.to_end()
            assert answer.json["choices"][0]["message"]["content"] == "You said: Hello there"
            (await other.to_end()).assert_whole()

    run(scenario())


def test_an_old_clients_heartbeats_are_the_same() -> None:
    async def scenario() -> None:
        async with both(variables=BEATS) as (simulator, running), connected(running) as client:
            simulator.queue(faults.held("first"))
            client.send(request(chat("[[text:late]]", stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0"))
            await client.until(b": keep-alive\n\n", times=2)
            simulator.release("first")
            answer = await client.to_end()
            assert answer.rest.endswith(b"data: [DONE]\n\n")

    run(scenario())


def test_the_head_waits_for_the_first_event_so_that_an_error_has_its_status() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as client:
            simulator.queue(Fault((Send(HEAD), Hold("error"), Send(faults.chunk(faults.DEADLINE_LINE) + faults.END))))
            client.send(request(chat(stream=True)))
            await simulator.held("error")
            simulator.release("error")
            assert (await client.to_end()).status == 504

    run(scenario())


def test_heartbeats_do_not_feed_the_clock_of_silence() -> None:
    async def scenario() -> None:
        async with both(variables={**BEATS, "FIRST_BYTE_TIMEOUT": "0.3"}) as (simulator, running):
            simulator.queue(faults.held("for good"))
            answer = await ask(running, stream=True)
            assert answer.assert_broken()["code"] == "timeout"
            assert answer.events[0] == ": keep-alive"

    run(scenario())


# A client that reads slowly.

PIECE = "x" * 100_000 + " "
PIECES = 240  # 24 MB: more than all buffers between the two ends


async def elapse(running: Router, times: int) -> None:
    """Lets the clock of silence (0.3 s) run out so many times, seen by its effect on requests of others."""
    for _ in range(times):
        assert (await ask(running, "[[words:2]] [[mid-hold:never]]")).status == 504


def test_a_slow_client_stops_upstreams_clock() -> None:
    async def scenario() -> None:
        async with both(variables={"IDLE_TIMEOUT": "0.3"}) as (simulator, running):
            await ask(running)
            simulator.queue(Reply(tuple(Text(PIECE) for _ in range(PIECES))))
            async with connected(running, room=8192) as client:
                client.send(request(chat(stream=True)))
                await client.until(b"\r\n\r\n")
                await elapse(running, 2)
                assert not chats(simulator)[1].answered.is_set()
                answer = await client.to_end()
                answer.assert_whole()
                assert answer.text == PIECE * PIECES

    run(scenario())


def test_a_slow_client_gets_no_heartbeats_on_top() -> None:
    async def scenario() -> None:
        async with both(variables={"IDLE_TIMEOUT": "0.3", **BEATS}) as (simulator, running):
            await ask(running)
            simulator.queue(Reply(tuple(Text(PIECE) for _ in range(PIECES))))
            async with connected(running, room=8192) as client:
                client.send(request(chat(stream=True)))
                await client.until(b"\r\n\r\n")
                await elapse(running, 4)
                answer = await client.to_end()
                answer.assert_whole()
                assert answer.events.count(": keep-alive") <= 8  # in 1.2 s of standing still there would be 20

    run(scenario())


def test_a_client_that_takes_nothing_at_all_is_gone() -> None:
    async def scenario() -> None:
        async with both(variables={"WRITE_TIMEOUT": "0.3"}) as (simulator, running):
            simulator.queue(Reply(tuple(Text(PIECE) for _ in range(PIECES))))
            async with connected(running, room=8192) as client:
                client.send(request(chat(stream=True)))
                await (await nth_chat(simulator, 1)).disconnected.wait()
                client.reset()
            assert (await ask(running)).status == 200

    run(scenario())


# The client's side of the connection.


def test_a_head_a_body_and_a_next_request_that_do_not_come() -> None:
    async def scenario() -> None:
        variables = {"HEAD_TIMEOUT": "0.2", "BODY_TIMEOUT": "0.2", "KEEP_ALIVE_TIMEOUT": "0.2"}
        async with both(variables=variables) as (_, running):
            half = await exchange(running, b"POST /v1/chat/completions HTTP/1.1\r\nHo")
            assert (half.status, half.error["code"]) == (408, "request_timeout")
            bodiless = await exchange(
                running, b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{"
            )
            assert (bodiless.status, bodiless.error["code"]) == (408, "request_timeout")
            async with connected(running) as client:
                assert await client.reader.read() == b""
            async with connected(running) as client:
                client.send(request(chat(), close=False))
                assert (await client.answer()).status == 200
                assert await client.reader.read() == b""

    run(scenario())


def test_the_clocks_of_one_request_do_not_run_for_the_next() -> None:
    async def scenario() -> None:
        async with both(variables={"TOTAL_TIMEOUT": "0.6", "IDLE_TIMEOUT": "0.3"}) as (simulator, running):
            for _ in range(4):
                simulator.queue(
                    Fault((Ordinary(pieces=1), Wait(0.2), Send(faults.chunk(b"data: {}\n\n") + faults.END)))
                )
                answer = await ask(running, stream=True)
                answer.assert_whole()

    run(scenario())
