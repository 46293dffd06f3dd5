"""What the single-file executable has to see to itself: it is the child of a process that unpacked it into a temporary folder.

Strategy: that parent passes signals on, waits, and removes the folder. Killed outright (SIGKILL, the task manager) it does none of
it, so the child ends when its parent does, and the next start removes what was left. A folder is ours to remove where it holds our
mark and no living process holds the mark: other programs of this kind name their folders alike (`_MEI*`) and keep them.
"""

import math
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

# What PyInstaller calls the folder with all that the program needs, beside it and unpacked.
_BESIDE: Final = "_internal"
_FOLDERS: Final = "_MEI*"
_MARK: Final = "cody-oai-router.pid"
_PR_SET_PDEATHSIG: Final = 1
# Seconds in which the same signal arrives by two ways, and nobody presses a key twice.
_ECHO: Final = 0.3
# What Windows calls the right to wait for a process, a wait without a limit, and that there is no such process.
_SYNCHRONIZE: Final = 0x00100000
_FOR_EVER: Final = 0xFFFFFFFF
_NO_SUCH_PROCESS: Final = 87


def unpacked_folder() -> Path | None:
    """The temporary folder that this program was unpacked to; `None` where it runs from where it was installed."""
    bundle = getattr(sys, "_MEIPASS", None)
    if not getattr(sys, "frozen", False) or bundle is None:
        return None
    # As a folder, the program lies beside what it needs; wherever a single file lies, a temporary folder may be below it.
    return None if Path(bundle) == Path(sys.executable).parent / _BESIDE else Path(bundle)


def settle() -> None:
    """Begin the life of a single-file executable: tie it to its parent, claim its folder, remove those of the dead."""
    folder = unpacked_folder()
    if folder is None:
        return
    end_with(os.getppid())
    # Whatever is wrong with a temporary folder, an answer matters more than its being tidy.
    with suppress(OSError):
        claim(folder)
        sweep(folder)


def once(stop: Callable[[], None], clock: Callable[[], float]) -> Callable[[], None]:
    """The same request to stop, where it may come twice at once: a terminal sends Ctrl+C to both processes, and one passes it on.

    `clock` gives seconds.
    """
    last = -math.inf

    def stop_once() -> None:
        nonlocal last
        now = clock()
        if now - last > _ECHO:
            last = now
            stop()

    return stop_once


def end_with(parent: int) -> None:
    """Have this process asked to stop when its parent ends, in the way that a signal asks."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only the single file needs it here

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before it was asked for
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: int) -> None:
    if sys.platform == "darwin":
        import select  # noqa: PLC0415 - only the single file needs it here

        ends = select.kevent(parent, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        with suppress(ProcessLookupError):  # it ended before it was asked for
            select.kqueue().control([ends], 1)
        os.kill(os.getpid(), signal.SIGTERM)
    elif sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - only the single file needs it here

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = kernel.OpenProcess(_SYNCHRONIZE, 0, parent)
        if handle:
            kernel.WaitForSingleObject(ctypes.c_void_p(handle), _FOR_EVER)
        elif ctypes.get_last_error() != _NO_SUCH_PROCESS:  # there is one, and nobody may wait for it
            return
        # Not os.kill, which ends a process outright here: this runs the handler, and wakes the loop.
        signal.raise_signal(signal.SIGTERM)


def claim(folder: Path) -> int:
    """Mark a folder as this process's for as long as it lives; give the file that holds the mark, which stays open."""
    if sys.platform == "win32":
        # An open file cannot be removed here, which is all that a mark has to be.
        mark = os.open(folder / _MARK, os.O_CREAT | os.O_WRONLY)
        os.write(mark, str(os.getpid()).encode())
        return mark
    import fcntl  # noqa: PLC0415 - not there on Windows

    # Locked before it has its name: nobody finds a mark that looks like a dead one's.
    unnamed = folder / f"{_MARK}.new"
    mark = os.open(unnamed, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    fcntl.flock(mark, fcntl.LOCK_EX)
    os.write(mark, str(os.getpid()).encode())
    unnamed.rename(folder / _MARK)
    return mark


def sweep(folder: Path) -> None:
    """Remove the folders beside this one that processes of this program and user have left behind."""
    for other in folder.parent.glob(_FOLDERS):
        if other != folder and _ours(other) and _dead(other / _MARK):
            import shutil  # noqa: PLC0415 - with what it brings, it would slow every start

            shutil.rmtree(other, ignore_errors=True)


def _ours(folder: Path) -> bool:
    try:
        # Not what a link leads to: a shared folder for temporary files is anybody's to put links into.
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (sys.platform == "win32" or found.st_uid == os.getuid())


def _dead(mark: Path) -> bool:
    """Whether a mark is there and nobody holds it."""
    try:
        if sys.platform == "win32":
            mark.unlink()
            return True
        import fcntl  # noqa: PLC0415 - not there on Windows

        found = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(found)
    return True
