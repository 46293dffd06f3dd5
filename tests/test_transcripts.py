"""Whole exchanges, from the client's bytes to the client's bytes, as files under `wire/`.

Cases in `openai_chat/` go by the LLM API, those in `cody_stream/v1/` by Cody's stream in that api-version. A case holds
`request.json` (the client's), `sent.json` (what travels to the instance), `upstream.sse` or `upstream.json` (what it answers),
`answer.sse` (for a client that streams) and `answer.json` (for one that does not).
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.abilities import LLM_API, Endpoint, cody_stream
from cody_oai_router.catalogue import Catalogue, Model
from cody_oai_router.conversation import Collector, Prompt, Stamp
from cody_oai_router.dialects import openai_chat
from cody_oai_router.events import Event
from cody_oai_router.exchange import Budgets, Plan, plan, resolve
from cody_oai_router.faults import Fault
from cody_oai_router.notes import NOTES
from cody_oai_router.relay import Source, Upstream
from cody_oai_router.roads import Road
from cody_oai_router.upstreams import completions_stream, llm_api
from openai_schema import violations
from strategies import cut, fed, places

WIRE = Path(__file__).parent / "wire"
CASES = sorted(request.parent for request in WIRE.rglob("request.json"))
UPSTREAMS: dict[Endpoint, Upstream] = {"llm": llm_api, "cody": completions_stream}
MODELS = [
    Model(ref="anthropic::2024-10-22::claude-sonnet-4-5-latest", abilities=frozenset({"chat"}), max_output=8192),
    Model(ref="anthropic::2024-10-22::claude-sonnet-4-5-thinking-latest", abilities=frozenset({"chat", "reasoning"})),
    Model(ref="openai::2024-02-01::gpt-4o", abilities=frozenset({"chat"})),
    Model(ref="google::v1::gemini-2.0-flash", abilities=frozenset({"chat"})),
]
STAMP_TIME = 1776000000
NONCE = "c0ffee"


class Exchange(NamedTuple):
    """What a case asks and what is sent for it."""

    prompt: Prompt
    plan: Plan
    stamp: Stamp


def road(case: Path) -> Road:
    """Reads from the folder which way a case goes."""
    if case.parent.name == "openai_chat":
        return Road("llm", 0, LLM_API)
    version = int(case.parent.name.removeprefix("v"))
    return Road("cody", version, cody_stream(version))


def exchange(case: Path) -> Exchange:
    prompt = openai_chat.read_prompt((case / "request.json").read_bytes())
    assert isinstance(prompt, Prompt)
    resolved = resolve(prompt, Catalogue(MODELS, aliases={}, default=None))
    assert not isinstance(resolved, Fault)
    made = plan(prompt, resolved, road(case), frozenset(), Budgets(4000, 32000), nonce=NONCE)
    assert isinstance(made, Plan)
    return Exchange(prompt, made, Stamp("c0de", prompt.model, STAMP_TIME))


def answered(case: Path) -> bytes:
    return next(case.glob("upstream.*")).read_bytes()


def source(case: Path) -> Source:
    made = exchange(case).plan
    upstream = UPSTREAMS[made.road.endpoint]
    return Source(upstream.Reader(), upstream.read_reply, made.chain(), event_limit=10_000, reply_limit=10_000)


def events(case: Path, pieces: list[bytes]) -> list[Event]:
    answer = source(case)
    return fed(answer.feed, pieces) + answer.end(delimited=True)


def streamed(case: Path, pieces: list[bytes]) -> bytes:
    """Gives what a client that streams gets, and what it gets only where nothing broke: the end."""
    asked = exchange(case)
    writer = openai_chat.Writer(asked.stamp, asked.prompt)
    answer = source(case)
    written = b"".join(writer.write(answer.feed(piece)) for piece in pieces)
    written += writer.write(answer.end(delimited=True))
    return written if answer.failed else written + writer.finish(writer.usage, writer.notes)


def whole(case: Path, pieces: list[bytes]) -> bytes:
    asked = exchange(case)
    collector = Collector()
    collector.feed(events(case, pieces))
    reply = collector.reply()
    if isinstance(reply, Fault):
        return openai_chat.write_fault(reply)
    return openai_chat.write_replies([reply], reply.usage, asked.stamp, asked.prompt)


def by_name(case: Path) -> str:
    return case.relative_to(WIRE).as_posix()


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_an_exchange(case: Path) -> None:
    asked = exchange(case)
    assert b"".join(asked.plan.body) + b"\n" == (case / "sent.json").read_bytes()
    assert set(asked.plan.adapted) <= set(NOTES)
    for pieces in ([answered(case)], [bytes([byte]) for byte in answered(case)]):
        assert streamed(case, pieces) == (case / "answer.sse").read_bytes()
        assert whole(case, pieces) + b"\n" == (case / "answer.json").read_bytes()


@given(st.sampled_from(CASES), places)
def test_any_cut_gives_the_same_client_bytes(case: Path, where: list[int]) -> None:
    pieces = cut(answered(case), where)
    assert streamed(case, pieces) == (case / "answer.sse").read_bytes()
    assert whole(case, pieces) + b"\n" == (case / "answer.json").read_bytes()


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_openais_description_takes_the_answer(case: Path) -> None:
    answer: Any = json.loads((case / "answer.json").read_bytes())
    assert violations("ErrorResponse" if "error" in answer else "CreateChatCompletionResponse", answer) == []
    frames = (case / "answer.sse").read_text(encoding="utf-8").split("\n\n")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames if frame.startswith("data: {")]
    assert chunks
    for chunk in chunks:
        schema = "ErrorResponse" if "error" in chunk else "CreateChatCompletionStreamResponse"
        assert violations(schema, chunk) == []
