"""`cody-oai-router models`: what can be asked for, as a table."""

import asyncio
from collections.abc import Mapping

from cody_oai_router.cli.console import all_columns, complain, is_terminal, say
from cody_oai_router.cli.running import loop_factory, protect_memory, secrets_of
from cody_oai_router.cli.serve import configured, refuse
from cody_oai_router.cli.sources import find_sources, this_machine
from cody_oai_router.faults import Fault
from cody_oai_router.model_table import left_out, lines_of, write_json, write_table
from cody_oai_router.settings import Refusal, Settings
from cody_oai_router.shell.log import Log, Redactor
from cody_oai_router.shell.offer import Offer, ask_for_offer


def models(flags: Mapping[str, str], *, as_json: bool) -> int:
    """Print the catalogue and return the exit code: 0, 1 where the instance gives no listing, 2 for a wrong configuration."""
    machine = this_machine()
    sources = find_sources(machine, flags)
    settings = configured(sources)
    if isinstance(settings, Refusal):
        return refuse(settings, machine, sources)
    protect_memory()
    log = Log(None, redactor=Redactor(secrets_of(settings)))
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            offer = runner.run(ask_for_offer(settings, log))
    except OSError as error:  # certificates that cannot be used
        offer = Fault(kind="bad_gateway", message=str(error))
    finally:
        log.close()
    if isinstance(offer, Fault):
        complain([log.redact(offer.message)])
        return 1
    _print(offer, settings, as_json=as_json)
    return 0


def _print(offer: Offer, settings: Settings, *, as_json: bool) -> None:
    catalogue = offer.catalogue
    lines = lines_of(catalogue, settings.model_aliases, offer.default, settings.default_model)
    if as_json:
        say([write_json(lines)])
        return
    if not catalogue.models:
        complain(["The instance lists no models: their names go to Sourcegraph as clients write them."])
    if not lines:
        return
    say(write_table(lines, all_columns() if is_terminal() else None))
    others = left_out(catalogue)
    if others:
        complain([f"Left out: {others} that cannot be talked to (autocomplete only)."])
