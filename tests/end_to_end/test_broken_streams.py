"""A stream that breaks is shown as broken: an error event, no `[DONE]`, no terminating chunk, a closed connection.

And the other way round: what is complete by the house's rule (a finish word, or the end of a body that HTTP delimits) is
shown as complete, however the connection ends after it.
"""

import json

import pytest

from cody_oai_router.simulator import Call, Close, Fault, Hold, Ordinary, Reply, Reset, Send, Text, faults
from end_to_end.harness import END, Answer, ask, both, chat, chats, connected, request, run

TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def event(text: str, finish: str = "") -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def chunked(*pieces: bytes, end: bytes = b"") -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(map(faults.chunk, pieces)) + end


BROKEN: dict[str, tuple[Fault, str]] = {
    "fin-in-the-middle": (faults.broken_after(2), "closed the connection in the middle"),
    "rst-in-the-middle": (faults.broken_after(2, reset=True), "the connection in the middle"),
    "fin-inside-a-chunk": (faults.raw(chunked(event("Hi "), event("there"))[:-30]), "closed the connection in the middle"),
    "fin-inside-a-chunk-size": (faults.raw(chunked(event("Hi ")) + b"4"), "closed the connection in the middle"),
    "rst-inside-an-event": (faults.raw(chunked(event("Hi "), b'data: {"cho'), Reset()), "the connection in the middle"),
    "no-finish-word-and-no-length": (faults.raw(HEAD + b"\r\n" + event("Hi ")), "before it was complete"),
    "half-an-event-and-no-length": (faults.raw(HEAD + b"\r\n" + event("Hi ") + b'data: {"choi'), "Sourcegraph sent"),
    "less-than-its-length": (
        faults.raw(HEAD + b"Content-Length: 9999\r\n\r\n" + event("Hi ")), "closed the connection in the middle",
    ),
    "half-an-event-and-a-proper-end": (
        faults.raw(chunked(event("Hi "), b'data: {"choices":[{"delta":{"con', end=END)), "Sourcegraph sent",
    ),
    "stray-error-line": (faults.error_after(2), "context deadline exceeded"),
    "stray-error-line-without-newline": (faults.error_after(2, faults.DEADLINE_LINE[:-1]), "context deadline exceeded"),
    "error-event": (
        faults.raw(chunked(event("Hi "), b'event: error\ndata: {"error":"it broke"}\n\n', end=END)), "it broke",
    ),
    "error-object": (
        faults.raw(chunked(event("Hi "), b'data: {"message":"it broke","type":"x"}\n\n', end=END)), "it broke",
    ),
    "garbage": (faults.raw(chunked(event("Hi "), b"data: <oops>\n\n", end=END)), "Sourcegraph sent"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_looks_broken(name: str) -> None:
    fault, said = BROKEN[name]

    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(fault, times=2)
            answer = await ask(running, stream=True)
            error = answer.assert_broken()
            assert said in error["message"]
            assert error["type"] == "server_error"
            assert answer.text != ""
            assert all(not choice["finish_reason"] for chunk in answer.chunks[:-1] for choice in chunk["choices"])
            whole = await ask(running)
            assert whole.status in {502, 504}
            assert said in whole.error["message"]
            after = await ask(running, "[[text:fine]]", stream=True)
            after.assert_whole()
            assert after.text == "fine"

    run(scenario())


COMPLETE: dict[str, Fault] = {
    "no-terminating-chunk": faults.unterminated(),
    "rst-after-the-finish-word": Fault((Ordinary(end=False), Reset())),
    "end-of-connection-after-the-finish-word": faults.framed("eof"),
    "garbage-after-the-finish-word": faults.raw(chunked(event("You said: Hello there", "stop"), b"data: <oops>\n\n")),
    "an-error-after-the-finish-word": faults.raw(
        chunked(event("You said: Hello there", "stop"), faults.DEADLINE_LINE, end=END)
    ),
    "no-finish-word-but-terminated": faults.raw(chunked(event("You said: Hello there"), end=END)),
    "no-finish-word-but-its-whole-length": faults.raw(
        HEAD + b"Content-Length: %d\r\n\r\n" % len(event("You said: Hello there")) + event("You said: Hello there")
    ),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_stream_looks_complete(name: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(COMPLETE[name], times=2)
            answer = await ask(running, stream=True)
            answer.assert_whole()
            assert answer.text == "You said: Hello there"
            assert answer.chunks[-1]["choices"][0]["finish_reason"] == "stop"
            whole = await ask(running)
            assert whole.json["choices"][0]["message"]["content"] == "You said: Hello there"

    run(scenario())


def test_no_cut_of_a_stream_ever_looks_finished() -> None:
    """The answer is cut after every few bytes, by FIN and by RST; only after the finish word may it look complete."""
    whole = chunked(event("a "), event("b "), event("", "stop"), end=END)
    complete = whole.index(b'"stop"')

    async def scenario() -> None:
        async with both() as (simulator, running):
            for position in range(1, len(whole), 7):
                end = Close() if position % 2 else Reset()
                simulator.queue(faults.raw(whole[:position], end))
                answer = await ask(running, stream=True)
                if answer.status != 200:
                    assert answer.status == 502
                    assert answer.error["type"] == "server_error"
                    assert b"\n\n" not in whole[:position].partition(b"\r\n\r\n")[2] or isinstance(end, Reset)
                elif position <= complete:
                    answer.assert_broken()
                elif b"[DONE]" in answer.raw:
                    answer.assert_whole()
                else:
                    answer.assert_broken()

    run(scenario())


def test_a_stream_that_breaks_within_a_tool_call_has_no_finish_word() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(Reply((Call("get_time", '{"zone":"Oslo"}'),)))
            simulator.queue(faults.broken_after(2))
            (await ask(running, tools=[TOOL], stream=True)).assert_whole()
            answer = await ask(running, "[[call:get_time {}]]", tools=[TOOL], stream=True)
            answer.assert_broken()
            assert b'"finish_reason":"' not in answer.raw
            assert b"tool_calls" in answer.raw

    run(scenario())


def test_what_came_before_the_break_is_delivered_first() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(Fault((Ordinary(pieces=3), Hold("break"), Reset())))
            async with connected(running) as client:
                client.send(request(chat("one two three", stream=True), close=False))
                await client.until(b"said: ")
                simulator.release("break")
                answer = await client.to_end()  # the connection was to be kept, but a broken answer closes it
                answer.assert_broken()
                assert answer.text == "You said: one "

    run(scenario())


def test_framing_that_breaks_later_breaks_the_answer() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as client:
            simulator.queue(Fault((Send(chunked(event("Hi "))), Hold("break"), Send(b"zz\r\n"), Hold("for good"))))
            client.send(request(chat(stream=True), close=False))
            await client.until(b"Hi ")
            simulator.release("break")
            error = (await client.to_end()).assert_broken()
            assert "a chunk size is malformed" in error["message"]

    run(scenario())


def test_an_answer_that_was_played_is_whole_or_a_status() -> None:
    """An instance that cannot stream never breaks in the middle of ours: its answer is there before our head goes out."""

    async def scenario() -> None:
        async with both("5.6") as (simulator, running):
            (await ask(running, stream=True)).assert_whole()
            for body in (b"", b'{"choi'):
                simulator.queue(faults.raw(HEAD + b"Content-Length: 99\r\n\r\n" + body))
                assert (await ask(running, stream=True)).status == 502
            assert len(chats(simulator)) == 4

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_broken_is_not_waited_for(*, stream: bool) -> None:
    """After an error nothing more can count, so the rest is not read, however long upstream goes on."""

    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(Fault((Ordinary(pieces=2), Send(faults.chunk(faults.DEADLINE_LINE)), Hold("for good"))))
            answer = await ask(running, stream=stream)
            error = answer.assert_broken() if stream else answer.error
            assert "context deadline exceeded" in error["message"]
            await chats(simulator)[0].disconnected.wait()

    run(scenario())


def test_the_error_of_a_broken_stream_is_an_openai_error() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(Reply((Text("a "), Text("b "), Text("c "))))
            simulator.queue(faults.error_after(2))
            (await ask(running, stream=True)).assert_whole()
            answer: Answer = await ask(running, stream=True)
            error = answer.assert_broken()
            assert set(error) == {"message", "type", "param", "code"}
            assert (error["type"], error["code"]) == ("server_error", "timeout")

    run(scenario())
