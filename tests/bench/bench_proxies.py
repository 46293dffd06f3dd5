"""Measures the router beside Node, express + axios and nginx, on the same work in one run, and prints Markdown tables.

Run by `make bench`; Linux only. The figures that hold on a busy machine come first: instructions (callgrind, user space),
then CPU time of the process tree (the least of some rounds, in which the proxies take turns), which the measured clock
turns into approximate cycles. Latency and wall-clock time are noise where others use the machine, and are marked so.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvloop

from bench import callgrind, machine
from bench.load import Held, drive
from bench.proxies import CONNECTIONS, PROXIES, Place, Proxy, Running, proxies, running
from bench.upstream import Upstream
from bench.work import BIG, BURST, FOLD, JSON, OPEN, RAW_BURST, RAW_SINGLE, SINGLE, WORKS, Api, Work

# Requests and connections of one round: a tenth of a second or more of CPU time for each proxy.
_LOADS: Final[dict[Work, tuple[int, int]]] = {
    JSON: (2000, 8),
    BURST: (32, 8),
    SINGLE: (16, 8),
    RAW_BURST: (32, 8),
    RAW_SINGLE: (16, 8),
    FOLD: (32, 32),
    BIG: (60, 4),
}
# Under callgrind a program is some fifty times slower, and one round is exact.
_COUNTED: Final[dict[Work, tuple[int, int]]] = {
    JSON: (200, 1),
    BURST: (3, 1),
    SINGLE: (3, 1),
    RAW_BURST: (3, 1),
    RAW_SINGLE: (3, 1),
    FOLD: (2, 1),
    BIG: (20, 1),
}
# V8 compiles what is hot only after a while: uncounted requests before the counted ones, in shares of a round.
_WARM_ROUNDS: Final = 2

_HELD: Final = (1_000, 10_000)
_OTHER_FILES: Final = 200
_STARTS: Final = 7
_LATENCY_REQUESTS: Final = 1_000

# docs/performance.md, times Node, megabytes, milliseconds.
_BUDGETS: Final[dict[Work, str]] = {
    JSON: "≤ 250 kcycles",
    BURST: "≤ 25 kcycles, ≤ 0.6 of Node",
    FOLD: "≤ 20 kcycles",
    BIG: "≤ a fifth of Node",
}


@dataclass
class Bench:
    """One run: the upstream, a folder for files, and the next free port."""

    upstream: Upstream
    scratch: Path
    rounds: int
    api: Api
    works: Sequence[Work]
    port: int = field(default=18_500)

    def place(self) -> Place:
        """Gives a place for one more proxy."""
        self.port += 1
        return Place(self.port, self.upstream.port, self.api, self.scratch)

    async def drive(self, proxy: Running, work: Work, load: tuple[int, int]) -> list[float]:
        """Gives one round of work to a proxy."""
        requests, connections = load
        path = proxy.path(work)
        return await drive(proxy.port, path, work, self.upstream, requests=requests, connections=connections)


async def main() -> None:
    """Measures what the command line asks for."""
    options = _options()
    chosen, absent = _able(proxies(options.only))
    clock = machine.clock_gigahertz()
    _say(f"Machine: {machine.describe()}; clock measured at {clock:.2f} GHz." if clock else machine.describe())
    for proxy, reason in absent.items():
        _say(f"Not measured: {proxy} ({reason}).")
    upstream = Upstream()
    await upstream.start()
    with tempfile.TemporaryDirectory() as scratch, closing(upstream):
        bench = Bench(upstream, Path(scratch), options.rounds, options.api, [WORKS[name] for name in options.works])
        for part in options.parts:
            await _PARTS[part](bench, chosen, clock)


async def instructions(bench: Bench, chosen: Sequence[Proxy], clock: float | None) -> None:
    """Counts the instructions of each kind of work."""
    del clock
    reason = callgrind.missing()
    if reason is not None:
        _say(f"\nInstructions were not counted: {reason}.")
        return
    figures: dict[Work, dict[str, float]] = {work: {} for work in bench.works}
    for proxy in chosen:
        async with running(proxy, bench.place(), under=callgrind.command(bench.scratch)) as run:
            counter = callgrind.Counter(run.pid, bench.scratch)
            for work in filter(proxy.does, bench.works):
                for _ in range(_WARM_ROUNDS):
                    await bench.drive(run, work, _COUNTED[work])
                await counter.take()
                await bench.drive(run, work, _COUNTED[work])
                figures[work][proxy.name] = await counter.take() / _COUNTED[work][0] / work.units / 1e3
    _table("Thousand instructions (user space) per request or event", chosen, figures)


async def cpu(bench: Bench, chosen: Sequence[Proxy], clock: float | None) -> None:
    """Takes the CPU time of each kind of work."""
    figures: dict[Work, dict[str, float]] = {work: {} for work in bench.works}
    async with AsyncExitStack() as stack:
        runs = [await stack.enter_async_context(running(proxy, bench.place())) for proxy in chosen]
        for work in bench.works:
            for number in range(_WARM_ROUNDS + bench.rounds):
                for run in runs:
                    if run.proxy.does(work):
                        spent = await _spent(bench, run, work)
                        best = figures[work].get(run.proxy.name, spent)
                        figures[work][run.proxy.name] = spent if number < _WARM_ROUNDS else min(best, spent)
    _table("CPU microseconds (user and kernel) per request or event", chosen, figures)
    if clock is not None:
        cycles = {
            work: {name: microseconds * clock for name, microseconds in row.items()} for work, row in figures.items()
        }
        _table("Approximate kilocycles: the same, times the measured clock", chosen, cycles, budgets=_BUDGETS)


async def memory(bench: Bench, chosen: Sequence[Proxy], clock: float | None) -> None:
    """Takes the resident memory of a proxy, idle and with streams held open: each is two files of a proxy."""
    del clock
    most = (machine.allow_open_files(2 * CONNECTIONS + _OTHER_FILES) - _OTHER_FILES) // 2
    rows: dict[str, dict[str, float]] = {}
    for proxy in chosen:
        async with running(proxy, bench.place()) as run, Held(run.port, run.path(OPEN), OPEN) as held:
            await bench.drive(run, JSON, (20, 1))
            rows.setdefault("idle", {})[proxy.name] = machine.resident_megabytes(run.pid)
            for streams in [min(streams, most) for streams in _HELD]:
                await held.open(streams)
                rows.setdefault(f"{streams:,} open streams", {})[proxy.name] = machine.resident_megabytes(run.pid)
        bench.upstream.streams.clear()
    _print_table("Resident memory, MB (budgets: idle ≤ 32, 1,000 streams ≤ 40)", _names(chosen), rows)


async def start(bench: Bench, chosen: Sequence[Proxy], clock: float | None) -> None:
    """Takes what a proxy spends from its start to its first reply, and the wall-clock time of that."""
    del clock
    spent: dict[str, list[float]] = {}
    waited: dict[str, list[float]] = {}
    for proxy in [proxy for _ in range(_STARTS) for proxy in chosen]:
        begun = time.perf_counter()
        async with running(proxy, bench.place()) as run:
            await bench.drive(run, JSON, (1, 1))
            waited.setdefault(proxy.name, []).append((time.perf_counter() - begun) * 1e3)
            spent.setdefault(proxy.name, []).append(machine.cpu_seconds(run.pid) * 1e3)
    rows = {
        "CPU, least": {name: min(values) for name, values in spent.items()},
        "wall clock, least (noisy)": {name: min(values) for name, values in waited.items()},
    }
    _print_table(f"Start to first reply, ms of {_STARTS} starts (budget: CPU ≤ 220)", _names(chosen), rows)


async def latency(bench: Bench, chosen: Sequence[Proxy], clock: float | None) -> None:
    """Takes the time of single requests, one after the other."""
    del clock
    rows: dict[str, dict[str, float]] = {"p50": {}, "p99": {}}
    direct = await drive(bench.upstream.port, "/", JSON, bench.upstream, requests=_LATENCY_REQUESTS, connections=1)
    _note_latency(rows, "none (direct)", direct)
    for proxy in chosen:
        async with running(proxy, bench.place()) as run:
            await bench.drive(run, JSON, _LOADS[JSON])
            _note_latency(rows, proxy.name, await bench.drive(run, JSON, (_LATENCY_REQUESTS, 1)))
    title = "Latency of a 2 KB JSON request at one connection, microseconds (noisy)"
    _print_table(title, ["none (direct)", *_names(chosen)], rows)


_PARTS: Final = {"instructions": instructions, "cpu": cpu, "memory": memory, "start": start, "latency": latency}


async def _spent(bench: Bench, run: Running, work: Work) -> float:
    """Gives the CPU microseconds of one unit of work."""
    before = machine.cpu_seconds(run.pid)
    await bench.drive(run, work, _LOADS[work])
    return (machine.cpu_seconds(run.pid) - before) / _LOADS[work][0] / work.units * 1e6


def _note_latency(rows: dict[str, dict[str, float]], name: str, seconds: list[float]) -> None:
    hundredths = statistics.quantiles(seconds, n=100)
    rows["p50"][name] = hundredths[49] * 1e6
    rows["p99"][name] = hundredths[98] * 1e6


def _able(wanted: Iterable[Proxy]) -> tuple[list[Proxy], dict[str, str]]:
    chosen: list[Proxy] = []
    absent: dict[str, str] = {}
    for proxy in wanted:
        reason = proxy.missing()
        if reason is None:
            chosen.append(proxy)
        else:
            absent[proxy.name] = reason
    return chosen, absent


def _names(chosen: Sequence[Proxy]) -> list[str]:
    return [proxy.name for proxy in chosen]


def _table(
    title: str,
    chosen: Sequence[Proxy],
    figures: Mapping[Work, Mapping[str, float]],
    *,
    budgets: Mapping[Work, str] | None = None,
) -> None:
    rows = {work.name: row for work, row in figures.items() if row}
    notes = {work.name: budget for work, budget in (budgets or {}).items()}
    _print_table(title, _names(chosen), rows, notes)


def _print_table(
    title: str,
    columns: Sequence[str],
    rows: Mapping[str, Mapping[str, float]],
    budgets: Mapping[str, str] | None = None,
) -> None:
    """Prints a Markdown table; a dash stands where a proxy does not do the work at all."""
    head = [title, *columns, *(["budget"] if budgets else [])]
    _say("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name, row in rows.items():
        cells = [_shown(row[column]) if column in row else "-" for column in columns]
        last = [budgets.get(name, "")] if budgets else []
        _say("| " + " | ".join([name, *cells, *last]) + " |")


def _shown(figure: float) -> str:
    return f"{figure:.2f}" if figure < 10 else f"{figure:.1f}" if figure < 100 else f"{figure:,.0f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.bench_proxies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the CPU figures")
    parser.add_argument(
        "--api", choices=["llm", "cody"], default="llm", help="the endpoint of Sourcegraph that streams"
    )
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS), help="measure only this work")
    names = [make.__name__ for make in PROXIES]
    parser.add_argument("--only", nargs="+", choices=names, default=[], help="measure only these proxies")
    parser.add_argument("--parts", nargs="+", choices=list(_PARTS), default=list(_PARTS), help="measure only this")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
