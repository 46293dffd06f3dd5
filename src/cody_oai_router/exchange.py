"""Decides one exchange: what to ask of which model, how, and what a refusal changes about it.

Pure: (prompt, what is known of the instance, settings) → `Plan` or `Fault`. The shell carries a plan out and asks here
again when upstream refuses.
"""

from typing import Final, Literal

import msgspec

from cody_oai_router.abilities import Abilities, missing
from cody_oai_router.adapt.roles import adapt_turns
from cody_oai_router.catalogue import Catalogue, Model, Resolved
from cody_oai_router.conversation import Prompt
from cody_oai_router.dialects import llm_chat
from cody_oai_router.faults import EMPTY_ANSWER, HOLLOW_TOOL_CALLS, Fault
from cody_oai_router.lessons import Lesson, learn

# The longest references of the contract (§6.2) have some 50 letters.
MAX_NAME_SHOWN: Final = 128

_HOW_NOTES: Final = {
    "exact": None,
    "unlisted": None,
    "alias": "model:resolved",
    "name": "model:resolved",
    "family": "model:family",
    "default": "model:default",
}


class Budgets(msgspec.Struct, frozen=True):
    """How many tokens an answer may have where the client does not say."""

    plain: int
    reasoning: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One request to upstream.

    `body` is buffers that follow each other. `stream` tells how it is asked for, whatever the client wants. `slow` tells that
    the first byte may take long: the model thinks first, or the whole answer comes at once. `adapted` is what the client is told.
    """

    ref: str
    body: list[bytes]
    stream: bool
    slow: bool
    lessons: frozenset[Lesson]
    adapted: tuple[str, ...]


class Again(msgspec.Struct, frozen=True):
    """Ask once more: with a lesson learnt, whole instead of streamed, or just so."""

    why: Literal["lesson", "ask-whole", "empty"]
    lesson: Lesson | None = None


def resolve(prompt: Prompt, catalogue: Catalogue) -> Resolved | Fault:
    """Finds the model that the client means."""
    resolved = catalogue.resolve(prompt.model, reasoning=prompt.reasoning)
    if resolved is not None:
        return resolved
    if not prompt.model:
        message = "you must provide a model parameter (or set DEFAULT_MODEL for clients that send none)"
        return Fault(kind="bad_request", message=message, param="model", code="missing_required_parameter")
    nearest = ", ".join(f"`{name}`" for name in catalogue.nearest(prompt.model))
    message = (
        f"The model `{_shown(prompt.model)}` does not exist on this Sourcegraph instance. Nearest: {nearest or 'none'}. "
        "GET /v1/models lists all; MODEL_ALIASES and DEFAULT_MODEL map other names."
    )
    return Fault(kind="model_not_found", message=message, param="model")


def plan(
    prompt: Prompt,
    resolved: Resolved,
    abilities: Abilities,
    lessons: frozenset[Lesson],
    budgets: Budgets,
    *,
    whole: bool = False,
) -> Plan | Fault:
    """Makes the request; `whole` asks for the answer in one piece whatever else speaks for a stream."""
    fault = missing(prompt, abilities)
    if fault is not None:
        return fault
    stream = not whole and "whole" not in lessons
    if prompt.tools and not prompt.stream and not abilities.reliable_streamed_calls:
        stream = False
    turns, notes = adapt_turns(prompt.turns, lessons)
    reasons = _reasons(resolved)
    tokens = _max_tokens(prompt, resolved, budgets, lessons, notes)
    notes |= _notes(prompt, resolved, stream=stream)
    adapted = msgspec.structs.replace(prompt, turns=turns)
    return Plan(
        ref=resolved.ref,
        body=llm_chat.write_prompt(adapted, resolved.ref, max_tokens=tokens, stream=stream),
        stream=stream,
        slow=reasons or not stream,
        lessons=lessons,
        adapted=tuple(sorted(notes)),
    )


def again(fault: Fault, tried: Plan, before: frozenset[str]) -> Again | None:
    """Tells whether one more request is worth it; only asked while nothing was sent to the client, each reason once."""
    lesson = learn(fault)
    if lesson is not None:
        return None if lesson in tried.lessons else Again("lesson", lesson)
    if fault.code == HOLLOW_TOOL_CALLS and tried.stream and "ask-whole" not in before:
        return Again("ask-whole")
    if fault.code == EMPTY_ANSWER and "empty" not in before:
        return Again("empty")
    return None


def _shown(name: str) -> str:
    """Gives a client's model name as an error can say it: short, and with nothing in it that a terminal would obey."""
    short = name if len(name) <= MAX_NAME_SHOWN else f"{name[:MAX_NAME_SHOWN]}…"
    return "".join(letter if letter.isprintable() else "�" for letter in short)


def _reasons(resolved: Resolved) -> bool:
    return (resolved.model or Model(ref=resolved.ref)).reasons


def _max_tokens(
    prompt: Prompt, resolved: Resolved, budgets: Budgets, lessons: frozenset[Lesson], notes: set[str]
) -> int:
    """Gives the client's limit, else the catalogue's, else the configured one (contract §2.2: never none)."""
    reasons = _reasons(resolved)
    known = resolved.model.max_output if resolved.model is not None else None
    tokens = prompt.max_tokens or known or (budgets.reasoning if reasons else budgets.plain)
    if "above-thinking-budget" in lessons and tokens < budgets.reasoning:
        tokens = budgets.reasoning
        if prompt.max_tokens:
            notes.add("max_tokens:raised")
    return tokens


def _notes(prompt: Prompt, resolved: Resolved, *, stream: bool) -> set[str]:
    notes = set(prompt.adapted)
    how = _HOW_NOTES[resolved.how]
    if how is not None and resolved.ref != prompt.model:
        notes.add(how)
    if resolved.reasoning_chosen:
        notes.add("model:reasoning")
    if stream != prompt.stream:
        notes.add("stream:folded" if stream else "stream:played")
    return notes
