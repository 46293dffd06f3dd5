"""What is said at the start, word for word."""

import json
import shlex
import sys

import pytest

from cody_oai_router import __version__
from cody_oai_router.catalogue import Catalogue, Model
from cody_oai_router.cli.greeting import greeting
from cody_oai_router.notation import Wrong
from cody_oai_router.reading import Source
from cody_oai_router.settings import Settings, read_settings
from cody_oai_router.simulator.catalogues import models_of

BODY = '{"model":"claude-sonnet","stream":true,"messages":[{"role":"user","content":"Hello"}]}'


def settings(**values: str) -> Settings:
    account = {"SOURCEGRAPH_API_TOKEN": "sgp_canary", "SOURCEGRAPH_BASE_URL": "https://sg.example.com/sub/"}
    sources = [
        Source("environment", "the environment", account | values),
        Source("user", "/home/u/.env", {"HEAD_HOLD": "5", "PORT": "4000"}),
    ]
    found = read_settings(sources, lambda _: Wrong("none"))
    assert isinstance(found, Settings)
    return found


def test_the_greeting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    lines = greeting(settings(LOG_FORMAT="text"), [("127.0.0.1", 4000), ("::1", 4000)], demo=False)
    assert lines == [
        f"Cody OAI Router {__version__} on http://127.0.0.1:4000 and http://[::1]:4000",
        "Sourcegraph: https://sg.example.com/sub",
        "Set in the environment: LOG_FORMAT, SOURCEGRAPH_API_TOKEN, SOURCEGRAPH_BASE_URL",
        "Set in /home/u/.env: HEAD_HOLD, PORT",
        f"Try it: curl -N http://127.0.0.1:4000/v1/chat/completions -H 'content-type: application/json' -d '{BODY}'",
    ]


def test_the_demo_says_that_it_is_one() -> None:
    lines = greeting(settings(), [("127.0.0.1", 4000)], demo=True)
    assert lines[1] == "Demo mode: a simulator on this machine answers, no model."


def test_notices_come_before_the_command() -> None:
    lines = greeting(settings(SOURCEGRAPH_BASE_URL="https://sourcegraph.com"), [("127.0.0.1", 1)], demo=False)
    assert lines[-2].startswith("sourcegraph.com no longer serves Cody")


def test_the_command_asks_for_the_users_default() -> None:
    lines = greeting(settings(DEFAULT_MODEL="openai::v1::gpt-5"), [("127.0.0.1", 1)], demo=False)
    assert "openai::v1::gpt-5" in lines[-1]


@pytest.mark.parametrize(
    ("name", "age"), [("standard", "2024"), ("standard", "2024-12"), ("standard", "2025"), ("6", ""), ("57", "")]
)
def test_the_command_asks_for_what_nearly_every_instance_has(name: str, age: str) -> None:
    model = json.loads(BODY)["model"]
    listed = [Model(ref=known.ref) for known in models_of(name, age)]
    found = Catalogue(listed, aliases={}, default=None).resolve(model)
    assert found is not None
    assert "sonnet" in found.ref


@pytest.mark.parametrize(
    ("listening", "reached"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.1", "10.0.0.1"), ("::1", "[::1]")],  # noqa: S104 - data
)
def test_the_command_reaches_what_is_listened_on(monkeypatch: pytest.MonkeyPatch, listening: str, reached: str) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    words = shlex.split(greeting(settings(ROUTER_API_KEY="canary"), [(listening, 1)], demo=False)[-1])
    assert words[2:5] == ["curl", "-N", f"http://{reached}:1/v1/chat/completions"]
    assert "authorization: Bearer <your ROUTER_API_KEY>" in words
    assert json.loads(words[-1]) == json.loads(BODY)


def test_the_command_on_windows_is_quoted_for_its_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert greeting(settings(ROUTER_API_KEY="canary"), [("127.0.0.1", 1)], demo=False)[-1] == (
        'Try it: curl -N http://127.0.0.1:1/v1/chat/completions -H "content-type: application/json" '
        '-H "authorization: Bearer <your ROUTER_API_KEY>" '
        '-d "{\\"model\\":\\"claude-sonnet\\",\\"stream\\":true,'
        '\\"messages\\":[{\\"role\\":\\"user\\",\\"content\\":\\"Hello\\"}]}"'
    )
