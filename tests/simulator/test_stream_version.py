"""Cody's stream looks at the api-version and, on a site with context filters, at the client (contract §4.1)."""

import pytest

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.refusals import Refusal
from cody_oai_router.simulator.stream_version import read_version

NEWEST = {
    "5.4": 1,
    "5.6": 1,
    "5.8": 4,
    "5.10": 5,
    "6.1": 8,
    "6.5-starter": 9,
    "6.8-gated": 9,
    "6.12": 9,
    "7.x-unknown": 9,
    "dotcom-dead": 9,
}


def read(query: str, profile: str = "6.12", *, filters: bool = False) -> int | tuple[int, str]:
    found = read_version(query, Simulator(profile, context_filters=filters).instance)
    return (found.status, found.text) if isinstance(found, Refusal) else found


TOO_NEW = (406, "Unsupported API Version (Please update your client)")


@pytest.mark.parametrize(("profile", "newest"), NEWEST.items())
def test_the_versions_up_to_the_newest_are_known(profile: str, newest: int) -> None:
    assert read("", profile) == 0
    assert read("client-name=x&api-version=", profile) == 0
    assert [read(f"api-version={version}", profile) for version in range(1, newest + 1)] == [*range(1, newest + 1)]
    assert read(f"api-version={newest + 1}", profile) == TOO_NEW


@pytest.mark.parametrize("word", ["0", "-1", "01", "1.0", "x", "%31x"])
def test_anything_else_is_unknown(word: str) -> None:
    assert read(f"api-version={word}") == TOO_NEW


@pytest.mark.parametrize("query", ["", "client-name=x", "client-name=vscode&client-version=0.1.0"])
def test_without_filters_nobody_looks_at_the_client(query: str) -> None:
    assert read(query) == 0


MISSING = 'ClientCodyIgnoreCompatibilityError: "{}" query param is required.'
OLD = "ClientCodyIgnoreCompatibilityError: Cody for {} {} does not support context filters. Please upgrade your client."


@pytest.mark.parametrize(
    ("client", "answer"),
    [
        ("", (406, MISSING.format("client-name"))),
        ("client-name=cody-oai-router", (406, MISSING.format("client-version"))),
        ("client-name=web", 9),
        ("client-name=cody-oai-router&client-version=0.1.0", 9),
        ("client-name=cody-oai-router&client-version=0.0.0-0", 9),
        ("client-name=edit&client-version=v1", 9),
        ("client-name=vscode&client-version=1.20.0", 9),
        ("client-name=vscode&client-version=1.20.0-pre", (406, OLD.format("vscode", "1.20.0-pre"))),
        ("client-name=vscode&client-version=1.9.9", (406, OLD.format("vscode", "1.9.9"))),
        ("client-name=jetbrains&client-version=6.0.0-SNAPSHOT", 9),
        ("client-name=jetbrains&client-version=5.9", (406, OLD.format("jetbrains", "5.9"))),
        (
            "client-name=x&client-version=new",
            (400, 'ClientCodyIgnoreCompatibilityError: "client-version" is no semantic version: "new"'),
        ),
    ],
)
def test_a_site_with_filters_goes_by_name_and_version(client: str, answer: int | tuple[int, str]) -> None:
    assert read(f"api-version=9&{client}", filters=True) == answer


def test_before_5_6_only_codys_own_clients_pass() -> None:
    client = "client-name={}&client-version=9.0.0"
    refused = "ClientCodyIgnoreCompatibilityError: please use one of the supported clients: vscode, jetbrains, web."
    assert read(client.format("cody-oai-router"), "5.4", filters=True) == (406, refused)
    assert read(client.format("cody-oai-router"), "5.6", filters=True) == 0
    assert [read(client.format(name), "5.4", filters=True) for name in ("vscode", "jetbrains", "web")] == [0, 0, 0]
