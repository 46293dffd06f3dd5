"""Judges what an instance says of itself: its release, its user, whether Cody is on, and which roads to its models are open."""

from typing import Final, Literal

from cody_oai_router.checkup.account import read_account, read_cody_enabled, read_product_version
from cody_oai_router.checkup.check import Check
from cody_oai_router.faults import UPSTREAM_GATE, Fault, Kind
from cody_oai_router.settings import Api
from cody_oai_router.site import has_context_filters, read_client_config, read_release
from cody_oai_router.sourcegraph.refusals import fault_of_text
from cody_oai_router.upstreams import completions_stream

Page = bytes | Fault

# The router was tried on simulators of these releases and on transcripts of them.
_OLDEST: Final = (5, 4)
_NEWEST: Final = (6, 12)
# The first release with anything under /.api/llm (contract §1.1).
_FIRST_WITH_LLM: Final = (5, 6)
_LONGEST: Final = 60
_ANSWER_TELLS: Final = "The answer below will show whether that matters."
_OTHER_ROAD: Final = "If chat is closed as well, set SOURCEGRAPH_API=auto to use Cody's stream instead."
_WRONG_ADDRESS: Final = "Is SOURCEGRAPH_BASE_URL the address of a Sourcegraph instance, as the browser shows it?"

# An instance that answers like this does not answer at all; why is worth saying, though chat may work.
_BROKEN: Final[frozenset[Kind]] = frozenset({"bad_gateway", "timed_out", "unavailable", "internal"})


def to_admin(text: str) -> str:
    """Puts a sentence where a user can copy it from."""
    return f'Send this to your Sourcegraph admin: "{text}"'


def read_page(page: Page) -> Page:
    """Gives a page as it is, but a web page where data should be as the fault that it is."""
    return fault_of_text(page) if isinstance(page, bytes) and page.lstrip().startswith(b"<") else page


def release_of(health: Page, product: Page) -> bytes:
    """Gives the version as the instance writes it; empty where neither page has it."""
    known = None if isinstance(product, Fault) else read_product_version(product)
    if known:
        return known.encode()
    return health.strip() if isinstance(health, bytes) and read_release(health) else b""


def judge_version(health: Page, product: Page) -> Check:
    """Judges `/healthz` and GraphQL's productVersion, which needs a token."""
    health, product = read_page(health), read_page(product)
    written = release_of(health, product)
    release = read_release(written)
    if release is None:
        return _unknown_version(written, health, product)
    exact = written.decode("utf-8", "replace")[:_LONGEST]
    name = f"Sourcegraph {exact}" if exact[:1].isdigit() and "_" not in exact else _build(release, exact)
    if release < _OLDEST:
        advice = "The router was made for 5.4 and later: the instance has to be updated if what follows fails."
        return Check("version", "warning", name, advice)
    if release > _NEWEST:
        return Check(
            "version", "ok", f"{name}, newer than any that the router was tried on (up to {_written(_NEWEST)})"
        )
    return Check("version", "ok", name)


def _build(release: tuple[int, int], exact: str) -> str:
    return f"Sourcegraph {_written(release)} (build {exact})"


