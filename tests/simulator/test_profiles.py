"""The profiles say what the contract's tables say (§1.1, §4.1, §9.1)."""

from cody_oai_router.simulator.profiles import PROFILES

LATE = ["6.5-starter", "6.8-gated", "6.12", "7.x-unknown", "dotcom-dead"]


def those(fact: str, value: object = True) -> list[str]:
    return [name for name, profile in PROFILES.items() if getattr(profile, fact) == value]


def test_the_versions_of_the_contract() -> None:
    assert list(PROFILES) == ["5.4", "5.6", "5.8", "5.10", "6.1", *LATE]
    numbered = [profile for name, profile in PROFILES.items() if name[0].isdigit()]
    assert all(profile.version.startswith(profile.name.rstrip("x-unkow").partition("-")[0]) for profile in numbered)


def test_api_versions() -> None:
    assert {name: profile.api_version for name, profile in PROFILES.items() if name not in LATE} == {
        "5.4": None,
        "5.6": None,
        "5.8": 4,
        "5.10": 5,
        "6.1": 8,
    }
    assert those("api_version", 9) == LATE


def test_what_differs() -> None:
    assert those("llm", value=False) == ["5.4", "7.x-unknown"]
    assert those("streams", value=False) == ["5.4", "5.6", "5.8", "5.10"]
    assert those("gated") == ["6.5-starter", "6.8-gated"]
    assert those("wants_requested_with") == ["5.10", "6.1", "6.5-starter", "6.8-gated"]
    assert those("old") == ["5.4", "5.6"]
    assert those("ancient") == ["5.4"]
    assert those("null_content", value=False) == ["5.4", "5.6", "5.8"]
    assert those("json_errors") == LATE
    assert those("names_ref") == ["6.5-starter", "6.8-gated", "dotcom-dead"]
    assert those("dotcom") == ["dotcom-dead"]
    assert those("usage", "zeros") == ["5.4", "5.6", "5.8"]
    assert those("usage", "counts") == ["5.10", "6.1"]
    assert those("usage", "credits") == LATE
