"""The matrix of versions and wishes: every cell is right, of OpenAI's form to the letter, and the documentation says what it does."""

import json
from pathlib import Path
from typing import Any

import pytest

from end_to_end.conformance import conforms
from end_to_end.harness import Answer, run
from end_to_end.matrix import CASES, PROFILES, Seen, cell, stage, twice
from openai_schema import DESCRIPTION

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_cell(profile: str, case: str) -> None:
    async def scenario() -> None:
        found = [await cell(profile, case, stream=stream, judge=conforms) for stream in (True, False)]
        section = PAGE.read_text(encoding="utf-8").partition(f"## {case.capitalize()}\n")[2].partition("\n## ")[0]
        assert f"| {profile} | {found[0]} | {found[1]} |" in section, "run `make compatibility`"

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("profile", ["6.1", "6.8-gated", "6.12"])
def test_parallel_calls_without_ids_of_their_own(profile: str, stream: bool) -> None:
    async def scenario() -> None:
        async with stage(profile, stream=stream, parallel="no-id", judge=conforms) as here:
            assert (await twice(here)).whole

    run(scenario())


@pytest.mark.parametrize("gate", ["403", "404"])
@pytest.mark.parametrize("profile", ["6.5-starter", "6.8-gated"])
def test_either_status_closes_the_gate(profile: str, gate: str) -> None:
    async def scenario() -> None:
        assert await cell(profile, "plain", stream=True, gate=gate) == "Cody's stream, api-version 9"

    run(scenario())


def answer(body: Any, *, stream: bool, status: int = 200) -> Seen:
    """Makes an answer that no router of ours gives."""
    data = body if stream else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return Seen(Answer(head.encode() + data), stream=stream)


MESSAGE = {"role": "assistant", "content": "Hi", "refusal": None}
CHOICE = {"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}
COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}
ERROR = {"message": "No.", "type": "t", "param": None, "code": None}


def complaint(found: Seen) -> str:
    """What the judge has against an answer, nothing where it conforms."""
    try:
        conforms(found)
    except (AssertionError, ValueError) as error:
        return str(error) or repr(error)
    return ""


@pytest.mark.parametrize(
    "right", [answer(COMPLETION, stream=False), answer({"error": ERROR}, stream=False, status=400)]
)
def test_the_judge_takes_what_is_right(right: Seen) -> None:
    assert complaint(right) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        answer(COMPLETION | {"object": "completion"}, stream=False),
        answer(COMPLETION | {"created": "1"}, stream=False),
        answer(COMPLETION | {"surprise": 1}, stream=False),
        answer({name: value for name, value in COMPLETION.items() if name != "model"}, stream=False),
        answer(COMPLETION | {"choices": [CHOICE | {"finish_reason": ""}]}, stream=False),
        answer({"error": ERROR | {"message": None}}, stream=False, status=400),
        answer(b'data: {"id":"c","object":"chat.completion.chunk","created":1,"choices":[]}\n\n', stream=True),
        answer(b'data: {"error":{"message":"No."}}\n\n', stream=True),
    ],
)
def test_the_judge_finds_what_is_wrong(wrong: Seen) -> None:
    assert complaint(wrong) != ""


@pytest.mark.skipif(not DESCRIPTION.exists(), reason=f"no copy of OpenAI's description of its API at {DESCRIPTION}")
def test_openais_own_description_is_asked_too() -> None:
    """The SDK has no opinion on a refusal that is missing; the description has."""
    lacking = {"role": "assistant", "content": "Hi"}
    with pytest.raises(AssertionError, match="refusal is missing"):
        conforms(answer(COMPLETION | {"choices": [CHOICE | {"message": lacking}]}, stream=False))
