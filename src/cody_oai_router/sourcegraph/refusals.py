"""Reads how Sourcegraph says no: plain text, `{"message","type"}`, another provider's JSON inside a text, HTML, or nothing.

The words are kept in `Fault.said`, because some of them teach what an instance wants (`lessons.py`). Texts and statuses: contract
§3.4, §4.6 and §4.8; statuses hidden inside a 500: traps 30 and 31.
"""

import calendar
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cody_oai_router.faults import EMPTY_ANSWER, STATUS, UPSTREAM_GATE, Fault, Kind

# A message longer than this is a page, not a message.
MAX_MESSAGE: Final = 2000

_WRAPPED: Final = re.compile(r"unexpected status code:? (?:got )?(\d{3})")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE: Final = re.compile(
    rf"\w+, (\d{{1,2}}) ({'|'.join(_MONTHS)}) ([12]\d{{3}}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC)", re.ASCII
)
_EVENT: Final = re.compile(r"event: ?error\s*\ndata: ?(\{.*)")
_TITLE: Final = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_GO_DATE: Final = re.compile(
    r"[Rr]etry after ([12]\d{3})-(0[1-9]|1[0-2])-(\d\d) (\d\d):(\d\d):(\d\d)[.\d]* \+0000 UTC", re.ASCII
)
_LONGEST_NUMBER: Final = 12  # letters

# From this on a number of seconds is a date: 2001 as Unix time, 31 years as a wait.
_UNIX_TIME: Final = 1_000_000_000
# Quotas are renewed within a day or a month (contract §4.6); a longer wait is no wait but a mistake.
_LONGEST_WAIT: Final = 32 * 86400

_KINDS: Final[dict[int, Kind]] = {
    400: "bad_request",
    406: "bad_request",
    408: "timed_out",
    413: "too_large",
    422: "unprocessable",
    429: "rate_limited",
    500: "internal",
    502: "bad_gateway",
    503: "unavailable",
    504: "timed_out",
}

# By which an instance says that an endpoint is not there, or not for this licence (contract §3.4, §10: nobody has seen the real one).
_GATES: Final[dict[int, Kind]] = {402: "forbidden", 403: "forbidden", 404: "not_found", 410: "not_found"}
_REFUSED_BY_PROVIDER: Final[dict[int, Kind]] = {401: "forbidden", 403: "forbidden", 404: "model_not_found"}

# Words that say it all, whatever status they come with (contract §1.2, §4.1).
_CODY_IS_OFF: Final = "cody is not enabled"
_FILTERED: Final = "ClientCodyIgnoreCompatibilityError"
_PLAIN_REASONS: Final = (_CODY_IS_OFF, _FILTERED)

_SIGN_IN_ADVICE: Final = "Sourcegraph did not accept the token; check SOURCEGRAPH_API_TOKEN and SOURCEGRAPH_BASE_URL."
_GATE_ADVICE: Final = (
    "Sourcegraph does not serve this endpoint: it is off or not licensed on this instance (the LLM API is a licence feature since 6.8), "
    "or SOURCEGRAPH_BASE_URL or SOURCEGRAPH_END_POINT is wrong."
)

_FILTERS_ADVICE: Final = (
    "(This site has context filters and lets only certain clients in; the router does not pass itself off as one of them. "
    "Since Sourcegraph 5.6 every client is let in that gives its name.)"
)

# An empty 200 was recorded as a disguised rate limit (contract §4.4, trap 62).
NOTHING: Final = Fault(kind="bad_gateway", message="Sourcegraph answered with nothing; ask again.", code=EMPTY_ANSWER)


class _Error(msgspec.Struct):
    message: Any = None  # not `Raw | None`: of that msgspec takes nothing but null
    error: Any = None


