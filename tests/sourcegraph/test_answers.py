"""How answers end and what they cost (contract §3.1, §3.3)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given

from cody_oai_router.events import Failed, Stop, StopReason, Usage
from cody_oai_router.faults import HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.sourcegraph.answers import STOP_REASONS, UsageFields, ending, read_usage, usage_of
from strategies import wild_bytes

HOLLOW = Fault(
    kind="bad_gateway",
    message="Sourcegraph announced tool calls and then sent none; ask again.",
    code=HOLLOW_TOOL_CALLS,
)


def read(wire: str) -> UsageFields:
    return msgspec.json.decode(wire, type=UsageFields)


@pytest.mark.parametrize(("word", "reason"), [*STOP_REASONS.items(), ("", "stop"), ("unknown", "stop")])
def test_a_finish_word_ends_an_answer(word: str, reason: StopReason) -> None:
    assert ending(word, calls=0) == (Failed(HOLLOW) if reason == "tool_calls" else Stop(reason))
    assert ending(word, calls=1) == Stop("tool_calls" if reason == "stop" else reason)


def test_the_words_of_the_contract() -> None:
    """The router's own word for each of upstream's, written out: the table above is the code's."""
    words: dict[StopReason, set[str]] = {
        "stop": {"stop", "end_turn", "stop_sequence", "STOP"},
        "length": {"length", "max_tokens", "MAX_TOKENS"},
        "tool_calls": {"tool_use", "tool_calls", "function_call"},
        "content_filter": {"content_filter", "SAFETY", "RECITATION", "refusal"},
    }
    assert {word: reason for reason, those in words.items() for word in those} == STOP_REASONS


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        (UsageFields(), Usage()),
        (UsageFields(prompt_tokens=1, completion_tokens=2, total_tokens=3), Usage(1, 2, 3)),
        (UsageFields(credits=1.2), Usage(credits=2)),
        (UsageFields(credits=2), Usage(credits=2)),
        (UsageFields(credits=0), Usage(credits=0)),
        (read('{"prompt_tokens_details":null,"completion_tokens_details":null}'), Usage()),
        (read('{"prompt_tokens_details":{},"completion_tokens_details":{}}'), Usage()),
        (
            read('{"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":7,"audio_tokens":1}}'),
            Usage(cached_tokens=0, cache_creation_tokens=7),
        ),
        (read('{"completion_tokens_details":{"reasoning_tokens":4}}'), Usage(reasoning_tokens=4)),
        (read('{"prompt_tokens":1,"completion_tokens":null,"other":[]}'), Usage(1)),
    ],
)
def test_usage(fields: UsageFields, usage: Usage) -> None:
    assert usage_of(fields) == usage


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"credits":0.5}', Usage(1, 2, 3, credits=1)),
        (b'{"prompt_tokens":1,"other":[{}]}', Usage(1)),
        (b"{}", Usage()),
        (b"null", None),
        (b"[]", None),
        (b'"1"', None),
        (b'{"prompt_tokens":"1"}', None),
        (b'{"prompt_tokens":1.5}', None),
        (b'{"prompt_tokens":1,"prompt_tokens_details":[]}', None),
        (b'{"credits":"\xff"}', None),
    ],
)
def test_a_usage_that_cannot_be_read_is_none(wire: bytes, usage: Usage | None) -> None:
    assert read_usage(msgspec.Raw(wire)) == usage


USAGE: dict[str, Any] = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "credits": 1.5,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


@given(wild_bytes(USAGE))
def test_no_usage_makes_it_raise(wire: bytes) -> None:
    assert isinstance(read_usage(msgspec.Raw(wire)), Usage | None)
