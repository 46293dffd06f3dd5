"""Names that do not exist, and several addresses that are raced over real sockets."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest

from cody_oai_router.http1 import ConnectFailed
from cody_oai_router.http1 import dial as module
from cody_oai_router.http1.dial import Address, dial, interleave, race
from http1.clocked import Clocked, ClockedLoop
from http1.peers import Run, begun, closing_after, origin, pulse


def at(port: int) -> Address:
    return socket.AF_INET, ("127.0.0.1", port)


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port that neither accepts nor refuses: its queue is full, so that Linux drops what comes."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


def test_a_name_that_does_not_exist(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ConnectFailed, match=r"^cannot resolve the name of nobody\.invalid:1: .+"):
            await dial("nobody.invalid", 1, "nobody.invalid:1")
        with pytest.raises(ConnectFailed, match=r"^cannot resolve the name of it: .+"):
            await dial("a" * 64 + ".invalid", 1, "it")

    run(main())


def test_families_alternate() -> None:
    four: list[Address] = [(socket.AF_INET, (f"10.0.0.{n}", 1)) for n in range(3)]
    six: list[Address] = [(socket.AF_INET6, ("::1", n, 0, 0)) for n in range(2)]
    assert interleave(six + four) == [six[0], four[0], six[1], four[1], four[2]]
    assert interleave(four) == four


def test_small_writes_are_sent_at_once(run: Run) -> None:
    async def main() -> None:
        async with origin(closing_after(b"")) as (_, port):
            with await dial("127.0.0.1", port, "it") as connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(main())


def test_an_address_that_refuses_is_passed_over(run: Run) -> None:
    async def main() -> None:
        async with origin(closing_after(b"")) as (_, closed):
            pass
        async with origin(closing_after(b"")) as (_, port):
            with await race([at(closed), at(closed), at(port)]) as connection:
                assert connection.getpeername()[1] == port
        with pytest.raises(ConnectionRefusedError):
            await race([at(closed), at(closed)])

    run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops connections to a full queue")
def test_an_address_that_says_nothing_costs_a_moment(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        with deaf_port() as deaf:
            async with origin(closing_after(b"")) as (fake, port):
                (racing,) = await begun(race([at(deaf), at(port)]))
                await loop.let_pass(0.24)
                assert fake.connections == 0
                await loop.let_pass(0.02)
                with await racing as connection:
                    assert connection.getpeername()[1] == port

    clocked(main)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops connections to a full queue")
def test_giving_up_leaves_nothing_behind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(module, "_NEXT_ATTEMPT", 0)
        async with pulse() as heart:
            await heart.beat()
            others = asyncio.all_tasks()
            with deaf_port() as deaf:
                for addresses in ([at(deaf)], [at(deaf), at(deaf)]):
                    (racing,) = await begun(race(addresses))
                    await heart.beat(times=5)  # so that all are on their way
                    racing.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await racing
                    assert asyncio.all_tasks() == others

    run(main())
