"""What the official SDK builds on the half of OpenAI's API that upstream ignores: parsed objects, forced tools, several choices."""

import json
from collections.abc import Iterator
from typing import Any

import openai as sdk
import pydantic
import pytest
from openai import OpenAI
from openai.lib.streaming.chat import ContentDoneEvent
from openai.types.chat import ChatCompletion, ParsedChatCompletion

from clients.sdk import MODEL, WEATHER, async_client, client, said, strict_chunks, strictly
from clients.stand import STREAM, Stand
from cody_oai_router.simulator import Reply, Text

# Tools go as they are on the newest, in words before 6.0.
on_both_kinds = pytest.mark.parametrize("_stand", ["5.8", "6.12"], indirect=True)


class Step(pydantic.BaseModel):
    explanation: str
    output: str


class Solution(pydantic.BaseModel):
    steps: list[Step]
    answer: int
    unit: str | None


class GetWeather(pydantic.BaseModel):
    """Gets the weather of a city."""

    city: str
    days: int


SOLUTION = {"steps": [{"explanation": "add", "output": "4"}], "answer": 4, "unit": None}
ASKED = said(f"[[text:Here you are:\n```json\n{json.dumps(SOLUTION)}\n```]]")
EXPECTED = Solution.model_validate(SOLUTION)
WRONG = json.dumps(SOLUTION | {"answer": "four"})


@pytest.fixture
def openai(stand: Stand) -> Iterator[OpenAI]:
    with client(stand.base_url) as made:
        yield made


@pytest.fixture
def new_openai(newest: Stand) -> Iterator[OpenAI]:
    with client(newest.base_url) as made:
        yield made


def parsed(openai: OpenAI, *, stream: bool, **fields: Any) -> ParsedChatCompletion[Any]:
    """Asks through the helper for whole answers, or the one for streams."""
    if not stream:
        return openai.chat.completions.parse(**fields)
    with openai.chat.completions.stream(**fields) as events:
        return events.get_final_completion()


def wrong(stand: Stand, times: int) -> None:
    """Has the model give an answer that does not fit, whichever road the next requests take."""
    for path in (STREAM, "/.api/llm/chat/completions"):
        stand.simulator.queue(Reply((Text(WRONG),)), path, times)


@on_both_kinds
def test_a_parsed_answer_is_the_object(openai: OpenAI) -> None:
    answer = openai.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Solution)
    assert answer.choices[0].message.parsed == EXPECTED
    assert answer.choices[0].message.refusal is None


@on_both_kinds
def test_a_streamed_answer_is_parsed_too(openai: OpenAI) -> None:
    with openai.chat.completions.stream(model=MODEL, messages=ASKED, response_format=Solution) as stream:
        done = [event.parsed for event in stream if isinstance(event, ContentDoneEvent)]
        final = stream.get_final_completion()
    assert done == [EXPECTED]
    assert final.choices[0].message.parsed == EXPECTED


@on_both_kinds
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_does_not_fit_is_put_right_before_it_is_seen(openai: OpenAI, stand: Stand, stream: bool) -> None:
    openai.chat.completions.create(model=MODEL, messages=said("Hello"))  # an old instance has to be learnt first
    stand.reset()
    wrong(stand, 1)
    for path in (STREAM, "/.api/llm/chat/completions"):
        stand.simulator.queue(Reply((Text(json.dumps(SOLUTION)),)), path)
    answer = parsed(openai, stream=stream, model=MODEL, messages=ASKED, response_format=Solution)
    assert answer.choices[0].message.parsed == EXPECTED
    assert len(stand.chats) == 2


@on_both_kinds
def test_an_answer_that_never_fits_is_an_error_that_the_sdk_does_not_repeat(stand: Stand) -> None:
    with client(stand.base_url, max_retries=2) as openai:
        openai.chat.completions.create(model=MODEL, messages=said("Hello"))
        stand.reset()
        wrong(stand, 10)
        with pytest.raises(sdk.UnprocessableEntityError) as caught:
            openai.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Solution)
    assert (caught.value.code, caught.value.param) == ("output_against_schema", "response_format")
    assert len(stand.chats) == 2


