"""Errors: OpenAI's shape and the true status, whoever says no, as long as no head has gone out."""

import asyncio
import time

import pytest

from cody_oai_router.simulator import Fault, faults
from end_to_end.harness import (
    CHAT_PATH,
    CODY_PATH,
    ask,
    both,
    chat,
    chats,
    connected,
    exchange,
    get,
    request,
    router,
    run,
    words,
)

# What upstream does; status, type and code that the client gets; words of the message.
Row = tuple[Fault, int, str, str | None, str]

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TABLE: dict[str, Row] = {
    "400-text": (faults.status(400, "bad"), 400, "invalid_request_error", None, "Sourcegraph says: bad"),
    "400-json": (faults.problem(400, "bad"), 400, "invalid_request_error", None, "Sourcegraph says: bad"),
    "401": (faults.status(401, "Invalid access token."), 401, "invalid_request_error", "invalid_api_key", "TOKEN"),
    "401-challenge": (faults.challenge(), 401, "invalid_request_error", "invalid_api_key", "sign in again"),
    "403": (faults.status(403, "no"), 403, "request_forbidden", "upstream_gate", "not licensed"),
    "402": (faults.status(402, "pay"), 403, "request_forbidden", "upstream_gate", "Sourcegraph says: pay"),
    "403-html": (faults.html(403), 403, "request_forbidden", "upstream_gate", "Attention Required! | Cloudflare"),
    "403-in-500": (
        faults.wrapped_status(403, "no"), 403, "request_forbidden", "forbidden", "your token is not at fault",
    ),
    "404-in-500": (
        faults.wrapped_status(404, "gone"), 404, "invalid_request_error", "model_not_found", "The provider of the model",
    ),
    "410": (faults.status(410, "gone"), 404, "invalid_request_error", "upstream_gate", "Sourcegraph says: gone"),
    "404": (faults.status(404, "404 page not found"), 404, "invalid_request_error", "upstream_gate", "END_POINT"),
    "405": (faults.status(405, "Method Not Allowed"), 405, "invalid_request_error", None, "Method Not Allowed"),
    "406": (faults.status(406, "Unsupported"), 400, "invalid_request_error", "unsupported_api_version", "Unsupported"),
    "413": (faults.status(413, "too long"), 413, "invalid_request_error", "request_too_large", "too long"),
    "418": (faults.status(418, "teapot"), 418, "invalid_request_error", None, "teapot"),
    "422": (faults.status(422, "odd"), 422, "invalid_request_error", "unprocessable", "odd"),
    "429": (faults.status(429), 429, "requests", "rate_limit_exceeded", "429 and said nothing"),
    "429-in-500": (faults.wrapped_status(429), 429, "requests", "rate_limit_exceeded", "100 requests are allowed"),
    "500": (faults.problem(500, "broken"), 500, "server_error", "internal_error", "broken"),
    "500-deadline": (
        faults.problem(500, "context deadline exceeded"), 504, "server_error", "timeout", "longer than the instance",
    ),
    "502": (faults.html(502), 502, "server_error", "bad_gateway", "A web page"),
    "503": (faults.status(503, "later"), 503, "server_error", "unavailable", "later"),
    "504": (faults.status(504, "slow"), 504, "server_error", "timeout", "slow"),
    "model": (
        faults.problem(400, 'unsupported chat model "x" (default "y")'),
        400, "invalid_request_error", "model_not_found", "unsupported chat model",
    ),
    "too-long": (
        faults.problem(400, "prompt is too long"), 400, "invalid_request_error", "context_length_exceeded", "too long",
    ),
    "gateway-json": (
        faults.problem(500, 'Gateway: unexpected status code 400: {"error":{"message":"a bad tool"}}'),
        400, "invalid_request_error", None, "a bad tool",
    ),
    "html-200": (faults.html(200, faults.SIGN_IN), 502, "server_error", "bad_gateway", '("Sign in")'),
    "line-in-200": (faults.error_first(), 504, "server_error", "timeout", "context deadline exceeded"),
    "line-in-200-then-close": (
        faults.raw(STREAM_HEAD + faults.chunk(faults.DEADLINE_LINE)),
        504, "server_error", "timeout", "context deadline exceeded",
    ),
    "half-a-line-in-200-then-close": (
        faults.raw(STREAM_HEAD + faults.chunk(faults.DEADLINE_LINE[:30])),
        502, "server_error", "bad_gateway", "closed the connection in the middle of its answer",
    ),
    "json-in-200": (
        faults.status(200, '{"message":"no credits","type":"x"}', faults.JSON),
        502, "server_error", "bad_gateway", "no credits",
    ),
    "error-event-in-200": (
        faults.status(200, 'event: error\ndata: {"error":"rate limit reached"}\n\n', faults.STREAM),
        429, "requests", "rate_limit_exceeded", "rate limit reached",
    ),
    "error-object-in-200": (
        faults.status(200, 'data: {"error":{"message":"overloaded"}}\n\n', faults.STREAM),
        502, "server_error", "bad_gateway", "overloaded",
    ),
    "not-http": (faults.not_http(), 502, "server_error", "bad_gateway", "HTTP/1.1"),
    "oversized-head": (faults.oversized_head(1 << 17), 502, "server_error", "bad_gateway", "head is larger"),
    "garbage-event": (
        faults.status(200, "data: {nonsense\n\n", faults.STREAM), 502, "server_error", "bad_gateway", "Sourcegraph sent",
    ),
    "truncated-json": (
        faults.status(200, '{"choices":[{"message":{"content":"H', faults.JSON),
        502, "server_error", "bad_gateway", "Sourcegraph sent",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_what_upstream_says_before_our_head_keeps_its_status(name: str) -> None:
    fault, status, kind, code, said = TABLE[name]

    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(fault, times=2)
            for stream in (True, False):
                answer = await ask(running, stream=stream)
                assert answer.status == status, answer.raw
                assert (answer.error["type"], answer.error["code"]) == (kind, code)
                assert said in answer.error["message"]
                assert answer.header("x-router-model") == "openai::2024-02-01::gpt-4o"
            assert len(chats(simulator)) == 2

    run(scenario())


FORMS: dict[str, set[str]] = {
    "absent": {"60"},
    "zero": {"0"},
    "seconds": {"512"},
    "date-utc": {"58", "59", "60"},
    "date-gmt": {"58", "59", "60"},
    "past-date-utc": {"0"},
    "x-reset-seconds": {"60"},
    "x-reset-unix": {"58", "59", "60"},
    "reset-seconds": {"60"},
    "reset-unix": {"58", "59", "60"},
    "nonsense": {"60"},
}


def test_retry_after_is_integer_seconds_from_every_form() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for form, expected in FORMS.items():
                simulator.queue(faults.rate_limited(form, now=time.time()))
                answer = await ask(running, stream=form != "seconds")
                assert answer.status == 429
                assert answer.header("retry-after") in expected, form
            simulator.queue(faults.status(503, "", [*faults.TEXT, ("Retry-After", "7")]))
            assert (await ask(running)).header("retry-after") == "7"
            simulator.queue(faults.status(400, "", [*faults.TEXT, ("Retry-After", "7")]))
            assert (await ask(running)).header("retry-after") is None

    run(scenario())


CONCURRENT = "you have exceeded the concurrency limit of 3 requests"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", ["llm", "cody"])
@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (faults.stream_error(faults.QUOTA), "60"),
        (faults.stream_error(CONCURRENT), "5"),
        (faults.wrapped_status(429), "60"),
        (faults.status(429, CONCURRENT), "5"),
        (faults.status(429), "60"),
    ],
)
def test_a_limit_that_names_no_time_has_a_retry_after_as_well(fault: Fault, wait: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        variables = {"SOURCEGRAPH_API": api, "CONCURRENCY_WAIT": "0"}
        async with both(variables=variables) as (simulator, running):
            simulator.queue(fault, CODY_PATH if api == "cody" else CHAT_PATH)
            answer = await ask(running, stream=stream)
            assert (answer.status, answer.header("retry-after")) == (429, wait)
            assert f"the router suggests {wait} s" in answer.error["message"]

    run(scenario())


def test_a_limit_inside_a_stream_says_when_to_come_back() -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody", "CONCURRENCY_WAIT": "0"}) as (simulator, running):
            later = time.strftime("%Y-%m-%d %H:%M:%S +0200 CEST", time.gmtime(simulator.now() + 7200 + 70))
            simulator.queue(faults.stream_error(f"{CONCURRENT}. Retry after {later}"), CODY_PATH)
            answer = await ask(running, stream=True)
            wait = answer.header("retry-after")
            assert wait is not None
            assert 60 <= int(wait) <= 70
            assert f"(try again in {wait} s)" in answer.error["message"]

    run(scenario())


def test_a_listing_that_is_limited_says_when_to_come_back() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for path in ("/.api/llm/models", "/.api/modelconfig/supported-models.json"):
                simulator.queue(faults.status(429), path)
            answer = await get(running, "/v1/models")
            assert (answer.status, answer.header("retry-after")) == (429, "60")

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", ["llm", "cody"])
@pytest.mark.parametrize(
    "words",
    [
        "prompt is too long: 213462 tokens > 200000 maximum",
        "input token limit exceeded",
        "This model's maximum context length is 128000 tokens.",
    ],
)
def test_a_prompt_that_is_too_long_is_a_400_wherever_it_is_said(words: str, api: str, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": api}) as (simulator, running):
            path = CODY_PATH if api == "cody" else CHAT_PATH
            line = faults.DEADLINE_LINE.replace(b"context deadline exceeded", words.encode())
            for fault in (faults.stream_error(words), faults.error_first(line), faults.problem(500, words)):
                simulator.queue(fault, path)
                answer = await ask(running, stream=stream)
                assert answer.status == 400
                assert (answer.error["type"], answer.error["code"]) == TOO_LONG
                assert words in answer.error["message"]

    run(scenario())


TOO_LONG = ("invalid_request_error", "context_length_exceeded")


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_goes_nowhere(code: int) -> None:
    async def scenario() -> None:
        visits: list[bytes] = []

        async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visits.append(await reader.read(1))
            writer.close()

        elsewhere = await asyncio.start_server(visited, "127.0.0.1", 0)
        port = elsewhere.sockets[0].getsockname()[1]
        async with elsewhere, both() as (simulator, running):
            for target in (f"http://127.0.0.1:{port}/.api/llm/chat/completions", "/sign-in"):
                simulator.queue(faults.redirect(target, code))
                answer = await ask(running, stream=True)
                assert answer.status == 502
                assert "redirect" in answer.error["message"]
                assert str(port) not in answer.raw.decode()
                assert answer.header("location") is None
            assert visits == []
            assert len(chats(simulator)) == 2

    run(scenario())


def test_an_upstream_that_is_not_there_is_a_502_that_names_it() -> None:
    async def scenario() -> None:
        unused = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = unused.sockets[0].getsockname()[1]
        unused.close()
        await unused.wait_closed()
        async with router(port) as running:
            for stream in (True, False):
                answer = await ask(running, stream=stream)
                assert answer.status == 502
                assert answer.error["type"] == "server_error"
                assert f"127.0.0.1:{port}" in answer.error["message"]

    run(scenario())


# What the router itself refuses.


def test_a_body_that_is_no_request_is_400() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for body in (
                b"",
                b"{",
                b"[]",
                b'"text"',
                b"\xff\xfe{}",
                b'{"model": "gpt-4o"}',
                b'{"messages": 3}',
                b"[" * 9999,
            ):
                answer = await exchange(running, request(body))
                assert answer.status == 400, body[:20]
                assert answer.error["type"] == "invalid_request_error"
            assert chats(simulator) == []

    run(scenario())


def test_unknown_paths_and_wrong_methods() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            for path in ("/v1/embeddings", "/v1/responses", "/favicon.ico", "/v1/chat", "/v1chat/completions", "/%00"):
                answer = await get(running, path)
                assert answer.status == 404, path
                assert answer.error["code"] == "unknown_url"
            answer = await get(running, "/v1/chat/completions")
            assert (answer.status, answer.header("allow")) == (405, "POST")
            assert answer.error["code"] == "method_not_supported"
            answer = await exchange(running, request({}, path="/v1/models"))
            assert (answer.status, answer.header("allow")) == (405, "GET")

    run(scenario())


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
def test_a_compressed_body_is_415(encoding: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            answer = await exchange(running, request(b"\x1f\x8b", headers=[("Content-Encoding", encoding)]))
            assert answer.status == 415
            assert answer.error["type"] == "invalid_request_error"
            plain = await exchange(running, request(chat(), headers=[("Content-Encoding", "identity")]))
            assert plain.status == 200
            assert len(chats(simulator)) == 1

    run(scenario())


def test_too_large_a_body_is_refused_from_its_declared_length() -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_BODY_BYTES": "1000"}) as (simulator, running):
            async with connected(running) as client:
                client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1001\r\n\r\n")
                answer = await client.to_end()  # not one byte of the body was sent
                assert answer.status == 413
                assert answer.finished
                assert answer.header("connection") == "close"
                assert answer.error["code"] == "request_too_large"
            async with connected(running) as client:
                client.send(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n"
                    b"Expect: 100-continue\r\n\r\n"
                )
                assert (await client.to_end()).status == 413
            async with connected(running) as client:
                client.send(
                    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"3e9\r\n" + b" " * 1001
                )
                assert (await client.to_end()).status == 413
            assert (await exchange(running, request(chat("x" * 700)))).status == 200
            assert len(chats(simulator)) == 1

    run(scenario())


def test_a_client_that_sends_a_too_large_body_at_once_still_reads_the_answer() -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_BODY_BYTES": "1000"}) as (_, running):
            answer = await exchange(running, request(b"x" * (8 << 20)))
            assert answer.status == 413
            assert answer.finished

    run(scenario(), patience=20)


def test_broken_http_gets_openais_shape_too() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            for data, status in (
                (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nBad Header: x\r\n\r\n", 400),
                (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 40000 + b"\r\n\r\n", 431),
                (b"GET / HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n", 505),
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            ):
                answer = await exchange(running, data)
                assert answer.status == status, data[:40]
                assert answer.error["message"]

    run(scenario())


def test_every_refusal_has_a_number_of_its_own() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(faults.status(500, "x"), times=2)
            numbers = {(await ask(running)).header("x-request-id") for _ in range(2)}
            numbers |= {(await get(running, "/nowhere")).header("x-request-id")}
            assert len(numbers) == 3
            assert all(number is not None and number.startswith("req_") for number in numbers)
            assert words(await get(running, "/nowhere")) == []

    run(scenario())
