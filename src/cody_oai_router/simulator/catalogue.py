"""The models of the simulated instances (contract §6.2), and how the instance lists them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

CREATED = 1747699200  # on 6.12; older versions say 0 (contract §6.1)


class Model(NamedTuple):
    """One model: what the listings say of it, and (last two) how its provider behaves."""

    ref: str
    display_name: str
    model_name: str
    capabilities: str
    category: str = "balanced"
    status: str = "stable"
    limits: tuple[int, int] = (45000, 4000)
    """Input and output tokens of the enterprise tier; the listing's top level says 45000/4000 for all (fact 13)."""
    thinking_budget: int = 0
    """Tokens that `max_tokens` must exceed (contract §2.2); 0 for models that do not think."""
    prefill: bool = True
    """Whether the last message may be the assistant's (trap 10)."""

    @property
    def provider(self) -> str:
        """The first part of the ref."""
        return self.ref.partition("::")[0]

    @property
    def id(self) -> str:
        """The last part of the ref."""
        return self.ref.rpartition("::")[2]

    def can(self, capability: str) -> bool:
        """Tells whether the listing names this capability."""
        return capability in self.capabilities.split()

    @property
    def chats(self) -> bool:
        """Whether the model answers chat requests: the listing also holds autocomplete-only ones (contract §6.1)."""
        return self.can("chat")

    @property
    def shows_thoughts(self) -> bool:
        """Whether it shows what it thinks: seen of Claude only (contract §4.4); [I] others think in silence."""
        return self.thinking_budget > 0


OLD_MODELS: Sequence[Model] = (
    Model("anthropic::2023-06-01::claude-3.5-sonnet", "Claude 3.5 Sonnet", "claude-3-5-sonnet-20240620", "edit chat"),
    Model("anthropic::2023-06-01::claude-3-haiku", "Claude 3 Haiku", "claude-3-haiku-20240307", "edit chat", "speed"),
    Model("openai::2024-02-01::gpt-4o", "GPT-4o", "gpt-4o", "edit chat", "accuracy"),
    Model("openai::2024-02-01::gpt-4-turbo", "GPT-4 Turbo", "gpt-4-turbo", "edit chat", status="deprecated"),
    Model("google::v1::gemini-1.5-pro-002", "Gemini 1.5 Pro", "gemini-1.5-pro-002", "edit chat"),
    Model("fireworks::v1::starcoder", "StarCoder", "starcoder", "autocomplete", "speed"),
)

MODELS: Sequence[Model] = (
    Model(
        "anthropic::2024-10-22::claude-sonnet-4-5-latest",
        "Claude Sonnet 4.5",
        "claude-sonnet-4-5-20250929",
        "chat vision tools",
        limits=(132000, 8192),
        prefill=False,
    ),
    Model(
        "anthropic::2024-10-22::claude-sonnet-4-5-thinking-latest",
        "Claude Sonnet 4.5 with Thinking",
        "claude-sonnet-4-5-20250929",
        "chat vision tools reasoning",
        "accuracy",
        limits=(93000, 64000),
        thinking_budget=1024,
        prefill=False,
    ),
    Model(
        "anthropic::2024-10-22::claude-opus-4-5-thinking-latest",
        "Claude Opus 4.5 with Thinking",
        "claude-opus-4-5-20251101",
        "chat vision tools reasoning",
        "accuracy",
        limits=(93000, 64000),
        thinking_budget=16000,
        prefill=False,
    ),
    Model(
        "anthropic::2024-10-22::claude-haiku-4-5-latest",
        "Claude Haiku 4.5",
        "claude-haiku-4-5-20251001",
        "autocomplete edit chat vision tools",
        "speed",
        limits=(132000, 8192),
    ),
    Model(
        "anthropic::2023-06-01::claude-3.5-sonnet",
        "Claude 3.5 Sonnet",
        "claude-3-5-sonnet-latest",
        "edit chat vision tools",
        status="deprecated",
    ),
    Model(
        "openai::2024-02-01::gpt-4o", "GPT-4o", "gpt-4o", "edit chat vision tools", "accuracy", limits=(77000, 16000)
    ),
    Model("openai::2024-02-01::o3", "o3", "o3", "chat reasoning", "accuracy", limits=(68000, 100000)),
    Model("openai::2024-02-01::o4-mini", "o4-mini", "o4-mini", "chat reasoning", limits=(68000, 100000)),
    Model(
        "openai::2024-02-01::o3-mini-medium",
        "o3-mini-medium",
        "o3-mini",
        "chat reasoning",
        status="deprecated",
        limits=(68000, 100000),
    ),
    Model("google::v1::gemini-2.5-pro", "Gemini 2.5 Pro", "gemini-2.5-pro", "chat vision tools", limits=(68000, 65535)),
    Model("google::v1::gemini-2.5-flash", "Gemini 2.5 Flash", "gemini-2.5-flash", "edit chat vision", "speed"),
    Model(
        "fireworks::v1::deepseek-coder-v2-lite-base",
        "DeepSeek V2 Lite Base",
        "accounts/sourcegraph/models/deepseek-coder-v2-lite-base",
        "autocomplete",
        "speed",
    ),
    Model("WorkersAI::v1::llama-3.1-8b-instruct", "Llama 3.1 8B", "llama-3.1-8b-instruct", "chat", "other"),
)

