"""Which road a request takes, what is asked of the instance for that, and what a refusal changes about it."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator import faults
from end_to_end.harness import (
    CHAT_PATH,
    CODY_PATH,
    GPT,
    ask,
    both,
    connected,
    get,
    request,
    roads,
    router,
    run,
    simulated,
    words,
)
from end_to_end.matrix import PIXEL, TOOLS

CONFIG = "/.api/client-config"
AUTO = {"SOURCEGRAPH_API": "auto"}
OFFERED: dict[str, Any] = {"content": "What is the weather?", "tools": TOOLS[:1]}


@pytest.mark.parametrize(
    ("api", "fields", "expected"),
    [
        ("auto", {}, "llm"),
        ("auto", {"messages": [{"role": "system", "content": "C"}, {"role": "user", "content": "hi"}]}, "llm"),
        ("auto", OFFERED, "cody 9"),
        ("auto", {"reasoning_effort": "high", "model": "claude-sonnet-4-5"}, "cody 9"),
        ("auto", {"model": "claude-sonnet-4-5-thinking"}, "cody 9"),
        ("auto", {"model": "WorkersAI::v1::llama-3.1-8b-instruct"}, "cody 9"),
        ("auto", {"content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}, "cody 9"),
        ("llm", OFFERED, "llm"),
        ("cody", {}, "cody 9"),
    ],
)
def test_the_road_of_a_request(api: str, fields: dict[str, Any], expected: str) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": api}) as (simulator, running):
            answer = await ask(running, **fields)
            assert answer.status == 200, answer.raw
            assert roads(simulator) == [expected]
            assert ("endpoint:cody" in words(answer)) == (expected != "llm")

    run(scenario())


def test_all_turns_of_a_tool_conversation_take_one_road() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
            history = [
                {"role": "user", "content": "What is the weather?"},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "7 degrees"},
            ]
            for messages in (history[:1], history, [*history, {"role": "assistant", "content": "7."}, history[0]]):
                assert (await ask(running, messages=messages, tools=TOOLS)).status == 200
            assert (await ask(running, messages=history)).status == 200  # the last turn often comes without tools
            assert roads(simulator) == ["cody 9"] * 4

    run(scenario())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/.api/completions/stream", "cody 9"),
        ("/sub/.api/completions/stream", None),
        ("/sub/.api/llm/chat/completions", None),
    ],
)
def test_an_endpoint_of_ones_own_is_asked_whatever_comes(path: str, expected: str | None) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "auto", "SOURCEGRAPH_END_POINT": path}) as (simulator, running):
            plain, offered = await ask(running), await ask(running, **OFFERED)
            if expected:
                assert (plain.status, offered.status) == (200, 200)
                assert roads(simulator) == [expected, expected]
            asked = [
                received.path
                for received in simulator.received
                if received.method == "POST" and "graphql" not in received.path
            ]
            assert asked == [path, path]

    run(scenario())


def test_the_router_gives_its_own_name() -> None:
    async def scenario() -> None:
        async with both("6.12", variables={"SOURCEGRAPH_API": "cody"}, context_filters=True) as (simulator, running):
            assert (await ask(running)).status == 200
            received = simulator.received[-1]
            assert "client-name=cody-oai-router&client-version=" in received.query
            assert received.header("x-requested-with") == received.header("user-agent")
        assert any("context filters" in line for line in running.lines)

    run(scenario())


def test_the_start_says_that_there_are_context_filters() -> None:
    async def scenario() -> None:
        async with simulated(context_filters=True) as (simulator, port), router(port, asks_at_start=True) as running:
            while "context filters" not in running.output.text:
                assert (await get(running, "/health")).status == 200
            assert [received.path for received in simulator.received] == ["/.api/graphql"]
            assert (await ask(running)).status == 200
        assert sum("context filters" in line for line in running.lines) == 1

    run(scenario())


def test_a_start_at_which_nobody_can_be_asked_is_a_start_all_the_same() -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            pass
        async with router(port, asks_at_start=True) as running:
            assert (await get(running, "/health")).status == 200
        assert ["GET /health" in line for line in running.lines] == [True]

    run(scenario())


def test_the_demo_asks_nothing_at_its_start() -> None:
    async def scenario() -> None:
        async with simulated(context_filters=True) as (simulator, port):
            async with router(port, demo=True, asks_at_start=True) as running:
                assert (await get(running, "/health")).status == 200
            assert simulator.received == []

    run(scenario())


def test_a_site_without_context_filters_is_not_spoken_of() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (_, running):
            assert (await ask(running)).status == 200
        assert not any("context filters" in line for line in running.lines)

    run(scenario())


def test_before_there_was_a_choice_of_names_a_site_with_filters_says_so() -> None:
    async def scenario() -> None:
        async with both("5.4", variables=AUTO, context_filters=True) as (_, running):
            answer = await ask(running, model="anthropic/claude-3.5-sonnet")
            assert answer.status == 403
            assert "please use one of the supported clients" in answer.error["message"]

    run(scenario())


@pytest.mark.parametrize("gate", ["403", "404"])
def test_a_gate_is_learnt_once_and_said_once(gate: str) -> None:
    async def scenario() -> None:
        async with both("6.8-gated", variables=AUTO, gate=gate) as (simulator, running):
            before = (await get(running, "/health")).json["sourcegraph"]
            for _ in range(3):
                assert (await ask(running)).status == 200
            assert roads(simulator) == ["llm", "cody 9", "cody 9", "cody 9"]
            after = (await get(running, "/health")).json["sourcegraph"]
            assert before == {"api": "auto", "llm_api": "unknown", "api_version": None}
            assert after == {"api": "auto", "llm_api": "closed", "api_version": 9}
        said = [line for line in running.lines if "does not serve the LLM API" in line]
        assert len(said) == 1
        assert f"(HTTP {gate})" in said[0]

    run(scenario())


def test_one_refusal_alone_is_no_gate() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            for _ in range(2):
                simulator.queue(faults.problem(403, "a mood"), CHAT_PATH)
                assert (await ask(running)).status == 200  # by the other road
                assert (await ask(running)).status == 200
            assert roads(simulator) == ["llm", "cody 9", "llm"] * 2
            simulator.queue(faults.problem(403, "not licensed"), CHAT_PATH, times=2)
            for _ in range(3):
                assert (await ask(running)).status == 200
            assert roads(simulator)[6:] == ["llm", "cody 9", "llm", "cody 9", "cody 9"]

    run(scenario())


def test_one_model_that_is_refused_closes_nothing() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            for _ in range(3):
                simulator.queue(faults.problem(404, "Model not found"), CHAT_PATH)
                assert (await ask(running)).status == 200  # by the other road
            assert (await ask(running)).status == 200
            assert roads(simulator) == [*["llm", "cody 9"] * 3, "llm"]
            assert [line for line in running.lines if "does not serve the LLM API" in line] == []

    run(scenario())


@pytest.mark.parametrize("stream", [False, True])
def test_where_neither_road_leads_the_client_is_told(stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            simulator.queue(faults.problem(403, "not licensed"), CHAT_PATH)
            simulator.queue(faults.status(404, "404 page not found"), CODY_PATH)
            answer = await ask(running, stream=stream)
            assert answer.status == 404
            assert answer.error["code"] == "upstream_gate"
            assert roads(simulator) == ["llm", "cody 9"]

    run(scenario())


@pytest.mark.parametrize("api", ["llm", "auto"])
def test_who_wants_only_the_llm_api_is_told_of_its_gate(api: str) -> None:
    async def scenario() -> None:
        variables = {
            "SOURCEGRAPH_API": api,
            "SOURCEGRAPH_END_POINT": CHAT_PATH if api == "llm" else "/x/llm/chat/completions",
        }
        async with both("6.8-gated", variables=variables) as (simulator, running):
            assert (await ask(running)).error["code"] == "upstream_gate"
            assert "cody 9" not in roads(simulator)

    run(scenario())


def test_an_instance_that_says_nothing_of_itself_still_answers() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            for path in (
                "/.api/llm/models",
                "/.api/modelconfig/supported-models.json",
                CONFIG,
                "/healthz",
                "/.api/graphql",
            ):
                simulator.queue(faults.status(404, "404 page not found"), path, times=9)
            for fields in ({"model": GPT}, {"model": GPT, **OFFERED}):
                assert (await ask(running, **fields)).status == 200
            assert roads(simulator) == ["llm", "llm"]

    run(scenario())


@pytest.mark.parametrize(
    ("health", "version"), [("5.8.1579", "4"), ("336952_2025-07-24_6.6-0a7545eb3e57", "9"), ("5.5.0", "1")]
)
def test_a_silent_instance_is_known_by_its_release(health: str, version: str) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            simulator.queue(faults.status(404), CONFIG)
            simulator.queue(faults.status(200, health), "/healthz")
            assert (await ask(running)).status == 200
            assert roads(simulator) == [f"cody {version}"]

    run(scenario())


def test_graphql_knows_the_release_where_nothing_else_does() -> None:
    async def scenario() -> None:
        async with both("6.1", variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            for path in (CONFIG, "/healthz"):
                simulator.queue(faults.status(404), path)
            assert (await ask(running)).status == 200
            assert roads(simulator) == ["cody 8"]

    run(scenario())


@pytest.mark.parametrize(
    ("profile", "model", "tried"),
    [
        ("6.1", "gpt-4o", ["cody 9", "cody 8", "cody 8"]),
        ("5.8", "gpt-4o", ["cody 9", "cody 8", "cody 7", "cody 6", "cody 5", "cody 4", "cody 4"]),
    ],
)
def test_an_api_version_too_new_is_stepped_down_once(profile: str, model: str, tried: list[str]) -> None:
    async def scenario() -> None:
        async with both(profile, variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            for path in (CONFIG, "/healthz", "/.api/graphql"):
                simulator.queue(faults.status(404), path, times=2)
            for _ in range(2):
                assert (await ask(running, model=model)).status == 200
            assert roads(simulator) == tried

    run(scenario())


def test_a_version_that_the_instance_announced_and_refuses_is_left() -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            simulator.queue(faults.unsupported_version(), CODY_PATH)
            for stream in (True, False):
                assert (await ask(running, stream=stream)).status == 200
            assert roads(simulator) == ["cody 9", "cody 8", "cody 8"]

    run(scenario())


@pytest.mark.parametrize("body", ["", "Not Acceptable", "<html><body>406</body></html>"])
def test_a_version_is_left_whatever_its_refusal_says(body: str) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            simulator.queue(faults.status(406, body), CODY_PATH, times=2)
            for _ in range(2):
                assert (await ask(running)).status == 200
            assert roads(simulator) == ["cody 9", "cody 8", "cody 7", "cody 7"]

    run(scenario())


@pytest.mark.parametrize(
    ("status", "words", "told", "advice"),
    [
        (402, "credits exhausted", 403, "credits for Cody are exhausted"),
        (403, "not authenticated", 403, "SOURCEGRAPH_API_TOKEN"),
        (403, "no", 403, "ask your site admin for access"),
        (404, "404 page not found", 404, "does not serve Cody's stream at this address"),
    ],
)
def test_a_refusal_of_codys_stream_is_not_blamed_on_the_llm_api(
    status: int, words: str, told: int, advice: str
) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            simulator.queue(faults.status(status, words), CODY_PATH)
            answer = await ask(running)
            assert answer.status == told
            assert advice in answer.error["message"]
            assert "LLM API" not in answer.error["message"]

    run(scenario())


def test_no_version_at_all_is_the_last_one_tried() -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            simulator.queue(faults.unsupported_version(), CODY_PATH, times=20)
            answer = await ask(running)
            assert answer.status == 400
            assert "Unsupported API Version" in answer.error["message"]
            assert roads(simulator)[-1] == "cody none"
            assert len(roads(simulator)) == 10

    run(scenario())


def test_parts_that_a_version_does_not_know_go_as_text() -> None:
    async def scenario() -> None:
        async with both("6.1", variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            simulator.queue(faults.undecodable(), CODY_PATH)
            for _ in range(2):
                answer = await ask(running, **OFFERED)
                assert answer.json["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
                assert "tools:emulated" in words(answer)
            bodies = [json.loads(received.body) for received in simulator.received if received.path == CODY_PATH]
            assert ["tools" in body for body in bodies] == [True, False, False]

    run(scenario())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_too_many_at_once_wait_a_little(stream: bool, api: str) -> None:
    async def scenario() -> None:
        path = {"llm": CHAT_PATH, "cody": CODY_PATH}[api]
        async with both(variables={"SOURCEGRAPH_API": api, "CONCURRENCY_WAIT": "1"}) as (simulator, running):
            simulator.queue(faults.concurrency_limited(now=simulator.now(), seconds=0), path)
            answer = await ask(running, stream=stream)
            assert answer.status == 200
            assert roads(simulator) == [f"{api} 9" if api == "cody" else api] * 2

    run(scenario())


@pytest.mark.parametrize(("patience", "seconds"), [("0", 0), ("15", 60)])
def test_a_wait_that_is_too_long_is_the_clients(patience: str, seconds: int) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody", "CONCURRENCY_WAIT": patience}) as (simulator, running):
            simulator.queue(faults.concurrency_limited(now=simulator.now(), seconds=seconds), CODY_PATH)
            answer = await ask(running)
            assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
            assert "concurrency limit of 3 requests" in answer.error["message"]
            wait = answer.header("retry-after")
            assert wait is not None
            assert int(wait) <= seconds
            assert len(roads(simulator)) == 1

    run(scenario())


def test_a_client_that_leaves_while_waiting_costs_nothing_more() -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody", "CONCURRENCY_WAIT": "15"}) as (simulator, running):
            simulator.queue(faults.concurrency_limited(now=simulator.now(), seconds=10), CODY_PATH)
            async with connected(running) as client:
                client.send(request({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}))
                while not roads(simulator):
                    await simulator.wait_for(len(simulator.received) + 1)
            assert (await get(running, "/health")).status == 200
            assert len(roads(simulator)) == 1

    run(scenario())


@pytest.mark.parametrize(
    ("profile", "api", "sent"), [("6.12", "cody", True), ("6.12", "llm", False), ("5.10", "cody", False)]
)
def test_cache_hints_go_where_they_are_taken(profile: str, api: str, sent: bool) -> None:
    async def scenario() -> None:
        parts = [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]
        async with both(profile, variables={"SOURCEGRAPH_API": api}) as (simulator, running):
            answer = await ask(running, parts)
            assert answer.status == 200
            assert ("cache_control:dropped" in words(answer)) != sent
            assert (b'"cache_control":{"type":"ephemeral"}' in simulator.received[-1].body.replace(b" ", b"")) == sent

    run(scenario())


def test_a_model_without_eyes_is_not_shown_an_image() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            answer = await ask(running, [{"type": "image_url", "image_url": {"url": PIXEL}}], model="o3")
            assert answer.status == 400
            assert "cannot see" in answer.error["message"]
            assert roads(simulator) == []

    run(scenario())


def test_a_model_without_tools_gets_them_described() -> None:
    async def scenario() -> None:
        async with both(variables=AUTO) as (simulator, running):
            answer = await ask(running, model="o3", stream=True, **OFFERED)
            answer.assert_whole()
            assert "tools:emulated" in words(answer)
            names = [
                call["function"].get("name")
                for chunk in answer.chunks
                for choice in chunk["choices"]
                for call in choice["delta"].get("tool_calls", ())
            ]
            assert names[0] == "get_weather"
            assert answer.text == ""
            assert "tools" not in simulator.received[-1].json

    run(scenario())


def test_what_one_router_learns_is_its_own() -> None:
    async def scenario() -> None:
        async with simulated("6.8-gated") as (simulator, port), router(port, AUTO) as one, router(port, AUTO) as other:
            for running in (one, other):
                assert (await ask(running)).status == 200
            assert roads(simulator) == ["llm", "cody 9", "llm", "cody 9"]

    run(scenario())
