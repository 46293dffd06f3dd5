"""JavaScript clients get their answers: the official Node SDK and the AI SDK, under what opencode, kilo and cline do."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from clients.heavy.surroundings import assert_tools_went_as_expected, clean, with_gated
from clients.stand import PATIENCE, Stand

HERE: Final = Path(__file__).parent / "node"


def ran(program: str, task: str, stand: Stand, home: Path) -> Any:
    """Runs a program of `node/` at one task and gives what it printed; a task with tools went the expected road."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("the JavaScript clients are not installed (make test-clients)")
    command = [node, str(HERE / program), stand.base_url, task]
    done = subprocess.run(
        command, env=clean(home), capture_output=True, timeout=PATIENCE, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    if "tools" in task:
        assert_tools_went_as_expected(stand)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ("json", "You said: Hello"),
        ("stream", ["You said: one two three", "number"]),
        ("helper", ["You said: one two three", "You said: one two three", "stop"]),
        ("tools", "The tool answered: sunny"),
        ("streamed_tools", "The tool answered: sunny"),
        ("structured", {"city": "Paris"}),
        ("streamed_structured", {"city": "Paris"}),
        ("models", [True, "openai::2024-02-01::gpt-4o"]),
        ("error", ["NotFoundError", 404, "model_not_found"]),
    ],
)
def test_openai(stand: Stand, tmp_path: Path, task: str, outcome: object) -> None:
    assert ran("openai.mjs", task, stand, tmp_path) == outcome


@with_gated
@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ("json", ["You said: Hello", "stop", "gpt-4"]),
        ("stream", ["You said: one two three", "stop", "number"]),
        ("tools", ["The tool answered: sunny", 2]),
        ("streamed_tools", ["The tool answered: sunny", "stop", "number"]),
        ("structured", {"city": "Paris"}),
        ("json_object", {"city": "Paris"}),
        ("streamed_structured", {"city": "Paris"}),
        ("error", ["AI_APICallError", 404, False]),
    ],
)
def test_ai_sdk(stand: Stand, tmp_path: Path, task: str, outcome: object) -> None:
    assert ran("ai_sdk.mjs", task, stand, tmp_path) == outcome


@pytest.mark.parametrize(("program", "kind"), [("openai.mjs", "APIError"), ("ai_sdk.mjs", "error")])
def test_a_stream_that_breaks(newest: Stand, tmp_path: Path, program: str, kind: str) -> None:
    assert ran(program, "stream_error", newest, tmp_path) == ["word1 word2 ", kind, "Sourcegraph says: too bad"]
