"""What the tests of promises share: each kind of road, how to ask on it, and how to read what was told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.wire import Received
from end_to_end.conformance import conforms
from end_to_end.harness import CHAT_PATH, CODY_PATH, Answer, Router, ask, both, words
from end_to_end.matrix import Seen, seen

# Each kind of road once: the LLM API with tools, Cody's stream with them, and both where tools go in words.
ROADS = [("6.12", "llm"), ("6.12", "cody"), ("5.8", "llm"), ("5.8", "cody")]
on_every_road = pytest.mark.parametrize(("profile", "api"), ROADS)
both_ways = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
SOON = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
PROMPT = 5.0  # seconds; what "at once" may take on a busy machine
WEATHER = {"type": "function", "function": {"name": "get_weather"}}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
JSON_OBJECT = {"type": "json_object"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
LOOP = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello there"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "7 degrees"},
]


def on(api: str, **variables: str) -> dict[str, str]:
    return {"SOURCEGRAPH_API": api, **variables}


@contextlib.asynccontextmanager
async def ready(profile: str, api: str) -> AsyncIterator[tuple[Simulator, Router]]:
    """Runs a simulator and a router that has learnt what there is to learn of it."""
    async with both(profile, variables=on(api)) as (simulator, running):
        assert (await ask(running, model="claude-sonnet-4-5", stream=True)).status == 200
        simulator.reset()
        yield simulator, running


def path_of(api: str) -> str:
    return CODY_PATH if api == "cody" else CHAT_PATH


def asks(simulator: Simulator) -> list[Received]:
    """The completion requests that upstream received, on either endpoint."""
    return [received for received in simulator.received if received.path in (CHAT_PATH, CODY_PATH)]


async def left(received: Received) -> None:
    """Waits until upstream sees its client leave."""
    async with asyncio.timeout(PROMPT):
        await received.disconnected.wait()


def schema(*, strict: bool, wanted: Mapping[str, Any] = CITY) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "place", "schema": wanted, "strict": strict}}


async def asked(running: Router, content: Any, *, stream: bool, **fields: Any) -> Seen:
    """Asks once, and reads the answer as a client does, down to the letter of its form."""
    fields = {"model": "claude-sonnet-4-5", **fields}
    found = seen(await ask(running, content, stream=stream, **fields), stream=stream)
    conforms(found)
    return found


def called(found: Seen) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found.calls]


def told(answer: Answer) -> set[str]:
    """Everything that the answer says was changed: in its head, and what came after that."""
    prefix = ": x-router-adapted: "
    late = [event.removeprefix(prefix) for event in events_of(answer) if event.startswith(prefix)]
    return {*words(answer), *(word for line in late for word in line.split(", "))}


def events_of(answer: Answer) -> list[str]:
    """The events of a stream; none of a whole answer."""
    return answer.events if (answer.header("content-type") or "").startswith("text/event-stream") else []


def text_by_choice(answer: Answer) -> dict[int, str]:
    texts: dict[int, str] = {}
    for chunk in answer.chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return texts


def finishes(answer: Answer) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for chunk in answer.chunks:
        for choice in chunk["choices"]:
            if choice["finish_reason"]:
                found.setdefault(choice["index"], []).append(choice["finish_reason"])
    return found
