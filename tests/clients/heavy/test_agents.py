"""Coding agents do their smallest task through the router: they stream, send tools and long prompts, and run the tool."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from clients.stand import Stand

PROGRAMS: Final = Path(__file__).parent / "agents" / "node_modules" / ".bin"

# Seconds; agents are slow to start.
LONGEST: Final = 100.0

pytestmark = pytest.mark.timeout(120)


def ran(program: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs an agent in a folder that is its home too, without anything of the user's."""
    found = shutil.which(program, path=str(PROGRAMS))
    if found is None:
        pytest.skip(f"{program} is not installed (make test-clients)")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        [found, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST,
        check=False,
        encoding="utf-8",
    )


def opencode(stand: Stand, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    provider: dict[str, Any] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Router",
        "options": {"baseURL": stand.base_url, "apiKey": "any key"},
        "models": {"gpt-4": {"name": "any", "limit": {"context": 200000, "output": 8192}}},
    }
    (folder / "opencode.json").write_text(json.dumps({"provider": {"router": provider}}), "utf-8")
    return ran("opencode", ["run", "--auto", "-m", "router/gpt-4", text], folder)


def continue_cli(stand: Stand, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    model = {
        "name": "any",
        "provider": "openai",
        "model": "gpt-4",
        "apiBase": stand.base_url,
        "apiKey": "any key",
        "roles": ["chat", "edit", "apply"],
        "capabilities": ["tool_use"],
    }
    config = {"name": "test", "version": "0.0.1", "schema": "v1", "models": [model]}
    (folder / "config.yaml").write_text(json.dumps(config), "utf-8")  # JSON is YAML too
    return ran("cn", ["--config", str(folder / "config.yaml"), "--auto", "-p", text], folder)


@pytest.mark.parametrize("agent", [opencode, continue_cli])
def test_an_agent_answers(newest: Stand, tmp_path: Path, agent: Any) -> None:
    done = agent(newest, tmp_path, "[[text:Hello from the router]]")
    assert "Hello from the router" in done.stdout, done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(("agent", "tool"), [(opencode, "bash"), (continue_cli, "Bash")])
def test_an_agent_uses_a_tool(newest: Stand, tmp_path: Path, agent: Any, tool: str) -> None:
    done = agent(newest, tmp_path, f"[[call:{tool}]]")
    assert "The tool answered:" in done.stdout, done.stderr
    assert "<TOOL_RESULT>" in newest.chats[-1].json["messages"][-1]["content"]


@pytest.mark.parametrize("agent", [opencode, continue_cli])
def test_an_agent_shows_why_it_was_refused(newest: Stand, tmp_path: Path, agent: Any) -> None:
    done = agent(newest, tmp_path, "[[status:400 the reason why]]")
    assert "Sourcegraph says: the reason why" in done.stdout + done.stderr
