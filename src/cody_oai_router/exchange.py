"""Decides one exchange: which model, which road, what to ask, and what a refusal changes about it.

Pure: (prompt, what is known of the instance, settings) → `Plan` or `Fault`. The shell carries a plan out and asks here
again when upstream refuses.
"""

from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from cody_oai_router.abilities import LLM_API_BEFORE_6, PLAIN, Abilities, Traits, lost, traits_of
from cody_oai_router.adapt import structured, tool_choice
from cody_oai_router.adapt.fields import drop_fields
from cody_oai_router.adapt.images import correct_types
from cody_oai_router.adapt.pairing import pair_results
from cody_oai_router.adapt.roles import adapt_turns
from cody_oai_router.adapt.sampling import clamp, takes_no_stop
from cody_oai_router.adapt.system import lead_with_system
from cody_oai_router.adapt.tool_prompt import describe
from cody_oai_router.answering import chain_of
from cody_oai_router.catalogue import Catalogue, Model, Resolved
from cody_oai_router.checks import Check, check_of
from cody_oai_router.conversation import FORGOTTEN, Prompt, Role, Tool, Turn
from cody_oai_router.faults import API_VERSION_REFUSED, EMPTY_ANSWER, HOLLOW_TOOL_CALLS, UPSTREAM_GATE, Fault
from cody_oai_router.lessons import Lesson, learn
from cody_oai_router.relay import Chain
from cody_oai_router.roads import Api, Road
from cody_oai_router.sourcegraph.waits import is_of_concurrency
from cody_oai_router.upstreams import completions_stream
from cody_oai_router.upstreams import llm_api as llm

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

# `prediction` came with 5.10 (contract §4.3).
_PREDICTS_SINCE: Final = 5

# The largest thinking budget that is known, in tokens ("about 16K for Opus", contract §2.2). An answer must be allowed more than that, and
# a catalogue's limit below it is a convention of Cody's clients: instances took more (contract §6.2).
_THINKING_BUDGET: Final = 16 * 1024

_WRITERS: Final = {"llm": llm.write_prompt, "cody": completions_stream.write_prompt}

# The roles that an endpoint takes besides user and assistant: where it takes results of tools, and where a system message.
_NATIVE_ROLES: Final[dict[tuple[bool, bool], frozenset[Role]]] = {
    (False, False): frozenset(),
    (False, True): frozenset({"system"}),
    (True, False): frozenset({"tool"}),
    (True, True): frozenset({"tool", "system"}),
}

_Turns = tuple[Turn, ...]
_Step = Callable[[_Turns], tuple[_Turns, set[str]]]


class Budgets(msgspec.Struct, frozen=True):
    """How many tokens an answer may have where the client does not say."""

    plain: int
    reasoning: int


class Plan(msgspec.Struct, kw_only=True):
    """One request to upstream.

    `body` is buffers that follow each other. `stream` tells how it is asked for, whatever the client wants. `slow` tells that
    the first byte may take long: the model thinks first, or the whole answer comes at once. `adapted` is what the client is told.
    `called` are the tools whose calls have to be found in the text of the answer, by `nonce`. `rich` tells that it
    holds tools or cache hints in Cody's own parts, which an api-version may not know.
    """

    ref: str
    road: Road
    body: list[bytes]
    stream: bool
    slow: bool
    lessons: frozenset[Lesson]
    adapted: tuple[str, ...]
    called: tuple[Tool, ...] = ()
    nonce: str = ""
    rich: bool = False

    check: Check | None = None
    prompt: Prompt

    def chain(self) -> Chain | None:
        """Gives what changes the events of the answer; nothing where they pass as they are."""
        return chain_of(self.prompt, called=self.called, nonce=self.nonce, counts=self.road.counts)

    def forget(self) -> None:
        """Lets go of what only another request would need, once a part of the answer is out."""
        self.body = []
        self.prompt = FORGOTTEN


