"""A connected socket: names are resolved, and several addresses are raced (RFC 8305).

uvloop's create_connection tries one address after the other, so that one dead IPv6 route costs the whole wait; this race
is the same on every loop.
"""

import asyncio
import itertools
import os
import socket
import sys
from typing import Final

from cody_oai_router.http1.errors import ConnectFailed

_NEXT_ATTEMPT: Final = 0.25
"""Seconds before the next address is tried beside the ones that have not answered (RFC 8305 §5)."""

Address = tuple[int, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


async def dial(host: str, port: int, whom: str) -> socket.socket:
    """Connect to the host; `whom` names it in the message of ConnectFailed."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectFailed(f"cannot resolve the name of {whom}: {_reason(error)}") from error
    addresses = interleave([(family, address) for family, _, _, _, address in found])
    try:
        return await race(addresses)
    except OSError as error:
        raise ConnectFailed(f"cannot connect to {whom}: {_reason(error)}") from error


def interleave(addresses: list[Address]) -> list[Address]:
    """Order addresses so that the families alternate, beginning with the one that the system prefers."""
    first = [entry for entry in addresses if entry[0] == addresses[0][0]]
    others = [entry for entry in addresses if entry[0] != addresses[0][0]]
    return [entry for pair in itertools.zip_longest(first, others) for entry in pair if entry is not None]


async def race(addresses: list[Address]) -> socket.socket:
    """Return the first connection that comes about; raises the last OSError when none does."""
    if len(addresses) == 1:
        return await _connect(*addresses[0])
    waiting = iter(addresses)
    attempts: set[asyncio.Task[socket.socket]] = set()
    problem: OSError = OSError("no address")
    try:
        while True:
            entry = next(waiting, None)
            if entry is not None:
                attempts.add(asyncio.create_task(_connect(*entry)))
            elif not attempts:
                raise problem
            timeout = None if entry is None else _NEXT_ATTEMPT
            done, _ = await asyncio.wait(attempts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    attempts.discard(attempt)
                    return attempt.result()
                attempts.discard(attempt)
                problem = error if isinstance(error, OSError) else problem
    finally:
        await _drop(attempts)


async def _drop(attempts: set[asyncio.Task[socket.socket]]) -> None:
    for attempt in attempts:
        attempt.cancel()
    for connected in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(connected, socket.socket):
            connected.close()


async def _connect(family: int, address: tuple[object, ...]) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        connection.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


def _reason(error: Exception) -> str:
    if sys.platform != "win32" and isinstance(error, OSError) and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno or 0)  # asyncio puts its own words into `strerror`
    return getattr(error, "strerror", None) or str(error)
