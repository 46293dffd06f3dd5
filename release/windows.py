"""Builds the executables for Windows on Linux and proves them, under Wine: `python release/windows.py`.

Strategy: Wine gets a Python for Windows, and that one runs release/build.py with its self-test, as a Windows machine does; all that is
here makes them ready. It is for tests: the Python is a third party's copy of the Python Software Foundation's (its files carry that
signature), pinned by the hash of the package. Releases are built on Windows.

Everything lies in build/windows and is kept until what it was made from changes.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from build import HERE, ROOT, source_date
from instance import certificates

FOLDER: Final = ROOT / "build" / "windows"
PREFIX: Final = FOLDER / "prefix"
PYTHON: Final = FOLDER / "python"
# Not dist/, from which releases are made.
DIST: Final = FOLDER / "dist"
CERTIFICATES: Final = FOLDER / "certificates"
READY: Final = FOLDER / "ready"
REQUIREMENTS: Final = ROOT / "requirements"
INTERPRETER: Final = REQUIREMENTS / "windows-python.txt"
LIBRARIES: Final = REQUIREMENTS / "windows.txt"
# Seconds for everything that runs under Wine: some ten minutes are usual.
PATIENCE: Final = 2400
# In the package of the interpreter: where Python lies, and what of it is not needed, or is somebody else's.
INSIDE: Final = "cp313/"
NOT_NEEDED: Final = (
    "Lib/site-packages/",
    "Lib/test/",
    "Lib/idlelib/",
    "Lib/tkinter/",
    "Scripts/",
    "include/",
    "libs/",
    "tcl/",
)
# Wine lacks what it calls: Python finds another way where it is missing.
BREAKS_WINE: Final = ("DLLs/_wmi.pyd",)
# Runs at each start of that Python. A function that Wine lacks; and the desktop, which belongs to whoever first needs one: started
# by a program under test, it would hold that one's pipes open for ever.
AT_START: Final = """\
import _winapi
import ctypes
del _winapi.CopyFile2
ctypes.windll.user32.GetDesktopWindow()
"""
# Takes the place of setuptools when pip wants to know what it has fetched, so that it runs nothing of the package.
STAND_IN: Final = """\
import email
import pathlib
class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []
    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        told = pathlib.Path("PKG-INFO").read_text(encoding="utf-8")
        named = email.message_from_string(told)
        name = named["Name"].replace("-", "_") + "-" + named["Version"] + ".dist-info"
        folder = pathlib.Path(metadata_directory, name)
        folder.mkdir()
        folder.joinpath("METADATA").write_text(told, encoding="utf-8")
        return folder.name
__legacy__ = Backend()
"""
CANNOT_SHOW: Final = """\
This was Wine, not Windows. Sizes are what they are; start and memory above have Wine's own in them and say nothing of Windows.
Not shown: SmartScreen and virus scanners; a double click in the Explorer and the closing of a window (a console of its own, Enter
and Ctrl+C in it were tried); Ctrl+Break, which Wine 8 does not deliver; that a chain of certificates without its authority is
refused, since Wine accepts one; Windows on ARM."""


def main() -> int:
    """Make ready, build and test; the exit code is that of release/build.py."""
    if shutil.which("wine") is None or shutil.which("openssl") is None:
        print("Wine and openssl are needed (on Debian and Ubuntu: apt install wine wine64 openssl).", file=sys.stderr)
        return 1
    make_ready()
    code = run("build.py")
    print(f"The results lie in {DIST.relative_to(ROOT)}.")
    print(CANNOT_SHOW)
    return code


def make_ready() -> None:
    """Make a Windows with Python and libraries, unless there is one made from the same."""
    made_from = hashlib.sha256(
        b"".join(file.read_bytes() for file in (Path(__file__), INTERPRETER, LIBRARIES))
    ).hexdigest()
    if READY.is_file() and READY.read_text() == made_from:
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    print("Making a Windows with Python (once) ...", flush=True)
    take_interpreter()
    take_libraries()
    for command in (["wineboot", "--init"], ["winecfg", "/v", "win10"]):
        subprocess.run(command, check=True, env=environment(), stdin=subprocess.PIPE, capture_output=True, timeout=300)
    CERTIFICATES.mkdir()
    certificates(CERTIFICATES)
    READY.write_text(made_from)


def take_interpreter() -> None:
    """Fetch the package of the interpreter and take Python out of it."""
    with tempfile.TemporaryDirectory() as folder:
        backend = Path(folder, "setuptools")
        backend.mkdir()
        (backend / "__init__.py").touch()
        (backend / "build_meta.py").write_text(STAND_IN)
        pip("download", "--no-binary=:all:", "--no-build-isolation", "-r", INTERPRETER, "-d", folder, PYTHONPATH=folder)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as package:
            data = next(member for member in package if member.name.endswith("/data.zip"))
            packed = package.extractfile(data)
            if packed is None:
                raise FileNotFoundError(f"{data.name} is no file")
            unpack(packed.read())


def unpack(packed: bytes) -> None:
    """Unpack what is needed of Python."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            inner = name.removeprefix(INSIDE)
            if name.startswith(INSIDE) and not inner.startswith((*NOT_NEEDED, *BREAKS_WINE)) and not name.endswith("/"):
                place = PYTHON / inner
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive.read(name))


def take_libraries() -> None:
    """Install the libraries as Windows wants them; pip does that from here."""
    place = PYTHON / "Lib" / "site-packages"
    windows = ("--platform=win_amd64", "--python-version=3.13", "--implementation=cp", "--only-binary=:all:")
    pip("install", *windows, "--no-compile", "-r", LIBRARIES, "--target", place)
    (place / "sitecustomize.py").write_text(AT_START)


def pip(*arguments: str | Path, **more: str) -> None:
    """Run pip, which takes nothing whose hash it does not know."""
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
    command = [sys.executable, "-m", "pip", *arguments[:1], *quiet, *arguments[1:]]
    subprocess.run(command, check=True, env={**os.environ, **more})


def run(program: str) -> int:
    """Run a program of this folder in that Python and print what it says; the exit code."""
    # Pipes, since Python under Wine cannot use files, nor nothing, for its streams.
    with (
        subprocess.Popen(
            ["wine", PYTHON / "python.exe", "-u", windows_path(HERE / program)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
        subprocess.Popen(["cat"], stdin=process.stdout) as printing,
    ):
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"After {PATIENCE} s it is still running: ended.", file=sys.stderr)
            return 1
        finally:
            process.kill()
            end_all()
            printing.wait(60)


def end_all() -> None:
    """End all programs of this Windows, and no others: its services end by themselves when nobody needs them any more."""
    try:
        subprocess.run(["wineserver", "--wait"], check=True, env=environment(), timeout=30)
    except subprocess.TimeoutExpired:
        subprocess.run(["wineserver", "--kill"], check=False, env=environment())


def environment() -> Mapping[str, str]:
    """What a program under Wine finds around it."""
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "PATH", "USER"}}
    return {
        **kept,
        "DIST": windows_path(DIST),
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": windows_path(ROOT / "src"),
        "PYTHONUTF8": "1",
        "SELF_TEST_CERTIFICATES": windows_path(CERTIFICATES),
        "SOURCE_DATE_EPOCH": source_date(),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        # Parts of Wine that it would offer to download.
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "WINEPREFIX": str(PREFIX),
    }


def windows_path(path: Path) -> str:
    """A path of this machine, as Wine shows it."""
    return "Z:" + str(path).replace("/", "\\")


if __name__ == "__main__":
    sys.exit(main())
