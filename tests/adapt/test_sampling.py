"""Temperature and top_p by the family of the model (contract §8, trap 47)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.sampling import clamp

TEMPERATURE, TOP_P, CLAMPED = "temperature:dropped", "top_p:dropped", "temperature:clamped"

NEITHER = [
    "openai::2024-02-01::gpt-5",
    "openai::2024-02-01::gpt-5.1-codex",
    "azure-openai::v1::GPT-5-mini",
    "openai/gpt-5",
    "openai::2024-02-01::o3",
    "openai::2024-02-01::o4-mini",
    "openai::2024-02-01::o3-mini-medium",
    "anthropic::2024-10-22::claude-sonnet-4-thinking-latest",
    "anthropic::2024-10-22::claude-3-7-sonnet-extended-thinking",
    "anthropic::2024-10-22::claude-opus-4-7-latest",
    "anthropic::2024-10-22::claude-opus-4.8",
    "anthropic::2024-10-22::claude-sonnet-5",
    "anthropic::2024-10-22::claude-opus-5-5-20270101",
    "anthropic::2024-10-22::claude-opus-10",
]

ONE_OF_BOTH = [
    "anthropic::2024-10-22::claude-opus-4-1-latest",
    "anthropic::2024-10-22::claude-opus-4-1-20250805",
    "anthropic::2024-10-22::claude-sonnet-4-5-latest",
    "anthropic::2024-10-22::claude-sonnet-4.5",
    "aws-bedrock::v1::anthropic.claude-haiku-4-5-20251001-v1_0",
    "google::v1::claude-haiku-4-5@20251001",
    "anthropic/claude-opus-4-6",
]

BOTH = [
    "anthropic::2024-10-22::claude-sonnet-4-latest",
    "anthropic::2024-10-22::claude-sonnet-4-20250514",
    "anthropic::2024-10-22::claude-sonnet-4-2025-05-14",
    "anthropic::2024-10-22::claude-3-5-haiku-latest",
    "anthropic::2023-06-01::claude-3.5-sonnet",
    "anthropic::2023-06-01::claude-3-opus-20240229",
    "anthropic::2023-06-01::claude-instant-1.2",
    "anthropic::v2::claude",
    "anthropic::v2::claude-latest",
    "anthropic::v2::claude-20250514",
]

OTHERS = [
    "openai::2024-02-01::gpt-4o",
    "openai::2024-02-01::gpt-4.1-o1",
    "google::v1::gemini-2.0-flash-thinking-exp",
    "fireworks::v1::deepseek-r1",
    "claude::v1::llama-3.1-8b-instruct",
    "mistral::v1::o-series",
    "",
]


@pytest.mark.parametrize("ref", NEITHER)
def test_where_both_are_fixed_both_are_dropped(ref: str) -> None:
    assert clamp(0.2, 0.9, ref) == (None, None, frozenset({TEMPERATURE, TOP_P}))
    assert clamp(1, None, ref) == (None, None, frozenset({TEMPERATURE}))
    assert clamp(None, 1, ref) == (None, None, frozenset({TOP_P}))


@pytest.mark.parametrize("ref", ONE_OF_BOTH)
def test_where_one_is_taken_the_one_that_says_something_stays(ref: str) -> None:
    assert clamp(0.2, 0.9, ref) == (0.2, None, frozenset({TOP_P}))
    assert clamp(0, 1, ref) == (0, None, frozenset({TOP_P}))
    assert clamp(1, 0.1, ref) == (None, 0.1, frozenset({TEMPERATURE}))
    assert clamp(1.5, 0.1, ref) == (1, None, frozenset({CLAMPED, TOP_P}))
    assert clamp(None, 0.1, ref) == (None, 0.1, frozenset())
    assert clamp(2, None, ref) == (1, None, frozenset({CLAMPED}))


@pytest.mark.parametrize("ref", BOTH)
def test_an_older_claude_takes_both_and_is_never_hotter_than_1(ref: str) -> None:
    assert clamp(0.2, 0.9, ref) == (0.2, 0.9, frozenset())
    assert clamp(1, 0.9, ref) == (1, 0.9, frozenset())
    assert clamp(1.01, 0.9, ref) == (1, 0.9, frozenset({CLAMPED}))
    assert clamp(None, 0.9, ref) == (None, 0.9, frozenset())


@pytest.mark.parametrize("ref", OTHERS)
def test_others_are_left_alone(ref: str) -> None:
    assert clamp(2, 0.1, ref) == (2, 0.1, frozenset())


@pytest.mark.parametrize("ref", [NEITHER[0], ONE_OF_BOTH[0], BOTH[0], OTHERS[0]])
def test_what_is_not_said_is_not_said(ref: str) -> None:
    assert clamp(None, None, ref) == (None, None, frozenset())


shares = st.one_of(st.none(), st.floats(0, 1))


@given(st.one_of(st.none(), st.floats(0, 2)), shares, st.sampled_from(NEITHER + ONE_OF_BOTH + BOTH + OTHERS))
def test_every_change_is_noted_and_a_second_time_changes_nothing(
    temperature: float | None, top_p: float | None, ref: str
) -> None:
    taken, taken_p, notes = clamp(temperature, top_p, ref)
    assert (taken == temperature) == notes.isdisjoint({TEMPERATURE, CLAMPED})
    assert (taken_p == top_p) == (TOP_P not in notes)
    assert clamp(taken, taken_p, ref) == (taken, taken_p, frozenset())
