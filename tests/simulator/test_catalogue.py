"""The catalogues hold what the contract's examples hold (§6)."""

import pytest

from cody_oai_router.simulator.catalogue import (
    MODELS,
    OLD_MODELS,
    Model,
    default_ref,
    fast_ref,
    find,
    resolve,
    write_entry,
    write_supported,
)

GPT = "openai::2024-02-01::gpt-4o"


@pytest.mark.parametrize("models", [MODELS, OLD_MODELS])
def test_every_catalogue_has_each_kind_of_model(models: tuple[Model, ...]) -> None:
    assert {"anthropic", "openai", "google", "fireworks"} <= {model.provider for model in models}
    assert any(model.capabilities == "autocomplete" and not model.chats for model in models)
    assert any(model.status == "deprecated" for model in models)
    assert len({model.ref.split("::")[2] for model in models}) == len(models)


def test_thinking_pairs_share_their_model_name() -> None:
    names = [model.model_name for model in MODELS]
    assert names.count("claude-sonnet-4-5-20250929") == 2


def test_lookups() -> None:
    gpt = find(MODELS, GPT)
    assert gpt is not None
    assert gpt.ref == GPT
    assert find(MODELS, "gpt-4o") is None
    assert (default_ref(MODELS), default_ref(())) == (MODELS[0].ref, "")
    assert write_entry(gpt, 5) == {"id": GPT, "object": "model", "created": 5, "owned_by": "openai"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (GPT, GPT),
        ("openai::1999::gpt-4o", GPT),
        ("openai/gpt-4o", GPT),
        ("gpt-4o", GPT),
        ("google/gpt-4o", None),
        ("gpt-4", None),
        ("", None),
    ],
)
def test_names_on_codys_stream(name: str, found: str | None) -> None:
    model = resolve(MODELS, name)
    assert (model.ref if model else None) == found


def test_the_fast_model() -> None:
    assert fast_ref(MODELS).endswith("claude-haiku-4-5-latest")
    assert fast_ref([model for model in MODELS if model.provider == "openai"]) == GPT
    assert fast_ref(()) == ""


def test_capabilities() -> None:
    shown = {model.id for model in MODELS if model.shows_thoughts}
    assert shown == {"claude-sonnet-4-5-thinking-latest", "claude-opus-4-5-thinking-latest"}
    assert {model.id for model in MODELS if model.can("reasoning")} == {*shown, "o3", "o4-mini", "o3-mini-medium"}
    assert not any(model.can("reason") for model in MODELS)


def test_supported_models_say_two_limits() -> None:
    supported = write_supported(MODELS, "6.12.5040")
    claude = supported["models"][0]
    assert (supported["schemaVersion"], supported["revision"]) == ("1.0", "6.12.5040")
    assert supported["providers"][:2] == [
        {"id": "anthropic", "displayName": "Anthropic"},
        {"id": "openai", "displayName": "OpenAI"},
    ]
    assert claude == {
        "modelRef": "anthropic::2024-10-22::claude-sonnet-4-5-latest",
        "displayName": "Claude Sonnet 4.5",
        "modelName": "claude-sonnet-4-5-20250929",
        "capabilities": ["chat", "vision", "tools"],
        "category": "balanced",
        "status": "stable",
        "tier": "enterprise",
        "contextWindow": {"maxInputTokens": 45000, "maxOutputTokens": 4000},
        "clientSideConfig": None,
        "modelConfigAllTiers": {
            "free": None,
            "pro": None,
            "enterprise": {"contextWindow": {"maxInputTokens": 132000, "maxOutputTokens": 8192}},
        },
    }
    assert supported["models"][-1]["clientSideConfig"] == {"openAICompatible": {}}


def test_a_default_need_not_be_listed() -> None:
    defaults = write_supported(MODELS, "")["defaultModels"]
    assert find(MODELS, defaults["fallbackChat"]) is None
    assert all(find(MODELS, defaults[name]) for name in ("chat", "fastChat", "codeCompletion"))


@pytest.mark.parametrize("models", [None, ()])
def test_a_misconfigured_site_lists_null(models: tuple[Model, ...] | None) -> None:
    assert write_supported(models, "-") == {
        "schemaVersion": "1.0",
        "revision": "-",
        "providers": None,
        "models": None,
        "defaultModels": {"chat": "", "fastChat": "", "codeCompletion": ""},
    }