def test_a_tool_that_is_not_called_is_an_error_that_the_sdk_does_not_repeat(newest: Stand) -> None:
    with client(newest.base_url, max_retries=2) as openai:
        newest.simulator.queue(Reply((Text("No."),)), STREAM, 10)
        with pytest.raises(sdk.UnprocessableEntityError) as caught:
            openai.chat.completions.create(
                model=MODEL, messages=said("Hello"), tools=[WEATHER], tool_choice="required", stream=True
            )
    assert (caught.value.code, caught.value.param) == ("tool_choice_not_kept", "tool_choice")
    assert len(newest.chats) == 2


@on_both_kinds
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "GetWeather"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_a_forced_tool_is_called_with_arguments_of_its_model(openai: OpenAI, choice: Any, stream: bool) -> None:
    fields: dict[str, Any] = {
        "model": MODEL,
        "messages": said('[[call:GetWeather {"city":"Oslo","days":2}]]'),
        "tools": [sdk.pydantic_function_tool(GetWeather)],
        "tool_choice": choice,
    }
    calls = parsed(openai, stream=stream, **fields).choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.parsed_arguments for call in calls] == [GetWeather(city="Oslo", days=2)]


@on_both_kinds
@pytest.mark.parametrize("stream", [False, True])
def test_one_call_at_a_time(openai: OpenAI, stream: bool) -> None:
    fields: dict[str, Any] = {
        "model": MODEL,
        "messages": said('[[call:GetWeather {"city":"Oslo","days":2}]] [[call:GetWeather {"city":"Rome","days":1}]]'),
        "tools": [sdk.pydantic_function_tool(GetWeather)],
        "parallel_tool_calls": False,
    }
    calls = parsed(openai, stream=stream, **fields).choices[0].message.tool_calls
    assert calls is not None
    assert [call.function.parsed_arguments for call in calls] == [GetWeather(city="Oslo", days=2)]


@on_both_kinds
def test_several_choices(openai: OpenAI) -> None:
    raw = openai.chat.completions.with_raw_response.create(model=MODEL, messages=said("Hello"), n=2)
    answer = strictly(ChatCompletion, raw.content)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [choice.message.content for choice in answer.choices] == ["You said: Hello"] * 2
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@on_both_kinds
def test_several_streamed_choices(openai: OpenAI) -> None:
    with openai.chat.completions.stream(model=MODEL, messages=said("Hello"), n=2) as stream:
        final = stream.get_final_completion()
    assert [(choice.index, choice.message.content) for choice in final.choices] == [
        (0, "You said: Hello"),
        (1, "You said: Hello"),
    ]
    with openai.chat.completions.with_streaming_response.create(
        model=MODEL, messages=said("Hello"), n=2, stream=True, stream_options={"include_usage": True}
    ) as raw:
        *chunks, last = strict_chunks(raw.read().decode())
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}
    assert last.usage is not None


@on_both_kinds
def test_several_parsed_choices(openai: OpenAI) -> None:
    answer = openai.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Solution, n=2)
    assert [choice.message.parsed for choice in answer.choices] == [EXPECTED] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_json_that_is_cut_off_is_told_by_its_length(new_openai: OpenAI, stream: bool) -> None:
    fields: dict[str, Any] = {"model": MODEL, "messages": ASKED, "response_format": Solution, "max_tokens": 5}
    with pytest.raises(sdk.LengthFinishReasonError):
        parsed(new_openai, stream=stream, **fields)


def test_json_that_is_none_breaks_a_stream(new_openai: OpenAI) -> None:
    chunks = new_openai.chat.completions.create(
        model=MODEL, messages=said('[[text:{"a": 1]]'), response_format={"type": "json_object"}, stream=True
    )
    with pytest.raises(sdk.APIError, match="ended before it was complete"):
        list(chunks)


def test_a_schema_that_is_none_is_a_bad_request(newest: Stand, new_openai: OpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "text"}}}
    with pytest.raises(sdk.BadRequestError, match="Invalid schema for response_format 'x'"):
        new_openai.chat.completions.create(model=MODEL, messages=said("Hello"), response_format=form)
    assert newest.chats == []


def test_a_parsed_answer_asynchronously(newest: Stand) -> None:
    async def talk() -> Solution | None:
        async with async_client(newest.base_url) as openai:
            answer = await openai.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Solution)
        return answer.choices[0].message.parsed

    assert newest.wait(talk()) == EXPECTED
