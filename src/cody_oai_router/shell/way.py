"""Walks the way to the instance step by step, with the client's own steps, so that each can be named when it fails.

No request is sent: neither the token nor anything else of the user's leaves by this way, but the proxy's credentials to the proxy.
"""

import asyncio
import socket
import ssl
from typing import cast

from cody_oai_router.checkup.certificate import Issuer, read_issuer
from cody_oai_router.checkup.check import Check
from cody_oai_router.checkup.way import (
    judge_addresses,
    judge_connected,
    judge_plain,
    judge_proxy,
    judge_refused_by_proxy,
    judge_trusted,
    judge_unconnected,
    judge_unresolved,
    judge_untrusted,
)
from cody_oai_router.http1 import ClientError
from cody_oai_router.http1.dial import dial
from cody_oai_router.http1.proxy import open_tunnel
from cody_oai_router.http1.tls import explain_tls, lacks_authority
from cody_oai_router.settings import Settings
from cody_oai_router.shell.tls import client_context
from cody_oai_router.shell.upstream_client import upstream_origin, upstream_proxy


class Way:
    """The way to one instance; each step begins where the one before has ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._origin = upstream_origin(settings)
        self._proxy = upstream_proxy(settings)
        self._near = self._proxy or self._origin
        self._connection: socket.socket | None = None

    async def dns(self) -> Check:
        """Looks the first name up."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._near.host, self._near.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            return judge_unresolved(self._settings, getattr(error, "strerror", None) or str(error))
        return judge_addresses(self._settings, list(dict.fromkeys(str(address[0]) for *_, address in found)))

    async def connection(self) -> Check:
        """Connects to the proxy, or to the instance where there is none."""
        try:
            self._connection = await dial(self._near.host, self._near.port, self._near.address)
        except ClientError as error:
            return judge_unconnected(self._settings, error.message)
        return judge_connected(self._settings, self._near.address)

    async def proxy(self) -> Check:
        """Has the proxy connect to the instance."""
        if self._proxy is not None and self._connection is not None:
            try:
                await open_tunnel(self._connection, self._proxy, self._origin)
            except ClientError as error:
                return judge_refused_by_proxy(self._settings, error.message)
        return judge_proxy(self._settings)

    async def tls(self) -> Check:
        """Has the instance show its certificate, and verifies it as the router does."""
        if self._origin.scheme == "http" or self._connection is None:
            return judge_plain(self._settings)
        try:
            context = client_context(self._settings)
        except OSError as error:
            return Check("tls", "failed", str(error))
        connection, self._connection = self._connection, None
        try:
            certificate, version = await self._shake_hands(connection, context)
        except ssl.SSLCertVerificationError as error:
            why, issuer = explain_tls(error, self._origin.address), await self._issuer()
            return judge_untrusted(self._settings, why, issuer, signer=lacks_authority(error))
        except ssl.SSLError as error:
            return Check("tls", "failed", explain_tls(error, self._origin.address))
        except OSError as error:
            return Check(
                "tls", "failed", f"{self._origin.address} broke the TLS handshake off: {error.strerror or error}"
            )
        return judge_trusted(self._settings, read_issuer(certificate), version)

    def close(self) -> None:
        """Ends the way."""
        if self._connection is not None:
            self._connection.close()

    async def _shake_hands(self, connection: socket.socket, context: ssl.SSLContext) -> tuple[bytes, str]:
        """Gives the certificate (DER) and the version of TLS; the connection is closed in any case."""
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, sock=connection, ssl=context, server_hostname=self._origin.host
            )
        except BaseException:
            connection.close()
            raise
        tls = cast("ssl.SSLObject", transport.get_extra_info("ssl_object"))
        certificate, version = tls.getpeercert(binary_form=True), tls.version()
        transport.abort()
        return certificate or b"", version or "TLS"

    async def _issuer(self) -> Issuer | None:
        """Looks at a certificate that was refused, on a connection of its own that nothing is ever sent on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            connection = await dial(self._near.host, self._near.port, self._near.address)
            if self._proxy is not None:
                await open_tunnel(connection, self._proxy, self._origin)
            certificate, _ = await self._shake_hands(connection, context)
        except (ClientError, OSError):
            return None
        return read_issuer(certificate)
