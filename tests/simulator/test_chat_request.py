"""What each version refuses, in the contract's words (§2.2 to §2.4)."""

from typing import Any

import pytest

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.chat_request import Chat, read_chat
from cody_oai_router.simulator.refusals import Refusal

SONNET = "anthropic::2023-06-01::claude-3.5-sonnet"
SONNET_4_5 = "anthropic::2024-10-22::claude-sonnet-4-5-latest"
HAIKU = "anthropic::2024-10-22::claude-haiku-4-5-latest"
THINKING = "anthropic::2024-10-22::claude-sonnet-4-5-thinking-latest"
GPT = "openai::2024-02-01::gpt-4o"
USER = {"role": "user", "content": "hello"}
ASSISTANT = {"role": "assistant", "content": "hi"}


def ask(simulator: Simulator, *messages: dict[str, Any], **fields: Any) -> Chat | Refusal:
    body = {"model": SONNET, "messages": list(messages or (USER,)), "max_tokens": 100, **fields}
    return read_chat(body, simulator.instance)


def refused(answer: Chat | Refusal) -> tuple[int, str]:
    assert isinstance(answer, Refusal)
    return answer.status, answer.text


@pytest.mark.parametrize("profile", ["5.6", "6.1", "6.12"])
def test_a_plain_request_is_accepted(profile: str) -> None:
    chat = ask(Simulator(profile), USER, ASSISTANT, USER)
    assert isinstance(chat, Chat)
    roles = [(message.role, message.text) for message in chat.messages]
    assert roles == [("user", "hello"), ("assistant", "hi"), ("user", "hello")]


REFUSED_FIELDS = [
    ("stream_options", {"include_usage": True}, "stream_options is not supported", {"5.6"}),
    ("n", 2, "n must be nil or 1", {"5.6", "6.1", "6.12"}),
    ("seed", 1, "seed is not supported", {"5.6", "6.1", "6.12"}),
    ("service_tier", "auto", "service_tier is not supported", {"5.6", "6.1", "6.12"}),
    ("response_format", {"type": "json_object"}, "response_format is not supported", {"5.6", "6.1", "6.12"}),
    ("user", "me", "user is not supported", {"5.6", "6.1"}),
    ("stream", True, "stream is not supported", {"5.6"}),
]


@pytest.mark.parametrize("profile", ["5.6", "6.1", "6.12"])
@pytest.mark.parametrize(("field", "value", "text", "refusing"), REFUSED_FIELDS)
def test_unsupported_fields(profile: str, field: str, value: object, text: str, refusing: set[str]) -> None:
    answer = ask(Simulator(profile), **{field: value})
    if profile in refusing:
        assert refused(answer) == (400, text)
    else:
        assert isinstance(answer, Chat)
    assert isinstance(ask(Simulator(profile), **{field: None}), Chat)


@pytest.mark.parametrize("profile", ["5.6", "6.12"])
def test_fields_that_are_ignored(profile: str) -> None:
    ignored = {"n": 1, "logprobs": True, "reasoning_effort": "high", "tool_choice": "none", "metadata": {}, "top_p": 0}
    assert isinstance(ask(Simulator(profile), **ignored), Chat)


def test_the_other_name_of_max_tokens_is_ignored() -> None:
    chat = ask(Simulator("6.12"), max_tokens=None, max_completion_tokens=500)
    assert isinstance(chat, Chat)
    assert chat.max_tokens == 16


@pytest.mark.parametrize(
    ("profile", "role", "refusal"),
    [
        ("5.6", "system", (400, "system role is not supported")),
        ("5.6", "tool", (400, "expected message speaker to be 'human' or 'assistant', got tool")),
        ("6.1", "system", (400, "system role is not supported")),
        ("6.12", "system", (400, "system role is not supported")),
        ("6.12", "tool", (400, "invalid value for MessageRole: tool")),
        ("6.12", "developer", (400, "invalid value for MessageRole: developer")),
        ("6.12", "function", (400, "invalid value for MessageRole: function")),
    ],
)
def test_roles(profile: str, role: str, refusal: tuple[int, str]) -> None:
    assert refused(ask(Simulator(profile), USER, {"role": role, "content": "x"})) == refusal


