"""Canaries in everything that is secret: whatever goes wrong, none of them leaves by any way that is not its own.

The router runs as a process behind a proxy with a password, with a key of its own, an extra header and an encrypted client
certificate. Upstream quotes all of it back, plain and encoded, in every way that it can fail. Then everything that the process ever
printed or answered is searched, and what others of the machine can see of it.
"""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from cody_oai_router.shell.chat import Chat
from cody_oai_router.simulator import Fault, faults
from end_to_end.gateway import gateway, proxy
from end_to_end.harness import (
    CODY_PATH,
    chat,
    exchange,
    process,
    request,
    router,
    run,
    settings_of,
    simulated,
)
from http1.certificates import OPENSSL
from shell.certificates import Issuer, encrypted

HOST = "sourcegraph.test"
TOKEN = "sgp_canary0a1b2c3d4e5f60718293a4b5c6d7e8f9"
KEY = "canary-router-key-7f3a"
WRONG_KEY = "canary-wrong-key-91cc"
HEADER = "canary header/value+81f2"
PROXY_PASSWORD = "canary:proxy/pass word+5d"
KEY_PASSWORD = "canary client key 3c9e"
PROMPT = "canary prompt text 4b7d"
SECRETS = (TOKEN, KEY, HEADER, PROXY_PASSWORD, KEY_PASSWORD)
KEYED = [("Authorization", f"Bearer {KEY}")]


def plain(secret: str) -> set[str]:
    """A secret as it is, and as URLs, JSON and Python write it."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    }


def encoded(secret: str) -> Iterator[str]:
    """A secret in base64 after nothing, one or two other bytes, in both alphabets."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret.encode() + b"\0" * 3)
        yield whole.decode()
        yield whole.translate(bytes.maketrans(b"+/", b"-_")).decode()


def forms(secret: str) -> Iterator[str]:
    """What to search for: of base64 the part that is the secret's alone, whatever is around it."""
    yield from plain(secret)
    yield from (whole[4:-8] for whole in encoded(secret))


def quoting() -> str:
    """Everything that a hostile upstream can say back, in every form."""
    basic = base64.b64encode(f"canary-user:{PROXY_PASSWORD}".encode()).decode()
    said = [form for secret in SECRETS for form in (*plain(secret), *encoded(secret))]
    return f"Authorization: token {TOKEN}; Proxy-Authorization: Basic {basic}; {' | '.join(said)}"


def hostile() -> list[Fault]:
    said = quoting()
    line = json.dumps({"message": said, "type": "x"}).encode() + b"\n"
    return [
        faults.status(401, said),
        faults.status(403, said),
        faults.status(404, said),
        faults.status(422, said),
        faults.status(429, said),
        faults.problem(400, said),
        faults.problem(500, said),
        faults.wrapped_status(429),
        faults.error_first(line),
        faults.error_after(1, line),
        faults.html(200, f"<html><title>{said}</title><body>{said}</body></html>"),
        faults.html(403),
        faults.redirect(f"https://elsewhere.example/?{quote(said)}"),
        faults.challenge(),
        faults.broken_after(1),
        faults.drop(reset=True),
        faults.not_http(),
        faults.raw(f"HTTP/1.1 {said[:900]}\r\n\r\n".encode()),
        faults.raw(f"HTTP/1.1 200 OK\r\n{said[:900]}\r\n\r\n".encode()),
        faults.raw(f"HTTP/1.1 200 OK\r\nContent-Length: {TOKEN}\r\n\r\n".encode()),
    ]


def clumsy() -> list[bytes]:
    """Requests that are refused, each with secrets where they do not belong."""
    path = f"/v1/chat/completions?key={KEY}&token={quote(TOKEN)}"
    return [
        request(chat(PROMPT, model="nothing"), path=path, headers=KEYED),
        request(f'{{"model": "{PROMPT}'.encode(), path=path, headers=KEYED),
        request(chat(PROMPT, n=PROMPT), path=path, headers=KEYED),
        request(chat(PROMPT), path=path, headers=[*KEYED, ("Content-Encoding", TOKEN)]),
        request(chat(PROMPT), path=path),
        request(chat(PROMPT), path=path, headers=[("Authorization", f"Bearer {WRONG_KEY}")]),
        request(chat(PROMPT), path=path, headers=[("X-Api-Key", WRONG_KEY), ("Authorization", f"Basic {WRONG_KEY}")]),
        request(method="GET", path=f"/v1/models/{quote(TOKEN)}", headers=KEYED),
        request(method="GET", path=f"/{KEY}", headers=KEYED),
        request(method="DELETE", path=path, headers=KEYED),
        request(method="GET", path="/", headers=KEYED),
        request(method="GET", path="/"),
        request(method="GET", path="/health"),
        request(method="GET", path="/v1/models", headers=KEYED),
        request(method="GET", path="/v1/models", headers=[("Origin", f"https://{KEY}.example")]),
        f"GET /health HTTP/1.1\r\nHost: {TOKEN}\r\nConnection: close\r\n\r\n".encode(),
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization {KEY}\r\n\r\n".encode(),
        f"{KEY} {TOKEN}\r\n\r\n".encode(),
        f"GET /{TOKEN} HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n".encode(),
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {TOKEN}\r\n\r\n".encode(),
    ]


