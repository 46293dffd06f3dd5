"""`cody-oai-router demo`: the router in front of a simulated Sourcegraph, without a token and without a network."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from cody_oai_router.addresses import Upstream
from cody_oai_router.cli.console import complain
from cody_oai_router.cli.running import Router, run_router
from cody_oai_router.cli.sources import Sources, find_sources, read_named_file, this_machine
from cody_oai_router.reading import Source
from cody_oai_router.settings import Refusal, read_settings
from cody_oai_router.simulator import DEMO_TOKEN, Simulator
from cody_oai_router.variables import BY_NAME

# The user's account, network and choice of models mean nothing to the simulator.
_LEFT_OUT: Final = frozenset({"Sourcegraph", "Network", "Models"})
_HOST: Final = "127.0.0.1"
# Seconds between two words: about as fast as a model writes.
_PACE: Final = 0.03


def demo(flags: Mapping[str, str], *, router: Router | None = None) -> int:
    """Start the demo and return the exit code."""
    return demo_from(find_sources(this_machine(), flags), router=router)


def demo_from(sources: Sources, *, router: Router | None = None) -> int:
    """Start the demo with what the sources say about the router itself; the user's token is not even looked at."""
    found = [Source(source.place, source.label, _without_account(source.values)) for source in sources.found]
    account = {"SOURCEGRAPH_BASE_URL": f"http://{_HOST}", "SOURCEGRAPH_API_TOKEN": DEMO_TOKEN}
    # The least trusted place: its token needs no protection from anybody's settings.
    settings = read_settings([*found, Source("directory", "demo mode", account)], read_named_file)
    lines = (*sources.lines, *(settings.lines if isinstance(settings, Refusal) else ()))
    if lines or isinstance(settings, Refusal):
        complain([*lines, *sources.advice])
        return 2
    # What the demo sets for itself is nothing that the user would look for.
    origins = {name: label for name, label in settings.origins.items() if name not in account}
    warnings = list(sources.warnings)
    if settings.workers > 1:
        warnings.append("Demo mode runs in one process: WORKERS has no effect.")
    settings = msgspec.structs.replace(settings, origins=origins, workers=1)
    return run_router(settings, warnings=warnings, router=router, simulated=_simulated)


def _without_account(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name in BY_NAME and BY_NAME[name].group not in _LEFT_OUT}


@asynccontextmanager
async def _simulated() -> AsyncIterator[Upstream]:
    simulator = Simulator("6.12", demo=True, pace=_PACE)
    port = await simulator.start(_HOST)
    try:
        yield Upstream("http", _HOST, port)
    finally:
        await simulator.stop()
