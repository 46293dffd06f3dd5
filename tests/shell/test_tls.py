"""The context that verifies Sourcegraph, on every loop: who is trusted, what is said of the others, and that they get nothing."""

import asyncio
import gc
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cody_oai_router.cli.sources import read_named_file
from cody_oai_router.http1 import Client, Clocks, Origin, Outgoing, TLSFailed
from cody_oai_router.reading import Source
from cody_oai_router.settings import Settings, read_settings
from cody_oai_router.shell import tls
from http1.certificates import OPENSSL
from shell.certificates import Issuer, encrypted

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the certificates are made by the openssl command")
# Where the system judges, the authorities of these tests are nobody's.
OPENSSL_JUDGES = pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="here the system judges certificates")

PATIENT = Clocks(connect=20, first_byte=20, idle=20)
CA_FILE = "if your company intercepts TLS or runs its own CA, set CA_FILE to that CA's certificate (PEM)"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", *(["uvloop"] if sys.platform != "win32" else [])])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine to its end on one of the loops that we ship."""

    def run_on_loop(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=loop_factory(request.param)) as runner:
            runner.run(asyncio.wait_for(main, 20))
            gc.collect()

    return run_on_loop


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - not there on Windows

    return uvloop.new_event_loop


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def good(issuer: Issuer) -> Path:
    return issuer.sign("localhost")


def settings(**variables: object) -> Settings:
    values = {"SOURCEGRAPH_API_TOKEN": "sgp_canary", "SOURCEGRAPH_BASE_URL": "https://sg.example.com"}
    values |= {name: str(value) for name, value in variables.items()}
    found = read_settings([Source("environment", "the environment", values)], read_named_file)
    assert isinstance(found, Settings), found
    return found


class Origins:
    """A TLS server that answers `ok`, and keeps every byte that reaches it in clear and who sent it."""

    def __init__(self) -> None:
        self.port = 0
        self.got = b""
        self.shown: list[Any] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.shown.append(writer.get_extra_info("peercert"))
        while data := await reader.read(65536):
            self.got += data
            writer.write(OK)
        writer.close()


@asynccontextmanager
async def origin(certificate: Path, *, demands: Path | None = None) -> AsyncIterator[Origins]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(demands)
    # The server's side of a handshake that the client breaks off is reported to the loop.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    there = Origins()
    server = await asyncio.start_server(there.accept, "127.0.0.1", 0, ssl=context)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()


async def ask(there: Origins, context: ssl.SSLContext, host: str = "localhost") -> str:
    """Sends a request with a token; gives the body, or the refusal."""
    client = Client(Origin("https", host, there.port), tls=context)
    try:
        incoming = await client.send(Outgoing(b"GET", b"/", b"authorization: token sgp_canary\r\n"), PATIENT)
        return (await incoming.read(100)).decode()
    except TLSFailed as error:
        return error.message.replace(str(there.port), "PORT")
    finally:
        await client.close()


def test_the_authority_of_ca_file_is_trusted(run: Run, issuer: Issuer, good: Path) -> None:
    async def main() -> None:
        async with origin(good) as there:
            assert await ask(there, tls.client_context(settings(CA_FILE=issuer.certificate))) == "ok"
            assert b"authorization: token sgp_canary\r\n" in there.got

    run(main())


def test_an_intermediate_authority_can_be_named(run: Run, issuer: Issuer, tmp_path: Path) -> None:
    below = issuer.intermediate(tmp_path)

    async def main() -> None:
        async with origin(below.sign("localhost")) as there:
            assert await ask(there, tls.client_context(settings(CA_FILE=below.certificate))) == "ok"

    run(main())


