"""`cody-oai-router doctor`: every profile's verdict, and everything that can be wrong on the way, in words."""

import asyncio
import base64
import io
import json
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

import pytest

from cli.site import site
from cody_oai_router.checkup.check import NAMES, Check, Status, too_slow, works
from cody_oai_router.cli import main
from cody_oai_router.cli.running import secrets_of
from cody_oai_router.shell import checkup, instance
from cody_oai_router.shell.log import Log, Redactor
from cody_oai_router.shell.router import close_workshop, open_workshop
from cody_oai_router.shell.trial import trial
from cody_oai_router.simulator import DEMO_TOKEN, STREAM, Fault, Simulator, faults
from end_to_end.gateway import gateway, proxy
from end_to_end.harness import run, settings_of, simulated
from http1.certificates import OPENSSL
from shell.certificates import Issuer

WITH_OPENSSL = pytest.mark.skipif(OPENSSL is None, reason="the certificates are made by the openssl command")
OTHER_TOKEN = "sgp_0123456789abcdef_0123456789abcdef0123456789abcdef01234567"
CONFIGURED = Check("configuration", "ok", "given")
HOST = "sourcegraph.test"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user with nothing configured but the token, and a terminal of 80 columns."""
    for name in ("SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("SOURCEGRAPH_API_TOKEN", DEMO_TOKEN)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("ca"))


async def look(port: int, variables: Mapping[str, str] | None = None) -> dict[str, Check]:
    """Looks at everything; gives the checks by name, which were told as they are given, and none of which shows a secret."""
    settings = settings_of(port, {"SOURCEGRAPH_API": "auto", **(variables or {})})
    log = Log(None, redactor=Redactor(secrets_of(settings)))
    told: list[Check] = []
    try:
        made = await checkup.check_up(settings, CONFIGURED, log, told.append)
    finally:
        log.close()
    assert made == told
    assert [check.name for check in made] == list(NAMES)
    for secret in secrets_of(settings):
        assert secret.reveal() not in str(made)
    return {check.name: check for check in made}


def statuses(checks: Mapping[str, Check]) -> dict[str, Status]:
    """Gives what is neither fine nor skipped."""
    return {name: check.status for name, check in checks.items() if check.status not in ("ok", "skipped")}


# The command.


GOOD = """\
✓ configuration    URL; SOURCEGRAPH_API_TOKEN from the environment;
                   SOURCEGRAPH_BASE_URL from the command line
✓ dns              no name to look up: 127.0.0.1 is an address
✓ connection       127.0.0.1:PORT accepts connections
✓ proxy            none configured; connections go straight to Sourcegraph
✓ tls              not used: plain http, which does not leave this machine
✓ version          Sourcegraph 6.12.5040
✓ token            valid access token of demo (Demo User)
✓ cody             switched on
✓ llm-api          open
✓ api-version      9, as the instance says
✓ context-filters  none
✓ models           12 models; Cody itself begins with claude-sonnet-4-5-latest;
                   to list them: cody-oai-router models
✓ answer           "You said: Say hi" from
                   anthropic::2024-10-22::claude-sonnet-4-5-latest by the LLM
                   API in 0.0 s
✓ streaming        STREAMING
✓ tools            the model called get_weather by Cody's stream (native)

The router will work. Start it: cody-oai-router
"""


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with site() as (simulator, url):
        assert main(["doctor", "--base-url", url]) == 0
        out, err = capsys.readouterr()
        asked = [
            received.path
            for received in simulator.received
            if received.method == "POST" and "graphql" not in received.path
        ]
    assert err == ""
    assert max(map(len, out.splitlines()[:-1])) <= 80
    # Whether a stream came in one read, and how long an answer took, is the machine's mood.
    seen = re.sub(r"(✓ streaming +).*?(?=✓ tools)", r"\1STREAMING\n", out, flags=re.DOTALL)
    seen = re.sub(r"in \d+\.\d s", "in 0.0 s", seen)
    expected = GOOD.replace("URL;", f"{url};").replace("PORT", url.rpartition(":")[2])
    assert " ".join(seen.split()) == " ".join(expected.split())
    assert len(asked) == 3  # what it costs


BAD = """\
✓ configuration    http://127.0.0.1:1; SOURCEGRAPH_API_TOKEN from the
                   environment; SOURCEGRAPH_BASE_URL from the command line
