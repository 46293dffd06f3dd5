"""The server: listening sockets, the connections that came of them, and the tasks that answer.

`stop` ends listening and idle connections, `drain` waits for what is being answered, `close` ends the rest.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Final, Protocol

from cody_oai_router.http1.limits import ByteBudget, ServerLimits
from cody_oai_router.http1.messages import DateLine, Request, Response
from cody_oai_router.http1.server_connection import ServerConnection
from cody_oai_router.http1.server_exchange import ServerExchange
from cody_oai_router.http1.sweep import Sweep

_BACKLOG: Final = 1024
"""Connections that wait in the system to be accepted: enough for a burst of as many clients as there may be."""


class Application(Protocol):
    """What answers the requests."""

    def admit(self, request: Request) -> Response | None:
        """Judge a head before any byte of its body is read; a Response refuses the request."""
        ...

    def malformed(self, status: int, reason: str, request: Request | None) -> Response:
        """Return the answer to what is no acceptable HTTP: 400, 408, 413, 417, 431, 501, 503 or 505.

        `request` is its head, where that could be read.
        """
        ...

    def failed(self, request: Request, error: BaseException | None) -> Response:
        """Return the answer for a handler that raised `error`, or that returned without an answer."""
        ...

    async def handle(self, request: Request, exchange: ServerExchange) -> None:
        """Answer the request through the exchange."""
        ...


class Connection(Protocol):
    """What the server knows of a connection, whatever it is doing."""

    def check(self, now: float) -> None:
        """Look at the clocks."""

    def shut_if_idle(self) -> None:
        """Close unless busy."""

    def abort(self) -> None:
        """Close at once."""


class Server:
    """Serves one application on any number of addresses, within limits. It is made inside the running loop."""

    def __init__(
        self,
        application: Application,
        limits: ServerLimits | None = None,
        *,
        product: bytes = b"",
        budget: ByteBudget | None = None,
    ) -> None:
        self._application = application
        self.limits = limits or ServerLimits()
        self.budget = budget or ByteBudget(self.limits.buffered_bytes)
        self.date = DateLine(product)
        self.stopping = False
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._listeners: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_closed: asyncio.Future[None] | None = None
        self._sweep = Sweep(self._loop, self._look)
        times = self.limits
        self._shortest = min(
            times.head_time, times.body_silence, times.keep_alive, times.write_stall, times.linger_silence
        )

    async def start(self, host: str, port: int, *, reuse_port: bool = False) -> list[tuple[str, int]]:
        """Listen on every address of `host`; the result is these addresses. Raises OSError.

        Port 0 lets the system choose; a name with several addresses then gets the same port on all of them.
        """
        found = await self._loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        addresses: list[tuple[str, int]] = []
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            bound = (address[0], addresses[0][1] if addresses else address[1], *address[2:])
            listener = _bind(family, bound, reuse_port=reuse_port)
            addresses.append(listener.getsockname()[:2])
            self._listeners.append(
                await self._loop.create_server(lambda: ServerConnection(self), sock=listener, backlog=_BACKLOG)
            )
        return addresses

    def stop(self) -> None:
        """Stop listening and close idle connections; what is being received or answered goes on."""
        self.stopping = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for connection in list(self._connections):
            connection.shut_if_idle()

    async def drain(self, grace: float) -> bool:
        """Wait until nothing is being answered, at most `grace` seconds; the result says whether that came true."""
        end = self._loop.time() + grace
        while self._tasks and (left := end - self._loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        return not self._tasks

    async def close(self) -> None:
        """Close everything at once; handlers still at work are cancelled and awaited."""
        self.stop()
        for connection in list(self._connections):
            connection.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._connections:
            self._all_closed = self._loop.create_future()
            await self._all_closed
        self._sweep.stop()

    # The connections call.

    def surplus(self) -> int:
        """Count the connections beyond the limit, with one more; negative while there is room."""
        return len(self._connections) + 1 - self.limits.connections

    def track(self, connection: Connection) -> None:
        """Look after a connection from now on."""
        self._connections.add(connection)
        self._sweep.watch(self._shortest)

    def untrack(self, connection: Connection) -> None:
        """Forget a connection that is closed, or has handed over to another one."""
        self._connections.discard(connection)
        if self._all_closed is not None and not self._connections and not self._all_closed.done():
            self._all_closed.set_result(None)

    def admit(self, request: Request) -> Response | None:
        """Ask the application whether it takes this request."""
        try:
            return self._application.admit(request)
        except Exception as error:  # noqa: BLE001 - a fault in the guard must refuse, whatever it is
            return self._application.failed(request, error)

    def malformed(self, status: int, reason: str, request: Request | None) -> Response:
        """Ask the application for the answer to what is no acceptable HTTP."""
        return self._application.malformed(status, reason, request)

    def handle(self, request: Request, exchange: ServerExchange) -> None:
        """Start the handler."""
        exchange.task = task = self._loop.create_task(self._handle(request, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, request: Request, exchange: ServerExchange) -> None:
        try:
            try:
                await self._application.handle(request, exchange)
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
                self._make_up(request, exchange, error)
            else:
                if not exchange.ended:
                    self._make_up(request, exchange, None)
        finally:
            exchange.drop()

    def _make_up(self, request: Request, exchange: ServerExchange, problem: Exception | None) -> None:
        """Answer in the place of a handler that did not."""
        response = self._application.failed(request, problem)
        if exchange.started:
            exchange.abort()
        else:
            exchange.respond(response)

    def _look(self, now: float) -> bool:
        for connection in list(self._connections):
            connection.check(now)
        return bool(self._connections)


def _bind(family: int, address: tuple[object, ...], *, reuse_port: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # There SO_REUSEADDR would let another program take over our port, and with it our clients' prompts.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