def read_fault(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Fault:
    """Reads an answer that is no success; `headers` have lower-case names, `now` is in Unix seconds."""
    if 300 <= status < 400:  # noqa: PLR2004 - the redirects of HTTP
        message = (
            "Sourcegraph answered with a redirect, which is not followed, so that the token stays with its host; "
            "set SOURCEGRAPH_BASE_URL to the address that the instance really has."
        )
        return Fault(kind="bad_gateway", message=message)
    if any(name.startswith("x-") and name.endswith("-u2f-challenge") for name in headers):
        message = "A proxy of your company in front of Sourcegraph wants you to sign in again; do so in the browser, then retry."
        return Fault(kind="unauthenticated", message=message)
    fault = _html(status, body) if _is_html(body) else _answered(status, words_of(body))
    if fault.kind == "rate_limited":
        return _limited(fault, headers, now)
    if fault.kind == "unavailable":
        return msgspec.structs.replace(fault, retry_after=retry_after(headers, now))
    return fault


def _limited(fault: Fault, headers: Mapping[str, str], now: float) -> Fault:
    """Adds to a rate limit what is known of it: how much is allowed, and when to come back (contract §4.6)."""
    wait = retry_after(headers, now)
    if wait is None and fault.retry_at is not None:
        wait = seconds_until(fault.retry_at, now)
    limit = headers.get("x-ratelimit-limit", "").strip()
    known = [f"limit {limit}"] if limit.isdecimal() and len(limit) <= _LONGEST_NUMBER else []
    known += [f"try again in {wait} s"] if wait is not None else []
    message = f"{fault.message} ({', '.join(known)})" if known else fault.message
    return msgspec.structs.replace(fault, message=message, retry_after=wait)


def seconds_until(time: float, now: float) -> int | None:
    """Gives the whole seconds to wait until a time (both in Unix seconds); nothing where that would be no wait but a mistake."""
    return math.ceil(max(0.0, time - now)) if time - now <= _LONGEST_WAIT else None


def _told(words: str) -> float | None:
    """Gives the time to come back from the words themselves, as Go writes one (seen with concurrency limits)."""
    found = _GO_DATE.search(words)
    return calendar.timegm((*map(int, found.groups()), 0, 0, 0)) if found else None


def fault_of_text(data: bytes) -> Fault:
    """Reads an error that came inside HTTP 200: an error event, a bare line, or a body that is no answer."""
    if _is_html(data):
        return _html(200, data)
    return fault_of_words(words_of(data))


def fault_of_words(words: str) -> Fault:
    """Reads upstream's words where no status came with them."""
    if not words:
        return NOTHING
    return _spoken(STATUS["bad_gateway"], words)


def words_of(body: bytes) -> str:
    """Gives the message in an error body, whatever its shape; empty where there is none."""
    text = body.decode("utf-8", "replace").strip()
    if event := _EVENT.match(text):
        text = event[1]  # an error event as the body of an error (seen with concurrency limits)
    for _ in range(3):  # an error may hold another one as JSON, as text or as an object
        inner = _message(text)
        if inner is None:
            break
        text = inner
    return text[:MAX_MESSAGE]


def retry_after(headers: Mapping[str, str], now: float) -> int | None:
    """Gives the seconds to wait, from every form in contract §4.6; none where upstream did not say."""
    for name in ("retry-after", "x-ratelimit-reset", "ratelimit-reset"):
        value = headers.get(name, "").strip()
        seconds = _seconds(value, now)
        if seconds is not None and seconds <= _LONGEST_WAIT:
            return math.ceil(max(0, seconds))
    return None


def _seconds(value: str, now: float) -> float | None:
    if date := _DATE.fullmatch(value):
        day, month, year, *clock = date.groups()
        return calendar.timegm((int(year), _MONTHS.index(month) + 1, int(day), *map(int, clock))) - now
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number) or number < 0:
        return None
    return number - now if number >= _UNIX_TIME else number


def _message(text: str) -> str | None:
    if not text.startswith("{"):
        return None
    try:
        error = msgspec.json.decode(text, type=_Error)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    inner = error.error if error.message is None else error.message
    if inner is None or isinstance(inner, str):
        return inner
    return msgspec.json.encode(inner).decode()


