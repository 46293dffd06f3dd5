"""The oldest glibc that a folder of Linux programs starts with: the newest version that any of its files asks for.

The single file hides its libraries until it runs, so the folder of the same build is asked instead.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

_ASKED: Final = re.compile(r"\(?GLIBC_(\d+(?:\.\d+)+)\)?\s+\S+$", re.MULTILINE)
_MAGIC: Final = b"\x7fELF"


def report(folder: Path, ceiling: str | None) -> list[str]:
    """Print the floor and whose it is; give what is wrong where it lies above `ceiling` ("2.31")."""
    asked = {path: needs(path) for path in programs(folder)}
    if not asked:
        return [f"{folder} holds no program"]
    highest = max(asked, key=lambda path: version(asked[path]))
    print(
        f"starts with glibc {asked[highest]} or later ({len(asked)} files; {highest.relative_to(folder)} asks for the most)"
    )
    if ceiling is None:
        return []
    return [
        f"{path.relative_to(folder)} asks for glibc {needed}, and {ceiling} is the most"
        for path, needed in asked.items()
        if version(needed) > version(ceiling)
    ]


def programs(folder: Path) -> list[Path]:
    """Every executable and library in a folder."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _begins(path) == _MAGIC]


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_MAGIC))


def needs(program: Path) -> str:
    """The newest version of glibc that a program asks for ("2.0" where it asks for none)."""
    listed = subprocess.run(
        ["objdump", "-T", program],
        check=True,
        capture_output=True,
        text=True,
    )
    return max(_ASKED.findall(listed.stdout), key=version, default="2.0")


def version(text: str) -> tuple[int, ...]:
    """A version as numbers that compare."""
    return tuple(map(int, text.split(".")))
