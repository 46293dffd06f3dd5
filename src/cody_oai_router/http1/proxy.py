"""How an HTTP proxy is asked: a CONNECT tunnel for https origins, a header for http ones."""

import asyncio
import base64
import socket
from http import HTTPStatus
from typing import Final

from cody_oai_router.http1.errors import ProxyFailed
from cody_oai_router.http1.heads import Refusal, read_response_head
from cody_oai_router.http1.outgoing import Origin, Proxy

_MAX_HEAD: Final = 16 * 1024
_MAX_HEADERS: Final = 100
_SUCCESSFUL: Final = 2


def authorization_line(proxy: Proxy) -> bytes:
    """Return the header line that carries the credentials, empty without any."""
    if proxy.credentials is None:
        return b""
    return b"Proxy-Authorization: Basic " + base64.b64encode(proxy.credentials.encode()) + b"\r\n"


async def open_tunnel(connection: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Ask the proxy for a tunnel to the origin; raises ProxyFailed, which never shows the credentials."""
    loop = asyncio.get_running_loop()
    address = origin.address.encode()
    line = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (address, address)
    head = b""
    try:
        await loop.sock_sendall(connection, line + authorization_line(proxy) + b"\r\n")
        while b"\r\n\r\n" not in head:
            data = await loop.sock_recv(connection, _MAX_HEAD)
            if not data or len(head) + len(data) > _MAX_HEAD:
                raise ProxyFailed(f"the proxy {proxy.address} gave no proper answer to CONNECT {origin.address}")
            head += data
    except OSError as error:
        raise ProxyFailed(f"the proxy {proxy.address} closed the connection ({error.strerror})") from error
    _judge(head, proxy, origin)


def _judge(head: bytes, proxy: Proxy, origin: Origin) -> None:
    end = head.index(b"\r\n\r\n") + 4
    response = read_response_head(head[:end], _MAX_HEADERS)
    if isinstance(response, Refusal):
        raise ProxyFailed(f"the proxy {proxy.address} does not answer in HTTP: {response.reason}")
    if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        need = "did not accept the credentials" if proxy.credentials else "wants credentials"
        raise ProxyFailed(
            f"the proxy {proxy.address} on the way to {origin.address} {need}: set them in its address, "
            "http://user:password@host:port"
        )
    if response.status // 100 != _SUCCESSFUL:
        raise ProxyFailed(f"the proxy {proxy.address} refused to connect to {origin.address}: {response.status}")
    if len(head) > end:
        raise ProxyFailed(f"the proxy {proxy.address} sent something in front of the TLS connection")
