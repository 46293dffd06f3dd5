"""What is asked twice: a request on a connection that had died in the pool, and one that was answered with nothing."""

import pytest

from cody_oai_router.simulator import Fault, Hold, Send, faults
from end_to_end.harness import ask, both, chat, chats, connected, request, run, words


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("reset", [True, False])
def test_a_dead_pooled_connection_is_replaced_once_and_silently(*, reset: bool, stream: bool) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running)
            simulator.queue(faults.drop(reset=reset))
            answer = await ask(running, "[[text:here]]", stream=stream)
            assert answer.status == 200
            assert "here" in answer.body.decode()
            _, dead, fresh = chats(simulator)
            assert dead.body == fresh.body
            assert dead.connection != fresh.connection
            assert words(answer) == (["model:resolved"] if stream else ["model:resolved", "stream:folded"])

    run(scenario())


def test_a_connection_that_upstream_closed_while_it_was_idle_is_not_noticed() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for _ in range(3):
                simulator.queue(faults.then_close())
                (await ask(running, stream=True)).assert_whole()
            assert len(chats(simulator)) == 3

    run(scenario())


def test_two_dead_connections_in_a_row_are_an_error() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running)
            simulator.queue(faults.drop(), times=2)
            answer = await ask(running, stream=True)
            assert answer.status == 502
            assert "closed the connection before it answered" in answer.error["message"]
            assert len(chats(simulator)) == 3

    run(scenario())


def test_a_fresh_connection_that_dies_is_an_error() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for path in ("/.api/llm/models", "/.api/modelconfig/supported-models.json"):
                simulator.queue(faults.framed("eof"), path=path)
            simulator.queue(faults.drop())
            answer = await ask(running)
            assert answer.status == 502
            assert len(chats(simulator)) == 1

    run(scenario())


def test_a_connection_that_dies_within_its_answer_is_an_error() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running)
            simulator.queue(faults.raw(b"HTTP/1.1 200 OK\r\nContent-Ty"))
            answer = await ask(running)
            assert answer.status == 502
            assert len(chats(simulator)) == 2

    run(scenario())


NOTHING = {
    "length": faults.empty(),
    "chunked": Fault((Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),)),
    "closed": faults.raw(b"HTTP/1.1 200 OK\r\n\r\n"),
    "spaces": faults.status(200, " \r\n\n"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", NOTHING)
def test_an_empty_answer_is_asked_for_once_more(name: str, *, stream: bool) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(NOTHING[name])
            answer = await ask(running, "[[text:here]]", stream=stream)
            assert answer.status == 200
            assert "here" in answer.body.decode()
            first, second = chats(simulator)
            assert first.body == second.body

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
def test_two_empty_answers_are_an_error(*, stream: bool) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(faults.empty(), times=5)
            answer = await ask(running, stream=stream)
            assert answer.status == 502
            assert answer.error["code"] == "empty_answer"
            assert len(chats(simulator)) == 2

    run(scenario())


def test_nothing_is_asked_again_once_a_word_is_out() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running)
            for fault in (faults.broken_after(1), faults.broken_after(1, reset=True), faults.error_after(1)):
                before = len(chats(simulator))
                simulator.queue(fault)
                answer = await ask(running, "first words", stream=True)
                answer.assert_broken()
                assert answer.text == "You "
                assert len(chats(simulator)) == before + 1

    run(scenario())


def test_an_early_answer_to_a_request_that_is_still_being_sent() -> None:
    """Upstream refuses on the head and closes; the client gets that refusal, not a broken pipe."""

    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(faults.status(413, "request body too large", [*faults.TEXT, ("Connection", "close")]))
            answer = await ask(running, "x" * (2 << 20))
            assert answer.status == 413

    run(scenario())


def test_an_empty_answer_is_not_asked_for_again_once_the_head_is_out() -> None:
    async def scenario() -> None:
        variables = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
        async with both(variables=variables) as (simulator, running), connected(running) as client:
            await ask(running)
            simulator.queue(Fault((Hold("late"), *faults.empty().steps)))
            client.send(request(chat("[[text:one answer]]", stream=True)))
            await client.until(b": keep-alive\n\n")
            simulator.release("late")
            error = (await client.to_end()).assert_broken()
            assert error["code"] == "empty_answer"
            assert len(chats(simulator)) == 2

    run(scenario())


def test_a_refusal_that_teaches_is_answered_also_after_the_head_and_told_in_a_last_comment() -> None:
    async def scenario() -> None:
        variables = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
        async with both(variables=variables) as (simulator, running), connected(running) as client:
            await ask(running)
            refusal = faults.status(500, "found consecutive messages with the same speaker")
            simulator.queue(Fault((Hold("late"), *refusal.steps)))
            turns = [{"role": "user", "content": "a"}, {"role": "user", "content": "[[text:one answer]]"}]
            client.send(request(chat(stream=True, messages=turns)))
            await client.until(b": keep-alive\n\n")
            simulator.release("late")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.text == "one answer"
            assert words(answer) == ["model:resolved"]
            assert answer.events[-2:] == [": x-router-adapted: messages:merged", "[DONE]"]

    run(scenario())


def test_a_head_that_leaves_before_the_models_are_known_is_made_up_for_in_comments() -> None:
    async def scenario() -> None:
        variables = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
        async with both(variables=variables) as (simulator, running), connected(running) as client:
            simulator.queue(faults.held("models"), path="/.api/llm/models")
            client.send(request(chat("[[text:one answer]]", stream=True)))
            await client.until(b": keep-alive\n\n")
            simulator.release("models")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.header("x-router-model") is None
            assert [event for event in answer.events if event.startswith(": x-")] == [
                ": x-router-model: openai::2024-02-01::gpt-4o",
                ": x-router-adapted: model:resolved",
            ]

    run(scenario())


def test_an_error_after_our_head_is_told_in_the_stream() -> None:
    async def scenario() -> None:
        variables = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
        async with both(variables=variables) as (simulator, running), connected(running) as client:
            refusal = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 9\r\nContent-Length: 4\r\n\r\nstop"
            simulator.queue(Fault((Hold("late"), Send(refusal))))
            client.send(request(chat(stream=True), close=False))
            await client.until(b": keep-alive\n\n")
            simulator.release("late")
            error = (await client.to_end()).assert_broken()
            assert error["code"] == "rate_limit_exceeded"

    run(scenario())
