"""The single-file executable and its temporary folder: whose it is, who ends with whom, and what is removed."""

import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cody_oai_router.cli import unpacked

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the signal")
MARK = "cody-oai-router.pid"


@pytest.mark.parametrize(
    ("frozen", "bundle", "folder"),
    [
        (True, "/tmp/_MEI1", Path("/tmp/_MEI1")),
        (True, "/opt/app/_internal", None),
        # Below the folder of the single file: TMPDIR=$HOME, or %TEMP% below a user's folder.
        (True, "/opt/app/tmp/_MEI1", Path("/opt/app/tmp/_MEI1")),
        (True, "/opt/app/_MEI1", Path("/opt/app/_MEI1")),
        (True, None, None),
        (False, "/tmp/_MEI1", None),
    ],
)
def test_only_a_single_file_is_unpacked(
    monkeypatch: pytest.MonkeyPatch, frozen: bool, bundle: str | None, folder: Path | None
) -> None:
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    monkeypatch.setattr(sys, "executable", str(Path("/opt/app/cody-oai-router")))
    monkeypatch.setattr(sys, "_MEIPASS", bundle, raising=False)
    assert unpacked.unpacked_folder() == folder


def made(parent: Path, name: str, *files: str) -> Path:
    folder = parent / name
    folder.mkdir()
    for file in files:
        (folder / file).write_text("left")
    return folder


def test_what_the_dead_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    mine = made(tmp_path, "_MEImine", MARK)
    dead = made(tmp_path, "_MEIdead", MARK, "libpython.so")
    of_another_program = made(tmp_path, "_MEIother", "libpython.so")
    of_another_kind = made(tmp_path, "cody", MARK)
    alive = made(tmp_path, "_MEIalive")
    mark = unpacked.claim(alive)
    linked = tmp_path / "_MEIlinked"
    elsewhere = made(tmp_path, "elsewhere", MARK)
    linked.symlink_to(elsewhere)
    unpacked.sweep(mine)
    assert not dead.exists()
    assert all(kept.exists() for kept in (mine, of_another_program, of_another_kind, alive, linked, elsewhere / MARK))
    os.close(mark)
    unpacked.sweep(mine)
    assert not alive.exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has no owners of this kind")
def test_what_another_user_left_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = made(tmp_path, "_MEItheirs", MARK)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    unpacked.sweep(tmp_path / "_MEImine")
    assert theirs.exists()


def test_a_signal_that_comes_by_two_ways_is_one_request() -> None:
    times = iter([10.0, 10.1, 10.29, 10.31, 12.0])
    heard: list[int] = []
    stop = unpacked.once(lambda: heard.append(len(heard)), lambda: next(times))
    for _ in range(3):
        stop()
    assert len(heard) == 1
    stop()
    stop()
    assert len(heard) == 3


def test_a_claim_names_its_process(tmp_path: Path) -> None:
    mark = unpacked.claim(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [MARK]
    assert (tmp_path / MARK).read_text() == str(os.getpid())
    os.close(mark)


# A process whose child ends with it: it says what its child is, and waits to be killed.
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""
CHILD = """
import signal, sys
from cody_oai_router.cli.unpacked import end_with
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
end_with(int(sys.argv[1]))
print("tied", flush=True)
signal.pause()
"""


@LINUX
def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        ended = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    # Readable when the process has ended.
    assert select.select([ended], [], [], 60)[0] == [ended]
    os.close(ended)


@LINUX
def test_a_parent_that_ended_before_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    try:
        unpacked.end_with(os.getppid() + 1_000_000)
    finally:
        ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    assert sent == [(os.getpid(), signal.SIGTERM)]


class Opener:
    """`OpenProcess`, which is told what type its result has."""

    def __init__(self, handle: int | None) -> None:
        self.restype: object = None
        self._handle = handle

    def __call__(self, *asked: int) -> int | None:
        assert (self.restype, asked) == (ctypes.c_void_p, (0x100000, 0, 7))
        return self._handle


class Kernel:
    """Windows, as far as it concerns waiting for a process."""

    def __init__(self, handle: int | None) -> None:
        self.OpenProcess = Opener(handle)
        self.waited: list[tuple[int | None, int]] = []

    def WaitForSingleObject(self, handle: ctypes.c_void_p, most: int) -> int:  # noqa: N802 - Windows names it
        self.waited.append((handle.value, most))
        return 0


@pytest.mark.skipif(sys.platform == "win32", reason="pretends to be Windows")
@pytest.mark.parametrize(
    ("handle", "error", "waited", "stops"),
    [
        pytest.param(0xABCD0123456, 0, [(0xABCD0123456, 0xFFFFFFFF)], True, id="its end is waited for"),
        pytest.param(None, 87, [], True, id="it ended before"),
        pytest.param(None, 5, [], False, id="it is there, and may not be waited for"),
    ],
)
def test_on_windows_the_end_of_the_parent_is_a_request_to_stop(
    monkeypatch: pytest.MonkeyPatch,
    handle: int | None,
    error: int,
    waited: list[tuple[int, int]],
    stops: bool,
) -> None:
    kernel = Kernel(handle)
    sent: list[int] = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_, **__: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: error, raising=False)
    monkeypatch.setattr(signal, "raise_signal", sent.append)
    unpacked._wait_for_end(7)
    assert kernel.waited == waited
    assert sent == [signal.SIGTERM] * stops
