"""The catalogues that a site may be given beside its standard one (contract §6.2): small, large, of another year.

The large one is that of a public demonstration site in the summer of 2025, as far as recordings show it; rows after the
line `[I]` fill it up to the 57 models that the contract counts there, each for a trait that the others lack.
"""

from collections.abc import Iterator, Mapping, Sequence

from cody_oai_router.simulator.catalogue import MODELS, OLD_MODELS, Model

_THINKING_BUDGET = 1024  # Claude's least (contract §2.2)


def models_of(name: str, age: str) -> Sequence[Model]:
    """Returns the models of a catalogue; the standard one depends on the age of the site's version."""
    return _STANDARD[age] if name == "standard" else _NAMED[name]


def _read(table: str) -> Iterator[Model]:
    """Reads `ref | display name | provider's name | capabilities | category | status | input | output`, a model a line."""
    for line in filter(None, map(str.strip, table.splitlines())):
        if line.startswith("[I]"):
            continue
        ref, display, model, capabilities, category, status, inputs, outputs = (
            cell.strip() for cell in line.split("|")
        )
        claude, thinks = ref.startswith("anthropic::"), "reasoning" in capabilities
        yield Model(
            ref,
            display,
            model or ref.rpartition("::")[2],
            capabilities,
            category,
            status,
            (int(inputs), int(outputs)),
            thinking_budget=_THINKING_BUDGET if claude and thinks else 0,
            prefill=not (claude and "-4-" in ref),
        )


# ruff: noqa: E501 -- a table reads better in rows than in columns
_SIX = """
anthropic::2024-10-22::claude-sonnet-4-5-latest | Claude Sonnet 4.5 | claude-sonnet-4-5-20250929 | chat vision tools | balanced | stable | 132000 | 8192
anthropic::2024-10-22::claude-sonnet-4-5-thinking-latest | Claude Sonnet 4.5 with Thinking | claude-sonnet-4-5-20250929 | chat vision tools reasoning | accuracy | stable | 93000 | 64000
anthropic::2024-10-22::claude-opus-4-5-latest | Claude Opus 4.5 | claude-opus-4-5-20251101 | chat vision tools | accuracy | stable | 132000 | 8192
anthropic::2024-10-22::claude-opus-4-5-thinking-latest | Claude Opus 4.5 with Thinking | claude-opus-4-5-20251101 | chat vision tools reasoning | accuracy | stable | 93000 | 64000
anthropic::2024-10-22::claude-haiku-4-5-latest | Claude Haiku 4.5 | claude-haiku-4-5-20251001 | autocomplete edit chat vision tools | speed | stable | 132000 | 8192
anthropic::2024-10-22::claude-haiku-4-5-thinking-latest | Claude Haiku 4.5 with Thinking | claude-haiku-4-5-20251001 | chat vision tools reasoning | speed | stable | 93000 | 64000
"""

_LATE_2024 = """
anthropic::2024-10-22::claude-3-5-sonnet-latest | Claude 3.5 Sonnet (New) | | edit chat vision | accuracy | stable | 45000 | 4000
anthropic::2023-06-01::claude-3-opus | Claude 3 Opus | claude-3-opus-20240229 | edit chat | other | stable | 45000 | 4000
anthropic::2024-10-22::claude-3-5-haiku-latest | Claude 3.5 Haiku | | edit chat | speed | stable | 45000 | 4000
anthropic::2023-06-01::claude-3.5-sonnet | Claude 3.5 Sonnet | claude-3-5-sonnet-latest | edit chat vision | accuracy | deprecated | 45000 | 4000
fireworks::v1::deepseek-coder-v2-lite-base | DeepSeek V2 Lite Base | accounts/sourcegraph/models/deepseek-coder-v2-lite-base | autocomplete | speed | stable | 2048 | 256
fireworks::v1::autoedits-default | AutoEdits Fireworks Default | cody-model-auto-edits-fireworks-default | autocomplete | speed | experimental | 12000 | 4000
google::v1::gemini-1.5-pro | Gemini 1.5 Pro | | edit chat | balanced | stable | 45000 | 4000
google::v1::gemini-1.5-flash | Gemini 1.5 Flash | | edit chat | speed | stable | 45000 | 4000
mistral::v1::mixtral-8x7b-instruct | Mixtral 8x7B | accounts/fireworks/models/mixtral-8x7b-instruct | chat | speed | stable | 7000 | 4000
openai::2024-02-01::gpt-4o | GPT-4o | | edit chat vision | accuracy | stable | 45000 | 4000
openai::2024-02-01::gpt-4o-mini | GPT-4o-mini | | edit chat vision | speed | stable | 45000 | 4000
openai::2024-02-01::cody-chat-preview-001 | OpenAI o1-preview | | chat | accuracy | waitlist | 45000 | 4000
openai::2024-02-01::gpt-4-turbo | GPT-4 Turbo | | edit chat | other | deprecated | 7000 | 4000
"""

