"""Real exchanges with Sourcegraph, replayed: what we would have sent, and what a client would have got.

The recordings are not part of the project; where they are not beside it, these tests are skipped.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.abilities import cody_stream as abilities_of
from cody_oai_router.catalogue import Resolved, read_supported
from cody_oai_router.conversation import Collector, Prompt, Reply, Stamp
from cody_oai_router.dialects import cody_stream, openai_chat
from cody_oai_router.exchange import Budgets, Plan, plan
from cody_oai_router.faults import Fault
from cody_oai_router.relay import Source
from cody_oai_router.roads import Road
from cody_oai_router.site import read_client_config, read_release
from cody_oai_router.sourcegraph.refusals import read_fault
from cody_oai_router.upstreams import completions_stream
from strategies import cut, places

FILE = Path(__file__).parents[2] / "shared" / "upstream" / "recordings" / "cody-develop.jsonl"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the recordings are not beside the project")

STREAM = "/.api/completions/stream"
ROLES = {"human": "user", "assistant": "assistant", "system": "system"}
# What only Cody's own clients send, and why we do not: a faster model of the server's choice, experiments of February 2025, a time limit
# that we send as a header.
CODYS_OWN = frozenset({"fast", "cacheEnabled", "content", "timeoutMs"})


def recorded() -> list[dict[str, Any]]:
    if not FILE.exists():
        return []
    return [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


ALL = recorded()
STREAMS = [row for row in ALL if "completions" in row["path"] and row["status"] == 200]
REQUESTS = [row for row in ALL if row["path"] == STREAM]
REFUSED = [row for row in ALL if row["status"] >= 400]


def named(row: dict[str, Any]) -> str:
    return f"{ALL.index(row)}-{row['recorded'][:10]}"


def text_of(row: dict[str, Any]) -> str:
    """What was said, read without any code of ours: the last whole text, or all pieces."""
    payloads = [json.loads(line[5:]) for line in row["response_body"].split("\n") if line.startswith("data:")]
    wholes = [payload["completion"] for payload in payloads if "completion" in payload]
    return wholes[-1] if wholes else "".join(payload.get("deltaText", "") for payload in payloads)


def source() -> Source:
    return Source(cody_stream.Reader(), cody_stream.read_reply, event_limit=1 << 20, reply_limit=1 << 20)


def replayed(pieces: list[bytes]) -> tuple[str, str]:
    """Gives what a client that streams gets, and one that does not."""
    prompt = openai_chat.read_prompt(b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}')
    assert isinstance(prompt, Prompt)
    writer, collector, reader = openai_chat.Writer(Stamp("0", "m", 0), prompt), Collector(), source()
    written = b""
    for events in [*(reader.feed(piece) for piece in pieces), reader.end(delimited=True)]:
        written += writer.write(events)
        collector.feed(events)
    written += writer.finish(writer.usage, writer.notes)
    assert reader.failed is None
    chunks = [json.loads(line[6:]) for line in written.decode().split("\n\n") if line.startswith("data: {")]
    streamed = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    reply = collector.reply()
    assert isinstance(reply, Reply)
    assert chunks[-1]["choices"][0]["finish_reason"] == reply.stop == "stop"
    return streamed, reply.text


@pytest.mark.parametrize("row", STREAMS, ids=named)
def test_a_recorded_answer_comes_through_to_the_letter(row: dict[str, Any]) -> None:
    body = row["response_body"].encode()
    for size in (len(body), 1000, 7):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert replayed(pieces) == (text_of(row), text_of(row))


SHORT = [row for row in STREAMS if len(row["response_body"]) < 3000]


@pytest.mark.skipif(not SHORT, reason="the recordings are not beside the project")
@given(st.sampled_from(SHORT or [{}]), places)
def test_any_cut_of_a_recorded_answer_gives_the_same(row: dict[str, Any], where: list[int]) -> None:
    assert replayed(cut(row["response_body"].encode(), where)) == (text_of(row), text_of(row))


def asked_again(row: dict[str, Any]) -> dict[str, Any]:
    """Gives what we would send for a client that asked the same in OpenAI's words."""
    sent = json.loads(row["request_body"]) if isinstance(row["request_body"], str) else row["request_body"]
    messages = [
        {"role": ROLES[message["speaker"]], "content": message["text"]}
        for message in sent["messages"]
        if "text" in message
    ]
    fields = {"max_tokens": sent["maxTokensToSample"], "temperature": sent["temperature"], "stream": True}
    if "stopSequences" in sent:
        fields["stop"] = sent["stopSequences"]
    model = sent.get("model", "anthropic/claude-instant-1.2")
    prompt = openai_chat.read_prompt(json.dumps({"model": model, "messages": messages, **fields}).encode())
    assert isinstance(prompt, Prompt)
    version = int(row["query"].get("api-version", 0))
    road = Road("cody", version, abilities_of(version))
    made = plan(prompt, Resolved(model, "unlisted"), road, frozenset(), Budgets(4000, 32000), nonce="0")
    assert isinstance(made, Plan)
    found: dict[str, Any] = json.loads(b"".join(made.body))
    return found


def shape(value: Any) -> Any:
    """Gives keys and types, and every text; numbers are one type."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in CODYS_OWN}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return float if isinstance(value, int | float) else value


@pytest.mark.parametrize("row", REQUESTS, ids=named)
def test_a_recorded_request_is_what_we_would_send(row: dict[str, Any]) -> None:
    sent = json.loads(row["request_body"]) if isinstance(row["request_body"], str) else row["request_body"]
    ours = asked_again(row)
    defaults = {"topP": -1} | ({"model": ours["model"]} if "model" not in sent else {})
    assert shape(ours) == shape(defaults | sent)


@pytest.mark.parametrize("row", REQUESTS, ids=named)
def test_a_recorded_query_has_the_same_fields_as_ours(row: dict[str, Any]) -> None:
    version = int(row["query"].get("api-version", 0))
    pairs = completions_stream.query(version).removeprefix("?").split("&")
    assert set(row["query"]) <= {pair.partition("=")[0] for pair in pairs}


@pytest.mark.parametrize("row", REFUSED, ids=named)
def test_a_recorded_refusal_is_understood(row: dict[str, Any]) -> None:
    fault = read_fault(row["status"], {}, row["response_body"].encode(), 0)
    assert isinstance(fault, Fault)
    assert fault.status == row["status"]
    assert fault.said == row["response_body"].strip()
    assert fault.said in fault.message


def test_what_recorded_instances_say_of_themselves() -> None:
    pages = {named(row): row for row in ALL if row["method"] == "GET"}
    for row in pages.values():
        body = row["response_body"].encode()
        if row["path"].endswith("client-config"):
            config = read_client_config(body)
            assert config is not None
            said = json.loads(body)
            assert config.api_version == said.get("latestSupportedCompletionsStreamAPIVersion", 1)
            assert config.cody_enabled == said["codyEnabled"]
        elif row["path"] == "/healthz":
            assert read_release(body) is not None
        else:
            models = read_supported(body)
            assert models is not None
            assert [model.ref for model in models] == [model["modelRef"] for model in json.loads(body)["models"] or ()]
    assert len(pages) >= 8
