"""Who may ask, and what the routes beside the chat answer (contract §1.2, §2.1, §3.4, §6, §7)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.simulator import DEMO_TOKEN, PROFILES, Reply, Send, Simulator, Text, faults
from cody_oai_router.simulator.model import DEMO
from cody_oai_router.simulator.site import CHAT, STREAM, respond_to
from cody_oai_router.simulator.wire import Answer, Received

MODELS = "/.api/llm/models"
CONFIG = "/.api/client-config"
SUPPORTED = "/.api/modelconfig/supported-models.json"
GPT = "openai::2024-02-01::gpt-4o"
OPAQUE = "oauth-1234"


def request(
    path: str, method: str = "GET", authorization: str | None = f"token {DEMO_TOKEN}", body: Any = None, **headers: str
) -> Received:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    lines += [("X-Requested-With", "cody-oai-router 1.0.0")] if "X_Requested_With" not in headers else []
    lines += [("Authorization", authorization)] if authorization is not None else []
    return Received(method, path, "HTTP/1.1", lines, json.dumps(body).encode(), json=body)


def sent(answer: Answer) -> str:
    return b"".join(piece.data for piece in answer.body if isinstance(piece, Send)).decode()


def error(answer: Answer) -> tuple[int, str, str]:
    return answer.status, dict(answer.headers)["Content-Type"], sent(answer)


def plain(status: int, text: str) -> tuple[int, str, str]:
    return status, "text/plain; charset=utf-8", f"{text}\n"


PRIVATE = plain(401, "Private mode requires authentication.")
INVALID = plain(401, "Invalid access token.")


@pytest.mark.parametrize("profile", ["5.6", "6.1", "6.12"])
@pytest.mark.parametrize("path", [MODELS, CONFIG])
@pytest.mark.parametrize(
    ("authorization", "refusal"),
    [
        (None, PRIVATE),
        (f"Basic {DEMO_TOKEN}", PRIVATE),
        ("token", plain(401, "Invalid Authorization header.")),
        (f"token {DEMO_TOKEN}x", INVALID),
        (f"token {DEMO_TOKEN}", None),
        (f"Token {DEMO_TOKEN}", None),
    ],
)
def test_authorization(
    profile: str, path: str, authorization: str | None, refusal: tuple[int, str, str] | None
) -> None:
    answer = respond_to(request(path, authorization=authorization), Simulator(profile).instance)
    assert answer.status == 200 if refusal is None else error(answer) == refusal


@pytest.mark.parametrize(
    ("profile", "path", "status"),
    [("5.6", MODELS, 401), ("5.6", CONFIG, 401), ("6.1", MODELS, 200), ("6.12", MODELS, 200), ("6.12", CONFIG, 401)],
)
def test_bearer_with_an_access_token_works_only_on_the_llm_api_and_not_on_5_6(
    profile: str, path: str, status: int
) -> None:
    answer = respond_to(request(path, authorization=f"Bearer {DEMO_TOKEN}"), Simulator(profile).instance)
    assert answer.status == status
    if status == 401:
        assert error(answer) == PRIVATE


def test_an_oauth_token_wants_bearer() -> None:
    simulator = Simulator("6.12", token=OPAQUE)
    assert respond_to(request(CONFIG, authorization=f"Bearer {OPAQUE}"), simulator.instance).status == 200
    assert error(respond_to(request(CONFIG, authorization=f"token {OPAQUE}"), simulator.instance)) == INVALID
    assert error(respond_to(request(CONFIG, authorization="Bearer other"), simulator.instance)) == INVALID


@pytest.mark.parametrize("profile", ["6.1", "6.8-gated"])
@pytest.mark.parametrize("value", ["", "router", "cody oai router"])
def test_the_client_header_has_a_name_and_a_version(profile: str, value: str) -> None:
    asked = request(CONFIG, X_Requested_With=value)
    assert respond_to(asked, Simulator(profile).instance).status == 400
    assert respond_to(asked, Simulator("6.12").instance).status == 200
    assert respond_to(request(CONFIG), Simulator(profile).instance).status == 200


@pytest.mark.parametrize(("gate", "status"), [("403", 403), ("404", 404)])
@pytest.mark.parametrize("path", [CHAT, MODELS, f"{MODELS}/{GPT}"])
def test_the_gate_closes_everything_under_llm(gate: Any, status: int, path: str) -> None:
    instance = Simulator("6.8-gated", gate=gate).instance
    assert respond_to(request(path), instance).status == status
    assert respond_to(request(SUPPORTED), instance).status == 200


def test_cody_switched_off() -> None:
    instance = Simulator("6.12", cody_enabled=False).instance
    answer = respond_to(request(CHAT, "POST"), instance)
    assert (answer.status, sent(answer).partition(":")[0]) == (401, "cody is not enabled")
    assert json.loads(sent(respond_to(request(CONFIG), instance)))["codyEnabled"] is False


@pytest.mark.parametrize(("method", "path"), [("GET", CHAT), ("POST", MODELS), ("GET", "/.api/graphql")])
def test_wrong_methods(method: str, path: str) -> None:
    assert error(respond_to(request(path, method), Simulator().instance)) == plain(405, "Method Not Allowed")


@pytest.mark.parametrize("path", ["/.api/llm/embeddings", "/.api/nothing", "/"])
def test_unknown_paths(path: str) -> None:
    assert error(respond_to(request(path), Simulator().instance)) == plain(404, "404 page not found")


@pytest.mark.parametrize(("profile", "created"), [("5.6", 0), ("6.1", 0), ("6.12", 1747699200)])
def test_the_listing_names_all_models(profile: str, created: int) -> None:
    listing = json.loads(sent(respond_to(request(MODELS), Simulator(profile).instance)))
    assert listing["object"] == "list"
    assert {"id": GPT, "object": "model", "created": created, "owned_by": "openai"} in listing["data"]
    assert any(model["owned_by"] == "fireworks" for model in listing["data"])


@pytest.mark.parametrize(("listing", "data", "models"), [("null", None, None), ("unlisted", [], None)])
def test_sites_that_list_nothing(listing: Any, data: object, models: object) -> None:
    instance = Simulator("6.12", listing=listing).instance
    assert json.loads(sent(respond_to(request(MODELS), instance)))["data"] == data
    supported = json.loads(sent(respond_to(request(SUPPORTED), instance)))
    assert (supported["models"], supported["providers"]) == (models, models)


@pytest.mark.parametrize("path", [GPT, GPT.replace(":", "%3A"), GPT.replace(":", "%3a")])
def test_one_model(path: str) -> None:
    answer = respond_to(request(f"{MODELS}/{path}"), Simulator().instance)
    assert json.loads(sent(answer))["id"] == GPT


def test_one_model_that_is_not_there() -> None:
    answer = respond_to(request(f"{MODELS}/a::b::c"), Simulator().instance)
    assert error(answer) == plain(404, "Model not found")


def test_supported_models_are_json_called_plain_text() -> None:
    answer = respond_to(request(SUPPORTED), Simulator("6.12").instance)
    assert error(answer)[:2] == (200, "text/plain; charset=utf-8")
    assert sent(answer).startswith('{\n    "schemaVersion": "1.0",\n    "revision": "6.12.5040",\n')
    assert sent(answer).endswith("}\n")


@pytest.mark.parametrize(
    ("profile", "version"),
    [
        ("5.6", None),
        ("5.8", 4),
        ("5.10", 5),
        ("6.1", 8),
        ("6.5-starter", 9),
        ("6.8-gated", 9),
        ("6.12", 9),
        ("7.x-unknown", 9),
    ],
)
def test_client_config_announces_the_api_version(profile: str, version: int | None) -> None:
    config = json.loads(sent(respond_to(request(CONFIG), Simulator(profile).instance)))
    assert config.get("latestSupportedCompletionsStreamAPIVersion") == version
    assert config["codyEnabled"] is True


@pytest.mark.parametrize("profile", list(PROFILES))
def test_healthz_needs_no_token(profile: str) -> None:
    answer = respond_to(request("/healthz", authorization=None), Simulator(profile).instance)
    assert (answer.status, sent(answer)) == (200, PROFILES[profile].version)


def test_graphql() -> None:
    body = {"query": "query { site { productVersion } }"}
    answer = respond_to(request("/.api/graphql?SiteVersion", "POST", body=body), Simulator("6.1").instance)
    assert json.loads(sent(answer)) == {"data": {"site": {"productVersion": "6.1.2889"}}}


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": GPT, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 99, **fields}


def test_a_chat_is_answered_by_the_scripted_model_or_by_a_reply() -> None:
    instance = Simulator().instance
    asked = request(CHAT, "POST", body=chat())
    assert "You said: hi" in sent(respond_to(asked, instance))
    assert "chosen" in sent(respond_to(asked, instance, Reply((Text("chosen"),))))


def test_a_demo_says_so() -> None:
    answer = json.loads(sent(respond_to(request(CHAT, "POST", body=chat()), Simulator(demo=True).instance)))
    assert answer["choices"][0]["message"]["content"] == f"{DEMO}You said: hi"


@pytest.mark.parametrize(("value", "deadline"), [("1500", 1.5), ("soon", 480.0), ("-5", 480.0)])
def test_the_client_sets_the_deadline(value: str, deadline: float) -> None:
    answer = respond_to(request(CHAT, "POST", body=chat(), X_Timeout_Ms=value), Simulator().instance)
    assert answer.deadline == deadline


WRAPPED = "failed to forward request to apiHandler: handler returned unexpected status code: got 400 want 200"


@pytest.mark.parametrize(
    ("profile", "fields", "refusal"),
    [
        ("5.6", {"seed": 1}, plain(400, "seed is not supported")),
        (
            "5.6",
            {"model": "a::b::c"},
            plain(
                500,
                f'{WRAPPED}, response body: unsupported chat model "a::b::c" '
                '(default "anthropic::2023-06-01::claude-3.5-sonnet")',
            ),
        ),
        (
            "6.12",
            {"seed": 1},
            (400, "application/json", '{"message":"seed is not supported","type":"invalid_request_error"}'),
        ),
    ],
)
def test_refusals_as_each_version_writes_them(
    profile: str, fields: dict[str, Any], refusal: tuple[int, str, str]
) -> None:
    assert error(respond_to(request(CHAT, "POST", body=chat(**fields)), Simulator(profile).instance)) == refusal


def stream(prompt: str = "hi", version: int = 9, **fields: Any) -> tuple[str, dict[str, Any]]:
    message = {"speaker": "human", "text": prompt}
    body = {"messages": [message], "maxTokensToSample": 99, **fields}
    return f"{STREAM}?client-name=x&client-version=1.0.0&api-version={version}", body


def asked(prompt: str = "hi", version: int = 9, method: str = "POST", **fields: Any) -> Received:
    target, body = stream(prompt, version, **fields)
    return request(target, method, body=body)


def test_codys_stream_is_answered_by_the_scripted_model_or_by_a_reply() -> None:
    instance = Simulator().instance
    assert '{"deltaText":"hi"}' in sent(respond_to(asked(), instance))
    assert '{"deltaText":"chosen"}' in sent(respond_to(asked(), instance, Reply((Text("chosen"),))))
    assert "delta_thinking" in sent(
        respond_to(asked(model="claude-sonnet-4-5-thinking-latest", maxTokensToSample=9999), instance)
    )
    assert "demo answer" in sent(respond_to(asked(stream=False), Simulator(demo=True).instance))


def test_what_the_provider_finds_wrong_is_an_event() -> None:
    answer = respond_to(asked(maxTokensToSample=0), Simulator().instance, Reply((Text("never"),)))
    assert answer.status == 200
    assert sent(answer).startswith("event: error\n")
    assert "max_tokens: Field required" in sent(answer)


@pytest.mark.parametrize(
    "profile", ["5.4", "5.6", "5.8", "5.10", "6.1", "6.5-starter", "6.8-gated", "6.12", "7.x-unknown"]
)
def test_every_version_has_codys_stream(profile: str) -> None:
    assert respond_to(asked(version=1), Simulator(profile).instance).status == 200


@pytest.mark.parametrize(
    ("profile", "kind"), [("6.1", "text/plain; charset=utf-8"), ("6.5-starter", "application/json")]
)
def test_refusals_of_codys_stream(profile: str, kind: str) -> None:
    instance = Simulator(profile).instance
    assert error(respond_to(asked(version=8, method="GET"), instance)) == plain(405, "Method Not Allowed")
    unknown = respond_to(asked(version=8, model="nope"), instance)
    assert (unknown.status, dict(unknown.headers)["Content-Type"]) == (400, kind)
    assert respond_to(asked(version=99, messages="wrong too"), instance).status == 406
    assert respond_to(asked(version=8, messages="wrong"), instance).status == 400


def test_codys_stream_looks_at_the_client_where_the_site_has_filters() -> None:
    nameless = request(f"{STREAM}?api-version=9", "POST", body=stream()[1])
    assert respond_to(nameless, Simulator().instance).status == 200
    assert respond_to(nameless, Simulator(context_filters=True).instance).status == 406
    assert respond_to(asked(), Simulator(context_filters=True).instance).status == 200


def test_codys_stream_keeps_the_clients_deadline() -> None:
    target, body = stream()
    assert respond_to(request(target, "POST", body=body, X_Timeout_Ms="1500"), Simulator().instance).deadline == 1.5


def test_an_access_token_is_no_bearer_on_codys_stream() -> None:
    target, body = stream()
    answer = respond_to(request(target, "POST", f"Bearer {DEMO_TOKEN}", body), Simulator().instance)
    assert error(answer) == PRIVATE


@pytest.mark.parametrize("profile", ["5.4", "7.x-unknown"])
@pytest.mark.parametrize("path", [CHAT, MODELS, f"{MODELS}/{GPT}"])
def test_versions_without_an_llm_api(profile: str, path: str) -> None:
    assert error(respond_to(request(path), Simulator(profile).instance)) == plain(404, "404 page not found")


def test_what_came_after_5_4() -> None:
    instance = Simulator("5.4").instance
    assert [respond_to(request(path), instance).status for path in (CONFIG, SUPPORTED)] == [404, 404]
    body = {"query": "{ site { isCodyEnabled } }"}
    assert respond_to(request("/.api/graphql", "POST", body=body), instance).status == 200


@pytest.mark.parametrize("path", [CHAT, STREAM])
def test_sourcegraph_com_is_public_and_without_cody(path: str) -> None:
    instance = Simulator("dotcom-dead").instance
    assert sent(respond_to(request(path, "POST"), instance)).startswith("cody is not enabled: ")
    assert error(respond_to(request(path, "POST", None), instance)) == plain(403, "not authenticated")
    assert json.loads(sent(respond_to(request(CONFIG, authorization=None), instance)))["codyEnabled"] is False
    assert error(respond_to(request(CONFIG, authorization="token wrong"), instance)) == INVALID
    query = {"query": "{ currentUser { username } }"}
    anonymous = respond_to(request("/.api/graphql", "POST", None, query), instance)
    assert json.loads(sent(anonymous)) == {"data": {"currentUser": None}}


def test_cody_switched_off_on_codys_stream() -> None:
    answer = respond_to(asked(), Simulator(cody_enabled=False).instance)
    assert (answer.status, sent(answer).partition(":")[0]) == (401, "cody is not enabled")


@pytest.mark.parametrize(
    ("profile", "present"), [("5.10", False), ("6.1", False), ("6.5-starter", True), ("6.12", True)]
)
def test_client_config_has_attribution_since_2025(profile: str, present: bool) -> None:
    config = json.loads(sent(respond_to(request(CONFIG), Simulator(profile).instance)))
    assert ("attribution" in config) is present


def test_the_texts_of_faults_are_those_of_the_site() -> None:
    instance = Simulator("6.1").instance
    for fault, answer in (
        (faults.unsupported_version(), respond_to(asked(version=9), instance)),
        (faults.undecodable(), respond_to(asked(version=8, messages=1), instance)),
    ):
        (step,) = fault.steps
        assert isinstance(step, Send)
        assert step.data.endswith(sent(answer).encode())


_WORDS = st.sampled_from(["", "human", "system", "text", "image_url", "tool_call"])
_MESSAGE_KEYS = ["speaker", "role", "text", "content", "tool_call", "tool_result", "image_url", "file", "repo"]
_OTHER_KEYS = ["type", "id", "name", "arguments", "url", "function", "parameters", "stopSequences", "cache_control"]
_KEYS = st.sampled_from([*_MESSAGE_KEYS, *_OTHER_KEYS])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
)
_FIELDS = st.sampled_from(
    ["model", "messages", "maxTokensToSample", "tools", "stopSequences", "stream", "fast", "temperature"]
)


@given(
    st.dictionaries(_FIELDS, _VALUES | st.lists(st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=3)),
    st.sampled_from(["5.6", "5.8", "6.1", "6.12"]),
    st.sampled_from(["", "api-version=1", "api-version=4", "api-version=8"]),
)
def test_every_body_has_an_answer(body: dict[str, Any], profile: str, query: str) -> None:
    answer = respond_to(request(f"{STREAM}?{query}", "POST", body=body), Simulator(profile).instance)
    assert answer.status in {200, 400, 406, 500, 503}
