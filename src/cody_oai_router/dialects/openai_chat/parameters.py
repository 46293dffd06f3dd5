"""What becomes of every parameter of OpenAI's `CreateChatCompletionRequest`: the table that the documentation is written from."""

from typing import Final, Literal, NamedTuple

from cody_oai_router.notes import DROPPED_FIELDS

Treatment = Literal["carried", "carried on Cody's stream", "emulated", "dropped", "refused"]


class Parameter(NamedTuple):
    """One parameter: `how` it is treated, and the `notes` by which a request or an answer tells that something was changed for it."""

    treatment: Treatment
    how: str
    notes: tuple[str, ...] = ()


def _dropped(name: str) -> Parameter:
    """Gives the row of a parameter that is left out, with the reason that the client is told."""
    return Parameter("dropped", DROPPED_FIELDS[name], (f"{name}:dropped",))


PARAMETERS: Final[dict[str, Parameter]] = {
    "audio": _dropped("audio"),
    "frequency_penalty": _dropped("frequency_penalty"),
    "function_call": Parameter(
        "emulated",
        "As `tool_choice`.",
        (
            "function_call:dropped",
            "repair:asked-again",
            "stream:held",
            "tool_choice:instructed",
            "tools:narrowed",
            "tools:withheld",
        ),
    ),
    "functions": Parameter(
        "carried",
        "As `tools`; the answer has `function_call`, its first call only.",
        ("functions:as-tools", "tools:emulated", "tools:schema-filled"),
    ),
    "logit_bias": _dropped("logit_bias"),
    "logprobs": Parameter(
        "refused", "`true` is a 400, since no upstream gives any; `false` is left out.", ("logprobs:dropped",)
    ),
    "max_completion_tokens": Parameter(
        "carried", "As `max_tokens`; it wins over that.", ("max_completion_tokens:renamed", "max_tokens:raised")
    ),
    "max_tokens": Parameter(
        "carried",
        "Where it is absent, the model's own limit goes (for a model that reasons, only one above 16384, as thoughts may take that many "
        "tokens), else `DEFAULT_MAX_TOKENS` or `DEFAULT_MAX_TOKENS_REASONING`: the LLM API's own default was 16.",
        ("max_tokens:raised",),
    ),
    "messages": Parameter("carried", "See below."),
    "metadata": _dropped("metadata"),
    "modalities": Parameter("refused", '`["text"]` is left out; anything else is a 400.', ("modalities:dropped",)),
    "model": Parameter(
        "carried",
        "Resolved to a reference of the instance, which the header `x-router-model` tells: by `MODEL_ALIASES`, by its reference or name, "
        "by its family. Without it `DEFAULT_MODEL` answers.",
        ("model:default", "model:family", "model:reasoning", "model:resolved"),
    ),
    "moderation": _dropped("moderation"),
    "n": Parameter(
        "emulated",
        "Up to 8, each a request of its own, all at once. A choice that fails before the head of the answer fails the whole; later it "
        "breaks the stream. `usage` counts the prompt once, as OpenAI does; `billed_tokens` beside it counts everything.",
        ("choices:asked-apart",),
    ),
    "parallel_tool_calls": Parameter(
        "emulated",
        "`false` is asked for in words, and only the first call is passed on.",
        ("parallel_tool_calls:instructed", "tool-calls:first-kept"),
    ),
    "prediction": Parameter(
        "carried on Cody's stream", "Since 5.10; older versions and the LLM API ignore it.", ("prediction:dropped",)
    ),
    "presence_penalty": _dropped("presence_penalty"),
    "prompt_cache_key": _dropped("prompt_cache_key"),
    "prompt_cache_options": _dropped("prompt_cache_options"),
    "prompt_cache_retention": _dropped("prompt_cache_retention"),
    "reasoning_effort": Parameter(
        "emulated",
        "Anything above `minimal` chooses a thinking sibling of the model where the instance has one; how much it thinks is its own.",
        ("model:reasoning", "reasoning_effort:dropped"),
    ),
    "response_format": Parameter(
        "emulated",
        "Asked for in words; fences and prose around the JSON are left out. `json_object`, and `json_schema` without `strict`, stream as "
        "they come, and an end that is no JSON is an error. `json_schema` with `strict` is held until it is checked against the schema, "
        "asked for once more where it does not fit, and after that a 422. A schema that cannot be checked is a 400.",
        ("repair:asked-again", "response_format:instructed", "response_format:mended", "response_format:unwrapped"),
    ),
    "safety_identifier": _dropped("safety_identifier"),
    "seed": _dropped("seed"),
    "service_tier": _dropped("service_tier"),
    "stop": Parameter(
        "carried",
        "Up to 4. Where upstream does not stop, the answer is cut at the sequence all the same, and upstream is cancelled.",
        ("stop:cut-here", "stop:empty-dropped", "stop:listed", "usage:estimated"),
    ),
    "store": _dropped("store"),
    "stream": Parameter(
        "carried",
        "Where upstream cannot stream, its whole answer is played as one.",
        ("stream:folded", "stream:played"),
    ),
    "stream_options": Parameter(
        "emulated",
        "`include_usage` gives upstream's numbers where there are any, else estimated ones that say so; the rest is left out.",
        ("stream_options:dropped", "usage:estimated"),
    ),
    "temperature": Parameter(
        "carried",
        "From 0 to 2, outside is a 400. Claude gets 1 at most; models that take none, or not both, get what they take.",
        ("temperature:clamped", "temperature:dropped"),
    ),
    "tool_choice": Parameter(
        "emulated",
        "`none` withholds the tools, a named or allowed tool is the only one sent. That one must be called is asked for in words: the "
        "answer is held until it has a call, asked for once more where it has none, and after that a 422.",
        (
            "repair:asked-again",
            "tool_choice:dropped",
            "stream:held",
            "tool_choice:instructed",
            "tools:narrowed",
            "tools:withheld",
        ),
    ),
    "tools": Parameter(
        "carried",
        "As they are where endpoint, version and model take them; elsewhere they are described in the prompt, and calls are found in the "
        "text of the answer. Only tools of type `function`; others are a 400.",
        ("tools:emulated", "tools:schema-filled"),
    ),
    "top_logprobs": _dropped("top_logprobs"),
    "top_p": Parameter(
        "carried", "From 0 to 1, outside is a 400; left out for models that do not take it.", ("top_p:dropped",)
    ),
    "user": _dropped("user"),
    "verbosity": _dropped("verbosity"),
    "web_search_options": _dropped("web_search_options"),
}
