"""What a router learns of its instance: page by page, once waited for, kept only where it led to an answer."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable

import pytest

from cody_oai_router.shell import instance
from cody_oai_router.simulator import Close, Fault, Hold, Ordinary, Received, Reply, Send, Simulator, Text, faults
from end_to_end.harness import (
    CODY_PATH,
    END,
    GPT,
    SONNET,
    Router,
    ask,
    both,
    chats,
    connected,
    get,
    request,
    roads,
    run,
    words,
)
from end_to_end.matrix import TOOLS

LISTING = "/.api/llm/models"
SUPPORTED = "/.api/modelconfig/supported-models.json"
CONFIG = "/.api/client-config"
HEALTH = "/healthz"
GRAPHQL = "/.api/graphql"
AUTO = {"SOURCEGRAPH_API": "auto"}
CODY = {"SOURCEGRAPH_API": "cody"}
OFFERED = {"content": "What is the weather?", "tools": TOOLS[:1]}
CONSECUTIVE = "found consecutive messages with the same speaker"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TWO = [{"role": "user", "content": "A"}, {"role": "user", "content": "B"}]


def asked(simulator: Simulator, path: str) -> list[Received]:
    return [received for received in simulator.received if received.path == path]


async def arrived(simulator: Simulator, path: str) -> None:
    """Waits until a page has been asked for."""
    while not asked(simulator, path):
        await simulator.wait_for(len(simulator.received) + 1)


@pytest.mark.parametrize(
    ("path", "version", "road"),
    [(LISTING, 9, "cody 9"), (SUPPORTED, 9, "cody 9"), (CONFIG, 9, "cody 9")],
)
def test_a_page_that_hangs_keeps_nobody_from_the_others(
    monkeypatch: pytest.MonkeyPatch, path: str, version: int | None, road: str
) -> None:
    monkeypatch.setattr(instance, "DISCOVERY_SECONDS", 0.3)

    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(faults.held("page"), path)
            answer = await ask(running, **OFFERED)
            assert answer.status == 200
            assert answer.header("x-router-model") == GPT  # by its short name: the models are known
            assert roads(simulator) == [road]
            assert (await get(running, "/health")).json["sourcegraph"]["api_version"] == version

    run(scenario())


@pytest.mark.parametrize("slow", [HEALTH, GRAPHQL])
@pytest.mark.parametrize("config", [faults.held("page"), faults.status(404, "no")], ids=["slow", "none"])
def test_a_release_that_is_told_counts_whatever_else_hangs(
    monkeypatch: pytest.MonkeyPatch, slow: str, config: Fault
) -> None:
    monkeypatch.setattr(instance, "DISCOVERY_SECONDS", 0.4)

    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(config, CONFIG)
            simulator.queue(faults.held("page"), slow)
            assert (await ask(running, **OFFERED)).status == 200
            assert roads(simulator) == ["cody 9"]

    run(scenario())


def test_a_healthy_instance_is_not_asked_for_its_release() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            assert (await ask(running, **OFFERED)).status == 200
            assert len(asked(simulator, CONFIG)) == 1
            assert not asked(simulator, HEALTH)
            assert not [page for page in asked(simulator, GRAPHQL) if "ProductVersion" in page.target]

    run(scenario())


def test_what_comes_late_is_believed_before_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "_HEAD_START", 0.0)

    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            simulator.queue(faults.held("config"), CONFIG)
            simulator.queue(faults.status(200, "5.4.0"), HEALTH)
            simulator.queue(faults.held("release"), GRAPHQL)  # and not waited for, once the other has come
            answer = asyncio.get_running_loop().create_task(ask(running))
            await arrived(simulator, GRAPHQL)
            simulator.release("config")
            assert (await answer).status == 200
            assert roads(simulator) == ["cody 9"]
            await asked(simulator, GRAPHQL)[0].disconnected.wait()

    run(scenario())


async def llm_api(running: Router) -> str:
    """Gives what `/health` says of the LLM API."""
    said = (await get(running, "/health")).json["sourcegraph"]["llm_api"]
    assert isinstance(said, str)
    return said


def test_health_says_what_was_heard_of_the_llm_api() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (_, running):
            assert await llm_api(running) == "unknown"
            assert (await ask(running, **OFFERED)).status == 200  # by Cody's stream: the listing tells it
            assert await llm_api(running) == "open"
        async with both("6.8-gated", variables={"SOURCEGRAPH_API": "llm"}) as (_, running):
            assert (await ask(running)).status == 403
            assert await llm_api(running) == "closed"

    run(scenario())


def test_a_chat_tells_more_of_the_llm_api_than_its_listing() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(faults.status(404, "no"), LISTING)
            assert (await ask(running)).status == 200
            assert roads(simulator) == ["llm"]
            assert await llm_api(running) == "open"
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(faults.status(404, "no"))
            assert (await ask(running)).status == 200
            assert roads(simulator) == ["llm", "cody 9"]
            assert await llm_api(running) == "closed"
            assert (await ask(running)).status == 200
            assert await llm_api(running) == "open"  # that was a load balancer's mood
            simulator.queue(faults.status(404, "no"), times=2)
            for _ in range(3):
                assert (await ask(running)).status == 200
            assert roads(simulator)[-1] == "cody 9"
            assert await llm_api(running) == "closed"

    run(scenario())


@pytest.mark.parametrize("page", [faults.html(200), faults.status(500, "broken")])
def test_a_listing_that_says_nothing_leaves_the_llm_api_unknown(page: Fault) -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(page, LISTING)
            assert (await ask(running, **OFFERED)).status == 200
            assert await llm_api(running) == "unknown"

    run(scenario())


def test_only_the_first_chat_waits_for_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "DISCOVERY_SECONDS", 0.3)
    monkeypatch.setattr(instance, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(instance, "RETRY_SECONDS", 0.0)

    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            for path in (LISTING, SUPPORTED, CONFIG):
                simulator.queue(faults.held("page"), path, times=9)
            assert (await ask(running, model=GPT)).status == 200
            monkeypatch.setattr(instance, "DISCOVERY_SECONDS", 600.0)  # longer than this test may take
            for _ in range(3):
                assert (await ask(running, model=GPT)).status == 200
            assert len(asked(simulator, LISTING)) == 2  # and nobody asks while somebody does
            simulator.release("page")
            while len(asked(simulator, LISTING)) < 3:
                assert (await ask(running, model=GPT)).status == 200
            assert (await ask(running, model="gpt-4o")).header("x-router-model") == GPT

    run(scenario())


def test_what_is_known_outlives_a_refresh_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(instance, "RETRY_SECONDS", 0.0)

    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            assert (await ask(running, **OFFERED)).status == 200
            for path in (LISTING, SUPPORTED, CONFIG, HEALTH, GRAPHQL):
                simulator.queue(faults.status(500, "broken"), path, times=99)
            while len(asked(simulator, CONFIG)) < 4:  # a refresh begins only after the last one has ended
                assert (await ask(running, **OFFERED)).header("x-router-model") == GPT
            assert set(roads(simulator)) == {"cody 9"}
            assert (await get(running, "/health")).json["sourcegraph"]["api_version"] == 9

    run(scenario())


def test_an_upgrade_of_the_instance_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an instance says now is newer than what it refused before."""
    monkeypatch.setattr(instance, "FRESH_SECONDS", 0.0)

    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            simulator.queue(faults.unsupported_version(), CODY_PATH)
            simulator.queue(faults.held("config"), CONFIG)
            simulator.release("config")
            assert (await ask(running)).status == 200
            assert roads(simulator) == ["cody 9", "cody 8"]
            while roads(simulator)[-1] != "cody 9":
                assert (await ask(running)).status == 200

    run(scenario())


