"""The official Python SDK as a judge: clients that refuse what does not fit their types, and the words of the tasks."""

import ssl
from typing import Any, Final, TypeVar

import pydantic
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionFunctionToolParam, ChatCompletionMessageParam

M = TypeVar("M", bound=pydantic.BaseModel)

# Resolved by the README's promise: it answers wherever the instance has any GPT.
MODEL: Final = "gpt-4"
ANY_KEY: Final = "any key"

WEATHER: Final[ChatCompletionFunctionToolParam] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK: Final[ChatCompletionFunctionToolParam] = {
    "type": "function",
    "function": {
        "name": "get_clock",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
    },
}

# What the router adds to OpenAI's objects on purpose; anything else beside the SDK's fields is a mistake.
_OURS: Final = {
    "reasoning_content",
    "credits",
    "billed_tokens",
    "estimated",
    "cache_creation_input_tokens",
    "context_window",
    "max_output_tokens",
    "capabilities",
}

# No client here uses TLS, and loading the system's authorities takes longer than most of these tests.
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def said(text: str) -> list[ChatCompletionMessageParam]:
    """A conversation of one user message."""
    return [{"role": "user", "content": text}]


def client(base_url: str, *, max_retries: int = 0, timeout: float = 30.0) -> OpenAI:
    """A client that raises where an answer does not fit the SDK's types."""
    return OpenAI(
        base_url=base_url,
        api_key=ANY_KEY,
        max_retries=max_retries,
        timeout=timeout,
        http_client=DefaultHttpxClient(verify=_NO_AUTHORITIES),
        _strict_response_validation=True,
    )


def async_client(base_url: str, *, max_retries: int = 0, timeout: float = 30.0) -> AsyncOpenAI:
    """The same for asyncio."""
    return AsyncOpenAI(
        base_url=base_url,
        api_key=ANY_KEY,
        max_retries=max_retries,
        timeout=timeout,
        http_client=DefaultAsyncHttpxClient(verify=_NO_AUTHORITIES),
        _strict_response_validation=True,
    )


def strictly(model: type[M], raw: str | bytes) -> M:
    """Reads JSON with pydantic in strict mode (no coercion) and fails on any field that the SDK does not know."""
    read = model.model_validate_json(raw, strict=True)
    assert _extras(read) <= _OURS
    return read


def strict_chunks(body: str) -> list[ChatCompletionChunk]:
    """Reads a whole event stream strictly: `data:` frames of chunks, comments, and `[DONE]` as the end."""
    *frames, rest = body.split("\n\n")
    assert rest == ""
    data = [frame for frame in frames if not frame.startswith(":")]
    assert data.pop() == "data: [DONE]"
    return [strictly(ChatCompletionChunk, frame.removeprefix("data: ")) for frame in data]


def _extras(value: Any) -> set[str]:
    match value:
        case pydantic.BaseModel():
            found = set(value.model_extra or ())
            return found.union(*(_extras(getattr(value, name)) for name in type(value).model_fields))
        case list():
            return set[str]().union(*map(_extras, value))
        case _:
            return set()
