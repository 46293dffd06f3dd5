"""What the programs in a folder need of the system that starts them: read from their ELF headers, as its loader will read them."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from floor import programs

_NEEDED: Final = re.compile(r"\(NEEDED\)\s+Shared library: \[(.+)\]")
_LOADER: Final = re.compile(r"\[Requesting program interpreter: (.+)\]")
# A line of the loader's own list of libraries, which other architectures of the same system stand in too.
_KNOWN: Final = re.compile(r"^\t(\S+) \((.+)\) => (/\S+)$", re.MULTILINE)
_FORMATS: Final = {"x86_64": "libc6,x86-64", "aarch64": "libc6,AArch64"}


class Unknown(Exception):
    """A library that a program needs, and that this machine does not have either."""


def needed(program: Path) -> set[str]:
    """The names of the libraries that a program or library asks the loader for."""
    return set(_NEEDED.findall(_headers(program)))


def loader(program: Path) -> str:
    """The path of the loader that a program asks the kernel for."""
    found = _LOADER.search(_headers(program))
    if found is None:
        raise Unknown(f"{program} is no program that a loader starts")
    return found[1]


def beyond(folder: Path) -> set[str]:
    """The names of the libraries that programs in a folder need and the folder does not have."""
    inside = programs(folder)
    return set().union(*map(needed, inside)) - {path.name for path in inside}


def with_theirs(names: Iterable[str], known: dict[str, Path]) -> dict[str, Path]:
    """Where this machine has these libraries and all that they need in turn; raises `Unknown`."""
    found: dict[str, Path] = {}
    wanted = sorted(names)
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        if name not in known:
            raise Unknown(f"{name} is not on this machine")
        found[name] = known[name]
        wanted += sorted(needed(known[name]))
    return found


def known_here(machine: str) -> dict[str, Path]:
    """Every library that this machine's loader knows, for `machine` (as `uname -m` names it)."""
    listed = _said("/sbin/ldconfig", "-p")
    # Variants for newer processors have further words in their form.
    return {name: Path(path) for name, form, path in _KNOWN.findall(listed) if form == _FORMATS[machine]}


def _headers(program: Path) -> str:
    return _said("readelf", "--wide", "--dynamic", "--program-headers", program)


def _said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