✓ dns              no name to look up: 127.0.0.1 is an address
✗ connection       cannot connect to 127.0.0.1:1: Connection refused
                   Check host and port in SOURCEGRAPH_BASE_URL, and whether a
                   VPN has to be on.
- not looked at    proxy, tls, version, token, cody, llm-api, api-version,
                   context-filters, models, answer, streaming, tools

The router will not work yet. Put this right first: connection. Then run
cody-oai-router doctor again.
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system's own words for a refused connection")
def test_a_dead_port(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--base-url", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr() == (BAD, "")


def test_a_console_without_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="cp1252", newline=""))
    assert main(["doctor", "--base-url", "http://127.0.0.1:1"]) == 1
    text = shown.getvalue().decode("ascii")
    assert "\nok dns " in text
    assert "\nXX connection " in text
    assert "\n-- not looked at " in text


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    with site() as (_, url):
        assert main(["doctor", "--json", "--base-url", url]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert [check["name"] for check in report["checks"]] == list(NAMES)
    assert {check["status"] for check in report["checks"]} == {"ok"}


def test_a_wrong_configuration(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["doctor", "--port", "x"]) == 2
    out, _ = capsys.readouterr()
    assert out.startswith("✗ configuration    PORT: 'x' is not a port")
    monkeypatch.delenv("SOURCEGRAPH_API_TOKEN")
    assert main(["doctor", "--json"]) == 2
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert check["detail"] == "No Sourcegraph access token is configured."
    assert "/user/settings/tokens" in check["advice"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions as POSIX has them")
def test_a_file_that_everybody_can_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"SOURCEGRAPH_API_TOKEN={OTHER_TOKEN}\n")
    monkeypatch.delenv("SOURCEGRAPH_API_TOKEN")
    file.chmod(0o644)
    assert main(["doctor", "--base-url", "http://127.0.0.1:1"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("! configuration")
    assert f"chmod 600 '{file}'" in out
    assert OTHER_TOKEN not in out


def test_ctrl_c(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: object) -> list[Check]:
        raise KeyboardInterrupt

    monkeypatch.setattr("cody_oai_router.cli.doctor.check_up", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("Stopped before everything was looked at.\n", "")


def test_help_says_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["doctor", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
        assert "three small questions" in " ".join(capsys.readouterr().out.split())


# What is looked at.


@pytest.mark.parametrize(
    ("profile", "unwell", "tools"),
    [
        ("5.4", {"models": "warning"}, "by Cody's stream (emulated"),
        ("5.6", {}, "(emulated"),
        ("5.8", {}, "(emulated"),
        ("5.10", {}, "(emulated"),
        ("6.1", {}, "(native)"),
        ("6.5-starter", {}, "by Cody's stream (native)"),
        ("6.8-gated", {}, "by Cody's stream (native)"),
        ("6.12", {}, "by Cody's stream (native)"),
        ("7.x-unknown", {}, "by Cody's stream (native)"),
    ],
)
def test_every_release_that_works(profile: str, unwell: dict[str, Status], tools: str) -> None:
    async def scenario() -> None:
        async with simulated(profile) as (_, port):
            checks = await look(port)
        assert statuses(checks) == unwell
        assert works(list(checks.values()))
        assert tools in checks["tools"].detail

    run(scenario())


def test_cody_switched_off() -> None:
    async def scenario() -> None:
        async with simulated("dotcom-dead") as (simulator, port):
            checks = await look(port)
            assert not [received for received in simulator.received if received.path == STREAM]
        assert statuses(checks) == {"cody": "failed"}
        assert "cody is not enabled" in checks["cody"].detail
        async with simulated("6.12", cody_enabled=False) as (_, port):
            assert statuses(await look(port)) == {"cody": "failed"}

    run(scenario())


def test_a_token_that_is_refused() -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            checks = await look(port, {"SOURCEGRAPH_API_TOKEN": OTHER_TOKEN})
            assert statuses(checks) == {"token": "failed"}
            assert "Invalid access token." in checks["token"].detail
            checks = await look(port, {"SOURCEGRAPH_API_TOKEN": "no-access-token"})
            assert "sent as an OAuth token" in checks["token"].advice

    run(scenario())


def test_a_sign_in_page() -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port):
            for path in ("/healthz", "/.api/graphql"):
                simulator.queue(faults.html(200, faults.SIGN_IN), path=path)
            checks = await look(port)
        assert statuses(checks) == {"version": "warning"}  # what is needed answers
        assert checks["version"].detail.startswith("A web page")
        assert works(list(checks.values()))


PAGES = (
    "/healthz",
    "/.api/graphql",
    "/.api/client-config",
    "/.api/modelconfig/supported-models.json",
    "/.api/llm/models",
)
CHAT = "/.api/llm/chat/completions"
SONNET = "anthropic::2024-10-22::claude-sonnet-4-5-latest"


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(403, "blocked"),
        faults.status(404, "404 page not found"),
        faults.status(500, "boom"),
        faults.html(200),
    ],
    ids=["403", "404", "500", "page"],
)
def test_pages_that_do_not_answer_keep_nobody_from_chat(fault: Fault) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port):
            simulator.queue(fault, path="/.api/graphql", times=99)
            checks = await look(port)
            assert statuses(checks) == {"token": "warning"}
            for path in PAGES:
                simulator.queue(fault, path=path, times=99)
            checks = await look(port, {"DEFAULT_MODEL": SONNET})
            assert set(statuses(checks).values()) == {"warning"}
            assert checks["answer"].status == "ok"
            assert (await look(port, {"DEFAULT_MODEL": SONNET, "SOURCEGRAPH_API": "llm"}))["answer"].status == "ok"

    run(scenario())


@pytest.mark.parametrize(
    "fault",
    [faults.html(404), faults.html(200, faults.SIGN_IN), faults.status(405, "Not allowed")],
    ids=["404", "page", "405"],
)
def test_an_address_that_is_no_instances(fault: Fault) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port):
            for path in (*PAGES, CHAT, STREAM):
                simulator.queue(fault, path=path, times=99)
            checks = await look(port)
        assert checks["answer"].status == "failed"
        assert checks["answer"].advice.startswith("Is SOURCEGRAPH_BASE_URL the address of a Sourcegraph instance")
        assert checks["streaming"].status == "skipped"

    run(scenario())


