"""What OpenAI's API promises and no endpoint of Sourcegraph keeps: kept here, over real sockets, on every kind of road."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cody_oai_router.simulator import Call, Fail, Hold, Reply, Simulator, Text, faults
from cody_oai_router.simulator.wire import Received
from end_to_end.harness import (
    CHAT_PATH,
    CODY_PATH,
    Answer,
    Router,
    ask,
    both,
    chat,
    connected,
    request,
    run,
    words,
)
from end_to_end.matrix import NOW, PIXEL, TOOLS, Seen, seen

# Each kind of road once: the LLM API with tools, Cody's stream with them, and both where tools go in words.
ROADS = [("6.12", "llm"), ("6.12", "cody"), ("5.8", "llm"), ("5.8", "cody")]
on_every_road = pytest.mark.parametrize(("profile", "api"), ROADS)
both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
SOON = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
PROMPT = 5.0  # seconds; what "at once" may take on a busy machine
WEATHER = {"type": "function", "function": {"name": "get_weather"}}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
JSON_OBJECT = {"type": "json_object"}


def on(api: str, **variables: str) -> dict[str, str]:
    return {"SOURCEGRAPH_API": api, **variables}


@contextlib.asynccontextmanager
async def ready(profile: str, api: str) -> AsyncIterator[tuple[Simulator, Router]]:
    """Runs a simulator and a router that has learnt what there is to learn of it."""
    async with both(profile, variables=on(api)) as (simulator, running):
        assert (await ask(running, model="claude-sonnet-4-5", stream=True)).status == 200
        simulator.reset()
        yield simulator, running


def path_of(api: str) -> str:
    return CODY_PATH if api == "cody" else CHAT_PATH


def asks(simulator: Simulator) -> list[Received]:
    """The completion requests that upstream received, on either endpoint."""
    return [received for received in simulator.received if received.path in (CHAT_PATH, CODY_PATH)]


async def left(received: Received) -> None:
    """Waits until upstream sees its client leave."""
    async with asyncio.timeout(PROMPT):
        await received.disconnected.wait()


def schema(*, strict: bool, wanted: Mapping[str, Any] = CITY) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "place", "schema": wanted, "strict": strict}}


async def asked(running: Router, content: Any, *, stream: bool, **fields: Any) -> Seen:
    """Asks once, and reads the answer as a client does."""
    fields = {"model": "claude-sonnet-4-5", **fields}
    return seen(await ask(running, content, stream=stream, **fields), stream=stream)


def called(found: Seen) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found.calls]


def told(answer: Answer) -> set[str]:
    """Everything that the answer says was changed: in its head, and what came after that."""
    prefix = ": x-router-adapted: "
    late = [event.removeprefix(prefix) for event in _events(answer) if event.startswith(prefix)]
    return {*words(answer), *(word for line in late for word in line.split(", "))}


def _events(answer: Answer) -> list[str]:
    return answer.events if (answer.header("content-type") or "").startswith("text/event-stream") else []


def text_by_choice(answer: Answer) -> dict[int, str]:
    texts: dict[int, str] = {}
    for chunk in answer.chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return texts


def finishes(answer: Answer) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for chunk in answer.chunks:
        for choice in chunk["choices"]:
            if choice["finish_reason"]:
                found.setdefault(choice["index"], []).append(choice["finish_reason"])
    return found


# `n`: as many answers as were asked for.


@pytest.mark.parametrize("choices", [2, 8])
@on_every_road
def test_several_choices_in_a_whole_answer(profile: str, api: str, choices: int) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            answer = await ask(running, n=choices)
            found = answer.json["choices"]
            assert [choice["index"] for choice in found] == list(range(choices))
            assert {choice["message"]["content"] for choice in found} == {"You said: Hello there"}
            assert {choice["finish_reason"] for choice in found} == {"stop"}
            assert len(asks(simulator)) == choices
            assert len({received.body for received in asks(simulator)}) == 1
            assert "choices:asked-apart" in words(answer)

    run(scenario())


@on_every_road
def test_several_choices_streamed_each_with_its_index(profile: str, api: str) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (_, running):
            answer = await ask(running, n=3, stream=True)
            answer.assert_whole()
            assert text_by_choice(answer) == dict.fromkeys(range(3), "You said: Hello there")
            assert finishes(answer) == {0: ["stop"], 1: ["stop"], 2: ["stop"]}
            openings = [
                choice["index"] for chunk in answer.chunks for choice in chunk["choices"] if "role" in choice["delta"]
            ]
            assert sorted(openings) == [0, 1, 2]
            assert len({chunk["id"] for chunk in answer.chunks}) == 1
            assert "choices:asked-apart" in words(answer)

    run(scenario())


def two(first: tuple[str, str], second: tuple[str, str]) -> list[Reply]:
    """Two replies that stop in the middle until they are released, by the names "a" and "b"."""
    return [
        Reply((Text(f"{start} "), Hold(name), Text(end)))
        for name, (start, end) in zip("ab", (first, second), strict=True)
    ]


@pytest.mark.parametrize("api", ["llm", "cody"])
def test_streams_are_interleaved_as_they_come(api: str) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running), connected(running) as client:
            for reply in two(("one", "two"), ("three", "four")):
                simulator.queue(reply, path_of(api))
            client.send(request(chat(stream=True, n=2)))
            await client.until(b"one ")
            await client.until(b"three ")
            simulator.release("b")
            await client.until(b"four")
            assert b"two" not in client.got
            assert b"[DONE]" not in client.got
            simulator.release("a")
            answer = await client.to_end()
            answer.assert_whole()
            assert set(text_by_choice(answer).values()) == {"one two", "three four"}
            assert finishes(answer) == {0: ["stop"], 1: ["stop"]}

    run(scenario())


@both_ways
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_one_choice_that_fails_before_the_head_fails_the_whole_with_its_status(api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running):
            simulator.queue(Reply((Hold("never"), Text("x"))), path_of(api))
            simulator.queue(faults.rate_limited("seconds", now=NOW), path_of(api))
            answer = await ask(running, n=2, stream=stream)
            assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
            assert answer.header("retry-after") is not None
            async with asyncio.timeout(PROMPT):
                await _first_left(asks(simulator))
            assert len(asks(simulator)) == 2

    run(scenario())


async def _first_left(received: list[Received]) -> None:
    """Waits until one of the requests was broken off."""
    waiting = [asyncio.ensure_future(each.disconnected.wait()) for each in received]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize("api", ["llm", "cody"])
def test_one_choice_that_fails_later_breaks_the_stream(api: str) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running), connected(running) as client:
            simulator.queue(Reply((Text("one "), Hold("a"), Text("two"))), path_of(api))
            simulator.queue(Reply((Text("three "), Hold("b"), Fail("the provider exploded"))), path_of(api))
            client.send(request(chat(stream=True, n=2)))
            await client.until(b"one ")
            await client.until(b"three ")
            simulator.release("b")
            error = (await client.to_end()).assert_broken()
            assert "the provider exploded" in error["message"]
            async with asyncio.timeout(PROMPT):
                await _first_left(asks(simulator))

    run(scenario())


@both_ways
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_a_client_that_leaves_cancels_all_that_was_asked_for_it(api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running):
            async with connected(running) as client:
                for number in range(3):
                    simulator.queue(Reply((Text("word "), Hold(str(number)), Text("x"))), path_of(api))
                client.send(request(chat(stream=stream, n=3), close=False))
                for number in range(3):
                    await simulator.held(str(number))
                await client.leave()
                for received in asks(simulator):
                    await left(received)
            assert len(asks(simulator)) == 3

    run(scenario())


@both_ways
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_the_prompt_is_counted_once_and_what_was_billed_stands_beside_it(api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (_, running):
            one, three = [
                usage_of(await ask(running, n=n, stream=stream, stream_options={"include_usage": True})) for n in (1, 3)
            ]
            assert "billed_tokens" not in one
            assert three["prompt_tokens"] == one["prompt_tokens"] > 0
            assert three["completion_tokens"] == 3 * one["completion_tokens"] > 0
            assert three["total_tokens"] == three["prompt_tokens"] + three["completion_tokens"]
            assert three["billed_tokens"] == 3 * one["total_tokens"]
            assert "estimated" not in three

    run(scenario())


def usage_of(answer: Answer) -> dict[str, Any]:
    """The usage of an answer; of a stream it must come once, in its last chunk."""
    if not _events(answer):
        found: dict[str, Any] = answer.json["usage"]
        return found
    answer.assert_whole()
    *before, last = answer.chunks
    assert [chunk for chunk in before if chunk["usage"] is not None] == []
    assert last["choices"] == []
    usage: dict[str, Any] = last["usage"]
    return usage


# `stop`: exact, wherever it stands.


STOPS = [
    (["one E", "ND two"], ["END"], "one "),
    (["one EN", "emy two"], ["END"], "one ENemy two"),
    (["a", "b", "c", "d"], ["xyz", "cd"], "ab"),
    (["one\n", "\ntwo"], ["\n\n"], "one"),
    (["end of E"], ["END"], "end of E"),
    (["END of it"], ["END"], ""),
    (["grüß", " dich"], ["ß d"], "grü"),
]


@both_ways
@pytest.mark.parametrize(("pieces", "stops", "expected"), STOPS)
@on_every_road
def test_an_answer_ends_at_its_stop_sequence(
    profile: str, api: str, pieces: list[str], stops: list[str], expected: str, stream: bool
) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            simulator.queue(Reply(tuple(map(Text, pieces))), path_of(api))
            # With tools in words a sequence is not sent, since it might stand in a call: then only the router stops.
            found = await asked(running, "Hello there", stream=stream, stop=stops, tools=TOOLS)
            assert (found.whole, found.text, found.finish) == (True, expected, "stop")

    run(scenario())


# Claude is not told of sequences that are nothing but space, so Cody's stream does not stop at them.
IGNORED = {"model": "claude-sonnet-4-5", "stop": "\n\n"}


def test_upstream_is_cancelled_at_the_cut() -> None:
    async def scenario() -> None:
        async with both(variables=on("cody")) as (simulator, running):
            simulator.queue(Reply((Text("one\n"), Text("\n"), Hold("never"), Text("two"))), CODY_PATH)
            answer = await ask(running, stream=True, stream_options={"include_usage": True}, **IGNORED)
            answer.assert_whole()
            assert (answer.text, finishes(answer)) == ("one", {0: ["stop"]})
            assert usage_of(answer)["estimated"] is True
            assert {"stop:cut-here", "usage:estimated"} <= told(answer)
            await left(asks(simulator)[0])

    run(scenario())


def test_a_whole_answer_is_cut_too_and_its_usage_is_estimated() -> None:
    async def scenario() -> None:
        async with both(variables=on("cody")) as (simulator, running):
            simulator.queue(Reply((Text("one\n"), Text("\n"), Hold("never"), Text("two"))), CODY_PATH)
            answer = await ask(running, **IGNORED)
            assert answer.json["choices"][0]["message"]["content"] == "one"
            assert answer.json["usage"]["estimated"] is True
            assert {"stop:cut-here", "usage:estimated"} <= told(answer)
            await left(asks(simulator)[0])

    run(scenario())


def test_a_sequence_that_never_comes_leaves_upstreams_own_usage() -> None:
    async def scenario() -> None:
        async with both(variables=on("cody")) as (_, running):
            answer = await ask(running, **IGNORED)
            assert "estimated" not in answer.json["usage"]
            assert "stop:cut-here" not in told(answer)

    run(scenario())


# `tool_choice` and `parallel_tool_calls`.


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
            name, finish = _legacy_call(answer)
            assert (name, finish) == ("get_weather", "function_call")
            assert b"tool_calls" not in answer.body
            assert {"functions:as-tools", "tools:narrowed", "tool_choice:instructed"} <= told(answer)

    run(scenario())


def _legacy_call(answer: Answer) -> tuple[str, str]:
    if not _events(answer):
        choice = answer.json["choices"][0]
        json.loads(choice["message"]["function_call"]["arguments"])
        return choice["message"]["function_call"]["name"], choice["finish_reason"]
    answer.assert_whole()
    pieces = [choice["delta"].get("function_call", {}) for chunk in answer.chunks for choice in chunk["choices"]]
    json.loads("".join(piece.get("arguments", "") for piece in pieces))
    return "".join(piece.get("name", "") for piece in pieces), finishes(answer)[0][0]


# `response_format`.


WRAPPED = 'Sure!\n```json\n{"city": "Oslo"}\n```\nAnything else?'


@both_ways
@pytest.mark.parametrize("wanted", [JSON_OBJECT, schema(strict=False), schema(strict=True)])
@on_every_road
def test_json_comes_without_what_stands_around_it(profile: str, api: str, wanted: Any, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            found = await asked(running, f"[[text:{WRAPPED}]]", stream=stream, response_format=wanted)
            assert (found.whole, found.text, found.finish) == (True, '{"city": "Oslo"}', "stop")
            assert "response_format:instructed" in told(found.answer)
            assert len(asks(simulator)) == 1

    run(scenario())


@pytest.mark.parametrize("wanted", [JSON_OBJECT, schema(strict=False)])
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_json_that_is_not_checked_streams_as_it_comes(api: str, wanted: Any) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running), connected(running) as client:
            simulator.queue(Reply((Text('Here: {"city": '), Hold("middle"), Text('"Oslo"}'))), path_of(api))
            client.send(request(chat("Hello there", stream=True, response_format=wanted)))
            await client.until(rb"{\"city\"")
            simulator.release("middle")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.text == '{"city": "Oslo"}'
            assert "response_format:unwrapped" in told(answer)

    run(scenario())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"city": "Oslo"', "The model's JSON ended before it was complete."),
        ('{"city": Oslo}', "The model's JSON is not valid: invalid character (byte 9)."),
        ("I cannot.", "The model answered without a JSON object, which response_format asks for."),
    ],
)
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_an_end_that_is_no_json_is_an_error(api: str, text: str, message: str) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (_, running):
            whole = await ask(running, f"[[text:{text}]]", response_format=JSON_OBJECT)
            assert (whole.status, whole.error["code"]) == (422, "output_not_json")
            assert whole.error["message"] == message
            streamed = await ask(running, f"[[text:{text}]]", response_format=JSON_OBJECT, stream=True)
            error = streamed.assert_broken() if streamed.status == 200 else streamed.error
            assert error == whole.error
            assert (streamed.status == 200) == text.startswith("{")  # where nothing was said there is still a status

    run(scenario())


@both_ways
def test_json_that_was_cut_off_at_the_limit_says_so_itself(stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on("cody")) as (_, running):
            found = await asked(
                running, '[[text:{"city": "Oslo"}]]', stream=stream, response_format=JSON_OBJECT, max_tokens=1
            )
            assert (found.whole, found.text, found.finish) == (True, '{"city": ', "length")

    run(scenario())


@both_ways
@on_every_road
def test_json_that_breaks_its_schema_is_asked_for_once_more(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            simulator.queue(Reply((Text('{"town": "Rome"}'),)), path_of(api))
            simulator.queue(Reply((Text('{"city": "Oslo"}'),)), path_of(api))
            found = await asked(running, "Hello there", stream=stream, response_format=schema(strict=True))
            assert (found.whole, found.text, found.finish) == (True, '{"city": "Oslo"}', "stop")
            assert {"response_format:instructed", "repair:asked-again"} <= told(found.answer)
            assert b"Rome" not in found.answer.raw
            _, second = asks(simulator)
            assert b"Rome" in second.body
            assert b"lacks" in second.body

    run(scenario())


@both_ways
@on_every_road
def test_json_that_breaks_its_schema_twice_is_an_honest_failure(profile: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            simulator.queue(Reply((Text('{"town": "Rome"}'),)), path_of(api), times=2)
            found = await asked(running, "Hello there", stream=stream, response_format=schema(strict=True))
            assert found.answer.status == 422
            error = found.answer.error
            assert (error["param"], error["code"]) == ("response_format", "output_against_schema")
            assert 'lacks "city"' in error["message"]
            assert len(asks(simulator)) == 2

    run(scenario())


def test_json_that_is_checked_is_held_until_it_is() -> None:
    async def scenario() -> None:
        async with both(variables=on("cody", **SOON)) as (simulator, running), connected(running) as client:
            simulator.queue(Reply((Text('{"city": '), Hold("first"), Text("7}"))), CODY_PATH)
            simulator.queue(Reply((Text('{"city": '), Hold("second"), Text('"Oslo"}'))), CODY_PATH)
            client.send(request(chat("Hello there", stream=True, response_format=schema(strict=True))))
            await simulator.held("first")
            await client.until(b": keep-alive", times=2)
            simulator.release("first")
            await simulator.held("second")
            await client.until(b": keep-alive", times=client.got.count(b": keep-alive") + 2)
            assert b"data:" not in client.got
            simulator.release("second")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.text == '{"city": "Oslo"}'

    run(scenario())


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "text"},
        {"$ref": "https://example.com/schema.json"},
        {"type": "object", "properties": {"a": {"pattern": "(a)\\1"}}},
        {"type": "object", "unevaluatedProperties": False},
    ],
)
@both_ways
def test_a_schema_that_cannot_be_checked_is_refused_before_anything_is_asked(wrong: Any, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on("auto")) as (simulator, running):
            answer = await ask(running, stream=stream, response_format=schema(strict=True, wanted=wrong))
            assert (answer.status, answer.error["param"]) == (400, "response_format")
            assert answer.error["message"].startswith("Invalid schema for response_format 'place': ")
            assert asks(simulator) == []

    run(scenario())


@both_ways
@pytest.mark.parametrize("strict", [True, False])
@on_every_road
def test_tools_and_a_format_go_together(profile: str, api: str, strict: bool, stream: bool) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (_, running):
            fields: dict[str, Any] = {"tools": TOOLS, "response_format": schema(strict=strict)}
            messages: list[dict[str, Any]] = [{"role": "user", "content": '[[call:get_weather {"city":"Oslo"}]]'}]
            first = await asked(running, None, stream=stream, messages=messages, **fields)
            assert (first.whole, called(first)) == (True, [("get_weather", {"city": "Oslo"})]), first.answer.raw
            messages += [
                {"role": "assistant", "content": None, "tool_calls": first.calls},
                {"role": "tool", "tool_call_id": first.calls[0]["id"], "content": "7 degrees"},
                {"role": "user", "content": '[[text:```\n{"city": "Oslo"}\n```]]'},
            ]
            second = await asked(running, None, stream=stream, messages=messages, **fields)
            assert (second.whole, second.text, second.finish) == (True, '{"city": "Oslo"}', "stop")

    run(scenario())


def test_each_choice_is_checked_by_itself() -> None:
    async def scenario() -> None:
        async with both(variables=on("cody")) as (simulator, running):
            simulator.queue(Reply((Text('{"town": "Rome"}'),)), CODY_PATH)
            simulator.queue(Reply((Text('{"city": "Oslo"}'),)), CODY_PATH, times=2)
            answer = await ask(running, n=2, stream=True, response_format=schema(strict=True))
            answer.assert_whole()
            assert text_by_choice(answer) == {0: '{"city": "Oslo"}', 1: '{"city": "Oslo"}'}
            assert len(asks(simulator)) == 3
            assert "repair:asked-again" in told(answer)

    run(scenario())


# Usage.


@both_ways
@pytest.mark.parametrize(
    ("profile", "estimated"),
    [("5.4", True), ("5.6", True), ("5.8", True), ("5.10", False), ("6.1", False), ("6.12", False)],
)
def test_usage_is_upstreams_or_marked_as_estimated(profile: str, estimated: bool, stream: bool) -> None:
    async def scenario() -> None:
        async with both(profile, variables=on("auto")) as (_, running):
            answer = await ask(
                running,
                stream=stream,
                model="openai::2024-02-01::gpt-4o",
                stream_options={"include_usage": True},
            )
            usage = usage_of(answer)
            assert usage.get("estimated", False) == estimated
            assert usage["prompt_tokens"] > 0
            assert usage["completion_tokens"] > 0
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            assert ("usage:estimated" in told(answer)) == estimated

    run(scenario())


def test_usage_that_nobody_asked_for_is_not_made_up() -> None:
    async def scenario() -> None:
        async with both("5.6", variables=on("auto")) as (_, running):
            answer = await ask(running, stream=True)
            answer.assert_whole()
            assert [chunk for chunk in answer.chunks if "usage" in chunk] == []
            assert "usage:estimated" not in told(answer)

    run(scenario())


# Sampling, predictions, images.


@pytest.mark.parametrize(
    ("model", "given", "sent", "notes"),
    [
        ("gpt-4o", {"temperature": 1.5, "top_p": 0.5}, {"temperature": 1.5, "top_p": 0.5}, set()),
        ("claude-sonnet-4-5", {"temperature": 1.5}, {"temperature": 1}, {"temperature:clamped"}),
        ("claude-sonnet-4-5", {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}, {"top_p:dropped"}),
        ("claude-sonnet-4-5", {"temperature": 1, "top_p": 0.5}, {"top_p": 0.5}, {"temperature:dropped"}),
        ("claude-sonnet-4-5-thinking", {"temperature": 0.5}, {}, {"temperature:dropped"}),
        ("o3", {"temperature": 0.5, "top_p": 0.5}, {}, {"temperature:dropped", "top_p:dropped"}),
        ("gemini-2.5-pro", {"temperature": 2, "top_p": 0.1}, {"temperature": 2, "top_p": 0.1}, set()),
    ],
)
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_sampling_is_fitted_to_the_family(
    api: str, model: str, given: dict[str, Any], sent: dict[str, Any], notes: set[str]
) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running):
            answer = await ask(running, model=model, stream=True, **given)
            answer.assert_whole()
            body = asks(simulator)[0].json
            top_p = body.get("topP", -1) if api == "cody" else body.get("top_p", -1)
            assert (body.get("temperature"), top_p) == (sent.get("temperature"), sent.get("top_p", -1))
            assert {word for word in told(answer) if word.startswith(("temperature", "top_p"))} == notes

    run(scenario())


@both_ways
@pytest.mark.parametrize(
    ("profile", "api", "carried"),
    [
        ("5.6", "cody", False),
        ("5.8", "cody", False),
        ("5.10", "cody", True),
        ("6.1", "cody", True),
        ("6.12", "cody", True),
        ("6.12", "llm", False),
    ],
)
def test_a_prediction_goes_where_it_is_taken(profile: str, api: str, carried: bool, stream: bool) -> None:
    async def scenario() -> None:
        prediction = {"type": "content", "content": "Hello"}
        async with both(profile, variables=on(api)) as (simulator, running):
            found = await asked(running, "Hello there", model="gpt-4o", stream=stream, prediction=prediction)
            assert (found.whole, found.text) == (True, "You said: Hello there")
            assert asks(simulator)[0].json.get("prediction") == (prediction if carried else None)
            assert ("prediction:dropped" in told(found.answer)) != carried

    run(scenario())


def image(url: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": url}}]


@both_ways
@pytest.mark.parametrize("kind", ["png", "jpeg", "jpg", "webp", "gif"])
@pytest.mark.parametrize("profile", ["5.8", "6.12"])
def test_an_image_is_seen(profile: str, kind: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(profile, variables=on("auto")) as (simulator, running):
            found = await asked(running, image(PIXEL.replace("png", kind)), stream=stream)
            assert (found.whole, f"image/{kind.replace('jpg', 'jpeg')}" in found.text) == (True, True)
            assert asks(simulator)[0].path == CODY_PATH
            assert ("image-type:corrected" in told(found.answer)) == (kind == "jpg")

    run(scenario())


@both_ways
@pytest.mark.parametrize(
    ("url", "api", "words_"),
    [
        (PIXEL.replace("png", "bmp"), "auto", "send image/png, image/jpeg, image/webp, image/gif."),
        ("https://example.com/cat.png", "auto", "send it as a data: URL (base64)."),
        ("data:image/png,raw", "auto", "send it as data:<type>;base64,<data>."),
        (PIXEL, "llm", "Send text only."),
    ],
)
def test_an_image_that_would_not_be_seen_is_refused(url: str, api: str, words_: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running):
            answer = await ask(running, image(url), stream=stream, model="claude-sonnet-4-5")
            assert (answer.status, answer.error["code"]) == (400, "unsupported_value")
            assert answer.error["param"] == "messages[0].content[1]"
            assert answer.error["message"].endswith(words_)
            assert asks(simulator) == []

    run(scenario())
