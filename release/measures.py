"""What a built executable costs: its size, its start, its memory. `python release/measures.py FILE...` prints a table (Linux, Windows).

Strategy: memory is that of all its processes together, as a user sees it: the single file is two. A start is measured from the
spawn to the first answer of `/health`, several times, and the least counts, since everything else is the machine's.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from family import resident
from instance import account, upstream
from running import Bench, Running

STARTS: Final = 7
REQUESTS: Final = 1000
HEADINGS: Final = ("", "size, MB", "start, ms: least", "median", "RSS idle, MB", f"after {REQUESTS} requests, MB")


def report(program: Path) -> str:
    """The figures of a program in one line."""
    figures = measure(program)
    return "; ".join(f"{name} {value}" for name, value in zip(HEADINGS[1:], figures, strict=True))


def measure(program: Path) -> tuple[str, ...]:
    """Size (of the folder, where it is one), start and memory, as numbers to print."""
    with tempfile.TemporaryDirectory(prefix="measures-", ignore_cleanup_errors=True) as folder:
        bench = Bench(program, Path(folder).resolve())
        size = sum(path.stat().st_size for path in bench.place.rglob("*") if path.is_file())
        starts = [start(bench) for _ in range(STARTS)]
        with upstream() as port, bench.running(**account(port)) as running:
            idle = memory(running.ready())
            for _ in range(REQUESTS):
                running.chat()
            busy = memory(running)
    least, median = (1000 * figure for figure in (min(starts), statistics.median(starts)))
    return f"{size / 1e6:.1f}", f"{least:.0f}", f"{median:.0f}", f"{idle:.1f}", f"{busy:.1f}"


def start(bench: Bench) -> float:
    """Seconds from the spawn to the first answer."""
    began = time.perf_counter()
    with bench.running("demo") as running:
        running.ready(every=0.002)
        return time.perf_counter() - began


def memory(running: Running) -> float:
    """Resident megabytes of a program and its children."""
    return resident(running.process.pid) / 1e6


def main() -> None:
    """Print a table of the files that are named."""
    parser = argparse.ArgumentParser(description="Measure built executables.")
    parser.add_argument("programs", type=Path, nargs="+")
    print("| " + " | ".join(HEADINGS) + " |")
    print("|" + "---|" * len(HEADINGS))
    for program in parser.parse_args().programs:
        print("| " + " | ".join((str(program), *measure(program.resolve()))) + " |", flush=True)


if __name__ == "__main__":
    main()
