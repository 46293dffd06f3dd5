"""Refusals: how Sourcegraph says no, and what a client is told (contract §3.4, §4.6, §4.8, traps 29 to 33)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.faults import API_VERSION_REFUSED, EMPTY_ANSWER, UPSTREAM_GATE, Fault, Kind
from cody_oai_router.sourcegraph.refusals import Asked, fault_of_text, read_fault, words_of
from strategies import texts, wild_bytes

# 2024-04-26 23:43:00 UTC
NOW = 1714174980.0
RATE = "you exceeded the rate limit for chat_completions, only 100 requests are allowed per day at the moment"
WRAPPED = "failed to forward request to apiHandler: handler returned unexpected status code: got %d want 200, response body: %s"


def read(status: int, body: str = "", asked: Asked = "llm", **headers: str) -> Fault:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_fault(status, given, body.encode(), NOW, asked=asked)


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
        ('model "x" is not available', None),
        ("something else", None),
    ],
)
def test_codes_that_programs_test(body: str, code: str | None) -> None:
    assert read(400, body).code == code
    assert read(500, WRAPPED % (400, body)).code == code


@pytest.mark.parametrize(
    "words",
    [
        "the prompt exceeds the Token Limit",
        "input token limit exceeded",
        "prompt is too long: 213462 tokens > 200000 maximum",
        "Prompt too long",
        "Input is too long for requested model.",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 300000 tokens.",
        "context length exceeded",
        '{"code":"context_length_exceeded"}',
        "Your input exceeds the context window of this model.",
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000",
    ],
)
def test_a_prompt_that_is_too_long_is_a_400_that_agents_know(words: str) -> None:
    relayed = f"Sourcegraph Cody Gateway: unexpected status code 400: {words}"
    for fault in (
        *(read(status, body) for status in (400, 413, 500, 503) for body in (words, WRAPPED % (400, words))),
        *(fault_of_text(json.dumps({"error": text}).encode()) for text in (words, relayed)),
        fault_of_text(json.dumps({"message": words, "type": "completion.process_completion"}).encode()),
    ):
        assert (fault.status, fault.kind, fault.code) == (400, "bad_request", "context_length_exceeded")
        assert (fault.param, words in fault.message) == ("messages", True)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "you exceeded the input token limit"),
        (500, "you exceeded the rate limit of your input token limit"),
        (500, "context deadline exceeded"),
        (400, "the output token limit was reached"),
        (400, "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens"),
    ],
)
def test_other_limits_are_not_the_prompts(status: int, words: str) -> None:
    fault = read(status, words)
    assert (fault.code, fault.param) == (None, None)


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


@pytest.mark.parametrize(
    ("status", "kind"), [(402, "forbidden"), (403, "forbidden"), (404, "not_found"), (410, "not_found")]
)
@pytest.mark.parametrize("body", ["", "no", '{"message":"no"}', "<html><title>Sign in</title>", WRAPPED % (400, "x")])
def test_a_status_that_says_that_an_endpoint_is_not_there(status: int, kind: Kind, body: str) -> None:
    fault = read(status, body)
    assert (fault.kind, fault.code) == (kind, UPSTREAM_GATE)


@pytest.mark.parametrize(
    "body",
    ["", "\n", "Not Acceptable", "<html><body>406</body></html>", '{"message":"Unsupported API Version","type":"x"}'],
)
def test_not_acceptable_is_the_api_version_whatever_comes_with_it(body: str) -> None:
    fault = read(406, body, "cody")
    assert (fault.status, fault.code) == (400, API_VERSION_REFUSED)


@pytest.mark.parametrize("body", ["Unsupported API Version (Please update your client)", WRAPPED % (406, "")])
def test_an_api_version_refused_in_words(body: str) -> None:
    assert read(500, body).code == API_VERSION_REFUSED
    assert fault_of_text(json.dumps({"error": body}).encode()).code == API_VERSION_REFUSED


ABOUT_A_MODEL = ["Model not found", '{"message":"the model `x` is not for you","type":"t"}', "a::v1::b: licence"]


@pytest.mark.parametrize("words", ABOUT_A_MODEL)
@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (402, "forbidden", "Sourcegraph does not let this account use this model. "),
        (403, "forbidden", "Sourcegraph does not let this account use this model. "),
        (404, "model_not_found", "Sourcegraph does not have this model here. "),
        (410, "model_not_found", "Sourcegraph does not have this model here. "),
    ],
)
@pytest.mark.parametrize("asked", ["llm", "cody"])
def test_what_is_said_of_one_model_closes_nothing(
    asked: Asked, status: int, kind: Kind, advice: str, words: str
) -> None:
    fault = read(status, words, asked)
    assert (fault.kind, fault.code, fault.param) == (kind, None, "model")
    assert fault.message == f"{advice}Sourcegraph says: {words_of(words.encode())}"


@pytest.mark.parametrize(
    "words", ["language model API: not licensed", "models API is off", "The Cody API is not included"]
)
def test_what_may_be_said_of_the_licence_is_a_gate(words: str) -> None:
    assert read(403, words).code == UPSTREAM_GATE


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (402, "the licence of the instance does not cover it"),
        (403, "ask your site admin for access"),
        (404, "SOURCEGRAPH_BASE_URL is not the address"),
        (410, "SOURCEGRAPH_BASE_URL is not the address"),
    ],
)
@pytest.mark.parametrize("words", ["", "no"])
def test_the_advice_is_of_the_endpoint_that_refused(status: int, advice: str, words: str) -> None:
    fault = read(status, words, "cody")
    assert advice in fault.message
    assert not {"the LLM API", "SOURCEGRAPH_END_POINT"} & {word for word in GATE_WORDS if word in fault.message}
    assert all(word in read(status, words).message for word in GATE_WORDS)


GATE_WORDS = ("the LLM API", "SOURCEGRAPH_END_POINT")


@pytest.mark.parametrize("asked", ["llm", "cody"])
def test_who_is_not_known_has_a_token_that_is_not(asked: Asked) -> None:
    fault = read(403, "not authenticated\n", asked)
    assert (fault.kind, fault.status, fault.code) == ("unauthenticated", 403, None)
    assert fault.message == (
        "Sourcegraph did not accept the token; check SOURCEGRAPH_API_TOKEN and SOURCEGRAPH_BASE_URL. "
        "Sourcegraph says: not authenticated"
    )


@pytest.mark.parametrize(
    "fault",
    [
        read(402, "credits exhausted"),
        read(402, "no credit", "cody"),
        read(403, "you are out of completion credits"),
        read(500, WRAPPED % (402, "credits")),
        fault_of_text(b'{"error":"you have used all of your credits"}'),
        fault_of_text(b'{"error":"your credits are used up"}'),
    ],
)
def test_credits_that_are_exhausted(fault: Fault) -> None:
    assert (fault.kind, fault.status, fault.code) == ("forbidden", 403, "insufficient_quota")
    assert fault.message.startswith("The credits for Cody are exhausted, ")
    assert fault.message.endswith(f" Sourcegraph says: {fault.said}")


def test_a_setting_with_credits_in_its_name_is_none() -> None:
    words = (
        "completions V0 does not support 'entitlements.completionCredits.mode':'trackStrict'; "
        "completions V5 or later is required"
    )
    assert [read(status, words).code for status in (400, 402)] == [None, UPSTREAM_GATE]
    assert read(429, "you have used all of your completion credits").kind == "rate_limited"


@pytest.mark.parametrize("status", [400, 401, 405, 409, 429, 500, 501, 502, 503])
@pytest.mark.parametrize("body", ["", "no", "<html>"])
def test_other_statuses_close_nothing(status: int, body: str) -> None:
    assert read(status, body).code is None


@pytest.mark.parametrize("status", [401, 402, 403, 404, 406, 410, 500])
@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("cody is not enabled: off", "Ask your site admin"),
        ("Cody is not enabled for this user", "Ask your site admin"),
        ("CODY IS NOT ENABLED", "Ask your site admin"),
        ("ClientCodyIgnoreCompatibilityError", "context filters"),
        ("please use one of the supported clients: vscode, jetbrains, web.", "context filters"),
    ],
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