class Again(msgspec.Struct, frozen=True):
    """Ask once more: with a lesson learnt, whole instead of streamed, on another road, after a wait (seconds), or just so."""

    why: Literal["lesson", "ask-whole", "empty", "gate", "other-road", "older", "wait"]
    lesson: Lesson | None = None
    wait: float = 0.0


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
    road: Road,
    lessons: frozenset[Lesson],
    budgets: Budgets,
    *,
    nonce: str,
    traits: Traits | None = None,
    whole: bool = False,
    repaired: bool = False,
) -> Plan | Fault:
    """Makes the request.

    `nonce` is hex. `traits` are the prompt's, where they are known. `whole` asks for the answer in one piece whatever else speaks for a
    stream; `repaired` tells that a first answer did not keep what it had to.
    """
    traits = traits or traits_of(prompt)
    fault = None
    if traits.images or traits.others:
        fault = lost(prompt, road.abilities, blind="vision" in resolved.lacks)
    check = check_of(prompt) if fault is None else fault
    if isinstance(check, Fault):
        return check
    abilities = road.abilities
    if road.endpoint == "cody" and "plain-parts" in lessons:
        abilities = msgspec.structs.replace(abilities, native_tools=False, cache_hints=False)
    native = abilities.native_tools and "tools" not in resolved.lacks
    called = () if native else prompt.tools
    stream = _streams(prompt, resolved, road, lessons, native=native) and not whole
    turns, notes = _turns(prompt, traits, abilities, lessons, nonce, native=native)
    turns = _instructed(prompt, turns, notes)
    if repaired:
        notes.add("repair:asked-again")
    reasons = _reasons(resolved)
    tokens = _max_tokens(prompt, resolved, budgets, lessons, notes, reasons=reasons)
    _note(prompt, resolved, road, notes, check, stream=stream)
    adapted = _adapted(prompt, turns, resolved.ref, road, notes, native=native)
    write = _WRITERS[road.endpoint]
    return Plan(
        ref=resolved.ref,
        road=road,
        body=write(adapted, resolved.ref, max_tokens=tokens, stream=stream, version=road.version),
        stream=stream,
        slow=reasons or not stream,
        lessons=lessons,
        adapted=tuple(sorted(notes)),
        called=called,
        nonce=nonce,
        check=check,
        prompt=prompt,
        rich=road.endpoint == "cody" and bool(adapted.tools or (traits.hints and abilities.cache_hints)),
    )


def again(fault: Fault, tried: Plan, before: frozenset[str], *, api: Api, patience: float = 0.0) -> Again | None:
    """Tells whether one more request is worth it; only asked while nothing was sent to the client.

    Each reason counts once, except waits, which end with `patience` (seconds), and api-versions, which run out.
    """
    if tried.road.endpoint == "cody" and fault.code == API_VERSION_REFUSED:
        return Again("older") if completions_stream.older(tried.road.version) is not None else None
    if tried.road.endpoint == "llm" and api == "auto":
        if fault.code == UPSTREAM_GATE:
            return Again("gate")
        if fault.param == "model":
            return Again("other-road")
    if is_of_concurrency(fault):
        wait = max(1.0, float(fault.retry_after or 0))
        return Again("wait", wait=wait) if wait <= patience else None
    lesson: Lesson | None = learn(fault)
    if tried.rich and "could not decode request body" in fault.said.lower():
        lesson = "plain-parts"  # fields that are newer than the server (contract §4.8)
    if lesson is not None:
        return None if lesson in tried.lessons else Again("lesson", lesson)
    if fault.code == HOLLOW_TOOL_CALLS and tried.stream and "ask-whole" not in before:
        return Again("ask-whole")
    if fault.code == EMPTY_ANSWER and "empty" not in before:
        return Again("empty")
    return None


def _streams(prompt: Prompt, resolved: Resolved, road: Road, lessons: frozenset[Lesson], *, native: bool) -> bool:
    if road.endpoint == "llm" and "whole" in lessons:
        return False  # an instance before 6.0, whose Cody's stream streams all the same
    if resolved.model is not None and not resolved.model.streams:
        return False
    called = bool(prompt.tools) and native
    return prompt.stream or not called or road.abilities.reliable_streamed_calls


def _turns(
    prompt: Prompt, traits: Traits, abilities: Abilities, lessons: frozenset[Lesson], nonce: str, *, native: bool
) -> tuple[_Turns, set[str]]:
    """Gives the turns as the endpoint carries them, and notes of what was changed: one step for each thing that it lacks."""
    if traits is PLAIN and native and not lessons:
        return adapt_turns(prompt.turns, lessons)
    turns = prompt.turns
    notes: set[str] = set()
    for step in _steps(prompt, traits, abilities, nonce, native=native):
        turns, changed = step(turns)
        notes |= changed
    turns, changed = adapt_turns(turns, lessons, _NATIVE_ROLES[abilities.tool_results, abilities.system])
    return turns, notes | changed


def _steps(prompt: Prompt, traits: Traits, abilities: Abilities, nonce: str, *, native: bool) -> Iterator[_Step]:
    # Providers refuse calls in the history where no tools are offered; as text they are understood all the same.
    if (prompt.tools and not native) or (traits.history and not (native and prompt.tools)):
        yield lambda turns: describe(turns, prompt.tools, nonce)
    elif traits.history and abilities.tool_results:
        yield pair_results
    if traits.images and abilities.images:
        yield correct_types
    if abilities.system and (traits.instructions or not native):
        yield lead_with_system
    if (traits.hints and not abilities.cache_hints) or (traits.names and not abilities.names):
        yield lambda turns: drop_fields(turns, cache_hints=not abilities.cache_hints, names=not abilities.names)


