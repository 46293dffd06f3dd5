"""What Linux says about processes and the machine: CPU time, memory, files, and the clock that turns time into cycles."""

import contextlib
import ctypes
import mmap
import platform
import resource
import sys
import sysconfig
import time
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_ROUNDS: Final = 20
_STEPS: Final = 1_000_000

# mov rcx, rdi; mov rax, rdi; then 8 times imul rax, rax; dec rcx; jnz back; ret. A multiplication waits for the one before
# it, three cycles on every x86-64 of the last fifteen years, so one turn of the loop is 24 cycles.
_CHAIN: Final = b"\x48\x89\xf9\x48\x89\xf8" + b"\x48\x0f\xaf\xc0" * 8 + b"\x48\xff\xc9\x75\xdb\xc3"
_CYCLES_PER_STEP: Final = 24


def tree(pid: int) -> list[int]:
    """Lists a process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in (_PROC / str(parent) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Gives the CPU time of a process tree, user and kernel, to the nanosecond; threads that have ended do not count."""
    nanoseconds = 0
    for process in tree(pid):
        for task in (_PROC / str(process) / "task").iterdir():
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def resident_megabytes(pid: int) -> float:
    """Gives the resident memory of a process tree; pages that its processes share count for each."""
    kilobytes = 0
    for process in tree(pid):
        status = (_PROC / str(process) / "status").read_text()
        kilobytes += int(status.partition("VmRSS:")[2].split()[0])
    return kilobytes / 1024


def allow_open_files(wanted: int) -> int:
    """Raises the limit of open files, for this process and those that it starts, as far as the system lets it; gives it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((wanted, max(hard, wanted)), (min(wanted, hard), hard)):
        if soft < limits[0]:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def clock_gigahertz() -> float | None:
    """Measures the clock with a chain of multiplications, the fastest of some rounds; nothing but on x86-64."""
    if platform.machine() not in {"x86_64", "AMD64"}:
        return None
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(_CHAIN)
        window = ctypes.c_char.from_buffer(page)
        chain = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)(ctypes.addressof(window))
        fastest = min(_timed(chain) for _ in range(_ROUNDS))
        del window
    return _STEPS * _CYCLES_PER_STEP / fastest / 1e9


def describe() -> str:
    """Names the processor, its cores, the system, and the Python with how it was built, which is worth some ten percent."""
    info = (_PROC / "cpuinfo").read_text()
    model = info.partition("model name")[2].partition(":")[2].partition("\n")[0].strip() or platform.machine()
    cores = info.count("\nprocessor") + info.startswith("processor")
    optimized = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    python = f"CPython {sys.version.split()[0]} {'with' if optimized else 'without'} --enable-optimizations"
    return f"{model}, {cores} cores; {platform.system()} {platform.release()}; {python}"


def _timed(chain: "ctypes._CFunctionType") -> float:
    begun = time.perf_counter()
    chain(_STEPS)
    return time.perf_counter() - begun
