"""The faults of contract §9.2, each made of raw bytes or of a mangled ordinary answer."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import formatdate

from cody_oai_router.simulator.refusals import REFUSALS, wrapped
from cody_oai_router.simulator.steps import Close, Fault, FramingName, Hold, Ordinary, Reset, Send, Step, Wait
from cody_oai_router.simulator.wire import event, head_bytes, write_json

Headers = Sequence[tuple[str, str]]

TEXT: Headers = (("Content-Type", "text/plain; charset=utf-8"),)
JSON: Headers = (("Content-Type", "application/json"),)
HTML: Headers = (("Content-Type", "text/html; charset=UTF-8"),)
STREAM: Headers = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"))
DEADLINE_LINE = b'{"message":"context deadline exceeded","type":"completion.process_completion"}\n'

CLOUDFLARE = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body>403</body></html>\n"
)
SIGN_IN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Single sign-on</body></html>\n"
QUOTA = "you exceeded the rate limit for chat_completions, only 100 requests are allowed per day at the moment."


def status(code: int, body: str = "", headers: Headers = TEXT) -> Fault:
    """Answers with this status, these headers and this body, whatever was asked."""
    data = body.encode()
    return Fault((Send(head_bytes(code, [*headers, ("Content-Length", str(len(data)))]) + data),))


def problem(code: int, message: str, kind: str = "completion.process_completion") -> Fault:
    """Answers with an error as 5.7 and later write it: `{"message","type"}`."""
    return status(code, write_json({"message": message, "type": kind}).decode(), JSON)


def raw(data: bytes, *after: Step) -> Fault:
    """Writes exactly these bytes, head included, then plays the steps after them; closes where there are none."""
    return Fault((Send(data), *(after or (Close(),))))


def cut_every(size: int = 1) -> Fault:
    """Gives the ordinary answer in writes of this many bytes."""
    return Fault((Ordinary(cut_every=size),))


def cut_at(*positions: int) -> Fault:
    """Gives the ordinary answer in writes that end at these positions, counted from the first byte of the head."""
    return Fault((Ordinary(cut_at=positions),))


def framed(framing: FramingName) -> Fault:
    """Gives the ordinary answer chunked, with a Content-Length, or delimited by the end of the connection."""
    return Fault((Ordinary(framing=framing),))


def with_headers(*headers: tuple[str, str]) -> Fault:
    """Gives the ordinary answer with more headers: a bogus `Retry-After` on a 200, for one (trap 32)."""
    return Fault((Ordinary(headers=headers),))


def lines(newline: str = "\r\n", data_prefix: str = "data:") -> Fault:
    """Gives the ordinary stream with other line ends, or no space after `data:` (trap 37)."""
    return Fault((Ordinary(newline=newline, data_prefix=data_prefix),))


def gzipped() -> Fault:
    """Compresses the ordinary answer, batching its events, though nobody asked for it."""
    return Fault((Ordinary(gzip=True),))


def then_close() -> Fault:
    """Gives the ordinary answer as if the connection were to be kept, then closes it: a dead pooled connection."""
    return Fault((Ordinary(), Close()))


def broken_after(pieces: int, *, reset: bool = False) -> Fault:
    """Breaks off after this many events, without the end of the body: by a FIN, or by an RST."""
    return Fault((Ordinary(pieces=pieces), Reset() if reset else Close()))


def unterminated() -> Fault:
    """Gives the whole ordinary answer, finish word included, but closes before the terminating chunk."""
    return Fault((Ordinary(end=False), Close()))


def drop(*, reset: bool = False) -> Fault:
    """Closes without a byte of an answer: what a request on a dead pooled connection sees."""
    return Fault((Reset() if reset else Close(),))


def empty() -> Fault:
    """Answers 200 with nothing and no content type (trap 62)."""
    return Fault((Send(head_bytes(200, [("Content-Length", "0")])),))


def error_first(line: bytes = DEADLINE_LINE) -> Fault:
    """Answers 200 with a stream whose first and only line is an error without `data:` (trap 29)."""
    return Fault((Send(head_bytes(200, [*STREAM, _CHUNKED]) + chunk(line) + END),))


def error_after(pieces: int, line: bytes = DEADLINE_LINE) -> Fault:
    """Gives this many events, then the error line, then the proper end of the body."""
    return Fault((Ordinary(pieces=pieces), Send(chunk(line) + END)))


def stream_error(text: str, after: int = 0, *, done: bool = True) -> Fault:
    """Lets Cody's stream fail inside its 200 (trap 29): at once, or after this many events; with or without `done`."""
    data = event("error", {"error": text}) + (event("done", {}) if done else b"")
    return error_after(after, data) if after else error_first(data)


