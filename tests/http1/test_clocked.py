"""The loop whose clock a test moves: what the tests of time rely on."""

import asyncio
import socket

import pytest

from http1 import clocked as module
from http1.clocked import Clocked, ClockedLoop


def test_time_stands_still_and_timers_fire_at_their_moments(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        begin = loop.time()
        fired: list[float] = []

        def again() -> None:
            fired.append(loop.time() - begin)
            loop.call_later(2, again)

        loop.call_later(2, again)
        loop.call_later(3, again).cancel()
        await loop.let_pass(1.5)
        assert (loop.time() - begin, fired) == (1.5, [])
        await loop.let_pass(3)
        assert (loop.time() - begin, fired) == (4.5, [2, 4])

    clocked(main)


def test_what_a_timer_leads_to_is_done_before_time_goes_on(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        begin = loop.time()
        moments: list[float] = []

        async def waits() -> None:
            for _ in range(2):
                await asyncio.wait([never], timeout=5)
                moments.append(loop.time() - begin)

        never = loop.create_future()
        task = asyncio.ensure_future(waits())
        await loop.let_pass(60)
        assert task.done()
        assert moments == [5, 10]

    clocked(main)


def test_a_condition_waits_for_real_sockets(clocked: Clocked) -> None:
    async def main(loop: ClockedLoop) -> None:
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            received = asyncio.ensure_future(loop.sock_recv(near, 10))
            await loop.idle()
            assert not received.done()
            far.sendall(b"x")
            await loop.until(received.done)
            assert received.result() == b"x"

    clocked(main)


def test_a_test_that_waits_for_ever_fails(clocked: Clocked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(loop: ClockedLoop) -> None:
        await loop.until(lambda: False)

    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with pytest.raises(TimeoutError, match="waits for what does not come"):
        clocked(main)
