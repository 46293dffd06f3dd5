"""Puts together what changes the events of one answer, as its prompt needs it; most answers need nothing."""

from cody_oai_router.adapt.call_names import CallNames
from cody_oai_router.adapt.json_text import JsonText
from cody_oai_router.adapt.rewrites import Rewrites
from cody_oai_router.adapt.stops import StopCutter
from cody_oai_router.adapt.tool_choice import OneCall, requires
from cody_oai_router.adapt.tool_text import CallFinder
from cody_oai_router.adapt.usage import Estimator, estimate_prompt
from cody_oai_router.conversation import Prompt, Tool
from cody_oai_router.relay import Adaptation, Chain, Cutter


def chain_of(prompt: Prompt, *, called: tuple[Tool, ...], nonce: str, counts: bool) -> Chain | None:
    """Gives the adaptations of an answer in their order, the first nearest to upstream.

    `called` are the tools whose calls stand in the text. `counts` tells that upstream counts tokens: one that rewrites its text is older.
    Usage is estimated wherever there is none in the end; of a whole answer that is done when it is there (`adapt.usage.with_usage`).
    """
    links: list[Adaptation] = []
    cutters: list[Cutter] = []
    if called:
        links.append(CallFinder(called, nonce))
    if prompt.format is not None and not prompt.format.strict:
        links.append(JsonText(arrays=prompt.format.kind == "json_schema"))
    if prompt.stop and not _is_strict(prompt):
        links.append(cutter := StopCutter(prompt.stop))
        cutters.append(cutter)
    if links and not counts:
        links.insert(0, Rewrites(whole=_is_whole(prompt)))
    if not prompt.parallel_calls and prompt.tools:
        links.append(one := OneCall())
        cutters.append(one)
    if len(prompt.tools) > 1 and not called and _is_whole(prompt):
        links.append(CallNames())
    estimator = None
    if prompt.include_usage and prompt.stream:
        links.append(estimator := Estimator(estimate_prompt(prompt)))
    return Chain(links, cutters, estimator) if links else None


def _is_strict(prompt: Prompt) -> bool:
    return prompt.format is not None and prompt.format.strict


def _is_whole(prompt: Prompt) -> bool:
    """Tells that nothing of the answer goes out before its end, because nobody streams or because it is checked first (`checks.py`)."""
    return not prompt.stream or _is_strict(prompt) or requires(prompt.tool_choice)