@pytest.fixture(scope="module")
def refused(issuer: Issuer, other: Issuer) -> dict[str, Path]:
    """What a server may show that is not to be trusted by who trusts the issuer."""
    return {
        "wrong name": issuer.sign("elsewhere.example"),
        "unknown authority": other.sign("localhost"),
        "self-signed": other.itself,
        "expired": issuer.issue("localhost", start="20200101000000Z", end="20210101000000Z"),
        "not yet valid": issuer.issue("localhost", start="20590101000000Z", end="20600101000000Z"),
    }


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        ("wrong name", f"the certificate is not for localhost:PORT: check the address; {CA_FILE}"),
        ("unknown authority", f"the certificate of localhost:PORT is from a CA that is not trusted here; {CA_FILE}"),
        (
            "self-signed",
            f"the certificate of localhost:PORT is self-signed or from a private CA and not trusted here; {CA_FILE}",
        ),
        (
            "expired",
            "the certificate of localhost:PORT has expired: its owner must renew it (or this machine's clock is wrong)",
        ),
        ("not yet valid", "the certificate of localhost:PORT is not valid yet: check this machine's clock"),
    ],
)
def test_a_certificate_that_is_refused_gets_nothing(
    run: Run, issuer: Issuer, refused: dict[str, Path], certificate: str, message: str
) -> None:
    async def main() -> None:
        async with origin(refused[certificate]) as there:
            assert await ask(there, tls.client_context(settings(CA_FILE=issuer.certificate))) == message
            assert there.got == b""

    run(main())


@OPENSSL_JUDGES
def test_without_ca_file_the_systems_authorities_are_trusted(
    run: Run, issuer: Issuer, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenSSL itself takes this variable for the place of the system's authorities.
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer.certificate))

    async def main() -> None:
        async with origin(good) as there:
            assert await ask(there, tls.client_context(settings())) == "ok"

    run(main())


def _nothing_known(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(nowhere / "file"))
    monkeypatch.setenv("SSL_CERT_DIR", str(nowhere))


