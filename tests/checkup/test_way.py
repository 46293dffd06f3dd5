"""The way to the instance, in words."""

import msgspec
import pytest

from checkup.given import TOKEN, settings_of
from cody_oai_router.checkup import way
from cody_oai_router.checkup.certificate import Issuer
from cody_oai_router.checkup.check import Check
from cody_oai_router.settings import Settings

DIRECT = settings_of()
PROXIED = settings_of(HTTPS_PROXY="http://user:password@proxy.example.com:8080")
LOCAL = settings_of(SOURCEGRAPH_BASE_URL="http://127.0.0.1:7080", HTTPS_PROXY="http://proxy.example.com:8080")
OWN = settings_of(CA_FILE="/etc/own.pem")

PUBLIC = Issuer("R11", "Let's Encrypt", itself=False)
COMPANY = Issuer("Example CA", "Example Corp", itself=False)
ZSCALER = Issuer("Zscaler Root CA", "Zscaler Inc.", itself=False)


def test_the_name_that_is_looked_up_is_the_first_on_the_way() -> None:
    assert way.judge_addresses(DIRECT, ["10.0.0.1"]).detail == "sourcegraph.example.com is 10.0.0.1"
    assert way.judge_addresses(PROXIED, ["10.0.0.1", "::1"]).detail == "proxy.example.com is 10.0.0.1, ::1"
    many = way.judge_addresses(DIRECT, [f"10.0.0.{number}" for number in range(5)])
    assert many.detail == "sourcegraph.example.com is 10.0.0.0, 10.0.0.1, 10.0.0.2, ..."
    assert way.judge_addresses(LOCAL, ["127.0.0.1"]).detail == "no name to look up: 127.0.0.1 is an address"


def test_a_name_that_is_not_found() -> None:
    check = way.judge_unresolved(DIRECT, "Name or service not known")
    assert (check.status, check.detail) == (
        "failed",
        "the name sourcegraph.example.com is not found (Name or service not known)",
    )
    assert "SOURCEGRAPH_BASE_URL" in check.advice
    assert "VPN" in check.advice
    assert "HTTPS_PROXY" in way.judge_unresolved(PROXIED, "no").advice


def test_variables_are_named_as_the_user_has_set_them() -> None:
    pair = settings_of(
        SOURCEGRAPH_BASE_URL="", SOURCEGRAPH_API_TOKEN="", SRC_ENDPOINT="https://a", SRC_ACCESS_TOKEN=TOKEN
    )
    assert "SRC_ENDPOINT" in way.judge_unresolved(pair, "no").advice
    small = settings_of(https_proxy="http://p:8080")
    assert way.judge_unresolved(small, "no").advice.startswith("Check the spelling in https_proxy.")
    assert way.judge_refused_by_proxy(small, "407").advice.startswith("https_proxy is set in the environment.")
    assert "SOURCEGRAPH_BASE_URL" in way.judge_unresolved(msgspec.structs.replace(DIRECT, origins={}), "no").advice


def test_connections() -> None:
    assert way.judge_connected(DIRECT, "a:443") == Check("connection", "ok", "a:443 accepts connections")
    assert way.judge_connected(PROXIED, "p:1") == Check("connection", "ok", "the proxy p:1 accepts connections")
    assert "set HTTPS_PROXY=http://host:port" in way.judge_unconnected(DIRECT, "refused").advice
    for settings in (PROXIED, LOCAL):
        assert "set HTTPS_PROXY=" not in way.judge_unconnected(settings, "refused").advice


@pytest.mark.parametrize(
    ("variables", "detail"),
    [
        ({}, "none configured; connections go straight to Sourcegraph"),
        (
            {"HTTPS_PROXY": "http://p:8080", "NO_PROXY": "example.com"},
            "HTTPS_PROXY is not used for this address (NO_PROXY, or this machine itself)",
        ),
        (
            {"HTTPS_PROXY": "http://p:8080", "SOURCEGRAPH_BASE_URL": "http://127.0.0.1"},
            "HTTPS_PROXY is not used for this address (plain http needs none)",
        ),
        ({"HTTPS_PROXY": "http://u:w@p:8080"}, "p:8080 connects to sourcegraph.example.com"),
    ],
)
def test_proxies(variables: dict[str, str], detail: str) -> None:
    assert way.judge_proxy(settings_of(**variables)) == Check("proxy", "ok", detail)


def test_a_proxy_that_refuses() -> None:
    check = way.judge_refused_by_proxy(PROXIED, "407")
    assert (check.status, check.detail) == ("failed", "407")
    assert "HTTPS_PROXY is set in the environment" in check.advice
    assert "NO_PROXY=sourcegraph.example.com" in check.advice
    assert "password" not in check.advice


def test_without_tls() -> None:
    assert way.judge_plain(LOCAL).status == "ok"
    remote = settings_of(SOURCEGRAPH_BASE_URL="http://sourcegraph.example.com", ALLOW_INSECURE_UPSTREAM="1")
    assert way.judge_plain(remote).status == "warning"


def test_certificates_that_are_trusted() -> None:
    check = way.judge_trusted(DIRECT, PUBLIC, "TLSv1.3")
    assert check == Check("tls", "ok", 'verified (TLSv1.3), issued by "R11" (Let\'s Encrypt), trusted by this system')
    check = way.judge_trusted(OWN, COMPANY, "TLSv1.2")
    assert check.detail.endswith("trusted by CA_FILE (/etc/own.pem)")
    assert check.advice == "That is no public authority: most likely your company's own."
    assert way.judge_trusted(DIRECT, ZSCALER, "TLSv1.3").advice.startswith("Zscaler looks into this connection")
    assert way.judge_trusted(DIRECT, None, "TLSv1.3").detail == "verified (TLSv1.3), trusted by this system"


@pytest.mark.parametrize(
    ("settings", "issuer", "words"),
    [
        (DIRECT, COMPANY, 'It was issued by "Example CA" (Example Corp). Ask your IT department'),
        (DIRECT, ZSCALER, 'It was issued by "Zscaler Root CA" (Zscaler Inc.): Zscaler, a program that looks into TLS'),
        (DIRECT, Issuer("host", "", itself=True), 'It was issued by itself ("host").'),
        (DIRECT, PUBLIC, "That is a public authority: most likely the instance does not send"),
        (OWN, COMPANY, "CA_FILE (/etc/own.pem) is all that is trusted now"),
    ],
)
def test_certificates_that_are_not_trusted(settings: Settings, issuer: Issuer, words: str) -> None:
    check = way.judge_untrusted(settings, "not trusted", issuer, signer=True)
    assert (check.status, check.detail) == ("failed", "not trusted")
    assert words in check.advice


def test_no_authority_mends_a_wrong_name() -> None:
    check = way.judge_untrusted(DIRECT, "wrong name", COMPANY, signer=False)
    assert check.advice == 'It was issued by "Example CA" (Example Corp).'


def test_a_certificate_that_could_not_be_looked_at() -> None:
    assert way.judge_untrusted(DIRECT, "not trusted", None, signer=True) == Check("tls", "failed", "not trusted")