@pytest.mark.skipif(OPENSSL is None, reason="the certificates are made by the openssl command")
def test_no_canary_leaves(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    issuer = Issuer(tmp_path_factory.mktemp("ca"))
    certificate = issuer.sign(HOST)
    environment = {
        "SOURCEGRAPH_BASE_URL": f"https://{HOST}",
        "SOURCEGRAPH_API_TOKEN": TOKEN,
        "ROUTER_API_KEY": KEY,
        "SRC_HEADER_X_Company": HEADER,
        "CA_FILE": str(issuer.certificate),
        "CLIENT_CERT_FILE": str(certificate.with_name("certificate")),
        "CLIENT_KEY_FILE": str(encrypted(certificate, KEY_PASSWORD)),
        "CLIENT_KEY_PASSWORD": KEY_PASSWORD,
    }

    async def scenario() -> None:
        async with (
            simulated(token=TOKEN) as (simulator, port),
            gateway(certificate, port, demands=issuer.certificate) as inside,
            proxy({f"{HOST}:443": inside.port}) as outside,
            process(
                tmp_path,
                environment=environment
                | {"HTTPS_PROXY": f"http://canary-user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{outside.port}"},
            ) as running,
        ):
            asked = [request(chat(PROMPT, stream=stream), headers=KEYED) for stream in (True, False)]
            answers = []
            for data in asked:
                answers.append((await exchange(running, data)).raw.replace(PROMPT.encode(), b""))  # what the model said
                assert b" 200 OK" in answers[-1]
            received = simulator.received[-1]
            assert (received.header("authorization"), received.header("x_company")) == (f"token {TOKEN}", HEADER)
            for fault in hostile():
                for data in asked:
                    simulator.queue(fault, times=2)
                    simulator.queue(fault, CODY_PATH, times=2)
                    answers.append((await exchange(running, data)).raw)
                    simulator.reset()
            answers += [(await exchange(running, data)).raw for data in clumsy()]
            await running.said(b"GET /health 403")
            others_see = _seen_by_others(running.process.pid)
            running.process.terminate()
            await running.ended()
            text = b"".join([*answers, running.stdout, running.stderr, others_see]).decode("utf-8", "surrogateescape")
            for secret in (*SECRETS, WRONG_KEY, PROMPT):
                for form in forms(secret):
                    assert form not in text, (secret, form)
            assert "***" in text  # quotations came through, without what they quoted
            assert b"defect" not in running.stdout
            assert b"Traceback" not in running.stdout + running.stderr

    run(scenario(), patience=90)


def _seen_by_others(pid: int) -> bytes:
    """What any user of this machine can read of a process."""
    if sys.platform != "linux":
        return b""
    of_process = Path(f"/proc/{pid}")
    limits = (of_process / "limits").read_text()
    (core,) = [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core == ["0", "0"]
    return b"".join((of_process / name).read_bytes() for name in ("cmdline", "comm", "status", "stat"))


def test_a_defect_is_told_without_what_it_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Chat) -> None:
        raise RuntimeError(quoting())

    monkeypatch.setattr(Chat, "answer", broken)
    variables = {
        "SOURCEGRAPH_API_TOKEN": TOKEN,
        "ROUTER_API_KEY": KEY,
        "SRC_HEADER_X_Company": HEADER,
        "HTTPS_PROXY": f"http://canary-user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:1",
        "SOURCEGRAPH_BASE_URL": f"https://{HOST}",
    }

    async def scenario() -> None:
        async with router(1, variables) as running:
            answer = await exchange(running, request(chat(PROMPT), headers=KEYED))
        assert answer.status == 500
        (number,) = [word for word in answer.error["message"].split() if len(word.rstrip(".")) == 24]
        assert f"defect {number.rstrip('.')} at POST /v1/chat/completions: " in running.output.text
        assert "RuntimeError: Authorization: token ***; " in running.output.text
        shown = running.output.text + answer.raw.decode()
        for secret in (TOKEN, KEY, HEADER, PROXY_PASSWORD):
            for form in forms(secret):
                assert form not in shown, (secret, form)
        assert PROMPT not in shown

    run(scenario())


def test_the_settings_do_not_show_themselves(tmp_path: Path) -> None:
    pem = tmp_path / "both.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----")
    settings = settings_of(
        1,
        {
            "SOURCEGRAPH_BASE_URL": f"https://{HOST}",
            "SOURCEGRAPH_API_TOKEN": TOKEN,
            "ROUTER_API_KEY": KEY,
            "SRC_HEADER_X_Company": HEADER,
            "HTTPS_PROXY": f"http://canary-user:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:1",
            "CLIENT_CERT_FILE": str(pem),
            "CLIENT_KEY_PASSWORD": KEY_PASSWORD,
        },
    )
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "canary" not in shown
