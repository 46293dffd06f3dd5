"""Peers that mean harm, or that merely break: slow heads, half-closed and reset connections, thousands of idle ones."""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cody_oai_router.simulator import Simulator, faults
from end_to_end.harness import (
    Answer,
    Client,
    Process,
    Router,
    account,
    ask,
    both,
    chat,
    connected,
    get,
    nth_chat,
    process,
    request,
    router,
    run,
    simulated,
)

SLOW = 200
IDLE = 10_000
SPARE = 200
"""Files that a process has open besides its connections."""

HELLO = request(chat(), close=False)
HELD = request(chat("[[words:4]] [[hold:before]] [[mid-hold:middle]]", stream=True), close=False)


def reset(client: Client) -> None:
    """Closes with a RST, whatever there is to read or to send."""
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.reset()


async def assert_serves(running: Router | Process) -> None:
    answer = await ask(running)
    assert answer.json["choices"][0]["message"]["content"] == "You said: Hello there"


def assert_no_defect(running: Router) -> None:
    assert not [line for line in running.lines if "defect" in line or "Traceback" in line]


# Slow heads.


def test_slow_heads_stop_nobody_and_are_ended() -> None:
    async def scenario() -> None:
        async with both(variables={"HEAD_TIMEOUT": "1"}) as (_, running), contextlib.AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(connected(running)) for _ in range(SLOW)]
            for number, client in enumerate(slow):
                client.send(HELLO[: 1 + number % HELLO.index(b"\r\n\r\n")])
            await assert_serves(running)
            answers = await asyncio.gather(*(client.to_end() for client in slow))
            assert [answer.status for answer in answers] == [408] * SLOW
            await assert_serves(running)

    run(scenario())


# Half-closed connections.


@pytest.mark.parametrize("sent", [0, 1, 40, HELLO.index(b"\r\n\r\n") + 4, len(HELLO) - 1])
def test_a_client_that_ends_its_side_too_early_is_gone(sent: int) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                client.send(HELLO[:sent])
                client.writer.write_eof()
                assert (await client.to_end()).raw == b""
            assert simulator.received == []
            await assert_serves(running)

    run(scenario())


def test_a_client_that_ends_its_side_while_it_waits_ends_the_work_upstream() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                client.send(HELD)
                await simulator.held("before")
                client.writer.write_eof()
                await (await nth_chat(simulator, 1)).disconnected.wait()
                assert (await client.to_end()).raw == b""
            await assert_serves(running)

    run(scenario())


@contextlib.asynccontextmanager
async def half_closing(said: bytes) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Runs an upstream that says this to everybody and ends its side; the event tells that the router ended its own."""
    ended = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            writer.write_eof()
            await reader.read()
        ended.set()
        writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], ended
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "no body"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_ends_its_side_too_early(said: bytes, *, stream: bool) -> None:
    async def scenario() -> None:
        async with half_closing(said) as (port, ended), router(port) as running:
            answer = await ask(running, stream=stream)
            assert answer.status == 502
            assert answer.error["message"]
            await ended.wait()

    run(scenario())


# Resets.


def test_a_client_that_resets_anywhere_in_its_request() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            for end in range(0, len(HELLO) + 1, 9):
                async with connected(running) as client:
                    client.send(HELLO[:end])
                    assert (await get(running, "/health")).status == 200  # the router has read the bytes meanwhile
                    reset(client)
            await assert_serves(running)
        assert_no_defect(running)

    run(scenario())


@pytest.mark.parametrize("stage", ["before the answer", "at its head", "in its middle", "after it"])
def test_a_client_that_resets_at_a_stage_of_the_answer(stage: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            async with connected(running) as client:
                client.send(HELD)
                await until(stage, simulator, client)
                reset(client)
                asked = await nth_chat(simulator, 1)
                await (asked.answered if stage == "after it" else asked.disconnected).wait()
            await assert_serves(running)
        assert_no_defect(running)

    run(scenario())


async def until(stage: str, simulator: Simulator, client: Client) -> None:
    await simulator.held("before")
    if stage == "before the answer":
        return
    simulator.release("before")
    await client.until(b"HTTP/1.1 200" if stage == "at its head" else b"word2")
    if stage == "after it":
        simulator.release("middle")
        assert (await client.answer()).finished


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reset_", [False, True], ids=["fin", "rst"])
def test_an_upstream_that_resets_anywhere_in_its_answer(*, stream: bool, reset_: bool) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            await assert_serves(running)
            for fault in [faults.drop(reset=reset_), *(faults.broken_after(n, reset=reset_) for n in range(4))]:
                simulator.queue(fault, times=2)  # a pooled connection that dies at once is replaced once
                answer = await ask(running, stream=stream)
                broken(answer)
                simulator.reset()
                await assert_serves(running)
        assert_no_defect(running)

    run(scenario())


def broken(answer: Answer) -> None:
    """Holds where a client cannot take the answer for a complete one."""
    if answer.status == 200:
        answer.assert_broken()
    else:
        assert answer.status == 502
        assert answer.error["message"]


# Idle connections.


@contextlib.contextmanager
def open_files(wanted: int) -> Iterator[None]:
    """Lets this process, and those it starts, open so many files; skips the test where the system forbids it."""
    resource = pytest.importorskip("resource", reason="the limit of open files is not this system's to raise")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (-1, resource.RLIM_INFINITY) and hard < wanted:
        pytest.skip(f"the system allows {hard} open files, not {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.heavy
def test_ten_thousand_idle_connections(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (_, port):
            environment = account(port, MAX_CONNECTIONS=str(IDLE + SPARE))
            async with process(tmp_path, environment=environment) as running:
                with contextlib.ExitStack() as stack:
                    idle = [await silent(running.port, stack) for _ in range(IDLE)]
                    await assert_serves(running)
                    for one in (idle[0], idle[IDLE // 2], idle[-1]):
                        assert (await served(one)).startswith(b"HTTP/1.1 200 OK\r\n")

    with open_files(IDLE + SPARE):
        run(scenario(), patience=60)


async def silent(port: int, stack: contextlib.ExitStack) -> socket.socket:
    """Opens a connection on which nothing is sent."""
    one = stack.enter_context(socket.socket())
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
    return one


async def served(one: socket.socket) -> bytes:
    """Asks on an idle connection whether it is still served."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(one, request(method="GET", path="/health"))
    return await loop.sock_recv(one, 1 << 16)
