"""What the README tells a newcomer to type works, word for word but for the port."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from clients.stand import PATIENCE, Stand

README: Final = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
ADDRESS: Final = "http://127.0.0.1:3000"

_FENCED: Final = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`(curl [^`]+)`")


def snippets(language: str) -> list[str]:
    return [text for name, text in _FENCED.findall(README) if name == language]


def curls() -> list[str]:
    """Every `curl` of the README: after a prompt, with its continued lines, and in running text."""
    blocks = (text.replace("\\\n", " ") for text in snippets("console"))
    typed = [line.removeprefix("$ ") for text in blocks for line in text.splitlines()]
    return [command for command in (*typed, *_INLINE.findall(README)) if command.startswith("curl ")]


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True, encoding="utf-8")
    return done.stdout


@pytest.fixture
def curl() -> str:
    found = shutil.which("curl")
    if found is None:
        pytest.skip("curl is not installed")
    return found


def typed(curl: str, command: str, stand: Stand) -> Any:
    assert ADDRESS in command
    _, *words = shlex.split(command.replace(ADDRESS, stand.address))
    return json.loads(run([curl, "--silent", "--show-error", "--fail", *words]))


def test_the_readme_has_what_is_tried_here() -> None:
    assert any("/v1/chat/completions" in command and '"claude-sonnet"' in command for command in curls())
    assert any(
        "from openai import OpenAI" in snippet and '"claude-sonnet"' in snippet for snippet in snippets("python")
    )


@pytest.mark.parametrize("command", [command for command in curls() if "/chat/completions" in command])
def test_its_curl_gets_an_answer(stand: Stand, curl: str, command: str) -> None:
    answer = typed(curl, command, stand)
    assert answer["choices"][0]["message"]["content"] == "You said: Hello!"
    assert answer["model"] == "claude-sonnet"


@pytest.mark.parametrize("command", [command for command in curls() if "/models" in command])
def test_its_curl_lists_the_models(stand: Stand, curl: str, command: str) -> None:
    assert "gpt-4o" in [model["id"] for model in typed(curl, command, stand)["data"]]


@pytest.mark.parametrize("snippet", [snippet for snippet in snippets("python") if "import OpenAI" in snippet])
def test_its_sdk_call_prints_the_answer(stand: Stand, snippet: str) -> None:
    assert ADDRESS in snippet
    assert run([sys.executable, "-c", snippet.replace(ADDRESS, stand.address)]).strip() == "You said: Hello!"
