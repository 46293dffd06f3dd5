"""What is published for Python: the wheel and the source distribution, as a user meets them.

Strategy: both are built offline once, in a subprocess, or taken from the folder that `DIST` names (`make dist`, so that the very files
that are published are looked at). What the wheel does is seen in a virtual environment that holds nothing but the wheel and copies of the
dependencies that it declares.
"""

import http.client
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from packaging.requirements import Requirement

from cody_oai_router import __version__

PROJECT = Path(__file__).parents[2]
SOURCE = PROJECT / "src" / "cody_oai_router"
NAME = "cody_oai_router"
INFO = f"{NAME}-{__version__}.dist-info"
SCRIPTS = Path("Scripts" if os.name == "nt" else "bin")
PATIENCE = 60.0  # seconds; far above what anything here needs
# A tool's, a secret's or a build's: what no user of the package has a use for.
FOREIGN = re.compile(
    r"(^|/)(\.env|\.git|\.venv[^/]*|\.make|node_modules|__pycache__|dist|build|\.[a-z]+_cache|\.coverage.*)(/|$)|\.py[cod]$"
)


def build(project: Path, into: Path, *targets: str) -> None:
    chosen = [word for target in targets for word in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into), *chosen]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=PATIENCE)


def only(folder: Path, ending: str) -> Path:
    (found,) = folder.glob(f"{NAME}-*{ending}")
    return found


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the source distribution."""
    if "DIST" in os.environ:
        return PROJECT / os.environ["DIST"]
    folder = tmp_path_factory.mktemp("dist")
    build(PROJECT, folder, "wheel", "sdist")
    return folder


@pytest.fixture(scope="module")
def wheel(published: Path) -> Path:
    return only(published, ".whl")


@pytest.fixture(scope="module")
def sdist(published: Path) -> Path:
    return only(published, ".tar.gz")


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as file:
        return message_from_bytes(file.read(f"{INFO}/METADATA"))


def names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as file:
        assert all(member.isfile() for member in file)
        names = {PurePosixPath(member.name) for member in file}
    assert {name.parts[0] for name in names} == {f"{NAME}-{__version__}"}
    return {PurePosixPath(*name.parts[1:]).as_posix() for name in names}


def test_the_wheel_is_for_every_python_3(wheel: Path) -> None:
    assert wheel.name == f"{NAME}-{__version__}-py3-none-any.whl"


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    modules = {f"{NAME}/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*.py")}
    described = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert len(modules) > 150
    assert sorted(names) == sorted({*modules, f"{NAME}/py.typed", *(f"{INFO}/{name}" for name in described)})


def test_the_source_distribution_holds_what_building_and_testing_need(sdist: Path) -> None:
    names = names_in_sdist(sdist)
    files = {".env.example", ".gitignore", "Makefile", "PKG-INFO", "pyproject.toml", "LICENSE"}
    pages = {f"{page}.md" for page in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "README", "SECURITY")}
    folders = {".ci", ".github", "changelog.d", "docs", "release", "requirements", "src", "tests"}
    assert {name.partition("/")[0] for name in names} == files | pages | folders
    assert {"docs/pypi.md", "requirements/run.txt", "release/base.sh", "tests/release/test_wheel.py"} <= names
    assert {f"src/{NAME}/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*.py")} <= names
    assert [name for name in names if FOREIGN.search(name)] == []


def test_what_lies_about_is_not_published(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("pyproject.toml", "LICENSE", ".gitignore", "docs/pypi.md"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, project / name)
    for name in (f"src/{NAME}/__init__.py", f"src/{NAME}/py.typed", "tests/test_one.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("")
    for name in (
        ".env", f"src/{NAME}/.env", f"src/{NAME}/__pycache__/one.pyc", f"src/{NAME}/notes.txt", "src/other/one.py",
        ".venv/lib/one.py", ".make/run", "dist/old.whl", "build/one.py", "tests/.env", "tests/node_modules/one.js",
        "tests/__pycache__/one.pyc", ".mypy_cache/one.json", ".coverage.1", "token.txt",
    ):  # fmt: skip
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("sgp_canary")
    build(project, tmp_path, "wheel", "sdist")
    with zipfile.ZipFile(only(tmp_path, ".whl")) as file:
        packed = {name for name in file.namelist() if not name.startswith(INFO)}
    assert packed == {f"{NAME}/__init__.py", f"{NAME}/py.typed"}
    expected = {".gitignore", "LICENSE", "PKG-INFO", "docs/pypi.md", "pyproject.toml", "tests/test_one.py"}
    assert names_in_sdist(only(tmp_path, ".tar.gz")) == expected | {f"src/{name}" for name in packed}


def test_the_source_distribution_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as file:
        file.extractall(tmp_path, filter="data")
    build(tmp_path / f"{NAME}-{__version__}", tmp_path, "wheel")
    assert only(tmp_path, ".whl").read_bytes() == wheel.read_bytes()


def test_the_metadata_says_what_a_user_looks_for(metadata: Message) -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert metadata["Metadata-Version"] == "2.4"  # uploading fails where a tool meets one that it does not know
    assert metadata["Name"] == "cody-oai-router"
    assert metadata["Version"] == __version__ == declared["version"]
    assert metadata["Summary"] == declared["description"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Keywords"].split(",") == sorted(declared["keywords"])
    assert metadata.get_all("Classifier") == declared["classifiers"]
    assert {Requirement(line) for line in metadata.get_all("Requires-Dist", [])} == {
        Requirement(line) for line in declared["dependencies"]
    }


def test_the_description_needs_no_other_page(metadata: Message) -> None:
    page = str(metadata.get_payload())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert page.startswith("# Cody OAI Router\n")
    assert re.findall(r"\]\((?!https://)[^)]*\)", page) == []
    assert "<this repository>" not in page


@pytest.mark.parametrize("language", ["python", "ini"])
def test_the_description_tells_what_the_readme_tells(metadata: Message, language: str) -> None:
    fenced = re.compile(rf"^```{language}\n.*?^```", re.MULTILINE | re.DOTALL)
    snippets = fenced.findall(str(metadata.get_payload()))
    assert snippets
    assert set(snippets) <= set(fenced.findall((PROJECT / "README.md").read_text("utf-8")))


def test_the_curl_of_the_description_is_the_readmes(metadata: Message) -> None:
    call = re.compile(r"^\$ curl .*/chat/completions(?: \\\n .*)+", re.MULTILINE)
    (typed,) = call.findall(str(metadata.get_payload()))
    assert typed in (PROJECT / "README.md").read_text("utf-8")


# The wheel, installed.


@pytest.fixture(scope="module")
def installed(wheel: Path, metadata: Message, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, the dependencies that it declares, and nothing else."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(place)
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--offline",
        "--no-config",
        "--no-deps",
        "--no-cache",
        "--quiet",
    ]
    python = place / SCRIPTS / "python"
    subprocess.run([*command, "--python", str(python), str(wheel)], check=True, timeout=PATIENCE)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(place), "platbase": str(place)}))
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            copy_distribution(requirement.name, packages)
    return place


def copy_distribution(name: str, packages: Path) -> None:
    distribution = importlib.metadata.distribution(name)
    for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}:
        source = Path(str(distribution.locate_file(top)))
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, packages / top)


def surroundings(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a user who has set nothing but these variables."""
    system = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return {**system, "HOME": str(home), "APPDATA": str(home), **variables}


