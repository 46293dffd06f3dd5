"""The profiles say what the contract's tables say (§1.1, §4.1, §9.1)."""

from cody_oai_router.simulator.profiles import PROFILES


def test_the_versions_of_the_contract() -> None:
    assert list(PROFILES) == ["5.6", "6.1", "6.8-gated", "6.12"]
    assert all(profile.version.startswith(name.partition("-")[0]) for name, profile in PROFILES.items())
    assert [profile.api_version for profile in PROFILES.values()] == [None, 8, 9, 9]


def test_what_differs() -> None:
    def those(fact: str) -> list[str]:
        return [name for name, profile in PROFILES.items() if getattr(profile, fact) is True]

    assert those("streams") == ["6.1", "6.8-gated", "6.12"]
    assert those("gated") == ["6.8-gated"]
    assert those("wants_requested_with") == ["6.1", "6.8-gated"]
    assert those("old") == ["5.6"]
    assert [profile.usage for profile in PROFILES.values()] == ["zeros", "counts", "credits", "credits"]
