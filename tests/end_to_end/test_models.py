"""Model names: what is listed, how one is looked up, which one answers."""

from typing import Any
from urllib.parse import quote

import pytest

from cody_oai_router.simulator import faults
from end_to_end.harness import GPT, SONNET, Router, ask, both, chats, exchange, get, request, run, words

LISTING = "/.api/llm/models"
SUPPORTED = "/.api/modelconfig/supported-models.json"
LLAMA = "WorkersAI::v1::llama-3.1-8b-instruct"


async def listed(running: Router, path: str = "/v1/models") -> list[str]:
    answer = await get(running, path)
    assert answer.status == 200, answer.raw
    assert answer.header("content-type") == "application/json"
    assert set(answer.json) == {"object", "data"}
    for row in answer.json["data"]:
        assert {"id", "object", "created", "owned_by"} <= set(row)
        assert set(row) <= {
            "id",
            "object",
            "created",
            "owned_by",
            "context_window",
            "max_output_tokens",
            "capabilities",
        }
        assert row["object"] == "model"
    return [row["id"] for row in answer.json["data"]]


def test_short_names_first_then_references_and_only_what_chats() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            names = await listed(running)
            short = [name for name in names if "::" not in name]
            assert names == [*short, *(name for name in names if "::" in name)]
            assert short[0] == "claude-sonnet-4-5-latest"
            assert GPT in names
            assert not any("deepseek-coder" in name for name in names)
            assert len(names) == len(set(names))
            answer = await get(running, "/v1/models")
            assert answer.json["data"][0] == {
                "id": "claude-sonnet-4-5-latest",
                "object": "model",
                "created": 1747699200,
                "owned_by": "anthropic",
                "context_window": 132000,
                "max_output_tokens": 8192,
                "capabilities": ["chat", "tools", "vision"],
            }

    run(scenario())


@pytest.mark.parametrize("path", ["/models", "/v1/models", "/v1/v1/models", "/v1/models/", "/v1/models?limit=1"])
def test_the_listing_has_many_spellings(path: str) -> None:
    async def scenario() -> None:
        async with both("5.6") as (_, running):
            assert "gpt-4o" in await listed(running, path)

    run(scenario())


def test_one_model_by_any_spelling_of_its_name() -> None:
    async def scenario() -> None:
        variables = {"MODEL_ALIASES": "team/fast=gpt-4o,best=claude-sonnet-4-5-latest"}
        async with both(variables=variables) as (_, running):
            for name in ("gpt-4o", GPT, quote(GPT, safe=""), "team/fast", "team%2Ffast", "best", quote(LLAMA, safe="")):
                for prefix in ("/v1/models/", "/models/"):
                    answer = await get(running, prefix + name)
                    assert answer.status == 200, (prefix, name)
                    assert answer.json["id"] == name.replace("%3A", ":").replace("%2F", "/")
                    assert answer.json["object"] == "model"
            missing = await get(running, "/v1/models/no-such-model")
            assert missing.status == 404
            assert missing.error["code"] == "model_not_found"

    run(scenario())


def test_an_instance_without_a_listing_lists_nothing_and_still_answers() -> None:
    async def scenario() -> None:
        for listing in ("null", "unlisted"):
            async with both(listing=listing) as (simulator, running):
                assert await listed(running) == []
                answer = await ask(running, model=GPT)
                assert answer.status == (200 if listing == "unlisted" else 400)
                assert chats(simulator)[0].json["model"] == GPT

    run(scenario())


def test_a_listing_that_cannot_be_had_passes_names_unchanged() -> None:
    async def scenario() -> None:
        async with both(listing="unlisted") as (simulator, running):
            for path in (LISTING, SUPPORTED):
                simulator.queue(faults.status(500, "no"), path=path)
            answer = await ask(running, model=GPT)
            assert answer.status == 200
            assert answer.header("x-router-model") == GPT
            assert "model:resolved" not in words(answer)
            assert chats(simulator)[0].json["model"] == GPT

    run(scenario())


@pytest.mark.parametrize("kept", [LISTING, SUPPORTED])
def test_one_of_the_two_listings_is_enough(kept: str) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for path in {LISTING, SUPPORTED} - {kept}:
                simulator.queue(faults.html(403), path=path)
            assert "gpt-4o" in await listed(running)
            assert (await ask(running, model="gpt-4")).header("x-router-model") == GPT

    run(scenario())