def test_context_filters_are_asked_for_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance, "FRESH_SECONDS", 0.0)

    async def scenario() -> None:
        async with both(variables=CODY, context_filters=True) as (simulator, running):
            simulator.queue(faults.status(500, "broken"), GRAPHQL)
            while "context filters" not in running.output.text:
                assert (await ask(running)).status == 200
            refreshed = len(asked(simulator, CONFIG))
            while len(asked(simulator, CONFIG)) < refreshed + 3:
                assert (await ask(running)).status == 200
            assert len(asked(simulator, GRAPHQL)) == 2  # an answer is asked for once
        assert sum("context filters" in line for line in running.lines) == 1

    run(scenario())


PROVIDER = "unexpected status code 404: no such model"
INNER: dict[str, Callable[[], Fault]] = {
    "text-500": lambda: faults.wrapped_status(404, "no such model"),
    "text-503": lambda: faults.unavailable(PROVIDER),
    "event": lambda: faults.status(200, f'event: error\ndata: {{"error":"{PROVIDER}"}}\n\n', faults.STREAM),
    "line": lambda: faults.error_first(faults.DEADLINE_LINE.replace(b"context deadline exceeded", PROVIDER.encode())),
}


@pytest.mark.parametrize("name", INNER)
def test_what_a_provider_refuses_closes_nothing(name: str) -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            for stream in (True, False, True):
                simulator.queue(INNER[name]())
                answer = await ask(running, stream=stream)
                assert (answer.status, answer.error["code"]) == (404, "model_not_found")
            assert (await ask(running)).status == 200
            assert roads(simulator) == ["llm"] * 4
            assert (await get(running, "/health")).json["sourcegraph"]["llm_api"] == "open"

    run(scenario())


