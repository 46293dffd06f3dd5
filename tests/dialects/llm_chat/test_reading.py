"""Answers of the LLM API: streams and whole completions, with all the oddities of contract §3 (traps 17 to 24, 29, 39)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import Reply, ToolCall, collect
from cody_oai_router.dialects.llm_chat import Reader, read_reply
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
from cody_oai_router.faults import HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.sourcegraph.answers import MAX_CALLS, STOP_REASONS
from cody_oai_router.sse import Frame, Lines
from strategies import wild_bytes

UNREADABLE = Fault(kind="bad_gateway", message="Sourcegraph sent something that is not whole, or no JSON; ask again.")
HOLLOW = Fault(
    kind="bad_gateway",
    message="Sourcegraph announced tool calls and then sent none; ask again.",
    code=HOLLOW_TOOL_CALLS,
)
DEADLINE = b'{"message":"context deadline exceeded","type":"completion.process_completion"}'
TIMED_OUT = Fault(
    kind="timed_out",
    message="The model took longer than the instance allows. Sourcegraph says: context deadline exceeded",
    said="context deadline exceeded",
)


def chunk(delta: str = "{}", finish: str = '""', rest: str = "") -> Frame:
    return Frame(
        b"",
        f'{{"id":"chat-1","object":"chat.completion.chunk","created":1,"model":"","choices":'
        f'[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{rest}}}'.encode(),
    )


def say(text: str) -> Frame:
    return chunk(json.dumps({"role": "assistant", "content": text}))


def call(index: int, call_id: str, name: str, arguments: str) -> Frame:
    function = {"name": name, "arguments": arguments}
    return chunk(
        json.dumps({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
    )


def read(*frames: Frame, ends: bool = True) -> list[Event]:
    reader = Reader()
    return reader.read(list(frames)) + (reader.finish() if ends else [])


CALLED: list[Event] = [CallStart(0, "a", "f"), CallArguments(0, "{}")]
FILLED = Adapted("arguments:filled")


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([say("a"), say("b"), chunk(finish='"stop"')], [Text("a"), Text("b"), Stop("stop")]),
        ([chunk('{"role":"assistant"}'), say(""), say("x"), chunk(finish='"stop"')], [Text("x"), Stop("stop")]),
        ([chunk('{"content":null}', "null"), chunk(finish='"stop"')], [Stop("stop")]),
        ([say("a")], [Text("a"), Stop("stop")]),
        ([], [Stop("stop")]),
        ([say("a"), chunk(finish='"stop"'), Frame(b"", b"[DONE]")], [Text("a"), Stop("stop")]),
        ([chunk('{"content":"all"}', '"stop"')], [Text("all"), Stop("stop")]),
        ([chunk(finish='"stop"'), chunk(finish='"length"')], [Stop("stop")]),
        (
            [chunk('{"reasoning_content":"hm","content":"a"}', '"stop"')],
            [Reasoning("hm"), Text("a"), Stop("stop")],
        ),
        ([call(0, "a", "f", "{}"), chunk(finish='"tool_calls"')], [*CALLED, Stop("tool_calls")]),
        ([call(0, "a", "f", "{}"), chunk(finish='"stop"')], [*CALLED, Stop("tool_calls")]),
        ([call(0, "a", "f", "{}")], [*CALLED, Stop("tool_calls")]),
        ([call(0, "a", "f", "{}"), chunk(finish='"length"')], [*CALLED, Stop("length")]),
        (
            [call(0, "a", "f", ""), call(0, "", "", "{}"), chunk(finish='"tool_calls"')],
            [*CALLED, Stop("tool_calls")],
        ),
        (
            [call(0, "a", "f", "{}"), call(0, "b", "g", "{}"), chunk(finish='"tool_calls"')],
            [*CALLED, CallStart(1, "b", "g"), CallArguments(1, "{}"), Stop("tool_calls")],
        ),
        (
            [chunk('{"tool_calls":[{"id":"a","function":{"name":"f"}},{"function":{"arguments":"{}"}},{}]}')],
            [*CALLED, Stop("tool_calls")],
        ),
        ([call(0, "a", "f", ""), chunk(finish='"tool_calls"')], [*CALLED, FILLED, Stop("tool_calls")]),
        ([call(0, "a", "f", "")], [*CALLED, FILLED, Stop("tool_calls")]),
        (
            [call(0, "a", "f", "{}"), call(0, "b", "g", ""), chunk(finish='"length"'), chunk(finish='"stop"')],
            [*CALLED, CallStart(1, "b", "g"), CallArguments(1, "{}"), FILLED, Stop("length")],
        ),
        # What an answer cost is no reason to lose it.
        (
            [chunk('{"content":"a"}', rest=',"usage":"free"'), chunk(finish='"stop"', rest=',"usage":[1]')],
            [Text("a"), Stop("stop")],
        ),
        ([chunk('{"content":"a"}', '"stop"', ',"usage":{"prompt_tokens":"1"}')], [Text("a"), Stop("stop")]),
        ([chunk(finish='"tool_calls"')], [Failed(HOLLOW)]),
        ([chunk(finish='"tool_use"'), say("late")], [Failed(HOLLOW)]),
        ([Frame(b"", b'{"choices":[]}'), Frame(b"", b'{"choices":null}'), Frame(b"", b"{}")], [Stop("stop")]),
        ([Frame(b"", b'{"choices":[{"index":0}]}')], [Stop("stop")]),
        (
            [Frame(b"", b'{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}')],
            [Text("a"), Stop("stop")],
        ),
        ([chunk('{"content":"a"}', rest=',"error":null,"message":null')], [Text("a"), Stop("stop")]),
        ([say("a"), Frame(b"", DEADLINE, stray=True)], [Text("a"), Failed(TIMED_OUT)]),
        ([say("a"), Frame(b"", DEADLINE)], [Text("a"), Failed(TIMED_OUT)]),
        ([Frame(b"error", b'{"error":"context deadline exceeded"}'), say("late")], [Failed(TIMED_OUT)]),
        ([Frame(b"", b'{"error":{"message":"context deadline exceeded"}}')], [Failed(TIMED_OUT)]),
        ([chunk(finish='"stop"'), Frame(b"", DEADLINE, stray=True)], [Stop("stop")]),
        ([chunk(finish='"stop"'), Frame(b"", b'{"choices":[{"de')], [Stop("stop")]),
        ([say("a"), Frame(b"", b'{"choices":[{"de')], [Text("a"), Failed(UNREADABLE)]),
        ([Frame(b"", b"[" * 100_000)], [Failed(UNREADABLE)]),
        ([Frame(b"", b'{"choices":[{"delta":{"content":"\xff"}}]}')], [Failed(UNREADABLE)]),
        ([Frame(b"", b'{"choices":\n[{"delta":{"content":"two lines"}}]}')], [Text("two lines"), Stop("stop")]),
        ([Frame(b"", say("a").data + b"\n" + say("b").data)], [Text("a"), Text("b"), Stop("stop")]),
        ([Frame(b"", say("a").data + b"\n\n[DONE]")], [Text("a"), Stop("stop")]),
        ([Frame(b"", say("a").data + b"\n{\n" + say("b").data)], [Text("a"), Failed(UNREADABLE)]),
    ],
)
def test_streams(frames: list[Frame], events: list[Event]) -> None:
    assert read(*frames) == events


USAGE = '{"completion_tokens":2,"prompt_tokens":1,"total_tokens":3'


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (f"{USAGE}}}", Usage(1, 2, 3)),
        (f'{USAGE},"credits":5}}', Usage(1, 2, 3, credits=5)),
        (f'{USAGE},"credits":0.2}}', Usage(1, 2, 3, credits=1)),
        (
            f'{USAGE},"prompt_tokens_details":{{"cached_tokens":0,"cache_creation_input_tokens":7}}}}',
            Usage(1, 2, 3, cached_tokens=0, cache_creation_tokens=7),
        ),
        (f'{USAGE},"completion_tokens_details":{{"reasoning_tokens":4}}}}', Usage(1, 2, 3, reasoning_tokens=4)),
        ('{"completion_tokens":0,"prompt_tokens":0,"total_tokens":0}', Usage(0, 0, 0)),
        ('{"completion_tokens":null,"prompt_tokens_details":null}', Usage()),
        ("{}", Usage()),
    ],
)
def test_usage(wire: str, usage: Usage) -> None:
    last = chunk(finish='"stop"', rest=f',"usage":{wire}')
    assert read(say("a"), last) == [Text("a"), Stop("stop"), usage]
    assert read(say("a"), chunk(finish='"stop"'), Frame(b"", f'{{"choices":[],"usage":{wire}}}'.encode())) == [
        Text("a"),
        Stop("stop"),
        usage,
    ]
    whole = read_reply(
        f'{{"choices":[{{"message":{{"content":"a"}},"finish_reason":"stop"}}],"usage":{wire}}}'.encode()
    )
    assert whole == Reply(text="a", usage=usage)


def test_absent_usage_is_none() -> None:
    assert read_reply(b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}') == Reply(text="a")
    assert read_reply(b'{"choices":[{"message":{"content":"a"}}],"usage":null}') == Reply(text="a")
    assert read_reply(b'{"choices":[{"message":{"content":"a"}}],"usage":"free"}') == Reply(text="a")


WORDS: list[tuple[str, StopReason]] = [
    ("stop", "stop"),
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("STOP", "stop"),
    ("length", "length"),
    ("max_tokens", "length"),
    ("MAX_TOKENS", "length"),
    ("tool_use", "tool_calls"),
    ("tool_calls", "tool_calls"),
    ("function_call", "tool_calls"),
    ("content_filter", "content_filter"),
    ("SAFETY", "content_filter"),
    ("RECITATION", "content_filter"),
    ("refusal", "content_filter"),
    ("unknown_please_report_bug()", "stop"),
]


@pytest.mark.parametrize(("word", "reason"), WORDS)
def test_finish_words(word: str, reason: StopReason) -> None:
    before = [call(0, "a", "f", "{}")] if reason == "tool_calls" else [say("a")]
    last = chunk(finish=json.dumps(word))
    assert read(*before, last)[-1] == Stop(reason)
    assert read(*before, last, ends=False)[-1] == Stop(reason)
    message = {"content": "a", "tool_calls": [{"id": "a", "function": {"name": "f"}}] * (reason == "tool_calls")}
    reply = read_reply(json.dumps({"choices": [{"message": message, "finish_reason": word}]}).encode())
    assert isinstance(reply, Reply)
    assert reply.stop == reason


def test_every_word_of_the_table_is_tested() -> None:
    assert set(STOP_REASONS) == {word for word, _ in WORDS[:-1]}


def test_a_stream_without_a_finish_word_is_not_over_by_itself() -> None:
    reader = Reader()
    said = reader.read([say("a"), chunk(finish='""'), chunk(finish="null")])
    assert (said, reader.ended) == ([Text("a")], False)
    assert (reader.finish(), reader.ended) == ([Stop("stop")], True)
    assert reader.finish() == []


def test_nothing_can_come_after_a_mark_of_the_end_that_follows_a_finish_word() -> None:
    """Usage may follow the finish word, so only `[DONE]` after it ends an answer for good; no known instance sends it."""
    done = Frame(b"", b"[DONE]")
    reader = Reader()
    reader.read([say("a"), done])
    assert (reader.ended, reader.final) == (False, False)
    reader.read([chunk(finish='"stop"')])
    assert (reader.ended, reader.final) == (True, False)
    reader.read([done])
    assert (reader.ended, reader.final) == (True, True)
    unfinished = Reader()
    unfinished.read([say("a"), done])
    unfinished.finish()
    assert (unfinished.ended, unfinished.final) == (True, False)


def alike(*frames: Frame) -> Lines:
    return Lines(frames[0].event, b"\r".join([each.data for each in frames]), len(frames))


@pytest.mark.parametrize(
    "frames",
    [
        [say("a")],
        [say("a"), say("b\n\r}{"), chunk('{"content":"c"}', finish="null")],
        [chunk('{"content":"a","reasoning_content":"","tool_calls":null}', rest=',"usage":null,"error":null')],
        [chunk('{"content":"a"}', rest=',"message":"told"')],
    ],
)
def test_pieces_of_text_are_read_in_one_go(frames: list[Frame]) -> None:
    events = Reader().texts(alike(*frames))
    assert events
    assert events == Reader().read(frames)


@pytest.mark.parametrize(
    "frames",
    [
        [say("")],
        [say("a"), say("")],
        [chunk()],
        [chunk('{"content":null}')],
        [chunk('{"content":"a","reasoning_content":"hm"}')],
        [chunk('{"content":"a","tool_calls":[]}')],
        [say("a"), chunk('{"content":"a"}', finish='"stop"')],
        [chunk('{"content":"a"}', rest=',"usage":{}')],
        [chunk('{"content":"a"}', rest=',"error":"x"')],
        [chunk('{"content":"a"}', rest=',"message":1e999')],
        [Frame(b"", b'{"choices":[]}')],
        [Frame(b"", b'{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}')],
        [Frame(b"", b'{"choices":[{"message":{"content":"a"}}]}')],
        [Frame(b"", b'{"choices":[{"delta":{"content":"a"},"message":{"content":"b"}}]}')],
        [Frame(b"", say("a").data * 2), Frame(b"", b"")],
        [Frame(b"", say("a").data[:20]), Frame(b"", say("a").data[20:])],
        [Frame(b"error", say("a").data)],
        [Frame(b"", DEADLINE)],
        [Frame(b"", b"[DONE]")],
    ],
)
def test_whatever_else_there_is_is_not(frames: list[Frame]) -> None:
    reader = Reader()
    assert reader.texts(alike(*frames)) is None
    assert reader.read(frames) + reader.finish() == read(*frames)


def test_no_text_is_read_after_a_failure_or_the_mark_of_the_end() -> None:
    failed, final = Reader(), Reader()
    failed.read([Frame(b"", DEADLINE)])
    final.read([chunk(finish='"stop"'), Frame(b"", b"[DONE]")])
    assert final.final
    assert failed.texts(alike(say("late"))) is final.texts(alike(say("late"))) is None


def test_a_failed_stream_has_no_end() -> None:
    reader = Reader()
    assert reader.read([Frame(b"", DEADLINE)]) == [Failed(TIMED_OUT)]
    assert reader.read([say("late")]) == []
    assert reader.finish() == []
    assert not reader.ended
    assert reader.read([Frame(b"", b"[DONE]")]) == []
    assert not reader.final


def test_too_many_calls() -> None:
    many = chunk(json.dumps({"tool_calls": [{"id": f"i{n}", "function": {"name": "f"}} for n in range(MAX_CALLS + 9)]}))
    *starts, failed = read(many, chunk(finish='"stop"'))
    assert len(starts) == MAX_CALLS + 1
    assert failed == Failed(
        Fault(kind="bad_gateway", message="Sourcegraph sent more than 512 tool calls in one answer.")
    )


def message(fields: dict[str, Any], finish: str | None = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": finish}
    return json.dumps(
        {"id": "chat-1", "object": "object", "created": 1700000000000, "model": "", "choices": [choice]}
    ).encode()


def tool_call(call_id: str | None, arguments: str | None, **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}, **more}


TWO_CALLS = Reply(
    calls=(ToolCall("", "f", "{}"), ToolCall("", "f", "{}")), stop="tool_calls", adapted=("arguments:filled",)
)


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (message({"content": "a"}), Reply(text="a")),
        (message({"content": "a"}, ""), Reply(text="a")),
        (message({"content": "a"}, None), Reply(text="a")),
        (message({"content": ""}, "length"), Reply(stop="length")),
        (message({"content": None}), Reply()),
        (message({"content": "a", "reasoning_content": "hm"}), Reply(text="a", reasoning="hm")),
        (b' {"choices":[{"message":{"content":"a"}}]}\n', Reply(text="a")),
        (
            message({"content": None, "tool_calls": [tool_call("a", "{}"), tool_call("b", "[]")]}, "tool_use"),
            Reply(calls=(ToolCall("a", "f", "{}"), ToolCall("b", "f", "[]")), stop="tool_calls"),
        ),
        (
            message({"tool_calls": [tool_call(None, None), tool_call(None, "{}")]}, ""),
            TWO_CALLS,
        ),
        (
            message({"tool_calls": [tool_call("", "", index=0), tool_call("", "{}", index=0)]}, ""),
            TWO_CALLS,
        ),
        (
            message({"tool_calls": [tool_call("a", "{}{}")]}),
            Reply(
                calls=(ToolCall("a", "f", "{}"), ToolCall("a_2", "f", "{}")),
                stop="tool_calls",
                adapted=("tool-calls:split",),
            ),
        ),
        (message({"content": "a"}, "tool_calls"), HOLLOW),
        (DEADLINE, TIMED_OUT),
        (b'{"error":{"message":"context deadline exceeded"}}', TIMED_OUT),
        (b"context deadline exceeded", TIMED_OUT),
        (b'{"choices":[{"message":{"content":"rate limit', UNREADABLE),
        (b'{"choices":{}}', UNREADABLE),
        (b'{"choices":[{"message":{"content":"\xff"}}]}', UNREADABLE),
        (b'{"a":' * 100_000, UNREADABLE),
    ],
)
def test_whole_answers(body: bytes, reply: Reply | Fault) -> None:
    assert read_reply(body) == reply


@pytest.mark.parametrize("body", [b"{}", b'{"choices":[]}', b'{"choices":null,"usage":null}', b""])
def test_a_whole_answer_with_nothing_in_it(body: bytes) -> None:
    found = read_reply(body)
    assert isinstance(found, Fault)
    assert found.message == "Sourcegraph answered with nothing; ask again."


CHUNK: dict[str, Any] = {
    "id": "chat-1",
    "model": "",
    "choices": [
        {
            "index": 0,
            "delta": {
                "content": "a",
                "reasoning_content": "b",
                "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}{}"}}],
            },
            "message": None,
            "finish_reason": "",
        }
    ],
    "usage": {"prompt_tokens": 1, "credits": 1.5, "prompt_tokens_details": {"cached_tokens": 1}},
    "error": None,
    "message": None,
}
WHOLE: dict[str, Any] = {"choices": [{"message": CHUNK["choices"][0]["delta"], "finish_reason": "tool_use"}]}

frames = st.builds(Frame, st.sampled_from([b"", b"", b"error", b"done"]), wild_bytes(CHUNK), st.booleans())


@given(st.lists(frames, max_size=5))
def test_no_frames_make_it_raise(given_frames: list[Frame]) -> None:
    events = read(*given_frames)
    failures = [number for number, event in enumerate(events) if isinstance(event, Failed)]
    assert failures in ([], [len(events) - 1])
    assert sum(isinstance(event, Stop) for event in events) == 1 - len(failures)
    starts = [event.index for event in events if isinstance(event, CallStart)]
    assert starts == list(range(len(starts)))
    assert isinstance(collect(events), Fault) == bool(failures)


TEXT = {"choices": [{"delta": {"content": "a"}, "finish_reason": "", "message": None}], "message": "b", "error": None}


@given(st.lists(wild_bytes(TEXT).filter(lambda data: not {10, 13} & {*data}), min_size=1, max_size=3))
def test_in_one_go_nothing_reads_otherwise(payloads: list[bytes]) -> None:
    each = [Frame(b"", payload) for payload in payloads]
    events = Reader().texts(alike(*each))
    assert events is None or events == Reader().read(each)


@given(wild_bytes(WHOLE, CHUNK))
def test_no_body_makes_it_raise(body: bytes) -> None:
    assert isinstance(read_reply(body), Reply | Fault)


replies = st.builds(
    Reply,
    text=st.text(max_size=20),
    calls=st.lists(
        st.builds(ToolCall, st.uuids().map(str), st.sampled_from("fg"), st.sampled_from(["{}", '{"a":"}{"}', ""])),
        max_size=3,
        unique_by=lambda made: made.id,
    ).map(tuple),
    usage=st.none() | st.builds(Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
)


@given(replies, st.sampled_from(["stop", "length", ""]), st.integers(1, 5))
def test_a_streamed_answer_folded_is_the_whole_one(reply: Reply, word: str, size: int) -> None:
    usage = reply.usage and {
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "total_tokens": reply.usage.total_tokens,
    }
    wire_calls = [
        {"id": made.id, "type": "function", "function": {"name": made.name, "arguments": made.arguments}}
        for made in reply.calls
    ]
    choice = {"message": {"content": reply.text, "tool_calls": wire_calls}, "finish_reason": word}
    whole = read_reply(json.dumps({"choices": [choice], "usage": usage}).encode())
    pieces = [say(reply.text[n : n + size]) for n in range(0, len(reply.text), size)]
    for made in reply.calls:
        pieces.append(call(0, made.id, made.name, ""))
        pieces += [call(0, "", "", made.arguments[n : n + size]) for n in range(0, len(made.arguments), size)]
    last = chunk(finish=json.dumps(word), rest=f',"usage":{json.dumps(usage)}')
    assert collect(read(*pieces, last)) == whole
    assert isinstance(whole, Reply)
    calls_filled = tuple(ToolCall(made.id, made.name, made.arguments or "{}") for made in reply.calls)
    assert (whole.text, whole.calls, whole.usage) == (reply.text, calls_filled, reply.usage)
    assert whole.adapted == (("arguments:filled",) if calls_filled != reply.calls else ())