def test_tools_that_are_refused_keep_nobody_from_chat() -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port):
            simulator.queue(faults.status(400, "tools.0: bad"), path=STREAM)  # only tools go there
            checks = await look(port)
        assert statuses(checks) == {"tools": "warning"}
        assert checks["tools"].detail == "Sourcegraph says: tools.0: bad"

    run(scenario())

    run(scenario())


def test_a_gate_and_a_user_who_wants_what_is_behind_it() -> None:
    async def scenario() -> None:
        async with simulated("6.8-gated", gate="404") as (_, port):
            checks = await look(port, {"SOURCEGRAPH_API": "llm"})
        assert statuses(checks) == {"llm-api": "warning", "answer": "failed"}
        assert checks["llm-api"].advice.startswith("If chat is closed as well, set SOURCEGRAPH_API=auto")
        assert (
            checks["answer"].advice
            == "If chat is closed as well, set SOURCEGRAPH_API=auto to use Cody's stream instead."
        )

    run(scenario())


def test_context_filters_and_a_model_that_is_not_there() -> None:
    async def scenario() -> None:
        async with simulated(context_filters=True) as (_, port):
            checks = await look(
                port, {"DEFAULT_MODEL": "nope::v1::nope", "MODEL_ALIASES": "fast=claude-haiku-4-5-latest"}
            )
        assert statuses(checks) == {"context-filters": "warning", "models": "warning", "answer": "failed"}
        assert "DEFAULT_MODEL=nope::v1::nope is not in the listing" in checks["models"].advice
        assert "fast" not in checks["models"].advice
        assert "Set DEFAULT_MODEL" in checks["answer"].advice

    run(scenario())


