"""The flags of the command line: each is a variable by another name, and never a secret."""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from cody_oai_router import __version__
from cody_oai_router.variables import VARIABLES

_PROGRAM: Final = "cody-oai-router"
_TOKEN: Final = re.compile(r"(sgp_|sg[sd]_|slk_)\S+")
# No use in a demo, which brings its own, in one process.
_NOT_FOR_DEMO: Final = {"SOURCEGRAPH_BASE_URL", "WORKERS"}
# All that it takes to find a router.
_FOR_HEALTH: Final = {"PORT", "ROUTER_HOST"}

# What each command does, for --help and the manual page.
COMMANDS: Final = {
    "serve": "start the router (the default)",
    "demo": "start the router with a simulated Sourcegraph",
    "doctor": "check this machine, network, token and instance, and say what to do (asks a model three small questions)",
    "models": "list the models of your Sourcegraph instance",
    "healthcheck": "ask the router that is configured here whether it is well",
    "generate-key": "print a new key for ROUTER_API_KEY",
}
_DOCTOR: Final = "check this machine, network, token and instance, and say what to do"
_COSTS: Final = (
    "Asks a model three small questions, which count like any others. Exit code 0: the router will work, 1: it will not, "
    "2: wrongly configured."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        hint = " (a secret is never a flag: set SOURCEGRAPH_API_TOKEN)" if "--token" in message else ""
        super().error(_TOKEN.sub(r"\1***", message) + hint)


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read a command with its flags; raises `SystemExit` for `--help` and for flags that do not exist."""
    return _parser().parse_args(arguments)


def flags_of(parsed: argparse.Namespace) -> dict[str, str]:
    """The variables that flags set."""
    given: Mapping[str, object] = vars(parsed)
    return {row.name: value for row in VARIABLES if isinstance(value := given.get(row.name), str)}


def _parser() -> _Parser:
    # Imported here, so that it can also be run as a module of its own.
    from cody_oai_router.cli.reference import variables_help  # noqa: PLC0415

    parser = _Parser(
        prog=_PROGRAM,
        description="OpenAI's API on your own machine, answered by your company's Sourcegraph.",
        epilog=variables_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serving = commands.add_parser("serve", help=COMMANDS["serve"], allow_abbrev=False)
    serving.add_argument("--or-demo", action="store_true", help="start the demo where no access token is configured")
    showing = commands.add_parser("demo", help=COMMANDS["demo"], allow_abbrev=False)
    checking = commands.add_parser(
        "doctor",
        help=COMMANDS["doctor"],
        description=f"{_DOCTOR.capitalize()}. {_COSTS}",
        allow_abbrev=False,
    )
    listing = commands.add_parser("models", help=COMMANDS["models"], allow_abbrev=False)
    for command in (checking, listing):
        command.add_argument("--json", action="store_true", help="print one JSON object instead of lines to read")
    asking = commands.add_parser(
        "healthcheck",
        help=COMMANDS["healthcheck"],
        description="Asks /health of the router that PORT and ROUTER_HOST name. Exit code 0: it answers, 1: it does not.",
        allow_abbrev=False,
    )
    commands.add_parser("generate-key", help=COMMANDS["generate-key"], allow_abbrev=False)
    for variable in VARIABLES:
        if variable.flag:
            text = f"{variable.name}: {variable.help}".replace("%", "%%")
            for command in (serving, checking, listing):
                command.add_argument(variable.flag, dest=variable.name, metavar="VALUE", help=text)
            if variable.name not in _NOT_FOR_DEMO:
                showing.add_argument(variable.flag, dest=variable.name, metavar="VALUE", help=text)
            if variable.name in _FOR_HEALTH:
                asking.add_argument(variable.flag, dest=variable.name, metavar="VALUE", help=text)
    return parser
