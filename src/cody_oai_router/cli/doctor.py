"""`cody-oai-router doctor`: tells whether this machine, network, token and instance will work, and what to do if not."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from cody_oai_router.checkup.check import Check, works
from cody_oai_router.checkup.configuration import judge_refusal, judge_settings
from cody_oai_router.checkup.report import SIGNS, WORDS, Marks, write_json, write_lines, write_skipped, write_verdict
from cody_oai_router.cli.console import can_show, columns, say
from cody_oai_router.cli.running import loop_factory, protect_memory, secrets_of
from cody_oai_router.cli.serve import configured, how_to_get_a_token
from cody_oai_router.cli.sources import find_sources, settings_file, this_machine
from cody_oai_router.settings import Refusal, Settings
from cody_oai_router.shell.checkup import check_up
from cody_oai_router.shell.log import Log, Redactor

# 128 and the number of SIGINT, as a shell says it: the question was not answered, which 0 and 1 would pretend.
_INTERRUPTED = 130


def doctor(flags: Mapping[str, str], *, as_json: bool) -> int:
    """Look at everything and return the exit code: 0 where the router will work, 1 where not, 2 for a wrong configuration."""
    machine = this_machine()
    sources = find_sources(machine, flags)
    settings = configured(sources)
    marks = SIGNS if can_show("".join(SIGNS.values())) else WORDS
    tell = _nobody if as_json else partial(_show, marks)
    if isinstance(settings, Refusal):
        checks = [judge_refusal(settings, how_to_get_a_token(settings_file(machine)))]
        tell(checks[0])
        code = 2
    else:
        try:
            checks = _look(settings, judge_settings(settings, sources.warnings), tell)
        except KeyboardInterrupt:
            say(["Stopped before everything was looked at."])
            return _INTERRUPTED
        code = 0 if works(checks) else 1
    if as_json:
        say([write_json(checks)])
    else:
        say([*write_skipped(checks, marks, columns()), *write_verdict(checks, columns())])
    return code


def _look(settings: Settings, configuration: Check, tell: Callable[[Check], None]) -> list[Check]:
    protect_memory()
    log = Log(None, redactor=Redactor(secrets_of(settings)))
    looking: Coroutine[Any, Any, list[Check]] = check_up(settings, configuration, log, tell)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(looking)
    finally:
        log.close()


def _nobody(check: Check) -> None:
    """Tell nobody yet: JSON is written whole."""


def _show(marks: Marks, check: Check) -> None:
    """Show a check as soon as it is made; what is not looked at is gathered at the end."""
    if check.status != "skipped":
        say(write_lines(check, marks, columns()))
