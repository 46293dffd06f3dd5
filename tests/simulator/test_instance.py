"""Sites of one version differ as they were told to."""

import re

import pytest

from cody_oai_router.simulator import Simulator
from cody_oai_router.simulator.catalogue import MODELS, OLD_MODELS, find


@pytest.mark.parametrize(("profile", "models"), [("5.6", OLD_MODELS), ("6.1", MODELS), ("6.12", MODELS)])
def test_the_catalogue_follows_the_version(profile: str, models: object) -> None:
    assert Simulator(profile).instance.models is models


def test_what_is_listed_and_what_answers() -> None:
    null, unlisted = Simulator(listing="null").instance, Simulator(listing="unlisted").instance
    assert (null.models, null.listed) == ((), None)
    assert (unlisted.models, unlisted.listed) == (MODELS, ())


def test_identifiers_are_new_each_and_in_the_providers_style() -> None:
    instance = Simulator().instance
    claude, gpt = MODELS[0], find(MODELS, "openai::2024-02-01::gpt-4o")
    assert gpt is not None
    assert re.fullmatch(r"chat-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", instance.chat_id())
    assert instance.chat_id() != instance.chat_id()
    assert re.fullmatch(r"toolu_vrtx_[0-9a-f]{24}", instance.call_id(claude))
    assert re.fullmatch(r"call_[0-9a-f]{24}", instance.call_id(gpt))


@pytest.mark.parametrize(
    ("profile", "enabled", "on"), [("6.12", True, True), ("6.12", False, False), ("dotcom-dead", True, False)]
)
def test_sourcegraph_com_has_no_cody_any_more(profile: str, enabled: bool, on: bool) -> None:
    assert Simulator(profile, cody_enabled=enabled).instance.cody_enabled is on


def test_context_filters_are_an_exception() -> None:
    assert Simulator().instance.context_filters is False
    assert Simulator(context_filters=True).instance.context_filters is True
