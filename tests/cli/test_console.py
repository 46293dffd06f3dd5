"""The terminal: lines that any console can show, and a window that waits only where it would close."""

import ctypes
import io
import os
import sys
from pathlib import Path

import pytest

from cody_oai_router.cli import console


class Kernel:
    """What Windows says about the processes of a console."""

    def __init__(self, processes: int) -> None:
        self.kernel32 = self
        self._processes = processes

    def GetConsoleProcessList(self, room: object, size: int) -> int:  # noqa: N802 - Windows names it so
        assert room is not None
        assert size > self._processes
        return self._processes


class Typed(io.StringIO):
    """What is typed at a terminal, or comes from elsewhere."""

    def __init__(self, terminal: bool) -> None:
        super().__init__("\n")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Broken(io.StringIO):
    def write(self, text: str, /) -> int:
        raise BrokenPipeError(text)


def test_lines_are_escaped_for_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(shown, encoding="cp1252", newline=""))
    console.complain(["caf\u00e9 \u4e16", "a\x1b[2J\nb"])
    assert shown.getvalue() == b"caf\xe9 \\u4e16\na\\x1b[2J\\nb\n"


def test_what_is_said_goes_to_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii", newline=""))
    console.say(["caf\u00e9"])
    assert shown.getvalue() == b"caf\\xe9\n"
    assert not console.can_show("\u2713")
    assert console.can_show("ok")
    assert not console.is_terminal()
    monkeypatch.setattr(sys, "stdout", None)
    console.say(["lost"])
    assert not console.can_show("\u2713")
    assert not console.is_terminal()


@pytest.mark.parametrize(("terminal", "width"), [("80", 80), ("20", 60), ("300", 110)])
def test_lines_are_as_wide_as_is_good_to_read(monkeypatch: pytest.MonkeyPatch, terminal: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", terminal)
    assert console.columns() == width


@pytest.mark.parametrize(("terminal", "width"), [("80", 80), ("20", 60), ("300", 300)])
def test_tables_are_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch, terminal: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", terminal)
    assert console.all_columns() == width


@pytest.mark.parametrize("stream", [None, Broken()])
def test_without_a_console_nobody_is_told(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    console.complain(["lost"])
    assert sys.stderr is stream


@pytest.mark.parametrize(
    ("frozen", "unpacked", "processes", "waits"),
    [
        (True, "/opt/app/_internal", 1, True),
        (True, "/opt/app/tmp/_MEI1", 2, True),
        (True, "/opt/app/_internal", 2, False),
        (True, "/tmp/_MEI1", 2, True),
        (True, "/tmp/_MEI1", 3, False),
        (True, "/opt/app/_internal", 0, False),
        (False, "/opt/app/_internal", 1, False),
    ],
)
def test_the_window_waits_where_it_is_the_programs_own(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    frozen: bool,
    unpacked: str,
    processes: int,
    waits: bool,
) -> None:
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    monkeypatch.setattr(sys, "executable", str(Path("/opt/app/cody-oai-router.exe")))
    monkeypatch.setattr(sys, "_MEIPASS", unpacked, raising=False)
    monkeypatch.setattr(ctypes, "windll", Kernel(processes), raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    console.hold_window(commanded=False)
    assert ("Press Enter to close this window." in capsys.readouterr().err) is waits
    assert (sys.stdin.read() == "") is waits


def test_no_wait_where_nothing_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(ctypes, "windll", Kernel(1), raising=False)
    monkeypatch.setattr(sys, "stdin", None)
    console.hold_window(commanded=False)
    assert "Press Enter" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sessions")
@pytest.mark.parametrize(
    ("unpacked", "leader", "terminal", "commanded", "waits"),
    [
        ("/opt/app/_internal", "itself", True, False, True),
        ("/tmp/_MEI1", "itself", True, False, True),
        ("/tmp/_MEI1", "parent", True, False, True),
        ("/opt/app/_internal", "parent", True, False, False),
        ("/opt/app/_internal", "shell", True, False, False),
        ("/opt/app/_internal", "container", True, False, False),
        ("/opt/app/_internal", "itself", False, False, False),
        ("/opt/app/_internal", "itself", True, True, False),
    ],
)
def test_a_terminal_that_was_opened_for_the_program_waits(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    unpacked: str,
    leader: str,
    terminal: bool,
    commanded: bool,
    waits: bool,
) -> None:
    leaders = {"itself": os.getpid(), "parent": os.getppid(), "shell": os.getpid() + 1_000_000, "container": 1}
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/app/cody-oai-router")
    monkeypatch.setattr(sys, "_MEIPASS", unpacked, raising=False)
    monkeypatch.setattr(os, "getsid", lambda _: leaders[leader])
    if leader == "container":
        monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(sys, "stdin", Typed(terminal))
    console.hold_window(commanded=commanded)
    assert ("Press Enter to close this window." in capsys.readouterr().err) is waits


def test_no_console_of_its_own_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.delattr(ctypes, "windll", raising=False)
    monkeypatch.setattr(sys, "stdin", Typed(terminal=False))
    console.hold_window(commanded=False)
    assert capsys.readouterr().err == ""


def test_the_program_is_called_as_its_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(Path("/opt/app/cody-oai-router-linux")))
    assert console.program() == "cody-oai-router"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert console.program() == "cody-oai-router-linux"
