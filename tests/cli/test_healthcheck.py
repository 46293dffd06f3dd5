"""The command that a container engine asks: one line and an exit code, whatever stands at the port."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from cody_oai_router.cli import healthcheck, main
from end_to_end.harness import process, run


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "ROUTER_HOST", "container"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@contextmanager
def answering(answer: bytes | None, host: str = "127.0.0.1") -> Iterator[tuple[int, list[bytes]]]:
    """Serves one connection: gives its port and what was asked; without an answer it stays silent until the client leaves."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while not (asked and asked[0].endswith(b"\r\n\r\n")):
                asked[:] = [b"".join(asked) + connection.recv(4096)]
            if answer is None:
                connection.recv(1)
            else:
                connection.sendall(answer)

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(30)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(30)


GOOD = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{"status":"ok"}'


def test_a_router_that_runs_and_one_that_has_stopped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        async with process(tmp_path, "demo", environment={"ROUTER_API_KEY": "canary"}) as running:
            url = f"http://127.0.0.1:{running.port}/health"
            (tmp_path / ".env").write_text(f"PORT={running.port}\n")
            assert await asyncio.to_thread(main, ["healthcheck"]) == 0
            assert capfd.readouterr() == (f"{url}: ok.\n", "")
            running.process.kill()
            await running.ended()
            assert await asyncio.to_thread(main, ["healthcheck", "--port", str(running.port)]) == 1
            out, err = capfd.readouterr()
            assert out == ""
            assert err.startswith(f"{url}: no answer (")
            assert err.count("\n") == 1

    run(scenario())


@pytest.mark.parametrize(
    ("listening", "reached", "written"),
    [
        ("0.0.0.0", "127.0.0.1", "127.0.0.1"),  # noqa: S104 - asked for, not bound
        ("127.0.0.1,::1", "127.0.0.1", "127.0.0.1"),
        ("::", "::1", "[::1]"),
        ("[::1]", "::1", "[::1]"),
    ],
)
def test_it_asks_where_this_machine_reaches_the_router(
    monkeypatch: pytest.MonkeyPatch, listening: str, reached: str, written: str
) -> None:
    monkeypatch.setenv("ROUTER_HOST", listening)
    with answering(GOOD, reached) as (port, asked):
        assert main(["healthcheck", "--port", str(port)]) == 0
    assert asked == [f"GET /health HTTP/1.1\r\nhost: {written}:{port}\r\nconnection: close\r\n\r\n".encode()]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "the answer is not HTTP's 200 but ''"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "the answer is not HTTP's 200 but 'HTTP/1.1 403 Forbidden'"),
        (b"SSH-2.0-x\r\n", "the answer is not HTTP's 200 but 'SSH-2.0-x'"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "another program answers"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"status":"bad"}', "another program answers"),
        (b"HTTP/1.1 200 OK\r\n\r\n[]", "another program answers"),
        (b"HTTP/1.1 200 OK\r\n\r\n[" + b"1," * 40_000, "another program answers"),
    ],
)
def test_what_is_no_good_answer(capfd: pytest.CaptureFixture[str], answer: bytes, why: str) -> None:
    with answering(answer) as (port, _):
        assert main(["healthcheck", "--host", "127.0.0.1", "--port", str(port)]) == 1
    assert capfd.readouterr() == ("", f"http://127.0.0.1:{port}/health: {why}.\n")


def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(healthcheck, "_PATIENCE", 0.1)
    with answering(None) as (port, _):
        assert main(["healthcheck", "--port", str(port)]) == 1
    assert capfd.readouterr().err == f"http://127.0.0.1:{port}/health: no answer within 0.1 s.\n"


def test_so_have_drops_that_never_end(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    ticks = iter((0.0, 1.0, 5.0))
    monkeypatch.setattr(healthcheck, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    with answering(b"HTTP/1.1 200 OK\r\n") as (port, _):
        assert main(["healthcheck", "--port", str(port)]) == 1
    assert capfd.readouterr().err == f"http://127.0.0.1:{port}/health: no answer within 3 s.\n"


@pytest.mark.parametrize(
    ("port", "line"),
    [
        ("0", "PORT is 0, any free port: nobody can tell which one the router took.\n"),
        ("x", "PORT: 'x' is not a port: give a whole number from 0 to 65535 (from the environment).\n"),
    ],
)
def test_a_port_that_names_none(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], port: str, line: str
) -> None:
    monkeypatch.setenv("PORT", port)
    assert main(["healthcheck"]) == 1
    assert capfd.readouterr() == ("", line)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env").mkdir()
    assert main(["healthcheck"]) == 1
    assert capfd.readouterr().err == f"{tmp_path / '.env'}: cannot be read, because it is a folder.\n"


def test_it_brings_no_event_loop() -> None:
    program = "import sys; from cody_oai_router.cli import main; main(['healthcheck']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) & {"asyncio", "argparse", "ssl", "cody_oai_router.settings"} == set()
