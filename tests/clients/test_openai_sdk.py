"""The official OpenAI SDK gets its answers from the router: whole, streamed, with tools, from each version."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.streaming.chat import (
    ChunkEvent,
    ContentDeltaEvent,
    ContentDoneEvent,
    FunctionToolCallArgumentsDoneEvent,
)
from openai.types import Model
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
)

from clients.sdk import CLOCK, MODEL, WEATHER, async_client, client, said, strict_chunks, strictly
from clients.stand import Stand

SYSTEM: ChatCompletionMessageParam = {"role": "system", "content": "Be brief."}

# Everywhere there are tools: before 6.0 described in the prompt, on 6.1 by the LLM API, on the others by Cody's stream.
sees_tools = pytest.mark.parametrize("_stand", ["5.6", "5.8", "5.10", "6.1", "6.8-gated", "6.12"], indirect=True)


@pytest.fixture
def openai(stand: Stand) -> Iterator[OpenAI]:
    with client(stand.base_url) as made:
        yield made


@pytest.fixture
def new_openai(newest: Stand) -> Iterator[OpenAI]:
    with client(newest.base_url) as made:
        yield made


def gathered(chunks: Sequence[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def finish_words(chunks: Sequence[ChatCompletionChunk]) -> list[str]:
    return [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]


def calls_of(answer: ChatCompletion) -> list[ChatCompletionMessageFunctionToolCall]:
    calls = answer.choices[0].message.tool_calls or []
    return [call for call in calls if isinstance(call, ChatCompletionMessageFunctionToolCall)]


def test_a_whole_answer(openai: OpenAI) -> None:
    before = int(time.time())
    answer = openai.chat.completions.create(model=MODEL, messages=[SYSTEM, *said("Hello there")])
    choice = answer.choices[0]
    assert choice.message.content == "You said: Hello there"
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert answer.model == MODEL
    assert answer.id.startswith("chatcmpl-")
    assert before <= answer.created <= time.time()
    assert answer.usage is not None


def test_the_bytes_of_a_whole_answer(openai: OpenAI) -> None:
    raw = openai.chat.completions.with_raw_response.create(model=MODEL, messages=said("Hello"))
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-router-model"].startswith("openai::")
    assert raw.request_id is not None
    assert raw.request_id.startswith("req_")
    answer = strictly(ChatCompletion, raw.content)
    assert answer == raw.parse()
    assert set(json.loads(raw.content)) == {"id", "object", "created", "model", "choices", "usage"}


def test_a_streamed_answer(openai: OpenAI) -> None:
    chunks = list(openai.chat.completions.create(model=MODEL, messages=[SYSTEM, *said("one two three")], stream=True))
    assert gathered(chunks) == "You said: one two three"
    assert finish_words(chunks) == ["stop"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk for chunk in chunks[1:] if chunk.choices[0].delta.role] == []
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert [chunk for chunk in chunks if chunk.usage] == []


def test_the_bytes_of_a_streamed_answer(openai: OpenAI) -> None:
    with openai.chat.completions.with_streaming_response.create(
        model=MODEL, messages=said("[[words:5]]"), stream=True
    ) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in raw.headers
        chunks = strict_chunks(raw.read().decode())
    assert gathered(chunks) == "word1 word2 word3 word4 word5"
    assert "usage" not in chunks[-1].model_fields_set


def test_usage_at_the_end_of_a_stream(openai: OpenAI) -> None:
    with openai.chat.completions.with_streaming_response.create(
        model=MODEL, messages=said("[[words:5]]"), stream=True, stream_options={"include_usage": True}
    ) as raw:
        *chunks, last = strict_chunks(raw.read().decode())
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


def test_the_event_stream_helper(openai: OpenAI) -> None:
    with openai.chat.completions.stream(model=MODEL, messages=said("one two")) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    deltas = [event.delta for event in events if isinstance(event, ContentDeltaEvent)]
    done = [event.content for event in events if isinstance(event, ContentDoneEvent)]
    assert "".join(deltas) == "You said: one two"
    assert done == ["You said: one two"]
    assert any(isinstance(event, ChunkEvent) for event in events)
    assert final.choices[0].message.content == "You said: one two"
    assert final.choices[0].finish_reason == "stop"


def test_many_turns_and_every_role(openai: OpenAI, stand: Stand) -> None:
    answer = openai.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "three"},
            {"role": "user", "content": "four", "name": "eve"},
        ],
    )
    assert answer.choices[0].message.content == "You said: four"
    assert stand.chats[-1].json["messages"][0] == {
        "role": "user",
        "content": "<SYSTEM_PROMPT>Be kind.</SYSTEM_PROMPT>",
    }


def test_everything_that_the_sdk_can_send(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(
        model=MODEL,
        messages=said("Hello"),
        frequency_penalty=0,
        presence_penalty=0,
        logit_bias={},
        logprobs=False,
        max_completion_tokens=100,
        metadata={"a": "b"},
        modalities=["text"],
        n=1,
        parallel_tool_calls=True,
        prompt_cache_key="k",
        reasoning_effort="low",
        response_format={"type": "text"},
        safety_identifier="s",
        seed=1,
        service_tier="auto",
        stop=["never"],
        store=False,
        temperature=0.5,
        top_p=0.5,
        user="u",
        verbosity="low",
        extra_body={"unheard_of": {"x": [None]}},
        extra_query={"api-version": "2024-02-01"},
    )
    assert answer.choices[0].message.content == "You said: Hello"


def test_length_is_told(openai: OpenAI) -> None:
    answer = openai.chat.completions.create(model=MODEL, messages=said("[[words:9]]"), max_tokens=3)
    assert answer.choices[0].message.content == "word1 word2 word3 "
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("text", ["zażółć 🦊 \u2028 \ufeff", 'quotes " and \\ and \t', "data: [DONE]\n\ndata: x"])
@pytest.mark.parametrize("stream", [False, True])
def test_any_text_comes_back_as_it_was(openai: OpenAI, text: str, stream: bool) -> None:
    messages = said(f"[[text:{text}]]")
    if stream:
        assert gathered(list(openai.chat.completions.create(model=MODEL, messages=messages, stream=True))) == text
    else:
        assert openai.chat.completions.create(model=MODEL, messages=messages).choices[0].message.content == text


def test_the_client_s_headers_stay_here(openai: OpenAI, stand: Stand) -> None:
    headers = {"X-Secret": "canary", "Cookie": "canary", "OpenAI-Organization": "canary"}
    openai.chat.completions.create(model=MODEL, messages=said("Hello"), extra_headers=headers)
    received = stand.chats[-1]
    assert "canary" not in str(received.headers)
    assert "any key" not in str(received.headers)
    assert (received.header("User-Agent") or "").startswith("cody-oai-router ")


@sees_tools
def test_a_tool_round_trip(openai: OpenAI) -> None:
    messages = said("What is the weather in Paris?")
    asked = openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER, CLOCK])
    assert asked.choices[0].finish_reason == "tool_calls"
    assert asked.choices[0].message.content is None
    (call,) = calls_of(asked)
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city"}
    told = openai.chat.completions.create(
        model=MODEL, messages=[*messages, as_said(asked), as_result(call.id, "sunny")], tools=[WEATHER, CLOCK]
    )
    assert told.choices[0].message.content == "The tool answered: sunny"
    assert told.choices[0].finish_reason == "stop"


@sees_tools
def test_a_streamed_tool_round_trip(openai: OpenAI) -> None:
    messages = said("What is the weather in Paris?")
    with openai.chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER, CLOCK]) as stream:
        events = list(stream)
        asked = stream.get_final_completion()
    done = [event for event in events if isinstance(event, FunctionToolCallArgumentsDoneEvent)]
    assert [(event.index, event.name) for event in done] == [(0, "get_weather")]
    assert asked.choices[0].finish_reason == "tool_calls"
    (call,) = calls_of(asked)
    chunks = openai.chat.completions.create(
        model=MODEL,
        messages=[*messages, as_said(asked), as_result(call.id, "sunny")],
        tools=[WEATHER, CLOCK],
        stream=True,
    )
    assert gathered(list(chunks)) == "The tool answered: sunny"


@sees_tools
@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_of_many_turns_with_tools(openai: OpenAI, stream: bool) -> None:
    messages: list[ChatCompletionMessageParam] = [SYSTEM]
    for round_, city in enumerate(("Rome", "Oslo", "Bern")):
        arguments = json.dumps({"city": city})
        messages += said(f"[[call:get_weather {arguments}]]")
        asked = _finished(openai, messages, stream=stream)
        (call,) = calls_of(asked)
        assert (call.function.name, call.function.arguments) == ("get_weather", arguments)
        assert asked.choices[0].finish_reason == "tool_calls"
        messages += [as_said(asked), as_result(call.id, f"{round_} degrees")]
        told = _finished(openai, messages, stream=stream)
        assert told.choices[0].message.content == f"The tool answered: {round_} degrees"
        assert told.choices[0].finish_reason == "stop"
        messages.append(as_said(told))


def _finished(openai: OpenAI, messages: list[ChatCompletionMessageParam], *, stream: bool) -> ChatCompletion:
    if not stream:
        return openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER, CLOCK])
    with openai.chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER, CLOCK]) as events:
        return events.get_final_completion()


@sees_tools
@pytest.mark.parametrize("stream", [False, True])
def test_parallel_calls(openai: OpenAI, stream: bool) -> None:
    messages = said('[[call:get_weather {"city":"Rome"}]] [[call:get_clock {"zone":"CET"}]]')
    asked: ChatCompletion
    if stream:
        with openai.chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER, CLOCK]) as events:
            asked = events.get_final_completion()
    else:
        asked = openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER, CLOCK])
    calls = calls_of(asked)
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("get_weather", '{"city":"Rome"}'),
        ("get_clock", '{"zone":"CET"}'),
    ]
    assert len({call.id for call in calls}) == 2
    results = [as_result(call.id, f"result {number}") for number, call in enumerate(calls)]
    told = openai.chat.completions.create(model=MODEL, messages=[*messages, as_said(asked), *results], tools=[WEATHER])
    assert told.choices[0].message.content == "The tool answered: result 0 | result 1"


def test_the_bytes_of_streamed_calls(new_openai: OpenAI) -> None:
    with new_openai.chat.completions.with_streaming_response.create(
        model=MODEL, messages=said("[[calls:2]]"), tools=[WEATHER, CLOCK], stream=True
    ) as raw:
        chunks = strict_chunks(raw.read().decode())
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    starts = [piece for piece in pieces if piece.id]
    assert [piece.index for piece in starts] == [0, 1]
    assert all(piece.type == "function" and piece.function and piece.function.name for piece in starts)
    assert [piece for piece in pieces if not piece.id and piece.function and piece.function.name] == []
    assert finish_words(chunks) == ["tool_calls"]


def test_the_functions_of_old(new_openai: OpenAI) -> None:
    messages = said("What is the weather in Paris?")
    functions: Any = [WEATHER["function"]]
    asked = new_openai.chat.completions.create(model=MODEL, messages=messages, functions=functions)
    call = asked.choices[0].message.function_call
    assert call is not None
    assert call.name == "get_weather"
    assert asked.choices[0].finish_reason == "function_call"
    assert asked.choices[0].message.tool_calls is None
    result: ChatCompletionMessageParam = {"role": "function", "name": "get_weather", "content": "sunny"}
    told = new_openai.chat.completions.create(
        model=MODEL, messages=[*messages, as_said(asked), result], functions=functions
    )
    assert told.choices[0].message.content == "The tool answered: sunny"
    chunks = list(new_openai.chat.completions.create(model=MODEL, messages=messages, functions=functions, stream=True))
    pieces = [chunk.choices[0].delta.function_call for chunk in chunks]
    assert "".join(piece.name or "" for piece in pieces if piece) == "get_weather"
    assert json.loads("".join(piece.arguments or "" for piece in pieces if piece)) == json.loads(call.arguments)
    assert finish_words(chunks) == ["function_call"]


def test_a_list_of_models(openai: OpenAI) -> None:
    raw = openai.models.with_raw_response.list()
    models = list(raw.parse())
    assert models
    assert {model.object for model in models} == {"model"}
    for row in json.loads(raw.content)["data"]:
        strictly(Model, json.dumps(row))
    ids = [model.id for model in models]
    assert "gpt-4o" in ids
    assert "openai::2024-02-01::gpt-4o" in ids


def test_each_listed_model_can_be_retrieved_and_asked(openai: OpenAI) -> None:
    for model in openai.models.list():
        assert openai.models.retrieve(model.id) == model
        if model.owned_by == "WorkersAI":  # listed, but refused by the LLM API for its capitals (contract §8, trap 54)
            continue
        answer = openai.chat.completions.create(model=model.id, messages=said("Hello"))
        assert answer.choices[0].message.content == "You said: Hello"
        assert answer.model == model.id


def test_a_model_with_a_slash(newest: Stand) -> None:
    with (
        Stand("6.12", MODEL_ALIASES="team/fast=gpt-4o") as aliased,
        client(aliased.base_url) as openai,
    ):
        assert openai.models.retrieve("team/fast").id == "team/fast"
        answer = openai.chat.completions.create(model="team/fast", messages=said("Hello"))
    assert answer.model == "team/fast"
    assert newest.chats == []


@pytest.mark.parametrize("suffix", ["", "/v1", "/v1/", "/v1/v1"])
def test_base_urls_in_every_way(newest: Stand, suffix: str) -> None:
    with client(newest.address + suffix) as openai:
        answer = openai.chat.completions.create(model=MODEL, messages=said("Hello"))
        assert answer.choices[0].message.content == "You said: Hello"
        assert openai.models.retrieve("gpt-4o").id == "gpt-4o"


def test_one_connection_serves_all(new_openai: OpenAI, newest: Stand) -> None:
    for stream in (True, False, True):
        answer: Any = new_openai.chat.completions.create(model=MODEL, messages=said("Hello"), stream=stream)
        if stream:
            assert gathered(list(answer)) == "You said: Hello"
    assert len({received.connection for received in newest.chats}) == 1


def test_a_stream_arrives_as_it_is_made(new_openai: OpenAI, newest: Stand) -> None:
    stream = new_openai.chat.completions.create(model=MODEL, messages=said("[[mid-hold:here]][[words:4]]"), stream=True)
    seen = ""
    while seen != "word1 word2 ":
        seen += next(stream).choices[0].delta.content or ""
    newest.wait(newest.simulator.held("here"))
    newest.release("here")
    assert seen + gathered(list(stream)) == "word1 word2 word3 word4"


def test_heartbeats_are_not_seen() -> None:
    with Stand("6.12", HEAD_HOLD="0.05", HEARTBEAT_INTERVAL="0.05") as stand, client(stand.base_url) as openai:
        with openai.chat.completions.with_streaming_response.create(
            model=MODEL, messages=said("[[hold:start]]Hello"), stream=True
        ) as raw:
            lines = raw.iter_lines()
            assert [next(lines) for _ in range(4)] == [": keep-alive", "", ": keep-alive", ""]
            stand.release("start")
            body = "\n".join(line for line in lines)
        assert gathered(strict_chunks(body[body.index("data:") :] + "\n")) == "You said: Hello"
        stand.reset()
        chunks = openai.chat.completions.create(model=MODEL, messages=said("[[silence:0.3]]Hello"), stream=True)
        assert gathered(list(chunks)) == "You said: Hello"


def test_asynchronously(stand: Stand) -> None:
    async def talk() -> None:
        async with async_client(stand.base_url) as openai:
            answer = await openai.chat.completions.create(model=MODEL, messages=said("Hello"))
            assert answer.choices[0].message.content == "You said: Hello"
            assert await streamed(openai, "one two") == "You said: one two"
            async with openai.chat.completions.stream(model=MODEL, messages=said("one")) as stream:
                final = await stream.get_final_completion()
            assert final.choices[0].message.content == "You said: one"
            raw = await openai.chat.completions.with_raw_response.create(model=MODEL, messages=said("Hello"))
            strictly(ChatCompletion, raw.content)
            assert "gpt-4o" in [model.id async for model in openai.models.list()]

    asyncio.run(talk())


def test_an_asynchronous_tool_round_trip(newest: Stand) -> None:
    async def talk() -> str | None:
        messages = said("What is the weather in Paris?")
        async with async_client(newest.base_url) as openai:
            asked = await openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
            (call,) = calls_of(asked)
            told = await openai.chat.completions.create(
                model=MODEL, messages=[*messages, as_said(asked), as_result(call.id, "sunny")], tools=[WEATHER]
            )
        return told.choices[0].message.content

    assert asyncio.run(talk()) == "The tool answered: sunny"


def test_fifty_streams_at_once(stand: Stand) -> None:
    async def talk() -> list[str]:
        async with async_client(stand.base_url) as openai:
            return await asyncio.gather(*(streamed(openai, f"[[words:20]] {number}") for number in range(50)))

    expected = " ".join(f"word{number}" for number in range(1, 21))
    assert asyncio.run(talk()) == [expected] * 50
    assert len(stand.chats) == 50


def as_said(answer: ChatCompletion) -> ChatCompletionMessageParam:
    """The assistant's message as most programs send it back: the very object that came."""
    return cast("ChatCompletionMessageParam", answer.choices[0].message)


def as_result(call_id: str, text: str) -> ChatCompletionMessageParam:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


async def streamed(openai: AsyncOpenAI, text: str) -> str:
    chunks: AsyncIterator[ChatCompletionChunk] = await openai.chat.completions.create(
        model=MODEL, messages=said(text), stream=True
    )
    return gathered([chunk async for chunk in chunks])
