"""The matrix of versions and wishes: every cell is right, and the documentation says what it does."""

from pathlib import Path

import pytest

from end_to_end.harness import run
from end_to_end.matrix import CASES, PROFILES, cell, stage, twice

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_cell(profile: str, case: str) -> None:
    async def scenario() -> None:
        found = [await cell(profile, case, stream=stream) for stream in (True, False)]
        section = PAGE.read_text(encoding="utf-8").partition(f"## {case.capitalize()}\n")[2].partition("\n## ")[0]
        assert f"| {profile} | {found[0]} | {found[1]} |" in section, "run `make compatibility`"

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("profile", ["6.1", "6.8-gated", "6.12"])
def test_parallel_calls_without_ids_of_their_own(profile: str, stream: bool) -> None:
    async def scenario() -> None:
        async with stage(profile, stream=stream, parallel="no-id") as here:
            assert (await twice(here)).whole

    run(scenario())


@pytest.mark.parametrize("gate", ["403", "404"])
@pytest.mark.parametrize("profile", ["6.5-starter", "6.8-gated"])
def test_either_status_closes_the_gate(profile: str, gate: str) -> None:
    async def scenario() -> None:
        assert await cell(profile, "plain", stream=True, gate=gate) == "Cody's stream, api-version 9"

    run(scenario())
