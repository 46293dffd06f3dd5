"""What the files of a release are called, and whether all of them are there: `python release/names.py FOLDER`.

Strategy: one place, so that what a system builds, what the documentation promises and what a release has to have cannot drift apart.
A file for the machine that most users of a system have is named after the system alone.
"""

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
NAME: Final = "cody-oai-router"
# As `sys.platform` and `platform.machine()` have them, in lower case; the first machine of a system is the usual one.
MACHINES: Final = {"linux": ("x86_64", "aarch64"), "win32": ("amd64", "arm64"), "darwin": ("arm64", "x86_64")}
# `.env.example`, for those who take a single file: a name that begins with a dot would not keep it on a page of releases.
EXAMPLE: Final = f"{NAME}-example.env"
_SYSTEMS: Final = {"linux": "linux", "win32": "windows", "darwin": "macos"}
_DEBIAN: Final = ("amd64", "arm64")


def single(system: str, machine: str) -> str:
    """The executable that is one file."""
    unusual = "" if machine == MACHINES[system][0] else f"-{machine}"
    return f"{NAME}{unusual}.exe" if system == "win32" else f"{NAME}-{_SYSTEMS[system]}{unusual}"


def packed(version: str, system: str, machine: str) -> str:
    """The same as a folder, and everything that describes it, without an ending."""
    return f"{NAME}-{version}-{_SYSTEMS[system]}-{machine}"


def debian(version: str, architecture: str) -> str:
    """The Debian package; only inside does it have the version that Debian sorts by (`1.0~rc1`), as a page of releases allows no `~`."""
    return f"{NAME}_{version}_{architecture}.deb"


def promised(version: str) -> list[str]:
    """Every file of a release but the checksums."""
    package = f"cody_oai_router-{version}"
    names = [f"{package}-py3-none-any.whl", f"{package}.tar.gz", f"{package}.cdx.json", EXAMPLE]
    for system, machines in MACHINES.items():
        for machine in machines:
            folder = packed(version, system, machine)
            names += [single(system, machine), f"{folder}.tar.gz", f"{folder}.cdx.json"]
    names += [debian(version, architecture) for architecture in _DEBIAN]
    names += [f"{packed(version, 'linux', machine)}.oci.tar" for machine in MACHINES["linux"]]
    return sorted(names)


def differences(folder: Path, version: str) -> list[str]:
    """What a folder has too little and too much of for a release."""
    found = {path.name for path in folder.iterdir() if path.is_file()} - {"SHA256SUMS"}
    wanted = set(promised(version))
    missing = [f"{name} is missing" for name in sorted(wanted - found)]
    return missing + [f"{name} is nothing that a release has" for name in sorted(found - wanted)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Say what is wrong with a folder, and return 1 if there is anything."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    wrong = differences(Path(folder), version)
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
