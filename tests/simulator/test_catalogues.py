"""Each catalogue has the models that its name promises (contract §6.2)."""

import pytest

from cody_oai_router.simulator import PROFILES, Simulator
from cody_oai_router.simulator.catalogue import MODELS, OLD_MODELS
from cody_oai_router.simulator.catalogues import models_of


@pytest.mark.parametrize(("name", "size"), [("6", 6), ("57", 57), ("null", 0)])
@pytest.mark.parametrize("age", ["2024", "2024-12", "2025"])
def test_the_size_of_a_catalogue(name: str, size: int, age: str) -> None:
    models = models_of(name, age)
    assert len({model.ref for model in models}) == len(models) == size
    assert len({model.id for model in models}) == size


def test_the_standard_ones_are_of_their_time() -> None:
    assert models_of("standard", "2024") is OLD_MODELS
    assert models_of("standard", "2025") is MODELS
    assert models_of("standard", "2024-12")[0].id == "claude-3-5-sonnet-latest"
    assert any(model.can("vision") for model in models_of("standard", "2024-12"))
    assert all(models_of("standard", profile.models) for profile in PROFILES.values())


def test_the_six_are_the_family_of_claude_4_5() -> None:
    six = models_of("6", "2025")
    assert all("-4-5-" in model.id and model.provider == "anthropic" and not model.prefill for model in six)
    assert [model.thinking_budget for model in six] == [0, 1024, 0, 1024, 0, 1024]
    assert {model.limits for model in six if model.thinking_budget} == {(93000, 64000)}


@pytest.mark.parametrize("status", ["stable", "beta", "experimental", "deprecated", "waitlist"])
def test_the_large_one_has_models_of_every_status(status: str) -> None:
    assert any(model.status == status for model in models_of("57", "2025"))


@pytest.mark.parametrize(
    "capability", ["autocomplete", "smartApply", "fallback", "streamDisabled", "vision", "reasoning"]
)
def test_the_large_one_has_models_of_every_capability(capability: str) -> None:
    assert any(model.can(capability) for model in models_of("57", "2025"))


def test_the_large_one_has_models_that_clients_stumble_over() -> None:
    large = models_of("57", "2025")
    assert any(not model.chats for model in large)
    assert any(model.provider == "WorkersAI" for model in large)
    shared = [model.model_name for model in large]
    assert len(set(shared)) < len(shared)


def test_a_simulator_is_given_one() -> None:
    assert len(Simulator(catalogue="57").instance.models) == 57
    null = Simulator(catalogue="null").instance
    assert (null.models, null.listed) == ((), None)
    assert Simulator(catalogue="6", listing="unlisted").instance.listed == ()
