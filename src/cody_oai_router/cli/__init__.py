"""The command line: `cody-oai-router [serve]`, and the commands `demo`, `doctor`, `models`, `healthcheck` and `generate-key`.

Strategy: flags are variables by another name (never secrets: a command line is seen by every user of a machine), so a
command only hands them on as the first source of settings. Exit codes: 0 stopped on request, 1 could not start, 2
wrongly configured.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from cody_oai_router.cli.console import hold_window
from cody_oai_router.cli.unpacked import settle

_WITHOUT_COMMAND: Final = {"-h", "--help", "--version"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; raises `SystemExit` for `--help` and for flags that do not exist."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commanded = bool(given)
    if not given or (given[0].startswith("-") and given[0] not in _WITHOUT_COMMAND):
        given.insert(0, "serve")
    settle()
    try:
        # Without flags there is nothing to parse. Measured: argparse, its table of flags and dotenv are a tenth of a start.
        if given == ["serve"]:
            code = _serve({})
        elif given == ["healthcheck"]:
            code = _healthcheck({})
        else:
            code = _run(given)
    except KeyboardInterrupt:
        return 0
    if code:
        hold_window(commanded=commanded)
    return code


def _run(given: Sequence[str]) -> int:
    from cody_oai_router.cli.arguments import flags_of, read_arguments  # noqa: PLC0415 - not needed where no flag is given

    parsed = read_arguments(given)
    match parsed.command:
        case "generate-key":
            return _generate_key()
        case "demo":
            return _demo(flags_of(parsed))
        case "doctor":
            return _doctor(flags_of(parsed), as_json=parsed.json)
        case "models":
            return _models(flags_of(parsed), as_json=parsed.json)
        case "healthcheck":
            return _healthcheck(flags_of(parsed))
        case _:
            return _serve(flags_of(parsed), or_demo=parsed.or_demo)


def _serve(flags: Mapping[str, str], *, or_demo: bool = False) -> int:
    from cody_oai_router.cli.serve import serve  # noqa: PLC0415 - a health check needs none of it

    return serve(flags, or_demo=or_demo)


def _healthcheck(flags: Mapping[str, str]) -> int:
    from cody_oai_router.cli.healthcheck import healthcheck  # noqa: PLC0415 - the router itself needs none of it

    return healthcheck(flags)


def _generate_key() -> int:
    from cody_oai_router.cli.keys import generate_key  # noqa: PLC0415 - the router itself needs no randomness of this kind

    return generate_key()


def _demo(flags: Mapping[str, str]) -> int:
    # Imported here: the simulator would make every start of the router a tenth slower.
    from cody_oai_router.cli.demo import demo  # noqa: PLC0415

    return demo(flags)


def _doctor(flags: Mapping[str, str], *, as_json: bool) -> int:
    from cody_oai_router.cli.doctor import doctor  # noqa: PLC0415 - the router itself needs none of it

    return doctor(flags, as_json=as_json)


def _models(flags: Mapping[str, str], *, as_json: bool) -> int:
    from cody_oai_router.cli.models import models  # noqa: PLC0415 - the router itself needs none of it

    return models(flags, as_json=as_json)
