"""What the router says when it is ready: where it listens, whom it asks, what was set where, and a line to try."""

import json
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from cody_oai_router import __version__
from cody_oai_router.addresses import reached
from cody_oai_router.settings import Settings

# A family that nearly every instance has a model of, under whatever name.
_FAMILY: Final = "claude-sonnet"


def greeting(settings: Settings, addresses: Sequence[tuple[str, int]], *, demo: bool) -> list[str]:
    """The lines to show at the start; `addresses` are the hosts and ports that are listened on."""
    urls = [_url(host, port) for host, port in addresses]
    host, port = addresses[0]
    return [
        f"Cody OAI Router {__version__} on {' and '.join(urls)}",
        "Demo mode: a simulator on this machine answers, no model."
        if demo
        else f"Sourcegraph: {settings.upstream.url}",
        *_origins(settings),
        *settings.notices,
        f"Try it: {_curl(_url(reached(host), port), settings)}",
    ]


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _origins(settings: Settings) -> list[str]:
    """One line for each source: the names that it set, never a value."""
    labels = dict.fromkeys(settings.origins.values())
    return [
        f"Set in {label}: {', '.join(sorted(name for name, place in settings.origins.items() if place == label))}"
        for label in labels
    ]


def _curl(url: str, settings: Settings) -> str:
    """A command to copy, quoted as the platform's own shell wants it."""
    model = settings.default_model or _FAMILY
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    words = ["curl", "-N", f"{url}/v1/chat/completions", "-H", "content-type: application/json"]
    if settings.api_key is not None:
        words += ["-H", "authorization: Bearer <your ROUTER_API_KEY>"]
    words += ["-d", json.dumps(body, separators=(",", ":"))]
    if sys.platform == "win32":
        return " ".join(_windows_quoted(word) for word in words)
    return shlex.join(words)


def _windows_quoted(word: str) -> str:
    return '"' + word.replace('"', '\\"') + '"' if set(word) & set(' "<') else word
