"""The terminal: what the user is told when the router does not start, and a window that stays open to read it."""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TextIO

from cody_oai_router.cli.unpacked import unpacked_folder
from cody_oai_router.shell.log import printable

_NARROWEST: Final = 60
_WIDEST: Final = 110


def complain(lines: Iterable[str]) -> None:
    """Print lines on standard error, in what its encoding can carry; without a standard error nobody is told."""
    _print(lines, sys.stderr)


def say(lines: Iterable[str]) -> None:
    """Print lines on standard output, in the same way."""
    _print(lines, sys.stdout)


def can_show(text: str) -> bool:
    """Whether the encoding of standard output has every character of `text`."""
    try:
        text.encode(_encoding(sys.stdout))
    except UnicodeEncodeError:
        return False
    return True


def program() -> str:
    """The name by which the user starts this program."""
    return Path(sys.executable).name if getattr(sys, "frozen", False) else "cody-oai-router"


def is_terminal() -> bool:
    """Whether somebody reads standard output, rather than a file or another program."""
    return sys.stdout is not None and sys.stdout.isatty()


def columns() -> int:
    """How wide a line of text on the terminal may be: longer ones than 110 columns nobody likes to read."""
    return min(all_columns(), _WIDEST)


def all_columns() -> int:
    """How wide a table on the terminal may be: all that there is."""
    import shutil  # noqa: PLC0415 - with what it brings, it would slow every start of the router

    return max(_NARROWEST, shutil.get_terminal_size().columns)


def _encoding(stream: TextIO | None) -> str:
    return getattr(stream, "encoding", None) or "ascii"


def _print(lines: Iterable[str], stream: TextIO | None) -> None:
    if stream is None:
        return
    encoding = _encoding(stream)
    for line in lines:
        text = printable(line).encode(encoding, "backslashreplace").decode(encoding)
        try:
            print(text, file=stream, flush=True)
        except (OSError, ValueError):
            return


def hold_window(*, commanded: bool) -> None:
    """Wait for Enter where the console was opened for this program alone and would close together with it.

    Where a command was typed (`commanded`) only Windows can tell: elsewhere `ssh -t` opens a terminal of the same kind.
    """
    if not _owns_console(commanded=commanded):
        return
    complain(["", "Press Enter to close this window."])
    try:
        input()
    except (EOFError, KeyboardInterrupt, RuntimeError):
        return


def _owns_console(*, commanded: bool) -> bool:
    """Whether a frozen program was started by a double click: no shell will be there when it is gone."""
    if not getattr(sys, "frozen", False):
        return False
    ours = [os.getpid(), os.getppid()] if unpacked_folder() else [os.getpid()]
    return 0 < _console_processes() <= len(ours) or (not commanded and _session_leader() in ours)


def _session_leader() -> int:
    """The process that a terminal was opened for; 0 where there is no terminal, no sessions, or only a container's."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        return 0
    leader = os.getsid(0)
    return leader if leader != 1 else 0


def _console_processes() -> int:
    """How many processes are attached to this console; 0 where the system has no such thing."""
    windows = getattr(ctypes, "windll", None)
    if windows is None:
        return 0
    room = (ctypes.c_ulong * 8)()
    return int(windows.kernel32.GetConsoleProcessList(room, len(room)))
