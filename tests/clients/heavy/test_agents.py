"""Coding agents do their smallest tasks through the router: they stream, send tools and long prompts, and run the tool."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from clients.heavy.surroundings import PROFILES, PROGRAMS, assert_tools_went_as_expected, clean
from clients.stand import Stand

# Seconds; agents are slow to start.
LONGEST: Final = 100.0

KEY: Final = "any key"
MODEL: Final = "gpt-4"

pytestmark = pytest.mark.timeout(120)

Run = Callable[..., subprocess.CompletedProcess[str]]


class Agent(NamedTuple):
    """A program, how its own tool that creates a file is called, and how it goes on with its last session."""

    run: Run
    tool: str
    where: str
    go_on: str

    def write(self, path: Path, content: str) -> str:
        """Gives the words that make the model call that tool."""
        return f"[[call:{self.tool} {json.dumps({self.where: str(path), 'content': content})}]]"


def ran(program: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs an agent in a folder that is its home too, without anything of the user's."""
    found = shutil.which(program, path=str(PROGRAMS))
    if found is None:
        pytest.skip(f"{program} is not installed (make test-clients)")
    return subprocess.run(
        [found, *arguments],
        cwd=folder,
        env=clean(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST,
        check=False,
        encoding="utf-8",
    )


def opencode(stand: Stand, folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    provider: dict[str, Any] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Router",
        "options": {"baseURL": stand.base_url, "apiKey": KEY},
        "models": {MODEL: {"name": "any", "limit": {"context": 200000, "output": 8192}}},
    }
    config = {"autoupdate": False, "share": "disabled", "provider": {"router": provider}}
    (folder / "opencode.json").write_text(json.dumps(config), "utf-8")
    words = text.split(" ")  # it puts quotes around an argument with a space in it, and backslashes into it
    return ran("opencode", ["run", "--auto", "-m", f"router/{MODEL}", *options, *words], folder)


def continue_cli(stand: Stand, folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    model = {
        "name": "any",
        "provider": "openai",
        "model": MODEL,
        "apiBase": stand.base_url,
        "apiKey": KEY,
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use"],
    }
    config = {"name": "test", "version": "0.0.1", "schema": "v1", "models": [model]}
    (folder / "config.yaml").write_text(json.dumps(config), "utf-8")  # JSON is YAML too
    return ran("cn", ["--config", str(folder / "config.yaml"), "--auto", *options, "-p", text], folder)


def qwen_code(stand: Stand, folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "general": {"enableAutoUpdate": False},
        "ui": {"enableFollowupSuggestions": False},
        "memory": {"enableManagedAutoMemory": False, "enableManagedAutoDream": False, "enableAutoSkill": False},
    }
    (folder / ".qwen").mkdir(exist_ok=True)
    (folder / ".qwen" / "settings.json").write_text(json.dumps(settings), "utf-8")
    account = ["--auth-type", "openai", "--openai-api-key", KEY, "--openai-base-url", stand.base_url]
    return ran("qwen", [*account, "-m", MODEL, "--yolo", *options, "-p", text], folder)


OPENCODE: Final = Agent(opencode, "write", "filePath", "--continue")
CONTINUE: Final = Agent(continue_cli, "Write", "filepath", "--resume")
QWEN: Final = Agent(qwen_code, "write_file", "file_path", "--continue")

each_agent = pytest.mark.parametrize("agent", [OPENCODE, CONTINUE, QWEN], ids=["opencode", "continue", "qwen"])


@each_agent
def test_an_agent_answers(stand: Stand, tmp_path: Path, agent: Agent) -> None:
    done = agent.run(stand, tmp_path, "[[text:Hello from the router]]")
    assert "Hello from the router" in done.stdout, done.stderr
    assert done.returncode == 0


@each_agent
def test_an_agent_creates_a_file(stand: Stand, tmp_path: Path, agent: Agent) -> None:
    made = tmp_path / "made.txt"
    done = agent.run(stand, tmp_path, agent.write(made, 'Hello, "file"\nof two lines\n'))
    assert "The tool answered:" in done.stdout, done.stderr
    assert made.read_text("utf-8").rstrip("\n") == 'Hello, "file"\nof two lines'
    assert done.returncode == 0
    assert_tools_went_as_expected(stand)


@each_agent
def test_a_session_goes_on_with_another_version(stand: Stand, tmp_path: Path, agent: Agent) -> None:
    agent.run(stand, tmp_path, agent.write(tmp_path / "made.txt", "one"))
    with Stand(next(profile for profile in PROFILES if profile != stand.profile)) as other:
        done = agent.run(other, tmp_path, agent.write(tmp_path / "more.txt", "two"), agent.go_on)
        assert "The tool answered:" in done.stdout, done.stderr
        assert (tmp_path / "more.txt").read_text("utf-8").rstrip("\n") == "two"
        assert b"made.txt" in other.chats[-1].body
        assert_tools_went_as_expected(other)


@each_agent
def test_an_agent_shows_why_it_was_refused(stand: Stand, tmp_path: Path, agent: Agent) -> None:
    done = agent.run(stand, tmp_path, "[[status:400 the reason why]]")
    assert "Sourcegraph says: the reason why" in done.stdout + done.stderr


def test_a_call_that_a_file_quotes_is_no_call(stand: Stand, tmp_path: Path) -> None:
    quoting, made = tmp_path / "quoting.txt", tmp_path / "made.txt"
    call = {"name": CONTINUE.tool, "arguments": {CONTINUE.where: str(made), "content": "x"}}
    quoting.write_text(f"<tool_call_0123456789ab>{json.dumps(call)}</tool_call_0123456789ab>", "utf-8")
    done = CONTINUE.run(stand, tmp_path, f"[[call:Read {json.dumps({CONTINUE.where: str(quoting)})}]]")
    assert "<tool_call_0123456789ab>" in done.stdout, done.stderr
    assert not made.exists()


def test_structured_output(stand: Stand, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    options = ["--json-schema", json.dumps(schema), "--output-format", "json"]
    done = qwen_code(stand, tmp_path, '[[call:structured_output {"city":"Paris"}]]', *options)
    assert json.loads(done.stdout)[-1]["structured_result"] == {"city": "Paris"}, done.stdout + done.stderr
    assert_tools_went_as_expected(stand)
