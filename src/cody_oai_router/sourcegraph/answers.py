"""How an answer ends and what it cost, in the words that both endpoints use (contract §3.1, §3.3, §4.4)."""

from typing import Final

import msgspec

from cody_oai_router.events import Failed, Stop, StopReason, Usage
from cody_oai_router.faults import HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.sourcegraph.decoding import NO_JSON

# One answer calls a handful of tools; a hundred times that is a fault of upstream, not a wish of the model.
MAX_CALLS: Final = 512

# Contract §3.3. Words not listed end an answer like `stop` does.
STOP_REASONS: Final[dict[str, StopReason]] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "length": "length",
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "tool_use": "tool_calls",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "refusal": "content_filter",
}

# A piece of an answer, never quoted: its text is the model's, and its words are no refusal to learn from.
UNREADABLE: Final = Fault(
    kind="bad_gateway", message="Sourcegraph sent something that is not whole, or no JSON; ask again."
)
TOO_MANY_CALLS: Final = Fault(
    kind="bad_gateway", message=f"Sourcegraph sent more than {MAX_CALLS} tool calls in one answer."
)
_HOLLOW: Final = Fault(
    kind="bad_gateway",
    message="Sourcegraph announced tool calls and then sent none; ask again.",
    code=HOLLOW_TOOL_CALLS,
)


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class UsageFields(msgspec.Struct, gc=False):
    """The `usage` object of either endpoint."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    credits: float | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


_NO_PROMPT_DETAILS: Final = _PromptDetails()
_NO_COMPLETION_DETAILS: Final = _CompletionDetails()

_fields = msgspec.json.Decoder(UsageFields).decode


def read_usage(raw: msgspec.Raw) -> Usage | None:
    """Reads a `usage` object; nothing where it is none, which is no reason to lose an answer."""
    try:
        fields = _fields(raw)
    except NO_JSON:
        return None
    return usage_of(fields)


def usage_of(fields: UsageFields) -> Usage:
    """Gives the usage as an event; credits are rounded up, as the server's own are."""
    prompt = fields.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = fields.completion_tokens_details or _NO_COMPLETION_DETAILS
    return Usage(
        prompt_tokens=fields.prompt_tokens or 0,
        completion_tokens=fields.completion_tokens or 0,
        total_tokens=fields.total_tokens or 0,
        cached_tokens=prompt.cached_tokens,
        cache_creation_tokens=prompt.cache_creation_input_tokens,
        reasoning_tokens=completion.reasoning_tokens,
        credits=None if fields.credits is None else -int(-fields.credits // 1),
    )


def ending(word: str, *, calls: int) -> Stop | Failed:
    """Gives the end that a finish word means after that many tool calls; calls that were announced and never came are a fault."""
    reason = STOP_REASONS.get(word, "stop")
    if reason == "tool_calls" and not calls:
        return Failed(_HOLLOW)
    return Stop("tool_calls" if reason == "stop" and calls else reason)
