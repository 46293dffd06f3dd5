"""Refusals: how Sourcegraph says no, and what a client is told (contract §3.4, §4.6, §4.8, traps 29 to 33)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.faults import EMPTY_ANSWER, UPSTREAM_GATE, Fault, Kind
from cody_oai_router.sourcegraph.refusals import fault_of_text, read_fault, retry_after, seconds_until, words_of
from strategies import texts, wild_bytes

# 2024-04-26 23:43:00 UTC
NOW = 1714174980.0
RATE = "you exceeded the rate limit for chat_completions, only 100 requests are allowed per day at the moment"
WRAPPED = "failed to forward request to apiHandler: handler returned unexpected status code: got %d want 200, response body: %s"


def read(status: int, body: str = "", **headers: str) -> Fault:
    return read_fault(status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode(), NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind", "as_status"),
    [
        (400, "system role is not supported", "bad_request", 400),
        (400, '{"message":"n must be nil or 1","type":"x"}', "bad_request", 400),
        (401, "Invalid access token.", "unauthenticated", 401),
        (401, "Private mode requires authentication.", "unauthenticated", 401),
        (401, "cody is not enabled: turned off", "forbidden", 403),
        (402, "pay", "forbidden", 403),
        (403, "no", "forbidden", 403),
        (410, "gone", "not_found", 404),
        (418, "teapot", "bad_request", 418),
        (500, WRAPPED % (401, "invalid x-api-key"), "forbidden", 403),
        (500, WRAPPED % (403, "no"), "forbidden", 403),
        (500, WRAPPED % (404, "model: old"), "model_not_found", 404),
        (500, "you have exceeded the concurrency limit of 3 requests", "rate_limited", 429),
        (404, "", "not_found", 404),
        (405, "Method Not Allowed", "bad_request", 405),
        (406, "Unsupported API Version (Please update your client)", "bad_request", 400),
        (408, "", "timed_out", 504),
        (413, "", "too_large", 413),
        (422, "", "unprocessable", 422),
        (429, "", "rate_limited", 429),
        (500, "decoder.Decode: x", "internal", 500),
        (500, "context deadline exceeded", "timed_out", 504),
        (500, '{"message":"context deadline exceeded","type":"completion.process_completion"}', "timed_out", 504),
        (500, RATE, "rate_limited", 429),
        (503, f"upstream: {RATE.upper()}", "rate_limited", 429),
        (500, WRAPPED % (400, "system role is not supported"), "bad_request", 400),
        (500, WRAPPED % (429, ""), "rate_limited", 429),
        (500, json.dumps({"message": WRAPPED % (429, "slow down"), "type": "x"}), "rate_limited", 429),
        (500, WRAPPED % (500, RATE), "rate_limited", 429),
        (500, WRAPPED % (503, "Sourcegraph Cody Gateway: unexpected status code 429: {}"), "rate_limited", 429),
        (500, WRAPPED % (503, "overloaded"), "unavailable", 503),
        (500, WRAPPED % (302, "x"), "internal", 500),
        (500, "Sourcegraph Cody Gateway: unexpected status code 400: {}", "bad_request", 400),
        (501, "", "bad_gateway", 502),
        (502, "Bad Gateway", "bad_gateway", 502),
        (503, "", "unavailable", 503),
        (504, "", "timed_out", 504),
        (599, "", "bad_gateway", 502),
        (204, "", "bad_gateway", 502),
        (300, "", "bad_gateway", 502),
        (302, "", "bad_gateway", 502),
    ],
)
def test_kinds(status: int, body: str, kind: Kind, as_status: int) -> None:
    fault = read(status, body)
    assert (fault.kind, fault.status) == (kind, as_status)


GATE = (
    "Sourcegraph does not serve this endpoint: it is off or not licensed on this instance (the LLM API is a licence feature "
    "since 6.8), or SOURCEGRAPH_BASE_URL or SOURCEGRAPH_END_POINT is wrong."
)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            read(400, "system role is not supported"),
            Fault(
                kind="bad_request",
                message="Sourcegraph says: system role is not supported",
                said="system role is not supported",
            ),
        ),
        (
            read(401, "Invalid access token.\n"),
            Fault(
                kind="unauthenticated",
                message="Sourcegraph did not accept the token; check SOURCEGRAPH_API_TOKEN and SOURCEGRAPH_BASE_URL. "
                "Sourcegraph says: Invalid access token.",
                said="Invalid access token.",
            ),
        ),
        (
            read(401, "cody is not enabled: off"),
            Fault(
                kind="forbidden",
                message="Sourcegraph says: cody is not enabled: off (Ask your site admin; the token is not at fault.)",
                said="cody is not enabled: off",
            ),
        ),
        (
            read(404),
            Fault(kind="not_found", message=f"{GATE} Sourcegraph answered 404 and said nothing.", code="upstream_gate"),
        ),
        (
            read(403, "nope"),
            Fault(kind="forbidden", message=f"{GATE} Sourcegraph says: nope", said="nope", code="upstream_gate"),
        ),
        (
            read(504, "slow"),
            Fault(
                kind="timed_out",
                message="The model took longer than the instance allows. Sourcegraph says: slow",
                said="slow",
            ),
        ),
        (
            read(302, "moved", location="https://elsewhere"),
            Fault(
                kind="bad_gateway",
                message="Sourcegraph answered with a redirect, which is not followed, so that the token stays with its "
                "host; set SOURCEGRAPH_BASE_URL to the address that the instance really has.",
            ),
        ),
        (
            read(401, "x", x_acme_u2f_challenge="true"),
            Fault(
                kind="unauthenticated",
                message="A proxy of your company in front of Sourcegraph wants you to sign in again; do so in the "
                "browser, then retry.",
            ),
        ),
        (
            read(400, 'unsupported chat model "X" (default "Y")'),
            Fault(
                kind="bad_request",
                message='Sourcegraph says: unsupported chat model "X" (default "Y")',
                said='unsupported chat model "X" (default "Y")',
                code="model_not_found",
            ),
        ),
    ],
)
def test_what_a_client_is_told(fault: Fault, expected: Fault) -> None:
    assert fault == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("requested model 'X' failed validation: modelRef syntax error.", "model_not_found"),
        ("model X is not in the correct format. Expected format: …", "model_not_found"),
        ("the prompt exceeds the Token Limit", "context_length_exceeded"),
        ("prompt is too long: 210000 tokens > 200000 maximum", "context_length_exceeded"),
        ("something else", None),
    ],
)
def test_codes_that_programs_test(body: str, code: str | None) -> None:
    assert read(400, body).code == code
    assert read(500, WRAPPED % (400, body)).code == code


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b" \n", ""),
        (b"plain\n", "plain"),
        (b'{"message":"m","type":"t"}', "m"),
        (b'{"type":"t","message":"m"}', "m"),
        (b'{"error":"m"}', "m"),
        (b'{"error":{"message":"m","type":"t"}}', "m"),
        (b'{"message":{"message":"m"}}', "m"),
        (b'{"message":"{\\"error\\":{\\"message\\":\\"m\\"}}"}', "m"),
        (b'{"message":null,"error":"m"}', "m"),
        (b'{"message":5}', "5"),
        (b'{"message":null}', '{"message":null}'),
        (b'{"other":1}', '{"other":1}'),
        (b'{"message":"cut', '{"message":"cut'),
        (b'["m"]', '["m"]'),
        (b"caf\xe9", "caf\ufffd"),
        (b"x" * 3000, "x" * 2000),
    ],
)
def test_the_words_in_a_body(body: bytes, words: str) -> None:
    assert words_of(body) == words


PAGE = "A web page%s came instead of an answer (HTTP %d): a sign-in page or a proxy stands between this machine and "


@pytest.mark.parametrize(
    ("status", "body", "kind", "start"),
    [
        (403, "<!DOCTYPE html><html><head><title> Attention! </title>", "forbidden", PAGE % (' ("Attention!")', 403)),
        (502, "\n  <HTML><body>Bad", "bad_gateway", PAGE % ("", 502)),
        (400, "<html>", "bad_request", PAGE % ("", 400)),
        (530, "<html>", "bad_gateway", PAGE % ("", 530)),
        (429, '<html lang="en"><title class="x">Slow</title>', "rate_limited", PAGE % (' ("Slow")', 429)),
    ],
)
def test_a_web_page_is_explained(status: int, body: str, kind: Kind, start: str) -> None:
    fault = read(status, body, retry_after="7")
    assert fault.kind == kind
    assert fault.message.startswith(start)
    assert fault.retry_after == (7 if status == 429 else None)
    assert fault.said == ""


def test_a_web_page_inside_a_200() -> None:
    fault = fault_of_text(b"<html><title>Sign in</title>")
    assert (fault.kind, fault.message[:60]) == ("bad_gateway", (PAGE % (' ("Sign in")', 200))[:60])


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


@pytest.mark.parametrize(
    ("status", "body", "seconds"),
    [
        (429, "", 9),
        (503, "", 9),
        (500, WRAPPED % (429, ""), 9),
        (500, RATE, 9),
        (500, "x", None),
        (400, "x", None),
        (404, "", None),
    ],
)
def test_waiting_helps_only_where_it_helps(status: int, body: str, seconds: int | None) -> None:
    assert read(status, body, retry_after="9").retry_after == seconds


CONCURRENCY = "you have exceeded the concurrency limit of 3 requests for the chat feature. Retry after %s"
LATER = "2024-04-26 23:44:12.345678 +0000 UTC"  # 72 seconds from now


@pytest.mark.parametrize(
    ("date", "at"),
    [
        (LATER, NOW + 72),
        ("2024-04-26 23:43:00 +0000 UTC", NOW),
        ("2024-04-26 23:00:00 +0000 UTC m=+0.1", NOW - 43 * 60),
        ("2024-04-27 00:43:00 +0100 CET", None),
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
def test_seconds_until_a_time(time: float, seconds: int | None) -> None:
    assert seconds_until(time, NOW) == seconds


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


@pytest.mark.parametrize(
    ("status", "kind"), [(402, "forbidden"), (403, "forbidden"), (404, "not_found"), (410, "not_found")]
)
@pytest.mark.parametrize("body", ["", "no", '{"message":"no"}', "<html><title>Sign in</title>", WRAPPED % (400, "x")])
def test_a_status_that_says_that_an_endpoint_is_not_there(status: int, kind: Kind, body: str) -> None:
    fault = read(status, body)
    assert (fault.kind, fault.code) == (kind, UPSTREAM_GATE)


@pytest.mark.parametrize("status", [400, 401, 405, 406, 409, 429, 500, 501, 502, 503])
@pytest.mark.parametrize("body", ["", "no", "<html>"])
def test_other_statuses_close_nothing(status: int, body: str) -> None:
    assert read(status, body).code is None


@pytest.mark.parametrize("status", [401, 402, 403, 404, 410, 500])
@pytest.mark.parametrize(
    ("words", "advice"),
    [("cody is not enabled: off", "Ask your site admin"), ("ClientCodyIgnoreCompatibilityError", "context filters")],
)
def test_words_that_say_it_all_close_nothing(status: int, words: str, advice: str) -> None:
    fault = read(status, words)
    assert (fault.kind, fault.code) == ("forbidden", None)
    assert advice in fault.message


PROVIDER = "The provider of the model refused what Sourcegraph asked it; your token is not at fault. "


@pytest.mark.parametrize(
    ("inner", "kind", "as_status"), [(401, "forbidden", 403), (403, "forbidden", 403), (404, "model_not_found", 404)]
)
@pytest.mark.parametrize("words", [WRAPPED % (0, "no"), "Sourcegraph Cody Gateway: unexpected status code 0: {}"])
def test_what_a_provider_refuses_is_not_the_endpoints_doing(inner: int, kind: Kind, as_status: int, words: str) -> None:
    words = words.replace(" 0", f" {inner}")
    expected = Fault(kind=kind, message=f"{PROVIDER}Sourcegraph says: {words}", said=words)
    assert expected.status == as_status
    for fault in (read(500, words), read(503, words), fault_of_text(json.dumps({"error": words}).encode())):
        assert fault == expected


@pytest.mark.parametrize("inner", [402, 410])
def test_other_statuses_of_a_provider_stay_what_they_are(inner: int) -> None:
    fault = read(500, WRAPPED % (inner, "no"))
    assert (fault.kind, fault.status, fault.code) == ("bad_request", inner, None)


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b'{"message":"context deadline exceeded","type":"completion.process_completion"}', "timed_out", None),
        (b"context deadline exceeded", "timed_out", "context deadline exceeded"),
        (b'{"error":"message content cannot be empty"}', "bad_gateway", "message content cannot be empty"),
        (b'{"error":"Sourcegraph Cody Gateway: unexpected status code 400: {}"}', "bad_request", None),
        (f'{{"error":"{RATE}"}}'.encode(), "rate_limited", RATE),
    ],
)
def test_errors_inside_a_200(data: bytes, kind: Kind, said: str | None) -> None:
    fault = fault_of_text(data)
    assert fault.kind == kind
    assert said is None or fault.said == said


@pytest.mark.parametrize("name", ["x-request-id", "u2f-challenge", "acme-u2f-challenge"])
def test_other_headers_are_no_challenge(name: str) -> None:
    assert read_fault(400, {name: "true"}, b"no", NOW).said == "no"


def test_a_redirect_is_never_followed_whatever_its_number() -> None:
    assert [read(status).message.partition(",")[0] for status in (300, 301, 308, 399)] == [
        "Sourcegraph answered with a redirect"
    ] * 4


def test_nothing_at_all_is_worth_one_more_try() -> None:
    assert fault_of_text(b"") == Fault(
        kind="bad_gateway", message="Sourcegraph answered with nothing; ask again.", code=EMPTY_ANSWER
    )


ERROR: dict[str, Any] = {"message": {"error": {"message": "m"}}, "type": "t", "error": "x"}
names = st.sampled_from(["retry-after", "x-ratelimit-reset", "content-type", "x-a-u2f-challenge"])
values = st.one_of(texts, st.sampled_from(["Fri, 26 Apr 2024 23:43:54 UTC", "1e999", "9" * 400, "٣"]))


limits = st.from_regex(r"rate limit\. Retry after \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", fullmatch=True).map(
    str.encode
)


@given(st.integers(100, 999), st.dictionaries(names, values), wild_bytes(ERROR) | limits)
def test_no_refusal_makes_it_raise(status: int, headers: dict[str, str], body: bytes) -> None:
    fault = read_fault(status, headers, body, NOW)
    assert 400 <= fault.status <= 599
    assert fault.retry_after is None or fault.retry_after >= 0
    assert fault_of_text(body).status >= 400


@given(values, st.floats(0, 1e11))
def test_no_header_makes_it_raise(value: str, now: float) -> None:
    seconds = retry_after({"retry-after": value}, now)
    assert seconds is None or 0 <= seconds <= 32 * 86400
