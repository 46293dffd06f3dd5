"""What OpenAI's API promises and no endpoint of Sourcegraph keeps: kept here, over real sockets, on every kind of road."""

import asyncio
from typing import Any

import pytest

from cody_oai_router.simulator import Fail, Hold, Reply, Text, faults
from cody_oai_router.simulator.wire import Received
from end_to_end.conformance import conforms
from end_to_end.harness import CODY_PATH, Answer, ask, both, chat, connected, request, run, words
from end_to_end.matrix import NOW, PIXEL, TOOLS, Seen
from end_to_end.promises import (
    PROMPT,
    asked,
    asks,
    both_ways,
    events_of,
    finishes,
    left,
    on,
    on_every_road,
    path_of,
    ready,
    text_by_choice,
    told,
)


def openings(answer: Answer) -> list[int]:
    """The choices in the order in which they begin."""
    return [choice["index"] for chunk in answer.chunks for choice in chunk["choices"] if "role" in choice["delta"]]


# `n`: as many answers as were asked for.


@pytest.mark.parametrize("choices", [2, 8])
@on_every_road
def test_several_choices_in_a_whole_answer(profile: str, api: str, choices: int) -> None:
    async def scenario() -> None:
        async with ready(profile, api) as (simulator, running):
            answer = await ask(running, n=choices)
            conforms(Seen(answer, stream=False))
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
            conforms(Seen(answer, stream=True))
            assert finishes(answer) == {0: ["stop"], 1: ["stop"], 2: ["stop"]}
            assert openings(answer) == [0, 1, 2]
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


@pytest.mark.parametrize("api", ["llm", "cody"])
def test_choices_begin_in_their_order_whichever_comes_first(api: str) -> None:
    """The official SDK counts them as they begin."""

    async def scenario() -> None:
        async with both(variables=on(api)) as (simulator, running), connected(running) as client:
            for name in "abc":
                simulator.queue(Reply((Hold(name), Text(f"{name} says this"))), path_of(api))
            client.send(request(chat(stream=True, n=3)))
            for name in "cab":
                await simulator.held(name)
                simulator.release(name)
                await client.until(f'"{name} "'.encode())
            answer = await client.to_end()
            answer.assert_whole()
            assert openings(answer) == [0, 1, 2]
            assert sorted(text_by_choice(answer).values()) == ["a says this", "b says this", "c says this"]
            assert finishes(answer) == {0: ["stop"], 1: ["stop"], 2: ["stop"]}

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
    if not events_of(answer):
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
