"""The licences of what the executables carry, in one text that goes with them: their authors ask for no more than that."""

import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
# What requirements/run.in and the spec put in; build tools stay outside.
PACKAGES: Final = ("certifi", "httptools", "msgspec", "python-dotenv", "truststore", "uvloop")
TEXTS: Final = ("LICEN", "COPYING", "NOTICE")
BOOTLOADER: Final = """\
The program that starts all this is PyInstaller's bootloader, under the GNU General Public License 2 or later with an exception:
it may be combined with any program and distributed without conditions of its own.
"""
RULE: Final = "=" * 100


def write(place: Path) -> None:
    """Write the text for what this interpreter would be frozen with; raises FileNotFoundError where a licence is missing."""
    parts = [("Cody OAI Router", (ROOT / "LICENSE").read_text(encoding="utf-8")), ("PyInstaller", BOOTLOADER)]
    parts += [part for package in PACKAGES for part in of_package(package)]
    parts += of_interpreter()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("\n".join(f"{RULE}\n{name}\n{RULE}\n\n{text.strip()}\n" for name, text in parts), encoding="utf-8")


def of_package(name: str) -> Iterator[tuple[str, str]]:
    """The licences of one package: none where it is not for this system."""
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    files = [file for file in package.files or () if file.name.upper().startswith(TEXTS) and ".dist-info" in str(file)]
    if not files:
        raise FileNotFoundError(f"{name} {package.version} carries no licence")
    for file in files:
        yield f"{name} {package.version}: {file.relative_to(file.parts[0])}", file.read_text()


def of_interpreter() -> Iterator[tuple[str, str]]:
    """The licences of Python and of the libraries that came with it (release/base.sh keeps theirs in licences/)."""
    base = Path(sys.base_prefix)
    places = (Path(sysconfig.get_path("stdlib", vars={"base": str(base)})) / "LICENSE.txt", base / "LICENSE.txt")
    python = next((place for place in places if place.is_file()), None)
    if python is None:
        raise FileNotFoundError(f"Python keeps its licence in none of {', '.join(map(str, places))}")
    yield f"Python {sys.version.split()[0]}", python.read_text(encoding="utf-8")
    for file in sorted((base / "licences").glob("*")):
        yield file.stem, file.read_text(encoding="utf-8")
