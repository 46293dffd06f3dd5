"""Every test over sockets runs on each event loop that we ship, and fails on whatever the loop reports.

What is about time runs on a loop whose clock the test moves: no test waits for a clock to run out.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from http1.clocked import Clocked, ClockedLoop

LOOPS: list[str] = ["asyncio"]
if sys.platform != "win32":
    LOOPS.append("uvloop")


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - not there on Windows

    return uvloop.new_event_loop


def _run(main: Coroutine[Any, Any, None], runner: asyncio.Runner) -> None:
    """Run a coroutine to its end; an unhandled error anywhere in the loop fails the test."""
    reported: list[str] = []
    with runner:
        runner.get_loop().set_exception_handler(lambda _, context: reported.append(repr(context)))
        runner.run(main)
        gc.collect()
    assert reported == []


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine on one kind of loop."""
    factory = _loop_factory(request.param)
    return lambda main: _run(asyncio.wait_for(main, 20), asyncio.Runner(loop_factory=factory))


@pytest.fixture
def clocked() -> Clocked:
    """Run a test's main function on a loop whose time passes only when the test says so."""

    def run_on_clocked_loop(main: Callable[[ClockedLoop], Coroutine[Any, Any, None]]) -> None:
        loop = ClockedLoop()
        _run(main(loop), asyncio.Runner(loop_factory=lambda: loop))

    return run_on_clocked_loop
