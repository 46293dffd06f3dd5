"""`cody-oai-router models`: the catalogue, and what keeps it from being shown."""

import json
from pathlib import Path

import pytest

from cli.site import site
from cody_oai_router.cli import main
from cody_oai_router.simulator import DEMO_TOKEN

LEFT_OUT = "Left out: 1 that cannot be talked to (autocomplete only).\n"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user with nothing configured but the token."""
    for name in ("SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))
    monkeypatch.setenv("SOURCEGRAPH_API_TOKEN", DEMO_TOKEN)


def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_ALIASES", "gpt-4=claude-sonnet-4-5-latest")
    with site(catalogue="6") as (_, url):
        assert main(["models", "--base-url", url]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert lines[0].split() == ["NAME", "INPUT", "OUTPUT", "NOTES", "REFERENCE", "ABILITIES"]
    assert lines[1].split()[:4] == ["gpt-4", "132000", "8192", "alias"]
    assert len(lines) == 2 + 6
    assert len({line.index("anthropic::") for line in lines[1:]}) == 1


def test_a_terminal_gets_what_fits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("cody_oai_router.cli.models.is_terminal", lambda: True)
    with site() as (_, url):
        assert main(["models", "--base-url", url]) == 0
    out, err = capsys.readouterr()
    assert err == LEFT_OUT
    assert max(map(len, out.splitlines())) <= 80
    assert "\n  anthropic::2024-10-22::claude-sonnet-4-5-latest  tools vision\n" in out


def test_a_wide_terminal_gets_a_line_for_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("cody_oai_router.cli.models.is_terminal", lambda: True)
    with site() as (_, url):
        assert main(["models", "--base-url", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 12
    assert max(map(len, lines)) > 110


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    with site() as (_, url):
        assert main(["models", "--json", "--base-url", url]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert len(models) == 12
    assert models[0] == {
        "name": "claude-sonnet-4-5-latest",
        "reference": "anthropic::2024-10-22::claude-sonnet-4-5-latest",
        "max_input": 132000,
        "max_output": 8192,
        "abilities": ["tools", "vision"],
        "notes": ["default in Cody"],
    }


def test_an_instance_without_a_listing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = "The instance lists no models: their names go to Sourcegraph as clients write them.\n"
    with site("5.4") as (_, url):
        assert main(["models", "--base-url", url]) == 0
        assert capsys.readouterr() == ("", words)
        assert main(["models", "--json", "--base-url", url]) == 0
        assert capsys.readouterr().out == '{"models":[]}\n'
        monkeypatch.setenv("MODEL_ALIASES", "fast=gpt-4o")
        assert main(["models", "--base-url", url]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "fast"]
    assert err == words


def test_a_token_that_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCEGRAPH_API_TOKEN", "sgp_0123456789abcdef_0123456789abcdef0123456789abcdef01234567")
    with site() as (_, url):
        assert main(["models", "--base-url", url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "Sourcegraph did not accept the token; check SOURCEGRAPH_API_TOKEN and SOURCEGRAPH_BASE_URL. "
        "Sourcegraph says: Invalid access token.\n"
    )


def test_nobody_there_and_certificates_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(["models", "--base-url", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("cannot connect to 127.0.0.1:1")
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("CA_FILE", str(file))
    assert main(["models", "--base-url", "https://127.0.0.1:1"]) == 1
    assert "holds no certificate that OpenSSL can read" in capsys.readouterr().err


def test_a_wrong_configuration(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["models", "--port", "x"]) == 2
    assert capsys.readouterr().err.startswith("PORT: 'x' is not a port")
    monkeypatch.delenv("SOURCEGRAPH_API_TOKEN")
    assert main(["models"]) == 2
    assert capsys.readouterr().err.startswith("No Sourcegraph access token is configured.\n")
