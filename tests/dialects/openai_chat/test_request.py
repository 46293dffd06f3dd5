"""Requests: what is read, what is refused in which words, and that no bytes make it raise."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import Format, Prompt
from cody_oai_router.dialects.openai_chat import read_prompt
from cody_oai_router.faults import Fault
from cody_oai_router.notes import NOTES
from strategies import nearly, wild_bytes, written

HI: dict[str, Any] = {"role": "user", "content": "hi"}
SCHEMA = '{"type":"object"}'


def read(fields: str = "", messages: str = '[{"role":"user","content":"hi"}]') -> Prompt | Fault:
    return read_prompt(f'{{"model":"m","messages":{messages}{"," if fields else ""}{fields}}}'.encode())


def prompt(fields: str = "") -> Prompt:
    found = read(fields)
    assert isinstance(found, Prompt)
    return found


def fault(fields: str) -> tuple[str, str | None, str | None]:
    found = read(fields)
    assert isinstance(found, Fault)
    assert found.kind == "bad_request"
    return found.message, found.param, found.code


def tool(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}, **fields}}


def tools(*given: Any, choice: Any = None) -> str:
    chosen = {} if choice is None else {"tool_choice": choice}
    return json.dumps({"tools": given, **chosen})[1:-1]


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ("", "stream", False),
        ('"stream":true', "stream", True),
        ('"stream":null', "stream", False),
        ("", "include_usage", False),
        ('"stream_options":{"include_usage":true}', "include_usage", True),
        ('"stream_options":{"include_usage":false}', "include_usage", False),
        ('"stream_options":{"include_usage" : true }', "include_usage", True),
        ('"stream_options":{}', "include_usage", False),
        ('"stream_options":null', "include_usage", False),
        ('"max_tokens":7', "max_tokens", 7),
        ('"max_completion_tokens":8', "max_tokens", 8),
        ('"max_tokens":7,"max_completion_tokens":8', "max_tokens", 8),
        ('"max_tokens":7,"max_completion_tokens":null', "max_tokens", 7),
        ('"max_tokens":123456789012345678901234567890', "max_tokens", 123456789012345678901234567890),
        ("", "max_tokens", None),
        ('"temperature":0', "temperature", 0.0),
        ('"temperature":2', "temperature", 2.0),
        ('"temperature":1e-7', "temperature", 1e-7),
        ('"top_p":1', "top_p", 1.0),
        ('"stop":"x"', "stop", ("x",)),
        ('"stop":["x","y"]', "stop", ("x", "y")),
        ('"stop":[]', "stop", ()),
        ('"stop":""', "stop", ()),
        ('"stop":null', "stop", ()),
        ('"stop":["","\\u00e9",""]', "stop", ("é",)),
        ('"reasoning_effort":"high"', "reasoning", True),
        ('"reasoning_effort":"minimal"', "reasoning", False),
        ('"reasoning_effort":"none"', "reasoning", False),
        ('"reasoning_effort":null', "reasoning", False),
        ('"functions":[{"name":"f"}]', "legacy_functions", True),
        (tools(tool("f")) + ',"functions":[{"name":"g"}]', "legacy_functions", False),
        ("", "legacy_functions", False),
        ("", "choices", 1),
        ('"n":8', "choices", 8),
        ("", "prediction", None),
        ('"prediction":{"type" : "content"}', "prediction", msgspec.Raw(b'{"type" : "content"}')),
        ('"prediction":null', "prediction", None),
        ("", "format", None),
        ('"response_format":{"type":"json_object"}', "format", Format(kind="json_object")),
        ("", "parallel_calls", True),
        ('"parallel_tool_calls":false', "parallel_calls", False),
        ("", "tool_choice", "auto"),
        (tools(tool("f"), choice="required"), "tool_choice", "required"),
    ],
)
def test_fields(fields: str, name: str, value: object) -> None:
    assert getattr(prompt(fields), name) == value


def test_the_last_of_a_doubled_field_counts() -> None:
    assert prompt('"model":"n","max_tokens":1,"max_tokens":2') == prompt('"max_tokens":2,"model":"n"')
    doubled = read(messages='[{"role":"system","role":"user","content":"a","content":"b"}]')
    assert doubled == read(messages='[{"role":"user","content":"b"}]')


def test_spaces_between_tokens_mean_nothing() -> None:
    spaced = b'\n{ "messages" : [ { "content" : "hi" , "role" : "user" } ] ,\t"model" : "m" , "stop" : [ ] }\r\n'
    assert read_prompt(spaced) == read('"stop":[]')
    assert read_prompt(bytearray(spaced)) == read('"stop":[]')


def test_no_model_is_for_the_catalogue_to_judge() -> None:
    found = read_prompt(b'{"messages":[{"role":"user","content":"hi"}]}')
    assert isinstance(found, Prompt)
    assert found.model == ""


@pytest.mark.parametrize(
    ("fields", "adapted"),
    [
        ("", ()),
        ('"n":1', ()),
        ('"n":null,"stop":null', ("nulls:dropped",)),
        ('"seed":1', ("seed:dropped",)),
        ('"wish":1', ("unknown-field:dropped",)),
        ('"max_completion_tokens":8', ("max_completion_tokens:renamed",)),
        ('"stop":"x"', ("stop:listed",)),
        ('"stop":""', ("stop:empty-dropped",)),
        ('"stop":[]', ("stop:empty-dropped",)),
        ('"stop":["x",""]', ("stop:empty-dropped",)),
        ('"logprobs":false,"modalities":["text"]', ("logprobs:dropped", "modalities:dropped")),
        ('"functions":[]', ()),
        (f'"functions":[{{"name":"f","parameters":{SCHEMA}}}]', ("functions:as-tools",)),
        ('"functions":[{"name":"f"}]', ("functions:as-tools", "tools:schema-filled")),
        (tools(tool("f"), choice="none"), ("tools:withheld",)),
        (tools(tool("f"), choice="auto"), ()),
        (tools(tool("f"), choice="required"), ()),
        (tools(choice="none"), ("tool_choice:dropped",)),
        (tools(choice="required"), ("tool_choice:dropped",)),
        ('"function_call":"auto"', ("function_call:dropped",)),
        ('"parallel_tool_calls":false', ()),
        ('"response_format":{"type":"json_object"}', ()),
        ('"prediction":{"type":"content","content":"x"}', ()),
    ],
)
def test_every_change_leaves_a_note(fields: str, adapted: tuple[str, ...]) -> None:
    assert prompt(fields).adapted == adapted
    assert set(adapted) <= set(NOTES)


INVALID_TYPE = "invalid_type"
MISSING = "missing_required_parameter"
UNSUPPORTED = "unsupported_value"


@pytest.mark.parametrize(
    ("fields", "message", "param", "code"),
    [
        ('"model":5', "Invalid type for 'model': expected a string, but got a number instead.", "model", INVALID_TYPE),
        (
            '"stream":"yes"',
            "Invalid type for 'stream': expected a boolean, but got a string instead.",
            "stream",
            INVALID_TYPE,
        ),
        (
            '"max_tokens":"7"',
            "Invalid type for 'max_tokens': expected an integer, but got a string instead.",
            "max_tokens",
            INVALID_TYPE,
        ),
        (
            '"temperature":[]',
            "Invalid type for 'temperature': expected a decimal, but got an array instead.",
            "temperature",
            INVALID_TYPE,
        ),
        (
            '"stream_options":true',
            "Invalid type for 'stream_options': expected an object, but got a boolean instead.",
            "stream_options",
            INVALID_TYPE,
        ),
        (
            '"modalities":"text"',
            "Invalid type for 'modalities': expected an array, but got a string instead.",
            "modalities",
            INVALID_TYPE,
        ),
        (
            '"stop":5',
            "Invalid type for 'stop': expected a string or an array of strings, but got a number instead.",
            "stop",
            INVALID_TYPE,
        ),
        (
            '"max_tokens":0',
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "max_tokens",
            "integer_below_min_value",
        ),
        (
            '"max_completion_tokens":-1,"max_tokens":5',
            "Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got -1 instead.",
            "max_completion_tokens",
            "integer_below_min_value",
        ),
        (
            '"temperature":2.1',
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.1 instead.",
            "temperature",
            "decimal_above_max_value",
        ),
        (
            '"top_p":-0.5',
            "Invalid 'top_p': decimal below minimum value. Expected a value >= 0, but got -0.5 instead.",
            "top_p",
            "decimal_below_min_value",
        ),
        (
            '"stop":["a","b","c","d","e"]',
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got 5.",
            "stop",
            "array_above_max_length",
        ),
        ('"n":9', "Invalid 'n': expected a value <= 8, but got 9 instead.", "n", "integer_above_max_value"),
        ('"n":128', "Invalid 'n': expected a value <= 8, but got 128 instead.", "n", "integer_above_max_value"),
        ('"n":0', "Invalid 'n': expected a value >= 1, but got 0 instead.", "n", "integer_below_min_value"),
        ('"n":1.5', "Invalid type for 'n': expected an integer, but got a number instead.", "n", INVALID_TYPE),
        (
            '"prediction":"x"',
            "Invalid type for 'prediction': expected an object, but got a string instead.",
            "prediction",
            INVALID_TYPE,
        ),
        (
            '"logprobs":true',
            "No upstream gives log probabilities; leave `logprobs` out.",
            "logprobs",
            UNSUPPORTED,
        ),
        (
            '"modalities":["text","audio"]',
            'Text is the only modality here; send ["text"] or leave it out.',
            "modalities",
            UNSUPPORTED,
        ),
    ],
)
def test_a_refusal_names_the_field(fields: str, message: str, param: str, code: str) -> None:
    assert fault(fields) == (message, param, code)


@pytest.mark.parametrize(
    ("messages", "message", "param", "code"),
    [
        ("null", "Missing required parameter: 'messages'.", "messages", MISSING),
        (
            '"hi"',
            "Invalid type for 'messages': expected an array of objects, but got a string instead.",
            "messages",
            INVALID_TYPE,
        ),
        (
            '[{"role":"user","content":"hi"},null]',
            "Invalid type for 'messages[1]': expected an object, but got null instead.",
            "messages[1]",
            INVALID_TYPE,
        ),
        (
            "[]",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            "empty_array",
        ),
    ],
)
def test_messages_that_are_none(messages: str, message: str, param: str, code: str) -> None:
    assert read(messages=messages) == Fault(kind="bad_request", message=message, param=param, code=code)


HALF = r"it ends too early, or a string holds half of a surrogate pair (such as \ud800)"
NO_OBJECT = "The body must be a JSON object with `model` and `messages`."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty; send a JSON object with `model` and `messages`."),
        (b"[]", NO_OBJECT),
        (b"null", NO_OBJECT),
        (b'"text"', NO_OBJECT),
        (b"{", "The body is not valid JSON: Input data was truncated."),
        (b'{"model":"m"} x', "The body is not valid JSON: trailing characters (byte 15)."),
        (b"model=m", "The body is not valid JSON: invalid character (byte 0)."),
        (b'{"model":"\xff"}', "The body is not valid JSON: it is not UTF-8."),
        (b"\xff\xfe{\x00}\x00", "The body is not valid JSON: it is not UTF-8."),
        (b"\xef\xbb\xbf{}", "The body is not valid JSON: invalid character (byte 0)."),
        (b'{"a":' * 100_000, "The body is nested too deeply."),
        (b'{"a":"\\ud83d"}', f"The body is not valid JSON: {HALF}."),
    ],
)
def test_what_is_no_request(body: bytes, message: str) -> None:
    found = read_prompt(body)
    assert isinstance(found, Fault)
    assert (found.status, found.message) == (400, message)


def test_a_bad_byte_in_the_middle_of_a_long_text_is_found() -> None:
    found = read_prompt(b'{"model":"m","messages":[{"role":"user","content":"' + b"a" * 100_000 + b'\xe9"}]}')
    assert found == Fault(
        kind="bad_request", message="The body is not valid JSON: it is not UTF-8.", code="invalid_json"
    )


FULL: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "name": "bob",
            "content": [
                {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ],
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "temperature": 0.5,
    "top_p": 1,
    "stop": ["x"],
    "n": 1,
    "tools": [tool("f", description="d", strict=True)],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "functions": [{"name": "f", "parameters": {"type": "object"}}],
    "function_call": {"name": "f"},
    "logprobs": False,
    "modalities": ["text"],
    "reasoning_effort": "low",
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "s", "description": "d", "schema": {"type": "object"}, "strict": True},
    },
    "prediction": {"type": "content", "content": "x"},
    "frequency_penalty": 0,
    "presence_penalty": 0.5,
    "seed": 1,
    "user": "u",
}


@given(wild_bytes(FULL))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    found = read_prompt(body)
    if isinstance(found, Prompt):
        assert found.turns
        assert set(found.adapted) <= set(NOTES)
    else:
        assert 400 <= found.status < 500


USUAL_FIELDS = (
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop",
    "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "frequency_penalty",
    "presence_penalty", "seed", "user",
)  # fmt: skip
WORDS = st.sampled_from(["", "f", "\u00e9", None, 5])
CALLS = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": WORDS, "arguments": WORDS})}, optional={"id": WORDS, "type": WORDS}
)
CONTENTS = st.one_of(
    WORDS,
    st.lists(st.fixed_dictionaries({"type": st.sampled_from(["text", "refusal", "file"]), "text": WORDS}), max_size=2),
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "boss"])},
    optional={"content": CONTENTS, "name": WORDS, "tool_call_id": WORDS, "tool_calls": st.lists(CALLS, max_size=2)},
)


CHOICES = st.sampled_from(
    [
        "auto",
        "none",
        "required",
        "any",
        {"type": "function", "function": {"name": "f"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
    ]
)
FORMATS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "json_object", "json_schema", "xml"])},
    optional={"json_schema": nearly(FULL["response_format"]["json_schema"])},
)


@given(
    nearly({name: FULL[name] for name in USUAL_FIELDS}),
    st.fixed_dictionaries(
        {},
        optional={
            "messages": st.lists(MESSAGES, min_size=1, max_size=3),
            "tool_choice": CHOICES,
            "response_format": FORMATS,
            "parallel_tool_calls": st.sampled_from([True, False, "no"]),
            "tools": st.lists(st.sampled_from([tool("f"), tool("g"), {}, None]), max_size=3),
        },
    ),
)
def test_a_request_with_a_rare_field_that_means_nothing_reads_alike(request: Any, likely: Any) -> None:
    fields = dict(request) if isinstance(request, dict) else {}
    fields.pop("n", None)
    fields |= likely
    assert read_prompt(written(fields)) == read_prompt(written(fields | {"n": 1}))


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("reasoning_effort", "high", True),
        ("reasoning_effort", "minimal", False),
        ("reasoning", {"effort": "low"}, True),
        ("reasoning", {"effort": "none"}, False),
        ("reasoning", {}, False),
        ("thinking", {"type": "enabled", "budget_tokens": 2000}, True),
        ("thinking", {"type": "adaptive"}, True),
        ("thinking", {"type": "disabled"}, False),
    ],
)
def test_every_spelling_of_reasoning_is_understood(field: str, value: object, *, wanted: bool) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], field: value}).encode()
    prompt = read_prompt(body)
    assert isinstance(prompt, Prompt)
    assert prompt.reasoning == wanted
    assert prompt.adapted == (f"{field}:dropped",)
