"""`tool_choice`, `parallel_tool_calls` and legacy functions: kept on every kind of road, though no endpoint takes them."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator import Call, Hold, Reply, Text
from end_to_end.conformance import conforms
from end_to_end.harness import CODY_PATH, Answer, ask, both, chat, connected, request, run
from end_to_end.matrix import TOOLS, Seen, seen
from end_to_end.promises import (
    LOOP,
    SOON,
    WEATHER,
    asked,
    asks,
    both_ways,
    called,
    events_of,
    finishes,
    left,
    on,
    on_every_road,
    path_of,
    ready,
    schema,
    told,
)

CHOICES: list[Any] = [
    "required",
    WEATHER,
    {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [WEATHER]}},
]


@both_ways
@pytest.mark.parametrize("choice", CHOICES, ids=["required", "named", "allowed"])
@on_every_road
def test_a_tool_that_must_be_called_is_called(profile: str, api: str, choice: Any, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            found = await asked(
                running, '[[call:get_weather {"city":"Oslo"}]]', stream=stream, tools=TOOLS, tool_choice=choice
            )
            assert found.whole, found.answer.raw
            assert (called(found), found.finish) == ([("get_weather", {"city": "Oslo"})], "tool_calls")
            assert len(asks(simulator)) == 1
            assert "tool_choice:instructed" in told(found.answer)
            assert "repair:asked-again" not in told(found.answer)

    run(scenario())


@both_ways
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_a_model_without_tools_calls_them_in_words(api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running):
            question = '[[call:get_weather {"city":"Oslo"}]] [[call:get_time {"city":"Rome"}]]'
            fields = {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False}
            found = await asked(running, question, stream=stream, model="gemini-2.5-flash", **fields)
            assert (found.whole, called(found)) == (True, [("get_weather", {"city": "Oslo"})])
            assert "tools" not in asks(simulator)[0].json
            expected = {"tools:emulated", "tool_choice:instructed", "parallel_tool_calls:instructed"}
            assert expected <= told(found.answer)

    run(scenario())


@both_ways
@on_every_road
def test_no_tool_may_be_called(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            found = await asked(running, "What is the weather?", stream=stream, tools=TOOLS, tool_choice="none")
            assert (found.whole, found.text, found.calls) == (True, "You said: What is the weather?", [])
            assert b"get_weather" not in asks(simulator)[0].body
            assert "tools:withheld" in told(found.answer)

    run(scenario())


@both_ways
@on_every_road
def test_only_the_allowed_tools_are_offered(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER]}}
            found = await asked(running, "Hello there", stream=stream, tools=TOOLS, tool_choice=choice)
            assert (found.whole, found.text, found.finish) == (True, "You said: Hello there", "stop")
            assert b"get_time" not in asks(simulator)[0].body
            assert "tools:narrowed" in told(found.answer)

    run(scenario())


@both_ways
@on_every_road
def test_a_tool_must_be_called_in_the_middle_of_a_loop_too(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            fields = {"messages": LOOP, "tools": TOOLS, "tool_choice": WEATHER}
            found = await asked(running, None, stream=stream, **fields)
            assert found.whole, found.answer.raw
            assert ([name for name, _ in called(found)], found.finish) == (["get_weather"], "tool_calls")
            assert len(asks(simulator)) <= 2

    run(scenario())


@both_ways
@on_every_road
def test_json_is_given_after_a_tool_has_answered(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            for text in ("It is 7 degrees.", '```json\n{"city": "Oslo"}\n```'):
                simulator.queue(Reply((Text(text),)), path_of(api))
            fields = {"messages": LOOP, "tools": TOOLS, "response_format": schema(strict=True)}
            found = await asked(running, None, stream=stream, **fields)
            assert (found.whole, found.text, found.finish) == (True, '{"city": "Oslo"}', "stop"), found.answer.raw
            assert {"repair:asked-again", "response_format:unwrapped"} <= told(found.answer)
            assert b"7 degrees" in asks(simulator)[1].body

    run(scenario())


REFUSAL = "I would rather not."


@both_ways
@on_every_road
def test_a_choice_that_was_not_kept_is_asked_for_once_more(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            simulator.queue(Reply((Text(REFUSAL),)), path_of(api))
            # The scripted model calls a tool of which the words that were added speak.
            found = await asked(running, "Hello there", stream=stream, tools=TOOLS, tool_choice=WEATHER)
            assert found.whole, found.answer.raw
            assert ([name for name, _ in called(found)], found.finish) == (["get_weather"], "tool_calls")
            assert REFUSAL.encode() not in found.answer.raw
            assert "repair:asked-again" in told(found.answer)
            first, second = asks(simulator)
            assert REFUSAL.encode() not in first.body
            assert REFUSAL.encode() in second.body
            assert b"Your last answer called no tool." in second.body

    run(scenario())


@both_ways
@on_every_road
def test_a_choice_that_was_not_kept_twice_is_an_honest_failure(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            simulator.queue(Reply((Text(REFUSAL),)), path_of(api), times=2)
            found = await asked(running, "Hello there", stream=stream, tools=TOOLS, tool_choice="required")
            assert found.answer.status == 422
            error = found.answer.error
            assert (error["type"], error["param"], error["code"]) == (
                "invalid_request_error",
                "tool_choice",
                "tool_choice_not_kept",
            )
            assert "it was told to call a tool" in error["message"]
            assert len(asks(simulator)) == 2

    run(scenario())


@pytest.mark.parametrize("api", ["llm", "cody"])
def test_an_answer_that_is_held_keeps_its_client_waiting(api: str) -> None:
    async def scenario() -> None:
        async with both(variables=on(api, **SOON)) as (simulator, running), connected(running) as client:
            simulator.queue(Reply((Text("I would "), Hold("first"), Text("rather not."))), path_of(api))
            simulator.queue(Reply((Call("get_weather", '{"city":"Oslo"}'), Hold("second"))), path_of(api))
            body = chat("Hello there", stream=True, tools=TOOLS, tool_choice="required", model="claude-sonnet-4-5")
            client.send(request(body))
            await client.until(b": keep-alive", times=2)
            simulator.release("first")
            await simulator.held("second")
            before = client.got.count(b": keep-alive")
            await client.until(b": keep-alive", times=before + 2)
            assert b"data:" not in client.got
            simulator.release("second")
            found = seen(await client.to_end(), stream=True)
            assert (found.whole, found.text, called(found)) == (True, "", [("get_weather", {"city": "Oslo"})])
            assert "repair:asked-again" in told(found.answer)

    run(scenario())


def test_a_failure_after_the_head_is_shown_as_one() -> None:
    async def scenario() -> None:
        async with both(variables=on("cody", **SOON)) as (simulator, running), connected(running) as client:
            simulator.queue(Reply((Text("I would "), Hold("first"), Text("rather not."))), CODY_PATH)
            simulator.queue(Reply((Text(REFUSAL),)), CODY_PATH)
            client.send(request(chat("Hello there", stream=True, tools=TOOLS, tool_choice="required")))
            await client.until(b": keep-alive")
            simulator.release("first")
            answer = await client.to_end()
            assert answer.assert_broken()["code"] == "tool_choice_not_kept"
            assert answer.text == ""

    run(scenario())


@both_ways
@on_every_road
def test_one_call_at_a_time(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (_, running):
            question = '[[call:get_weather {"city":"Oslo"}]] [[call:get_time {"city":"Rome"}]]'
            found = await asked(running, question, stream=stream, tools=TOOLS, parallel_tool_calls=False)
            assert found.whole, found.answer.raw
            assert (called(found), found.finish) == ([("get_weather", {"city": "Oslo"})], "tool_calls")
            assert {"parallel_tool_calls:instructed", "tool-calls:first-kept"} <= told(found.answer)

    run(scenario())


def test_a_second_call_cancels_upstream() -> None:
    async def scenario() -> None:
        async with both(variables=on("cody")) as (simulator, running):
            parts = (Call("get_weather", '{"city":"Oslo"}'), Call("get_time", "{}"), Hold("never"))
            simulator.queue(Reply(parts), CODY_PATH)
            found = await asked(running, "Hello there", stream=True, tools=TOOLS, parallel_tool_calls=False)
            assert (found.whole, called(found)) == (True, [("get_weather", {"city": "Oslo"})])
            await left(asks(simulator)[0])

    run(scenario())


@both_ways
@pytest.mark.parametrize("arguments", ["", "{}"])
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_a_tool_without_parameters_is_called_with_an_empty_object(api: str, arguments: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running):
            simulator.queue(Reply((Call("now", arguments),)), path_of(api))
            found = await asked(
                running, "Hello there", stream=stream, tools=[{"type": "function", "function": {"name": "now"}}]
            )
            assert [call["function"] for call in found.calls] == [{"name": "now", "arguments": "{}"}]

    run(scenario())


FUNCTIONS = [tool["function"] for tool in TOOLS]


@both_ways
@on_every_road
def test_the_functions_of_old(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            simulator.queue(Reply((Text(REFUSAL),)), path_of(api))
            answer = await ask(running, functions=FUNCTIONS, function_call={"name": "get_weather"}, stream=stream)
            conforms(Seen(answer, stream))
            name, finish = _legacy_call(answer)
            assert (name, finish) == ("get_weather", "function_call")
            assert b"tool_calls" not in answer.body
            assert {"functions:as-tools", "tools:narrowed", "tool_choice:instructed"} <= told(answer)

    run(scenario())


def _legacy_call(answer: Answer) -> tuple[str, str]:
    if not events_of(answer):
        choice = answer.json["choices"][0]
        json.loads(choice["message"]["function_call"]["arguments"])
        return choice["message"]["function_call"]["name"], choice["finish_reason"]
    answer.assert_whole()
    pieces = [choice["delta"].get("function_call", {}) for chunk in answer.chunks for choice in chunk["choices"]]
    json.loads("".join(piece.get("arguments", "") for piece in pieces))
    return "".join(piece.get("name", "") for piece in pieces), finishes(answer)[0][0]
