"""The names of a release's files: each its own, and none of them forgotten."""

from pathlib import Path

import pytest

import names
from cody_oai_router import __version__


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", "cody-oai-router-linux"),
        ("linux", "aarch64", "cody-oai-router-linux-aarch64"),
        ("win32", "amd64", "cody-oai-router.exe"),
        ("win32", "arm64", "cody-oai-router-arm64.exe"),
        ("darwin", "arm64", "cody-oai-router-macos"),
        ("darwin", "x86_64", "cody-oai-router-macos-x86_64"),
    ],
)
def test_the_executable_of_a_system(system: str, machine: str, name: str) -> None:
    assert names.single(system, machine) == name
    assert name in names.promised("1.2.3")


def test_no_two_files_of_a_release_have_one_name() -> None:
    promised = names.promised("1.2.3")
    assert len(promised) == len(set(promised)) == 4 + 6 * 3 + 2 + 2
    assert "cody-oai-router-example.env" in promised
    assert "cody_oai_router-1.2.3-py3-none-any.whl" in promised
    assert "cody-oai-router-1.2.3-windows-amd64.tar.gz" in promised
    assert "cody-oai-router_1.2.3_arm64.deb" in promised
    assert "cody-oai-router-1.2.3-linux-aarch64.oci.tar" in promised


def test_a_version_before_a_release_is_named_as_python_names_it() -> None:
    assert names.debian("1.2.3rc1", "amd64") == "cody-oai-router_1.2.3rc1_amd64.deb"
    assert names.debian("1.2.3rc1", "amd64") in names.promised("1.2.3rc1")


def test_a_release_that_is_whole_has_nothing_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (*names.promised(__version__), "SHA256SUMS"):
        (tmp_path / name).touch()
    (tmp_path / "cody-oai-router").mkdir()
    assert names.main([str(tmp_path)]) == 0
    assert capsys.readouterr().err.strip() == ""


def test_what_is_missing_or_foreign_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in names.promised(__version__):
        (tmp_path / name).touch()
    (tmp_path / "cody-oai-router.exe").rename(tmp_path / "setup.exe")
    assert names.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "cody-oai-router.exe is missing",
        "setup.exe is nothing that a release has",
    ]
