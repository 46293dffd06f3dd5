"""The log of requests: one line each, and nothing in it that is secret."""

import json
import re
from pathlib import Path

from cody_oai_router.simulator import Fault, faults
from end_to_end.harness import (
    SONNET,
    Router,
    account,
    ask,
    both,
    chat,
    connected,
    exchange,
    get,
    process,
    request,
    run,
    simulated,
)

CANARY_TOKEN = "sgp_canarytoken5b1d7e"
CANARY_KEY = "sk-canary-key-93f1"
CANARY_PROMPT = "canary-prompt-77aa"
CANARY_QUERY = "canary-query-5511"
CANARY_COOKIE = "canary-cookie-0192"
CANARY_HEADER = "canary-header-4420"
CANARIES = (CANARY_TOKEN, CANARY_KEY, CANARY_PROMPT, CANARY_QUERY, CANARY_COOKIE, CANARY_HEADER)
STAMP = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\]"


def lines(running: Router) -> list[str]:
    """Gives the log's lines without their times and durations."""
    found = []
    for line in running.lines:
        assert re.match(STAMP + " ", line), line
        found.append(re.sub(r"\b\d+ms\b", "Nms", line.partition("] ")[2]))
    return found


def test_one_line_a_request() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await ask(running, "one two", stream=True)
            await ask(running, model="claude-sonnet-4-5")
            simulator.queue(faults.empty())
            await exchange(running, request(chat(), path="/chat/completions?secret=1"))
            simulator.queue(faults.status(429, "slow down"))
            await ask(running)
            simulator.queue(faults.broken_after(2))
            await ask(running, stream=True)
            await ask(running, model="qwen")
            await exchange(running, request(b"{"))
            await get(running, "/health?x=y")
            await get(running, "/nowhere")
        ref = "model=gpt-4o ref=openai::2024-02-01::gpt-4o"
        assert lines(running) == [
            f"POST /v1/chat/completions 200 Nms {ref} first=Nms tokens=2/4",
            f"POST /v1/chat/completions 200 Nms model=claude-sonnet-4-5 ref={SONNET} first=Nms tokens=2/4",
            f"POST /chat/completions 200 Nms {ref} first=Nms tokens=2/4 attempts=2",
            f"POST /v1/chat/completions 429 Nms {ref} failure=rate_limited",
            f"POST /v1/chat/completions 200 Nms {ref} first=Nms failure=bad_gateway",
            "POST /v1/chat/completions 404 Nms model=qwen failure=model_not_found",
            "POST /v1/chat/completions 400 Nms failure=bad_request",
            "GET /health 200 Nms",
            "GET /nowhere 404 Nms failure=not_found",
        ]

    run(scenario())


def test_what_the_http_layer_refuses_has_its_line_too() -> None:
    async def scenario() -> None:
        async with both(variables={"MAX_BODY_BYTES": "10"}) as (_, running):
            assert (await ask(running)).status == 413
            assert (await exchange(running, b"GET /\r\n\r\n")).status == 400
        assert lines(running) == [
            "POST /v1/chat/completions 413 Nms failure=too_large",
            "- - 400 Nms failure=bad_request",
        ]

    run(scenario())


def test_json_by_choice() -> None:
    async def scenario() -> None:
        async with both(variables={"LOG_FORMAT": "json"}) as (_, running):
            await ask(running, "one two", stream=True)
        (entry,) = (json.loads(line) for line in running.lines)
        assert {name for name in entry if name.endswith("_ms")} == {"duration_ms", "first_byte_ms"}
        assert re.fullmatch(STAMP, f"[{entry.pop('time')}]")
        assert {name: value for name, value in entry.items() if not name.endswith("_ms")} == {
            "method": "POST",
            "path": "/v1/chat/completions",
            "status": 200,
            "model": "gpt-4o",
            "ref": "openai::2024-02-01::gpt-4o",
            "prompt_tokens": 2,
            "completion_tokens": 4,
            "attempts": 1,
        }

    run(scenario())