_LARGE = """
anthropic::2024-10-22::claude-sonnet-4-latest | Claude Sonnet 4 | claude-sonnet-4-20250514 | chat vision tools | accuracy | stable | 132000 | 8192
anthropic::2024-10-22::claude-sonnet-4-thinking-latest | Claude Sonnet 4 with Thinking | claude-sonnet-4-20250514 | chat vision tools reasoning | accuracy | stable | 93000 | 64000
anthropic::2024-10-22::claude-3-7-sonnet-latest | Claude 3.7 Sonnet | | chat vision tools | accuracy | stable | 132000 | 8192
anthropic::2024-10-22::claude-3-7-sonnet-extended-thinking | Claude 3.7 Sonnet with Thinking | claude-3-7-sonnet-latest | chat vision tools reasoning | accuracy | stable | 93000 | 64000
anthropic::2024-10-22::claude-3-5-sonnet-latest | Claude 3.5 Sonnet | | edit chat vision tools | accuracy | stable | 132000 | 8192
anthropic::2023-06-01::claude-3-opus | Claude 3 Opus | claude-3-opus-20240229 | edit chat | other | deprecated | 45000 | 4000
anthropic::2024-10-22::claude-3-5-haiku-latest | Claude 3.5 Haiku | | autocomplete edit chat tools | speed | stable | 132000 | 8192
anthropic::2023-06-01::claude-3-haiku | Claude 3 Haiku | claude-3-haiku-20240307 | autocomplete edit chat | speed | deprecated | 7000 | 4000
anthropic::2023-06-01::claude-3.5-sonnet | Claude 3.5 Sonnet | claude-3-5-sonnet-latest | edit chat vision tools | accuracy | deprecated | 45000 | 4000
anthropic::2023-06-01::claude-3-5-sonnet-20240620 | Claude 3.5 Sonnet | | edit chat vision tools | accuracy | deprecated | 45000 | 4000
anthropic::2023-06-01::claude-3-sonnet | Claude 3 Sonnet | claude-3-sonnet-20240229 | edit chat | other | deprecated | 45000 | 4000
anthropic::2023-01-01::claude-2.1 | Claude 2.1 | | edit chat | other | deprecated | 7000 | 4000
anthropic::2023-01-01::claude-2.0 | Claude 2.0 | | edit chat | other | deprecated | 7000 | 4000
fireworks::v1::starcoder | StarCoder | | autocomplete | speed | stable | 2048 | 256
fireworks::v1::deepseek-coder-v2-lite-base | DeepSeek V2 Lite Base | accounts/sourcegraph/models/deepseek-coder-v2-lite-base | autocomplete | speed | stable | 2048 | 256
fireworks::v1::deepseek-v3 | DeepSeek V3 | accounts/fireworks/models/deepseek-v3 | chat | accuracy | deprecated | 12000 | 4000
fireworks::v1::smart-apply-qwen-default | Smart Apply Qwen Default | | smartApply | speed | stable | 12000 | 12000
fireworks::v1::smart-apply-qwen-32b-chat-v1 | Smart Apply Qwen 32B V1 | accounts/sourcegraph/models/apply-phase-combined-qwen-32b-v1 | smartApply | speed | experimental | 12000 | 12000
fireworks::v1::autoedits-default | AutoEdits Fireworks Default | cody-model-auto-edits-fireworks-default | autocomplete | speed | experimental | 12000 | 4000
fireworks::v1::autoedits-deepseek-lite-default | Autoedits DeepSeek Coder V2 | | autocomplete | speed | beta | 12000 | 4000
fireworks::v1::autoedits-long-suggestion-default | Autoedits Long Suggestion Default | | autocomplete | speed | beta | 12000 | 4000
fireworks::v1::autoedits-deepseek-unified-granular-diff | Autoedits DeepSeek Coder V2 | | autocomplete | speed | beta | 12000 | 4000
fireworks::v1::autoedits-ds-coder-long-suggestion-v2 | Autoedits DeepSeek Coder V2 | | autocomplete | speed | beta | 12000 | 4000
fireworks::v1::autoedits-long-suggestion-v4-warm-start-sft | Autoedits Long Suggestion V4 Warm Start SFT | | autocomplete | speed | beta | 12000 | 4000
google::v1::gemini-1.5-pro | Gemini 1.5 Pro | | edit chat | balanced | deprecated | 132000 | 8192
google::v1::gemini-1.5-pro-002 | Gemini 1.5 Pro | | edit chat | balanced | stable | 132000 | 8192
google::v1::gemini-2.0-flash-exp | Gemini 2.0 Flash Experimental | | edit chat vision tools | speed | deprecated | 45000 | 4000
google::v1::gemini-2.0-flash | Gemini 2.0 Flash | | edit chat vision tools fallback | speed | stable | 132000 | 8192
google::v1::gemini-2.5-flash-preview-04-17 | Gemini 2.5 Flash Preview | | edit chat vision tools reasoning | speed | experimental | 68000 | 65535
google::v1::gemini-2.0-flash-lite | Gemini 2.0 Flash-Lite | | edit chat vision | speed | stable | 132000 | 8192
google::v1::gemini-2.0-pro-exp-02-05 | Gemini 2.0 Pro | | edit chat vision tools | balanced | deprecated | 132000 | 8192
google::v1::gemini-2.5-pro-preview-03-25 | Gemini 2.5 Pro Preview | | edit chat vision tools reasoning | balanced | experimental | 68000 | 65535
google::v1::gemini-1.5-flash | Gemini 1.5 Flash | | edit chat | speed | deprecated | 132000 | 8192
google::v1::gemini-1.5-flash-002 | Gemini 1.5 Flash | | edit chat | speed | deprecated | 132000 | 8192
mistral::v1::mixtral-8x7b-instruct | Mixtral 8x7B | accounts/fireworks/models/mixtral-8x7b-instruct | chat | speed | deprecated | 7000 | 4000
mistral::v1::mixtral-8x22b-instruct | Mixtral 8x22B | accounts/fireworks/models/mixtral-8x22b-instruct | edit chat | other | deprecated | 7000 | 4000
mistral::v1::autoedits-mixtral-v2 | AutoEdits Mixtral V2 | | autocomplete | speed | experimental | 12000 | 4000
openai::2024-02-01::gpt-4o | GPT-4o | | edit chat vision tools | accuracy | stable | 77000 | 16000
openai::2024-02-01::gpt-4.1 | GPT-4.1 | | edit chat vision tools | accuracy | stable | 77000 | 16000
openai::2024-02-01::gpt-4o-mini | GPT-4o-mini | | edit chat vision tools | speed | stable | 77000 | 16000
openai::2024-02-01::gpt-4.1-mini | GPT-4.1-mini | | edit chat vision tools | speed | stable | 77000 | 16000
openai::2024-02-01::gpt-4.1-nano | GPT-4.1-nano | | edit chat autocomplete vision tools | speed | stable | 77000 | 16000
openai::2024-02-01::o3-mini-medium | o3-mini medium | o3-mini | chat reasoning | accuracy | deprecated | 68000 | 100000
openai::2024-02-01::o3 | o3 | | chat reasoning | accuracy | stable | 68000 | 100000
openai::2024-02-01::o4-mini | o4-mini | | chat reasoning | accuracy | stable | 68000 | 100000
openai::2024-02-01::o1 | o1 | o1-2024-12-17 | chat reasoning | accuracy | deprecated | 68000 | 100000
openai::2024-02-01::gpt-4-turbo | GPT-4 Turbo | | edit chat | other | deprecated | 7000 | 4000
openai::2024-02-01::gpt-3.5-turbo | GPT-3.5 Turbo | | edit chat | speed | deprecated | 7000 | 4000
[I]
anthropic::v2::claude-3.5-sonnet-anthropic-byok | Claude 3.5 Sonnet (own key) | claude-3-5-sonnet-20241022 | chat | balanced | stable | 45000 | 4000
WorkersAI::v1::llama-3.1-8b-instruct | Llama 3.1 8B | | chat | other | stable | 45000 | 4000
openai::2024-02-01::cody-chat-preview-001 | OpenAI o1-preview | | chat streamDisabled | accuracy | waitlist | 45000 | 4000
openai::2024-02-01::cody-chat-preview-002 | OpenAI o1-mini | | chat streamDisabled | accuracy | waitlist | 45000 | 4000
google::v1::gemini-2.5-pro | Gemini 2.5 Pro | | edit chat vision tools reasoning | balanced | stable | 68000 | 65535
google::v1::gemini-2.5-flash | Gemini 2.5 Flash | | edit chat vision tools reasoning | speed | stable | 68000 | 65535
anthropic::2024-10-22::claude-opus-4-latest | Claude Opus 4 | claude-opus-4-20250514 | chat vision tools | accuracy | beta | 132000 | 8192
anthropic::2024-10-22::claude-opus-4-thinking-latest | Claude Opus 4 with Thinking | claude-opus-4-20250514 | chat vision tools reasoning | accuracy | beta | 93000 | 64000
openai::2024-02-01::o4-mini-high | o4-mini high | o4-mini | chat reasoning streamDisabled | accuracy | experimental | 68000 | 100000
"""

_STANDARD: Mapping[str, Sequence[Model]] = {"2024": OLD_MODELS, "2024-12": (*_read(_LATE_2024),), "2025": MODELS}
_NAMED: Mapping[str, Sequence[Model]] = {"6": (*_read(_SIX),), "57": (*_read(_LARGE),), "null": ()}
