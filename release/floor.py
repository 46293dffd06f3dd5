"""The oldest glibc that a folder of Linux programs starts with: the newest version that any of its files asks for.

The single file hides its libraries until it runs, so the folder of the same build is asked instead.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

# A line of what objdump -p calls version references; versions that a library defines itself are written in another way.
_ASKED: Final = re.compile(r"^\s+0x[0-9a-f]+ 0x[0-9a-f]+ \d+ GLIBC_(\S+)$", re.MULTILINE)
# What has no number: the loader has to be able to do it. PRIVATE is glibc's own parts among themselves.
_ABILITIES: Final = {"ABI_DT_RELR": "2.36", "PRIVATE": "2.0"}
_NUMBERS: Final = re.compile(r"\d+(\.\d+)+")
_MAGIC: Final = b"\x7fELF"


class Unknown(Exception):
    """A program asks for something of glibc of which nothing says since when there is it."""


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
    """The newest version of glibc that a program asks for ("2.0" where it asks for none); raises `Unknown`."""
    listed = subprocess.run(["objdump", "-p", program], check=True, capture_output=True, text=True)
    asked = [_ABILITIES.get(word, word) for word in _ASKED.findall(listed.stdout)]
    unknown = [word for word in asked if not _NUMBERS.fullmatch(word)]
    if unknown:
        raise Unknown(f"{program} asks for GLIBC_{unknown[0]}; release/floor.py does not know which glibc has that")
    return max(asked, key=version, default="2.0")


def version(text: str) -> tuple[int, ...]:
    """A version as numbers that compare."""
    return tuple(map(int, text.split(".")))
