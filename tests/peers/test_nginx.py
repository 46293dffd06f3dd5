"""nginx on either side of the router, as companies put it in front of programs and in front of Sourcegraph."""

import asyncio
import sys
from pathlib import Path

import pytest

from cody_oai_router.simulator import DEMO_TOKEN
from end_to_end.harness import Answer, ask, both, chat, chats, connected, get, request, router, run, simulated
from peers.programs import nginx

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="nginx inherits its listening socket, as Windows' cannot"
)

UNBUFFERED = "proxy_buffering off;"


async def through(port: int, body: object) -> Answer:
    """Asks on a connection of its own; a port stands for the router behind it."""
    async with connected(port) as client:
        client.send(request(body))
        return await client.to_end()


def test_in_front_of_the_router_a_stream_arrives_as_it_is_made(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), nginx(tmp_path, running.port, location=UNBUFFERED) as port:
            for number in range(1, 4):
                async with connected(port) as client:
                    client.send(request(chat("[[words:4]] [[mid-hold:middle]]", stream=True)))
                    await client.until(b"word2")
                    simulator.release("middle")
                    (await client.to_end()).assert_whole()
                assert len(chats(simulator)) == number
            assert (await through(port, chat())).json["object"] == "chat.completion"

    run(scenario())


def test_in_front_of_the_router_a_broken_stream_stays_broken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with both() as (_, running), nginx(tmp_path, running.port, location=UNBUFFERED) as port:
            answer = await through(port, chat("[[words:3]] [[mid-error:It broke]]", stream=True))
            assert answer.assert_broken()["message"] == "Sourcegraph says: It broke"

    run(scenario())


def test_a_client_that_leaves_nginx_ends_the_work_upstream(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), nginx(tmp_path, running.port, location=UNBUFFERED) as port:
            async with connected(port) as client:
                client.send(request(chat("[[words:4]] [[mid-hold:middle]]", stream=True), close=False))
                await client.until(b"word2")
            (asked,) = chats(simulator)
            await asked.disconnected.wait()
            assert not asked.answered.is_set()

    run(scenario())


@pytest.mark.parametrize("location", [UNBUFFERED, "", "gzip on; gzip_proxied any; gzip_types *; gzip_min_length 1;"])
def test_in_front_of_sourcegraph(tmp_path: Path, location: str) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (simulator, upstream),
            nginx(tmp_path, upstream, location=location) as port,
            router(port) as running,
        ):
            (await ask(running, stream=True)).assert_whole()
            assert (await ask(running)).json["choices"][0]["message"]["content"] == "You said: Hello there"
            assert len((await get(running, "/v1/models")).json["data"]) > 1
            assert len(chats(simulator)) == 2

    run(scenario())


def test_in_front_of_sourcegraph_a_stream_arrives_as_it_is_made(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (simulator, upstream),
            nginx(tmp_path, upstream, location=UNBUFFERED) as port,
            router(port) as running,
            connected(running) as client,
        ):
            client.send(request(chat("[[words:4]] [[mid-hold:middle]]", stream=True)))
            await client.until(b"word2")
            simulator.release("middle")
            (await client.to_end()).assert_whole()

    run(scenario())


def test_an_nginx_that_ends_its_connections_costs_no_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            simulated() as (_, upstream),
            nginx(tmp_path, upstream, location=UNBUFFERED, server="keepalive_requests 2;") as port,
            router(port) as running,
        ):
            for _ in range(7):
                (await ask(running, stream=True)).assert_whole()
            answers = await asyncio.gather(*(ask(running) for _ in range(8)))
            assert [answer.status for answer in answers] == [200] * 8

    run(scenario())


def test_the_page_of_an_nginx_without_a_sourcegraph_behind_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with simulated() as (simulator, upstream), nginx(tmp_path, upstream) as port, router(port) as running:
            assert (await ask(running)).status == 200
            await simulator.stop()
            answer = await ask(running, stream=True)
            assert answer.status == 502
            assert "<" not in answer.error["message"]
            assert DEMO_TOKEN not in answer.raw.decode()

    run(scenario())
