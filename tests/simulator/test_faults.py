"""Each fault of contract §9.2 puts the bytes on the wire that its name says."""

import email.utils

import pytest

from cody_oai_router.simulator import Close, Fault, Hold, Ordinary, Send, Wait, faults
from cody_oai_router.simulator.refusals import wrapped

NOW = 1700000000.0


def sent(fault: Fault) -> tuple[bytes, bytes]:
    data = b"".join(step.data for step in fault.steps if isinstance(step, Send))
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize(
    ("fault", "head", "body"),
    [
        (
            faults.status(503, "no"),
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2",
            b"no",
        ),
        (
            faults.problem(429, "slow", "rate"),
            b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 32",
            b'{"message":"slow","type":"rate"}',
        ),
        (faults.empty(), b"HTTP/1.1 200 OK\r\nContent-Length: 0", b""),
        (
            faults.redirect("https://elsewhere.example/"),
            b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0",
            b"",
        ),
        (
            faults.challenge(),
            b"HTTP/1.1 401 Unauthorized\r\nX-Acme-U2F-Challenge: true\r\nContent-Length: 0",
            b"",
        ),
    ],
)
def test_whole_answers(fault: Fault, head: bytes, body: bytes) -> None:
    assert sent(fault) == (head, body)
    assert not any(isinstance(step, Close) for step in fault.steps)


@pytest.mark.parametrize(("fault", "code"), [(faults.html(), 403), (faults.html(200, faults.SIGN_IN), 200)])
def test_pages(fault: Fault, code: int) -> None:
    head, body = sent(fault)
    assert head.startswith(f"HTTP/1.1 {code} ".encode())
    assert b"Content-Type: text/html" in head
    assert b"<html" in body


def test_an_error_as_the_first_thing_in_a_stream() -> None:
    head, body = sent(faults.error_first(b"{}\n"))
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
    assert body == b"3\r\n{}\n\r\n0\r\n\r\n"


def test_an_error_after_some_events() -> None:
    assert faults.error_after(2, b"{}\n") == Fault((Ordinary(pieces=2), Send(b"3\r\n{}\n\r\n0\r\n\r\n")))


def test_the_wrapped_429_is_the_text_of_5_6() -> None:
    head, body = sent(faults.wrapped_status())
    assert head.startswith(b"HTTP/1.1 500 ")
    assert body.decode() == f"{wrapped(429, faults.QUOTA)}\n"
    assert b"got 429 want 200, response body: you exceeded the rate limit" in body


@pytest.mark.parametrize("form", list(faults.retry_after_forms(NOW)))
def test_each_form_of_429(form: str) -> None:
    head, body = sent(faults.rate_limited(form, now=NOW))
    lines = [f"{name}: {value}".encode() for name, value in faults.retry_after_forms(NOW)[form]]
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert all(line in head.split(b"\r\n") for line in lines)
    assert body.decode() == faults.QUOTA


def test_dates_are_a_minute_away() -> None:
    forms = faults.retry_after_forms(NOW)
    (utc, *_), (gmt, *_) = forms["date-utc"], forms["date-gmt"]
    assert utc == ("Retry-After", "Tue, 14 Nov 2023 22:14:20 UTC")
    assert email.utils.parsedate_to_datetime(gmt[1]).timestamp() == NOW + 60
    assert forms["x-reset-unix"][0] == ("X-RateLimit-Reset", "1700000060")


@pytest.mark.parametrize(
    ("fault", "steps"),
    [
        (faults.framed("eof"), (Ordinary(framing="eof"),)),
        (faults.with_headers(("Retry-After", "512")), (Ordinary(headers=(("Retry-After", "512"),)),)),
        (faults.lines(), (Ordinary(newline="\r\n", data_prefix="data:"),)),
        (faults.gzipped(), (Ordinary(gzip=True),)),
        (faults.silent(2.5), (Wait(2.5), Ordinary())),
        (faults.held("h"), (Hold("h"), Ordinary())),
        (faults.held("h", after=2), (Ordinary(pieces=2), Hold("h"), Close())),
        (faults.cut_every(), (Ordinary(cut_every=1),)),
    ],
)
def test_mangled_answers(fault: Fault, steps: tuple[object, ...]) -> None:
    assert fault.steps == steps


def test_too_much() -> None:
    head, _ = sent(faults.oversized_head(5000))
    assert len(head) > 5000
    _, body = sent(faults.oversized_line(5000))
    assert body.startswith(b"138e\r\ndata: xxx")
    assert b"\n" not in body[6:-2]
    assert sent(faults.not_http())[0].startswith(b"SSH-")


ERROR = b'event: error\ndata: {"error":"no"}\n\n'
DONE = b"event: done\ndata: {}\n\n"


@pytest.mark.parametrize(("done", "data"), [(True, ERROR + DONE), (False, ERROR)])
def test_codys_stream_fails_in_its_200(done: bool, data: bytes) -> None:
    head, body = sent(faults.stream_error("no", done=done))
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream")
    assert body == faults.chunk(data) + faults.END
    later = faults.stream_error("no", after=2, done=done)
    assert later == Fault((Ordinary(pieces=2), Send(faults.chunk(data) + faults.END)))


def test_codys_stream_may_end_without_done() -> None:
    assert faults.without_done() == Fault((Ordinary(omitted=1),))


@pytest.mark.parametrize(
    ("fault", "code", "body"),
    [
        (faults.unsupported_version(), 406, b"Unsupported API Version (Please update your client)\n"),
        (faults.undecodable(), 400, b"could not decode request body\n"),
        (faults.unavailable("busy"), 503, b"busy\n"),
    ],
)
def test_statuses_of_codys_stream(fault: Fault, code: int, body: bytes) -> None:
    head, text = sent(fault)
    assert head.startswith(f"HTTP/1.1 {code} ".encode())
    assert b"Content-Type: text/plain" in head
    assert text == body


def test_too_many_at_once_is_an_event_with_a_date_in_its_text() -> None:
    head, body = sent(faults.concurrency_limited(now=NOW, seconds=90))
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/event-stream")
    assert body.decode() == (
        'event: error\ndata: {"error":"you have exceeded the concurrency limit of 3 requests for the code_completions '
        'feature. Retry after 2023-11-14 22:14:50 +0000 UTC"}\n\n'
    )