TO_FIX = "To fix this problem, send a request to `GET /.api/llm/models` to see the list of supported models."
EXPECTED = "Expected format '${ProviderID}::${APIVersionID}::${ModelID}'"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("", "modelRef is blank"),
        (None, "modelRef is blank"),
        ("gpt-4o", "modelRef syntax error"),
        ("a::b", "modelRef syntax error"),
        ("WorkersAI::v1::llama-3.1-8b-instruct", "invalid ProviderID"),
        ("openai::v 1::gpt", "invalid APIVersionID"),
        ("openai::v1::gpt-", "invalid ModelID"),
    ],
)
def test_a_model_that_is_no_reference(model: str | None, reason: str) -> None:
    text = f"requested model '{model or ''}' failed validation: {reason}. {EXPECTED}. {TO_FIX}"
    assert refused(ask(Simulator("6.12"), model=model)) == (400, text)


def test_a_model_that_is_no_reference_on_5_6() -> None:
    text = "model gpt-4o is not in the correct format. Expected format: ${ProviderID}::${APIVersionID}::${ModelID}"
    assert refused(ask(Simulator("5.6"), model="gpt-4o")) == (400, text)


@pytest.mark.parametrize("model", ["openai::v1::gpt-9", "fireworks::v1::deepseek-coder-v2-lite-base"])
def test_a_model_that_does_not_chat(model: str) -> None:
    assert refused(ask(Simulator("6.12"), model=model)) == (
        400,
        f'unsupported chat model "{model}" (default "{SONNET_4_5}")',
    )


def test_a_site_without_models() -> None:
    simulator = Simulator("6.12", listing="null")
    assert refused(ask(simulator)) == (400, f'unsupported chat model "{SONNET}" (default "")')
    assert isinstance(ask(Simulator("6.12", listing="unlisted")), Chat)


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_cannot_stream(stream: bool) -> None:
    ref = "openai::2024-02-01::o4-mini-high"
    given = ask(Simulator("6.12", catalogue="57"), USER, model=ref, stream=stream)
    assert refused(given) == (400, "this model does not support streaming") if stream else isinstance(given, Chat)


@pytest.mark.parametrize(("profile", "fine"), [("5.6", False), ("5.8", False), ("5.10", True), ("6.12", True)])
def test_null_content_decodes_since_5_9(profile: str, fine: bool) -> None:
    model = "openai::2024-02-01::gpt-4o"
    given = ask(Simulator(profile), USER, {"role": "user", "content": None}, model=model)
    assert isinstance(given, Chat) if fine else refused(given)[0] == 500


def test_checks_come_in_the_order_of_the_source() -> None:
    everything: dict[str, Any] = {"stop": None, "model": "gpt-4o", "seed": 1}
    system = {"role": "system", "content": "x"}
    texts = []
    for name, good in (("stop", "x"), ("model", SONNET), ("seed", None), ("", "")):
        texts.append(refused(ask(Simulator("5.6"), system, **everything))[1])
        everything[name] = good
    assert [text.split(" ")[0] for text in texts] == ["decoder.Decode:", "model", "seed", "system"]


@pytest.mark.parametrize("profile", ["5.6", "6.12"])
@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"stop": None}, "invalid type for stop"),
        ({"stop": [1]}, "invalid type for stop"),
        ({"max_tokens": "9"}, "json: cannot unmarshal into Go struct field ChatCompletionRequest.max_tokens"),
        ({"messages": ["x"]}, "json: cannot unmarshal into Go struct field ChatCompletionRequest.messages"),
        ({"messages": [{"role": "user", "content": 5}]}, None),
        ({"messages": [{"role": "user", "content": ["x"]}]}, None),
    ],
)
def test_what_does_not_decode_is_a_500(profile: str, fields: dict[str, Any], text: str | None) -> None:
    text = text or "invalid type for ChatCompletionRequestContent: expected string or array"
    assert refused(ask(Simulator(profile), **fields)) == (500, f"decoder.Decode: {text}")


@pytest.mark.parametrize("body", [None, [], "x"])
def test_a_body_that_is_no_object(body: object) -> None:
    status, text = refused(read_chat(body, Simulator().instance))
    assert (status, text.partition(" ")[0]) == (500, "decoder.Decode:")


