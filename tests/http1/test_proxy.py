"""Requests through an HTTP proxy: what it is asked, and what the user is told when it refuses."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cody_oai_router.http1 import Client, ConnectFailed, Origin, Proxy, ProxyFailed
from cody_oai_router.http1.dial import dial
from cody_oai_router.http1.proxy import open_tunnel
from http1.certificates import OPENSSL, Authority
from http1.peers import PATIENT, FakeOrigin, Run, Script, answering, closing_after, get, origin, request_head
from http1.test_tls import server_context, tls_origin, trusting

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CANARY = "user:canary-pass"
SET_THEM = "set them in its address, http://user:password@host:port"


@asynccontextmanager
async def through(port: int, target: Origin, credentials: str | None = None, **more: object) -> AsyncIterator[Client]:
    client = Client(target, proxy=Proxy("127.0.0.1", port, credentials), **more)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


def tunnelling(asked: list[bytes], port: int) -> Script:
    """A proxy that keeps what it is asked and connects to a port of this machine."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await request_head(reader))
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        try:
            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
        finally:
            there_writer.transport.abort()
            await there_writer.wait_closed()

    return script


@pytest.mark.skipif(OPENSSL is None, reason="the certificates are made by the openssl command")
def test_an_https_origin_is_reached_through_a_tunnel(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    certificate = authority.sign("sourcegraph.example")

    async def main() -> None:
        asked: list[bytes] = []
        async with tls_origin(server_context(certificate), answering(OK, OK)) as (fake, port):
            async with origin(tunnelling(asked, port)) as (_, proxy_port):
                target = Origin("https", "sourcegraph.example", 443)
                async with through(proxy_port, target, CANARY, tls=trusting(authority.certificate)) as client:
                    for _ in range(2):
                        assert await (await client.send(get(), PATIENT)).read(10) == b"ok"
            assert fake.connections == 1
        credentials = base64.b64encode(CANARY.encode())
        assert asked == [
            b"CONNECT sourcegraph.example:443 HTTP/1.1\r\nHost: sourcegraph.example:443\r\n"
            b"Proxy-Authorization: Basic " + credentials + b"\r\n\r\n"
        ]

    run(main())


def test_an_http_origin_is_asked_for_in_absolute_form(run: Run) -> None:
    async def main() -> None:
        asked: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await request_head(reader))
            writer.write(OK)
            await reader.read()

        async with origin(script) as (_, port), through(port, Origin("http", "a.example", 8080), CANARY) as client:
            assert await (await client.send(get(b"/x?y=z"), PATIENT)).read(10) == b"ok"
        assert asked == [
            b"GET http://a.example:8080/x?y=z HTTP/1.1\r\nHost: a.example:8080\r\n"
            b"Proxy-Authorization: Basic " + base64.b64encode(CANARY.encode()) + b"\r\nAccept: */*\r\n\r\n"
        ]

    run(main())


@pytest.mark.parametrize(
    ("answer", "credentials", "words"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            None,
            "the proxy PROXY on the way to a.example:443 wants credentials: " + SET_THEM,
        ),
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            CANARY,
            "the proxy PROXY on the way to a.example:443 did not accept the credentials: " + SET_THEM,
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", CANARY, "the proxy PROXY refused to connect to a.example:443: 403"),
        (b"SOCKS\r\n\r\n", CANARY, "the proxy PROXY does not answer in HTTP: it does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n\r\nHello", None, "the proxy PROXY sent something in front of the TLS connection"),
        (b"HTTP/1.1 200 OK\r\n", None, "the proxy PROXY gave no proper answer to CONNECT a.example:443"),
        (
            b"HTTP/1.1 200 OK\r\n" + b"x" * 20_000,
            None,
            "the proxy PROXY gave no proper answer to CONNECT a.example:443",
        ),
    ],
)
def test_a_proxy_that_refuses(run: Run, answer: bytes, credentials: str | None, words: str) -> None:
    async def main() -> None:
        async with origin(closing_after(answer)) as (_, port):
            proxy = Proxy("127.0.0.1", port, credentials)
            with await dial("127.0.0.1", port, "it") as connection, pytest.raises(ProxyFailed) as caught:
                await open_tunnel(connection, proxy, Origin("https", "a.example", 443))
            assert caught.value.message == words.replace("PROXY", proxy.address)

    run(main())


def test_a_proxy_that_resets(run: Run) -> None:
    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async def main() -> None:
        async with origin(resets) as (_, port):
            with await dial("127.0.0.1", port, "it") as connection, pytest.raises(ProxyFailed) as caught:
                await open_tunnel(connection, Proxy("127.0.0.1", port), Origin("https", "a" * 60, 443))
            assert caught.value.message.startswith(f"the proxy 127.0.0.1:{port} ")

    run(main())


def test_a_proxy_that_is_not_there_is_named(run: Run) -> None:
    async def main() -> None:
        async with origin(closing_after(b"")) as (_, port):
            pass
        async with through(port, Origin("http", "a.example", 80), CANARY) as client:
            with pytest.raises(ConnectFailed) as caught:
                await client.send(get(), PATIENT)
            assert caught.value.message == (
                f"cannot connect to the proxy 127.0.0.1:{port} on the way to a.example:80: Connection refused"
            )

    run(main())


def test_failures_behind_a_proxy_name_both(run: Run) -> None:
    async def main() -> None:
        fake = FakeOrigin(closing_after(b""))
        server = await asyncio.start_server(fake.accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, through(port, Origin("http", "a.example", 80)) as client:
            with pytest.raises(Exception, match=f"^a.example:80 \\(through the proxy 127.0.0.1:{port}\\) closed"):
                await client.send(get(), PATIENT)
        await fake.stop()

    run(main())
