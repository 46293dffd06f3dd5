"""What an instance says of itself, judged."""

import pytest

from cody_oai_router.checkup import instance
from cody_oai_router.checkup.check import Status
from cody_oai_router.faults import UPSTREAM_GATE, Fault
from cody_oai_router.settings import Api
from cody_oai_router.sourcegraph.refusals import read_fault

HTML = b"\n<!DOCTYPE html><html><title>Sign in</title></html>"


def refused(status: int, words: str = "") -> Fault:
    return read_fault(status, {}, words.encode(), 0.0)


def product(version: str) -> bytes:
    return b'{"data":{"site":{"productVersion":"%b"}}}' % version.encode()


BROKEN = Fault(kind="bad_gateway", message="the connection broke")
BAD_TOKEN = refused(401, "Invalid access token.")
GATE = refused(403, '{"message":"not licensed"}')
GONE = refused(404, "404 page not found")
UNTOLD = "whether it is valid could not be told by GraphQL"


@pytest.mark.parametrize(
    ("health", "graphql", "status", "detail"),
    [
        (b"6.12.5040\n", product("6.12.5040"), "ok", "Sourcegraph 6.12.5040"),
        (b"5.6.2535", BAD_TOKEN, "ok", "Sourcegraph 5.6.2535"),
        (GONE, product("6.1.2889"), "ok", "Sourcegraph 6.1.2889"),
        (
            b"336952_2025-07-24_6.6-0a7545eb3e57",
            BAD_TOKEN,
            "ok",
            "Sourcegraph 6.6 (build 336952_2025-07-24_6.6-0a7545eb3e57)",
        ),
        (b"5.3.1", BAD_TOKEN, "warning", "Sourcegraph 5.3.1"),
        (b"7.0.1", BAD_TOKEN, "ok", "Sourcegraph 7.0.1, newer than any that the router was tried on (up to 6.12)"),
        (b"ok", product("0.0.0+dev"), "warning", "Sourcegraph 0.0.0+dev"),
        (b"ok", product("insiders"), "ok", "Sourcegraph insiders"),
        (b"ok", BAD_TOKEN, "warning", "the instance does not say which release it is"),
        (BROKEN, BROKEN, "warning", "the connection broke"),
    ],
)
def test_releases(health: instance.Page, graphql: instance.Page, status: Status, detail: str) -> None:
    check = instance.judge_version(health, graphql)
    assert (check.status, check.detail) == (status, detail)


def test_a_web_page_is_no_release() -> None:
    check = instance.judge_version(HTML, HTML)
    assert check.status == "warning"
    assert check.detail.startswith('A web page ("Sign in") came instead of an answer')


@pytest.mark.parametrize(
    ("page", "scheme", "status", "detail", "advice"),
    [
        (b'{"data":{"currentUser":{"username":"ada"}}}', "token", "ok", "valid access token of ada", ""),
        (
            b'{"data":{"currentUser":{"username":"ada","displayName":"Ada"}}}',
            "Bearer",
            "ok",
            "valid OAuth token of ada (Ada)",
            "",
        ),
        (
            b'{"data":{"currentUser":null}}',
            "token",
            "failed",
            "Sourcegraph does not know who asks, in spite of the token",
            "revoked",
        ),
        (
            b'{"errors":[{"message":"no"}]}',
            "token",
            "warning",
            "it cannot be told whose access token it is: no",
            "",
        ),
        (b"pong", "token", "warning", f"{UNTOLD}, which does not answer as Sourcegraph does", "The answer below"),
        (BAD_TOKEN, "token", "failed", BAD_TOKEN.message, "Make a new one"),
        (BAD_TOKEN, "Bearer", "failed", BAD_TOKEN.message, "not the form of an access token (sgp_...)"),
        (GONE, "token", "warning", f"{UNTOLD}, which is not there, or closed (HTTP 404)", "The answer below"),
        (GATE, "token", "warning", f"{UNTOLD}, which is not there, or closed (HTTP 403)", "The answer below"),
        (BROKEN, "token", "warning", f"{UNTOLD}, which does not answer: the connection broke", "The answer below"),
    ],
)
def test_tokens(page: instance.Page, scheme: str, status: Status, detail: str, advice: str) -> None:
    check = instance.judge_token(page, scheme)
    assert (check.status, check.detail) == (status, detail)
    assert advice in check.advice
    assert bool(advice) == bool(check.advice)


def test_a_proxy_that_wants_a_sign_in_is_not_the_token() -> None:
    challenge = read_fault(401, {"x-example-u2f-challenge": "true"}, b"", 0.0)
    check = instance.judge_token(challenge, "token")
    assert check.detail.startswith("A proxy of your company")
    assert check.advice == ""


