"""TLS to the origin, on every loop: what is trusted, and what the user is told about what is not."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cody_oai_router.http1 import Client, Clocks, ConnectFailed, Origin, Outgoing, TLSFailed, proactor
from cody_oai_router.http1.tls import explain_tls
from http1.certificates import OPENSSL, Authority
from http1.peers import PATIENT, FakeOrigin, FakeSink, Run, Script, answering, get, pulse

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the certificates are made by the openssl command")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(authority: Authority) -> Path:
    return authority.sign("127.0.0.1")


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@asynccontextmanager
async def tls_origin(context: ssl.SSLContext, *scripts: Script) -> AsyncIterator[tuple[FakeOrigin, int]]:
    fake = FakeOrigin(*scripts)
    server = await asyncio.start_server(fake.accept, "127.0.0.1", 0, ssl=context)
    try:
        yield fake, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await fake.stop()


@asynccontextmanager
async def tls_client(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> AsyncIterator[Client]:
    client = Client(Origin("https", host, port), tls=context)
    try:
        yield client
    finally:
        await client.close()


async def refused(certificate: Path, context: ssl.SSLContext, host: str = "127.0.0.1") -> str:
    """The message for an origin with this certificate; not one byte of a request may reach it."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the origin's side of a failed handshake
    async with tls_origin(server_context(certificate), answering(OK)) as (fake, port):
        async with tls_client(port, context, host) as client:
            with pytest.raises(TLSFailed) as caught:
                await client.send(get(), PATIENT)
        assert fake.connections == 0
        return caught.value.message.replace(str(port), "PORT")


CA_FILE = "; if your company intercepts TLS or runs its own CA, set CA_FILE to that CA's certificate (PEM)"


def test_a_trusted_origin_is_used(run: Run, authority: Authority, good: Path) -> None:
    async def main() -> None:
        async with tls_origin(server_context(good), answering(OK, OK)) as (fake, port):
            async with tls_client(port, trusting(authority.certificate)) as client:
                for reused in (False, True):
                    incoming = await client.send(get(), PATIENT)
                    assert (await incoming.read(10), incoming.reused) == (b"ok", reused)
            assert fake.connections == 1

    run(main())


def test_an_unknown_ca(run: Run, good: Path) -> None:
    async def main() -> None:
        message = await refused(good, ssl.create_default_context())
        assert message == "the certificate of 127.0.0.1:PORT is from a CA that is not trusted here" + CA_FILE

    run(main())


def test_a_self_signed_certificate(run: Run, authority: Authority, tmp_path: Path) -> None:
    async def main() -> None:
        both = tmp_path / "both.pem"
        both.write_text((authority.certificate.with_suffix(".key")).read_text() + authority.certificate.read_text())
        message = await refused(both, ssl.create_default_context())
        assert message == (
            "the certificate of 127.0.0.1:PORT is self-signed or from a private CA and not trusted here" + CA_FILE
        )

    run(main())


def test_a_wrong_name(run: Run, authority: Authority, good: Path) -> None:
    async def main() -> None:
        message = await refused(good, trusting(authority.certificate), "localhost")
        assert message == "the certificate is not for localhost:PORT: check the address" + CA_FILE

    run(main())


