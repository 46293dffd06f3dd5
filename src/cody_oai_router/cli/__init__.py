"""The command line: `cody-oai-router [serve]`, `cody-oai-router demo` and `cody-oai-router generate-key`.

Strategy: flags are variables by another name (never secrets: a command line is seen by every user of a machine), so a
command only hands them on as the first source of settings. Exit codes: 0 stopped on request, 1 could not start, 2
wrongly configured.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from cody_oai_router import __version__
from cody_oai_router.cli.console import hold_window
from cody_oai_router.cli.keys import generate_key
from cody_oai_router.cli.serve import serve
from cody_oai_router.variables import VARIABLES

_PROGRAM: Final = "cody-oai-router"
_WITHOUT_COMMAND: Final = {"-h", "--help", "--version"}
_TOKEN: Final = re.compile(r"(sgp_|sg[sd]_|slk_)\S+")
# No use in a demo, which brings its own, in one process.
_NOT_FOR_DEMO: Final = {"SOURCEGRAPH_BASE_URL", "WORKERS"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        hint = " (a secret is never a flag: set SOURCEGRAPH_API_TOKEN)" if "--token" in message else ""
        super().error(_TOKEN.sub(r"\1***", message) + hint)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; raises `SystemExit` for `--help` and for flags that do not exist."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in _WITHOUT_COMMAND):
        given.insert(0, "serve")
    parsed = _parser().parse_args(given)
    if parsed.command == "generate-key":
        return generate_key()
    flags = _flags(vars(parsed))
    try:
        code = _demo(flags) if parsed.command == "demo" else serve(flags, or_demo=parsed.or_demo)
    except KeyboardInterrupt:
        return 0
    if code:
        hold_window()
    return code


def _demo(flags: Mapping[str, str]) -> int:
    # Imported here: the simulator would make every start of the router a tenth slower.
    from cody_oai_router.cli.demo import demo  # noqa: PLC0415

    return demo(flags)


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
    serving = commands.add_parser("serve", help="start the router (the default)", allow_abbrev=False)
    serving.add_argument("--or-demo", action="store_true", help="start the demo where no access token is configured")
    showing = commands.add_parser("demo", help="start the router with a simulated Sourcegraph", allow_abbrev=False)
    commands.add_parser("generate-key", help="print a new key for ROUTER_API_KEY", allow_abbrev=False)
    for variable in VARIABLES:
        if variable.flag:
            text = f"{variable.name}: {variable.help}".replace("%", "%%")
            serving.add_argument(variable.flag, dest=variable.name, metavar="VALUE", help=text)
            if variable.name not in _NOT_FOR_DEMO:
                showing.add_argument(variable.flag, dest=variable.name, metavar="VALUE", help=text)
    return parser


def _flags(parsed: Mapping[str, object]) -> dict[str, str]:
    return {row.name: value for row in VARIABLES if isinstance(value := parsed.get(row.name), str)}