RESOLVED = [
    (GPT, GPT, None),
    ("gpt-4o", GPT, "model:resolved"),
    ("GPT-4o", GPT, "model:resolved"),
    ("openai/gpt-4o", GPT, "model:resolved"),
    ("models/gpt-4o", GPT, "model:resolved"),
    ("gpt-4o-2024-08-06", GPT, "model:resolved"),
    ("gpt-4", GPT, "model:family"),
    ("gpt-4-turbo", GPT, "model:family"),
    ("claude-sonnet-4.5", SONNET, "model:resolved"),
    ("claude-sonnet-4-5-20250929", SONNET, "model:resolved"),
    ("gemini-2.5-pro-latest", "google::v1::gemini-2.5-pro", "model:resolved"),
    ("mine", SONNET, "model:resolved"),
]


def test_names_are_resolved_and_the_client_reads_its_own() -> None:
    async def scenario() -> None:
        async with both(variables={"MODEL_ALIASES": f"mine={SONNET}"}) as (simulator, running):
            for name, ref, note in RESOLVED:
                answer = await ask(running, model=name, stream=True)
                answer.assert_whole()
                assert answer.header("x-router-model") == ref, name
                assert words(answer) == ([note] if note else []), name
                assert {chunk["model"] for chunk in answer.chunks} == {name}
                assert chats(simulator)[-1].json["model"] == ref
                whole = await ask(running, model=name)
                assert whole.json["model"] == name
            assert len([received for received in simulator.received if received.path == LISTING]) == 1

    run(scenario())


def test_a_request_for_reasoning_takes_the_thinking_sibling() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            answer = await ask(running, model="claude-sonnet-4-5", reasoning_effort="high")
            assert answer.header("x-router-model") == "anthropic::2024-10-22::claude-sonnet-4-5-thinking-latest"
            assert "model:reasoning" in words(answer)

    run(scenario())


def test_a_name_that_nothing_matches_is_404_with_the_three_nearest() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for stream in (True, False):
                answer = await ask(running, model="qwen-4o-mini", stream=stream)
                assert answer.status == 404
                error = answer.error
                assert (error["code"], error["param"]) == ("model_not_found", "model")
                assert error["type"] == "invalid_request_error"
                nearest = error["message"].partition("Nearest: ")[2].partition(". ")[0]
                assert len(nearest.split(", ")) == 3
                assert "`o4-mini`" in nearest
            assert chats(simulator) == []

    run(scenario())


@pytest.mark.parametrize(("fields", "note"), [({"model": "qwen"}, "model:default"), ({}, "model:default")])
def test_a_default_model_answers_for_unknown_and_missing_names(fields: dict[str, Any], note: str) -> None:
    async def scenario() -> None:
        async with both(variables={"DEFAULT_MODEL": "gpt-4o"}) as (simulator, running):
            body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
            answer = await exchange(running, request(body))
            assert answer.status == 200
            assert answer.header("x-router-model") == GPT
            assert note in words(answer)
            assert chats(simulator)[0].json["model"] == GPT

    run(scenario())


def test_a_missing_model_without_a_default_is_a_clear_400() -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            answer = await exchange(running, request({"messages": [{"role": "user", "content": "Hi"}]}))
            assert answer.status == 400
            assert answer.error["param"] == "model"
            assert "DEFAULT_MODEL" in answer.error["message"]

    run(scenario())


def test_a_bad_token_is_told_by_the_listing_too() -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API_TOKEN": "sgp_" + "0" * 40}) as (_, running):
            answer = await get(running, "/v1/models")
            assert answer.status == 401
            assert "SOURCEGRAPH_API_TOKEN" in answer.error["message"]
            assert (await ask(running)).status == 401

    run(scenario())


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4o"])
@pytest.mark.parametrize(
    ("upstream", "status"),
    [(429, 429), (401, 401), (403, 403), (500, 500), (503, 503)],
)
def test_a_listing_that_fails_is_no_empty_listing(path: str, upstream: int, status: int) -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            failure = faults.status(upstream, "no", (("Content-Type", "text/plain"), ("Retry-After", "7")))
            for listing in ("/.api/llm/models", "/.api/modelconfig/supported-models.json"):
                simulator.queue(failure, path=listing)
            answer = await get(running, path)
            assert answer.status == status
            assert answer.header("retry-after") == ("7" if upstream in (429, 503) else None)
            assert "Sourcegraph" in answer.error["message"]

    run(scenario())


@pytest.mark.parametrize("name", ["claude-sonnet-4-5", "openai/gpt-4o", "openai%2Fgpt-4o"])
def test_a_name_that_chat_answers_to_is_described(name: str) -> None:
    async def scenario() -> None:
        async with both() as (_, running):
            answer = await get(running, f"/v1/models/{name}")
            assert answer.status == 200
            assert answer.json["id"] == name.replace("%2F", "/")

    run(scenario())
