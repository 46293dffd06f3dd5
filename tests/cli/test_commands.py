"""The program as a process: exit codes and what stands on standard error, never a traceback."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cody_oai_router import __version__

TOKEN = "sgp_0123456789abcdef0123456789abcdef01234567"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


class Home:
    """A user with nothing configured: an empty home, an empty working directory and a bare environment."""

    def __init__(self, root: Path) -> None:
        self.working = root / "working"
        self.working.mkdir()
        self.user_file = root / ".config" / "cody-oai-router" / ".env"
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
        home = {"HOME": str(root), "USERPROFILE": str(root), "XDG_CONFIG_HOME": str(root / ".config")}
        self.environ = kept | home | {"APPDATA": str(root / ".config"), "PYTHONWARNINGS": "error"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cody_oai_router", *arguments]

    def run(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.working,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    @contextmanager
    def started(self, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            self.command(*arguments),
            cwd=self.working,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def missing(home: Home) -> str:
    return (
        "No Sourcegraph access token is configured.\n"
        "Get one: in Sourcegraph, open your user settings > Access tokens (/user/settings/tokens on your instance).\n"
        f"Put it in the environment or in {home.user_file}: SOURCEGRAPH_API_TOKEN=sgp_...\n"
        "To try the router without a token: cody-oai-router demo\n"
    )


def greeting(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Try it: "):
            break
    return lines


def url_in(lines: list[str]) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", lines[0])
    assert found, lines
    return found[0]


@pytest.mark.parametrize("arguments", [(), ("serve",), ("--port", "0")])
def test_without_a_token_it_says_how_to_get_one(home: Home, arguments: tuple[str, ...]) -> None:
    assert home.run(*arguments) == (2, "", missing(home))


def test_half_of_what_src_has_is_explained(home: Home) -> None:
    hint = "SRC_ENDPOINT and SRC_ACCESS_TOKEN are not used: they are not both set in the same place.\n"
    assert home.run(SRC_ACCESS_TOKEN=TOKEN) == (2, "", hint + missing(home))


def test_everything_wrong_is_a_line(home: Home) -> None:
    port = "PORT: 'x' is not a port: give a whole number from 0 to 65535 (from the command line).\n"
    token = (
        "SOURCEGRAPH_API_TOKEN: it is still a placeholder: put your own access token (sgp_...) there "
        "(from the environment).\n"
    )
    assert home.run("--port", "x", SOURCEGRAPH_API_TOKEN="your_token_here") == (2, "", token + port)


def _wide(home: Home) -> str:
    (home.working / ".env").write_text("PORT=1", encoding="utf-16")
    return "is not UTF-8 but looks like UTF-16: save it again as UTF-8"


def _folder(home: Home) -> str:
    (home.working / ".env").mkdir()
    return "cannot be read, because it is a folder"


def _hidden(home: Home) -> str:
    (home.working / ".env.txt").touch()
    return "not found, but .env.txt is there: rename it (Windows hides the ending .txt)"


@pytest.mark.parametrize("spoil", [_wide, _folder, _hidden])
@pytest.mark.parametrize("arguments", [("serve",), ("serve", "--or-demo"), ("demo",)])
def test_a_file_that_cannot_be_used_refuses_every_command(
    home: Home, arguments: tuple[str, ...], spoil: Callable[[Home], str]
) -> None:
    why = spoil(home)
    assert home.run(*arguments) == (2, "", f"{home.working / '.env'}: {why}.\n")


def test_a_bad_configuration_does_not_become_a_demo(home: Home) -> None:
    code, out, err = home.run("serve", "--or-demo", PORT="x")
    line = "PORT: 'x' is not a port: give a whole number from 0 to 65535 (from the environment).\n"
    assert (code, out, err) == (2, "", line + missing(home))


def test_a_cloned_repository_cannot_send_the_token_away(home: Home) -> None:
    (home.working / ".env").write_text("SOURCEGRAPH_BASE_URL=https://evil.example\n")
    code, out, err = home.run(SOURCEGRAPH_API_TOKEN=TOKEN)
    assert (code, out) == (2, "")
    assert err == (
        f"SOURCEGRAPH_BASE_URL from {home.working / '.env'} would decide about SOURCEGRAPH_API_TOKEN from the "
        "environment, which is trusted more: set both in the same place, or remove SOURCEGRAPH_BASE_URL.\n"
    )


def test_the_version_and_the_help(home: Home) -> None:
    assert home.run("--version") == (0, f"cody-oai-router {__version__}\n", "")
    code, out, err = home.run("--help")
    assert (code, err) == (0, "")
    assert "\n  SOURCEGRAPH_API_TOKEN\n" in out
    assert home.run("serve", "--help")[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the image is of Linux, and Windows knows no names in lower case")
@pytest.mark.parametrize("command", ["serve", "demo", "models"])
def test_in_a_container_a_refusal_says_how_to_set_what_is_missing(home: Home, command: str) -> None:
    environ = {"ROUTER_HOST": "0.0.0.0", "SOURCEGRAPH_API_TOKEN": TOKEN}  # noqa: S104 - refused
    refusal = (
        "ROUTER_HOST: others in the network could use your token: set ROUTER_API_KEY too, or listen on 127.0.0.1 "
        "(from the environment).\n"
    )
    advice = (
        "In a container ROUTER_HOST has to be 0.0.0.0, or its port cannot be published; so it needs a key, which "
        "generate-key makes.\n"
        "Give variables with -e NAME=value, or secrets as files: ROUTER_API_KEY_FILE, "
        "SOURCEGRAPH_API_TOKEN_FILE=/run/secrets/...\n"
        "Publish the port on your own machine alone: -p 127.0.0.1:3000:3000\n"
    )
    assert home.run(command, **environ) == (2, "", refusal)
    assert home.run(command, container="oci", **environ) == (2, "", refusal + advice)


@pytest.mark.parametrize("arguments", [("--token", TOKEN), ("serve", f"--token={TOKEN}"), (TOKEN,)])
def test_a_secret_on_the_command_line_is_not_repeated(home: Home, arguments: tuple[str, ...]) -> None:
    code, out, err = home.run(*arguments)
    assert (code, out) == (2, "")
    assert TOKEN[4:] not in err
    if "--token" in arguments[0]:
        assert err.endswith("--token sgp_*** (a secret is never a flag: set SOURCEGRAPH_API_TOKEN)\n")


def test_a_port_in_use_is_one_line(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = home.run("demo", PORT=str(port))
    other = "stop the other program, or choose another one: PORT=3001 (or --port 3001)"
    assert (code, out, err) == (1, "", f"Port {port} is already in use: {other}.\n")


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_answers_and_stops_on_request(home: Home, number: signal.Signals) -> None:
    home.user_file.parent.mkdir(parents=True)
    home.user_file.write_text("HEAD_HOLD=5\n")
    hostile = {
        "SOURCEGRAPH_API_TOKEN": TOKEN,
        "SOURCEGRAPH_BASE_URL": "nonsense",
        "HTTPS_PROXY": "socks5://x",
        "CA_FILE": "/no",
    }
    with home.started("demo", "--port", "0", **hostile) as process:
        lines = greeting(process)
        assert lines[1:3] == [
            "Demo mode: a simulator on this machine answers, no model.",
            "Set in the command line: PORT",
        ]
        assert lines[3] == f"Set in {home.user_file}: HEAD_HOLD"
        body = json.dumps({"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}]}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{url_in(lines)}/v1/chat/completions", body, {"content-type": "application/json"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"]
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert re.match(r"\[\d{4}-\d\d-\d\dT[\d:.]+Z\] POST /v1/chat/completions 200 \d+ms model=gpt-4 ", out)
    assert TOKEN not in out


@POSIX
def test_without_a_token_it_can_become_a_demo(home: Home) -> None:
    with home.started("serve", "--or-demo", PORT="0") as process:
        assert "Demo mode" in greeting(process)[1]
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert err == "No Sourcegraph access token is configured: starting demo mode instead.\n"


@POSIX
def test_with_a_token_it_serves_and_shows_none_of_it(home: Home) -> None:
    (home.working / ".env").write_text(f"SOURCEGRAPH_API_TOKEN={TOKEN}\nSOURCEGRAPH_BASE_URL=https://sg.invalid/\n")
    (home.working / ".env").chmod(0o644)
    with home.started("serve", "--or-demo", "--port=0", "--log-format", "json") as process:
        assert process.stdout is not None
        said = [json.loads(process.stdout.readline())["message"] for _ in range(6)]
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert said[1:4] == [
        "Sourcegraph: https://sg.invalid",
        f"Set in {home.working / '.env'}: SOURCEGRAPH_API_TOKEN, SOURCEGRAPH_BASE_URL",
        "Set in the command line: LOG_FORMAT, PORT",
    ]
    assert said[5].startswith("WARNING: ")
    assert TOKEN not in "".join(said) + out


def test_an_output_that_nobody_reads_does_not_keep_the_process(home: Home) -> None:
    script = (
        "import sys\n"
        "from cody_oai_router.shell.log import Log, raw_output\n"
        "log = Log(raw_output(sys.stdout)[0])\n"
        "for _ in range(9000): log.say('x' * 1000)\n"
        "log.close(wait=0.1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], env=home.environ, stdout=subprocess.PIPE) as process:
        try:
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
