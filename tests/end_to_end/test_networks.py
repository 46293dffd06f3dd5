"""The router in a company's network: certificates that are refused, and proxies with all that can be wrong with them."""

import base64
import socket
from pathlib import Path

import pytest

from cody_oai_router.simulator import DEMO_TOKEN
from end_to_end.gateway import gateway, proxy
from end_to_end.harness import Answer, Router, ask, chats, get, router, run, simulated
from http1.certificates import OPENSSL
from shell.certificates import Issuer

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the certificates are made by the openssl command")

HOST = "sourcegraph.test"
PASSWORD = "canary pass/word"
USER = f"canary-user:{PASSWORD}"
BASIC = base64.b64encode(USER.encode()).decode()
IN_URL = "canary-user:canary%20pass%2Fword"
SET_CA_FILE = "; if your company intercepts TLS or runs its own CA, set CA_FILE to that CA's certificate (PEM)"
SET_THEM = "set them in its address, http://user:password@host:port"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(issuer: Issuer) -> Path:
    return issuer.sign(HOST)


@pytest.fixture(scope="module")
def local(issuer: Issuer) -> Path:
    return issuer.sign("localhost")


def behind(issuer: Issuer, proxy_at: str, **more: str) -> dict[str, str]:
    """The variables of a router whose Sourcegraph is reached through a proxy."""
    through = {"SOURCEGRAPH_BASE_URL": f"https://{HOST}", "HTTPS_PROXY": proxy_at}
    return through | {"CA_FILE": str(issuer.certificate)} | more


def assert_nothing_shows(running: Router, *answers: Answer) -> None:
    """Neither the log nor an answer has the token, or the proxy's credentials in any form."""
    shown = running.output.text + "".join(answer.raw.decode() for answer in answers)
    for secret in (DEMO_TOKEN, PASSWORD, IN_URL, "canary%20pass", BASIC, base64.b64encode(PASSWORD.encode()).decode()):
        assert secret not in shown


def test_tls_to_the_instance_end_to_end(issuer: Issuer, local: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port), gateway(local, port, demands=issuer.certificate) as seen:
            variables = {
                "SOURCEGRAPH_BASE_URL": f"https://localhost:{seen.port}",
                "CA_FILE": str(issuer.certificate),
                "CLIENT_CERT_FILE": str(local),
                "HTTPS_PROXY": "http://127.0.0.1:1",  # not for this machine itself
            }
            async with router(port, variables) as running:
                answer = await ask(running, "[[text:Hello]]", stream=True)
                answer.assert_whole()
                assert answer.text == "Hello"
            assert chats(simulator)[0].header("authorization") == f"token {DEMO_TOKEN}"
            assert DEMO_TOKEN.encode() in seen.passed

    run(scenario())


def test_a_certificate_that_is_refused_is_explained_to_the_client(issuer: Issuer, certificate: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, port), gateway(certificate, port) as seen:
            variables = {
                "SOURCEGRAPH_BASE_URL": f"https://localhost:{seen.port}",
                "CA_FILE": str(issuer.certificate),
            }
            async with router(port, variables) as running:
                answer = await ask(running)
                listing = await get(running, "/v1/models")
            assert (answer.status, listing.status) == (502, 502)
            words = f"the certificate is not for localhost:{seen.port}: check the address{SET_CA_FILE}"
            assert answer.error["message"] == words
            assert listing.error["message"] == words
            assert simulator.received == []
            assert seen.passed == b""

    run(scenario())


def test_without_the_client_certificate_that_is_demanded_nothing_arrives(issuer: Issuer, local: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port), gateway(local, port, demands=issuer.certificate) as seen:
            variables = {
                "SOURCEGRAPH_BASE_URL": f"https://localhost:{seen.port}",
                "CA_FILE": str(issuer.certificate),
            }
            async with router(port, variables) as running:
                answer = await ask(running)
            assert answer.status == 502
            assert seen.passed == b""

    run(scenario())