def test_an_expired_certificate(run: Run, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> None:
    expired = Authority(tmp_path_factory.mktemp("expired"))
    certificate = expired.sign("127.0.0.1", expired=True)

    async def main() -> None:
        message = await refused(certificate, trusting(expired.certificate))
        assert message == (
            "the certificate of 127.0.0.1:PORT has expired: its owner must renew it (or this machine's clock is wrong)"
        )

    assert authority.certificate != expired.certificate
    run(main())


def test_a_port_without_tls(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()

        fake = FakeOrigin(plain)
        server = await asyncio.start_server(fake.accept, "127.0.0.1", 0)
        async with server, tls_client(server.sockets[0].getsockname()[1], trusting(authority.certificate)) as client:
            with pytest.raises(TLSFailed, match="does not speak TLS on this port"):
                await client.send(get(), PATIENT)
        await fake.stop()

    run(main())


def test_an_origin_that_closes_in_the_handshake(run: Run, authority: Authority) -> None:
    async def main() -> None:
        fake = FakeOrigin(hangs_up)
        server = await asyncio.start_server(fake.accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, tls_client(port, trusting(authority.certificate)) as client:
            with pytest.raises((ConnectFailed, TLSFailed), match=f"127.0.0.1:{port}"):
                await client.send(get(), PATIENT)
        await fake.stop()

    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    run(main())


def demand_certificate(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Shake hands once as OpenSSL does it, alert included: asyncio's own server closes without sending it."""
    accepted, _ = listener.accept()
    with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as connection:
        try:
            connection.do_handshake()
        except ssl.SSLError:
            with socket.socket(fileno=connection.detach()) as plain:
                while plain.recv(65536):
                    pass
            return
        connection.recv(65536)
        connection.sendall(OK)


def test_a_client_certificate_that_is_missing_and_one_that_is_there(run: Run, authority: Authority, good: Path) -> None:
    context = server_context(good)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.certificate)

    async def main() -> None:
        own = trusting(authority.certificate)
        own.load_cert_chain(good)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            served = asyncio.ensure_future(asyncio.to_thread(demand_certificate, listener, context))
            async with tls_client(port, trusting(authority.certificate)) as client:
                with pytest.raises(TLSFailed, match="it may require a client certificate"):
                    await client.send(get(), PATIENT)
            await served
            served = asyncio.ensure_future(asyncio.to_thread(demand_certificate, listener, context))
            async with tls_client(port, own) as client:
                assert await (await client.send(get(), PATIENT)).read(10) == b"ok"
            await served

    run(main())


@pytest.mark.parametrize("sliced", [False, True])
def test_a_large_request_over_tls(
    run: Run, authority: Authority, good: Path, monkeypatch: pytest.MonkeyPatch, sliced: bool
) -> None:
    monkeypatch.setattr(proactor, "PROACTOR", sliced)
    parts = [b"a" * 700_000, bytes(range(256)) * 8_000]

    async def main() -> None:
        received: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(2):
                await reader.readuntil(b"\r\n\r\n")
                received.append(await reader.readexactly(sum(map(len, parts))))
                writer.write(OK)
            await reader.read()

        async with (
            tls_origin(server_context(good), script) as (_, port),
            tls_client(port, trusting(authority.certificate)) as client,
        ):
            for _ in range(2):
                assert await (await client.send(Outgoing(b"POST", b"/", b"", parts), PATIENT)).read(10) == b"ok"
        assert received == [b"".join(parts)] * 2

    run(main())


def test_back_pressure_and_the_end_of_a_stream_over_tls(run: Run, authority: Authority, good: Path) -> None:
    async def main() -> None:
        async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(200):
                writer.write(b"x" * 100_000)
                await writer.drain()

        trust = trusting(authority.certificate)
        async with (
            tls_origin(server_context(good), large) as (_, port),
            tls_client(port, trust) as client,
            pulse() as heart,
        ):
            incoming = await client.send(get(), Clocks(20, 20, 20))
            sink = FakeSink()
            incoming.attach(sink)
            await sink.came.wait()
            incoming.pause()
            size = len(sink.body)
            await heart.beat(times=20)
            assert len(sink.body) == size
            assert not sink.end.done()
            incoming.resume()
            assert not await sink.end
            assert len(sink.body) == 20_000_000

    run(main())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "is not valid yet: check this machine's clock"),
        (64, "is not for h:1"),
        (23, "is not trusted (revoked)"),
        (-67819, "is not valid yet"),
        (-67818, "has expired"),
        (0x800B0101, "has expired"),
        (-67843, "is from a CA that is not trusted here"),
        (0x800B0109, "is from a CA that is not trusted here"),
        (-67602, "is not for h:1"),
        (0x800B010F, "is not for h:1"),
    ],
)
def test_rarer_refusals(code: int, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_code = code
    error.verify_message = "revoked"
    assert words in explain_tls(error, "h:1")


def test_a_judge_that_gives_no_code() -> None:
    words = explain_tls(ssl.SSLCertVerificationError("Peer sent no certificates"), "h:1")
    assert words.startswith("the certificate of h:1 is not trusted (Peer sent no certificates")


def test_a_failure_without_a_name() -> None:
    assert explain_tls(ssl.SSLError(1, "x"), "h:1") == "the TLS handshake with h:1 failed (no reason given)"
