"""The router as a process: how it starts, what it says, how it ends."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from cody_oai_router.simulator import DEMO_TOKEN
from end_to_end.harness import (
    account,
    ask,
    chat,
    chats,
    connected,
    get,
    nth_chat,
    process,
    request,
    run,
    simulated,
)

posix_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send to a process")


def test_it_says_where_it_listens_and_what_it_asks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port), process(tmp_path, environment=account(port)) as running:
            said = (await running.said(b"Try it: ")).decode().splitlines()
            assert said[0].endswith(f" on http://127.0.0.1:{running.port}")
            assert said[1] == f"Sourcegraph: http://127.0.0.1:{port}"
            assert said[2] == "Set in the environment: PORT, ROUTER_HOST, SOURCEGRAPH_API_TOKEN, SOURCEGRAPH_BASE_URL"
            assert said[3].startswith(f"Try it: curl -N http://127.0.0.1:{running.port}/v1/chat/completions ")
            assert bytes(running.stderr) == b""

    run(scenario())


@posix_signals
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_answer_in_flight_finish(tmp_path: Path, number: signal.Signals) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (simulator, port),
            process(tmp_path, environment=account(port)) as running,
            connected(running) as streaming,
            connected(running) as waiting,
            connected(running) as idle,
        ):
            streaming.send(request(chat("[[words:4]] [[mid-hold:a]]", stream=True), close=False))
            await streaming.until(b"word2")
            waiting.send(request(chat("[[words:4]] [[mid-hold:b]]"), close=False))
            await simulator.held("b")
            idle.send(request(method="GET", path="/health", close=False))
            assert (await idle.answer()).status == 200
            running.process.send_signal(number)
            await running.said(b"Stopping; running answers get 10 s.")
            assert await idle.reader.read() == b""  # an idle connection is closed at once
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", running.port)
            simulator.release("a")
            simulator.release("b")
            (await streaming.to_end()).assert_whole()
            answer = await waiting.to_end()
            assert answer.json["choices"][0]["message"]["content"] == "word1 word2 word3 word4"
            assert answer.header("connection") == "close"
            assert await running.ended() == 0
            assert b"Traceback" not in running.stdout + running.stderr

    run(scenario())


@posix_signals
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (_, port),
            process(tmp_path, environment=account(port)) as running,
            connected(running) as client,
        ):
            client.send(request(chat("[[words:4]] [[mid-hold:never]]", stream=True)))
            await client.until(b"word2")
            running.process.terminate()
            await running.said(b"Once more stops at once.")
            running.process.terminate()
            async with asyncio.timeout(5):
                assert await running.ended() == 0
            with contextlib.suppress(ConnectionError):
                await client.to_end()
            assert b"[DONE]" not in client.got
            assert not client.got.endswith(b"0\r\n\r\n")
            assert b"Traceback" not in running.stdout + running.stderr

    run(scenario())


@posix_signals
def test_the_grace_period_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (_, port),
            process(tmp_path, environment=account(port, SHUTDOWN_GRACE="0.2")) as running,
            connected(running) as client,
        ):
            client.send(request(chat("[[words:4]] [[mid-hold:never]]", stream=True)))
            await client.until(b"word2")
            running.process.terminate()
            async with asyncio.timeout(5):
                assert await running.ended() == 0
            error = (await client.to_end()).assert_broken()
            assert error["message"] == "The router is shutting down; ask again when it is back."
            assert b"200 " in running.stdout
            assert b"failure=shutdown" in running.stdout
            assert b"499" not in running.stdout

    run(scenario())


@posix_signals
def test_whole_answers_that_do_not_fit_into_the_grace_period_are_503(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (simulator, port),
            process(tmp_path, environment=account(port, SHUTDOWN_GRACE="0.2")) as running,
            connected(running) as client,
        ):
            client.send(request(chat("[[words:4]] [[mid-hold:never]]")))
            await nth_chat(simulator, 1)
            running.process.terminate()
            answer = await client.to_end()
            assert answer.status == 503
            assert answer.error["code"] == "unavailable"
            assert await running.ended() == 0

    run(scenario())


def test_a_port_in_use_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            taken = {"PORT": str(port)}
            async with process(tmp_path, environment=account(port, **taken), listens=False) as running:
                assert await running.ended() == 1
                advice = "stop the other program, or choose another one: PORT=3001 (or --port 3001)."
                assert running.stderr.decode().splitlines() == [f"Port {port} is already in use: {advice}"]
                assert b"Traceback" not in running.stdout

    run(scenario())


def test_without_a_token_it_refuses_with_exit_code_2_and_says_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        for arguments in ((), ("serve",)):
            async with process(tmp_path, *arguments, listens=False) as running:
                assert await running.ended() == 2
                said = running.stderr.decode()
                assert "No Sourcegraph access token is configured." in said
                assert "SOURCEGRAPH_API_TOKEN=sgp_" in said
                assert "/user/settings/tokens" in said
                assert "cody-oai-router demo" in said
                assert bytes(running.stdout) == b""

    run(scenario())


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PORT": "eighty"}, "PORT: 'eighty' is not a port: give a whole number from 0 to 65535"),
        ({"SOURCEGRAPH_BASE_URL": "http://sourcegraph.example.com"}, "SOURCEGRAPH_BASE_URL: "),
        ({"SOURCEGRAPH_API_TOKEN": "your_token_here"}, "SOURCEGRAPH_API_TOKEN: "),
    ],
)
def test_a_bad_value_is_one_clear_line_and_exit_code_2(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    async def scenario() -> None:
        async with process(tmp_path, environment=account(1) | environment, listens=False) as running:
            assert await running.ended() == 2
            (line,) = running.stderr.decode().splitlines()
            assert line.startswith(said)

    run(scenario())


def test_a_dot_env_that_is_utf_16_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("SOURCEGRAPH_API_TOKEN=sgp_1\n".encode("utf-16"))

    async def scenario() -> None:
        async with process(tmp_path, listens=False) as running:
            assert await running.ended() == 2
            (line,) = running.stderr.decode().splitlines()
            assert "UTF-16" in line

    run(scenario())


def test_the_token_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{DEMO_TOKEN}\n")

    async def scenario() -> None:
        async with simulated() as (simulator, port):
            variables = {"SOURCEGRAPH_API_TOKEN": "", "SOURCEGRAPH_API_TOKEN_FILE": str(tmp_path / "token")}
            async with process(tmp_path, environment=account(port) | variables) as running:
                assert (await ask(running)).status == 200
            assert chats(simulator)[0].header("Authorization") == f"token {DEMO_TOKEN}"

    run(scenario())


def test_a_dot_env_in_the_working_directory_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            values = account(port) | {"DEFAULT_MODEL": "gpt-4o"}
            (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
            (tmp_path / ".env").chmod(0o600)
            async with process(tmp_path) as running:
                assert f"Set in {tmp_path / '.env'}: DEFAULT_MODEL" in bytes(running.stdout).decode()
                assert (await ask(running, model="whatever")).status == 200

    run(scenario())


def test_a_dot_env_in_the_working_directory_cannot_send_the_token_elsewhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port):
            (tmp_path / ".env").write_text(f"SOURCEGRAPH_BASE_URL=http://127.0.0.1:{port}\n")
            token = {"SOURCEGRAPH_API_TOKEN": account(port)["SOURCEGRAPH_API_TOKEN"]}
            async with process(tmp_path, environment=token, listens=False) as running:
                assert await running.ended() == 2
                assert "SOURCEGRAPH_BASE_URL" in running.stderr.decode()
            assert simulator.received == []

    run(scenario())


def test_the_demo_cannot_be_mistaken_for_the_real_thing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with process(tmp_path, "demo") as running:
            assert b"Demo mode: a simulator on this machine answers, no model." in running.stdout
            answer = await ask(running, model="gpt-4", stream=True)
            answer.assert_whole()
            assert answer.header("x-router-demo") == "true"
            assert answer.text.startswith("This is a demo answer from the simulator built into Cody OAI Router")
            whole = await ask(running, model="gpt-4")
            assert "demo answer" in whole.json["choices"][0]["message"]["content"]
            assert whole.header("x-router-demo") == "true"
            health = await get(running, "/health")
            assert health.json["demo"] is True
            assert health.header("x-router-demo") == "true"
            assert "demo mode" in (await get(running, "/")).body.decode()
            assert (await get(running, "/nowhere")).header("x-router-demo") == "true"

    run(scenario())


def test_serve_or_demo_without_a_token_is_the_demo(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with process(tmp_path, "serve", "--or-demo") as running:
            assert b"starting demo mode instead" in running.stderr
            assert (await get(running, "/health")).json["demo"] is True

    run(scenario())


def test_health_and_the_front_page(tmp_path: Path) -> None:
    async def scenario() -> None:
        # Neither needs an upstream: nothing listens there.
        async with process(tmp_path, environment=account(1)) as running:
            health = await get(running, "/health")
            assert health.status == 200
            assert health.json["status"] == "ok"
            assert health.json["demo"] is False
            assert health.header("x-router-demo") is None
            front = await get(running, "/")
            assert front.header("content-type") == "text/plain; charset=utf-8"
            assert "POST /v1/chat/completions" in front.body.decode()
            assert "demo" not in front.body.decode()

    run(scenario())


def test_flags_say_the_same_as_variables(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            environment = account(port, PORT="1", SOURCEGRAPH_BASE_URL="https://sourcegraph.example.com")
            flags = ("--port", "0", "--base-url", f"http://127.0.0.1:{port}", "--log-format", "json")
            async with process(tmp_path, "serve", *flags, environment=environment) as running:
                assert (await ask(running)).status == 200
                said = await running.said(b'"duration_ms"')
                assert json.loads(said.splitlines()[-1])["status"] == 200

    run(scenario())


@pytest.mark.skipif(os.name != "posix", reason="an output that blocks is made with a POSIX pipe")
def test_an_output_that_nobody_reads_stops_no_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        reading, writing = os.pipe()
        environment = {**os.environ, **account(1), "PORT": "0", "HOME": str(tmp_path), "ROUTER_HOST": "127.0.0.1"}
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cody_oai_router", "demo",
            cwd=tmp_path, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=writing, stderr=writing,
        )  # fmt: skip
        os.close(writing)
        try:
            said = b""
            while b"Try it: " not in said:
                said += await asyncio.to_thread(os.read, reading, 4096)
            port = int(said.partition(b"http://127.0.0.1:")[2].split()[0])
            long = "x" * 150
            async with connected(port) as client:
                for number in range(600):  # far more lines than a pipe holds
                    client.send(request(method="GET", path=f"/{long}{number}", close=False))
                    assert (await client.answer()).status == 404
        finally:
            started.kill()
            await started.wait()
            os.close(reading)

    run(scenario())
