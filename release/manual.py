"""The manual page, from the same tables as `--help` and the documentation."""

from collections.abc import Iterator

from cody_oai_router.cli.arguments import COMMANDS
from cody_oai_router.variables import VARIABLES

_HEAD = """\
.TH CODY\\-OAI\\-ROUTER 1 "" "cody\\-oai\\-router {version}" "User Commands"
.SH NAME
cody\\-oai\\-router \\- OpenAI's API on your own machine, answered by your company's Sourcegraph
.SH SYNOPSIS
.B cody\\-oai\\-router
.RI [ COMMAND ]
.RI [ OPTIONS ]
.SH DESCRIPTION
A local proxy that presents OpenAI's API at http://127.0.0.1:3000 and carries each request to your Sourcegraph instance with your
access token. Without a token,
.B cody\\-oai\\-router demo
answers from a simulator.
.SH COMMANDS
"""

_FILES = """\
.SH FILES
The first of these that sets a variable wins, after options and the environment. A file that holds a secret should be readable by
its owner alone.
.TP
.I /usr/lib/cody\\-oai\\-router/.env
Beside the executable: for every user of this installation.
.TP
.I ~/.config/cody\\-oai\\-router/.env
One user's own settings, which the user service reads too.
.TP
.I /etc/cody\\-oai\\-router/env
The environment of the system service, read by systemd alone.
.SH EXIT STATUS
0 where it was asked to stop, 1 where it could not start, 2 where it is wrongly configured;
.B doctor
and
.B healthcheck
have 1 where something does not work.
"""


def manual(version: str) -> str:
    """The page in man's own notation."""
    return "".join((_HEAD.format(version=_plain(version)), *_commands(), *_options(), *_variables(), _FILES))


def _commands() -> Iterator[str]:
    for name, does in COMMANDS.items():
        yield f".TP\n.B {_plain(name)}\n{_sentence(does)}\n"


def _options() -> Iterator[str]:
    yield ".SH OPTIONS\n.TP\n.B \\-\\-help\nShow all options of a command.\n.TP\n.B \\-\\-version\nShow the version.\n"
    for variable in VARIABLES:
        if variable.flag:
            yield f'.TP\n.BI {_plain(variable.flag)} " VALUE"\nThe same as the variable {_plain(variable.name)}.\n'


def _variables() -> Iterator[str]:
    yield ".SH ENVIRONMENT\nSecrets are never options.\n"
    for variable in VARIABLES:
        default = f" Default: {variable.default}." if variable.default else ""
        yield f".TP\n.B {_plain(variable.name)}\n{_plain(variable.help + default)}\n"


def _sentence(text: str) -> str:
    return _plain(f"{text[0].upper()}{text[1:]}.")


def _plain(text: str) -> str:
    """Text that man shows as it is: no line of it is taken for a request, and hyphens can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
