"""`response_format`: asked for in words, taken out of what stands around it, and checked, on every kind of road."""

from typing import Any

import pytest

from cody_oai_router.simulator import Fail, Hold, Reply, Text
from end_to_end.harness import CODY_PATH, ask, both, chat, connected, request, run
from end_to_end.matrix import TOOLS
from end_to_end.promises import (
    JSON_OBJECT,
    SOON,
    asked,
    asks,
    both_ways,
    called,
    on,
    on_every_road,
    path_of,
    ready,
    schema,
    text_by_choice,
    told,
)

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


@both_ways
def test_what_was_changed_for_any_choice_is_told(stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables=on("cody")) as (simulator, running), connected(running) as client:
            right = Text('{"city": "Oslo"}')
            simulator.queue(Reply((Text('{"town": "Rome"}'),)), CODY_PATH)
            simulator.queue(Reply((Hold("b"), Fail("could not decode request body"))), CODY_PATH)
            simulator.queue(Reply((Hold("c"), right)), CODY_PATH)
            simulator.queue(Reply((right,)), CODY_PATH)
            fields: dict[str, Any] = {"tools": TOOLS, "response_format": schema(strict=True)}
            client.send(request(chat(n=2, stream=stream, **fields)))
            await simulator.held("b")
            await simulator.held("c")  # the first choice is asked once more, and after that the other one too
            simulator.release("b")
            while len(asks(simulator)) < 4:
                await simulator.wait_for(len(simulator.received) + 1)
            simulator.release("c")
            answer = await client.to_end()
            assert answer.status == 200, answer.raw
            assert {"repair:asked-again", "tools:emulated"} <= told(answer)

    run(scenario())