def _inner_status(status: int, words: str) -> int:
    """Finds the true status of an error that arrived as a server error (traps 30 and 31)."""
    if status < STATUS["internal"]:
        return status
    wrapped = [int(found) for found in _WRAPPED.findall(words)]
    status = next((inner for inner in reversed(wrapped) if 400 <= inner < 600), status)  # noqa: PLR2004 - HTTP's errors
    if status < STATUS["internal"]:
        return status
    lowered = words.lower()
    if "rate limit" in lowered or "concurrency limit" in lowered:
        return STATUS["rate_limited"]
    if "context deadline exceeded" in lowered:
        return STATUS["timed_out"]
    return status


def _answered(status: int, words: str) -> Fault:
    """Words a refusal that came as an HTTP status: of the token, of the endpoint, or of what was asked."""
    if any(known in words for known in _PLAIN_REASONS):
        return _spoken(status, words)
    if status == STATUS["unauthenticated"]:
        return Fault(kind="unauthenticated", message=f"{_SIGN_IN_ADVICE} {_said(status, words)}", said=words)
    if status in _GATES:
        message = f"{_GATE_ADVICE} {_said(status, words)}"
        return Fault(kind=_GATES[status], message=message, said=words, code=UPSTREAM_GATE)
    return _spoken(status, words)


def _said(status: int, words: str) -> str:
    return f"Sourcegraph says: {words}" if words else f"Sourcegraph answered {status} and said nothing."


def _spoken(status: int, words: str) -> Fault:
    """Words a refusal by what it says; a status inside the words is the model's provider's, not the instance's."""
    status = _inner_status(status, words)
    said = _said(status, words)
    if _CODY_IS_OFF in words:
        return Fault(kind="forbidden", message=f"{said} (Ask your site admin; the token is not at fault.)", said=words)
    if _FILTERED in words:
        return Fault(kind="forbidden", message=f"{said} {_FILTERS_ADVICE}", said=words)
    if status in _REFUSED_BY_PROVIDER:
        message = f"The provider of the model refused what Sourcegraph asked it; your token is not at fault. {said}"
        return Fault(kind=_REFUSED_BY_PROVIDER[status], message=message, said=words)
    odd = status not in _KINDS and 400 <= status < 500  # noqa: PLR2004 - HTTP's client errors
    kind: Kind = _KINDS.get(status, "bad_request" if odd else "bad_gateway")
    if kind == "timed_out":
        return Fault(kind=kind, message=f"The model took longer than the instance allows. {said}", said=words)
    retry_at = _told(words) if kind == "rate_limited" else None
    return Fault(
        kind=kind, message=said, said=words, override=status if odd else None, code=_code(words), retry_at=retry_at
    )


def _code(words: str) -> str | None:
    lowered = words.lower()
    if (
        "failed validation" in lowered
        or "unsupported chat model" in lowered
        or "is not in the correct format" in lowered
    ):
        return "model_not_found"
    if "token limit" in lowered or "prompt is too long" in lowered:
        return "context_length_exceeded"
    return None


def _is_html(body: bytes) -> bool:
    start = body[:512].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def _html(status: int, body: bytes) -> Fault:
    """Explains a web page where an answer should be: a sign-in page or a proxy's (trap 63)."""
    title = _TITLE.search(body[:65536].decode("utf-8", "replace"))
    named = f' ("{title[1].strip()}")' if title else ""
    message = (
        f"A web page{named} came instead of an answer (HTTP {status}): a sign-in page or a proxy stands between this machine and "
        "Sourcegraph, or SOURCEGRAPH_BASE_URL is not the address of the instance."
    )
    if status in _GATES:
        return Fault(kind=_GATES[status], message=message, code=UPSTREAM_GATE)
    kinds: dict[int, Kind] = {401: "unauthenticated", **_KINDS}
    return Fault(kind=kinds.get(status, "bad_gateway"), message=message)
