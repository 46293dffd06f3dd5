"""The table of parameters: none of OpenAI's is missing, and each is treated and told of as its row says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cody_oai_router.abilities import LLM_API, cody_stream
from cody_oai_router.catalogue import Catalogue, Model
from cody_oai_router.conversation import Prompt
from cody_oai_router.dialects.openai_chat import read_prompt
from cody_oai_router.dialects.openai_chat.parameters import PARAMETERS
from cody_oai_router.exchange import Budgets, Plan, plan, resolve
from cody_oai_router.faults import Fault
from cody_oai_router.notes import DROPPED_FIELDS, NOTES
from cody_oai_router.roads import Road
from openai_schema import properties

LLM, CODY = Road("llm", 0, LLM_API), Road("cody", 9, cody_stream(9))
CLAUDE = "anthropic::v1::claude-sonnet-4-5-latest"
MODELS = [
    Model(ref=ref, abilities=frozenset({"chat"})) for ref in (CLAUDE, CLAUDE.replace("-latest", "-thinking-latest"))
]
MESSAGES = [{"role": "user", "content": "hi"}]

FUNCTION = {"name": "f", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": FUNCTION}, {"type": "function", "function": {"name": "g"}}]
THINKS = {"model": "claude-sonnet-4-5", "reasoning_effort": "high"}
NAMED = {"type": "function", "function": {"name": "f"}}

# Of each parameter values that show how it is treated, alone or with what gives it a meaning.
SAMPLES: dict[str, list[Any]] = {
    "audio": [{"voice": "alloy", "format": "mp3"}],
    "frequency_penalty": [0.5],
    "function_call": [
        "auto",
        {"functions": [FUNCTION], "function_call": "none"},
        {"functions": [FUNCTION, {"name": "g"}], "function_call": {"name": "f"}},
    ],
    "functions": [[FUNCTION], [{"name": "g"}]],
    "logit_bias": [{"50256": -100}],
    "logprobs": [False],
    "max_completion_tokens": [7],
    "max_tokens": [7],
    "messages": [MESSAGES],
    "metadata": [{"a": "b"}],
    "modalities": [["text"]],
    "model": ["claude-sonnet-4-5", "claude-opus-4-1", "gpt-4", "", THINKS],
    "moderation": [{"model": "omni-moderation-latest"}],
    "n": [1, 8],
    "parallel_tool_calls": [False, {"tools": TOOLS, "parallel_tool_calls": False}],
    "prediction": [{"type": "content", "content": "x"}],
    "presence_penalty": [0.5],
    "prompt_cache_key": ["k"],
    "prompt_cache_options": [{}],
    "prompt_cache_retention": ["24h"],
    "reasoning_effort": ["high", THINKS],
    "response_format": [{"type": "json_object"}],
    "safety_identifier": ["s"],
    "seed": [1],
    "service_tier": ["auto"],
    "stop": ["END", "", ["END"]],
    "store": [False],
    "stream": [True, False],
    "stream_options": [{"include_usage": True}],
    "temperature": [0.5, 2, {"temperature": 1, "top_p": 0.5}],
    "tool_choice": [
        "auto",
        {"tools": TOOLS, "tool_choice": "none"},
        {"tools": TOOLS, "tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": NAMED},
    ],
    "tools": [TOOLS],
    "top_logprobs": [0],
    "top_p": [0.5, {"temperature": 0.5, "top_p": 0.5}],
    "user": ["u"],
    "verbosity": ["low"],
    "web_search_options": [{}],
}
REFUSED: dict[str, list[Any]] = {"logprobs": [True], "modalities": [["text", "audio"], ["audio"]]}
# What is said of the answer only, or of an instance that has taught something.
LATER = {
    "max_tokens:raised",
    "repair:asked-again",
    "response_format:mended",
    "response_format:unwrapped",
    "stop:cut-here",
    "stream:played",
    "tool-calls:first-kept",
    "tools:emulated",
    "usage:estimated",
}
ALWAYS = {"endpoint:cody"}


def requests(name: str, values: list[Any]) -> Iterator[dict[str, Any]]:
    """Gives whole requests; a sample that names its parameter is the fields themselves."""
    for value in values:
        fields = value if isinstance(value, dict) and name in value else {name: value}
        yield {"model": CLAUDE, "messages": MESSAGES, "stream": True} | fields


def planned(request: dict[str, Any], road: Road, default: str = CLAUDE) -> Plan:
    prompt = read_prompt(json.dumps(request).encode())
    assert isinstance(prompt, Prompt), prompt
    resolved = resolve(prompt, Catalogue(MODELS, aliases={}, default=default))
    assert not isinstance(resolved, Fault)
    made = plan(prompt, resolved, road, frozenset(), Budgets(4000, 32000), nonce="0af")
    assert isinstance(made, Plan), made
    return made


def notes_of(name: str) -> set[str]:
    return {
        note
        for request in requests(name, SAMPLES[name])
        for road in (LLM, CODY)
        for note in planned(request, road).adapted
    }


def test_every_parameter_of_openai_has_a_row_and_a_sample() -> None:
    assert set(SAMPLES) == set(PARAMETERS)
    assert properties("CreateChatCompletionRequest") == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_is_told_is_in_its_row(name: str) -> None:
    companions = {field for request in requests(name, SAMPLES[name]) for field in request if field in PARAMETERS}
    explained = {note for field in companions for note in PARAMETERS[field].notes}
    assert notes_of(name) <= explained | ALWAYS


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_its_row_says_is_told(name: str) -> None:
    assert set(PARAMETERS[name].notes) - LATER <= notes_of(name)
    assert set(PARAMETERS[name].notes) <= set(NOTES)


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_is_dropped_has_no_effect_on_what_is_sent(name: str) -> None:
    if PARAMETERS[name].treatment != "dropped":
        return
    for request in requests(name, SAMPLES[name]):
        for road in (LLM, CODY):
            bare = {field: value for field, value in request.items() if field != name}
            assert b"".join(planned(request, road).body) == b"".join(planned(bare, road).body)
    assert PARAMETERS[name].how == DROPPED_FIELDS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_is_refused_is_a_400_that_names_it(name: str) -> None:
    assert (PARAMETERS[name].treatment == "refused") == (name in REFUSED)
    for request in requests(name, REFUSED.get(name, [])):
        fault = read_prompt(json.dumps(request).encode())
        assert isinstance(fault, Fault)
        assert (fault.status, fault.param) == (400, name)


def test_every_parameter_that_is_left_out_with_a_word_is_told_by_it() -> None:
    left_out = {name for name in PARAMETERS if f"{name}:dropped" in PARAMETERS[name].notes}
    fitted = {"temperature", "top_p"}  # left out for some models only
    assert left_out - fitted == PARAMETERS.keys() & DROPPED_FIELDS.keys()


@pytest.mark.parametrize(("road", "carried"), [(LLM, False), (CODY, True)])
def test_what_goes_by_codys_stream_only(road: Road, carried: bool) -> None:
    for name, row in PARAMETERS.items():
        if row.treatment != "carried on Cody's stream":
            continue
        (request,) = requests(name, SAMPLES[name])
        assert (json.dumps(name).encode() in b"".join(planned(request, road).body)) == carried
