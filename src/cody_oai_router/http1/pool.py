"""The connections to one origin: the one used last is used next, idle ones expire, and who must wait waits in line."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import time

from cody_oai_router.http1.client_connection import ClientConnection
from cody_oai_router.http1.errors import ConnectionLost
from cody_oai_router.http1.limits import ClientLimits


class Pool:
    """Hands out connections, at most `limits.connections` at a time."""

    def __init__(self, limits: ClientLimits, connect: Callable[[], Awaitable[ClientConnection]]) -> None:
        self._limits = limits
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._live: set[ClientConnection] = set()
        self._idle: deque[ClientConnection] = deque()
        self._opening = 0
        self._waiting: deque[asyncio.Future[ClientConnection | None]] = deque()
        self._unclosed: set[ClientConnection] = set()
        self._all_closed: asyncio.Future[None] | None = None
        self._closed_because: str | None = None

    def take_idle(self) -> ClientConnection | None:
        """Return the connection that was used last, if one is idle."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open() and not self._is_stale(connection):
                return connection
            connection.drop()
        return None

    async def open(self) -> ClientConnection:
        """Return a new connection; when there are too many, wait in line for one, new or just released."""
        if self._is_full() and self._idle:  # they were just found wanting: make room
            self._idle[0].drop()
        if self._is_full():
            released = await self._wait_in_line()
            if released is not None:
                return released
        else:
            self._opening += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._opening -= 1
            self._wake()
            raise
        self._opening -= 1
        self._live.add(connection)
        self._unclosed.add(connection)
        if self._closed_because is not None:
            connection.drop()
            raise ConnectionLost(self._closed_because)
        return connection

    def release(self, connection: ClientConnection) -> None:
        """Take back a connection after a complete exchange."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = self._loop.time()
        connection.idle_since_wall = time()
        self._idle.append(connection)

    def discard(self, connection: ClientConnection) -> None:
        """Forget a connection that is closed or closing; its place goes to the first in line."""
        if connection in self._live:
            self._live.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._wake()

    def closed(self, connection: ClientConnection) -> None:
        """Note that a connection's socket is closed."""
        self._unclosed.discard(connection)
        if self._all_closed is not None and not self._unclosed and not self._all_closed.done():
            self._all_closed.set_result(None)

    def check(self, now: float) -> bool:
        """Look at all clocks; the result is whether there is anything left to look at."""
        for connection in list(self._live):
            connection.check(now)
        while self._idle and now - self._idle[0].idle_since >= self._limits.idle:
            self._idle[0].drop()
        return bool(self._live)

    async def close(self, reason: str) -> None:
        """Close every connection; exchanges under way fail with the reason."""
        self._closed_because = reason
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectionLost(reason))
        for connection in list(self._live):
            connection.fail(reason)
        for connection in list(self._unclosed):  # also those that are still saying goodbye in TLS
            connection.drop()
        if self._unclosed:
            self._all_closed = self._loop.create_future()
            await self._all_closed

    def _is_stale(self, connection: ClientConnection) -> bool:
        # The loop's clock stands still while a laptop sleeps; the world's does not, and the connection is long dead.
        slept = time() - connection.idle_since_wall
        return max(slept, self._loop.time() - connection.idle_since) >= self._limits.idle

    def _is_full(self) -> bool:
        return len(self._live) + self._opening >= self._limits.connections

    def _wake(self) -> None:
        while self._waiting and not self._is_full():
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._opening += 1
                waiter.set_result(None)

    async def _wait_in_line(self) -> ClientConnection | None:
        """Wait for a connection, or for None: a place to open one, which is reserved already."""
        waiter: asyncio.Future[ClientConnection | None] = self._loop.create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled() or waiter.exception() is not None:
                raise
            given = waiter.result()  # it came at the same moment: to the next in line
            if given is not None:
                self.release(given)
            else:
                self._opening -= 1
                self._wake()
            raise