_FALLBACK = "google::v1::gemini-2.0-flash"  # not in the site's own list, as on a real 6.12 (contract §6.2)
_PROVIDERS = {"anthropic": "Anthropic", "openai": "OpenAI", "google": "Google", "fireworks": "Fireworks"}


def find(models: Sequence[Model], ref: str) -> Model | None:
    """Returns the model with exactly this ref."""
    return next((model for model in models if model.ref == ref), None)


def resolve(models: Sequence[Model], name: str) -> Model | None:
    """Returns the model as Cody's stream finds it: `provider/model`, a bare id, or a ref whatever its API version."""
    provider, _, identifier = name.replace("::", "/").rpartition("/")
    wanted = provider.partition("/")[0]
    named = (model for model in models if model.id == identifier and wanted in {"", model.provider})
    return find(models, name) or next(named, None)


def default_ref(models: Sequence[Model]) -> str:
    """Returns the site's default chat model, `""` on a site without models."""
    return models[0].ref if models else ""


def fast_ref(models: Sequence[Model]) -> str:
    """Returns the site's fast chat model: its newest Haiku, else the default."""
    return next((model.ref for model in models if "haiku" in model.ref), default_ref(models))


def write_entry(model: Model, created: int) -> dict[str, Any]:
    """Returns a model as `/.api/llm/models` lists it (contract §6.1)."""
    return {"id": model.ref, "object": "model", "created": created, "owned_by": model.provider}


def write_supported(models: Sequence[Model] | None, revision: str) -> dict[str, Any]:
    """Returns `supported-models.json` (contract §6.2); no models at all make every list null."""
    providers = dict.fromkeys(model.provider for model in models or ())
    return {
        "schemaVersion": "1.0",
        "revision": revision,
        "providers": [{"id": name, "displayName": _PROVIDERS.get(name, name)} for name in providers] or None,
        "models": [_write_model(model) for model in models or ()] or None,
        "defaultModels": _write_defaults(models) if models else {"chat": "", "fastChat": "", "codeCompletion": ""},
    }


def _write_defaults(models: Sequence[Model]) -> Mapping[str, str]:
    fast = fast_ref(models)
    return {"chat": default_ref(models), "fastChat": fast, "codeCompletion": fast, "fallbackChat": _FALLBACK}


def _write_model(model: Model) -> dict[str, Any]:
    inputs, outputs = model.limits
    return {
        "modelRef": model.ref,
        "displayName": model.display_name,
        "modelName": model.model_name,
        "capabilities": model.capabilities.split(),
        "category": model.category,
        "status": model.status,
        "tier": "enterprise",
        "contextWindow": {"maxInputTokens": 45000, "maxOutputTokens": 4000},
        "clientSideConfig": {"openAICompatible": {}} if model.provider == "WorkersAI" else None,
        "modelConfigAllTiers": {
            "free": None,
            "pro": None,
            "enterprise": {"contextWindow": {"maxInputTokens": inputs, "maxOutputTokens": outputs}},
        },
    }
