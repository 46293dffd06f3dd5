"""Roads: which endpoint a prompt goes to, by what it needs and what is known of the site."""

import itertools

import msgspec
import pytest

from cody_oai_router.abilities import LLM_API, Endpoint, Need, cody_stream, llm_api
from cody_oai_router.catalogue import Resolved
from cody_oai_router.conversation import ImagePart, Prompt, TextPart, Tool, Turn
from cody_oai_router.roads import Api, Road, Site, choose

THOUGHTFUL = "a::v1::claude-sonnet-4-thinking-latest"
IMAGE = ImagePart(msgspec.Raw(b'"data:image/png;base64,AA=="'))
NEEDS: tuple[Need, ...] = ("tools", "images", "reasoning")
ALL_NEEDS = [frozenset(some) for size in range(4) for some in itertools.combinations(NEEDS, size)]
VERSIONS = [None, *range(10)]


def needing(wanted: frozenset[Need]) -> Prompt:
    parts = (IMAGE,) if "images" in wanted else (TextPart(msgspec.Raw(b'"hi"')),)
    tools = (Tool(name="f"),) if "tools" in wanted else ()
    return Prompt(model="m", turns=(Turn(role="user", parts=parts),), tools=tools, reasoning="reasoning" in wanted)


def better_by_cody(wanted: frozenset[Need], version: int) -> bool:
    """The table in words: from which api-version on what is wanted goes better by Cody's stream."""
    since = {
        frozenset[Need](): 99,
        frozenset[Need]({"tools"}): 9,
        frozenset[Need]({"images"}): 3,
        frozenset[Need]({"reasoning"}): 8,
        frozenset[Need]({"tools", "images"}): 3,
        frozenset[Need]({"tools", "reasoning"}): 8,
        frozenset[Need]({"images", "reasoning"}): 3,
        frozenset[Need]({"tools", "images", "reasoning"}): 3,
    }
    return version >= since[wanted]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("api", ["auto", "llm", "cody"])
def test_the_road(version: int | None, gated: bool, api: Api) -> None:
    for wanted in ALL_NEEDS:
        # Of what nobody knows only what is lost otherwise is asked for.
        better = "images" in wanted if version is None else better_by_cody(wanted, version)
        expected: Endpoint = "cody" if api == "cody" or (api == "auto" and (gated or better)) else "llm"
        road = choose(needing(wanted), Resolved("a::v1::m", "exact"), Site(version, gated), api)
        spoken = 9 if version is None else version
        counts = spoken >= 5  # since 5.9, on both endpoints
        by_cody = Road("cody", spoken, cody_stream(spoken), counts)
        assert road == (by_cody if expected == "cody" else Road("llm", 0, llm_api(version), counts))


def test_a_site_of_which_nothing_is_known_is_asked_by_the_llm_api() -> None:
    assert Site() == Site(None, gated=False)
    assert choose(needing(frozenset()), Resolved("a::v1::m", "exact"), Site(), "auto") == Road("llm", 0, LLM_API)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("ref", "since"),
    [
        ("WorkersAI::v1::llama", 0),
        (THOUGHTFUL, 8),
        ("a::v1::m", 99),
        ("openai::v1::o3", 99),
        # No full references: the LLM API takes none of these.
        ("claude-sonnet-4", 1),
        ("anthropic/claude-sonnet-4", 1),
        ("a::m", 1),
    ],
)
def test_some_models_go_by_codys_stream_whatever_is_asked(version: int | None, ref: str, since: int) -> None:
    road = choose(needing(frozenset()), Resolved(ref, "exact"), Site(version), "auto")
    by_cody = since == 0 if version is None else version >= since
    assert road.endpoint == ("cody" if by_cody else "llm")


@pytest.mark.parametrize(
    ("version", "refused", "left"),
    [
        (None, [], None),
        (9, [], 9),
        (0, [], 0),
        (9, [9], 8),
        (9, [9, 8], 7),
        (9, [3], 2),
        (None, [9], 8),
        (8, [9], 8),
        (8, [9, 8], 7),
        (4, [9, 8], 4),
        (1, [1], 0),
        (0, [1], 0),
        (9, [0], 0),
        (12, [9], 8),
    ],
)
def test_a_site_without_versions_that_it_refused(version: int | None, refused: list[int], left: int | None) -> None:
    for gated in (True, False):
        site = Site(version, gated)
        assert site.without(refused) == Site(left, gated)
        assert site.without(iter(refused)) == site.without(reversed(refused)) == site.without(refused)
