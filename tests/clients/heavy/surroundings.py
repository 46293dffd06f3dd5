"""What the heavy clients have around them: an instance of some version, a home of their own, and no way to anyone else."""

import os
from pathlib import Path
from typing import Final

import pytest

from clients.stand import STREAM, Stand

# Tools are Cody's stream's own on the first and described in words on the second.
PROFILES: Final = ("6.12", "5.8")
GATED: Final = "6.8-gated"

# For the clients that show everything that a client can: the LLM API closed as well.
with_gated = pytest.mark.parametrize("_stand", [*PROFILES, GATED], indirect=True)

# Where the agents are, and the Node.js that they need: some refuse to start on an older one.
PROGRAMS: Final = Path(__file__).parent / "agents" / "node_modules" / ".bin"

# Nobody listens there: what asks for anything but loopback, in spite of the rest, gets nowhere.
_NOWHERE: Final = "http://127.0.0.1:9"

_OFF: Final = {
    "HTTP_PROXY": _NOWHERE,
    "HTTPS_PROXY": _NOWHERE,
    "http_proxy": _NOWHERE,
    "https_proxy": _NOWHERE,
    "NODE_USE_ENV_PROXY": "1",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "DO_NOT_TRACK": "1",
    "NO_COLOR": "1",
    "NO_UPDATE_NOTIFIER": "1",
    # Python
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    # opencode
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_SHARE": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    # Continue
    "CONTINUE_METRICS_ENABLED": "0",
    "CONTINUE_CLI_ENABLE_TELEMETRY": "0",
    "CONTINUE_CLI_AUTO_UPDATED": "true",
}


def quiet(home: Path) -> dict[str, str]:
    """Gives the variables that move a client's home into a folder and keep it from calling anyone but the router."""
    folders = {"HOME": home, "USERPROFILE": home, "HF_HOME": home / "hf", "LLM_USER_PATH": home / "llm"}
    return _OFF | {name: str(folder) for name, folder in folders.items()}


def clean(home: Path) -> dict[str, str]:
    """Gives the whole environment of a client's process: nothing of the user's but the path and what Windows needs."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP", "LANG") if name in os.environ}
    path = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
    return {**kept, "PATH": path, **quiet(home)}


def assert_tools_went_as_expected(stand: Stand) -> None:
    """Checks the road of the last request with tools: native on Cody's stream, or described in words."""
    described = [chat for chat in stand.chats if b"<TOOLS>" in chat.body]
    native = [chat for chat in stand.chats if chat.json.get("tools")]
    if stand.profile == "5.8":
        assert described
        assert not native
    else:
        assert native
        assert not described
        assert {chat.path for chat in native} == {STREAM}