@OPENSSL_JUDGES
def test_authorities_are_found_where_the_distribution_keeps_them(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _nothing_known(monkeypatch, tmp_path)
    monkeypatch.setattr(tls, "_BUNDLES", (str(tmp_path / "none"), str(issuer.certificate)))
    assert tls.client_context(settings()).cert_store_stats()["x509_ca"] == 1


@OPENSSL_JUDGES
def test_a_folder_of_authorities_is_enough(
    run: Run, issuer: Issuer, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _nothing_known(monkeypatch, tmp_path)
    monkeypatch.setattr(tls, "_BUNDLES", ())
    (tmp_path / "README").touch()
    with pytest.raises(OSError, match="no certificates of authorities"):
        tls.client_context(settings())
    (tmp_path / f"{issuer.hashed}.0").write_text(issuer.certificate.read_text())

    async def main() -> None:
        async with origin(good) as there:
            assert await ask(there, tls.client_context(settings())) == "ok"

    run(main())


@OPENSSL_JUDGES
def test_an_executable_carries_authorities_for_a_machine_that_has_none(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _nothing_known(monkeypatch, tmp_path / "nowhere")
    monkeypatch.setattr(tls, "_BUNDLES", ())
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    (tmp_path / "cacert.pem").write_text(issuer.certificate.read_text())
    assert [found["subject"] for found in tls.client_context(settings()).get_ca_certs()] == [
        ((("commonName", "Test CA"),),)
    ]


@OPENSSL_JUDGES
def test_a_machine_without_authorities_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _nothing_known(monkeypatch, tmp_path)
    monkeypatch.setattr(tls, "_BUNDLES", ())
    with pytest.raises(OSError, match="no certificates of authorities") as caught:
        tls.client_context(settings())
    assert str(caught.value) == (
        "this machine has no certificates of authorities to verify Sourcegraph by: install the package ca-certificates, or "
        "set CA_FILE"
    )


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_windows_and_macos_judge_themselves(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    truststore = pytest.importorskip("truststore")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", system)
        context = tls.client_context(settings())
    assert type(context) is truststore.SSLContext
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@OPENSSL_JUDGES
def test_a_judgement_after_the_handshake_still_comes_before_the_first_byte(
    run: Run, issuer: Issuer, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, truststore asks the system once the handshake is through; a loop that shakes hands past it would not be told."""
    pytest.importorskip("truststore")
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer.certificate))
    asked: list[str | None] = []

    def judge(_: ssl.SSLContext, chain: list[bytes], server_hostname: str | None = None) -> None:
        asked.append(server_hostname)
        assert len(chain) == 1
        error = ssl.SSLCertVerificationError("revoked")
        error.verify_message, error.verify_code = "revoked", 23
        raise error

    async def main() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "platform", "win32")
            context = tls.client_context(settings())
        async with origin(good) as there:
            assert await ask(there, context) == "ok"
            there.got = b""
            monkeypatch.setattr(sys.modules["truststore._api"], "_verify_peercerts_impl", judge)
            refusal = f"the certificate of localhost:PORT is not trusted (revoked); {CA_FILE}"
            assert (await ask(there, context), asked, there.got) == (refusal, ["localhost"], b"")

    run(main())


@pytest.mark.parametrize("named", [True, False])
def test_keys_of_sessions_are_not_given_away(
    run: Run, issuer: Issuer, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, named: bool
) -> None:
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    monkeypatch.setenv("SSL_CERT_FILE", str(issuer.certificate))

    async def main() -> None:
        context = tls.client_context(settings(CA_FILE=issuer.certificate) if named else settings())
        async with origin(good) as there:
            await ask(there, context)

    run(main())
    assert not keys.exists()
    assert "SSLKEYLOGFILE" not in os.environ


def test_old_versions_of_tls_are_not_spoken(issuer: Issuer) -> None:
    context = tls.client_context(settings(CA_FILE=issuer.certificate))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_client_certificate_is_shown_where_it_is_asked_for(run: Run, issuer: Issuer, good: Path) -> None:
    key = encrypted(good, "canary password")
    alone = good.with_name("certificate")
    identities: list[dict[str, object]] = [
        {"CLIENT_CERT_FILE": good},
        {"CLIENT_CERT_FILE": alone, "CLIENT_KEY_FILE": good.with_name("key")},
        {"CLIENT_CERT_FILE": alone, "CLIENT_KEY_FILE": key, "CLIENT_KEY_PASSWORD": "canary password"},
    ]

    async def main() -> None:
        async with origin(good, demands=issuer.certificate) as there:
            for identity in identities:
                context = tls.client_context(settings(CA_FILE=issuer.certificate, **identity))
                assert await ask(there, context) == "ok"
            assert [shown["subject"] for shown in there.shown] == [((("commonName", "localhost"),),)] * 3

    run(main())


def test_files_that_cannot_be_used_refuse_the_start(issuer: Issuer, other: Issuer, good: Path, tmp_path: Path) -> None:
    key = encrypted(good, "canary password")
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    strange = other.sign("strange.example").with_name("key")

    def refusal(**variables: object) -> str:
        with pytest.raises(OSError, match=r"\.") as caught:
            tls.client_context(settings(**{"CA_FILE": issuer.certificate} | variables))
        return str(caught.value)

    def unusable(key: Path) -> str:
        return (
            f"the certificate in {good} or the key in {key} cannot be used: set CLIENT_KEY_PASSWORD if the key is "
            "encrypted, and correct it if it is set"
        )

    assert refusal(CA_FILE=broken) == f"CA_FILE (or SSL_CERT_FILE): {broken} holds no certificate that OpenSSL can read"
    assert refusal(CLIENT_CERT_FILE=good, CLIENT_KEY_FILE=strange) == (
        f"the key in {strange} is not that of the CLIENT_CERT_FILE"
    )
    assert refusal(CLIENT_CERT_FILE=good, CLIENT_KEY_FILE=key) == unusable(key)
    wrong = refusal(CLIENT_CERT_FILE=good, CLIENT_KEY_FILE=key, CLIENT_KEY_PASSWORD="wrong canary")
    assert wrong == unusable(key)
    assert refusal(CLIENT_CERT_FILE=issuer.certificate) == unusable(issuer.certificate).replace(
        str(good), str(issuer.certificate)
    )