@pytest.mark.parametrize("message", [{"role": "assistant", "content": None}, {"role": "assistant"}])
def test_null_content(message: dict[str, Any]) -> None:
    decode = "decoder.Decode: invalid type for ChatCompletionRequestContent: expected string or array"
    assert refused(ask(Simulator("5.6"), message)) == (500, decode)
    assert refused(ask(Simulator("6.12"), message)) == (500, "message content cannot be empty")
    assert isinstance(ask(Simulator("6.12"), message, model=GPT), Chat)


@pytest.mark.parametrize("content", ["", [], [{"type": "text", "text": ""}], [{"type": "image_url", "image_url": {}}]])
def test_empty_content_is_refused_by_claude(content: object) -> None:
    message = {"role": "user", "content": content}
    assert refused(ask(Simulator("6.12"), message)) == (500, "message content cannot be empty")
    assert isinstance(ask(Simulator("6.12"), message, model=GPT), Chat)


def test_text_parts_are_joined_without_a_separator_and_images_are_lost() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}]
    chat = ask(Simulator("6.12"), {"role": "user", "content": parts})
    assert isinstance(chat, Chat)
    assert chat.messages[0].text == "ab"


def test_anthropics_own_result_blocks_are_a_500() -> None:
    parts = [{"type": "text", "text": "x"}, {"type": "tool_result", "tool_use_id": "1", "content": "y"}]
    assert refused(ask(Simulator("6.12"), {"role": "user", "content": parts}))[0] == 500


@pytest.mark.parametrize(
    ("profile", "alternation", "model", "text"),
    [
        ("5.6", None, SONNET, "found consecutive messages with the same speaker"),
        ("5.6", None, "google::v1::gemini-1.5-pro-002", "consistent speaker role is not allowed"),
        ("5.6", None, GPT, None),
        ("5.6", False, SONNET, None),
        ("6.12", None, SONNET, None),
        ("6.12", True, SONNET, "found consecutive messages with the same speaker"),
        ("6.12", [GPT], SONNET, None),
        ("6.12", [GPT], GPT, "found consecutive messages with the same speaker"),
    ],
)
def test_alternation(profile: str, alternation: bool | list[str] | None, model: str, text: str | None) -> None:
    simulator = Simulator(profile, alternation=alternation)
    answer = ask(simulator, USER, USER, model=model)
    assert isinstance(answer, Chat) if text is None else refused(answer) == (500, text)
    assert isinstance(ask(simulator, USER, ASSISTANT, USER, model=model), Chat)


PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


@pytest.mark.parametrize(
    ("model", "prefill", "refuses"),
    [
        (SONNET_4_5, None, True),
        (SONNET_4_5, True, False),
        (HAIKU, None, False),
        (GPT, None, False),
        (GPT, False, True),
    ],
)
def test_prefill(model: str, prefill: bool | None, refuses: bool) -> None:
    answer = ask(Simulator("6.12", prefill=prefill), USER, ASSISTANT, model=model)
    assert refused(answer) == (400, PREFILL) if refuses else isinstance(answer, Chat)


def test_thinking_needs_max_tokens_beyond_its_budget() -> None:
    simulator = Simulator("6.12")
    assert refused(ask(simulator, model=THINKING, max_tokens=None))[0] == 500
    budget = (400, "max_tokens should be greater than thinking.budget_tokens")
    assert refused(ask(simulator, model=THINKING, max_tokens=1024)) == budget
    assert isinstance(ask(simulator, model=THINKING, max_tokens=1025), Chat)


def tool(name: str, parameters: object) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


GOOD = tool("a", {"type": "object"})


@pytest.mark.parametrize("bad", [tool("", {"type": "object"}), GOOD, tool("b", {"type": "string"}), tool("b", ["x"])])
def test_bad_tools(bad: dict[str, Any]) -> None:
    assert refused(ask(Simulator("6.12"), tools=[GOOD, bad]))[0] == 400
    assert refused(ask(Simulator("6.1"), tools=[GOOD, bad]))[0] == 500
    chat = ask(Simulator("5.6"), tools=[GOOD, bad])
    assert isinstance(chat, Chat)
    assert chat.tools == ()


def test_tools_without_parameters_are_accepted() -> None:
    chat = ask(Simulator("6.12"), tools=[{"type": "function", "function": {"name": "now"}}])
    assert isinstance(chat, Chat)
    assert chat.tools[0].name == "now"


def test_tools_that_do_not_decode() -> None:
    assert refused(ask(Simulator("6.12"), tools=[{"function": "x"}]))[0] == 500
