"""What Debian's package manager knows of this machine: which package a file is from, in which version, under which licence."""

import subprocess
from pathlib import Path
from typing import Final

# As Debian names architectures, by what `uname -m` says.
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_DOCUMENTS: Final = Path("/usr/share/doc")


def owner(file: Path) -> str:
    """The package that a file is from; raises LookupError."""
    # /lib is a link to /usr/lib today, and packages name their files in either way.
    plain = Path("/", *file.parts[2:]) if file.parts[1] == "usr" else Path("/usr", *file.parts[1:])
    for name in (file, file.resolve(), plain):
        asked = subprocess.run(["dpkg-query", "--search", name], check=False, capture_output=True, text=True)
        if asked.returncode == 0:
            return asked.stdout.partition(":")[0]
    raise LookupError(f"{file} is from no package of this machine")


def status(package: str) -> str:
    """The paragraph about an installed package."""
    return _said("--status", package)


def version(package: str) -> str:
    """The version of an installed package."""
    return _said("--showformat", "${Version}", "--show", package)


def files(package: str) -> list[Path]:
    """The files of an installed package."""
    return [Path(line) for line in _said("--listfiles", package).splitlines()]


def licence(package: str) -> bytes:
    """The text of a package's licences."""
    return (_DOCUMENTS / package / "copyright").read_bytes()


def _said(*arguments: str) -> str:
    return subprocess.run(["dpkg-query", *arguments], check=True, capture_output=True, text=True).stdout
