"""The process around a router: signals, exit codes, what a failed start is called, and what is protected."""

import asyncio
import ctypes
import errno
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from cody_oai_router.addresses import Upstream
from cody_oai_router.cli import running
from cody_oai_router.cli.running import Ready, run_router, secrets_of
from cody_oai_router.credentials import Secret
from cody_oai_router.reading import File, Source
from cody_oai_router.settings import Settings, read_settings
from cody_oai_router.shell.log import Log

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
ADDRESS = ("127.0.0.1", 3000)


def settings(**values: str) -> Settings:
    account = {"SOURCEGRAPH_API_TOKEN": "sgp_canary", "SOURCEGRAPH_BASE_URL": "https://sg.example.com"}
    found = read_settings([Source("environment", "the environment", account | values)], read_file)
    assert isinstance(found, Settings)
    return found


def read_file(path: str) -> File:
    return File(path, "-----BEGIN CERTIFICATE-----")


class Standing:
    """A router that is ready at once and does one thing before it waits for its end."""

    def __init__(self, act: Callable[[], object] = lambda: None, *, deaf: bool = False) -> None:
        self.demo: bool | None = None
        self.upstream: Upstream | None = None
        self.stopped = False
        self._act = act
        self._deaf = deaf

    async def __call__(self, settings: Settings, log: Log, *, demo: bool, ready: Ready, stop: asyncio.Event) -> None:
        self.demo, self.upstream = demo, settings.upstream
        ready([ADDRESS])
        log.note(f"at work for {settings.token.reveal()}")
        self._act()
        await stop.wait()
        self.stopped = True
        if self._deaf:
            self._act()
            await asyncio.get_running_loop().create_future()


class Failing:
    """A router that cannot start."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, settings: Settings, log: Log, *, demo: bool, ready: Ready, stop: asyncio.Event) -> None:
        del settings, log, demo, ready, stop
        raise self._error


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """Give back what `run_router` froze."""
    yield
    gc.unfreeze()


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    router = Standing(lambda: signal.raise_signal(number))
    assert run_router(settings(), router=router, warnings=["WARNING: one"]) == 0
    out, err = capfd.readouterr()
    assert (router.stopped, router.demo, err) == (True, False, "")
    lines = out.splitlines()
    assert lines[0].endswith("on http://127.0.0.1:3000")
    assert lines[-3] == "WARNING: one"
    assert lines[-2].endswith("] at work for ***")
    assert lines[-1] == "Stopping; running answers get 10 s. Once more stops at once."
    assert gc.get_freeze_count() > 0


@POSIX
def test_a_second_signal_does_not_wait(capfd: pytest.CaptureFixture[str]) -> None:
    router = Standing(lambda: signal.raise_signal(signal.SIGTERM), deaf=True)
    assert run_router(settings(SHUTDOWN_GRACE="600"), router=router) == 0
    assert router.stopped
    assert capfd.readouterr().out.splitlines()[-1].startswith("Stopping; running answers get 600 s.")


def test_the_demo_gets_the_simulators_address(capfd: pytest.CaptureFixture[str]) -> None:
    ended: list[bool] = []

    @asynccontextmanager
    async def simulated() -> AsyncIterator[Upstream]:
        yield Upstream("http", "127.0.0.1", 4321)
        ended.append(True)

    router = Standing(lambda: signal.raise_signal(signal.SIGINT))
    assert run_router(settings(), router=router, simulated=simulated) == 0
    assert (router.demo, router.upstream, ended) == (True, Upstream("http", "127.0.0.1", 4321), [True])
    assert "Demo mode" in capfd.readouterr().out


_OTHER = "choose another one: PORT=3001 (or --port 3001)"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EADDRINUSE, "x"), f"Port 81 is already in use: stop the other program, or {_OTHER}."),
        (OSError(errno.EADDRNOTAVAIL, "x"), "ROUTER_HOST: 127.0.0.9 is not an address of this machine."),
        (OSError(errno.EMFILE, "Too many open files"), "The router cannot start: Too many open files."),
        (OSError("about sgp_canary"), "The router cannot start: about ***."),
        pytest.param(
            OSError(errno.EACCES, "x"), f"Port 81 needs rights that this user does not have: {_OTHER}.", marks=POSIX
        ),
    ],
)
def test_a_start_that_fails_is_one_line(error: OSError, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_router(settings(PORT="81", ROUTER_HOST="127.0.0.9"), router=Failing(error)) == 1
    assert capfd.readouterr() == ("", f"{line}\n")


def test_a_defect_shows_its_place_but_no_secret(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_router(settings(), router=Failing(RuntimeError("sgp_canary"))) == 1
    out, err = capfd.readouterr()
    assert (out, err.splitlines()[-1]) == ("", "RuntimeError: ***")


def test_every_secret_is_known() -> None:
    found = settings(
        ROUTER_API_KEY="key",
        SRC_HEADERS="A:one\nB:two",
        HTTPS_PROXY="http://u:p%40w@proxy:1",
        CLIENT_CERT_FILE="/certificate",
        CLIENT_KEY_PASSWORD="password",
    )
    shown = {"sgp_canary", "key", "one", "two", "u:p@w", "p@w", "password"}
    assert {secret.reveal() for secret in secrets_of(found)} == shown
    assert list(secrets_of(settings())) == [Secret("sgp_canary")]


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_no_program_of_the_same_user_reads_the_memory() -> None:
    libc = ctypes.CDLL(None)
    get_dumpable, set_dumpable = 3, 4
    assert libc.prctl(set_dumpable, 1, 0, 0, 0) == 0
    try:
        run_router(settings(), router=Failing(OSError("x")))
        assert libc.prctl(get_dumpable, 0, 0, 0, 0) == 0
    finally:
        libc.prctl(set_dumpable, 1, 0, 0, 0)


@POSIX
def test_no_core_dump_and_enough_files() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert run_router(settings(), router=Failing(OSError("x"))) == 1
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        most = 1564 if hard == resource.RLIM_INFINITY else min(1564, hard)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Plain(asyncio.SelectorEventLoop):
    """A loop that knows no signals, as on Windows."""

    def add_signal_handler(self, *_: object) -> None:
        raise NotImplementedError


@POSIX
def test_signals_where_the_loop_knows_none(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(running, "loop_factory", lambda: Plain)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    router = Standing(lambda: signal.raise_signal(signal.SIGTERM))
    try:
        assert run_router(settings(), router=router) == 0
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    assert router.stopped
    assert "Stopping" in capfd.readouterr().out


def test_without_uvloop_asyncios_own_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert running.loop_factory() is None


def test_a_real_address_in_use(capfd: pytest.CaptureFixture[str]) -> None:
    class Listening(Failing):
        async def __call__(
            self, settings: Settings, log: Log, *, demo: bool, ready: Ready, stop: asyncio.Event
        ) -> None:
            assert (log, demo, stop.is_set()) == (log, False, False)
            server = await asyncio.start_server(lambda *_: None, settings.hosts[0], settings.port)
            addresses: Sequence[tuple[str, int]] = [server.sockets[0].getsockname()]
            ready(addresses)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_router(settings(PORT=str(port)), router=Listening(OSError())) == 1
    line = f"Port {port} is already in use: stop the other program, or {_OTHER}.\n"
    assert capfd.readouterr().err == line
