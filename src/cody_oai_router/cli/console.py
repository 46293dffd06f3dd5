"""The terminal: what the user is told when the router does not start, and a window that stays open to read it."""

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path

from cody_oai_router.shell.log import printable


def complain(lines: Iterable[str]) -> None:
    """Print lines on standard error, in what its encoding can carry; without a standard error nobody is told."""
    if sys.stderr is None:
        return
    encoding = sys.stderr.encoding or "ascii"
    for line in lines:
        text = printable(line).encode(encoding, "backslashreplace").decode(encoding)
        try:
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is what the module is for
        except (OSError, ValueError):
            return


def hold_window() -> None:
    """Wait for Enter where the console was opened for this program alone and would close together with it."""
    if not _owns_console():
        return
    complain(["", "Press Enter to close this window."])
    try:
        input()
    except (EOFError, KeyboardInterrupt, RuntimeError):
        return


def _owns_console() -> bool:
    """Whether a frozen program was started by a double click on Windows: no shell is attached to its console."""
    if not getattr(sys, "frozen", False):
        return False
    return 0 < _console_processes() <= _own_processes(Path(sys.executable), Path(getattr(sys, "_MEIPASS", "")))


def _own_processes(executable: Path, unpacked: Path) -> int:
    """How many processes of a console are this program: a one-file binary runs under the one that unpacked it."""
    return 1 if executable.parent in (unpacked, *unpacked.parents) else 2


def _console_processes() -> int:
    """How many processes are attached to this console; 0 where the system has no such thing."""
    windows = getattr(ctypes, "windll", None)
    if windows is None:
        return 0
    room = (ctypes.c_ulong * 8)()
    return int(windows.kernel32.GetConsoleProcessList(room, len(room)))
