"""JavaScript clients get their answers: the official Node SDK and the AI SDK, under what opencode, kilo and cline do."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from clients.stand import PATIENCE, Stand

HERE: Final = Path(__file__).parent / "node"


def ran(program: str, task: str, stand: Stand) -> Any:
    """Runs a program of `node/` at one task and gives what it printed."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("the JavaScript clients are not installed (make test-clients)")
    command = [node, str(HERE / program), stand.base_url, task]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ("json", "You said: Hello"),
        ("stream", ["You said: one two three", "number"]),
        ("helper", ["You said: one two three", "You said: one two three", "stop"]),
        ("tools", "The tool answered: sunny"),
        ("streamed_tools", "The tool answered: sunny"),
        ("models", [True, "openai::2024-02-01::gpt-4o"]),
        ("error", ["NotFoundError", 404, "model_not_found"]),
        ("stream_error", ["word1 word2 ", "APIError", "Sourcegraph says: too bad"]),
    ],
)
def test_openai(newest: Stand, task: str, outcome: object) -> None:
    assert ran("openai.mjs", task, newest) == outcome


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ("json", ["You said: Hello", "stop", "gpt-4"]),
        ("stream", ["You said: one two three", "stop", "number"]),
        ("tools", ["The tool answered: sunny", 2]),
        ("streamed_tools", ["The tool answered: sunny", "stop", "number"]),
        ("error", ["AI_APICallError", 404, False]),
        ("stream_error", ["word1 word2 ", "error", "Sourcegraph says: too bad"]),
    ],
)
def test_ai_sdk(newest: Stand, task: str, outcome: object) -> None:
    assert ran("ai_sdk.mjs", task, newest) == outcome
