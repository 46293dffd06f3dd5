"""Which connection is used next, and who waits for one."""

import asyncio

import pytest

from cody_oai_router.http1 import ClientLimits, ConnectFailed, TimedOut
from cody_oai_router.http1 import pool as module
from http1.peers import (
    PATIENT,
    FakeApplication,
    FakeSink,
    Holding,
    Run,
    answering,
    begun,
    client_of,
    get,
    origin,
    request_head,
    serving,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_the_connection_used_last_is_used_next(run: Run) -> None:
    async def main() -> None:
        served: list[int] = []

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            number = fake.connections
            while True:
                await request_head(reader)
                served.append(number)
                writer.write(OK)

        async with origin(script) as (fake, port), client_of(port) as client:
            first = await client.send(get(), PATIENT)
            second = await client.send(get(), PATIENT)
            for incoming in (second, first):
                await incoming.read(10)
            for _ in range(3):
                await (await client.send(get(), PATIENT)).read(10)
            assert len(set(served[2:])) == 1

    run(main())


def test_an_idle_connection_expires(run: Run) -> None:
    async def main() -> None:
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(OK)
            assert await reader.read() == b""
            closed.set()

        async with origin(script) as (_, port), client_of(port, ClientLimits(idle=0.05)) as client:
            await (await client.send(get(), PATIENT)).read(10)
            await closed.wait()

    run(main())


def test_a_connection_from_before_a_sleep_of_the_machine_is_not_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        wall = [1000.0]
        monkeypatch.setattr(module, "time", lambda: wall[0])
        async with origin(answering(OK, OK)) as (fake, port), client_of(port) as client:
            await (await client.send(get(), PATIENT)).read(10)
            wall[0] += 8 * 3600
            again = await client.send(get(), PATIENT)
            assert await again.read(10) == b"ok"
            assert not again.reused
            assert fake.connections == 2

    run(main())


@pytest.mark.parametrize("unsolicited", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b""])
def test_whatever_comes_on_an_idle_connection_ends_it(run: Run, unsolicited: bytes) -> None:
    async def main() -> None:
        speak, ended = asyncio.Event(), asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            writer.write(OK)
            await speak.wait()
            writer.write(unsolicited)
            if not unsolicited:
                writer.write_eof()
            try:
                await reader.read()
            finally:
                ended.set()

        async with origin(script, answering(OK)) as (fake, port), client_of(port) as client:
            await (await client.send(get(), PATIENT)).read(10)
            speak.set()
            await ended.wait()
            assert not (await client.send(get(), PATIENT)).reused
            assert fake.connections == 2

    run(main())


def test_who_came_first_is_served_first(run: Run) -> None:
    async def main() -> None:
        order: list[int] = []
        async with serving(FakeApplication()) as (_, port), client_of(port, ClientLimits(connections=1)) as client:

            async def ask(number: int) -> None:
                incoming = await client.send(get(b"/%d" % number), PATIENT)
                order.append(number)
                await incoming.read(100)

            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(ask(number))
        assert order == list(range(20))

    run(main())


def test_a_place_that_becomes_free_goes_to_the_first_in_line(run: Run) -> None:
    async def main() -> None:
        closes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        async with origin(answering(closes)) as (fake, port), client_of(port, ClientLimits(connections=1)) as client:

            async def ask() -> bytes:
                return await (await client.send(get(), PATIENT)).read(10)

            assert await asyncio.gather(*[ask() for _ in range(5)]) == [b"ok"] * 5
            assert fake.connections == 5

    run(main())


def test_who_stops_waiting_passes_on_what_it_was_given(run: Run) -> None:
    async def main() -> None:
        class Cancelling(FakeSink):
            def on_end(self, *, delimited: bool) -> None:
                super().on_end(delimited=delimited)
                waiting[0].cancel()  # its connection has just been handed to the first in line

        held = Holding()
        application = FakeApplication(handlers={"/x": held})
        async with serving(application) as (_, port), client_of(port, ClientLimits(connections=1)) as client:
            holder = await client.send(get(b"/x"), PATIENT)
            waiting = await begun(*[client.send(get(b"/%d" % number), PATIENT) for number in range(3)])
            holder.attach(Cancelling())
            held.let_go.set()
            assert await (await waiting[1]).read(100) == b"GET /1 "
            assert await (await waiting[2]).read(100) == b"GET /2 "
            assert waiting[0].cancelled()

    run(main())


def test_a_place_given_to_someone_who_left_is_not_lost(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication(handlers={"/x": Holding()})
        async with serving(application) as (_, port), client_of(port, ClientLimits(connections=1)) as client:
            holder = await client.send(get(b"/x"), PATIENT)
            waiting = await begun(*[client.send(get(b"/%d" % number), PATIENT) for number in range(2)])
            holder.cancel()  # gives its place to the first in line
            waiting[0].cancel()
            assert await (await waiting[1]).read(100) == b"GET /1 "

    run(main())


def test_a_failed_connection_gives_its_place_back(run: Run) -> None:
    async def main() -> None:
        async with origin(answering(OK)) as (_, port):
            pass
        async with client_of(port, ClientLimits(connections=1)) as client:
            results = await asyncio.gather(*[client.send(get(), PATIENT) for _ in range(4)], return_exceptions=True)
            assert [type(result) for result in results] == [ConnectFailed] * 4

    run(main())


def test_who_wants_a_new_connection_gets_room_among_the_idle_ones(run: Run) -> None:
    async def main() -> None:
        async with origin(answering(OK)) as (_, port), client_of(port, ClientLimits(connections=1)) as client:
            await (await client.send(get(), PATIENT)).read(10)
            opened = await client._pool.open()
            assert not opened.reused

    run(main())


def test_a_retry_uses_no_other_idle_connection_that_may_be_dead_too(run: Run) -> None:
    async def main() -> None:
        async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request_head(reader)
            await both.wait()
            writer.write(OK)
            await request_head(reader)

        both = asyncio.Barrier(2)
        scripts = (one_answer, one_answer, answering(OK))
        async with origin(*scripts) as (fake, port), client_of(port, ClientLimits(connections=2)) as client:
            asking = [asyncio.ensure_future(client.send(get(), PATIENT)) for _ in range(2)]
            for incoming in [await one for one in asking]:
                await incoming.read(10)
            again = await client.send(get(), PATIENT)
            assert await again.read(10) == b"ok"
            assert (again.reused, fake.connections) == (False, 3)

    run(main())


def test_a_timeout_while_waiting_leaves_the_line(run: Run) -> None:
    async def main() -> None:
        held = Holding()
        application = FakeApplication(handlers={"/x": held})
        async with serving(application) as (_, port), client_of(port, ClientLimits(connections=1)) as client:
            holder = await client.send(get(b"/x"), PATIENT)
            with pytest.raises(TimedOut):
                await client.send(get(), PATIENT._replace(connect=0.02))
            held.let_go.set()
            assert await holder.read(100) == b"held"
            assert (await client.send(get(), PATIENT)).reused

    run(main())