def test_a_clients_words_cannot_forge_a_line() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            await ask(running, model="x\n[2025-01-01T00:00:00.000Z] GET /forged 200 1ms\x1b[31m\u202e")
            await get(running, "/%0a%1b[31mforged")
        assert len(running.lines) == 2
        assert all(line.isprintable() for line in running.lines)
        assert "\\n[2025-01-01" in running.lines[0]

    run(scenario())


def test_one_who_left_is_logged_as_such() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                simulator.queue(faults.held("head"))
                client.send(request(chat()))
                await simulator.held("head")
            await simulator.received[-1].disconnected.wait()
        ref = "model=gpt-4o ref=openai::2024-02-01::gpt-4o"
        assert lines(running) == [f"POST /v1/chat/completions 499 Nms {ref} failure=client_left"]

    run(scenario())


QUOTING = f"your token {CANARY_TOKEN} (Authorization: token {CANARY_TOKEN}) is bad"
QUOTING_LINE = b'{"message":"%b","type":"x"}\n' % QUOTING.encode()
INDISCREET: tuple[Fault, ...] = (
    faults.status(401, QUOTING),
    faults.problem(500, QUOTING),
    faults.error_first(QUOTING_LINE),
    faults.error_after(1, QUOTING_LINE),
    faults.broken_after(1),
    faults.not_http(),
    faults.html(200, f"<html><title>{CANARY_TOKEN}</title></html>"),
    faults.raw(f"HTTP/1.1 {CANARY_TOKEN} OK\r\n\r\n".encode()),
    faults.raw(f"HTTP/1.1 200 OK\r\n{CANARY_TOKEN}\r\n\r\n".encode()),
)
KEYS = [("Authorization", f"Bearer {CANARY_KEY}"), ("X-Api-Key", CANARY_KEY), ("Cookie", CANARY_COOKIE)]
QUERY = f"?key={CANARY_QUERY}"
CHAT = f"/v1/chat/completions{QUERY}"
REFUSED: tuple[bytes, ...] = (
    request(chat(CANARY_PROMPT, model="nothing"), path=CHAT, headers=KEYS),
    request(f'{{"model": "{CANARY_PROMPT}'.encode(), path=CHAT, headers=KEYS),
    request(chat(CANARY_PROMPT, n=CANARY_PROMPT), path=CHAT, headers=KEYS),
    request(method="GET", path=f"/nowhere{QUERY}", headers=KEYS),
    f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization {CANARY_KEY}\r\n\r\n".encode(),
    request(method="GET", path=f"/v1/models{QUERY}", headers=KEYS),
)


def test_no_secret_is_ever_shown(tmp_path: Path) -> None:
    """Canaries in the token, the client's key, cookie, query and prompt: in no log line, error or answer."""

    async def scenario() -> None:
        environment = {"SOURCEGRAPH_API_TOKEN": CANARY_TOKEN, "SRC_HEADER_X_Proxy_Key": CANARY_HEADER}
        async with (
            simulated(token=CANARY_TOKEN) as (simulator, port),
            process(tmp_path, environment=account(port) | environment) as running,
        ):
            asked = [
                request(chat(f"[[text:fine]] {CANARY_PROMPT}", stream=stream), path=CHAT, headers=KEYS)
                for stream in (True, False)
            ]
            for data in asked:
                assert (await exchange(running, data)).status == 200
            for fault in INDISCREET:
                simulator.queue(fault, times=2)
            sent = [*asked * len(INDISCREET), *REFUSED]
            answers = [(await exchange(running, data)).raw for data in sent]
            await running.said(b"GET /v1/models 200")
            shown = b"".join([*answers, running.stdout, running.stderr])
            for canary in CANARIES:
                assert canary.encode() not in shown, canary
            assert b"*** (Authorization: token ***) is bad" in shown
            assert b"defect" not in running.stdout
            assert running.stdout.count(b"POST /v1/chat/completions ") == 2 + len(sent) - 3

    run(scenario())
