"""What a client gets back: whole and streamed, from every profile, byte for byte."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator import Call, Fault, Reply, Send, Text, Wait, faults
from end_to_end.harness import Answer, ask, both, chat, chats, connected, exchange, request, run, words

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_weather", "get_time")
]
TWO_CALLS = Reply((Text("Looking. "), Call("get_weather", '{"a":1}'), Call("get_time", '{"b":2}')))
SAME_CALLS = Reply((Call("get_weather", '{"a":"}{"}'), Call("get_weather", '{"b":2}'), Call("get_weather", '{"c":3}')))


def streamed(
    *deltas: str, finish: str, usage: str = "", model: str = "gpt-4o", null_usage: str = "", late: str = ""
) -> str:
    """Writes the stream that a client must see."""
    start = f'data: {{"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"{model}","choices":'
    lines = [
        f'{start}[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}]{null_usage}}}\n\n'
        for delta in ('{"role":"assistant","content":"","refusal":null}', *deltas)
    ]
    lines.append(f'{start}[{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"{finish}"}}]{null_usage}}}\n\n')
    if usage:
        lines.append(f'{start}[],"usage":{usage}}}\n\n')
    return "".join([*lines, late, "data: [DONE]\n\n"])


def content(*pieces: str) -> list[str]:
    return [json.dumps({"content": piece}, separators=(",", ":"), ensure_ascii=False) for piece in pieces]


USAGE = {
    "5.6": '{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"estimated":true}',  # it counts nothing itself
    "6.1": '{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4}',
    "6.12": '{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4,"credits":1}',
}


@pytest.mark.parametrize("profile", ["5.6", "6.1", "6.12"])
def test_a_whole_answer(profile: str) -> None:
    async def scenario() -> None:
        async with both(profile) as (_, running):
            answer = await ask(running, "<\u00fc\U0001f600>")
            assert answer.status == 200
            assert answer.header("content-type") == "application/json"
            assert answer.header("x-router-model") == "openai::2024-02-01::gpt-4o"
            assert answer.plain == (
                '{"id":"chatcmpl-ID","object":"chat.completion","created":0,"model":"gpt-4o","choices":[{"index":0,'
                '"message":{"role":"assistant","content":"You said: <\u00fc\U0001f600>","refusal":null},'
                '"logprobs":null,"finish_reason":"stop"}],"usage":' + USAGE[profile] + "}"
            )

    run(scenario())


@pytest.mark.parametrize("wants_usage", [True, False])
@pytest.mark.parametrize("profile", ["5.6", "6.1", "6.12"])
def test_a_streamed_answer_with_usage_only_where_it_is_asked_for(profile: str, *, wants_usage: bool) -> None:
    async def scenario() -> None:
        options = {"stream_options": {"include_usage": True}} if wants_usage else {}
        async with both(profile) as (_, running):
            answer = await ask(running, "<\u00fc\U0001f600>", stream=True, **options)
            answer.assert_whole()
            assert answer.header("content-type") == "text/event-stream; charset=utf-8"
            assert answer.header("cache-control") == "no-cache"
            said = ["You said: <\u00fc\U0001f600>"] if profile == "5.6" else ["You ", "said: ", "<\u00fc\U0001f600>"]
            assert answer.plain == streamed(
                *content(*said),
                finish="stop",
                usage=USAGE[profile] if wants_usage else "",
                null_usage=',"usage":null' if wants_usage else "",
                late=": x-router-adapted: usage:estimated\n\n" if wants_usage and profile == "5.6" else "",
            )

    run(scenario())


def test_one_id_one_time_and_the_name_as_the_client_wrote_it() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            chunks = (await ask(running, "a b c d", stream=True, model="GPT_4o-latest")).chunks
            assert {chunk["model"] for chunk in chunks} == {"GPT_4o-latest"}
            assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
            other = (await ask(running, "a b c d", stream=True, model="GPT_4o-latest")).chunks
            assert other[0]["id"] != chunks[0]["id"]

    run(scenario())


def test_every_read_is_sent_on_at_once() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as client:
            client.send(request(chat("[[words:4]] [[mid-hold:middle]]", stream=True)))
            await simulator.held("middle")
            got = await client.until(b"word2 ")
            assert b"word3" not in got
            simulator.release("middle")
            (await client.to_end()).assert_whole()

    run(scenario())


def test_an_instance_that_cannot_stream_is_learnt() -> None:
    async def scenario() -> None:
        async with both("5.6") as (simulator, running):
            first = await ask(running, "one", stream=True)
            first.assert_whole()
            assert first.text == "You said: one"
            assert words(first) == ["model:resolved", "stream:played"]
            assert [received.json.get("stream") for received in chats(simulator)] == [True, None]
            second = await ask(running, "two", stream=True, model="claude-3-haiku")
            second.assert_whole()
            third = await ask(running, "three")
            assert third.json["choices"][0]["message"]["content"] == "You said: three"
            assert words(third) == ["model:resolved", "usage:estimated"]
            assert [received.json.get("stream") for received in chats(simulator)] == [True, None, None, None]
            assert chats(simulator)[1].header("Accept") == "application/json"

    run(scenario())


def test_a_gated_instance_says_why() -> None:
    async def scenario() -> None:
        for gate, status in (("403", 403), ("404", 404)):
            async with both("6.8-gated", gate=gate) as (_, running):
                for stream in (False, True):
                    answer = await ask(running, stream=stream)
                    assert answer.status == status
                    assert "licence feature since 6.8" in answer.error["message"]
                    assert answer.error["code"] == "upstream_gate"

    run(scenario())


def test_cody_switched_off_does_not_blame_the_token() -> None:
    async def scenario() -> None:
        async with both(cody_enabled=False) as (_, running):
            answer = await ask(running)
            assert answer.status == 403
            assert "the token is not at fault" in answer.error["message"]

    run(scenario())


# Tool calls.


def calls_of(answer: Answer) -> list[tuple[str, str]]:
    """Puts streamed calls together the way the official SDKs do: by index."""
    calls: dict[int, dict[str, str]] = {}
    for chunk in answer.chunks:
        for piece in chunk["choices"][0]["delta"].get("tool_calls", ()):
            call = calls.setdefault(piece["index"], {"name": "", "arguments": ""})
            assert ("id" in piece) == ("name" in piece["function"]) == (call["name"] == "")
            assert piece.get("id") != ""
            call["name"] += piece["function"].get("name", "")
            call["arguments"] += piece["function"]["arguments"]
    assert sorted(calls) == list(range(len(calls)))
    return [(call["name"], call["arguments"]) for call in calls.values()]


def test_parallel_calls_with_new_ids_get_indexes_of_their_own() -> None:
    async def scenario() -> None:
        async with both(parallel="new-id") as (simulator, running):
            simulator.queue(TWO_CALLS)
            answer = await ask(running, tools=TOOLS, stream=True)
            answer.assert_whole()

            def call(index: int, **fields: Any) -> str:
                return json.dumps({"tool_calls": [{"index": index, **fields}]}, separators=(",", ":"))

            def start(index: int, name: str) -> str:
                return call(index, id=f"CALL{index + 1}", type="function", function={"name": name, "arguments": ""})

            assert answer.plain == streamed(
                *content("Looking. "),
                start(0, "get_weather"),
                call(0, function={"arguments": '{"a'}),
                call(0, function={"arguments": '":1}'}),
                start(1, "get_time"),
                call(1, function={"arguments": '{"b'}),
                call(1, function={"arguments": '":2}'}),
                finish="tool_calls",
            )
            assert words(answer) == ["model:resolved"]

    run(scenario())


def test_parallel_calls_without_ids_are_taken_apart_and_that_is_said_at_the_end() -> None:
    async def scenario() -> None:
        async with both(parallel="no-id") as (simulator, running):
            simulator.queue(SAME_CALLS)
            answer = await ask(running, tools=TOOLS, stream=True)
            answer.assert_whole()
            assert calls_of(answer) == [
                ("get_weather", '{"a":"}{"}'),
                ("get_weather", '{"b":2}'),
                ("get_weather", '{"c":3}'),
            ]
            assert answer.events[-2:] == [": x-router-adapted: tool-calls:split", "[DONE]"]
            assert words(answer) == ["model:resolved"]

    run(scenario())


@pytest.mark.parametrize("profile", ["6.1", "6.12"])
def test_calls_for_a_whole_answer_are_asked_whole(profile: str) -> None:
    async def scenario() -> None:
        async with both(profile) as (simulator, running):
            simulator.queue(TWO_CALLS)
            answer = await ask(running, tools=TOOLS)
            assert chats(simulator)[0].json.get("stream") is None
            message = answer.json["choices"][0]["message"]
            assert [(call["type"], call["function"]) for call in message["tool_calls"]] == [
                ("function", {"name": "get_weather", "arguments": '{"a":1}'}),
                ("function", {"name": "get_time", "arguments": '{"b":2}'}),
            ]
            assert len({call["id"] for call in message["tool_calls"]}) == 2
            assert message["content"] == "Looking. "
            assert answer.json["choices"][0]["finish_reason"] == "tool_calls"
            assert words(answer) == ["model:resolved"]

    run(scenario())


def test_a_whole_answer_of_calls_alone_has_null_content() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(Reply((Call("get_time", "{}"),)))
            message = (await ask(running, tools=TOOLS)).json["choices"][0]["message"]
            assert message["content"] is None
            assert message["tool_calls"][0]["function"]["name"] == "get_time"

    run(scenario())


@pytest.mark.parametrize("profile", ["6.1", "6.12"])
def test_a_tool_round_trip(profile: str) -> None:
    async def scenario() -> None:
        async with both(profile) as (simulator, running):
            question = {"role": "user", "content": "What is the weather?"}
            answer = await ask(running, messages=[question], tools=TOOLS)
            message = answer.json["choices"][0]["message"]
            result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "Rain, 4 \u00b0C"}
            answer = await ask(running, messages=[question, message, result], tools=TOOLS, stream=True)
            answer.assert_whole()
            assert answer.text == "The tool answered: Rain, 4 \u00b0C"
            assert chats(simulator)[1].json["messages"][2] == {
                "role": "user",
                "content": "<TOOL_RESULT>Rain, 4 \u00b0C</TOOL_RESULT>",
            }

    run(scenario())


def test_announced_calls_that_never_came_are_asked_for_whole() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(Reply((Call("get_time", '{"a":1}'),), lost_deltas=True))
            simulator.queue(Reply((Call("get_time", '{"a":1}'),), lost_deltas=True))
            answer = await ask(running, tools=TOOLS, stream=True)
            answer.assert_whole()
            assert calls_of(answer) == [("get_time", '{"a":1}')]
            assert words(answer) == ["model:resolved", "stream:played"]
            assert [received.json.get("stream") for received in chats(simulator)] == [True, None]

    run(scenario())


# Finish words (contract §3.3).

WORDS = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "": "stop",
    "length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "refusal": "content_filter",
}


def test_finish_words_are_openais() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for word, expected in WORDS.items():
                for stream in (False, True):
                    simulator.queue(Reply((Text("Hi"),), finish=word))
                    answer = await ask(running, stream=stream)
                    last = answer.chunks[-1] if stream else answer.json
                    assert last["choices"][0]["finish_reason"] == expected, (word, stream)
                simulator.queue(Reply((Call("get_time", "{}"),), finish=word))
                called = await ask(running, tools=TOOLS, stream=True)
                wanted = "tool_calls" if expected == "stop" else expected
                assert called.chunks[-1]["choices"][0]["finish_reason"] == wanted, word

    run(scenario())


def test_a_stop_sequence_and_a_token_limit_work() -> None:
    async def scenario() -> None:
        for profile in ("5.6", "6.1", "6.12"):
            async with both(profile) as (_, running):
                answer = await ask(running, "[[words:5]]", stop=["word3"], model="claude-3.5-sonnet")
                choice = answer.json["choices"][0]
                assert (choice["message"]["content"], choice["finish_reason"]) == ("word1 word2 ", "stop")
                answer = await ask(running, "[[words:5]]", max_tokens=2, model="claude-3.5-sonnet")
                choice = answer.json["choices"][0]
                assert (choice["message"]["content"], choice["finish_reason"]) == ("word1 word2 ", "length")

    run(scenario())


def test_a_model_that_spent_its_tokens_on_thoughts_says_length() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            model = "claude-sonnet-4-5-thinking-latest"
            whole = await ask(running, "[[eaten]]", model=model)
            choice = whole.json["choices"][0]
            assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
            assert (await ask(running, "[[eaten]]", model=model, stream=True)).chunks[-1]["choices"][0][
                "finish_reason"
            ] == "length"

    run(scenario())


# The wire below: whatever upstream does to the bytes, the client's are the same.

SHAPES: dict[str, Fault] = {
    "every-byte": faults.cut_every(1),
    "threes": faults.cut_every(3),
    "crlf": faults.lines(),
    "cr": faults.lines("\r", "data: "),
    "length": faults.framed("length"),
    "gzip": faults.gzipped(),
    "bogus-retry-after": faults.with_headers(("Retry-After", "512")),
    "then-close": faults.then_close(),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_of_upstreams_bytes_changes_nothing(name: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            question = "[[text:Gr\u00fc\u00dfe \U0001f44b \u2028 end]]"
            plain = await ask(running, question, stream=True)
            simulator.queue(SHAPES[name], times=2)
            shaped = await ask(running, question, stream=True)
            shaped.assert_whole()
            assert shaped.plain == plain.plain
            assert shaped.header("retry-after") is None
            folded = await ask(running, question)
            assert folded.json["choices"][0]["message"]["content"] == plain.text

    run(scenario())


ODD = {
    "a done of its own": b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    "comments and events": b': hello\n\nevent: completion\nid: 7\ndata: {"choices":[{"delta":{"content":"Hi"}}]}\n\n',
    "usage apart": b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n',
    "no blank line at the end": b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}',
    "a message in a chunk": b'data: {"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}\n\n',
    "a whole answer though a stream was asked": b'{"object":"object","choices":[{"message":{"content":"Hi"}}]}',
    "a chunk a line": b'data: {"choices":[{"delta":{"content":"H"}}]}\ndata: {"choices":[{"delta":{"content":"i"}}]}\n',
    "a bom": b'\xef\xbb\xbfdata: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n',
}


@pytest.mark.parametrize("name", ODD)
def test_oddities_of_streams_are_read(name: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for stream in (True, False):
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(
                    ODD[name]
                )
                simulator.queue(Fault((Send(head + ODD[name]),)))
                answer = await ask(running, stream=stream)
                if stream:
                    answer.assert_whole()
                    assert answer.text == "Hi"
                    assert answer.chunks[-1]["choices"][0]["finish_reason"] == "stop"
                else:
                    choice = answer.json["choices"][0]
                    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hi", "stop")

    run(scenario())


def test_an_empty_answer_is_an_answer() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            answer = await ask(running, "[[empty]]", stream=True)
            assert answer.plain == streamed(finish="stop")
            assert (await ask(running, "[[empty]]")).json["choices"][0]["message"]["content"] == ""

    run(scenario())


def test_a_head_request_has_no_body_and_an_old_client_gets_a_plain_stream() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            old = request({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hi"}]})
            answer = await exchange(running, old.replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert answer.header("transfer-encoding") is None
            assert answer.rest.endswith(b"data: [DONE]\n\n")
            head = await exchange(running, request(method="HEAD", path="/health"))
            assert head.status == 200
            assert head.rest == b""

    run(scenario())


def test_requests_on_one_connection_are_answered_in_turn() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as client:
            client.send(request(chat("[[text:A]]"), close=False))
            assert (await client.answer()).json["choices"][0]["message"]["content"] == "A"
            client.send(request(chat("[[text:B]]", stream=True), close=False))
            second = await client.answer()
            second.assert_whole()
            assert second.text == "B"
            client.send(request(chat("[[text:C]]"), close=False) + request(chat("[[text:D]]"), close=False))
            for said in ("C", "D"):
                assert (await client.answer()).json["choices"][0]["message"]["content"] == said
            assert len({received.connection for received in chats(simulator)}) == 1

    run(scenario())


def test_a_pause_in_an_answer_changes_nothing() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(Reply((Text("a "), Wait(0.05), Text("b"))), times=2)
            assert (await ask(running, stream=True)).text == "a b"
            assert (await ask(running)).json["choices"][0]["message"]["content"] == "a b"

    run(scenario())
