"""What a connection does between exchanges and at their edges."""

import asyncio
import sys

import pytest

from cody_oai_router.http1 import ConnectionLost, Outgoing, proactor
from http1.peers import PATIENT, Run, answering, client_of, get, origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(
    autouse=True, params=[True] if sys.platform == "win32" else [False, True], ids=["", "sliced"].__getitem__
)
def _sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to send: that for the loop of Windows works with the others too."""
    monkeypatch.setattr(proactor, "PROACTOR", request.param)


def test_a_large_request_in_several_parts_arrives_whole(run: Run) -> None:
    async def main() -> None:
        parts = [b"a" * 10, b"", b"b" * 40_000, b"c" * 3]
        received: list[bytes] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            received.append(await reader.readexactly(40_013))
            writer.write(OK)
            await reader.read()

        async with origin(script) as (_, port), client_of(port) as client:
            await (await client.send(Outgoing(b"POST", b"/", b"", parts), PATIENT)).read(10)
        assert received == [b"".join(parts)]

    run(main())


def test_what_is_unsent_of_a_request_shrinks_as_the_origin_takes_it(run: Run) -> None:
    async def main() -> None:
        unsent: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            (connection,) = client._pool._live
            for _ in range(30):
                unsent.append(connection.unsent())
                await reader.readexactly(1_000_000)
            writer.write(OK)
            await reader.read()

        async with origin(script) as (_, port), client_of(port) as client:
            incoming = await client.send(Outgoing(b"POST", b"/", b"", b"x" * 30_000_000), PATIENT)
            assert await incoming.read(10) == b"ok"
            assert unsent == sorted(unsent, reverse=True)
            assert len(set(unsent)) > 2

    run(main())


def test_a_reset_is_named_as_one(run: Run) -> None:
    async def main() -> None:
        async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nx")
            await writer.drain()
            await seen.wait()
            writer.transport.abort()

        seen = asyncio.Event()
        async with origin(resets) as (_, port), client_of(port) as client:
            incoming = await client.send(Outgoing(b"POST", b"/", b"", b"never read" * 100_000), PATIENT)
            seen.set()
            with pytest.raises(ConnectionLost, match=r" reset the connection in the middle of its answer$"):
                await incoming.read(100)

    run(main())


def test_an_exchange_that_is_over_is_not_reached_by_what_comes_late(run: Run) -> None:
    async def main() -> None:
        async with origin(answering(OK, OK + b"late")) as (_, port), client_of(port) as client:
            first = await client.send(get(), PATIENT)
            assert await first.read(10) == b"ok"
            second = await client.send(get(), PATIENT)
            first.cancel()
            first.pause()
            first.resume()
            assert await second.read(10) == b"ok"

    run(main())