def test_no_models() -> None:
    async def scenario() -> None:
        async with simulated(listing="null", catalogue="null") as (_, port):
            checks = await look(port)
        assert checks["models"].status == "warning"
        assert checks["answer"].status == "failed"
        assert checks["tools"].status == "skipped"

    run(scenario())


def test_a_stream_that_breaks_says_nothing_of_tools() -> None:
    async def scenario() -> None:
        async with simulated("6.8-gated") as (simulator, port):
            simulator.queue(faults.broken_after(1), path=STREAM)
            settings = {"SOURCEGRAPH_API": "cody"}
            assert statuses(await look(port, settings)) == {"answer": "failed"}
            await plain_then_broken(simulator)
            checks = await look(port, settings)
        assert statuses(checks) == {"streaming": "failed"}
        assert checks["tools"].status == "ok"

    async def plain_then_broken(simulator: Simulator) -> None:
        simulator.queue(faults.broken_after(10**6), path=STREAM)
        simulator.queue(faults.broken_after(2), path=STREAM)

    run(scenario())


def test_each_step_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "PAGE_SECONDS", 0.2)
    monkeypatch.setattr(instance, "DISCOVERY_SECONDS", 0.1)

    async def scenario() -> None:
        async with simulated() as (simulator, port):
            for path in PAGES:
                simulator.queue(faults.held("never"), path=path, times=99)
            checks = await look(port, {"DEFAULT_MODEL": SONNET})
            assert checks["version"] == too_slow("version", 0.2)
            assert checks["models"] == too_slow("models", 0.2)
            assert set(statuses(checks).values()) == {"warning"}
            assert checks["answer"].status == "ok"  # that is worth waiting for

    run(scenario())


def test_a_redirect_is_not_followed() -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port):
            for path in ("/healthz", "/.api/graphql"):
                simulator.queue(faults.redirect("https://other.example.com/"), path=path)
            checks = await look(port)
            assert statuses(checks) == {"version": "warning"}
            for path in (*PAGES, CHAT, STREAM):
                simulator.queue(faults.redirect("https://other.example.com/"), path=path, times=99)
            checks = await look(port)
        assert checks["answer"].status == "failed"
        assert checks["answer"].detail.startswith("Sourcegraph answered with a redirect")

    run(scenario())


async def deaf(*_: object, **__: object) -> None:
    """A router on a machine that lets nobody listen."""
    raise OSError(1, "Operation not permitted")


async def dead(*_: object, ready: Callable[[list[tuple[str, int]]], None], stop: asyncio.Event) -> None:
    """A router that says it listens where nobody does."""
    ready([("127.0.0.1", 1)])
    await stop.wait()


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (deaf, "this machine lets no program listen on 127.0.0.1: Operation not permitted"),
        (dead, "cannot connect to 127.0.0.1:1: "),
    ],
)
def test_a_machine_on_which_no_router_can_be(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Coroutine[None, None, None]], words: str
) -> None:
    monkeypatch.setattr("cody_oai_router.shell.trial.serve", serve)

    async def scenario() -> None:
        async with simulated() as (_, port):
            checks = await look(port)
        assert statuses(checks) == {"answer": "failed"}
        assert checks["answer"].detail.startswith(words)

    run(scenario())


