"""Cody's stream writes its events as each api-version has them, and one object when it is not to stream (contract §4)."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator import Attribution, Call, Fail, Hold, Reply, Send, Simulator, Text, Thought, Wait
from cody_oai_router.simulator.stream_answer import answer
from cody_oai_router.simulator.stream_request import Asked, read_request
from cody_oai_router.simulator.wire import Answer

CLAUDE = "anthropic::2023-06-01::claude-3.5-sonnet"
GPT = "openai::2024-02-01::gpt-4o"
GEMINI = "google::v1::gemini-2.5-pro"
HELLO = Reply((Text("hello there"),))
DONE: tuple[str, Any] = ("done", {})


def give(
    reply: Reply,
    version: int = 9,
    profile: str = "6.12",
    timeout: float | None = None,
    options: Any = None,
    **fields: Any,
) -> Answer:
    instance = Simulator(profile, **(options or {})).instance
    body = {"model": CLAUDE, "messages": [{"speaker": "human", "text": "a b c"}], "maxTokensToSample": 100, **fields}
    asked = read_request(body, version, instance)
    assert isinstance(asked, Asked)
    return answer(asked, reply, instance, timeout)


def sent(given: Answer) -> bytes:
    return b"".join(piece.data for piece in given.body if isinstance(piece, Send))


def events(data: bytes) -> list[tuple[str, Any]]:
    frames = data.decode().split("\n\n")
    assert frames.pop() == ""
    cut = [frame.removeprefix("event: ").split("\ndata: ") for frame in frames]
    return [(name, json.loads(payload)) for name, payload in cut]


def completions(given: Answer) -> list[Any]:
    return [payload for name, payload in events(sent(given)) if name == "completion"]


def calls(given: Answer) -> list[tuple[str, str, str]]:
    deltas = [delta for payload in completions(given) for delta in payload.get("delta_tool_calls", ())]
    assert all(delta["type"] == "function" for delta in deltas)
    return [(delta["id"], delta["function"]["name"], delta["function"]["arguments"]) for delta in deltas]


USAGE = {"completion_tokens": 2, "prompt_tokens": 3, "total_tokens": 5}
CREDITS = {**USAGE, "credits": 1, "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 0}}


@pytest.mark.parametrize("version", [0, 1])
def test_the_oldest_versions_repeat_everything_in_each_event(version: int) -> None:
    assert events(sent(give(HELLO, version, "5.6", model=""))) == [
        ("completion", {"completion": "hello ", "stopReason": ""}),
        ("completion", {"completion": "hello there", "stopReason": ""}),
        ("completion", {"completion": "hello there", "stopReason": "end_turn"}),
        DONE,
    ]


def test_openais_first_event_is_empty_in_the_oldest_versions() -> None:
    assert completions(give(HELLO, 1, "5.6", model=GPT))[0] == {"completion": "", "stopReason": ""}


@pytest.mark.parametrize("version", [2, 3, 4])
def test_then_came_deltas(version: int) -> None:
    assert events(sent(give(HELLO, version))) == [
        ("completion", {"deltaText": "hello "}),
        ("completion", {"deltaText": "there"}),
        ("completion", {"deltaText": "", "stopReason": "end_turn"}),
        DONE,
    ]


@pytest.mark.parametrize(
    ("profile", "version", "usage", "ref"),
    [
        ("5.10", 5, USAGE, {}),
        ("6.1", 8, USAGE, {}),
        ("6.5-starter", 9, CREDITS, {"modelref": CLAUDE}),
        ("6.12", 5, CREDITS, {}),
        ("6.12", 9, CREDITS, {}),
    ],
)
def test_then_a_last_event_with_model_and_usage(profile: str, version: int, usage: Any, ref: Any) -> None:
    last = {"model": "claude-3-5-sonnet-latest", **ref, "stopReason": "end_turn", "usage": usage}
    assert events(sent(give(HELLO, version, profile)))[-2:] == [("completion", last), DONE]


@pytest.mark.parametrize(
    ("model", "reply", "fields", "word"),
    [
        (CLAUDE, HELLO, {}, "end_turn"),
        (CLAUDE, HELLO, {"stopSequences": ["the"]}, "stop_sequence"),
        (CLAUDE, HELLO, {"maxTokensToSample": 1}, "max_tokens"),
        (CLAUDE, Reply((Call("f", "{}"),)), {}, "tool_use"),
        (CLAUDE, Reply((), finish="length"), {}, "max_tokens"),
        (CLAUDE, Reply((), finish="refusal"), {}, "refusal"),
        (GPT, HELLO, {}, "stop"),
        (GPT, HELLO, {"stopSequences": ["the"]}, "stop"),
        (GPT, HELLO, {"maxTokensToSample": 1}, "length"),
        (GPT, Reply((Call("f", "{}"),)), {}, "tool_calls"),
        (GEMINI, HELLO, {}, None),
        (GEMINI, HELLO, {"maxTokensToSample": 1}, None),
        (GEMINI, Reply((), finish="SAFETY"), {}, "SAFETY"),
        ("WorkersAI/llama-3.1-8b-instruct", HELLO, {}, "stop"),
    ],
)
def test_reasons(model: str, reply: Reply, fields: Any, word: str | None) -> None:
    assert completions(give(reply, model=model, **fields))[-1].get("stopReason") == word
    assert all("stopReason" not in payload for payload in completions(give(reply, model=model, **fields))[:-1])


def test_an_answer_of_nothing_is_an_empty_200() -> None:
    given = give(Reply(()), 2, model=GEMINI)
    assert (given.status, sent(given)) == (200, b"")
    assert events(sent(give(Reply(()), 2))) == [("completion", {"deltaText": "", "stopReason": "end_turn"}), DONE]


def test_the_head() -> None:
    headers = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
    given = give(HELLO)
    assert (given.status, given.headers, given.framing) == (200, headers, "chunked")
    assert [name for name, _ in give(HELLO, 1, "5.6", model="").headers[3:]] == ["X-Trace", "X-Trace-Span"]


def test_go_escapes_what_could_be_markup() -> None:
    assert b'{"deltaText":"\\u003ca\\u003e\\u0026"}' in sent(give(Reply((Text("<a>&"),))))


def test_a_tool_call_starts_and_goes_on_in_fragments() -> None:
    given = give(Reply((Text("so "), Call("f", '{"a": 1}'))))
    (start, *fragments) = calls(given)
    assert start[0].startswith("toolu_vrtx_")
    assert start[1:] == ("f", "")
    assert fragments == [("", "", '{"a"'), ("", "", ": 1}")]
    assert completions(given)[0] == {"deltaText": "so "}


@pytest.mark.parametrize(("parallel", "starts"), [("new-id", 2), ("no-id", 1)])
def test_both_hypotheses_of_a_second_call(parallel: str, starts: int) -> None:
    given = give(Reply((Call("f", "{}"), Call("f", "{}"))), options={"parallel": parallel}, model=GPT)
    ids = [identifier for identifier, _, _ in calls(given) if identifier]
    assert len(set(ids)) == starts
    assert all(identifier.startswith("call_") for identifier in ids)
    assert "".join(arguments for _, _, arguments in calls(given)) == "{}{}"


@pytest.mark.parametrize(("version", "lost"), [(7, False), (9, True)])
def test_calls_that_are_not_shown(version: int, lost: bool) -> None:
    given = give(Reply((Call("f", "{}"),), lost_deltas=lost), version)
    assert calls(given) == []
    assert completions(given)[-1]["stopReason"] == "tool_use"


@pytest.mark.parametrize(("version", "shown"), [(7, False), (8, True), (9, True)])
def test_thoughts_come_first_and_are_signed(version: int, shown: bool) -> None:
    payloads = completions(give(Reply((Thought("let me"), Text("hi"))), version))
    signature = next((payload["thinking_signature"] for payload in payloads if "thinking_signature" in payload), None)
    thoughts = [{"delta_thinking": "let "}, {"delta_thinking": "me"}, {"thinking_signature": signature}]
    assert payloads[:-1] == [*(thoughts if shown else []), {"deltaText": "hi"}]


def test_a_search_for_the_source_may_fail_without_harm() -> None:
    given = give(Reply((Text("a"), Attribution("no"), Text("b"))))
    names = [name for name, _ in events(sent(given))]
    assert names == ["completion", "attribution-error", "completion", "completion", "done"]


@pytest.mark.parametrize("before", [(), (Text("a"),)])
def test_a_failure_is_an_event_and_then_it_is_done(before: Any) -> None:
    given = give(Reply((*before, Fail("boom"), Text("never"))))
    assert given.status == 200
    assert events(sent(given))[len(before) :] == [("error", {"error": "boom"}), DONE]


@pytest.mark.parametrize(
    ("profile", "fail", "body"),
    [
        ("6.1", Fail("slow", 429), b"slow\n"),
        ("6.5-starter", Fail("slow", 429), b'{"message":"slow","type":"completion.process_completion"}'),
        ("6.12", Fail("", 429), b""),
        ("6.12", Fail("down", 503), b'{"message":"down","type":"completion.process_completion"}'),
    ],
)
def test_a_status_of_its_own_before_the_first_event(profile: str, fail: Fail, body: bytes) -> None:
    given = give(Reply((Wait(1), fail)), 8, profile)
    assert (given.status, sent(given), given.body[0]) == (fail.status, body, Wait(1))
    assert give(Reply((Text("a"), fail)), 8, profile).status == 200


@pytest.mark.parametrize(
    ("version", "reply", "expected"),
    [
        (1, HELLO, {"completion": "hello there", "stopReason": "end_turn"}),
        (2, HELLO, {"completion": "hello there", "stopReason": "end_turn"}),
        (9, HELLO, {"completion": "hello there", "stopReason": "end_turn", "usage": CREDITS}),
    ],
)
def test_a_whole_answer_is_json_called_plain_text(version: int, reply: Reply, expected: Any) -> None:
    given = give(reply, version, stream=False)
    assert given.headers == (("Content-Type", "text/plain; charset=utf-8"),)
    assert json.loads(sent(given)) == expected


@pytest.mark.parametrize(("version", "shown"), [(7, False), (8, True)])
def test_a_whole_answer_with_calls(version: int, shown: bool) -> None:
    whole = json.loads(sent(give(Reply((Call("f", "{}"), Call("g", "{}"))), version, stream=False)))
    functions = [call["function"] for call in whole.get("tool_calls", ())]
    expected = [{"name": "f", "arguments": "{}"}, {"name": "g", "arguments": "{}"}]
    assert functions == (expected if shown else [])


@pytest.mark.parametrize(
    ("fail", "status", "body"),
    [
        (Fail("slow", 429), 429, b""),
        (Fail("bad", 400), 503, b"bad\n"),
        (Fail("Sourcegraph Cody Gateway: unexpected status code 400: {}"), 503, None),
        (Fail("message content cannot be empty"), 500, b"message content cannot be empty\n"),
    ],
)
def test_a_whole_answer_that_fails(fail: Fail, status: int, body: bytes | None) -> None:
    given = give(Reply((fail,)), 8, "6.1", stream=False)
    assert given.status == status
    assert body is None or sent(given) == body


def test_pace_and_pauses() -> None:
    reply = Reply((Text("a "), Hold("h"), Text("b")))
    pauses = [piece for piece in give(reply, options={"pace": 0.5}).body if not isinstance(piece, Send)]
    assert pauses == [Wait(0.5), Hold("h"), Wait(0.5)]
    whole = give(reply, options={"pace": 0.5}, stream=False)
    assert whole.body[:3] == (Wait(0.5), Hold("h"), Wait(0.5))


OVERDUE = [("error", {"error": "context deadline exceeded"}), DONE]


@pytest.mark.parametrize(
    ("profile", "timeout", "deadline"), [("6.12", None, 480), ("5.6", None, 60), ("6.12", 2.5, 2.5)]
)
def test_a_stream_that_takes_too_long(profile: str, timeout: float | None, deadline: float) -> None:
    given = give(HELLO, 1, profile, timeout, model="")
    assert given.deadline == deadline
    assert events(given.late_line) == OVERDUE
    assert given.late is not None
    assert (given.late.status, events(sent(given.late))) == (200, OVERDUE)


def test_a_whole_answer_that_takes_too_long() -> None:
    late = give(HELLO, 8, "6.1", stream=False).late
    assert late is not None
    assert (late.status, sent(late)) == (500, b"context deadline exceeded\n")
