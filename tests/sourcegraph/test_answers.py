"""How answers end and what they cost (contract §3.1, §3.3)."""

import pytest

from cody_oai_router.events import Failed, Stop, StopReason, Usage
from cody_oai_router.faults import HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.sourcegraph.answers import STOP_REASONS, UsageFields, ending, usage_of

HOLLOW = Fault(
    kind="bad_gateway",
    message="Sourcegraph announced tool calls and then sent none; ask again.",
    code=HOLLOW_TOOL_CALLS,
)


@pytest.mark.parametrize(("word", "reason"), [*STOP_REASONS.items(), ("", "stop"), ("unknown", "stop")])
def test_a_finish_word_ends_an_answer(word: str, reason: StopReason) -> None:
    assert ending(word, calls=0) == (Failed(HOLLOW) if reason == "tool_calls" else Stop(reason))
    assert ending(word, calls=1) == Stop("tool_calls" if reason == "stop" else reason)


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        (UsageFields(), Usage()),
        (UsageFields(prompt_tokens=1, completion_tokens=2, total_tokens=3), Usage(1, 2, 3)),
        (UsageFields(credits=1.2), Usage(credits=2)),
        (UsageFields(credits=2), Usage(credits=2)),
    ],
)
def test_usage(fields: UsageFields, usage: Usage) -> None:
    assert usage_of(fields) == usage
