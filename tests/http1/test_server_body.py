"""Bodies on their way in: limits, memory and every way to send one."""

import asyncio
import sys

import pytest

from cody_oai_router.http1 import Request, Response, ServerExchange, ServerLimits, proactor
from cody_oai_router.http1.limits import ByteBudget
from http1.peers import FakeApplication, Run, serving, wire

MIB = 1024 * 1024


@pytest.fixture(
    autouse=True, params=[True] if sys.platform == "win32" else [False, True], ids=["", "copied"].__getitem__
)
def _receiver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of receiver: that for the loop of Windows works with the others too."""
    monkeypatch.setattr(proactor, "PROACTOR", request.param)


class ToldBudget(ByteBudget):
    """A budget that tells what was used after each change."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.told: asyncio.Queue[int] = asyncio.Queue()

    def take(self, size: int) -> bool:
        taken = super().take(size)
        self.told.put_nowait(self.used)
        return taken

    def give(self, size: int) -> None:
        super().give(size)
        self.told.put_nowait(self.used)


def head(length: int) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 65_536, MIB - 1, MIB, MIB + 1, 5 * MIB + 3])
def test_a_body_of_any_size_arrives_whole_and_nothing_beyond_it(run: Run, size: int) -> None:
    async def main() -> None:
        application = FakeApplication(handlers={"/": measured})
        async with serving(application) as (server, port), await wire(port) as peer:
            body = bytes(range(256)) * (size // 256) + bytes(size % 256)
            for first in (body, CHUNKED):
                if first is body:
                    peer.send(head(size) + body)
                else:
                    pieces = [body[at : at + 100_000] for at in range(0, size, 100_000)]
                    peer.send(CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n")
                peer.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await peer.answer()).body == b"%d" % size
                assert (await peer.answer()).body == b"GET /next "
                assert application.requests[-2].body == body
            assert server.budget.used == 0

    async def measured(request: Request, exchange: ServerExchange) -> None:
        exchange.respond(Response(200, [], b"%d" % len(request.body)))

    run(main())


def test_a_declared_length_over_the_limit_is_refused_before_the_body(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication()
        async with serving(application, ServerLimits(body_bytes=10)) as (_, port):
            async with await wire(port) as peer:
                peer.send(head(11))
                answer = await peer.answer()
                assert (answer.status, answer.body) == (413, b"the body is larger than 10 bytes")
            async with await wire(port) as peer:
                peer.send(head(10) + b"x" * 10)
                assert (await peer.answer()).status == 200
        assert application.admitted == ["/", "/"]

    run(main())


def test_a_chunked_body_over_the_limit_is_refused_when_it_gets_there(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication(), ServerLimits(body_bytes=10)) as (server, port), await wire(port) as peer:
            peer.send(CHUNKED + b"a\r\n0123456789\r\n")
            peer.send(b"1\r\nx")
            answer = await peer.answer()
            assert (answer.status, answer.body) == (413, b"the body is larger than 10 bytes")
            assert server.budget.used == 0

    run(main())


def test_a_malformed_chunked_body_is_refused(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (_, port), await wire(port) as peer:
            peer.send(CHUNKED + b"zz\r\n")
            answer = await peer.answer()
            assert (answer.status, answer.body) == (400, b"malformed chunked body: a chunk size is malformed")
            assert await peer.closed() == b""

    run(main())


@pytest.mark.parametrize("claim", [head(100), head(3 * MIB) + b"x" * MIB, CHUNKED + b"64\r\n" + b"x" * 100])
def test_all_bodies_together_have_a_limit(run: Run, claim: bytes) -> None:
    async def main() -> None:
        async with (
            serving(FakeApplication()) as (server, port),
            await wire(port) as first,
            await wire(port) as peer,
        ):
            server.budget = budget = ToldBudget(MIB + 50)
            first.send(head(MIB) + b"x" * (MIB - 1))
            assert await budget.told.get() == MIB
            peer.send(claim)
            answer = await peer.answer()
            assert (answer.status, answer.body) == (503, b"too many bytes are being received")
            first.send(b"x")
            assert (await first.answer()).status == 200
            assert server.budget.used == 0

    run(main())


def test_memory_is_taken_as_the_body_comes_and_given_back_when_the_client_leaves(run: Run) -> None:
    async def main() -> None:
        async with serving(FakeApplication()) as (server, port):
            server.budget = budget = ToldBudget(100 * MIB)
            async with await wire(port) as peer:
                peer.send(head(64 * MIB) + b"x" * (MIB + 1))
                assert await budget.told.get() == MIB
                assert await budget.told.get() == 2 * MIB
            assert await budget.told.get() == 0

    run(main())


def test_a_client_that_half_closes_within_its_body_is_gone(run: Run) -> None:
    async def main() -> None:
        application = FakeApplication()
        async with serving(application) as (_, port):
            for begin in (head(10) + b"x", CHUNKED + b"a\r\nx"):
                async with await wire(port) as peer:
                    peer.send(begin)
                    peer.writer.write_eof()
                    assert await peer.closed() == b""
        assert application.requests == []

    run(main())


def test_back_pressure_outlives_the_upload_of_the_next_request(run: Run) -> None:
    """The transport says "writable again" to whatever protocol it has then, which may be the receiver of a body."""

    async def large(_: Request, exchange: ServerExchange) -> None:
        exchange.respond(Response(200, [], b"x" * 8 * MIB))

    async def main() -> None:
        states: list[bool] = []

        async def small(_: Request, exchange: ServerExchange) -> None:
            states.append(exchange.paused)
            exchange.respond(Response(200))

        async with serving(FakeApplication(handlers={"/": large, "/s": small})) as (_, port), await wire(port) as peer:
            peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
            assert len((await peer.answer()).body) == 8 * MIB
            peer.send(b"b")
            assert (await peer.answer()).status == 200
        assert states == [False]

    run(main())
