"""Chooses the road of a request: the LLM API unless it is closed, or Cody's stream carries what is needed better (`abilities.py`)."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

import msgspec

from cody_oai_router.abilities import Abilities, Endpoint, Grade, Need, Traits, cody_stream, llm_api, needs, traits_of
from cody_oai_router.catalogue import Resolved
from cody_oai_router.conversation import Prompt
from cody_oai_router.upstreams import completions_stream

Api = Literal["auto", "llm", "cody"]

# The api-version by which an instance shows that it counts tokens, on both endpoints: 5.9 (contract §1.1, §4.1).
_COUNTS_SINCE: Final = 5


class Site(msgspec.Struct, frozen=True):
    """What is known of the instance.

    `api_version` is the newest of Cody's stream that it takes (0: none at all), None where nobody knows. `gated` tells that the LLM API is
    closed.
    """

    api_version: int | None = None
    gated: bool = False

    def without(self, refused: Iterable[int]) -> "Site":
        """Gives the same without api-versions that it was seen to refuse, and all newer ones."""
        lowest = min(refused, default=None)
        if lowest is None or (self.api_version is not None and self.api_version < lowest):
            return self
        return msgspec.structs.replace(self, api_version=completions_stream.older(lowest) or 0)


class Road(msgspec.Struct, frozen=True):
    """The endpoint that a request goes to, its api-version (0 where it has none), what it carries, and whether it counts tokens."""

    endpoint: Endpoint
    version: int
    abilities: Abilities
    counts: bool = True


def choose(prompt: Prompt, resolved: Resolved, site: Site, api: Api, traits: Traits | None = None) -> Road:
    """Gives the road of a prompt to a model of a site; `api` is what the user allows, `traits` are the prompt's, where they are known."""
    by_llm, by_cody = _roads(site.api_version)
    if api != "auto":
        return by_cody if api == "cody" else by_llm
    if site.gated or _is_refused_by_grammar(resolved.ref, site):
        return by_cody
    wanted = needs(prompt, traits or traits_of(prompt), thinks="thinking" in resolved.ref)
    if not wanted:
        return by_llm
    if site.api_version is None and min(map(by_llm.abilities.grade, wanted)) > Grade.LOST:
        return by_llm  # what nobody is known to offer is asked for only where nothing else is left
    return by_cody if _carried(wanted, by_cody) > _carried(wanted, by_llm) else by_llm


@lru_cache(maxsize=16)
def _roads(api_version: int | None) -> tuple[Road, Road]:
    """Gives both roads of an instance: they are the same for every request."""
    version = completions_stream.NEWEST if api_version is None else api_version
    counts = version >= _COUNTS_SINCE
    return Road("llm", 0, llm_api(api_version), counts), Road("cody", version, cody_stream(version), counts)


def _is_refused_by_grammar(ref: str, site: Site) -> bool:
    """Tells whether the LLM API would refuse a name that Cody's stream takes.

    Capitals (contract §2.4, trap 54), and names that are no full reference (§6.3), which is worth a try only where that endpoint is known:
    the refusal of the LLM API says how to write them.
    """
    return ref != ref.lower() or (ref.count("::") < 2 and bool(site.api_version))  # noqa: PLR2004 - provider::apiVersion::modelId


def _carried(wanted: frozenset[Need], road: Road) -> tuple[int, int]:
    """Gives how well a road carries what is wanted: first by the worst of it, then by all of it."""
    grades = [road.abilities.grade(need) for need in wanted]
    return min(grades, default=0), sum(grades)
