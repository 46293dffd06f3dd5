"""The gate over a folder of Linux programs: which glibc each asks for, and what is said where that is too new."""

import sys
from pathlib import Path

import pytest

import floor

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the gate is for Linux, and its stand-in is a shell script"
)

# What objdump -p prints: versions asked for, of glibc and others; versions that a library has itself.
LISTINGS = {
    "program": """
Dynamic Section:
  NEEDED               libc.so.6
  RUNPATH              $ORIGIN/GLIBC_2.99
Version References:
  required from libgcc_s.so.1:
    0x09691a75 0x00 05 GCC_9.9.9
  required from libc.so.6:
    0x09691a75 0x00 04 GLIBC_2.2.5
    0x0d696919 0x00 03 GLIBC_2.9
    0x069691b0 0x00 02 GLIBC_2.30
    0x0963cf85 0x00 06 GLIBC_PRIVATE
""",
    "library.so": """
Version definitions:
1 0x01 0x0865f4e6 library.so
2 0x00 0x06969188 GLIBC_2.50
Version References:
  required from libc.so.6:
    0x0d696914 0x00 02 GLIBC_2.4
""",
    "data.so": "no symbols\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, and an objdump that knows what they ask for."""
    built = tmp_path / "built"
    (built / "_internal").mkdir(parents=True)
    for name, listing in LISTINGS.items():
        (built / "_internal" / name).write_bytes(b"\x7fELF" + listing.encode())
    (built / "README").write_text("not a program")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "objdump").write_text('#!/bin/sh\n[ "$1" = -p ] && exec tail -c +5 "$2"\n')
    (tools / "objdump").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    return built


def test_the_floor_is_the_newest_glibc_that_any_file_asks_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert floor.report(folder, None) == []
    assert capsys.readouterr().out == "starts with glibc 2.30 or later (3 files; _internal/program asks for the most)\n"


@pytest.mark.parametrize(
    ("ceiling", "wrong"),
    [
        ("2.31", []),
        ("2.30", []),
        ("2.9", ["_internal/program asks for glibc 2.30, and 2.9 is the most"]),
        (
            "2.3",
            [
                "_internal/library.so asks for glibc 2.4, and 2.3 is the most",
                "_internal/program asks for glibc 2.30, and 2.3 is the most",
            ],
        ),
    ],
)
def test_versions_are_compared_as_numbers(folder: Path, ceiling: str, wrong: list[str]) -> None:
    assert floor.report(folder, ceiling) == wrong


def test_what_a_program_wants_the_loader_to_be_able_to_do_counts_too(folder: Path) -> None:
    asks = b"    0x0fd0e42f 0x00 07 GLIBC_ABI_%b\n"
    (folder / "relative").write_bytes(b"\x7fELF" + asks % b"DT_RELR")
    assert floor.report(folder, "2.35") == ["relative asks for glibc 2.36, and 2.35 is the most"]
    (folder / "relative").write_bytes(b"\x7fELF" + asks % b"NEWS")
    with pytest.raises(floor.Unknown, match=r"relative asks for GLIBC_ABI_NEWS; release/floor\.py does not know"):
        floor.report(folder, "2.35")


def test_a_folder_without_programs_is_no_proof(tmp_path: Path, folder: Path) -> None:
    assert floor.report(folder, "2.30") == []
    (tmp_path / "empty").mkdir()
    assert floor.report(tmp_path / "empty", "2.31") == [f"{tmp_path / 'empty'} holds no program"]
