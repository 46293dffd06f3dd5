"""The notes of a release: nothing is released whose tag, version and changelog disagree."""

from pathlib import Path

import pytest

import notes

CHANGELOG = """\
# Changelog

<!-- towncrier release notes start -->

## 0.2.0 (2026-12-01)

### Added

- One thing.

## 0.1.0 (2026-11-30)

- The first.
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "changelog.d").mkdir()
    return tmp_path


def test_the_notes_are_the_section_of_the_version(project: Path) -> None:
    assert notes.notes(project, "v0.2.0") == "### Added\n\n- One thing.\n"
    assert notes.section(CHANGELOG, "0.1.0") == "- The first.\n"


@pytest.mark.parametrize("tag", ["0.2.0", "v0.2.1", "v0.1.0", ""])
def test_a_tag_that_is_not_the_version_is_refused(project: Path, tag: str) -> None:
    assert notes.notes(project, tag) == [f"The tag is {tag!r}, but the version in pyproject.toml asks for 'v0.2.0'."]


def test_fragments_that_are_left_over_are_refused(project: Path) -> None:
    (project / "changelog.d" / "+one.added.md").write_text("One.")
    assert notes.notes(project, "v0.2.0") == ["Not in the changelog yet: +one.added.md. Run: make changelog"]


def test_a_version_without_a_section_is_refused(project: Path) -> None:
    (project / "CHANGELOG.md").write_text("# Changelog\n")
    assert notes.notes(project, "v0.2.0") == ["CHANGELOG.md says nothing of 0.2.0. Run: make changelog"]


def test_it_prints_the_notes_or_what_is_wrong(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notes, "PROJECT", project)
    assert notes.main(["v0.2.0"]) == 0
    assert capsys.readouterr().out == "### Added\n\n- One thing.\n"
    assert notes.main(["v9"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "The tag is 'v9', but the version in pyproject.toml asks for 'v0.2.0'.\n"