def _written(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"


def _unknown_version(written: bytes, health: Page, product: Page) -> Check:
    faults = [page for page in (health, product) if isinstance(page, Fault)]
    if all(isinstance(page, Fault) and page.kind in _BROKEN for page in (health, product)):
        return Check("version", "warning", faults[-1].message, _ANSWER_TELLS)
    if written:
        return Check("version", "ok", f"Sourcegraph {written.decode('utf-8', 'replace')[:_LONGEST]}")
    advice = "Nothing depends on it, unless SOURCEGRAPH_BASE_URL is not the address of a Sourcegraph instance."
    return Check("version", "warning", "the instance does not say which release it is", advice)


def judge_token(page: Page, scheme: str) -> Check:
    """Judges GraphQL's answer about the account; `scheme` is the one that the token was sent with."""
    page = read_page(page)
    kind = "access token" if scheme == "token" else "OAuth token"
    if isinstance(page, Fault):
        return _refused_token(page, kind)
    account = read_account(page)
    if account is None:
        return _untold_token("which does not answer as Sourcegraph does")
    if account.user is not None:
        name = account.user.displayName
        shown = f"{account.user.username} ({name})" if name else account.user.username
        return Check("token", "ok", f"valid {kind} of {shown}")
    if account.words:
        return Check("token", "warning", f"it cannot be told whose {kind} it is: {account.words[:200]}")
    return Check("token", "failed", "Sourcegraph does not know who asks, in spite of the token", _new_token(kind))


def _refused_token(fault: Fault, kind: str) -> Check:
    if fault.kind == "unauthenticated":
        return Check("token", "failed", fault.message, _new_token(kind) if fault.said else "")
    if fault.code == UPSTREAM_GATE:
        return _untold_token(f"which is not there, or closed (HTTP {fault.status})")
    return _untold_token(f"which does not answer: {fault.message}")


def _untold_token(why: str) -> Check:
    """Says that GraphQL was no help: a gateway may close it and let chat through."""
    detail = f"whether it is valid could not be told by GraphQL, {why}"
    return Check("token", "warning", detail, "The answer below will show whether it is.")


def _new_token(kind: str) -> str:
    how = "Make a new one in your user settings > Access tokens (/user/settings/tokens on the instance) and set SOURCEGRAPH_API_TOKEN."
    if kind == "access token":
        return f"It may have expired or been revoked, or belong to another instance. {how}"
    return f"It has not the form of an access token (sgp_...), so it was sent as an OAuth token, which lasts an hour. {how}"


def judge_cody(config: Page, enabled: Page, listing: Fault | None) -> Check:
    """Judges whether Cody is on: by client-config, by GraphQL for releases without it, and by what the LLM API refused with."""
    if listing is not None and "cody is not enabled" in listing.said.lower():
        return _cody_off(f'switched off ("{listing.said.strip()[:200]}")')
    config, enabled = read_page(config), read_page(enabled)
    found = None if isinstance(config, Fault) else read_client_config(config)
    on = found.cody_enabled if found else None if isinstance(enabled, Fault) else read_cody_enabled(enabled)
    if on is False:
        return _cody_off("switched off for you, or for the whole instance")
    if on is None:
        return Check(
            "cody", "warning", "the instance does not say whether Cody is on", "The answer below will show it."
        )
    return Check("cody", "ok", "switched on")


def _cody_off(detail: str) -> Check:
    ask = to_admin(
        "Cody is not enabled for my account. Please set cody.enabled to true in the site configuration and give me Cody access "
        "(permissions and licence), or tell me that it is not available."
    )
    return Check("cody", "failed", detail, f"The token is not at fault. {ask}")


def judge_llm_api(listing: Fault | None, api: Api, release: tuple[int, int] | None, *, listed: bool = True) -> Check:
    """Judges whether the LLM API is open, by its listing of models; `listed` tells that what came was one."""
    if api == "cody":
        return Check(
            "llm-api", "ok", "not used: your settings want Cody's stream (SOURCEGRAPH_API, SOURCEGRAPH_END_POINT)"
        )
    if listing is None and not listed:
        return Check("llm-api", "warning", "what came for its listing is none", _ANSWER_TELLS)
    if listing is None:
        return Check("llm-api", "ok", "open")
    if listing.code != UPSTREAM_GATE:
        return Check("llm-api", "warning", listing.message, _ANSWER_TELLS)
    closed = _closed(listing.status, release)
    ask = to_admin(
        f"GET /.api/llm/models answers HTTP {listing.status}. Is the Cody API (/.api/llm, a licence feature since Sourcegraph 6.8) "
        "part of our licence?"
    )
    if api == "llm":
        return Check("llm-api", "warning", f"its listing is {closed}", f"{_OTHER_ROAD} {ask}")
    return Check("llm-api", "ok", f"{closed}; Cody's stream is used instead, and there is nothing to do")


def doubt(listing: Fault | None, api: Api, *, known: bool) -> str:
    """Words what may be the matter where no answer comes; `known` tells that something here answered as Sourcegraph does."""
    if not known:
        return _WRONG_ADDRESS
    return _OTHER_ROAD if api == "llm" and listing is not None and listing.code == UPSTREAM_GATE else ""


def _closed(status: int, release: tuple[int, int] | None) -> str:
    if release is not None and release < _FIRST_WITH_LLM:
        return "not there: it came with Sourcegraph 5.6"
    return f"closed on this instance (HTTP {status})"


Origin = Literal["client-config", "release", "nobody"]


def judge_api_version(config: Page, release: tuple[int, int] | None, chosen: int | None, api: Api) -> Check:
    """Judges which api-version Cody's stream is asked with; `chosen` is the router's own conclusion."""
    if api == "llm":
        return Check(
            "api-version", "ok", "not used: your settings want the LLM API (SOURCEGRAPH_API, SOURCEGRAPH_END_POINT)"
        )
    if chosen is None:
        newest = completions_stream.NEWEST
        return Check(
            "api-version", "ok", f"not said; {newest} is tried first, and older ones where it is refused (HTTP 406)"
        )
    said = None if isinstance(config, Fault) else read_client_config(config)
    if said is None:
        return Check("api-version", "ok", f"{chosen}, as Sourcegraph {_written(release) if release else ''} has it")
    if said.api_version > chosen:
        return Check(
            "api-version", "ok", f"{chosen}, the newest that the router knows (the instance has {said.api_version})"
        )
    return Check("api-version", "ok", f"{chosen}, as the instance says")


def judge_filters(page: Page) -> Check:
    """Judges whether the site keeps repositories from language models."""
    page = read_page(page)
    if not isinstance(page, Fault) and has_context_filters(page):
        advice = (
            "Some repositories must not reach a language model. Cody's own clients keep that rule by themselves; the router cannot "
            "see where text comes from, so it is up to you and your tools. Ask your admin which repositories are meant."
        )
        return Check("context-filters", "warning", "this site has context filters", advice)
    if isinstance(page, Fault) or b'"errors"' in page[:_LONGEST]:
        return Check("context-filters", "ok", "none that the instance tells of")
    return Check("context-filters", "ok", "none")
