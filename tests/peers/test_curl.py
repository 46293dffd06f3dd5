"""curl as a client: the HTTP that most users try first, with the forms of it that other programs use."""

import asyncio
import json
from typing import Any

import pytest

from end_to_end.harness import Router, both, chat, chats, run
from peers.programs import Ended, find, run_to_end, started

MEGABYTE = 1 << 20
ANSWER = "You said: Hello there"


def command(running: Router, path: str, *options: str) -> list[str]:
    """Writes a command line; after each answer curl says status, version and new connections."""
    fixed = ("-q", "--silent", "--show-error", "--no-buffer", "--noproxy", "*", "--max-time", "20")
    said = ("--write-out", "\n%{http_code} %{http_version} %{num_connects}\n")
    return [find("curl"), *fixed, *said, *options, f"http://127.0.0.1:{running.port}{path}"]


async def post(running: Router, body: dict[str, Any], *options: str) -> Ended:
    post_it = ("--header", "Content-Type: application/json", "--data-binary", "@-")
    data = json.dumps(body).encode()
    ended = await run_to_end(*command(running, "/v1/chat/completions", *post_it, *options), given=data)
    assert ended.code == 0, ended.err
    return ended


def text_of(ended: Ended) -> str:
    """Gives what the model said, in a whole answer."""
    said: str = json.loads(ended.out.splitlines()[0])["choices"][0]["message"]["content"]
    return said


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ((), "1.1"),
        (("--http1.0",), "1.1"),  # the version of the answer, which is ours (RFC 9110 §2.5)
        (("--header", "Transfer-Encoding: chunked"), "1.1"),
        (("--http2",), "1.1"),  # offers h2c by Upgrade, which is not taken up
        (("--header", "Expect: 100-continue"), "1.1"),
        (("--compressed",), "1.1"),
    ],
    ids=["plain", "http1.0", "chunked upload", "h2c offer", "expect", "compressed"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_chat(options: tuple[str, ...], version: str, *, stream: bool) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            ended = await post(running, chat(stream=stream), *options)
            assert ended.out.endswith(f"\n200 {version} 1\n".encode())
            if stream:
                assert b"data: [DONE]\n\n" in ended.out
                assert ended.out.count(b'"delta":{"content":') == len(ANSWER.split())
            else:
                assert text_of(ended) == ANSWER
            assert len(chats(simulator)) == 1

    run(scenario())


@pytest.mark.parametrize("options", [(), ("--header", "Transfer-Encoding: chunked")], ids=["length", "chunked"])
def test_a_large_body_after_100_continue(options: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            messages = [
                {"role": "user", "content": "x" * 2 * MEGABYTE},
                {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": "Hello there"},
            ]
            ended = await post(
                running, chat(messages=messages), "--verbose", "--header", "Expect: 100-continue", *options
            )
            assert "< HTTP/1.1 100 Continue" in ended.err
            assert text_of(ended) == ANSWER
            (received,) = chats(simulator)
            assert len(received.body) > 2 * MEGABYTE

    run(scenario())


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"], ids=["expect", "at once"])
def test_a_body_that_is_too_large_is_refused_and_the_refusal_is_seen(expect: str) -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_BODY_BYTES": "1MB"}) as (simulator, running):
            ended = await post(running, chat("x" * 8 * MEGABYTE), "--header", expect)
            assert ended.out.splitlines()[-1].startswith(b"413 ")
            assert json.loads(ended.out.splitlines()[0])["error"]["message"]
            assert chats(simulator) == []

    run(scenario())


@pytest.mark.parametrize("options", [(), ("--http1.0",)], ids=["http1.1", "http1.0"])
def test_a_stream_arrives_as_it_is_made(options: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            body = json.dumps(chat("[[words:4]] [[mid-hold:middle]]", stream=True))
            line = command(running, "/v1/chat/completions", "--json", body, *options)
            async with started(*line) as process:
                assert process.stdout is not None
                await process.stdout.readuntil(b"word2")
                simulator.release("middle")
                assert b"data: [DONE]\n\n\n200 " in await process.stdout.read()

    run(scenario())


def test_head() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            ended = await run_to_end(*command(running, "/health", "--head"))
            head, _, said = ended.out.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nContent-Length: " in head
            assert said == b"\n200 1.1 1\n"

    run(scenario())


def test_one_connection_serves_several_requests() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            page = f"http://127.0.0.1:{running.port}/health"
            ended = await run_to_end(*command(running, "/v1/models", page, page))
            assert [line for line in ended.out.splitlines() if line.startswith(b"200 ")] == [
                b"200 1.1 1",
                b"200 1.1 0",
                b"200 1.1 0",
            ]

    run(scenario())


def test_a_broken_stream_is_an_error_to_curl() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            body = json.dumps(chat("[[words:4]] [[mid-error:It broke]]", stream=True))
            ended = await run_to_end(*command(running, "/v1/chat/completions", "--json", body))
            assert ended.code == 18, ended.err  # CURLE_PARTIAL_FILE
            assert b"It broke" in ended.out

    run(scenario())


def test_curl_killed_in_the_middle_of_a_stream_ends_the_work_upstream() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            body = json.dumps(chat("[[words:4]] [[mid-hold:middle]]", stream=True))
            async with started(*command(running, "/v1/chat/completions", "--json", body)) as process:
                assert process.stdout is not None
                await process.stdout.readuntil(b"word2")
                process.kill()
                async with asyncio.timeout(10):
                    await chats(simulator)[0].disconnected.wait()

    run(scenario())
