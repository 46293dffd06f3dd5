"""Reads how Sourcegraph says no: plain text, `{"message","type"}`, another provider's JSON inside a text, HTML, or nothing.

The words are kept in `Fault.said`, because some of them teach what an instance wants (`lessons.py`). Texts and statuses: contract
§3.4, §4.6 and §4.8; statuses hidden inside a 500: traps 30 and 31.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from cody_oai_router.faults import API_VERSION_REFUSED, EMPTY_ANSWER, STATUS, UPSTREAM_GATE, Fault, Kind
from cody_oai_router.sourcegraph.waits import limited, named_time, retry_after

# What was asked: the LLM API, or anything else but Cody's stream, which is refused in other ways and for other reasons.
Asked = Literal["llm", "cody"]

# A message longer than this is a page, not a message.
MAX_MESSAGE: Final = 2000

_WRAPPED: Final = re.compile(r"unexpected status code:? (?:got )?(\d{3})")
_EVENT: Final = re.compile(r"event: ?error\s*\ndata: ?(\{.*)")
_TITLE: Final = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)

# How providers, and gateways before them, say that a prompt is longer than the model takes; Cody's clients look for "token limit"
# (contract §10). The deadline of a "context" in Go is another matter.
_TOO_LONG: Final = re.compile(
    r"(?<!output )token limit|prompt (?:is )?too long|input is too long|input token count|maximum context length"
    r"|context[ _]length[ _]exceeded|exceeds? (?:the |its )?(?:available )?context (?:window|limit|size|length)",
    re.IGNORECASE,
)
# Not `completionCredits`, the name of a setting that older api-versions do not support (contract §4.1).
_CREDITS: Final = re.compile(r"\bcredits?\b", re.IGNORECASE)
_NO_CREDITS: Final = re.compile(
    r"\bcredits?\b.{0,40}\b(?:exhausted|used up|depleted|exceeded)"
    r"|\b(?:exhausted|depleted|out of|used all|insufficient)\b.{0,40}\bcredits?\b",
    re.IGNORECASE,
)
# What is said of one model closes nothing (contract §1.2: 404 `Model not found`): of its reference, or of a model but not of the licence,
# as nobody has seen the words of the gate.
_A_MODEL: Final = re.compile(r"\w::\w|\A(?!.*licen[cs]).*\bmodel\b", re.IGNORECASE | re.DOTALL)

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

# Words that say it all, whatever status they come with (contract §1.2, §4.1), in small letters.
_CODY_IS_OFF: Final = ("cody is not enabled",)
_FILTERED: Final = ("clientcodyignorecompatibilityerror", "please use one of the supported clients")
_NOBODY: Final = ("not authenticated",)
_OLD_VERSION: Final = ("unsupported api version",)
_NO_MODEL: Final = ("failed validation", "unsupported chat model", "is not in the correct format")

# Whatever comes with it: Cody's stream answers so to an api-version that it does not know, before it reads the body (contract §4.1).
_NOT_ACCEPTABLE: Final = 406

_SIGN_IN_ADVICE: Final = "Sourcegraph did not accept the token; check SOURCEGRAPH_API_TOKEN and SOURCEGRAPH_BASE_URL."
_LLM_GATE_ADVICE: Final = (
    "Sourcegraph does not serve this endpoint: it is off or not licensed on this instance (the LLM API is a licence feature since 6.8), "
    "or SOURCEGRAPH_BASE_URL or SOURCEGRAPH_END_POINT is wrong."
)
_NO_STREAM_ADVICE: Final = (
    "Sourcegraph does not serve Cody's stream at this address: SOURCEGRAPH_BASE_URL is not the address of the instance as a browser "
    "shows it, or something in front of the instance lets only some of its paths through."
)
_CODY_GATE_ADVICE: Final[dict[int, str]] = {
    402: "Sourcegraph wants to be paid for this: the licence of the instance does not cover it; ask your site admin.",
    403: "Sourcegraph does not let this account use Cody; ask your site admin for access (permission and licence).",
    404: _NO_STREAM_ADVICE,
    410: _NO_STREAM_ADVICE,
}
_NO_CREDITS_ADVICE: Final = (
    "The credits for Cody are exhausted, yours or the whole instance's; ask your site admin when they are renewed."
)
_MODEL_ADVICE: Final[dict[Kind, str]] = {
    "forbidden": "Sourcegraph does not let this account use this model.",
    "model_not_found": "Sourcegraph does not have this model here.",
}

_FILTERS_ADVICE: Final = (
    "(This site has context filters and lets only certain clients in; the router does not pass itself off as one of them. "
    "Since Sourcegraph 5.6 every client is let in that gives its name.)"
)

# An empty 200 was recorded as a disguised rate limit (contract §4.4, trap 62).
NOTHING: Final = Fault(kind="bad_gateway", message="Sourcegraph answered with nothing; ask again.", code=EMPTY_ANSWER)


class _Error(msgspec.Struct):
    message: Any = None  # not `Raw | None`: of that msgspec takes nothing but null
    error: Any = None


def read_fault(status: int, headers: Mapping[str, str], body: bytes, now: float, *, asked: Asked = "llm") -> Fault:
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
    fault = _html(status, body) if _is_html(body) else _answered(status, words_of(body), asked)
    if fault.kind == "rate_limited":
        return limited(fault, headers, now)
    if fault.kind == "unavailable":
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


def _answered(status: int, words: str, asked: Asked) -> Fault:
    """Words a refusal that came as an HTTP status: of the token, of the endpoint, or of what was asked."""
    if _has(words, _CODY_IS_OFF) or _has(words, _FILTERED):
        return _spoken(status, words)
    if status == STATUS["unauthenticated"]:
        return Fault(kind="unauthenticated", message=f"{_SIGN_IN_ADVICE} {_said(status, words)}", said=words)
    if status == STATUS["forbidden"] and _has(words, _NOBODY):
        message = f"{_SIGN_IN_ADVICE} {_said(status, words)}"  # the former sourcegraph.com (contract §4.2)
        return Fault(kind="unauthenticated", message=message, said=words, override=status)
    if status not in _GATES or _is_out_of_credits(status, words):
        return _spoken(status, words)
    if _A_MODEL.search(words):
        return _of_model(status, words)
    advice = _LLM_GATE_ADVICE if asked == "llm" else _CODY_GATE_ADVICE[status]
    return Fault(kind=_GATES[status], message=f"{advice} {_said(status, words)}", said=words, code=UPSTREAM_GATE)


def _of_model(status: int, words: str) -> Fault:
    """Words a refusal of one model, of which `param` tells."""
    kind: Kind = "model_not_found" if _GATES[status] == "not_found" else "forbidden"
    return Fault(kind=kind, message=f"{_MODEL_ADVICE[kind]} {_said(status, words)}", said=words, param="model")


def _said(status: int, words: str) -> str:
    return f"Sourcegraph says: {words}" if words else f"Sourcegraph answered {status} and said nothing."


def _has(words: str, texts: tuple[str, ...]) -> bool:
    lowered = words.lower()
    return any(text in lowered for text in texts)


def _is_out_of_credits(status: int, words: str) -> bool:
    found = _CREDITS if status == 402 else _NO_CREDITS  # noqa: PLR2004 - HTTP's payment required
    return status != STATUS["rate_limited"] and found.search(words) is not None


def _spoken(status: int, words: str) -> Fault:
    """Words a refusal by what it says; a status inside the words is the model's provider's, not the instance's."""
    status = _inner_status(status, words)
    said = _said(status, words)
    if _has(words, _CODY_IS_OFF):
        return Fault(kind="forbidden", message=f"{said} (Ask your site admin; the token is not at fault.)", said=words)
    if _has(words, _FILTERED):
        return Fault(kind="forbidden", message=f"{said} {_FILTERS_ADVICE}", said=words)
    if _is_out_of_credits(status, words):
        message = f"{_NO_CREDITS_ADVICE} {said}"
        return Fault(kind="forbidden", message=message, said=words, code="insufficient_quota")
    if status != STATUS["rate_limited"] and _TOO_LONG.search(words):
        # Programs compact at a 400 with this code, and only repeat what they sent at a 5xx.
        return Fault(kind="bad_request", message=said, said=words, param="messages", code="context_length_exceeded")
    return _by_status(status, words, said)


def _by_status(status: int, words: str, said: str) -> Fault:
    if status in _REFUSED_BY_PROVIDER:
        message = f"The provider of the model refused what Sourcegraph asked it; your token is not at fault. {said}"
        return Fault(kind=_REFUSED_BY_PROVIDER[status], message=message, said=words)
    odd = status not in _KINDS and 400 <= status < 500  # noqa: PLR2004 - HTTP's client errors
    kind: Kind = _KINDS.get(status, "bad_request" if odd else "bad_gateway")
    if kind == "timed_out":
        return Fault(kind=kind, message=f"The model took longer than the instance allows. {said}", said=words)
    retry_at = named_time(words) if kind == "rate_limited" else None
    code = _code(status, words)
    return Fault(kind=kind, message=said, said=words, override=status if odd else None, code=code, retry_at=retry_at)


def _code(status: int, words: str) -> str | None:
    if status == _NOT_ACCEPTABLE or _has(words, _OLD_VERSION):
        return API_VERSION_REFUSED
    return "model_not_found" if _has(words, _NO_MODEL) else None


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
    return Fault(kind=kinds.get(status, "bad_gateway"), message=message, code=_code(status, ""))
