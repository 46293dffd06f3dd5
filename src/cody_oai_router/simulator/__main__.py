"""Runs the simulator as a process: `python -m cody_oai_router.simulator --profile 6.12 --port 0`."""

import argparse
import asyncio
import contextlib
import signal
import sys

from cody_oai_router.simulator.profiles import PROFILES
from cody_oai_router.simulator.simulator import DEMO_TOKEN, Simulator


def main() -> None:
    """Parses the command line and serves until interrupted or terminated."""
    parser = argparse.ArgumentParser(prog="python -m cody_oai_router.simulator", description=__doc__)
    parser.add_argument("--profile", choices=list(PROFILES), default="6.12")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default=DEMO_TOKEN)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds before each piece of an answer")
    parser.add_argument("--demo", action="store_true", help="every answer says that it is a demo")
    parser.add_argument("--gate", choices=["403", "404"], default="403")
    parser.add_argument("--parallel", choices=["new-id", "no-id"], default="new-id")
    parser.add_argument("--listing", choices=["full", "null", "unlisted"], default="full")
    parser.add_argument("--alternation", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--prefill", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument("--cody-enabled", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--context-filters", action="store_true", help="the site defines codyContextFilters")
    parser.add_argument("--catalogue", choices=["standard", "6", "57", "null"], default="standard")
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    host, port = options.pop("host"), options.pop("port")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Simulator(**options), host, port))


async def _serve(simulator: Simulator, host: str, port: int) -> None:
    stopping = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers on the loop
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    listening = await simulator.start(host, port)
    sys.stdout.write(f"listening on http://{host}:{listening}\n")
    sys.stdout.flush()
    try:
        await stopping.wait()
    finally:
        await simulator.stop()


if __name__ == "__main__":
    main()
