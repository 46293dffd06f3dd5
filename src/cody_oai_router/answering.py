"""Puts together what changes the events of one answer, as its prompt needs it; most answers need nothing."""

from cody_oai_router.adapt.json_text import JsonText
from cody_oai_router.adapt.stops import StopCutter
from cody_oai_router.adapt.tool_choice import OneCall
from cody_oai_router.adapt.tool_text import CallFinder
from cody_oai_router.adapt.usage import Estimator, estimate_prompt
from cody_oai_router.conversation import Prompt, Tool
from cody_oai_router.relay import Adaptation, Chain, Cutter


def chain_of(prompt: Prompt, *, called: tuple[Tool, ...], nonce: str, counts: bool) -> Chain | None:
    """Gives the adaptations of an answer in their order, the first nearest to upstream.

    `called` are the tools whose calls stand in the text. `counts` tells that upstream counts tokens; where it does not, or the router ends
    an answer itself, they are estimated.
    """
    links: list[Adaptation] = []
    cutters: list[Cutter] = []
    if called:
        links.append(CallFinder(called, nonce))
    if prompt.format is not None and not prompt.format.strict:
        links.append(JsonText(arrays=prompt.format.kind == "json_schema"))
    if prompt.stop and not (prompt.format is not None and prompt.format.strict):
        links.append(cutter := StopCutter(prompt.stop))
        cutters.append(cutter)
    if not prompt.parallel_calls and prompt.tools:
        links.append(one := OneCall())
        cutters.append(one)
    estimator = None
    if (cutters or not counts) and (prompt.include_usage or not prompt.stream):
        links.append(estimator := Estimator(estimate_prompt(prompt)))
    return Chain(links, cutters, estimator) if links else None
