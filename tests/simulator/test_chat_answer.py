"""Whole and streamed answers look as each version writes them (contract §3)."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator import Attribution, Call, Fail, Hold, Reply, Send, Simulator, Text, Thought, Wait
from cody_oai_router.simulator.chat_answer import answer
from cody_oai_router.simulator.chat_request import Chat, read_chat
from cody_oai_router.simulator.wire import Answer

CLAUDE = "anthropic::2023-06-01::claude-3.5-sonnet"
GPT = "openai::2024-02-01::gpt-4o"
GEMINI = "google::v1::gemini-2.5-pro"
OLD_GEMINI = "google::v1::gemini-1.5-pro-002"
HELLO = Reply((Text("hello there"),))


def give(
    reply: Reply, profile: str = "6.12", timeout: float | None = None, parallel: Any = "new-id", **fields: Any
) -> Answer:
    simulator = Simulator(profile, parallel=parallel, clock=lambda: 1747699200.9, pace=fields.pop("pace", 0.0))
    body = {"model": CLAUDE, "messages": [{"role": "user", "content": "a b c"}], "max_tokens": 100, **fields}
    chat = read_chat(body, simulator.instance)
    assert isinstance(chat, Chat)
    return answer(chat, reply, simulator.instance, timeout)


def sent(given: Answer) -> bytes:
    return b"".join(piece.data for piece in given.body if isinstance(piece, Send))


def whole(given: Answer) -> Any:
    return json.loads(sent(given))


def chunks(given: Answer) -> list[Any]:
    lines = sent(given).decode().split("\n\n")
    assert lines.pop() == ""
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def deltas(given: Answer) -> list[dict[str, Any]]:
    return [call for chunk in chunks(given) for call in chunk["choices"][0]["delta"].get("tool_calls", ())]


def test_a_whole_answer() -> None:
    given = give(HELLO)
    body = whole(given)
    assert given.status == 200
    assert given.headers == (("Content-Type", "application/json"),)
    assert body.pop("id").startswith("chat-")
    assert body == {
        "object": "chat.completion",
        "created": 1747699200,
        "model": CLAUDE,
        "system_fingerprint": "",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello there"}}],
        "usage": {
            "completion_tokens": 2,
            "prompt_tokens": 3,
            "total_tokens": 5,
            "credits": 1,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 0},
        },
    }


@pytest.mark.parametrize(
    ("profile", "model", "usage"),
    [
        ("5.6", CLAUDE, {"completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 0}),
        ("6.1", CLAUDE, {"completion_tokens": 2, "prompt_tokens": 3, "total_tokens": 5}),
        ("6.12", GPT, {"completion_tokens": 2, "prompt_tokens": 3, "total_tokens": 5, "credits": 1}),
    ],
)
def test_usage_by_version_and_provider(profile: str, model: str, usage: dict[str, int]) -> None:
    assert whole(give(HELLO, profile, model=model))["usage"] == usage


@pytest.mark.parametrize(
    ("profile", "model", "limits", "finish", "text"),
    [
        ("5.6", CLAUDE, {}, "end_turn", "hello there"),
        ("5.6", CLAUDE, {"max_tokens": 1}, "max_tokens", "hello "),
        ("5.6", CLAUDE, {"stop": " th"}, "stop_sequence", "hello"),
        ("5.6", GPT, {}, "stop", "hello there"),
        ("5.6", GPT, {"stop": ["x", "lo"]}, "stop", "hel"),
        ("5.6", GPT, {"max_tokens": 1}, "length", "hello "),
        ("5.6", OLD_GEMINI, {}, "STOP", "hello there"),
        ("5.6", OLD_GEMINI, {"max_tokens": 1}, "MAX_TOKENS", "hello "),
        ("6.12", CLAUDE, {"stop": "there"}, "stop", "hello "),
        ("6.12", GPT, {"max_tokens": 1}, "length", "hello "),
        ("6.12", GEMINI, {}, "", "hello there"),
        ("6.12", GEMINI, {"max_tokens": 1}, "length", "hello "),
    ],
)
def test_finish_words_and_limits(profile: str, model: str, limits: dict[str, Any], finish: str, text: str) -> None:
    choice = whole(give(HELLO, profile, model=model, **limits))["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == (finish, text)


def test_without_max_tokens_the_answer_ends_after_16() -> None:
    choice = whole(give(Reply((Text("w " * 20),)), "5.6", max_tokens=None))["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("max_tokens", "w " * 16)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("parts", [("onetwo",), ("one", "two"), ("on", "etwo"), ("o", "n", "e", "t", "wo")])
def test_a_stop_sequence_may_lie_across_pieces(parts: tuple[str, ...], stream: bool) -> None:
    given = give(Reply((Wait(2), *map(Text, parts), Wait(1), Text("never"))), stop=["et"], stream=stream)
    if stream:
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks(given)) == "on"
    else:
        assert whole(given)["choices"][0]["message"]["content"] == "on"
    assert (Wait(2) in given.body, Wait(1) in given.body) == (True, False)


def test_a_chosen_finish_word_is_sent_as_it_is() -> None:
    assert whole(give(Reply((), finish="STOP")))["choices"][0]["finish_reason"] == "STOP"


def test_whole_tool_calls() -> None:
    choice = whole(give(Reply((Text("so"), Call("f", '{"a":1}'), Call("f", "{}")))))["choices"][0]
    ids = [call.pop("id") for call in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(identifier.startswith("toolu_vrtx_") for identifier in ids)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"] == [
        {"type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]


def test_a_stream() -> None:
    given = give(HELLO, stream=True)
    first, second, last = chunks(given)
    assert given.framing == "chunked"
    assert ("Content-Type", "text/event-stream") in given.headers
    assert len({chunk["id"] for chunk in (first, second, last)}) == 3
    assert {chunk["model"] for chunk in (first, second, last)} == {""}
    assert {chunk["object"] for chunk in (first, second, last)} == {"chat.completion.chunk"}
    assert [chunk["choices"] for chunk in (first, second, last)] == [
        [{"index": 0, "delta": {"role": "assistant", "content": "hello "}, "finish_reason": ""}],
        [{"index": 0, "delta": {"role": "assistant", "content": "there"}, "finish_reason": ""}],
        [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    ]
    assert ("usage" in first, "usage" in second, last["usage"]["total_tokens"]) == (False, False, 5)
    assert b"[DONE]" not in sent(given)


def test_each_event_is_one_piece() -> None:
    assert len(give(HELLO, stream=True).body) == 3


def test_streamed_tool_calls_all_at_index_0_with_a_new_id_each() -> None:
    given = give(Reply((Call("f", '{"a":1}'), Call("g", "{}"))), stream=True)
    assert {delta["index"] for delta in deltas(given)} == {0}
    starts = [delta for delta in deltas(given) if delta["id"]]
    assert [(start["function"]["name"], start["function"]["arguments"]) for start in starts] == [("f", ""), ("g", "")]
    assert "".join(delta["function"]["arguments"] for delta in deltas(given)) == '{"a":1}{}'
    assert {delta["function"]["name"] for delta in deltas(given) if not delta["id"]} == {""}
    assert chunks(given)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_the_other_hypothesis_has_one_id_and_documents_back_to_back() -> None:
    given = give(Reply((Call("f", '{"a":1}'), Call("f", '{"a":2}'))), stream=True, parallel="no-id")
    assert [bool(delta["id"]) for delta in deltas(given)] == [True, False, False, False, False]
    assert "".join(delta["function"]["arguments"] for delta in deltas(given)) == '{"a":1}{"a":2}'


def test_lost_deltas_are_lost_only_in_a_stream() -> None:
    reply = Reply((Call("f", "{}"),), lost_deltas=True)
    (only,) = chunks(give(reply, stream=True))
    assert (only["choices"][0]["delta"], only["choices"][0]["finish_reason"]) == ({}, "tool_calls")
    assert whole(give(reply))["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"


def test_a_failure_in_a_stream_is_a_bare_line_and_nothing_after_it() -> None:
    body = sent(give(Reply((Text("so"), Fail("overloaded"), Text("on"))), stream=True))
    event, line = body.split(b"\n\n")
    assert event.startswith(b"data: ")
    assert line == b'{"message":"overloaded","type":"completion.process_completion"}\n'


def test_a_failure_of_its_own_status_before_the_stream() -> None:
    given = give(Reply((Hold("h"), Fail("slow down", 429))), stream=True)
    assert (given.status, given.body[0], given.framing) == (429, Hold("h"), "length")
    assert whole(given) == {"message": "slow down", "type": "completion.process_completion"}


@pytest.mark.parametrize(("status", "expected"), [(None, 500), (503, 503)])
def test_a_failure_of_a_whole_answer(status: int | None, expected: int) -> None:
    given = give(Reply((Text("so"), Fail("overloaded", status))))
    assert (given.status, whole(given)["message"]) == (expected, "overloaded")


def test_5_6_wraps_the_failure() -> None:
    given = give(Reply((Fail("slow down", 429),)), "5.6")
    wrapped = "failed to forward request to apiHandler: handler returned unexpected status code: got 429 want 200"
    assert (given.status, sent(given).decode()) == (500, f"{wrapped}, response body: slow down\n")


@pytest.mark.parametrize("stream", [True, False])
def test_silence_and_pace_are_kept(stream: bool) -> None:
    given = give(Reply((Wait(3), Text("a "), Hold("h"), Text("b"))), stream=stream, pace=0.5)
    pauses = [piece for piece in given.body if not isinstance(piece, Send)]
    assert pauses == [Wait(3), Wait(0.5), Hold("h"), Wait(0.5)]


@pytest.mark.parametrize(
    ("profile", "timeout", "deadline"), [("5.6", None, 60), ("6.12", None, 480), ("6.12", 7.5, 7.5)]
)
def test_deadlines(profile: str, timeout: float | None, deadline: float) -> None:
    given = give(HELLO, profile, timeout)
    assert given.deadline == deadline
    assert given.late is not None
    assert given.late.status == 500
    assert given.late_line == b'{"message":"context deadline exceeded","type":"completion.process_completion"}\n'


@pytest.mark.parametrize("stream", [True, False])
def test_thoughts_are_not_shown(stream: bool) -> None:
    hidden = give(Reply((Thought("let me think"), Text("hi"), Attribution("no"))), stream=stream)
    assert b"think" not in sent(hidden)
    assert b"attribution" not in sent(hidden)
    last = chunks(hidden)[-1] if stream else whole(hidden)
    assert last["usage"]["completion_tokens"] == 1
