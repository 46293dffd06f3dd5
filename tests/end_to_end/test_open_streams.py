"""Streams that stay open: while an answer comes, nothing is kept of a request that will not be sent again."""

import gc
from typing import Any

import pytest

from cody_oai_router.conversation import FORGOTTEN, Prompt
from cody_oai_router.http1 import Request
from end_to_end.harness import both, chat, connected, nth_chat, request, run

HELD = "[[text:one two three four]] [[mid-hold:h]]"


def kept() -> list[object]:
    """Gives what there is in this process of clients' requests, other tests' too: prompts, heads and bodies."""
    gc.collect()
    return [
        known
        for known in gc.get_objects()
        if (isinstance(known, Prompt) and known is not FORGOTTEN)
        or (isinstance(known, Request) and (known.body or known.headers))
    ]


def new(before: list[object]) -> list[object]:
    """Gives what is kept and was not yet `before`."""
    return [known for known in kept() if all(known is not old for old in before)]


@pytest.mark.parametrize("fields", [{}, {"n": 2}, {"stop": ["never"]}], ids=str)
@pytest.mark.parametrize("api", ["llm", "cody"])
def test_a_stream_that_has_begun_holds_nothing_of_its_request(fields: dict[str, Any], api: str) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": api}) as (simulator, running), connected(running) as client:
            before = kept()
            client.send(request(chat(HELD, stream=True, **fields)))
            await client.until(b'"two', times=fields.get("n", 1))
            assert new(before) == []
            simulator.release("h")
            answer = await client.to_end()
            answer.assert_whole()
            assert answer.text.count("four") == fields.get("n", 1)

    run(scenario())


def test_what_may_be_asked_again_is_kept() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running), connected(running) as client:
            before = kept()
            client.send(request(chat("[[hold:h]]", stream=True)))
            await nth_chat(simulator, 1)
            assert {type(known) for known in new(before)} == {Prompt, Request}
            simulator.release("h")
            (await client.to_end()).assert_whole()

    run(scenario())