def without_done() -> Fault:
    """Gives the ordinary stream of Cody's endpoint without its last event, `done`; the body ends as it should."""
    return Fault((Ordinary(omitted=1),))


def unsupported_version() -> Fault:
    """Answers 406 as Cody's stream does to an api-version that it does not know (contract §4.1)."""
    return status(406, f"{REFUSALS['api version'].text}\n")


def undecodable() -> Fault:
    """Answers 400 as Cody's stream does to fields that are newer than the server (contract §4.8)."""
    return status(400, f"{REFUSALS['undecodable'].text}\n")


def unavailable(text: str = "the provider is overloaded") -> Fault:
    """Answers 503 with text, to which Cody's stream reduces what a provider answered (contract §4.5)."""
    return status(503, f"{text}\n")


def concurrency_limited(*, now: float, seconds: float = 60) -> Fault:
    """Answers 429 with an event as its body, whose text says when to come back in Go's way of writing a time."""
    later = datetime.fromtimestamp(now + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
    text = (
        f"you have exceeded the concurrency limit of 3 requests for the code_completions feature. Retry after {later}"
    )
    return status(429, event("error", {"error": text}).decode(), STREAM)


def held(name: str, after: int | None = None) -> Fault:
    """Is silent until the test releases this name: before the first byte, or for good after some events."""
    if after is None:
        return Fault((Hold(name), Ordinary()))
    return Fault((Ordinary(pieces=after), Hold(name), Close()))


def silent(seconds: float) -> Fault:
    """Is silent for some seconds before the first byte."""
    return Fault((Wait(seconds), Ordinary()))


def html(code: int = 403, body: str = CLOUDFLARE) -> Fault:
    """Answers with a page: 403 as Cloudflare does, 200 as a sign-on page in between does (trap 63)."""
    return status(code, body, HTML)


def redirect(location: str, code: int = 302) -> Fault:
    """Sends the client elsewhere: a token must not follow (trap 41)."""
    return status(code, "", [("Location", location)])


def rate_limited(form: str = "seconds", *, now: float, body: str = QUOTA) -> Fault:
    """Answers 429 with one of the forms of `retry_after_forms`."""
    return status(429, body, [*TEXT, *retry_after_forms(now)[form]])


def retry_after_forms(now: float) -> Mapping[str, Headers]:
    """Returns every form in which an instance says when to come back (contract §4.6); `now` is a Unix time."""
    later = now + 60
    date = formatdate(later, usegmt=True)
    limit = (("X-RateLimit-Limit", "1"), ("X-RateLimit-Remaining", "0"))
    return {
        "absent": (),
        "zero": (("Retry-After", "0"), *limit),
        "seconds": (("Retry-After", "512"), *limit),
        "date-utc": (("Retry-After", date.replace("GMT", "UTC")), *limit),
        "date-gmt": (("Retry-After", date), *limit),
        "past-date-utc": (("Retry-After", "Fri, 26 Apr 2024 23:43:54 UTC"), *limit),
        "x-reset-seconds": (("X-RateLimit-Reset", "60"), *limit),
        "x-reset-unix": (("X-RateLimit-Reset", str(int(later))), *limit),
        "reset-seconds": (("RateLimit-Reset", "60"), *limit),
        "reset-unix": (("RateLimit-Reset", str(int(later))), *limit),
        "nonsense": (("Retry-After", "soon"), *limit),
    }


def wrapped_status(code: int = 429, body: str = QUOTA) -> Fault:
    """Answers 500 with the inner status in the text, as 5.6 does (contract §3.4)."""
    return status(500, f"{wrapped(code, body)}\n")


def oversized_head(size: int = 1 << 20) -> Fault:
    """Answers with a head of more than this many bytes."""
    return raw(head_bytes(200, [("X-Padding", "x" * size), ("Content-Length", "0")]))


def oversized_line(size: int = 1 << 24) -> Fault:
    """Streams one line of this many bytes that never ends."""
    return raw(head_bytes(200, [*STREAM, _CHUNKED]) + chunk(b"data: " + b"x" * size), Close())


def challenge() -> Fault:
    """Answers 401 as a company's proxy does that wants the user to sign in again (trap 64)."""
    return status(401, "", [("X-Acme-U2F-Challenge", "true")])


def not_http() -> Fault:
    """Answers with something that is no HTTP at all."""
    return raw(b"SSH-2.0-OpenSSH_9.6\r\n")


def chunk(data: bytes) -> bytes:
    """Frames bytes as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"
_CHUNKED = ("Transfer-Encoding", "chunked")
