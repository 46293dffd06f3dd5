"""The client: one origin, a pool of connections to it, and the clocks of every exchange.

Redirects are answers like any other: nothing is ever sent to another origin.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from cody_oai_router.http1.client_connection import ClientConnection
from cody_oai_router.http1.clock import ExchangeClock
from cody_oai_router.http1.dial import dial
from cody_oai_router.http1.errors import ConnectFailed, ConnectionLost, TimedOut, TLSFailed
from cody_oai_router.http1.incoming import Incoming
from cody_oai_router.http1.limits import ClientLimits
from cody_oai_router.http1.outgoing import Clocks, Origin, Outgoing, Proxy
from cody_oai_router.http1.pool import Pool
from cody_oai_router.http1.proxy import authorization_line, open_tunnel
from cody_oai_router.http1.sweep import Sweep
from cody_oai_router.http1.tls import explain_tls

_BODILESS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"DELETE"})
"""Methods that need no Content-Length when there is no body (RFC 9110 §8.6)."""

_SHUTTING_DOWN: Final = "the router is shutting down"

_NO_SECOND_CLOCK: Final = 3600.0
"""For asyncio's own TLS handshake timeout: ours is the connect clock."""


class Client:
    """Sends requests to one origin. It is made inside the running loop."""

    def __init__(
        self,
        origin: Origin,
        limits: ClientLimits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        if origin.scheme == "https" and tls is None:
            raise ValueError("an https origin needs an SSLContext")
        self.origin = origin
        self._limits = limits or ClientLimits()
        self._tls = tls if origin.scheme == "https" else None
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(self._limits, self._connect)
        self._sweep = Sweep(self._loop, self._pool.check)
        self._where = origin.address + (f" (through the proxy {proxy.address})" if proxy else "")
        self._target_prefix = b""
        self._host_lines = b" HTTP/1.1\r\nHost: %b\r\n" % origin.authority.encode()
        if proxy is not None and origin.scheme == "http":
            self._target_prefix = str(origin).encode()
            self._host_lines += authorization_line(proxy)
        self._closed = False

    async def send(self, outgoing: Outgoing, clocks: Clocks) -> Incoming:
        """Send a request and return its answer as soon as status and headers are there.

        Raises a ClientError. A pooled connection that dies before the first byte of the answer is replaced once. When the
        waiting task is cancelled, the connection is closed at once.
        """
        until = math.inf if clocks.total is None else self._loop.time() + clocks.total
        parts = self._write(outgoing)
        head_only = outgoing.method == b"HEAD"
        connection = self._pool.take_idle() or await self._open(clocks, until)
        incoming = self._begin(connection, parts, ExchangeClock(clocks, self._loop.time(), until), head_only=head_only)
        try:
            await incoming.wait_for_head()
        except ConnectionLost:
            if self._closed or not (incoming.reused and incoming.untouched):
                raise
        else:
            return incoming
        connection = await self._open(clocks, until)
        incoming = self._begin(connection, parts, ExchangeClock(clocks, self._loop.time(), until), head_only=head_only)
        await incoming.wait_for_head()
        return incoming

    async def close(self) -> None:
        """Close every connection; exchanges under way fail."""
        self._closed = True
        self._sweep.stop()
        await self._pool.close(_SHUTTING_DOWN)

    def _begin(
        self,
        connection: ClientConnection,
        parts: Sequence[bytes | bytearray],
        clock: ExchangeClock,
        *,
        head_only: bool,
    ) -> Incoming:
        incoming = Incoming(
            connection,
            self._limits,
            clock,
            where=self._where,
            head_only=head_only,
            reused=connection.reused,
        )
        self._sweep.watch(min(clock.shortest, self._limits.idle))
        connection.send(incoming, parts)
        return incoming

    def _write(self, outgoing: Outgoing) -> list[bytes | bytearray]:
        method, target, headers, body = outgoing
        parts: list[bytes | bytearray] = [body] if isinstance(body, (bytes, bytearray)) else list(body)
        size = sum(map(len, parts))
        length = b"Content-Length: %d\r\n\r\n" % size if size or method not in _BODILESS else b"\r\n"
        head = b"%b %b%b%b%b%b" % (method, self._target_prefix, target, self._host_lines, headers, length)
        return [head, *parts]

    async def _open(self, clocks: Clocks, until: float) -> ClientConnection:
        if self._closed:
            raise ConnectionLost(_SHUTTING_DOWN)
        now = self._loop.time()
        end = min(now + clocks.connect, until)
        try:
            async with asyncio.timeout_at(end):
                return await self._pool.open()
        except TimeoutError:
            if end == until:
                raise TimedOut("total", clocks.total or 0.0, self._where) from None
            raise TimedOut("connect", clocks.connect, self._where) from None

    async def _connect(self) -> ClientConnection:
        origin, proxy = self.origin, self._proxy
        if proxy is None:
            connection = await dial(origin.host, origin.port, origin.address)
        else:
            connection = await dial(proxy.host, proxy.port, f"the proxy {proxy.address} on the way to {origin.address}")
        try:
            if proxy is not None and self._tls is not None:
                await open_tunnel(connection, proxy, origin)
            return await self._wrap(connection)
        except BaseException:
            connection.close()
            raise

    async def _wrap(self, connection: socket.socket) -> ClientConnection:
        tls = self._tls
        try:
            _, protocol = await self._loop.create_connection(
                lambda: ClientConnection(self._pool),
                sock=connection,
                ssl=tls,
                server_hostname=self.origin.host if tls else None,
                ssl_handshake_timeout=_NO_SECOND_CLOCK if tls else None,
            )
        except ssl.SSLError as error:
            raise TLSFailed(explain_tls(error, self._where)) from error
        except OSError as error:
            why = error.strerror or "it was closed"
            raise ConnectFailed(f"the connection to {self._where} broke while it was opened: {why}") from error
        return protocol