GATES: dict[str, Fault] = {
    "402": faults.status(402, "payment required"),
    "403-html": faults.html(403),
    "404": faults.status(404, "404 page not found"),
    "410": faults.status(410, "gone"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", GATES)
def test_a_gate_leads_to_codys_stream_whatever_it_looks_like(name: str, *, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(GATES[name], times=9)
            for _ in range(3):
                answer = await ask(running, stream=stream)
                assert answer.status == 200, answer.raw
                assert "endpoint:cody" in words(answer)
            assert roads(simulator) == ["llm", "cody 9", "llm", "cody 9", "cody 9"]  # believed from the second time on

    run(scenario())


def test_a_gate_that_led_to_nothing_is_not_remembered() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(faults.status(403, "no"), times=3)
            simulator.queue(faults.status(500, "broken"), CODY_PATH, times=3)
            for _ in range(3):
                assert (await ask(running)).status == 500
            assert (await ask(running)).status == 200
            assert roads(simulator) == ["llm", "cody 9"] * 3 + ["llm"]

    run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_a_lesson_that_led_to_nothing_is_not_remembered(*, stream: bool) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(faults.problem(400, CONSECUTIVE))
            simulator.queue(faults.problem(500, "broken"))
            answer = await ask(running, messages=TWO, model=SONNET, stream=stream)
            assert answer.status == 500
            again = await ask(running, messages=TWO, model=SONNET, stream=stream)
            assert again.status == 200
            assert "messages:merged" not in words(again)
            assert [len(received.json["messages"]) for received in chats(simulator)] == [2, 1, 2]

    run(scenario())


def test_that_an_endpoint_cannot_stream_is_remembered_whatever_comes_after() -> None:
    async def scenario() -> None:
        async with both("5.8") as (simulator, running):
            for _ in range(2):
                assert (await ask(running, "[[error:too bad]]", stream=True)).status == 500
            assert [received.json.get("stream") for received in chats(simulator)] == [True, None, None]

    run(scenario())


def test_a_lesson_whose_answer_broke_off_is_not_remembered() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(faults.problem(400, CONSECUTIVE))
            simulator.queue(faults.error_after(2))
            (await ask(running, messages=TWO, model=SONNET, stream=True)).assert_broken()
            assert (await ask(running, messages=TWO, model=SONNET, stream=True)).status == 200
            assert [len(received.json["messages"]) for received in chats(simulator)] == [2, 1, 2]

    run(scenario())


def test_versions_that_were_all_refused_are_not_remembered() -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            simulator.queue(faults.unsupported_version(), CODY_PATH, times=10)
            assert (await ask(running)).status == 400
            assert len(roads(simulator)) == 10
            for _ in range(2):
                assert (await ask(running)).status == 200
            assert roads(simulator)[10:] == ["cody 9", "cody 9"]

    run(scenario())


@pytest.mark.parametrize(("count", "whole"), [(400, True), (1200, False)])
def test_an_answer_is_measured_by_its_text_and_not_by_how_often_it_was_sent(*, count: int, whole: bool) -> None:
    """Before 5.8 every event has all the text so far: the bytes of an answer grow with the square of its length."""

    async def scenario() -> None:
        limit = 10_000
        async with both("5.4", variables={**CODY, "MAX_REPLY_BYTES": str(limit)}) as (simulator, running):
            simulator.queue(Reply(tuple(Text("twenty letters each. ") for _ in range(count))), CODY_PATH)
            said = "twenty letters each. " * count
            assert (len(said) < limit) == whole
            assert sum(range(0, len(said), 21)) > 50 * limit
            answer = await ask(running, model="anthropic/claude-3.5-sonnet")
            if whole:
                assert answer.json["choices"][0]["message"]["content"] == said
            else:
                assert answer.status == 502
                assert "MAX_REPLY_BYTES" in answer.error["message"]

    run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_what_follows_the_last_event_is_not_waited_for(*, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            simulator.queue(Fault((Ordinary(end=False), Hold("end"), Send(END))), CODY_PATH)
            first = await ask(running, stream=stream)
            assert first.status == 200
            if stream:
                first.assert_whole()
            assert (await ask(running, stream=stream)).status == 200
            held, other = asked(simulator, CODY_PATH)
            assert not held.answered.is_set()
            assert not held.disconnected.is_set()
            assert held.connection != other.connection
            simulator.release("end")
            await held.answered.wait()
            while asked(simulator, CODY_PATH)[-1].connection != held.connection:  # it can be used again
                async with contextlib.AsyncExitStack() as stack:
                    both_at_once = [await stack.enter_async_context(connected(running)) for _ in range(2)]
                    for client in both_at_once:
                        client.send(request({"model": "gpt-4o", "messages": TWO, "stream": stream}))
                    for client in both_at_once:
                        assert (await client.to_end()).status == 200

    run(scenario())


@pytest.mark.parametrize("last", [Close(), Send(b"nonsense"), Send(END + b"HTTP/1.1 200 OK\r\n\r\n")])
def test_whatever_happens_after_the_last_event_hurts_nobody(last: Close | Send) -> None:
    async def scenario() -> None:
        async with both(variables=CODY) as (simulator, running):
            simulator.queue(Fault((Ordinary(end=False), last)), CODY_PATH, times=3)
            for _ in range(4):
                (await ask(running, stream=True)).assert_whole()
        assert not any("rror" in line for line in running.lines)

    run(scenario())


def test_an_upstream_that_never_ends_its_answer_is_left_after_the_idle_time() -> None:
    async def scenario() -> None:
        async with both(variables={**CODY, "IDLE_TIMEOUT": "0.2"}) as (simulator, running):
            simulator.queue(Fault((Ordinary(end=False), Hold("end"))), CODY_PATH)
            (await ask(running, stream=True)).assert_whole()
            (held,) = asked(simulator, CODY_PATH)
            await held.disconnected.wait()
            (await ask(running, stream=True)).assert_whole()

    run(scenario())


def test_a_client_that_reads_slowly_leaves_no_answer_half_read() -> None:
    """The client is paused in the middle of the very bytes that hold the last event: the rest of the body must still be read."""

    async def scenario() -> None:
        async with both(variables={**CODY, "MAX_UPSTREAM_CONNECTIONS": "1"}) as (simulator, running):
            text = "x" * (4 << 20)
            said = b'event: completion\ndata: {"deltaText":"%b"}\n\nevent: done\ndata: {}\n\n' % text.encode()
            simulator.queue(Fault((Send(STREAM_HEAD + faults.chunk(said)), Hold("end"), Send(END))), CODY_PATH)
            async with connected(running, room=4096) as client:
                client.send(request({"model": "gpt-4o", "messages": TWO, "stream": True}))
                await client.until(b"xxx")
                simulator.release("end")
                assert (await client.to_end()).text == text
            (await ask(running, stream=True)).assert_whole()  # on the only connection that there may be

    run(scenario())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("seconds", "waits"), [(60, {"58", "59", "60"}), (-60, {"0"})])
def test_a_limit_inside_a_stream_says_when_to_come_back(seconds: int, waits: set[str], *, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables={**CODY, "CONCURRENCY_WAIT": "0"}) as (simulator, running):
            date = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(simulator.now() + seconds))
            text = f"you have exceeded the concurrency limit of 3 requests. Retry after {date}"
            simulator.queue(faults.stream_error(text), CODY_PATH)
            answer = await ask(running, stream=stream)
            assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
            assert answer.header("retry-after") in waits
            assert json.dumps(text)[1:-1] in answer.error["message"]

    run(scenario())
