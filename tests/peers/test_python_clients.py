"""The HTTP clients of Python programs, as far as they are installed here."""

import importlib
import json
from typing import Any

import pytest

from end_to_end.harness import both, chat, chats, run

ANSWER = "You said: Hello there"


def load(name: str) -> Any:
    """Gives a library; skips the test where there is none."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed")


@pytest.fixture(params=["httpx", "httpx2"])
def httpx(request: pytest.FixtureRequest) -> Any:
    return load(request.param)


def test_httpx(httpx: Any) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
            async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
                for _ in range(3):
                    answer = await client.post(url, json=chat())
                    assert answer.json()["choices"][0]["message"]["content"] == ANSWER
            assert len(chats(simulator)) == 3

    run(scenario())


def test_httpx_reads_a_stream_as_it_is_made(httpx: Any) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), httpx.AsyncClient(timeout=20, trust_env=False) as client:
            url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
            body = chat("[[words:4]] [[mid-hold:middle]]", stream=True)
            said = ""
            async with client.stream("POST", url, json=body) as answer:
                async for piece in answer.aiter_text():
                    said += piece
                    if "word2" in said:
                        simulator.release("middle")
            assert said.endswith("data: [DONE]\n\n")

    run(scenario())


def test_httpx_uploads_in_chunks_and_sees_a_broken_stream(httpx: Any) -> None:
    async def scenario() -> None:
        async with both() as (_, running), httpx.AsyncClient(timeout=20, trust_env=False) as client:
            url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
            data = json.dumps(chat("[[words:3]] [[mid-error:It broke]]", stream=True)).encode()

            async def pieces() -> Any:
                for start in range(0, len(data), 10):
                    yield data[start : start + 10]

            said = ""

            async def read(answer: Any) -> None:
                nonlocal said
                async for piece in answer.aiter_text():
                    said += piece

            async with client.stream("POST", url, content=pieces()) as answer:
                assert answer.status_code == 200
                with pytest.raises(httpx.RemoteProtocolError):
                    await read(answer)
            assert "It broke" in said

    run(scenario())


def test_aiohttp() -> None:
    aiohttp = load("aiohttp")

    async def scenario() -> None:
        async with both() as (simulator, running), aiohttp.ClientSession(trust_env=False) as client:
            url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
            async with client.post(url, json=chat()) as answer:
                assert (await answer.json())["choices"][0]["message"]["content"] == ANSWER
            body = chat("[[words:4]] [[mid-hold:middle]]", stream=True)
            said = b""
            async with client.post(url, json=body) as answer:
                async for piece in answer.content.iter_any():
                    said += piece
                    if b"word2" in said:
                        simulator.release("middle")
            assert said.endswith(b"data: [DONE]\n\n")
            with pytest.raises(aiohttp.ClientPayloadError):
                async with client.post(url, json=chat("[[words:3]] [[mid-error:x]]", stream=True)) as answer:
                    await answer.read()

    run(scenario())
