"""The processes of a program and the memory that they hold, on Linux and Windows."""

import ctypes
import sys
from collections.abc import Iterator
from ctypes import wintypes
from pathlib import Path
from typing import Any, ClassVar, Final

# What Windows calls a list of all processes, and the right to ask one how much memory it has.
_ALL_PROCESSES: Final = 0x00000002
_QUERY: Final = 0x1000


class _Entry(ctypes.Structure):
    """A process in the list of Windows (PROCESSENTRY32W)."""

    _fields_: ClassVar = [
        ("size", wintypes.DWORD),
        ("usage", wintypes.DWORD),
        ("process", wintypes.DWORD),
        ("heap", ctypes.c_void_p),
        ("module", wintypes.DWORD),
        ("threads", wintypes.DWORD),
        ("parent", wintypes.DWORD),
        ("priority", wintypes.LONG),
        ("flags", wintypes.DWORD),
        ("file", wintypes.WCHAR * 260),
    ]


class _Memory(ctypes.Structure):
    """The memory of a process as Windows counts it (PROCESS_MEMORY_COUNTERS)."""

    _fields_: ClassVar = [
        ("size", wintypes.DWORD),
        ("faults", wintypes.DWORD),
        ("peak", ctypes.c_size_t),
        ("resident", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 6),
    ]


def resident(process: int) -> int:
    """Bytes of memory that a process and its children hold: the resident set, or the working set."""
    family = [process]
    for one in family:
        family += _children(one)
    return sum(_resident(one) for one in family)


def _children(process: int) -> list[int]:
    if sys.platform == "win32":
        return [child for child, parent in _parents() if parent == process]
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


def _resident(process: int) -> int:
    if sys.platform == "win32":
        kernel = _kernel()
        handle = kernel.OpenProcess(_QUERY, 0, process)
        memory = _Memory(size=ctypes.sizeof(_Memory))
        kernel.K32GetProcessMemoryInfo(ctypes.c_void_p(handle), ctypes.byref(memory), memory.size)
        kernel.CloseHandle(ctypes.c_void_p(handle))
        return int(memory.resident)
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def _parents() -> Iterator[tuple[int, int]]:
    """Every process of Windows, with its parent."""
    kernel = _kernel()
    listed = ctypes.c_void_p(kernel.CreateToolhelp32Snapshot(_ALL_PROCESSES, 0))
    entry = _Entry(size=ctypes.sizeof(_Entry))
    more = kernel.Process32FirstW(listed, ctypes.byref(entry))
    while more:
        yield entry.process, entry.parent
        more = kernel.Process32NextW(listed, ctypes.byref(entry))
    kernel.CloseHandle(listed)


def _kernel() -> Any:
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - not there on Linux
    for gives_a_handle in (kernel.OpenProcess, kernel.CreateToolhelp32Snapshot):
        gives_a_handle.restype = ctypes.c_void_p
    return kernel