def run(place: Path, home: Path, program: str, *arguments: str) -> str:
    command = [str(place / SCRIPTS / program), *arguments]
    done = subprocess.run(command, cwd=home, env=surroundings(home), capture_output=True, timeout=PATIENCE, check=True)
    return done.stdout.decode().strip()


def test_it_is_the_installed_package_that_runs(installed: Path, tmp_path: Path) -> None:
    file = run(installed, tmp_path, "python", "-c", f"import {NAME}; print({NAME}.__file__)")
    assert Path(file).is_relative_to(installed)
    listing = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))"
    packages = run(installed, tmp_path, "python", "-c", listing)
    assert "cody-oai-router" in packages
    assert "hatchling" not in packages


def test_it_says_its_version(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "cody-oai-router", "--version") == f"cody-oai-router {__version__}"


def test_every_module_can_be_imported_with_the_declared_dependencies_alone(installed: Path, tmp_path: Path) -> None:
    every = (
        "import importlib, pkgutil, sys\n"
        f"import {NAME}\n"
        f"names = [found.name for found in pkgutil.walk_packages({NAME}.__path__, '{NAME}.')]\n"
        "for name in names:\n"
        "    if not name.endswith('__main__'):\n"
        "        importlib.import_module(name)\n"
        "print(len(names))\n"
    )
    assert int(run(installed, tmp_path, "python", "-W", "error", "-c", every)) > 150


@pytest.fixture
def demo(installed: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The console script in demo mode, and its port; a file of settings has it use what reads them."""
    (tmp_path / ".env").write_text("SHUTDOWN_GRACE=1\n")
    command = [str(installed / SCRIPTS / "cody-oai-router"), "demo", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=surroundings(tmp_path), stdout=subprocess.PIPE) as started:
        try:
            assert started.stdout is not None
            head = started.stdout.readline().decode()
            found = re.search(r" on http://127\.0\.0\.1:(\d+)", head)
            assert found is not None, head
            yield started, int(found[1])
        finally:
            started.kill()


def ask(port: int, path: str, body: Any = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    data = None if body is None else json.dumps(body)
    connection.request("GET" if data is None else "POST", path, data, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200, text
    return text


def test_the_console_script_serves_and_ends(demo: tuple[subprocess.Popen[bytes], int]) -> None:
    started, port = demo
    assert json.loads(ask(port, "/health"))["version"] == __version__
    question = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello!"}]}
    whole = json.loads(ask(port, "/v1/chat/completions", question))
    assert "demo answer" in whole["choices"][0]["message"]["content"]
    events = ask(port, "/v1/chat/completions", {**question, "stream": True}).split("\n\n")
    assert json.loads(events[0].removeprefix("data: "))["object"] == "chat.completion.chunk"
    assert "data: [DONE]" in events
    if os.name == "posix":  # Windows has no signal that asks one process to end
        started.send_signal(signal.SIGTERM)
        assert started.wait(PATIENCE) == 0