def test_nobody_else_can_use_the_token_meanwhile() -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            settings = settings_of(port, {})
            log = Log(None)
            shop = open_workshop(settings, log, demo=False)
            try:
                async with trial(shop, 10.0) as router:
                    reader, writer = await asyncio.open_connection("127.0.0.1", router.port)
                    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
                    writer.close()
                    await writer.wait_closed()
            finally:
                await close_workshop(shop)
                log.close()

    run(scenario())


# The network.


def test_a_name_that_there_is_not() -> None:
    async def scenario() -> None:
        checks = await look(0, {"SOURCEGRAPH_BASE_URL": "https://nonexistent.invalid"})
        assert statuses(checks) == {"dns": "failed"}
        assert checks["dns"].detail.startswith("the name nonexistent.invalid is not found")

    run(scenario())


@WITH_OPENSSL
def test_certificates(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> None:
    good = issuer.sign("localhost")
    other = issuer.sign("other.test")
    expired = issuer.issue("localhost", start="20200101000000Z", end="20210101000000Z")
    stranger = Issuer(tmp_path_factory.mktemp("stranger"))

    async def through(certificate: Path, authority: Issuer) -> dict[str, Check]:
        async with simulated() as (_, port), gateway(certificate, port) as seen:
            base = {"SOURCEGRAPH_BASE_URL": f"https://localhost:{seen.port}", "CA_FILE": str(authority.certificate)}
            return await look(port, base)

    async def scenario() -> None:
        checks = await through(good, issuer)
        assert statuses(checks) == {}
        assert 'issued by "Test CA", trusted by CA_FILE' in checks["tls"].detail
        checks = await through(good, stranger)
        assert statuses(checks) == {"tls": "failed"}
        assert checks["tls"].advice.startswith('It was issued by "Test CA". CA_FILE (')
        for certificate, words in ((other, "is not for localhost"), (expired, "has expired")):
            checks = await through(certificate, issuer)
            assert statuses(checks) == {"tls": "failed"}
            assert words in checks["tls"].detail
            assert checks["tls"].advice == 'It was issued by "Test CA".'

    run(scenario())


@WITH_OPENSSL
def test_proxies(issuer: Issuer) -> None:
    certificate = issuer.sign(HOST)
    password = "canary pass/word"
    basic = base64.b64encode(f"user:{password}".encode()).decode()
    base = {"SOURCEGRAPH_BASE_URL": f"https://{HOST}", "CA_FILE": str(issuer.certificate)}

    async def scenario() -> None:
        async with (
            simulated() as (_, port),
            gateway(certificate, port) as inside,
            proxy({f"{HOST}:443": inside.port}, credentials=basic) as outside,
        ):
            at = f"127.0.0.1:{outside.port}"
            checks = await look(port, base | {"HTTPS_PROXY": f"http://user:canary%20pass%2Fword@{at}"})
            assert statuses(checks) == {}
            assert checks["proxy"].detail == f"{at} connects to {HOST}"
            checks = await look(port, base | {"HTTPS_PROXY": f"http://user:wrong-word@{at}"})
            assert statuses(checks) == {"proxy": "failed"}
            assert "did not accept the credentials" in checks["proxy"].detail
        async with proxy({}, answer=b"HTTP/1.1 403 Forbidden\r\n\r\n") as outside:
            checks = await look(0, base | {"HTTPS_PROXY": f"http://127.0.0.1:{outside.port}"})
            assert statuses(checks) == {"proxy": "failed"}
            assert checks["proxy"].detail.endswith("refused to connect to sourcegraph.test:443: 403")

    run(scenario())


@WITH_OPENSSL
def test_an_authority_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")

    async def scenario() -> None:
        async with simulated() as (_, port):
            checks = await look(port, {"SOURCEGRAPH_BASE_URL": f"https://127.0.0.1:{port}", "CA_FILE": str(file)})
            assert statuses(checks) == {"tls": "failed"}
            assert "holds no certificate that OpenSSL can read" in checks["tls"].detail

    run(scenario())
