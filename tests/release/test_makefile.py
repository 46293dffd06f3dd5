"""What the Makefile does that no program of ours does: checksums, and where things are on Windows."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
PATIENCE = 60.0  # seconds
PINNED = ("run", "dev", "binary")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(folder: Path, *arguments: str) -> str:
    command = ["make", "--no-print-directory", "-f", str(MAKEFILE), "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE).stdout.decode()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_every_file_of_a_release_has_its_checksum(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    (dist / "cody-oai-router").mkdir(parents=True)
    (dist / "cody-oai-router" / "cody-oai-router").write_bytes(b"folder")
    files = {"cody-oai-router.exe": b"windows", "cody-oai-router-linux": b"linux", "Z.whl": b"wheel"}
    for name, content in files.items():
        (dist / name).write_bytes(content)
    (dist / "SHA256SUMS").write_text("of another day")
    expected = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    assert make(tmp_path, "sums") == expected
    assert (dist / "SHA256SUMS").read_text() == expected


def test_a_release_is_named_by_the_tag_that_started_it(tmp_path: Path) -> None:
    tagged = ("GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=v9.9.9")
    old = ("--old-file=.make/run", "--dry-run", "notes")
    assert make(tmp_path, *tagged, *old).endswith('release/notes.py "v9.9.9"\n')
    assert make(tmp_path, "GITHUB_REF_TYPE=branch", "GITHUB_REF_NAME=main", "VERSION=1.2.3", *old).endswith(
        '"v1.2.3"\n'
    )


def test_windows_has_its_programs_elsewhere(tmp_path: Path) -> None:
    windows = ("OS=Windows_NT", "PYTHON=python", "BASE=python")
    # Everything is as good as old, but for what comes with the sources.
    sources = [f"--old-file={name}" for name in ("pyproject.toml", *(f"requirements/{name}.txt" for name in PINNED))]
    said = make(tmp_path, "--dry-run", "--always-make", *windows, *sources, "types", "dist", "binary")
    assert ".venv/Scripts/mypy\n" in said
    assert ".venv-binary/Scripts/python release/build.py \n" in said
    assert "python -m venv .venv " in said
    assert "/bin/" not in said
