"""Several processes on one port: one greeting, one end, and nobody left over."""

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from cody_oai_router.cli import main
from cody_oai_router.cli.workers import run_workers
from cody_oai_router.notation import Wrong
from cody_oai_router.reading import Source
from cody_oai_router.settings import Settings, read_settings
from end_to_end.harness import Process, account, chat, connected, get, process, request, run, simulated

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares a port out between processes")
OTHER = "stop the other program, or choose another one: PORT=3001 (or --port 3001)."
TWO = ("--workers", "2")


def workers_of(running: Process) -> list[int]:
    """The processes that a router has forked."""
    pid = running.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def listeners(port: int) -> int:
    """How many sockets of this machine listen on a port of 127.0.0.1."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return sum(f" 0100007F:{port:04X} " in line and " 0A " in line for line in lines)


async def gone(pid: int) -> None:
    """Waits until a process, which need not be our child, has ended."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


@LINUX
def test_one_of_them_says_that_the_site_has_context_filters(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated(context_filters=True) as (simulator, port),
            process(tmp_path, "--workers", "3", environment=account(port)) as running,
        ):
            await running.said(b"context filters")
            for _ in range(12):
                assert (await get(running, "/v1/models")).status == 200
            running.process.terminate()
            assert await running.ended() == 0
            assert running.stdout.count(b"This Sourcegraph site has context filters") == 1
            assert sum("graphql" in received.target for received in simulator.received) == 1

    run(scenario())


@LINUX
def test_they_listen_together_and_speak_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            strict = account(port, PYTHONWARNINGS="error")
            async with process(tmp_path, *TWO, environment=strict) as running:
                await together(running)

    async def together(running: Process) -> None:
        assert len(workers_of(running)) == 2
        assert listeners(running.port) == 2
        for _ in range(20):
            assert (await get(running, "/v1/models")).status == 200
        running.process.terminate()
        assert await running.ended() == 0
        lines = running.stdout.decode().splitlines()
        assert sum(line.startswith("Cody OAI Router ") for line in lines) == 1
        assert sum(line.startswith("Try it: ") for line in lines) == 1
        assert sum(" GET /v1/models 200 " in line for line in lines) == 20
        assert lines.count("Stopping; running answers get 10 s. Once more stops at once.") == 1
        assert bytes(running.stderr) == b""
        assert listeners(running.port) == 0

    run(scenario())


@LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_is_one_request_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    """A terminal sends SIGINT to all of them, systemd SIGTERM; neither may cost a running answer its grace."""

    async def scenario() -> None:
        async with (
            simulated() as (simulator, port),
            process(tmp_path, *TWO, environment=account(port)) as running,
            connected(running) as client,
        ):
            client.send(request(chat("[[words:4]] [[mid-hold:a]]", stream=True), close=False))
            await client.until(b"word2")
            for pid in (running.process.pid, *workers_of(running)):
                os.kill(pid, number)
            await running.said(b"Stopping; ")
            simulator.release("a")
            (await client.to_end()).assert_whole()
            assert await running.ended() == 0

    run(scenario())


@LINUX
def test_a_second_request_does_not_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            environment = account(port, SHUTDOWN_GRACE="600")
            async with process(tmp_path, *TWO, environment=environment) as running, connected(running) as client:
                client.send(request(chat("[[words:4]] [[mid-hold:a]]", stream=True), close=False))
                await client.until(b"word2")
                running.process.terminate()
                await running.said(b"Stopping; running answers get 600 s.")
                running.process.terminate()
                assert await running.ended() == 0

    run(scenario())


@LINUX
def test_a_worker_that_hears_nothing_is_ended_at_the_third_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port), process(tmp_path, *TWO, environment=account(port)) as running:
            stuck, _ = workers_of(running)
            os.kill(stuck, signal.SIGSTOP)
            running.process.terminate()
            await running.said(b"Stopping; ")
            running.process.send_signal(signal.SIGINT)
            running.process.terminate()
            running.process.send_signal(signal.SIGINT)
            assert await running.ended() == 1

    run(scenario())


@LINUX
def test_the_death_of_one_is_the_end_of_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port), process(tmp_path, *TWO, environment=account(port)) as running:
            victim, other = workers_of(running)
            os.kill(victim, signal.SIGKILL)
            assert await running.ended() == 1
            assert running.stderr.decode() == f"A worker process ({victim}) was ended by SIGKILL; the router stops.\n"
            await gone(other)
            assert listeners(running.port) == 0

    run(scenario())


@LINUX
def test_no_worker_outlives_its_keeper(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (simulator, port),
            process(tmp_path, *TWO, environment=account(port)) as running,
            connected(running) as client,
        ):
            left = workers_of(running)
            client.send(request(chat("[[words:4]] [[mid-hold:a]]", stream=True), close=False))
            await client.until(b"word2")
            running.process.kill()
            await running.process.wait()
            simulator.release("a")
            (await client.to_end()).assert_whole()  # what runs may still finish
            for pid in left:
                await gone(pid)
            assert listeners(running.port) == 0

    run(scenario())


@LINUX
@pytest.mark.parametrize("arguments", [(), TWO])
def test_a_port_that_others_serve_is_not_shared_with_them(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port), process(tmp_path, *TWO, environment=account(port)) as running:
            taken = account(port, PORT=str(running.port))
            async with process(tmp_path, *arguments, environment=taken, listens=False) as late:
                assert await late.ended() == 1
                assert late.stderr.decode() == f"Port {running.port} is already in use: {OTHER}\n"
                assert bytes(late.stdout) == b""

    run(scenario())


@LINUX
def test_a_port_of_another_program_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            environment = account(1, PORT=str(port))
            async with process(tmp_path, *TWO, environment=environment, listens=False) as running:
                assert await running.ended() == 1
                assert running.stderr.decode() == f"Port {port} is already in use: {OTHER}\n"

    run(scenario())


@LINUX
def test_what_is_wrong_with_a_start_is_said_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    async def scenario() -> None:
        environment = account(1, CA_FILE=str(broken), SOURCEGRAPH_BASE_URL="https://sg.example.com")
        async with process(tmp_path, *TWO, environment=environment, listens=False) as running:
            assert await running.ended() == 1
            assert bytes(running.stdout) == b""
            assert running.stderr.decode() == (
                f"The router cannot start: CA_FILE (or SSL_CERT_FILE): {broken} holds no certificate that OpenSSL can read.\n"
            )

    run(scenario())


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_other_systems_are_told(
    system: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    account = {"SOURCEGRAPH_API_TOKEN": "sgp_canary", "WORKERS": "2"}
    settings = read_settings([Source("environment", "the environment", account)], lambda _: Wrong("none"))
    assert isinstance(settings, Settings)
    monkeypatch.setattr(sys, "platform", system)
    assert run_workers(settings) == 2
    line = "WORKERS: only Linux shares the connections of one port out between processes: leave it at 1.\n"
    assert capfd.readouterr() == ("", line)


def test_the_demo_is_one_process(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["demo", "--workers", "2"])
    assert caught.value.code == 2
    assert re.search("unrecognized arguments: --workers 2", capfd.readouterr().err)

    async def scenario() -> None:
        async with process(tmp_path, "demo", environment={"WORKERS": "2"}) as running:
            await running.said(b"Demo mode runs in one process: WORKERS has no effect.\n")

    run(scenario())
