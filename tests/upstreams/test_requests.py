"""The paths of an instance and the headers of requests to it (contract §2.1, §4.2): the necessary ones, under our own name."""

import pytest

from cody_oai_router import __version__
from cody_oai_router.upstreams import requests
from cody_oai_router.upstreams.requests import authorization, headers, request_headers

SGP = "sgp_0123456789abcdef_" + "a" * 40
OURS = f"cody-oai-router {__version__}"


@pytest.mark.parametrize(
    ("token", "value"),
    [
        (SGP, f"token {SGP}"),
        ("sgp_local_" + "b" * 40, "token sgp_local_" + "b" * 40),
        ("sgp_" + "C" * 40, "token sgp_" + "C" * 40),
        ("0123456789abcdefABCD" * 2, "token " + "0123456789abcdefABCD" * 2),
        ("sgo_at_opaque", "Bearer sgo_at_opaque"),
        ("eyJhbGciOi.J9.x-y", "Bearer eyJhbGciOi.J9.x-y"),
        ("0123456789", "Bearer 0123456789"),
    ],
)
def test_the_scheme_fits_the_token(token: str, value: str) -> None:
    assert authorization(token) == value


def test_the_headers_that_every_request_has() -> None:
    assert headers(SGP, (), None).decode() == (
        f"authorization: token {SGP}\r\n"
        f"user-agent: {OURS}\r\n"
        f"x-requested-with: {OURS}\r\n"
        "accept-encoding: identity\r\n"
        "x-timeout-ms: 3600000\r\n"
    )


@pytest.mark.parametrize(("total", "timeout"), [(None, "3600000"), (90, "90000"), (0.25, "250")])
def test_the_configured_total_is_the_instances_deadline(total: float | None, timeout: str) -> None:
    assert headers(SGP, (), total).endswith(f"x-timeout-ms: {timeout}\r\n".encode())


def test_extra_headers_for_a_companys_proxy() -> None:
    found = headers(SGP, [("x-corp", "v"), ("user-agent", "allowed by us 1.0")], None).decode()
    assert found.count("user-agent:") == 1
    assert "user-agent: allowed by us 1.0\r\n" in found
    assert found.endswith("x-corp: v\r\n")


@pytest.mark.parametrize(("stream", "accept"), [(True, "text/event-stream"), (False, "application/json")])
def test_what_differs_between_requests(stream: bool, accept: str) -> None:
    wire = request_headers(b"common: x\r\n", stream=stream)
    assert wire.decode() == f"common: x\r\ncontent-type: application/json\r\naccept: {accept}\r\n"


def test_where_things_are() -> None:
    assert requests.MODELS_PATH == "/.api/llm/models"
    assert requests.SUPPORTED_PATH == "/.api/modelconfig/supported-models.json"
    assert requests.CLIENT_CONFIG_PATH == "/.api/client-config"
    assert requests.CONTEXT_FILTERS_PATH == "/.api/graphql?ContextFilters"
    assert requests.HEALTH_PATH == "/healthz"
