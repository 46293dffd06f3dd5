"""The gate over a folder of Linux programs: which glibc each asks for, and what is said where that is too new."""

import sys
from pathlib import Path

import pytest

import floor

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the gate is for Linux, and its stand-in is a shell script"
)

# What objdump -T prints: with and without parentheses around versions, other libraries' versions, and symbols of its own.
LISTINGS = {
    "program": """
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.2.5) getenv
0000000000000000      DF *UND*\t0000000000000000  GLIBC_2.9   pipe2
0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.30) gettid
0000000000000000      DF *UND*\t0000000000000000 (GCC_9.9.9) __popcountdi2
0000000000001139 g    DF .text\t0000000000000016  Base        main_GLIBC_2.99
""",
    "library.so": "0000000000000000      DF *UND*\t0000000000000000 (GLIBC_2.4) __stack_chk_fail\n",
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
    (tools / "objdump").write_text('#!/bin/sh\n[ "$1" = -T ] && exec tail -c +5 "$2"\n')
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


def test_a_folder_without_programs_is_no_proof(tmp_path: Path, folder: Path) -> None:
    assert floor.report(folder, "2.30") == []
    (tmp_path / "empty").mkdir()
    assert floor.report(tmp_path / "empty", "2.31") == [f"{tmp_path / 'empty'} holds no program"]