def _instructed(prompt: Prompt, turns: _Turns, notes: set[str]) -> _Turns:
    """Says in words what no endpoint takes as a field: the format of the answer, and whether and how often tools must be called."""
    if prompt.format is not None:
        turns, changed = structured.instruct(turns, prompt.format)
        notes |= changed
    several = (
        prompt.parallel_calls or prompt.legacy_functions
    )  # who uses those has not asked for one call, only sees no other
    if prompt.tools and (prompt.tool_choice != "auto" or not several):
        turns, changed = tool_choice.instruct(turns, prompt.tool_choice, parallel=several)
        notes |= changed
    return turns


def _adapted(prompt: Prompt, turns: _Turns, ref: str, road: Road, notes: set[str], *, native: bool) -> Prompt:
    """Gives the prompt as it is sent: with other turns, and without what the model or the endpoint would refuse."""
    temperature, top_p = prompt.temperature, prompt.top_p
    if temperature is not None or top_p is not None:
        temperature, top_p, changed = clamp(temperature, top_p, ref)
        notes |= changed
    predicts = road.endpoint == "cody" and road.version >= _PREDICTS_SINCE
    if prompt.prediction is not None and not predicts:
        notes.add("prediction:dropped")
    return msgspec.structs.replace(
        prompt,
        turns=turns,
        tools=prompt.tools if native else (),
        stop=_sent_stop(prompt, ref, native=native),
        temperature=temperature,
        top_p=top_p,
        prediction=prompt.prediction if predicts else None,
    )


def _sent_stop(prompt: Prompt, ref: str, *, native: bool) -> tuple[str, ...]:
    """Gives the stop sequences that upstream may act on; all of them are kept here (`answering`)."""
    if not prompt.stop or prompt.format is not None or (prompt.tools and not native) or takes_no_stop(ref):
        return ()  # one might stand in a call or before the JSON, and some models refuse them
    return tuple(stop for stop in prompt.stop if stop.strip())  # Claude refuses white space alone


def _shown(name: str) -> str:
    """Gives a client's model name as an error can say it: short, and with nothing in it that a terminal would obey."""
    short = name if len(name) <= MAX_NAME_SHOWN else f"{name[:MAX_NAME_SHOWN]}…"
    return "".join(letter if letter.isprintable() else "�" for letter in short)


def _reasons(resolved: Resolved) -> bool:
    return resolved.model.reasons if resolved.model is not None else Model(ref=resolved.ref).reasons


def _max_tokens(
    prompt: Prompt, resolved: Resolved, budgets: Budgets, lessons: frozenset[Lesson], notes: set[str], *, reasons: bool
) -> int:
    """Gives the client's limit, else the catalogue's, else the configured one (contract §2.2: never none)."""
    tokens = prompt.max_tokens or _default_tokens(resolved.model, budgets, reasons=reasons)
    if "above-thinking-budget" in lessons and tokens < budgets.reasoning:
        tokens = budgets.reasoning
        if prompt.max_tokens:
            notes.add("max_tokens:raised")
    return tokens


def _default_tokens(model: Model | None, budgets: Budgets, *, reasons: bool) -> int:
    """Gives the catalogue's limit, if thoughts leave room in it for an answer, else the configured one."""
    known = (model.max_output if model is not None else None) or 0
    if not reasons:
        return known or budgets.plain
    return known if known > _THINKING_BUDGET else max(known, budgets.reasoning)


def _note(
    prompt: Prompt, resolved: Resolved, road: Road, notes: set[str], check: Check | None, *, stream: bool
) -> None:
    notes.update(prompt.adapted)
    how = _HOW_NOTES[resolved.how]
    if how is not None and resolved.ref != prompt.model:
        notes.add(how)
    if resolved.reasoning_chosen:
        notes.add("model:reasoning")
    if road.endpoint == "cody":
        notes.add("endpoint:cody")
    if prompt.stream and check is not None:
        notes.add("stream:held")
    if prompt.format is not None and prompt.format.strict and prompt.stop:
        notes.add("stop:dropped")
    if prompt.temperature == 0 and road.abilities is LLM_API_BEFORE_6:
        notes.add("temperature:zero-unset")
    if prompt.choices > 1:
        notes.add("choices:asked-apart")
    if stream != prompt.stream:
        notes.add("stream:folded" if stream else "stream:played")
