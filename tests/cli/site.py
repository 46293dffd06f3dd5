"""A simulated Sourcegraph in a thread of its own, for commands that run an event loop themselves."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cody_oai_router.simulator import Simulator

PATIENCE = 30.0  # seconds


@contextmanager
def site(profile: str = "6.12", **options: Any) -> Iterator[tuple[Simulator, str]]:
    """Runs a simulator until the block ends; gives it and its address."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        simulator = Simulator(profile, **options)
        try:
            port = asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(PATIENCE)
            yield simulator, f"http://127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(PATIENCE)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(PATIENCE)
