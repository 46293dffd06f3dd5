"""Bodies decode on Cody's stream as Go decodes them, and find their model (contract §4.3, §6.3)."""

from typing import Any

import pytest

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.model import Message
from cody_oai_router.simulator.refusals import Refusal
from cody_oai_router.simulator.stream_request import Asked, read_request

CLAUDE = "anthropic::2024-10-22::claude-sonnet-4-5-latest"
GPT = "openai::2024-02-01::gpt-4o"
HI = {"speaker": "human", "text": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def read(version: int = 9, profile: str = "6.12", **fields: Any) -> Asked | Refusal:
    body = {"model": CLAUDE, "messages": [HI], "maxTokensToSample": 100, **fields}
    return read_request(body, version, Simulator(profile).instance)


def accepted(version: int = 9, profile: str = "6.12", **fields: Any) -> Asked:
    asked = read(version, profile, **fields)
    assert isinstance(asked, Asked)
    return asked


def refused(version: int = 9, profile: str = "6.12", **fields: Any) -> tuple[int, str]:
    asked = read(version, profile, **fields)
    assert isinstance(asked, Refusal)
    return asked.status, asked.text


def message(content: Any, speaker: str = "human") -> list[dict[str, Any]]:
    return [{"speaker": speaker, "content": content}]


UNDECODABLE = (400, "could not decode request body")


def test_a_plain_request() -> None:
    asked = accepted(stopSequences=["a", " \n"], temperature=0.2, topK=-1, topP=-1, unknown={"a": 1}, max_tokens="x")
    assert asked.streams
    assert (asked.max_tokens, asked.stop) == (100, ["a"])
    assert asked.messages == [Message("user", "hi")]


def test_what_is_not_said() -> None:
    asked = accepted(maxTokensToSample=None, stream=False, model=GPT, stopSequences=[" "])
    assert (asked.streams, asked.max_tokens, asked.stop) == (False, 0, [" "])


@pytest.mark.parametrize(
    "fields",
    [
        {"model": 1},
        {"messages": {}},
        {"messages": ["hi"]},
        {"messages": [{"speaker": 1, "text": "hi"}]},
        {"messages": [{"speaker": "human", "text": ["hi"]}]},
        {"messages": message({"type": "text"})},
        {"messages": message(["hi"])},
        {"messages": message([{"type": "text", "text": 1}])},
        {"messages": message([{"text": "hi"}])},
        {"messages": message([{"type": "video", "video": {}}])},
        {"messages": message([{"type": "image_url", "image_url": PNG}])},
        {"messages": message([{"type": "tool_result", "tool_result": {"id": "a", "content": ["b"]}}])},
        {"messages": message([{"type": "tool_call", "tool_call": {"id": "a", "name": "f", "arguments": {}}}])},
        {"maxTokensToSample": "100"},
        {"maxTokensToSample": True},
        {"maxTokensToSample": 1.5},
        {"stream": "true"},
        {"stopSequences": "a"},
        {"stopSequences": [1]},
        {"tools": [1]},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function", "function": {"name": 1}}]},
    ],
)
def test_a_wrong_type_does_not_decode(fields: dict[str, Any]) -> None:
    assert refused(**fields) == UNDECODABLE


@pytest.mark.parametrize("body", [None, [], "x", 1])
def test_what_is_no_object_does_not_decode(body: Any) -> None:
    answer = read_request(body, 9, Simulator().instance)
    assert isinstance(answer, Refusal)
    assert (answer.status, answer.text) == UNDECODABLE


def test_an_empty_object_is_a_request_without_anything() -> None:
    asked = read_request({}, 9, Simulator().instance)
    assert isinstance(asked, Asked)
    assert (asked.model.ref, asked.turns) == (CLAUDE, [])


@pytest.mark.parametrize(
    ("since", "fields"),
    [
        (3, {"messages": message([{"type": "text", "text": "hi"}])}),
        (3, {"messages": message("hi")}),
        (7, {"messages": [{**HI, "cache_control": {"type": "ephemeral"}}]}),
        (7, {"messages": message([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}])}),
        (8, {"messages": message([{"type": "tool_call", "tool_call": {"id": "a", "name": "f"}}], "assistant")}),
        (8, {"messages": message([{"type": "tool_result", "tool_result": {"id": "a", "content": "b"}}])}),
    ],
)
def test_what_is_newer_than_the_version_does_not_decode(since: int, fields: dict[str, Any]) -> None:
    assert accepted(since, **fields).version == since
    assert refused(since - 1, **fields) == UNDECODABLE


