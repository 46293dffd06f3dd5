"""Prints what the changelog says of the version that a tag names: `python release/notes.py v1.2.3`.

Strategy: the first step of a release, so that one whose tag, version and changelog disagree, or that has fragments left over, fails
before anything is built.
"""

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
_HEADING: Final = re.compile(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", re.MULTILINE)


def section(changelog: str, version: str) -> str | None:
    """The section of a version without its heading; nothing where there is none."""
    parts = _HEADING.split(changelog)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return found[version].strip() + "\n" if version in found else None


def notes(project: Path, tag: str) -> str | list[str]:
    """What to say of a release, or all that is wrong with it."""
    version = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    fragments = sorted(path.name for path in (project / "changelog.d").glob("*.md"))
    found = section((project / "CHANGELOG.md").read_text("utf-8"), version)
    wrong = (
        [f"The tag is {tag!r}, but the version in pyproject.toml asks for 'v{version}'."]
        if tag != f"v{version}"
        else []
    )
    if fragments:
        wrong.append(f"Not in the changelog yet: {', '.join(fragments)}. Run: make changelog")
    if not found:
        wrong.append(f"CHANGELOG.md says nothing of {version}. Run: make changelog")
    return wrong or found or []


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the notes and return 0, or what is wrong and return 1."""
    (tag,) = sys.argv[1:] if arguments is None else arguments
    told = notes(PROJECT, tag)
    if isinstance(told, str):
        print(told, end="")
        return 0
    print("\n".join(told), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
