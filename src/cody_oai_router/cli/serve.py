"""`cody-oai-router serve`: the router in front of the user's Sourcegraph."""

from collections.abc import Mapping
from pathlib import Path

from cody_oai_router.cli.console import complain, program
from cody_oai_router.cli.running import Router, run_router
from cody_oai_router.cli.sources import Machine, Sources, find_sources, read_named_file, settings_file, this_machine
from cody_oai_router.cli.workers import run_workers
from cody_oai_router.settings import Refusal, Settings, read_settings


def serve(flags: Mapping[str, str], *, or_demo: bool = False, router: Router | None = None) -> int:
    """Start the router and return the exit code; `or_demo` starts the demo where no token is configured at all."""
    machine = this_machine()
    sources = find_sources(machine, flags)
    settings = configured(sources)
    if isinstance(settings, Settings) and settings.workers > 1:
        return run_workers(settings, warnings=sources.warnings)
    if isinstance(settings, Settings):
        return run_router(settings, warnings=sources.warnings, router=router)
    if or_demo and settings.token_missing and not settings.lines:
        complain([*settings.hints, "No Sourcegraph access token is configured: starting demo mode instead."])
        from cody_oai_router.cli.demo import demo_from  # noqa: PLC0415 - not needed for a router with a token

        return demo_from(sources, router=router)
    return refuse(settings, machine, sources)


def refuse(refusal: Refusal, machine: Machine, sources: Sources) -> int:
    """Say why nothing can be done with these settings and how to put it right; return the exit code."""
    complain(refusal.lines)
    if refusal.token_missing:
        complain([*refusal.hints, *how_to_get_a_token(settings_file(machine))])
    complain(sources.advice)
    return 2


def configured(sources: Sources) -> Settings | Refusal:
    """The settings that the sources make, or everything that is wrong with the files and with what is in them."""
    settings = read_settings(sources.found, read_named_file)
    if not sources.lines:
        return settings
    if isinstance(settings, Settings):
        return Refusal(sources.lines)
    # A token may well stand in the file that could not be read: to ask for one would mislead.
    return Refusal((*sources.lines, *settings.lines))


def how_to_get_a_token(file: Path | None) -> list[str]:
    """What to say to a user without a token; `file` is where settings may be kept."""
    place = f"in the environment or in {file}" if file else "in the environment"
    return [
        "No Sourcegraph access token is configured.",
        "Get one: in Sourcegraph, open your user settings > Access tokens (/user/settings/tokens on your instance).",
        f"Put it {place}: SOURCEGRAPH_API_TOKEN=sgp_...",
        f"To try the router without a token: {program()} demo",
    ]
