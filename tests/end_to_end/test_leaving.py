"""A client that leaves cancels what was asked for it, at once, and nobody else notices."""

import asyncio
from typing import Any

import pytest

from cody_oai_router.simulator import Fault, Hold, Ordinary, Reply, Send, Simulator, Text, faults
from end_to_end.harness import Client, Router, ask, both, chat, chats, connected, get, nth_chat, request, run

TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
LISTING = "/.api/llm/models"
PROMPT = 2.0  # seconds; what "at once" may take on a busy machine


async def gone(simulator: Simulator, number: int) -> None:
    """Waits until upstream sees its client leave."""
    received = await nth_chat(simulator, number)
    async with asyncio.timeout(PROMPT):
        await received.disconnected.wait()


async def assert_healthy(simulator: Simulator, running: Router) -> None:
    """The next request has an answer of its own, asked for once."""
    before = len(chats(simulator))
    answer = await ask(running, "[[text:mine]]", stream=True)
    answer.assert_whole()
    assert answer.text == "mine"
    assert len(chats(simulator)) == before + 1


async def leave(client: Client, how: str) -> None:
    if how == "reset":
        client.reset()
    else:
        await client.leave()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_in_the_middle_of_a_stream(how: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                client.send(request(chat("[[words:4]] [[mid-hold:middle]]", stream=True), close=False))
                await client.until(b"word2")
                await leave(client, how)
                await gone(simulator, 1)
            await assert_healthy(simulator, running)
        (line,) = [line for line in running.lines if "client_left" in line]
        assert " POST /v1/chat/completions 499 " in line or " 200 " in line

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_while_upstream_has_not_answered(how: str, *, stream: bool) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                simulator.queue(faults.held("head"))
                client.send(request(chat(stream=stream), close=False))
                await simulator.held("head")
                await leave(client, how)
                await gone(simulator, 1)
            await assert_healthy(simulator, running)

    run(scenario())


@pytest.mark.parametrize("fields", [{}, {"tools": [TOOL]}], ids=["folded", "whole"])
def test_while_a_whole_answer_is_being_made(fields: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running)
            async with connected(running) as client:
                client.send(request(chat("[[words:4]] [[mid-hold:middle]]", **fields), close=False))
                await simulator.held("middle")
                await leave(client, "close")
                await gone(simulator, 2)
            await assert_healthy(simulator, running)

    run(scenario())


def test_while_the_first_word_is_waited_for() -> None:
    """Upstream has sent its head but no event; ours is held back."""

    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                simulator.queue(Fault((Send(head), Hold("first"), Ordinary())))
                client.send(request(chat(stream=True), close=False))
                await simulator.held("first")
                assert client.got == b""
                await leave(client, "close")
                await gone(simulator, 1)
            await assert_healthy(simulator, running)

    run(scenario())


def test_between_two_asks() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                simulator.queue(faults.empty())
                simulator.queue(faults.held("second"))
                client.send(request(chat(), close=False))
                await simulator.held("second")
                await leave(client, "close")
                await gone(simulator, 2)
            await assert_healthy(simulator, running)

    run(scenario())


def test_while_the_models_are_listed() -> None:
    """The discovery goes on, since others wait for it too; the one that left is not asked for."""

    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as other:
            async with connected(running) as client:
                simulator.queue(faults.held("listing"), path=LISTING)
                client.send(request(chat("[[text:left]]"), close=False))
                await simulator.held("listing")
                other.send(request(chat("[[text:stayed]]")))
                await leave(client, "close")
            health = await get(running, "/health")  # by now the router has seen it leave
            assert health.status == 200
            simulator.release("listing")
            answer = await other.to_end()
            assert answer.json["choices"][0]["message"]["content"] == "stayed"
            assert len(chats(simulator)) == 1
            assert [received.path for received in simulator.received].count(LISTING) == 1

    run(scenario())


def test_while_its_body_is_on_the_way() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
                await leave(client, "close")
            await assert_healthy(simulator, running)
            assert len(chats(simulator)) == 1

    run(scenario())


def test_one_that_leaves_takes_nobody_along() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as one, connected(running) as other:
            question = "[[text:a b c d]] [[mid-hold:middle]]"
            one.send(request(chat(question, stream=True)))
            other.send(request(chat(question, stream=True)))
            await one.until(b'"b "')
            await other.until(b'"b "')
            await leave(one, "reset")
            first, second = chats(simulator)
            async with asyncio.timeout(PROMPT):
                done, pending = await asyncio.wait(
                    [asyncio.create_task(received.disconnected.wait()) for received in (first, second)],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            assert (len(done), len(pending)) == (1, 1)
            for waiting in pending:
                waiting.cancel()
            simulator.release("middle")
            answer = await other.to_end()
            answer.assert_whole()
            assert answer.text == "a b c d"

    run(scenario())


def test_a_connection_that_was_cut_is_not_used_again() -> None:
    """What upstream still sends for the one who left must not reach the next one."""

    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running)
            used = {received.connection for received in simulator.received}
            for number in range(3):
                async with connected(running) as client:
                    simulator.queue(Reply((Text("poison "), Hold(f"hold{number}"), Text("poison"))))
                    client.send(request(chat(stream=True), close=False))
                    await client.until(b"poison ")
                cut = await nth_chat(simulator, 2 * number + 2)
                await cut.disconnected.wait()
                simulator.release(f"hold{number}")
                answer = await ask(running, "[[text:pure]]", stream=True)
                answer.assert_whole()
                assert answer.text == "pure"
                assert chats(simulator)[-1].connection != cut.connection
            assert used

    run(scenario())
