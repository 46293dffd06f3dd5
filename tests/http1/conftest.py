"""Every test over sockets runs on each event loop that we ship, and fails on whatever the loop reports."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

LOOPS: list[str] = ["asyncio"]
if sys.platform != "win32":
    LOOPS.append("uvloop")


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - not there on Windows

    return uvloop.new_event_loop


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine to its end on one kind of loop; an unhandled error anywhere in the loop fails the test."""
    factory = _loop_factory(request.param)

    def run_on_loop(main: Coroutine[Any, Any, None]) -> None:
        reported: list[str] = []
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: reported.append(repr(context)))
            runner.run(asyncio.wait_for(main, 20))
            gc.collect()
        assert reported == []

    return run_on_loop
