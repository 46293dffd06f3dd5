"""Waits: when a client is told to come back, and whose word that is (contract §4.6, traps 31 and 32)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.faults import Fault
from cody_oai_router.sourcegraph.refusals import fault_of_text, read_fault
from cody_oai_router.sourcegraph.waits import in_seconds, is_of_concurrency, retry_after, with_pause
from strategies import texts

# 2024-04-26 23:43:00 UTC
NOW = 1714174980.0
RATE = "you exceeded the rate limit for chat_completions, only 100 requests are allowed per day at the moment"
WRAPPED = "failed to forward request to apiHandler: handler returned unexpected status code: got %d want 200, response body: %s"


def read(status: int, body: str = "", **headers: str) -> Fault:
    return read_fault(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode(), NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("512", 512),
        ("0", 0),
        (" 589 ", 589),
        ("1.2", 2),
        ("Fri, 26 Apr 2024 23:43:54 UTC", 54),
        ("Fri, 26 Apr 2024 23:43:54 GMT", 54),
        ("Fri, 6 May 2024 23:43:00 GMT", 10 * 86400),
        ("Fri, 26 Apr 2024 23:00:00 UTC", 0),
        (str(int(NOW) + 30), 30),
        (str(int(NOW) - 30), 0),
        (f"{NOW + 0.5}", 1),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e300", None),
        ("99999999", None),
        ("2764800", 32 * 86400),
        ("2764801", None),
        ("1714174980000", None),
        ("Fri, 26 Foo 2024 23:43:54 GMT", None),
        ("Fri, 26 Apr 9999 23:43:54 GMT", None),
        ("Fri, 26 Apr 0000 23:43:54 GMT", None),
        ("Fri, 99 Apr 2024 99:99:99 GMT", None),
        ("Fri, 26 Apr 2024 23:43:54", None),
    ],
)
@pytest.mark.parametrize("name", ["retry-after", "x-ratelimit-reset", "ratelimit-reset"])
def test_how_long_to_wait(name: str, value: str, seconds: int | None) -> None:
    assert retry_after({name: value}, NOW) == seconds


def test_the_first_header_that_makes_sense_counts() -> None:
    headers = {"ratelimit-reset": "3", "x-ratelimit-reset": "2", "retry-after": "1"}
    assert retry_after(headers, NOW) == 1
    assert retry_after(headers | {"retry-after": "soon"}, NOW) == 2
    assert retry_after({"ratelimit-reset": "3"}, NOW) == 3
    assert retry_after({"retry-after": "-1", "ratelimit-reset": "3"}, NOW) == 3
    assert retry_after({}, NOW) is None


CONCURRENCY = "you have exceeded the concurrency limit of 3 requests for the chat feature. Retry after %s"
LATER = "2024-04-26 23:44:12.345678 +0000 UTC"  # 72 seconds from now


@pytest.mark.parametrize(
    ("date", "at"),
    [
        (LATER, NOW + 72),
        ("2024-04-26 23:43:00 +0000 UTC", NOW),
        ("2024-04-26 23:00:00 +0000 UTC m=+0.1", NOW - 43 * 60),
        ("2024-04-27 01:43:18 +0200 CEST", NOW + 18),
        ("2024-04-26 20:13:00 -0330 NDT", NOW),
        ("2024-04-27 01:43:18 CEST", None),
        ("2024-13-01 00:00:00 +0000 UTC", None),
        ("2024-00-01 00:00:00 +0000 UTC", None),
        ("0000-01-01 00:00:00 +0000 UTC", None),
        ("soon", None),
        ("٢٠٢٤-04-26 23:44:12 +0000 UTC", None),
    ],
)
def test_a_time_in_the_words_of_a_limit(date: str, at: float | None) -> None:
    words = CONCURRENCY % date
    inside = fault_of_text(json.dumps({"error": words}).encode())
    assert (inside.kind, inside.retry_at, inside.retry_after) == ("rate_limited", at, None)
    refused = read(429, f"event: error\ndata: {json.dumps({'error': words})}\n\n")
    assert (refused.kind, refused.retry_at, refused.said) == ("rate_limited", at, words)
    assert refused.retry_after == (None if at is None else max(0, at - NOW))
    assert fault_of_text(f"unexpected status code 400: {words}".encode()).retry_at is None


@pytest.mark.parametrize(
    ("time", "seconds"),
    [(NOW, 0), (NOW - 99, 0), (NOW + 0.1, 1), (NOW + 32 * 86400, 32 * 86400), (NOW + 32 * 86400 + 1, None)],
)
def test_a_time_becomes_seconds(time: float, seconds: int | None) -> None:
    limit = Fault(kind="rate_limited", message="Limit", retry_at=time)
    found = in_seconds(limit, NOW)
    assert found.retry_after == seconds
    assert found.message == ("Limit" if seconds is None else f"Limit (try again in {seconds} s)")
    assert in_seconds(found, NOW - 5) == found


def test_what_names_no_time_stays_as_it_is() -> None:
    limit = Fault(kind="rate_limited", message="Limit")
    assert in_seconds(limit, NOW) == limit


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({"x_ratelimit_limit": "100", "retry_after": "7"}, "x", " (limit 100, try again in 7 s)"),
        ({"x_ratelimit_limit": " 100 "}, "x", " (limit 100)"),
        ({"retry_after": "0"}, "x", " (try again in 0 s)"),
        ({}, "x", ""),
        ({"x_ratelimit_limit": "many"}, "x", ""),
        ({"x_ratelimit_limit": "1" * 13}, "x", ""),
        ({}, CONCURRENCY % LATER, " (try again in 72 s)"),
        # A header is nearer to the truth than words.
        ({"retry_after": "7"}, CONCURRENCY % LATER, " (try again in 7 s)"),
        ({}, CONCURRENCY % "2025-04-26 23:44:12 +0000 UTC", ""),
    ],
)
def test_a_limit_says_how_much_is_allowed_and_when_to_come_back(headers: dict[str, str], body: str, told: str) -> None:
    assert read(429, body, **headers).message == f"Sourcegraph says: {body}{told}"
    assert read(500, WRAPPED % (429, body), **headers).message == f"Sourcegraph says: {WRAPPED % (429, body)}{told}"


CONCURRENT = "you have exceeded the concurrency limit of 3 requests"
EVENT = 'event: error\ndata: {"error": "%s"}\n\n'


@pytest.mark.parametrize(
    ("fault", "pause"),
    [
        (read(429), 60),
        (read(429, RATE), 60),
        (read(429, x_ratelimit_limit="1"), 60),
        (read(429, retry_after="99999999"), 60),
        (read(429, "<html><title>Slow</title>"), 60),
        (read(500, WRAPPED % (429, RATE)), 60),
        (read(500, RATE), 60),
        (fault_of_text(json.dumps({"error": RATE}).encode()), 60),
        (fault_of_text(b"rate limit reached"), 60),
        (read(429, CONCURRENT), 5),
        (read(429, EVENT % CONCURRENT), 5),
        (read(500, CONCURRENT.upper()), 5),
        (fault_of_text(json.dumps({"error": CONCURRENT}).encode()), 5),
        (in_seconds(fault_of_text(f"{CONCURRENT}. Retry after 2999-01-01 00:00:00 +0000 UTC".encode()), NOW), 5),
    ],
)
def test_a_limit_that_names_no_time_gets_a_wait_that_the_router_answers_for(fault: Fault, pause: int) -> None:
    assert (fault.kind, fault.retry_after) == ("rate_limited", None)
    found = with_pause(fault)
    assert found.retry_after == pause
    assert found.message == f"{fault.message} (It is not known when to come back; the router suggests {pause} s.)"


@pytest.mark.parametrize("fault", [read(429, retry_after="0"), read(429, retry_after="7"), read(503), read(500, "x")])
def test_what_is_said_is_not_put_right(fault: Fault) -> None:
    assert with_pause(fault) == fault


def test_only_a_limit_is_one_of_concurrency() -> None:
    assert is_of_concurrency(read(429, CONCURRENT))
    assert not is_of_concurrency(read(429, RATE))
    assert not is_of_concurrency(read(400, "the concurrent index is off"))


values = st.one_of(texts, st.sampled_from(["Fri, 26 Apr 2024 23:43:54 UTC", "1e999", "9" * 400, "٣"]))


@given(values, st.floats(0, 1e11))
def test_no_header_makes_it_raise(value: str, now: float) -> None:
    seconds = retry_after({"retry-after": value}, now)
    assert seconds is None or 0 <= seconds <= 32 * 86400
