"""Answers of Cody's stream: named events and whole objects, with the oddities of contract §4.4 and §4.5 (traps 17, 29, 38, 39, 58, 62)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import Reply, ToolCall, collect
from cody_oai_router.dialects.cody_stream import Reader, read_reply
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Rewritten,
    Stop,
    StopReason,
    Text,
    Usage,
)
from cody_oai_router.faults import EMPTY_ANSWER, HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.sourcegraph.answers import MAX_CALLS, STOP_REASONS
from cody_oai_router.sse import Frame, Lines, Splitter
from strategies import cut, fed, places, wild_bytes

UNREADABLE = Fault(kind="bad_gateway", message="Sourcegraph sent something that is not whole, or no JSON; ask again.")
NOTHING = Fault(kind="bad_gateway", message="Sourcegraph answered with nothing; ask again.", code=EMPTY_ANSWER)
HOLLOW = Fault(
    kind="bad_gateway",
    message="Sourcegraph announced tool calls and then sent none; ask again.",
    code=HOLLOW_TOOL_CALLS,
)
CUT_OFF = Fault(
    kind="bad_gateway", message="The answer broke off: Sourcegraph ended it without saying that it was done."
)
TIMED_OUT = Fault(
    kind="timed_out",
    message="The model took longer than the instance allows. Sourcegraph says: context deadline exceeded",
    said="context deadline exceeded",
)
DEADLINE = b'{"error":"context deadline exceeded"}'
FILLED = Adapted("arguments:filled")
DONE = Frame(b"done", b"{}")


def frame(**fields: Any) -> Frame:
    return Frame(b"completion", json.dumps(fields).encode())


def say(text: str, **fields: Any) -> Frame:
    return frame(deltaText=text, **fields)


def so_far(text: str, **fields: Any) -> Frame:
    return frame(completion=text, stopReason="", **fields)


def wire_call(call_id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def call(call_id: str | None, name: str | None, arguments: str | None) -> Frame:
    return frame(delta_tool_calls=[wire_call(call_id, name, arguments)])


def read(*frames: Frame) -> list[Event]:
    reader = Reader()
    return reader.read(list(frames)) + reader.finish()


ONE_CALL: list[Event] = [CallStart(0, "a", "f"), CallArguments(0, "{}")]


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([say("a"), say("b", stopReason="end_turn"), DONE], [Text("a"), Text("b"), Stop("stop")]),
        ([say("a"), DONE], [Text("a"), Stop("stop")]),
        ([say(""), say("a"), frame(model="m", stopReason="max_tokens"), DONE], [Text("a"), Stop("length")]),
        ([say("a", stopReason="max_tokens"), say("b", stopReason=""), DONE], [Text("a"), Text("b"), Stop("length")]),
        ([say("a", stopReason="max_tokens"), frame(stopReason="end_turn"), DONE], [Text("a"), Stop("stop")]),
        ([frame(), DONE], [Stop("stop")]),
        ([say("a"), DONE, say("late"), Frame(b"error", DEADLINE)], [Text("a"), Stop("stop")]),
        ([frame(deltaText=None, usage=None, error="x", message="y"), DONE], [Stop("stop")]),
        (
            [frame(delta_thinking="hm"), frame(thinking_signature="c2ln"), say("a"), DONE],
            [Reasoning("hm"), Text("a"), Stop("stop")],
        ),
        ([say("a", delta_thinking="hm"), DONE], [Reasoning("hm"), Text("a"), Stop("stop")]),
        ([say("a", usage={"prompt_tokens": 1}), DONE], [Text("a"), Usage(1), Stop("stop")]),
        ([so_far("a"), so_far("ab"), so_far("ab"), DONE], [Text("a"), Text("b"), Stop("stop")]),
        ([so_far(""), so_far("a"), DONE], [Text("a"), Stop("stop")]),
        # What was said and reads otherwise now is told; what is beyond it goes on.
        ([so_far("abc"), so_far("ab"), so_far("abcd"), DONE], [Text("abc"), Text("d"), Stop("stop")]),
        ([so_far("abc"), so_far("abXd"), DONE], [Text("abc"), Rewritten("abX"), Text("d"), Stop("stop")]),
        ([so_far("abc"), so_far("X"), DONE], [Text("abc"), Rewritten("X"), Stop("stop")]),
        (
            [so_far("abc"), so_far("X"), so_far("XY"), so_far("XYZd"), DONE],
            [Text("abc"), Rewritten("X"), Rewritten("XY"), Rewritten("XYZ"), Text("d"), Stop("stop")],
        ),
        (
            [so_far("abc"), so_far("ab"), so_far("abX"), DONE],
            [Text("abc"), Rewritten("abX"), Stop("stop")],
        ),
        # One that is shorter in the end has been rewritten too.
        ([so_far("abc"), so_far("ab"), DONE], [Text("abc"), Rewritten("ab"), Stop("stop")]),
        ([so_far("abc"), so_far(""), DONE], [Text("abc"), Rewritten(""), Stop("stop")]),
        ([so_far("abc"), so_far("ab"), so_far("abc"), DONE], [Text("abc"), Stop("stop")]),
        ([so_far("abc"), frame(stopReason="end_turn"), DONE], [Text("abc"), Stop("stop")]),
        (
            [so_far("abc"), so_far("abX"), so_far("abXd"), DONE],
            [Text("abc"), Rewritten("abX"), Text("d"), Stop("stop")],
        ),
        # Go writes the bytes of half a character as U+FFFD each; the whole one is in the next event.
        ([so_far("a\ufffd\ufffd"), so_far("a\u00e9"), DONE], [Text("a"), Text("\u00e9"), Stop("stop")]),
        ([so_far("a\ufffd"), so_far("a\ufffdb"), DONE], [Text("a"), Text("\ufffdb"), Stop("stop")]),
        ([so_far("a\ufffd"), DONE], [Text("a"), Text("\ufffd"), Stop("stop")]),
        ([say("\ufffd"), DONE], [Text("\ufffd"), Stop("stop")]),
        ([call("a", "f", "{}"), frame(stopReason="tool_use"), DONE], [*ONE_CALL, Stop("tool_calls")]),
        ([call("a", "f", "{}"), DONE], [*ONE_CALL, Stop("tool_calls")]),
        (
            [call("a", "f", ""), call("", "", "{"), call(None, None, "}"), DONE],
            [
                CallStart(0, "a", "f"),
                CallArguments(0, "{"),
                CallArguments(0, "}"),
                Stop("tool_calls"),
            ],
        ),
        (
            [call("a", "f", "{"), call("a", "f", "}"), DONE],
            [
                CallStart(0, "a", "f"),
                CallArguments(0, "{"),
                CallArguments(0, "}"),
                Stop("tool_calls"),
            ],
        ),
        (
            [call("a", "f", "{}"), call("b", "f", ""), call("", "", "[]"), DONE],
            [*ONE_CALL, CallStart(1, "b", "f"), CallArguments(1, "[]"), Stop("tool_calls")],
        ),
        (
            [frame(deltaText="x", delta_tool_calls=[wire_call("a", "f", "{}"), wire_call("b", "g", None)]), DONE],
            [Text("x"), *ONE_CALL, CallStart(1, "b", "g"), CallArguments(1, "{}"), FILLED, Stop("tool_calls")],
        ),
        (
            [call("", "f", "{}"), call("", "f", "{}"), call("", "g", ""), DONE],
            [
                CallStart(0, "", "f"),
                CallArguments(0, "{}"),
                CallStart(1, "", "f"),
                CallArguments(1, "{}"),
                CallStart(2, "", "g"),
                CallArguments(2, "{}"),
                FILLED,
                Stop("tool_calls"),
            ],
        ),
        (
            [call("a", "f", "{}{}"), DONE],
            [
                *ONE_CALL,
                Adapted("tool-calls:split"),
                CallStart(1, "a_2", "f"),
                CallArguments(1, "{}"),
                Stop("tool_calls"),
            ],
        ),
        (
            [frame(delta_tool_calls=[{"id": "a"}]), DONE],
            [CallStart(0, "a", ""), CallArguments(0, "{}"), FILLED, Stop("tool_calls")],
        ),
        (
            [call("a", "f", ""), frame(stopReason="max_tokens"), DONE],
            [CallStart(0, "a", "f"), CallArguments(0, "{}"), FILLED, Stop("length")],
        ),
        # What an answer cost is no reason to lose it.
        (
            [say("a", usage="free"), say("b", usage=[1]), frame(usage={"prompt_tokens": "1"}), DONE],
            [Text("a"), Text("b"), Stop("stop")],
        ),
        (
            [frame(tool_calls=[wire_call("a", "f", "{}")], delta_tool_calls=[]), DONE],
            [*ONE_CALL, Stop("tool_calls")],
        ),
        ([say("a"), frame(stopReason="tool_use"), DONE], [Text("a"), Failed(HOLLOW)]),
        ([say("a"), Frame(b"error", DEADLINE), DONE], [Text("a"), Failed(TIMED_OUT)]),
        ([Frame(b"error", DEADLINE), say("late"), DONE], [Failed(TIMED_OUT)]),
        ([Frame(b"error", b'{"error":""}'), DONE], [Failed(NOTHING)]),
        ([say("a"), Frame(b"", DEADLINE, stray=True), DONE], [Text("a"), Failed(TIMED_OUT)]),
        (
            [say("a"), Frame(b"attribution-error", b'{"error":"x"}'), say("b"), DONE],
            [Text("a"), Text("b"), Stop("stop")],
        ),
        ([Frame(b"", b'{"deltaText":"a"}'), Frame(b"ping", b"?"), say("b"), DONE], [Text("b"), Stop("stop")]),
        ([DONE], [Failed(NOTHING)]),
        ([Frame(b"attribution-error", b"{}"), DONE], [Failed(NOTHING)]),
        ([say("a"), Frame(b"completion", b'{"deltaText":"b'), DONE], [Text("a"), Failed(UNREADABLE)]),
        ([Frame(b"completion", b"[" * 100_000), DONE], [Failed(UNREADABLE)]),
        ([Frame(b"completion", b'{"deltaText":"\xff"}'), DONE], [Failed(UNREADABLE)]),
        ([Frame(b"completion", b'{"deltaText":1}'), DONE], [Failed(UNREADABLE)]),
        # Whatever HTTP says of the end of the body: without `event: done` it broke off.
        ([say("a", stopReason="end_turn")], [Text("a"), Failed(CUT_OFF)]),
        ([], [Failed(CUT_OFF)]),
    ],
)
def test_streams(frames: list[Frame], events: list[Event]) -> None:
    assert read(*frames) == events
    one_by_one = Reader()
    assert [event for given_frame in frames for event in one_by_one.read([given_frame])] + one_by_one.finish() == events


def alike(*frames: Frame) -> Lines:
    return Lines(frames[0].event, b"\r".join([each.data for each in frames]), len(frames))


@pytest.mark.parametrize(
    "frames",
    [
        [say("a")],
        [say("a"), say("b\n\r}{"), say("c", stopReason="")],
        [say("a", stopReason=None, delta_thinking="", completion=None, usage=None, tool_calls=None)],
        [say("a", model="m")],
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
        [frame()],
        [frame(deltaText=None)],
        [so_far("a")],
        [say("a", completion="ab")],
        [Frame(b"completion", b'{"deltaText":"a","error":"\xff"}')],
        [Frame(b"completion", b'{"deltaText":"a","message":1e999}')],
        [say("a"), say("b", stopReason="end_turn")],
        [say("a", delta_thinking="hm")],
        [say("a", delta_tool_calls=[])],
        [say("a", tool_calls=[])],
        [say("a", usage={})],
        [Frame(b"completion", b"")],
        [Frame(b"completion", b'{"deltaText":"a"'), Frame(b"completion", b"}")],
        [Frame(b"completion", b'{"deltaText":"a"}{"deltaText":"b"}')],
        # As many objects as lines, and yet not one on each.
        [Frame(b"completion", b'{"deltaText":"a"}{"deltaText":"b"}'), Frame(b"completion", b" ")],
        [
            Frame(b"completion", b'{"deltaText":"a","x":[{}'),
            Frame(b"completion", b"{}]}"),
            Frame(b"completion", b'{"deltaText":"b"}{"deltaText":"c"}'),
        ],
        [Frame(b"completion", b'{"deltaText":"\xff"}')],
        [Frame(b"completion", b"[" * 100_000)],
        [Frame(b"error", b'{"deltaText":"a"}')],
        [Frame(b"", b'{"deltaText":"a"}')],
        [DONE],
    ],
)
def test_whatever_else_there_is_is_not(frames: list[Frame]) -> None:
    reader = Reader()
    assert reader.texts(alike(*frames)) is None
    assert reader.read(frames) + reader.finish() == read(*frames)


def test_no_text_is_read_after_the_end() -> None:
    ended, failed = Reader(), Reader()
    ended.read([say("a"), DONE])
    failed.finish()
    assert ended.texts(alike(say("late"))) is failed.texts(alike(say("late"))) is None


def test_an_answer_of_nothing_but_pieces_of_text_has_begun() -> None:
    reader = Reader()
    assert reader.texts(alike(say("a"))) == [Text("a")]
    assert reader.read([DONE]) == [Stop("stop")]


def test_only_done_ends_an_answer() -> None:
    reader = Reader()
    assert (reader.read([say("a", stopReason="end_turn")]), reader.ended, reader.final) == ([Text("a")], False, False)
    assert (reader.read([DONE, say("late")]), reader.ended, reader.final) == ([Stop("stop")], True, True)
    assert (reader.read([DONE]), reader.finish()) == ([], [])


def test_a_failed_answer_has_no_end() -> None:
    for last in (Frame(b"error", DEADLINE), Frame(b"completion", b"{"), Frame(b"done", b"{}")):
        reader = Reader()
        assert len(reader.read([last])) == 1
        assert (reader.read([say("late"), DONE]), reader.finish(), reader.ended) == ([], [], False)
        assert not reader.final
    broken_off = Reader()
    broken_off.finish()
    assert (broken_off.read([say("late"), DONE]), broken_off.finish(), broken_off.ended) == ([], [], False)


def test_after_too_many_calls_nothing_more_comes_not_even_of_the_same_event() -> None:
    many = [wire_call(f"i{number}", "f", "") for number in range(MAX_CALLS + 9)]
    *starts, failed = read(frame(delta_tool_calls=many, usage={"prompt_tokens": 1}), DONE)
    assert starts == [CallStart(number, f"i{number}", "f") for number in range(MAX_CALLS + 1)]
    assert failed == Failed(
        Fault(kind="bad_gateway", message="Sourcegraph sent more than 512 tool calls in one answer.")
    )


WORDS: list[tuple[str, StopReason]] = [*STOP_REASONS.items(), ("", "stop"), ("unknown", "stop")]


@pytest.mark.parametrize(("word", "reason"), WORDS)
def test_finish_words(word: str, reason: StopReason) -> None:
    before = call("a", "f", "{}") if reason == "tool_calls" else say("a")
    assert read(before, frame(stopReason=word), DONE)[-1] == Stop(reason)


USAGE = {"completion_tokens": 2, "prompt_tokens": 1, "total_tokens": 3}


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (USAGE, Usage(1, 2, 3)),
        (USAGE | {"credits": 0.2}, Usage(1, 2, 3, credits=1)),
        (
            USAGE | {"prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 7}},
            Usage(1, 2, 3, cached_tokens=0, cache_creation_tokens=7),
        ),
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, Usage(reasoning_tokens=4)),
        ({}, Usage()),
    ],
)
def test_usage(wire: dict[str, Any], usage: Usage) -> None:
    assert read(say("a"), frame(usage=wire), DONE) == [Text("a"), usage, Stop("stop")]
    whole = read_reply(json.dumps({"completion": "a", "stopReason": "end_turn", "usage": wire}).encode())
    assert whole == Reply(text="a", usage=usage)


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b'{"completion":"yes","stopReason":"end_turn"}', Reply(text="yes")),
        (b'{"completion":"yes"}', Reply(text="yes")),
        (b'{"completion":"","stopReason":"max_tokens"}', Reply(stop="length")),
        (b'{"completion":"\xef\xbf\xbd"}', Reply(text="\ufffd")),
        (b'{"deltaText":"yes"}', Reply(text="yes")),
        (b'{"completion":"a","delta_thinking":"hm","error":null,"message":null}', Reply(text="a", reasoning="hm")),
        (
            json.dumps({"tool_calls": [wire_call("a", "f", "{}"), wire_call("b", "g", None)]}).encode(),
            Reply(
                calls=(ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}")),
                stop="tool_calls",
                adapted=("arguments:filled",),
            ),
        ),
        (
            # Each entry of a whole answer is a call, whatever its id says.
            json.dumps(
                {"completion": "x", "tool_calls": [wire_call(None, "f", ""), wire_call("", "f", "{}")]}
            ).encode(),
            Reply(
                text="x",
                calls=(ToolCall("", "f", "{}"), ToolCall("", "f", "{}")),
                stop="tool_calls",
                adapted=("arguments:filled",),
            ),
        ),
        (b'{"completion":"a","usage":7}', Reply(text="a")),
        (b'{"completion":"a","stopReason":"tool_use","tool_calls":[]}', HOLLOW),
        (DEADLINE, TIMED_OUT),
        (b'{"message":"context deadline exceeded","type":"completion.process_completion"}', TIMED_OUT),
        (b'{"completion":"a","error":"context deadline exceeded"}', TIMED_OUT),
        (b"context deadline exceeded", TIMED_OUT),
        (
            b'"context deadline exceeded',
            Fault(
                kind="timed_out",
                message='The model took longer than the instance allows. Sourcegraph says: "context deadline exceeded',
                said='"context deadline exceeded',
            ),
        ),
        (b"{}", NOTHING),
        (b"", NOTHING),
        (b'{"completion":null,"tool_calls":[],"stopReason":"stop","usage":null}', NOTHING),
        (b'{"completion":"rate limit', UNREADABLE),
        (b'{"completion":["rate limit"]}', UNREADABLE),
        (b'{"completion":"\xff"}', UNREADABLE),
        (b'{"a":' * 100_000, UNREADABLE),
    ],
)
def test_whole_answers(body: bytes, reply: Reply | Fault) -> None:
    assert read_reply(body) == reply


COMPLETION: dict[str, Any] = {
    "deltaText": "a",
    "completion": "b",
    "stopReason": "tool_use",
    "delta_thinking": "c",
    "delta_tool_calls": [wire_call("d", "f", "{}{}")],
    "tool_calls": [wire_call("d", "f", "{}")],
    "usage": {"prompt_tokens": 1, "credits": 1.5, "prompt_tokens_details": {"cached_tokens": 1}},
    "message": None,
    "error": None,
}
NAMES = st.sampled_from([b"completion", b"completion", b"completion", b"error", b"done", b"", b"attribution-error"])
frames = st.builds(Frame, NAMES, wild_bytes(COMPLETION), st.booleans())


@given(st.lists(frames, max_size=6))
def test_no_frames_make_it_raise(given_frames: list[Frame]) -> None:
    events = read(*given_frames)
    failures = [number for number, event in enumerate(events) if isinstance(event, Failed)]
    assert failures in ([], [len(events) - 1])
    assert sum(isinstance(event, Stop) for event in events) == 1 - len(failures)
    starts = [event.index for event in events if isinstance(event, CallStart)]
    assert starts == list(range(len(starts)))
    assert isinstance(collect(events), Fault) == bool(failures)


TEXT = {"deltaText": "a", "stopReason": "", "delta_thinking": None, "message": "b", "error": 1}


@given(
    st.lists(wild_bytes(TEXT, {"deltaText": "a"}).filter(lambda data: not {10, 13} & {*data}), min_size=1, max_size=3)
)
def test_in_one_go_nothing_reads_otherwise(payloads: list[bytes]) -> None:
    each = [Frame(b"completion", payload) for payload in payloads]
    events = Reader().texts(alike(*each))
    assert events is None or events == Reader().read(each)


@given(wild_bytes(COMPLETION, {"completion": "a"}))
def test_no_body_makes_it_raise(body: bytes) -> None:
    assert isinstance(read_reply(body), Reply | Fault)


def events_of(pieces: list[bytes]) -> list[Event]:
    splitter, reader = Splitter(), Reader()
    events = fed(lambda piece: reader.read(splitter.feed(piece)), pieces)
    return events + reader.read(splitter.finish()) + reader.finish()


def sse(frames: list[Frame], end: bytes = b"\n") -> bytes:
    return b"".join(b"event: " + each.event + end + b"data: " + each.data + end + end for each in frames)


@given(st.lists(frames, max_size=4), st.sampled_from([b"\n", b"\r\n"]), places)
def test_any_cut_of_the_bytes_gives_the_same_events(given_frames: list[Frame], end: bytes, where: list[int]) -> None:
    for body in (sse(given_frames, end), sse([say("\u00e9"), *given_frames, DONE], end)):
        assert events_of(cut(body, where)) == events_of([body])


replies = st.builds(
    Reply,
    text=st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), max_size=20),
    reasoning=st.text(max_size=9),
    calls=st.lists(
        st.builds(ToolCall, st.uuids().map(str), st.sampled_from("fg"), st.sampled_from(["{}", '{"a":"}{"}', ""])),
        max_size=3,
        unique_by=lambda made: made.id,
    ).map(tuple),
    usage=st.none() | st.builds(Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
)


@given(replies, st.sampled_from(["end_turn", "length", ""]), st.integers(1, 5), st.booleans())
def test_a_streamed_answer_folded_is_the_whole_one(reply: Reply, word: str, size: int, cumulative: bool) -> None:
    usage = reply.usage and {
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
        "total_tokens": reply.usage.total_tokens,
    }
    calls = [wire_call(made.id, made.name, made.arguments) for made in reply.calls]
    fields = {"completion": reply.text, "delta_thinking": reply.reasoning, "stopReason": word, "usage": usage}
    whole = read_reply(json.dumps({**fields, "tool_calls": calls}).encode())
    said = [frame(delta_thinking=piece) for piece in reply.reasoning]
    starts = range(0, len(reply.text), size)
    said += [so_far(reply.text[: at + size]) if cumulative else say(reply.text[at : at + size]) for at in starts]
    for made in reply.calls:
        said.append(call(made.id, made.name, ""))
        said += [call("", "", made.arguments[at : at + size]) for at in range(0, len(made.arguments), size)]
    assert collect(read(*said, frame(stopReason=word, usage=usage), DONE)) == whole
    assert isinstance(whole, Reply)
    calls_filled = tuple(ToolCall(made.id, made.name, made.arguments or "{}") for made in reply.calls)
    assert (whole.text, whole.reasoning, whole.calls) == (reply.text, reply.reasoning, calls_filled)
    assert whole.adapted == (("arguments:filled",) if calls_filled != reply.calls else ())
    assert whole.usage == reply.usage


@given(st.text(max_size=20), st.integers(1, 4))
def test_a_cumulative_text_that_is_cut_inside_characters_says_each_of_them_once(text: str, size: int) -> None:
    data = text.encode("utf-8", "replace")
    shown = [data[: at + size].decode("utf-8", "replace") for at in range(0, len(data), size)]
    events = read(so_far(""), *map(so_far, shown), DONE)
    assert "".join(event.text for event in events if isinstance(event, Text)) == data.decode("utf-8")
    assert not any(isinstance(event, Rewritten) for event in events)


@given(st.lists(st.text("abX\ufffd", max_size=6), min_size=1, max_size=6))
def test_a_cumulative_text_folded_is_the_last_one_however_often_it_was_rewritten(texts: list[str]) -> None:
    events = read(*map(so_far, texts), DONE)
    assert collect(events) == Reply(text=texts[-1])
    streamed = sum(len(event.text) for event in events if isinstance(event, Text))
    assert streamed >= len(texts[-1].rstrip("\ufffd"))
    assert all(len(event.text) <= streamed for event in events if isinstance(event, Rewritten))
