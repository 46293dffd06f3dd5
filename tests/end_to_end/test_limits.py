"""Limits: what is too large from upstream, and too many of either side."""

import asyncio

import pytest

from cody_oai_router.simulator import Fault, Reply, Send, Text, faults
from end_to_end.harness import ask, both, chat, chats, connected, exchange, get, nth_chat, request, run

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
START = b'data: {"choices":[{"delta":{"content":"Hi "}}]}\n\n'


@pytest.mark.parametrize("stream", [True, False])
def test_an_event_that_is_too_long(*, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_EVENT_BYTES": "64KB"}) as (simulator, running):
            simulator.queue(faults.oversized_line(1 << 20))
            answer = await ask(running, stream=stream)
            assert answer.status == 502
            assert "MAX_EVENT_BYTES" in answer.error["message"]

    run(scenario())


def test_an_event_that_is_too_long_in_the_middle_of_a_stream() -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_EVENT_BYTES": "64KB"}) as (simulator, running):
            long = b"data: " + b"x" * (1 << 20)
            simulator.queue(faults.raw(HEAD + faults.chunk(START) + faults.chunk(long) + faults.END))
            answer = await ask(running, stream=True)
            error = answer.error if answer.status == 502 else answer.assert_broken()
            assert "MAX_EVENT_BYTES" in error["message"]
            received = await nth_chat(simulator, 1)
            await asyncio.wait(
                [asyncio.create_task(event.wait()) for event in (received.disconnected, received.answered)],
                return_when=asyncio.FIRST_COMPLETED,
            )
            (await ask(running, stream=True)).assert_whole()

    run(scenario())


def test_an_event_of_some_megabytes_is_no_trouble() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            text = "x" * (3 << 20)
            simulator.queue(Reply((Text(text),)))
            answer = await ask(running, stream=True)
            answer.assert_whole()
            assert answer.text == text

    run(scenario())


def test_a_whole_answer_that_is_too_long() -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_REPLY_BYTES": "64KB"}) as (simulator, running):
            long = Reply(tuple(Text("x" * 999 + " ") for _ in range(100)))
            simulator.queue(long)
            folded = await ask(running)
            assert folded.status == 502
            assert "MAX_REPLY_BYTES" in folded.error["message"]
            simulator.queue(long)
            whole = await ask(running, tools=[{"type": "function", "function": {"name": "now"}}])
            assert whole.status == 502
            assert "MAX_REPLY_BYTES" in whole.error["message"]
            simulator.queue(long)
            streamed = await ask(running, stream=True)
            streamed.assert_whole()  # a stream is never held, so it may be of any length
            assert len(streamed.text) == 100_000

    run(scenario())


def test_an_error_page_without_an_end_is_read_to_a_point() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            head = (
                b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            page = faults.chunk(b"too much " * 1000)
            simulator.queue(Fault((Send(head), *(Send(page) for _ in range(400)))))
            answer = await ask(running)
            assert answer.status in {500, 502}
            assert len(answer.raw) < 8192

    run(scenario())


def test_one_connection_too_many_is_told_so() -> None:
    async def scenario() -> None:
        async with (
            both(variables={"MAX_CONNECTIONS": "2"}) as (_, running),
            connected(running) as first,
            connected(running) as second,
        ):
            for client in (first, second):
                client.send(request(chat(), close=False))
                assert (await client.answer()).status == 200
            surplus = await get(running, "/health")
            assert surplus.status == 503
            assert surplus.error["type"] == "server_error"
            first.send(request(chat(), close=False))
            assert (await first.answer()).status == 200

    run(scenario())


def test_beyond_the_connections_to_upstream_requests_wait_in_line() -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_UPSTREAM_CONNECTIONS": "2"}) as (simulator, running):
            await ask(running)
            simulator.queue(faults.held("busy"), times=2)
            asked = [asyncio.create_task(ask(running, f"[[text:{number}]]", stream=True)) for number in range(5)]
            await nth_chat(simulator, 3)
            assert len(chats(simulator)) == 3
            simulator.release("busy")
            answers = await asyncio.gather(*asked)
            assert [answer.text for answer in answers] == ["0", "1", "2", "3", "4"]
            assert len({received.connection for received in chats(simulator)}) <= 3

    run(scenario())


def test_too_many_headers_and_too_much_held_for_all_together() -> None:
    async def scenario() -> None:
        variables = {"MAX_HEADERS": "10", "MAX_BUFFERED_BYTES": "1MB", "MAX_BODY_BYTES": "64MB"}
        async with both(variables=variables) as (_, running):
            headers = [(f"X-{number}", "x") for number in range(11)]
            refused = await exchange(running, request(chat(), headers=headers))
            assert refused.status == 431
            full = await exchange(running, request(chat("x" * (3 << 20))))
            assert full.status == 503
            assert (await ask(running)).status == 200

    run(scenario())
