"""What providers find wrong is said inside the 200 of Cody's stream (contract §4.3, §4.4)."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.complaints import GATEWAY, complaint
from cody_oai_router.simulator.stream_request import Asked, read_request

CLAUDE = "anthropic::2024-10-22::claude-sonnet-4-5-latest"
THINKING = "anthropic::2024-10-22::claude-sonnet-4-5-thinking-latest"
OLD = "anthropic::2023-06-01::claude-3.5-sonnet"
GEMINI = "google::v1::gemini-2.5-pro"
SYSTEM = {"speaker": "system", "text": "be brief"}
HI = {"speaker": "human", "text": "hi"}
YO = {"speaker": "assistant", "text": "yo"}
EMPTY = "message content cannot be empty"


def wrong(*messages: Any, version: int = 9, profile: str = "6.12", options: Any = None, **fields: Any) -> str | None:
    instance = Simulator(profile, **(options or {})).instance
    body = {"model": CLAUDE, "messages": messages, "maxTokensToSample": 100, **fields}
    asked = read_request({**body, "messages": list(messages)}, version, instance)
    assert isinstance(asked, Asked)
    return complaint(asked, instance)


def provider(said: str | None) -> str:
    """Digs out what the provider said."""
    assert said is not None
    assert said.startswith(f"{GATEWAY}400: ")
    error = json.loads(said.removeprefix(f"{GATEWAY}400: "))
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    return str(error["error"]["message"])


def call(*ids: str, arguments: str = "{}", text: str = "let me see") -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    calls = [{"type": "tool_call", "tool_call": {"id": one, "name": "f", "arguments": arguments}} for one in ids]
    return {"speaker": "assistant", "content": [*parts, *calls]}


def results(*ids: str) -> dict[str, Any]:
    parts = [{"type": "tool_result", "tool_result": {"id": one, "content": "sunny"}} for one in ids]
    return {"speaker": "human", "content": parts}


def image(url: str) -> dict[str, Any]:
    return {"speaker": "human", "content": [{"type": "image_url", "image_url": {"url": url}}]}


def tool(name: str = "f", parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {"type": "object"}}}


@pytest.mark.parametrize(
    "messages",
    [
        [HI],
        [SYSTEM, HI, YO, HI],
        [HI, HI],
        [HI, call("a"), results("a")],
        [HI, call("a", "b"), results("b", "a"), YO, HI],
        [HI, call("a"), {**results("a"), "content": [*results("a")["content"], {"type": "text", "text": "and?"}]}],
    ],
)
def test_nothing_is_wrong(messages: list[Any]) -> None:
    assert wrong(*messages, tools=[tool()]) is None


@pytest.mark.parametrize(
    ("version", "messages", "text"),
    [
        (0, [SYSTEM, HI], "expected message speaker to be 'human' or 'assistant', got system"),
        (9, [{"speaker": "tool", "text": "x"}], "expected message speaker to be 'human' or 'assistant', got tool"),
        (1, [HI, SYSTEM], "system role can only be used in the first message"),
        (9, [SYSTEM, SYSTEM, HI], "system role can only be used in the first message"),
        (9, [{"speaker": "human"}], EMPTY),
        (9, [HI, {"speaker": "assistant", "text": ""}], EMPTY),
        (9, [{"speaker": "system", "text": ""}, HI], EMPTY),
        (9, [HI, call("a", text=""), results("a")], EMPTY),
    ],
)
def test_sourcegraphs_own_words(version: int, messages: list[Any], text: str) -> None:
    assert wrong(*messages, version=version) == text


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], "messages: at least one message is required"),
        ([SYSTEM], "messages: at least one message is required"),
        (
            [{"speaker": "human", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": ""}]}],
            "messages: text content blocks must be non-empty",
        ),
        ([YO, HI], 'messages: first message must use the "user" role'),
        (
            [HI, YO],
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ),
        ([HI, call("a", arguments=""), results("a")], "messages: tool_use.input: Input should be a valid dictionary"),
        ([HI, call(""), results("")], "messages: tool_use.input: Input should be a valid dictionary"),
        (
            [SYSTEM, HI, call("a", "b"), results("b"), YO, HI],
            (
                "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a. Each `tool_use` "
                "block must have a corresponding `tool_result` block in the next message."
            ),
        ),
        (
            [HI, YO, results("z")],
            (
                "messages.2: unexpected `tool_use_id` found in `tool_result` blocks: z. Each `tool_result` block must have "
                "a corresponding `tool_use` block in the previous message."
            ),
        ),
        (
            [results("z")],
            (
                "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: z. Each `tool_result` block must have "
                "a corresponding `tool_use` block in the previous message."
            ),
        ),
    ],
)
def test_a_providers_words(messages: list[Any], text: str) -> None:
    assert provider(wrong(*messages)) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"maxTokensToSample": None, "max_tokens": 100}, "max_tokens: Field required"),
        ({"maxTokensToSample": 0}, "max_tokens: Field required"),
        ({"model": THINKING, "maxTokensToSample": 1024}, "max_tokens should be greater than thinking.budget_tokens"),
        ({"temperature": 1.5}, "temperature: range: 0..1"),
        ({"tools": [tool(), tool()]}, "tools: Tool names must be unique."),
        ({"tools": [tool(""), tool()]}, "tools.0.custom.name: String should have at least 1 character"),
        (
            {"tools": [tool(), tool("g", {"type": "array"})]},
            "tools.1.custom.input_schema.type: Input should be 'object'",
        ),
        ({"tools": [tool("g", ["x"])]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
    ],
)
def test_fields_that_a_provider_refuses(fields: dict[str, Any], text: str) -> None:
    assert provider(wrong(HI, **fields)) == text


@pytest.mark.parametrize(
    "fields",
    [{"model": THINKING, "maxTokensToSample": 1025}, {"temperature": 1}, {"model": "gpt-4o", "temperature": 2}],
)
def test_fields_that_are_within_bounds(fields: dict[str, Any]) -> None:
    assert wrong(HI, **fields) is None


@pytest.mark.parametrize("media", ["image/png", "image/jpeg", "image/webp", "image/gif"])
def test_images_that_are_seen(media: str) -> None:
    assert wrong(image(f"data:{media};base64,iVBORw0KGgo=")) is None


@pytest.mark.parametrize(
    "media", ["image/heic", "image/heif", "image/bmp", "image/tiff", "image/avif", "image/svg+xml", "application/pdf"]
)
def test_types_of_image_that_fail(media: str) -> None:
    message = image(f"data:{media};base64,AAAA")
    assert provider(wrong(message)).startswith("messages: image.source.media_type: Input should be 'image/jpeg'")
    assert wrong(message, model="o3") is None


@pytest.mark.parametrize("url", ["https://example.com/a.png", "data:image/png,raw", "data:image/png;base64,???", ""])
def test_what_is_no_data_url_fails(url: str) -> None:
    assert "only base64-encoded data URLs" in provider(wrong(image(url)))


@pytest.mark.parametrize(
    ("options", "model", "text"),
    [
        ({"alternation": True}, CLAUDE, "found consecutive messages with the same speaker"),
        ({"alternation": True}, GEMINI, "consistent speaker role is not allowed"),
        ({"alternation": [GEMINI]}, CLAUDE, None),
        ({"alternation": True}, "gpt-4o", None),
    ],
)
def test_some_providers_want_the_speakers_to_take_turns(options: Any, model: str, text: str | None) -> None:
    assert wrong(SYSTEM, HI, HI, model=model, options=options) == text


@pytest.mark.parametrize(("prefill", "model", "fine"), [(None, OLD, True), (True, CLAUDE, True), (False, OLD, False)])
def test_prefill(prefill: bool | None, model: str, fine: bool) -> None:
    assert (wrong(HI, YO, model=model, options={"prefill": prefill}) is None) is fine


def test_only_claude_minds_who_speaks_first() -> None:
    assert wrong(YO, HI, model="gpt-4o") is None


@pytest.mark.parametrize(("stream", "fine"), [(None, False), (True, False), (False, True)])
def test_a_model_that_cannot_stream(stream: bool | None, fine: bool) -> None:
    said = wrong(HI, model="o4-mini-high", stream=stream, options={"catalogue": "57"})
    assert said is None if fine else provider(said) == "this model does not support streaming"