@pytest.mark.parametrize(
    ("config", "graphql", "listing", "status", "detail"),
    [
        (b'{"codyEnabled":true}', BROKEN, None, "ok", "switched on"),
        (b'{"codyEnabled":false}', BROKEN, None, "failed", "switched off for you, or for the whole instance"),
        (GONE, b'{"data":{"site":{"isCodyEnabled":true}}}', GONE, "ok", "switched on"),
        (
            GONE,
            b'{"data":{"site":{"isCodyEnabled":false}}}',
            GONE,
            "failed",
            "switched off for you, or for the whole instance",
        ),
        (GONE, BROKEN, GONE, "warning", "the instance does not say whether Cody is on"),
        (HTML, HTML, GONE, "warning", "the instance does not say whether Cody is on"),
        (
            b'{"codyEnabled":true}',
            BROKEN,
            refused(401, "cody is not enabled: no seat\n"),
            "failed",
            'switched off ("cody is not enabled: no seat")',
        ),
        (BROKEN, BROKEN, refused(403, "Cody is not enabled"), "failed", 'switched off ("Cody is not enabled")'),
    ],
)
def test_codys_switch(
    config: instance.Page, graphql: instance.Page, listing: Fault | None, status: Status, detail: str
) -> None:
    check = instance.judge_cody(config, graphql, listing)
    assert (check.status, check.detail) == (status, detail)
    assert ("Send this to your Sourcegraph admin" in check.advice) == (status == "failed")


@pytest.mark.parametrize(
    ("listing", "api", "release", "status", "detail"),
    [
        (None, "auto", (6, 12), "ok", "open"),
        (
            GATE,
            "auto",
            (6, 8),
            "ok",
            "closed on this instance (HTTP 403); Cody's stream is used instead, and there is nothing to do",
        ),
        (GATE, "llm", (6, 8), "warning", "its listing is closed on this instance (HTTP 403)"),
        (
            GONE,
            "auto",
            (5, 4),
            "ok",
            "not there: it came with Sourcegraph 5.6; Cody's stream is used instead, and there is nothing to do",
        ),
        (GONE, "llm", None, "warning", "its listing is closed on this instance (HTTP 404)"),
        (BROKEN, "auto", None, "warning", "the connection broke"),
        (BROKEN, "llm", None, "warning", "the connection broke"),
        (
            GATE,
            "cody",
            (6, 8),
            "ok",
            "not used: your settings want Cody's stream (SOURCEGRAPH_API, SOURCEGRAPH_END_POINT)",
        ),
    ],
)
def test_the_llm_api(
    listing: Fault | None, api: Api, release: tuple[int, int] | None, status: Status, detail: str
) -> None:
    check = instance.judge_llm_api(listing, api, release)
    assert (check.status, check.detail) == (status, detail)
    gated = listing is not None and listing.code == UPSTREAM_GATE
    assert ("Send this to your Sourcegraph admin" in check.advice) == (api == "llm" and gated)


def test_what_is_no_listing_opens_nothing() -> None:
    check = instance.judge_llm_api(None, "auto", None, listed=False)
    assert (check.status, check.detail) == ("warning", "what came for its listing is none")


@pytest.mark.parametrize(
    ("listing", "api", "known", "words"),
    [
        (GONE, "auto", False, "Is SOURCEGRAPH_BASE_URL the address of a Sourcegraph instance"),
        (GONE, "auto", True, ""),
        (GATE, "llm", True, "If chat is closed as well, set SOURCEGRAPH_API=auto"),
        (BROKEN, "llm", True, ""),
        (None, "llm", True, ""),
    ],
)
def test_what_may_be_the_matter(listing: Fault | None, api: Api, *, known: bool, words: str) -> None:
    said = instance.doubt(listing, api, known=known)
    assert said.startswith(words)
    assert bool(said) == bool(words)


@pytest.mark.parametrize(
    ("config", "release", "chosen", "api", "detail"),
    [
        (
            b'{"codyEnabled":true,"latestSupportedCompletionsStreamAPIVersion":8}',
            (6, 1),
            8,
            "auto",
            "8, as the instance says",
        ),
        (
            b'{"codyEnabled":true,"latestSupportedCompletionsStreamAPIVersion":12}',
            (8, 0),
            9,
            "auto",
            "9, the newest that the router knows (the instance has 12)",
        ),
        (GONE, (5, 4), 1, "auto", "1, as Sourcegraph 5.4 has it"),
        (GONE, None, None, "cody", "not said; 9 is tried first, and older ones where it is refused (HTTP 406)"),
        (GONE, None, None, "llm", "not used: your settings want the LLM API (SOURCEGRAPH_API, SOURCEGRAPH_END_POINT)"),
    ],
)
def test_api_versions(
    config: instance.Page, release: tuple[int, int] | None, chosen: int | None, api: Api, detail: str
) -> None:
    check = instance.judge_api_version(config, release, chosen, api)
    assert (check.status, check.detail) == ("ok", detail)


@pytest.mark.parametrize(
    ("page", "status", "detail"),
    [
        (
            b'{"data":{"site":{"codyContextFilters":{"raw":{"exclude":[]}}}}}',
            "warning",
            "this site has context filters",
        ),
        (b'{"data":{"site":{"codyContextFilters":null}}}', "ok", "none"),
        (b'{"errors":[{"message":"Cannot query field"}]}', "ok", "none that the instance tells of"),
        (HTML, "ok", "none that the instance tells of"),
        (BROKEN, "ok", "none that the instance tells of"),
    ],
)
def test_context_filters(page: instance.Page, status: Status, detail: str) -> None:
    check = instance.judge_filters(page)
    assert (check.status, check.detail) == (status, detail)
    assert bool(check.advice) == (status == "warning")
