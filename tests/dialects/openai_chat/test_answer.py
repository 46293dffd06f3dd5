"""Answers, as text, and by OpenAI's own description and SDK (traps 18, 20 to 24)."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from cody_oai_router.conversation import ListedModel, Prompt, Reply, Stamp, ToolCall, Turn, play
from cody_oai_router.dialects.openai_chat import DONE, Writer, write_fault, write_model, write_models, write_replies
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Stop,
    StopReason,
    Text,
    Usage,
)
from cody_oai_router.faults import STATUS, Fault, Kind
from cody_oai_router.sse import Splitter
from openai_schema import violations

STAMP = Stamp("0af", 'gpt-"4"', 1700000000)
HEAD = '{"id":"chatcmpl-0af","object":"chat.completion.chunk","created":1700000000,"model":"gpt-\\"4\\""'


def prompt(**fields: Any) -> Prompt:
    return Prompt(model='gpt-"4"', turns=(Turn(role="user"),), **fields)


def chunk(delta: str, finish: str = "null", usage: str = "") -> str:
    choice = f'{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}'
    return f'data: {HEAD},"choices":[{choice}]{usage}}}\n\n'


ROLE = '{"role":"assistant","content":"","refusal":null}'
FIRST = chunk(ROLE)


@pytest.mark.parametrize(
    ("events", "wire"),
    [
        ([], ""),
        ([Text("a")], FIRST + chunk('{"content":"a"}')),
        (
            [Text("a"), Text('"\n\u00e9\u2028')],
            FIRST + chunk('{"content":"a"}') + chunk('{"content":"\\"\\n\u00e9\u2028"}'),
        ),
        ([Reasoning("hm"), Text("a")], FIRST + chunk('{"reasoning_content":"hm"}') + chunk('{"content":"a"}')),
        ([Stop("stop")], FIRST + chunk("{}", '"stop"')),
        ([Text("a"), Stop("length")], FIRST + chunk('{"content":"a"}') + chunk("{}", '"length"')),
        ([Stop("content_filter")], FIRST + chunk("{}", '"content_filter"')),
        (
            [CallStart(0, "c", "f"), CallArguments(0, '{"x'), CallArguments(0, '":1}'), Stop("tool_calls")],
            FIRST
            + chunk('{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}')
            + chunk('{"tool_calls":[{"index":0,"function":{"arguments":"{\\"x"}}]}')
            + chunk('{"tool_calls":[{"index":0,"function":{"arguments":"\\":1}"}}]}')
            + chunk("{}", '"tool_calls"'),
        ),
        (
            [CallStart(1, "", "f")],
            FIRST
            + chunk(
                '{"tool_calls":[{"index":1,"id":"call_0af_1","type":"function","function":{"name":"f","arguments":""}}]}'
            ),
        ),
        ([Usage(1, 2, 3), Adapted("tool-calls:split")], ""),
        (
            [Failed(Fault(kind="timed_out", message="m"))],
            'data: {"error":{"message":"m","type":"server_error","param":null,"code":"timeout"}}\n\n',
        ),
    ],
)
def test_chunks(events: list[Event], wire: str) -> None:
    assert Writer(STAMP, prompt()).write(events).decode() == wire
    one_by_one = Writer(STAMP, prompt())
    assert b"".join(one_by_one.write([event]) for event in events).decode() == wire


def test_usage_is_sent_only_where_it_was_asked_for_and_then_in_a_chunk_of_its_own() -> None:
    asking = Writer(STAMP, prompt(include_usage=True))
    null = ',"usage":null'
    assert asking.write([Text("a"), Stop("stop"), Usage(1, 2, 3)]).decode() == (
        chunk(ROLE, usage=null) + chunk('{"content":"a"}', usage=null) + chunk("{}", '"stop"', usage=null)
    )
    numbers = '{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
    assert (
        asking.finish(asking.usage, []).decode() == f'data: {HEAD},"choices":[],"usage":{numbers}}}\n\ndata: [DONE]\n\n'
    )
    silent = Writer(STAMP, prompt())
    silent.write([Text("a"), Stop("stop"), Usage(1, 2, 3)])
    assert silent.finish(silent.usage, []) == DONE == b"data: [DONE]\n\n"
    assert Writer(STAMP, prompt(include_usage=True)).finish(None, []) == DONE


def test_an_answer_may_begin_before_anything_is_known_of_it() -> None:
    early, late = Writer(STAMP, prompt(), 1), Writer(STAMP, prompt(), 1)
    begun = early.begin()
    assert json.loads(begun.removeprefix(b"data: "))["choices"] == [
        {
            "index": 1,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    ]
    assert early.begin() == b""
    assert begun + early.write([Text("a")]) == late.write([Text("a")])


def test_late_notes_are_a_comment_before_the_end() -> None:
    writer = Writer(STAMP, prompt())
    writer.write([Adapted("tool-calls:split"), Text("a"), Adapted("x:y"), Adapted("tool-calls:split")])
    assert writer.finish(writer.usage, writer.notes) == b": x-router-adapted: tool-calls:split, x:y\n\n" + DONE


def test_a_client_of_legacy_functions_gets_the_first_call_in_its_own_words() -> None:
    legacy = prompt(legacy_functions=True)
    events: list[Event] = [
        CallStart(0, "a", "f"),
        CallArguments(0, "{}"),
        CallStart(1, "b", "g"),
        CallArguments(1, "[]"),
        Stop("tool_calls"),
    ]
    assert Writer(STAMP, legacy).write(events).decode() == (
        FIRST
        + chunk('{"function_call":{"name":"f","arguments":""}}')
        + chunk('{"function_call":{"arguments":"{}"}}')
        + chunk("{}", '"function_call"')
    )
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "g", "[]"))
    choice = json.loads(write_replies([Reply(calls=calls, stop="tool_calls")], None, STAMP, legacy))["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "function_call": {"name": "f", "arguments": "{}"},
    }


def reply_wire(message: str, finish: str = "stop", usage: str = "") -> str:
    head = HEAD.replace(".chunk", "")
    choice = f'{{"index":0,"message":{message},"logprobs":null,"finish_reason":"{finish}"}}'
    return f'{head},"choices":[{choice}]{usage}}}'


def said(content: str, rest: str = "") -> str:
    return f'{{"role":"assistant","content":{content},"refusal":null{rest}}}'


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(text="a"), reply_wire(said('"a"'))),
        (Reply(), reply_wire(said('""'))),
        (Reply(text="a", reasoning="hm"), reply_wire(said('"a"', ',"reasoning_content":"hm"'))),
        (Reply(text="a", stop="length"), reply_wire(said('"a"'), "length")),
        (
            Reply(calls=(ToolCall("c", "f", "{}"), ToolCall("", "g", "")), stop="tool_calls"),
            reply_wire(
                said(
                    "null",
                    ',"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},'
                    '{"id":"call_0af_1","type":"function","function":{"name":"g","arguments":""}}]',
                ),
                "tool_calls",
            ),
        ),
        (
            Reply(text="a", usage=Usage(1, 2)),
            reply_wire(said('"a"'), usage=',"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'),
        ),
        (
            Reply(text="a", usage=Usage(0, 0, 0)),
            reply_wire(said('"a"'), usage=',"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}'),
        ),
        (
            Reply(text="a", usage=Usage(1, 2, 9, 0, 4, 5, 6)),
            reply_wire(
                said('"a"'),
                usage=',"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":9,'
                '"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":4},'
                '"completion_tokens_details":{"reasoning_tokens":5},"credits":6}',
            ),
        ),
        (
            Reply(text="a", usage=Usage(1, 2, 3, cached_tokens=1)),
            reply_wire(
                said('"a"'),
                usage=',"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,'
                '"prompt_tokens_details":{"cached_tokens":1}}',
            ),
        ),
    ],
)
def test_whole_answers(reply: Reply, wire: str) -> None:
    assert write_replies([reply], reply.usage, STAMP, prompt()).decode() == wire


def test_model_lists() -> None:
    model = ListedModel("a::b::c", "a", 5)
    wire = '{"id":"a::b::c","object":"model","created":5,"owned_by":"a"}'
    assert write_model(model).decode() == wire
    assert write_models([model, model]).decode() == f'{{"object":"list","data":[{wire},{wire}]}}'
    assert write_models([]).decode() == '{"object":"list","data":[]}'
    assert violations("ListModelsResponse", json.loads(write_models([model]))) == []


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({"max_input": 132000}, ',"context_window":132000'),
        ({"max_output": 8192}, ',"max_output_tokens":8192'),
        ({"abilities": ("chat", "vision")}, ',"capabilities":["chat","vision"]'),
        (
            {"max_input": 1, "max_output": 2, "abilities": ("chat",)},
            ',"context_window":1,"max_output_tokens":2,"capabilities":["chat"]',
        ),
    ],
)
def test_limits_and_abilities_of_a_model_are_extra_fields(fields: dict[str, Any], more: str) -> None:
    model = ListedModel("m", "a", **fields)
    wire = f'{{"id":"m","object":"model","created":0,"owned_by":"a"{more}}}'
    assert write_model(model).decode() == wire
    assert write_models([model]).decode() == f'{{"object":"list","data":[{wire}]}}'
    assert violations("ListModelsResponse", json.loads(write_models([model]))) == []


ERRORS: dict[Kind, tuple[str, str | None]] = {
    "bad_request": ("invalid_request_error", None),
    "unauthenticated": ("invalid_request_error", "invalid_api_key"),
    "forbidden": ("request_forbidden", "forbidden"),
    "not_found": ("invalid_request_error", "unknown_url"),
    "model_not_found": ("invalid_request_error", "model_not_found"),
    "method_not_allowed": ("invalid_request_error", "method_not_supported"),
    "request_timeout": ("invalid_request_error", "request_timeout"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "unprocessable": ("invalid_request_error", "unprocessable"),
    "rate_limited": ("requests", "rate_limit_exceeded"),
    "internal": ("server_error", "internal_error"),
    "bad_gateway": ("server_error", "bad_gateway"),
    "unavailable": ("server_error", "unavailable"),
    "timed_out": ("server_error", "timeout"),
}


@pytest.mark.parametrize("kind", STATUS)
def test_errors(kind: Kind) -> None:
    word, code = ERRORS[kind]
    error = {"error": {"message": 'm "x"\n', "type": word, "param": None, "code": code}}
    assert json.loads(write_fault(Fault(kind=kind, message='m "x"\n'))) == error
    named = json.loads(write_fault(Fault(kind=kind, message="m", param="p", code="c")))
    assert named == {"error": {"message": "m", "type": word, "param": "p", "code": "c"}}
    assert violations("ErrorResponse", named) == []


replies = st.builds(
    Reply,
    text=st.text(max_size=9),
    reasoning=st.text(max_size=9),
    calls=st.lists(st.builds(ToolCall, st.sampled_from(["", "c"]), st.text(max_size=4), st.text(max_size=9))).map(
        lambda calls: tuple(calls[:3])
    ),
    stop=st.sampled_from(get_args(StopReason)),
    usage=st.none() | st.builds(Usage, st.integers(0, 9), st.integers(0, 9)),
)


def chunks(data: bytes) -> list[Any]:
    splitter = Splitter()
    frames = splitter.feed(data) + splitter.finish()
    assert frames.pop().data == b"[DONE]"
    return [json.loads(frame.data) for frame in frames]


@given(replies, st.booleans())
def test_a_stream_says_what_the_whole_answer_says(reply: Reply, include_usage: bool) -> None:
    asked = prompt(include_usage=include_usage)
    writer = Writer(STAMP, asked)
    streamed = chunks(writer.write(list(play(reply))) + writer.finish(writer.usage, writer.notes))
    whole = json.loads(write_replies([reply], reply.usage, STAMP, asked))
    deltas = [piece["choices"][0]["delta"] for piece in streamed if piece["choices"]]
    message = whole["choices"][0]["message"]
    assert "".join(delta.get("content", "") for delta in deltas) == (message["content"] or "")
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message.get("reasoning_content", "")
    assert _folded(deltas) == message.get("tool_calls", [])
    assert [piece["choices"][0]["finish_reason"] for piece in streamed if piece["choices"]][-1] == reply.stop
    assert [piece["usage"] for piece in streamed if piece.get("usage")] == (
        [whole["usage"]] if include_usage and reply.usage else []
    )
    assert {(piece["id"], piece["created"], piece["model"]) for piece in streamed} == {
        (whole["id"], whole["created"], whole["model"])
    }


@given(replies, st.lists(st.text()), st.booleans())
def test_a_batch_is_written_like_its_events_one_by_one(reply: Reply, texts: list[str], include_usage: bool) -> None:
    asked = prompt(include_usage=include_usage)
    events = [*play(reply), *map(Text, texts)]
    together, apart = Writer(STAMP, asked), Writer(STAMP, asked)
    assert together.write(events) == b"".join([apart.write([event]) for event in events])
    assert together.write([Text(text) for text in texts]) == b"".join([apart.write([Text(text)]) for text in texts])


def _folded(deltas: list[Any]) -> list[Any]:
    calls: list[Any] = []
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls", ())):
        if piece["index"] == len(calls):
            calls.append({key: piece[key] for key in ("id", "type", "function")})
        else:
            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return calls


@given(replies, st.booleans())
def test_openais_own_description_and_sdk_take_it(reply: Reply, include_usage: bool) -> None:
    asked = prompt(include_usage=include_usage)
    writer = Writer(STAMP, asked)
    for piece in chunks(writer.write(list(play(reply))) + writer.finish(writer.usage, writer.notes)):
        assert violations("CreateChatCompletionStreamResponse", piece) == []
        ChatCompletionChunk.model_validate(piece, strict=True)
    whole = json.loads(write_replies([reply], reply.usage, STAMP, asked))
    assert violations("CreateChatCompletionResponse", whole) == []
    assert ChatCompletion.model_validate(whole, strict=True).choices[0].finish_reason == reply.stop
