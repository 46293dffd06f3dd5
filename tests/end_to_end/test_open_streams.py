"""Streams that stay open: while an answer comes, nothing is kept of a request that will not be sent again."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from cody_oai_router.conversation import Prompt
from cody_oai_router.http1 import Request
from end_to_end.harness import both, chat, connected, nth_chat, request, run

HELD = "[[text:one two three four]] [[mid-hold:h]]"


def requests() -> list[Prompt | Request]:
    """Gives all prompts of this process, and all requests that have a head or a body."""
    gc.collect()
    return [
        known
        for known in gc.get_objects()
        if isinstance(known, Prompt) or (isinstance(known, Request) and (known.body or known.headers))
    ]


@pytest.fixture
def kept() -> Callable[[], list[type]]:
    """What there is of requests in this process that was not there before: other tests have their own."""
    before = requests()

    def look() -> list[type]:
        return [type(request) for request in requests() if all(request is not other for other in before)]

    return look


@pytest.mark.parametrize("fields", [{}, {"n": 2}, {"stop": ["never"]}], ids=str)
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_a_stream_that_has_begun_holds_nothing_of_its_request(
    fields: dict[str, Any], api: str, kept: Callable[[], list[type]]
) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": api}) as (simulator, running), connected(running) as client:
            client.send(request(chat(HELD, stream=True, **fields)))
            await client.until(b'"two', times=fields.get("n", 1))
            assert kept() == []
            simulator.release("h")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.text.count("four") == fields.get("n", 1)

    run(scenario())


def test_what_may_be_asked_again_is_kept(kept: Callable[[], list[type]]) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as client:
            client.send(request(chat("[[hold:h]]", stream=True)))
            await nth_chat(simulator, 1)
            assert {Prompt, Request} <= set(kept())
            simulator.release("h")
            (await client.to_end()).assert_whole()

    run(scenario())
