"""One thing that was looked at, and what a number of them come to."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

Status = Literal["ok", "warning", "failed", "skipped"]
Name = Literal[
    "configuration",
    "dns",
    "connection",
    "proxy",
    "tls",
    "version",
    "token",
    "cody",
    "llm-api",
    "api-version",
    "context-filters",
    "models",
    "answer",
    "streaming",
    "tools",
]


class Check(msgspec.Struct, frozen=True):
    """One line of the report: `detail` says what was seen, `advice` what to do about it or what it means."""

    name: Name
    status: Status
    detail: str
    advice: str = ""


# Chat may work where these do not answer, or not to everybody: the answer itself is asked for below, and decides.
_DISPENSABLE: Final[frozenset[Name]] = frozenset(
    {"version", "token", "cody", "llm-api", "api-version", "context-filters", "models", "tools"}
)

# In this order; what is looked at later needs most of what is looked at before.
NAMES: Final[tuple[Name, ...]] = (
    "configuration",
    "dns",
    "connection",
    "proxy",
    "tls",
    "version",
    "token",
    "cody",
    "llm-api",
    "api-version",
    "context-filters",
    "models",
    "answer",
    "streaming",
    "tools",
)


def skipped(name: Name, broken: Name) -> Check:
    """Says that a thing was not looked at, because of another one."""
    return Check(name, "skipped", f"not looked at: {broken} has to work first")


def unseen(name: Name, detail: str, advice: str = "") -> Check:
    """Says that nothing was seen of a thing: a failure only where chat cannot do without it."""
    return Check(name, "warning" if name in _DISPENSABLE else "failed", detail, advice)


def too_slow(name: Name, seconds: float) -> Check:
    """Says that looking at a thing took too long."""
    advice = "Try again; if it stays like this, ask whoever runs the network or the Sourcegraph instance."
    return unseen(name, f"no answer within {seconds:g} s", advice)


def works(checks: Sequence[Check]) -> bool:
    """Tells whether the router will work: nothing failed."""
    return all(check.status != "failed" for check in checks)


def verdict(checks: Sequence[Check]) -> str:
    """Gives the last line of the report."""
    failed = [check.name for check in checks if check.status == "failed"]
    if failed:
        return (
            f"The router will not work yet. Put this right first: {failed[0]}. Then run cody-oai-router doctor again."
        )
    warnings = sum(check.status == "warning" for check in checks)
    if not warnings:
        return "The router will work. Start it: cody-oai-router"
    what = "the warning" if warnings == 1 else f"the {warnings} warnings"
    return f"The router will work; read {what} above. Start it: cody-oai-router"