def test_tools_are_an_unknown_field_before_8() -> None:
    assert [tool.name for tool in accepted(8, tools=[TOOL]).tools] == ["f"]
    assert accepted(7, tools=[TOOL]).tools == []
    assert accepted(7, tools=["nonsense"]).tools == []


def test_a_model_without_tools_is_not_shown_them() -> None:
    assert accepted(model="o3", tools=[TOOL]).tools == []


@pytest.mark.parametrize("version", [2, 9])
def test_text_and_content_do_not_go_together(version: int) -> None:
    both = {**HI, "content": "", "cacheEnabled": True}
    assert refused(version, messages=[both]) == UNDECODABLE
    assert accepted(version, messages=[{**HI, "cacheEnabled": True}]).messages == [Message("user", "hi")]


@pytest.mark.parametrize(("profile", "text"), [("5.4", ""), ("5.6", ""), ("5.8", "hi"), ("6.12", "hi")])
def test_content_and_role_are_known_since_5_8(profile: str, text: str) -> None:
    asked = accepted(3, profile, model="", messages=[{"role": "user", "content": "hi"}])
    assert [(turn.speaker, turn.text) for turn in asked.turns] == [("human" if text else "", text)]


def test_files_are_text_and_images_are_described() -> None:
    parts = [
        {"type": "text", "text": "see "},
        {"type": "file", "file": {"uri": "file:///a", "content": "body "}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        {"type": "context_file", "uri": "file:///b", "content": "context"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    ]
    seen = accepted(messages=message(parts)).messages
    assert seen == [Message("user", "see body context", images=("image/png, 12 characters of base64",))]
    assert accepted(model="o3", messages=message(parts)).messages[0].images == ()


def test_a_repository_is_not_found() -> None:
    assert refused(messages=message([{"type": "repo", "repo": {"name": "a/b"}}])) == (400, "repo not found")


def test_tool_parts_become_calls_and_results() -> None:
    call = {"type": "tool_call", "tool_call": {"id": "a", "name": "f", "arguments": "{}"}}
    result = {"type": "tool_result", "tool_result": {"id": "a", "content": "sunny"}}
    turns = [*message([{"type": "text", "text": "so"}, call], "assistant"), *message([result])]
    assert accepted(messages=turns).messages == [
        Message("assistant", "so", calls=True),
        Message("user", "", results=("sunny",)),
    ]


@pytest.mark.parametrize(
    ("name", "ref"),
    [
        (CLAUDE, CLAUDE),
        ("anthropic::1999-01-01::claude-sonnet-4-5-latest", CLAUDE),
        ("anthropic/claude-sonnet-4-5-latest", CLAUDE),
        ("claude-sonnet-4-5-latest", CLAUDE),
        ("", CLAUDE),
        (None, CLAUDE),
        ("openai/gpt-4o", GPT),
        ("gpt-4o", GPT),
        ("WorkersAI::v1::llama-3.1-8b-instruct", "WorkersAI::v1::llama-3.1-8b-instruct"),
    ],
)
def test_names_of_models(name: str | None, ref: str) -> None:
    assert accepted(model=name).model.ref == ref


@pytest.mark.parametrize(
    "name", ["nope", "openai/claude-sonnet-4-5-latest", "fireworks::v1::deepseek-coder-v2-lite-base"]
)
def test_models_that_do_not_chat(name: str) -> None:
    assert refused(model=name) == (400, f'unsupported chat model "{name}" (default "{CLAUDE}")')


def test_a_site_without_models() -> None:
    answer = read_request({"messages": [HI]}, 9, Simulator(catalogue="null").instance)
    assert isinstance(answer, Refusal)
    assert answer.text == 'unsupported chat model "" (default "")'


def test_fast_takes_the_sites_fast_model_whatever_was_named() -> None:
    assert accepted(fast=True, model="gpt-4o").model.id == "claude-haiku-4-5-latest"


@pytest.mark.parametrize(("version", "turns"), [(0, 1), (1, 2)])
def test_only_legacy_clients_end_with_an_empty_turn(version: int, turns: int) -> None:
    assert len(accepted(version, messages=[HI, {"speaker": "assistant"}]).turns) == turns
