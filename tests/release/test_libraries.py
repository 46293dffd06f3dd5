"""What programs need of a system: this Python's own libraries are read, and what is missing is named."""

import shutil
import sys
from pathlib import Path

import pytest

import libraries

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("readelf") is None, reason="ELF files are read by binutils' readelf"
)


def extension() -> Path:
    """A library that this Python has loaded."""
    import httptools.parser.parser  # noqa: PLC0415 - only its file is wanted

    return Path(httptools.parser.parser.__file__)


def test_a_library_needs_glibc() -> None:
    assert "libc.so.6" in libraries.needed(extension())


def test_a_program_names_its_loader() -> None:
    assert libraries.loader(Path(sys.executable).resolve()).startswith("/lib")
    with pytest.raises(libraries.Unknown, match="no program that a loader starts"):
        libraries.loader(extension())


def test_what_a_folder_has_it_does_not_need(tmp_path: Path) -> None:
    shutil.copy(extension(), tmp_path / "one.so")
    assert "libc.so.6" in libraries.beyond(tmp_path)
    shutil.copy(extension(), tmp_path / "libc.so.6")
    assert "libc.so.6" not in libraries.beyond(tmp_path)


def test_what_is_needed_is_found_to_the_last() -> None:
    known = {"libone.so": extension(), "libc.so.6": extension()}
    for name in libraries.needed(extension()):
        known.setdefault(name, extension())
    assert set(libraries.with_theirs(["libone.so"], known)) == {"libone.so", *libraries.needed(extension())}
    with pytest.raises(libraries.Unknown, match=r"^libnone\.so is not on this machine$"):
        libraries.with_theirs(["libnone.so"], known)
