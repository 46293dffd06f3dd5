"""The page on security promises nothing that no test shows, and leaves out no dependency."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PAGE = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_tests_are_named() -> None:
    assert len(NAMED) > 20
    assert len(re.findall(r"`tests/", PAGE)) == len(re.findall(r"`tests/[\w/]+\.py::\w+`", PAGE))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    tree = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {re.split(r"[ <>=;\[]", line)[0] for line in project["dependencies"]}
    explained = set(re.findall(r"^\| `([\w-]+)` \|", PAGE.partition("## Dependencies")[2], re.MULTILINE))
    assert explained == needed
