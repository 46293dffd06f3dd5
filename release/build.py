"""Builds the executables of the system that this runs on and proves them: `python release/build.py [--ceiling 2.31]`.

Strategy: PyInstaller runs in the interpreter that the executables will carry, which is the one that runs this. What counts is not
that it ends well (builds that lacked a module did) but that `selftest.py` finds both results working. Sizes are limits, too: what
grows past them fails here, and not on the day of a release.

Makes in dist/, or in the folder that DIST names: the single file, the folder, and the folder with what a reader needs as an archive.
"""

import argparse
import gzip
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import floor
import names

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
DIST: Final = Path(os.environ.get("DIST", ROOT / "dist"))
NAME: Final = "cody-oai-router"
ENDING: Final = ".exe" if sys.platform == "win32" else ""
MACHINE: Final = platform.machine().lower()
SINGLE: Final = DIST / names.single(sys.platform, MACHINE)
FOLDER: Final = DIST / NAME
# What stands beside the executable in the archive, and where it comes from: the page for PyPI needs no other file of the project.
BESIDE: Final = {
    ".env.example": ".env.example",
    "LICENSE": "LICENSE",
    "README.md": "docs/pypi.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
# Bytes of the single file: a quarter of what the program in Node had.
LARGEST: Final = {"linux": 11_000_000, "darwin": 12_000_000, "win32": 12_000_000}


def main() -> int:
    """Build, look at the result, and pack it; the exit code says whether all is as it should be."""
    parser = argparse.ArgumentParser(description="Build the executables for this system.")
    parser.add_argument("--ceiling", metavar="GLIBC", help="the newest glibc that the result may ask for (Linux)")
    options = parser.parse_args()
    freeze()
    wrong = list(sizes())
    if sys.platform == "linux":
        wrong += floor.report(FOLDER, options.ceiling)
    for tested in (SINGLE, FOLDER / f"{NAME}{ENDING}"):
        if subprocess.run([sys.executable, HERE / "selftest.py", tested], check=False).returncode:
            wrong.append(f"{tested.name} did not pass its self-test")
    if not wrong:
        shutil.copyfile(ROOT / ".env.example", DIST / names.EXAMPLE)
        print(f"{pack().name}: the folder, packed")
    for line in wrong:
        print(f"WRONG: {line}", file=sys.stderr)
    return 1 if wrong else 0


def freeze() -> None:
    """Have PyInstaller make the single file and the folder."""
    subprocess.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "ERROR"),
            *("--distpath", DIST, "--workpath", ROOT / "build" / f"pyinstaller-{sys.platform}", HERE / f"{NAME}.spec"),
        ],
        check=True,
        # Compiled files without a date of their own, and sets in one order: the same input gives the same file.
        env={**os.environ, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": source_date()},
    )


def source_date() -> str:
    """The time of the last commit, in seconds of the epoch, for everything that wants a date."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    if told:
        return told
    asked = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"],
        check=True,
        capture_output=True,
        text=True,
    )
    return asked.stdout.strip()


def sizes() -> list[str]:
    """Say how large the results are, and give what is wrong with that."""
    single = SINGLE.stat().st_size
    folder = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(
        f"{SINGLE.name}: {single / 1e6:.1f} MB; as a folder: {folder / 1e6:.1f} MB; Python {platform.python_version()}"
    )
    most = LARGEST[sys.platform]
    return [f"{SINGLE.name} has {single} bytes, and {most} is the most"] if single > most else []


def pack() -> Path:
    """Pack the folder with its README and example of settings; give the archive."""
    from cody_oai_router import __version__  # noqa: PLC0415 - from the environment that builds

    name = names.packed(__version__, sys.platform, MACHINE)
    archive = DIST / f"{name}.tar.gz"
    with (
        # tarfile's own compression would write the time of packing into the head.
        gzip.GzipFile(archive, "wb", mtime=int(source_date())) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.GNU_FORMAT) as packed,
    ):
        for path in sorted(FOLDER.rglob("*")):
            packed.add(path, f"{name}/{path.relative_to(FOLDER).as_posix()}", recursive=False, filter=nobodys)
        for beside, source in BESIDE.items():
            packed.add(ROOT / source, f"{name}/{beside}", filter=nobodys)
    return archive


def nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry as root's, dated like the source: who built it and when is nobody's business."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = int(source_date())
    return entry


if __name__ == "__main__":
    sys.exit(main())
