"""Reads how Sourcegraph says no: plain text, `{"message","type"}`, another provider's JSON inside a text, HTML, or nothing.

The words are kept in `Fault.said`, because some of them teach what an instance wants (`lessons.py`). Texts and statuses: contract
§3.4, §4.6 and §4.8; statuses hidden inside a 500: traps 30 and 31.
"""

import calendar
import math
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from cody_oai_router.faults import EMPTY_ANSWER, STATUS, Fault, Kind

# A message longer than this is a page, not a message.
MAX_MESSAGE: Final = 2000

_WRAPPED: Final = re.compile(r"unexpected status code:? (?:got )?(\d{3})")
_MONTHS: Final = {name: number for number, name in enumerate(calendar.month_abbr) if number}
_DATE: Final = re.compile(r"\w+, (\d{1,2}) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC)")
_TITLE: Final = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
# From this on a number of seconds is a date: 2001 as Unix time, 31 years as a wait.
_UNIX_TIME: Final = 1_000_000_000

_KINDS: Final[dict[int, Kind]] = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
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

_SIGN_IN_ADVICE: Final = "Sourcegraph did not accept the token; check SOURCEGRAPH_API_TOKEN and SOURCEGRAPH_BASE_URL."
_GATE_ADVICE: Final = (
    "Sourcegraph does not serve this endpoint: the LLM API is off or not licensed on this instance (a licence feature since 6.8), "
    "or SOURCEGRAPH_BASE_URL or SOURCEGRAPH_END_POINT is wrong."
)


# An empty 200 was recorded as a disguised rate limit (contract §4.4, trap 62).
NOTHING: Final = Fault(kind="bad_gateway", message="Sourcegraph answered with nothing; ask again.", code=EMPTY_ANSWER)


class _Error(msgspec.Struct):
    message: msgspec.Raw | None = None
    error: msgspec.Raw | None = None


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
    if _is_html(body):
        return _html(status, body)
    words = words_of(body)
    inner = _inner_status(status, words)
    fault = _fault(inner, words)
    if inner in (STATUS["rate_limited"], STATUS["unavailable"]):
        return msgspec.structs.replace(fault, retry_after=retry_after(headers, now))
    return fault


def fault_of_text(data: bytes) -> Fault:
    """Reads an error that came inside HTTP 200: an error event, a bare line, or a body that is no answer."""
    if _is_html(data):
        return _html(200, data)
    return fault_of_words(words_of(data))


def fault_of_words(words: str) -> Fault:
    """Reads upstream's words where no status came with them."""
    if not words:
        return NOTHING
    return _fault(_inner_status(STATUS["bad_gateway"], words), words)


def words_of(body: bytes) -> str:
    """Gives the message in an error body, whatever its shape; empty where there is none."""
    text = body.decode("utf-8", "replace").strip()
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
        if seconds is not None:
            return seconds
    return None


def _seconds(value: str, now: float) -> int | None:
    if date := _DATE.fullmatch(value):
        day, month, year, *clock = date.groups()
        if month not in _MONTHS:
            return None
        then = calendar.timegm((int(year), _MONTHS[month], int(day), *map(int, clock)))
        return max(0, math.ceil(then - now))
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number) or number < 0:
        return None
    return math.ceil(max(0, number - now) if number >= _UNIX_TIME else number)


def _message(text: str) -> str | None:
    if not text.startswith("{"):
        return None
    try:
        error = msgspec.json.decode(text, type=_Error)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    raw = error.error if error.message is None else error.message
    if raw is None:
        return None
    inner = bytes(raw).decode("utf-8", "replace")
    return str(msgspec.json.decode(raw)) if inner.startswith('"') else inner


def _inner_status(status: int, words: str) -> int:
    """Finds the true status of an error that arrived as a server error (traps 30 and 31)."""
    if status < STATUS["internal"]:
        return status
    if wrapped := _WRAPPED.search(words):
        inner = int(wrapped[1])
        return inner if 400 <= inner < 600 else status  # noqa: PLR2004 - the error statuses of HTTP
    lowered = words.lower()
    if "rate limit" in lowered:
        return STATUS["rate_limited"]
    if "context deadline exceeded" in lowered:
        return STATUS["timed_out"]
    return status


def _fault(status: int, words: str) -> Fault:
    kind: Kind = _KINDS.get(status) or ("bad_request" if status < STATUS["internal"] else "bad_gateway")
    override = status if status not in _KINDS and 400 <= status < 500 else None  # noqa: PLR2004 - HTTP's client errors
    said = f"Sourcegraph says: {words}" if words else f"Sourcegraph answered {status} and said nothing."
    if "cody is not enabled" in words:
        return Fault(kind="forbidden", message=f"{said} (Ask your site admin; the token is not at fault.)", said=words)
    if kind == "unauthenticated":
        return Fault(kind=kind, message=f"{_SIGN_IN_ADVICE} {said}", said=words)
    if kind in ("forbidden", "not_found"):
        kind = "forbidden" if kind == "forbidden" else "not_found"
        return Fault(kind=kind, message=f"{_GATE_ADVICE} {said}", said=words, code="upstream_gate")
    if kind == "timed_out":
        message = f"The model took longer than the instance allows. {said}"
        return Fault(kind=kind, message=message, said=words)
    return Fault(kind=kind, message=said, said=words, override=override, code=_code(words))


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
    kind: Kind = _KINDS.get(status, "bad_gateway") if status >= 400 else "bad_gateway"  # noqa: PLR2004 - HTTP's errors
    return Fault(kind=kind, message=message)
