"""The official OpenAI SDK raises the exception that fits each failure, with the message that the router wrote."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk

from clients.sdk import MODEL, WEATHER, async_client, client, said
from clients.stand import PROFILES, Stand
from cody_oai_router.simulator import Fault, faults

DENIAL: Final = "the provider says why"
# Needs no listing of the instance's models, which the shortest timeouts might cut off on a busy machine.
REFERENCE: Final = "openai::2024-02-01::gpt-4o"


@pytest.fixture(scope="module", params=PROFILES)
def _stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    """A stand that has one road only: on the other one a 403 would be an answer."""
    with Stand(request.param, SOURCEGRAPH_API="llm") as stand:
        yield stand


@pytest.fixture
def sdk(stand: Stand) -> Iterator[OpenAI]:
    with client(stand.base_url) as made:
        yield made


@pytest.fixture
def new_sdk(newest: Stand) -> Iterator[OpenAI]:
    with client(newest.base_url) as made:
        yield made


def ask(sdk: OpenAI, text: str = "Hello", *, model: str = MODEL, **fields: Any) -> str:
    """Asks and reads the answer to its end, streamed or not."""
    answer: Any = sdk.chat.completions.create(model=model, messages=said(text), **fields)
    if fields.get("stream"):
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    return str(answer.choices[0].message.content)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (502, openai.InternalServerError),
        (503, openai.InternalServerError),
        (504, openai.InternalServerError),
    ],
)
def test_each_status_of_the_instance(
    sdk: OpenAI, stand: Stand, status: int, exception: type[openai.APIStatusError], stream: bool
) -> None:
    stand.queue(faults.problem(status, DENIAL))
    with pytest.raises(exception) as caught:
        ask(sdk, stream=stream)
    assert caught.value.status_code == status
    assert DENIAL in caught.value.message
    assert set(error_of(caught.value)) == {"message", "type", "param", "code"}
    assert caught.value.request_id is not None
    assert len(stand.chats) == 1


@pytest.mark.parametrize(
    ("messages", "fields", "param"),
    [
        ([], {}, "messages"),
        ([{"role": "wizard", "content": "x"}], {}, "messages[0].role"),
        (said("x"), {"temperature": 3}, "temperature"),
        (said("x"), {"logprobs": True}, "logprobs"),
        (said("x"), {"modalities": ["text", "audio"]}, "modalities"),
        (said("x"), {"tools": [WEATHER, WEATHER]}, "tools"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}],
            {},
            "messages[0].content[0]",
        ),
    ],
)
def test_what_cannot_be_carried(sdk: OpenAI, stand: Stand, messages: Any, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model=MODEL, messages=messages, **fields)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert stand.chats == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model(sdk: OpenAI, stand: Stand, stream: bool) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(model="mistral-large", messages=said("Hello"), stream=stream)
    assert caught.value.code == "model_not_found"
    assert "Nearest: `" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("mistral-large")
    assert stand.chats == []


def test_what_is_not_served(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.embeddings.create(model=MODEL, input="Hello")
    assert "POST /v1/embeddings" in unknown.value.message
    with pytest.raises(openai.APIStatusError) as wrong:
        sdk.chat.completions.list()
    assert wrong.value.status_code == 405


def test_a_large_request_is_refused_by_its_length() -> None:
    with (
        Stand("6.12", MAX_BODY_BYTES="10KB") as small,
        client(small.base_url) as sdk,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        ask(sdk, "x" * 2_000_000)
    assert caught.value.status_code == 413


def test_a_gated_instance() -> None:
    with (
        Stand("6.8-gated", SOURCEGRAPH_API="llm") as gated,
        client(gated.base_url) as sdk,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        ask(sdk)
    assert "licence feature" in caught.value.message


def test_an_instance_that_cannot_be_reached() -> None:
    with Stand("6.12") as stand, client(stand.base_url) as sdk:
        stand.wait(stand.simulator.stop())
        with pytest.raises(openai.InternalServerError) as caught:
            ask(sdk)
    assert caught.value.status_code == 502
    assert "127.0.0.1" in caught.value.message


@pytest.mark.parametrize(("form", "said_to_client"), [("seconds", "512"), ("x-reset-seconds", "60"), ("zero", "0")])
@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_says_when_to_come_back(
    sdk: OpenAI, stand: Stand, form: str, said_to_client: str, stream: bool
) -> None:
    stand.queue(faults.rate_limited(form, now=time.time()))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(sdk, stream=stream)
    assert caught.value.response.headers["retry-after"] == said_to_client
    assert caught.value.code == "rate_limit_exceeded"


def test_the_sdk_comes_back_after_the_time_it_was_told(stand: Stand) -> None:
    stand.queue(faults.status(429, "slow down", [("Retry-After", "1")]))
    with client(stand.base_url, max_retries=2) as sdk:
        begun = time.monotonic()
        assert ask(sdk) == "You said: Hello"
    assert time.monotonic() - begun >= 1
    assert len(stand.chats) in (2, 3)  # an instance before 6.0 teaches in the third that it does not stream


def test_the_sdk_gives_up_at_once_where_the_wait_is_too_long(newest: Stand) -> None:
    newest.queue(faults.rate_limited("seconds", now=time.time()), times=3)
    with client(newest.base_url, max_retries=2) as sdk, pytest.raises(openai.RateLimitError):
        ask(sdk)
    assert len(newest.chats) == 1


def test_a_permanent_failure_is_not_tried_again(newest: Stand) -> None:
    newest.queue(faults.problem(400, DENIAL), times=3)
    with client(newest.base_url, max_retries=2) as sdk, pytest.raises(openai.BadRequestError):
        ask(sdk)
    assert len(newest.chats) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_inside_a_200_is_an_error(new_sdk: OpenAI, newest: Stand, stream: bool) -> None:
    newest.queue(faults.error_first())
    with pytest.raises(openai.InternalServerError) as caught:
        ask(new_sdk, stream=stream)
    assert caught.value.status_code == 504
    assert "context deadline exceeded" in caught.value.message


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.error_after(3), "context deadline exceeded"),
        (faults.broken_after(3), "connection"),
        (faults.broken_after(3, reset=True), "connection"),
    ],
)
def test_a_failure_in_mid_stream(new_sdk: OpenAI, newest: Stand, fault: Fault, message: str) -> None:
    newest.queue(fault)
    stream = new_sdk.chat.completions.create(model=MODEL, messages=said("[[words:9]]"), stream=True)
    seen: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError, match=message):
        seen.extend(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in seen) == "word1 word2 word3 "
    assert [chunk for chunk in seen if chunk.choices[0].finish_reason] == []


def test_a_failure_in_mid_stream_through_the_helper(new_sdk: OpenAI, newest: Stand) -> None:
    newest.queue(faults.error_after(3))
    with (
        pytest.raises(openai.APIError, match="context deadline exceeded"),
        new_sdk.chat.completions.stream(model=MODEL, messages=said("[[words:9]]")) as stream,
    ):
        stream.until_done()


def test_a_broken_stream_is_broken_for_those_who_skip_error_events(new_sdk: OpenAI, newest: Stand) -> None:
    newest.queue(faults.broken_after(3))
    with new_sdk.chat.completions.with_streaming_response.create(
        model=MODEL, messages=said("[[words:9]]"), stream=True
    ) as raw:
        seen: list[str] = []
        with pytest.raises(Exception, match="incomplete chunked read"):
            seen.extend(raw.iter_lines())
    assert "word3" in "".join(seen)
    assert "data: [DONE]" not in seen
    assert '"finish_reason":"stop"' not in "".join(seen)


@pytest.mark.parametrize("fault", [faults.broken_after(3), faults.broken_after(3, reset=True), faults.error_after(3)])
def test_a_whole_answer_that_broke_off(new_sdk: OpenAI, newest: Stand, fault: Fault) -> None:
    newest.queue(fault)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(new_sdk, "[[words:9]]")
    assert caught.value.status_code in (502, 504)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [faults.empty(), faults.drop()])
def test_a_hiccup_is_not_noticed(new_sdk: OpenAI, newest: Stand, fault: Fault, stream: bool) -> None:
    ask(new_sdk)  # leaves a pooled connection, which `drop` then shows as dead
    newest.queue(fault)
    assert ask(new_sdk, stream=stream) == "You said: Hello"


def test_an_answer_without_the_end_of_its_body_is_complete(new_sdk: OpenAI, newest: Stand) -> None:
    newest.queue(faults.unterminated())
    assert ask(new_sdk, stream=True) == "You said: Hello"


@pytest.mark.parametrize("stream", [False, True])
def test_silence_before_the_first_byte(stream: bool) -> None:
    with Stand("6.12", FIRST_BYTE_TIMEOUT="0.2") as stand, client(stand.base_url) as sdk:
        with pytest.raises(openai.InternalServerError) as caught:
            ask(sdk, "[[hold:x]]", model=REFERENCE, stream=stream)
        stand.wait(stand.chats[-1].disconnected.wait())
    assert caught.value.status_code == 504
    assert "FIRST_BYTE_TIMEOUT" in caught.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_silence_in_the_middle(stream: bool) -> None:
    with Stand("6.12", IDLE_TIMEOUT="0.2") as stand, client(stand.base_url) as sdk:
        with pytest.raises(openai.APIError, match="IDLE_TIMEOUT"):
            ask(sdk, "[[mid-hold:x]][[words:4]]", model=REFERENCE, stream=stream)
        stand.wait(stand.chats[-1].disconnected.wait())


def test_a_router_that_is_not_there(newest: Stand) -> None:
    with Stand("6.12") as stopped:
        address = stopped.base_url
    with client(address) as sdk, pytest.raises(openai.APIConnectionError):
        ask(sdk)
    assert newest.chats == []


def test_a_router_that_stops_in_mid_stream() -> None:
    with Stand("6.12", SHUTDOWN_GRACE="0.1") as stand, client(stand.base_url) as sdk:
        stream = sdk.chat.completions.create(model=MODEL, messages=said("[[mid-hold:x]][[words:4]]"), stream=True)
        assert next(stream).choices[0].delta.role == "assistant"
        stand.stop()
        with pytest.raises(openai.APIError) as caught:
            list(stream)
        assert caught.value.message == "The router is shutting down; ask again when it is back."


def test_a_router_that_stops_lets_answers_finish() -> None:
    with Stand("6.12") as stand, client(stand.base_url) as sdk:
        stream = sdk.chat.completions.create(model=MODEL, messages=said("[[mid-hold:x]][[words:4]]"), stream=True)
        begun = next(stream)
        assert begun.choices[0].delta.role == "assistant"
        stand.ask_to_stop()
        stand.release("x")
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "word1 word2 word3 word4"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_gives_up_waiting(newest: Stand, stream: bool) -> None:
    with client(newest.base_url, timeout=1.0) as sdk, pytest.raises(openai.APITimeoutError):
        ask(sdk, "[[hold:x]]", stream=stream)
    newest.wait(newest.simulator.held("x"))
    newest.wait(newest.chats[-1].disconnected.wait())


def test_a_stream_that_is_closed_early(new_sdk: OpenAI, newest: Stand) -> None:
    stream = new_sdk.chat.completions.create(model=MODEL, messages=said("[[mid-hold:x]][[words:4]]"), stream=True)
    next(stream)
    stream.close()
    newest.wait(newest.chats[-1].disconnected.wait())
    assert ask(new_sdk) == "You said: Hello"


@pytest.mark.parametrize("stream", [False, True])
def test_a_cancelled_task(stand: Stand, stream: bool) -> None:
    ask_once(stand)

    async def talk() -> None:
        async with async_client(stand.base_url) as sdk:
            asking = asyncio.create_task(
                sdk.chat.completions.create(model=MODEL, messages=said("[[hold:x]]"), stream=stream)
            )
            await asyncio.to_thread(stand.wait, stand.simulator.held("x"))
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.to_thread(stand.wait, stand.chats[-1].disconnected.wait())

    asyncio.run(talk())


def test_a_cancelled_async_stream(newest: Stand) -> None:
    async def talk() -> None:
        async with async_client(newest.base_url) as sdk:
            stream: AsyncIterator[ChatCompletionChunk] = await sdk.chat.completions.create(
                model=MODEL, messages=said("[[mid-hold:x]][[words:4]]"), stream=True
            )
            reading = asyncio.create_task(read(stream))
            await asyncio.to_thread(newest.wait, newest.simulator.held("x"))
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await asyncio.to_thread(newest.wait, newest.chats[-1].disconnected.wait())

    asyncio.run(talk())


async def read(stream: AsyncIterator[ChatCompletionChunk]) -> None:
    async for _ in stream:
        pass


def ask_once(stand: Stand) -> None:
    """Lets the router learn what the instance cannot do, so that the next question is one request."""
    with client(stand.base_url) as sdk:
        ask(sdk)


def error_of(error: openai.APIStatusError) -> dict[str, Any]:
    body: Any = error.response.json()
    assert set(body) == {"error"}
    return dict(body["error"])