def test_through_a_proxy_only_the_tunnel_carries_the_token(issuer: Issuer, certificate: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (simulator, port),
            gateway(certificate, port) as inside,
            proxy({f"{HOST}:443": inside.port}, credentials=BASIC) as outside,
            router(port, behind(issuer, f"http://{IN_URL}@127.0.0.1:{outside.port}")) as running,
        ):
            answers = [await ask(running, "[[text:Hello]]", stream=stream) for stream in (True, False)]
            answers[0].assert_whole()
            assert answers[1].json["choices"][0]["message"]["content"] == "Hello"
        (asked, *others) = {head.decode() for head in outside.asked}
        assert others == []
        assert asked == (
            f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\nProxy-Authorization: Basic {BASIC}\r\n\r\n"
        )
        assert DEMO_TOKEN.encode() in inside.passed
        assert DEMO_TOKEN.encode() not in outside.passed
        assert len(outside.passed) > len(inside.passed)  # everything went through it, and it could read nothing
        for received in simulator.received:
            assert received.header("host") == HOST
            names = [name.lower() for name, _ in received.headers]
            assert not [name for name in names if name.startswith("proxy-")]
        assert PASSWORD.encode() not in inside.passed
        assert BASIC.encode() not in inside.passed
        assert_nothing_shows(running, *answers)

    run(scenario())


REFUSALS: list[tuple[bytes, str, str]] = [
    (b"", "", f"the proxy PROXY on the way to {HOST}:443 wants credentials: {SET_THEM}"),
    (
        b"",
        "canary-user:canary%20wrong@",
        f"the proxy PROXY on the way to {HOST}:443 did not accept the credentials: {SET_THEM}",
    ),
    (b"HTTP/1.1 403 Forbidden\r\n\r\n", f"{IN_URL}@", f"the proxy PROXY refused to connect to {HOST}:443: 403"),
    (
        b"HTTP/1.1 403 " + BASIC.encode() + b"\r\nX-Echo: " + BASIC.encode() + b"\r\n\r\n" + PASSWORD.encode(),
        f"{IN_URL}@",
        f"the proxy PROXY refused to connect to {HOST}:443: 403",
    ),
    (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", f"{IN_URL}@", f"the proxy PROXY refused to connect to {HOST}:443: 502"),
]


@pytest.mark.parametrize(("answer", "user", "words"), REFUSALS)
def test_a_proxy_that_refuses_is_named(issuer: Issuer, answer: bytes, user: str, words: str) -> None:
    async def scenario() -> None:
        async with (
            proxy({}, answer=answer, credentials=BASIC) as outside,
            router(1, behind(issuer, f"http://{user}127.0.0.1:{outside.port}")) as running,
        ):
            refused = await ask(running)
        assert refused.status == 502
        assert refused.error["message"] == words.replace("PROXY", f"127.0.0.1:{outside.port}")
        assert_nothing_shows(running, refused)
        assert b"canary%20wrong" not in refused.raw

    run(scenario())


def test_a_proxy_that_is_not_there_is_named_with_the_host(issuer: Issuer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    async def scenario() -> None:
        async with router(1, behind(issuer, f"http://{IN_URL}@127.0.0.1:{port}")) as running:
            refused = await ask(running)
        assert refused.status == 502
        assert refused.error["message"].startswith(
            f"cannot connect to the proxy 127.0.0.1:{port} on the way to {HOST}:443: "
        )
        assert_nothing_shows(running, refused)

    run(scenario())


@pytest.mark.parametrize(
    ("through", "words"),
    [
        ("", f"cannot resolve the name of {HOST}:443: "),
        (
            f"http://{IN_URL}@proxy.test:8080",
            f"cannot resolve the name of the proxy proxy.test:8080 on the way to {HOST}:443: ",
        ),
    ],
)
def test_a_name_that_nobody_knows_is_named(issuer: Issuer, through: str, words: str) -> None:
    """`.test` is reserved: no resolver knows it (RFC 6761)."""

    async def scenario() -> None:
        async with router(1, behind(issuer, through)) as running:
            refused = await ask(running)
        assert refused.status == 502
        assert refused.error["message"].startswith(words)
        assert_nothing_shows(running, refused)

    run(scenario())


def test_a_certificate_behind_a_proxy_is_refused_naming_both(issuer: Issuer, local: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (simulator, port),
            gateway(local, port) as inside,
            proxy({f"{HOST}:443": inside.port}) as outside,
            router(port, behind(issuer, f"http://{IN_URL}@127.0.0.1:{outside.port}")) as running,
        ):
            refused = await ask(running)
            assert refused.status == 502
            assert refused.error["message"] == (
                f"the certificate is not for {HOST}:443 (through the proxy 127.0.0.1:{outside.port}): "
                f"check the address{SET_CA_FILE}"
            )
            assert simulator.received == []
            assert inside.passed == b""
        assert_nothing_shows(running, refused)

    run(scenario())
