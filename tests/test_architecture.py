"""The rules of the house that a machine can check: directions of imports, one test file per module, one vocabulary."""

import ast
import re
from pathlib import Path

import pytest

from cody_oai_router.notes import NOTES

PACKAGE = "cody_oai_router"
TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / PACKAGE
MODULES = sorted(path.relative_to(SOURCE).with_suffix("") for path in SOURCE.rglob("*.py"))

SHELL = frozenset({"http1", "shell", "cli", "simulator", "__main__"})
CORE = [module for module in MODULES if module.parts[0] not in SHELL]
OUTER = frozenset({"asyncio", "socket", "ssl", "os", "time", "random", "uuid", "logging", "threading", "httptools"})
# A package's face has no behaviour of its own, and the entry point is run as a process.
FACES = frozenset({"__init__", "__main__"})
# These decide nothing (ARCHITECTURE.md, the shell): what they do is seen from outside, in `end_to_end/` and `clients/`.
SEEN_FROM_OUTSIDE = frozenset({"shell", "cli"})
TESTED_ALONE = [module for module in MODULES if module.name not in FACES and module.parts[0] not in SEEN_FROM_OUTSIDE]


def names(module: Path) -> str:
    return module.as_posix()


def imports(module: Path) -> set[str]:
    """Gives every module that is imported, also inside functions, as it would be written from outside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((SOURCE / module).with_suffix(".py").read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            source = node.module or ""
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def ours(module: Path) -> set[str]:
    return {name.removeprefix(f"{PACKAGE}.") for name in imports(module) if name.startswith(f"{PACKAGE}.")}


def within(*parts: str) -> list[Path]:
    return [module for module in MODULES if module.parts[: len(parts)] == parts]


@pytest.mark.parametrize("module", CORE, ids=names)
def test_the_core_does_nothing_but_think(module: Path) -> None:
    assert {name.partition(".")[0] for name in imports(module)} & OUTER == set()
    assert {name.partition(".")[0] for name in ours(module)} & SHELL == set()


@pytest.mark.parametrize("module", within("dialects"), ids=names)
def test_a_dialect_knows_no_other_and_nothing_above_it(module: Path) -> None:
    mine = f"dialects.{module.parts[1]}"
    known = ("conversation", "events", "faults", "sse", "notes", "sourcegraph", mine)
    assert [name for name in ours(module) if not name.startswith(known) and name != "dialects"] == []


@pytest.mark.parametrize("module", within("sourcegraph"), ids=names)
def test_what_both_endpoints_share_knows_neither(module: Path) -> None:
    known = ("conversation", "events", "faults", "sse", "sourcegraph")
    assert [name for name in ours(module) if not name.startswith(known)] == []


@pytest.mark.parametrize("module", within("adapt"), ids=names)
def test_an_adaptation_knows_values_only(module: Path) -> None:
    known = ("adapt", "conversation", "events", "faults", "lessons", "notes")
    assert [name for name in ours(module) if not name.startswith(known)] == []


@pytest.mark.parametrize("module", within("upstreams"), ids=names)
def test_an_upstream_knows_abilities_and_dialects(module: Path) -> None:
    assert [
        name for name in ours(module) if not name.startswith(("abilities", "conversation", "dialects", "__version__"))
    ] == []


@pytest.mark.parametrize("module", within("http1"), ids=names)
def test_the_http_layer_knows_nothing_of_ours(module: Path) -> None:
    assert [name for name in ours(module) if name.partition(".")[0] != "http1"] == []


@pytest.mark.parametrize("module", within("simulator"), ids=names)
def test_the_simulator_shares_nothing_with_us(module: Path) -> None:
    assert [name for name in ours(module) if name.partition(".")[0] != "simulator"] == []
    assert {name.partition(".")[0] for name in imports(module)} & {"msgspec", "httptools", "uvloop"} == set()


@pytest.mark.parametrize("module", TESTED_ALONE, ids=names)
def test_every_module_has_its_test_file(module: Path) -> None:
    assert (TESTS / module.parent / f"test_{module.name}.py").exists()


_NOTE = re.compile(r"(\*|[a-z_-]+):[a-z-]+")


def notes_in(module: Path) -> set[str]:
    """Gives the words in a module that look like notes; in an f-string, what varies is a star."""
    found: set[str] = set()
    tree = ast.parse((SOURCE / module).with_suffix(".py").read_bytes())
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inner = {id(value) for node in formatted for value in node.values}
    for text in formatted:
        found.add("".join(str(value.value) if isinstance(value, ast.Constant) else "*" for value in text.values))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            found.add(node.value)
    return {text for text in found if _NOTE.fullmatch(text)}


# These explain the words; the others say them.
EXPLAINING = {"notes", "dialects/openai_chat/parameters"}
EMITTED = {note for module in CORE if names(module) not in EXPLAINING for note in notes_in(module)}
# What varies in an f-string, with every value that it can have: roles that are wrapped, fields that are dropped.
VARIANTS = {
    "*:wrapped": {"system:wrapped", "developer:wrapped", "tool:wrapped", "function:wrapped"},
    "*:dropped": {note for note in NOTES if note.endswith(":dropped")},
}


def test_the_vocabulary_holds_every_note_that_is_emitted() -> None:
    assert {note for note in EMITTED if "*" in note} == set(VARIANTS)
    assert {note for note in EMITTED if "*" not in note} <= set(NOTES)


def test_the_vocabulary_holds_no_word_that_nobody_says() -> None:
    assert set(NOTES) - EMITTED - set().union(*VARIANTS.values()) == set()


MEASURING = frozenset({"bench", "heavy"})


def test_no_test_sleeps() -> None:
    """What a test waits for happens; what is about time has a clock that the test moves (`http1/clocked.py`)."""
    paths = [path for path in TESTS.rglob("*.py") if not MEASURING & set(path.relative_to(TESTS).parts)]
    assert [path.name for path in paths if re.search(rb"\bsleep\(", path.read_bytes())] == []
