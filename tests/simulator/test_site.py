"""Who may ask, and what the routes beside the chat answer (contract §1.2, §2.1, §3.4, §6, §7)."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator import DEMO_TOKEN, PROFILES, Reply, Send, Simulator, Text
from cody_oai_router.simulator.model import DEMO
from cody_oai_router.simulator.site import CHAT, respond_to
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


@pytest.mark.parametrize(("profile", "version"), [("5.6", None), ("6.1", 8), ("6.8-gated", 9), ("6.12", 9)])
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
