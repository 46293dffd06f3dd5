"""The fixed vocabulary in which every change of a request or an answer is reported.

A note is `what:action`. Notes known before our head are in the header `x-router-adapted`, later ones in a last comment
of the stream. They never hold a client's own words, so a header can carry them whatever the client sent.
"""

from typing import Final

UNKNOWN_FIELD: Final = "unknown-field:dropped"

# Fields of OpenAI's request that the LLM API refuses (400) or ignores (contract §2.2), each with what is lost.
DROPPED_FIELDS: Final[dict[str, str]] = {
    "audio": "No upstream gives audio.",
    "cache_control": "The LLM API ignores cache hints.",
    "frequency_penalty": "The LLM API ignores it.",
    "function_call": "The LLM API ignores it: the model decides whether it calls.",
    "logit_bias": "The LLM API ignores it.",
    "logprobs": "The LLM API gives no log probabilities (`true` is refused with 400).",
    "max_tool_calls": "The LLM API has no such limit.",
    "metadata": "Nothing is stored, so there is nothing to label.",
    "modalities": 'Text is all there is (anything but `["text"]` is refused with 400).',
    "moderation": "No upstream moderates by request.",
    "parallel_tool_calls": "The LLM API ignores it: several calls may come.",
    "prediction": "The LLM API ignores it.",
    "presence_penalty": "The LLM API ignores it.",
    "prompt_cache_key": "The LLM API ignores cache hints.",
    "prompt_cache_options": "The LLM API ignores cache hints.",
    "prompt_cache_retention": "The LLM API ignores cache hints.",
    "reasoning": "The LLM API ignores it; a thinking sibling of the model is chosen where there is one.",
    "reasoning_content": "What a model thought in an earlier turn is not sent back.",
    "reasoning_effort": "The LLM API ignores it; a thinking sibling of the model is chosen where there is one.",
    "response_format": "The LLM API refuses it.",
    "safety_identifier": "The LLM API knows its user by the token.",
    "seed": "The LLM API refuses it.",
    "service_tier": "The LLM API refuses it.",
    "store": "Nothing is stored.",
    "stream_options": "Answered here: `include_usage` is kept, the rest has no meaning upstream.",
    "system": "Not a field of OpenAI's chat API; the LLM API is not known to read it.",
    "thinking": "The LLM API ignores it; a thinking sibling of the model is chosen where there is one.",
    "tool_choice": "The LLM API ignores it: the model decides whether it calls.",
    "top_logprobs": "The LLM API gives no log probabilities.",
    "user": "The LLM API refuses it.",
    "verbosity": "The LLM API ignores it.",
    "web_search_options": "The LLM API does not search the web.",
}

NOTES: Final[dict[str, str]] = {
    "system:wrapped": "A system message went as a user message in `<SYSTEM_PROMPT>` tags.",
    "developer:wrapped": "A developer message went as a user message in `<SYSTEM_PROMPT>` tags.",
    "tool:wrapped": "A tool's result went as a user message in `<TOOL_RESULT>` tags.",
    "function:wrapped": "A function's result went as a user message in `<TOOL_RESULT>` tags.",
    "content:filled": "A message without content got a short placeholder, since the instance answers 500 to an empty one.",
    "messages:merged": "Neighbours with the same role were joined by a blank line, since the instance refuses them.",
    "messages:user-turn-added": "A short user message was added at the end, since the model must not go on with its own.",
    "message-fields:dropped": "Fields of a message that no upstream reads were left out.",
    "nulls:dropped": "Fields set to null were left out: they mean the same as absent ones, and the instance answers 500.",
    "refusal:as-text": "A refusal in the history went as text.",
    "arguments:filled": "A tool call without arguments in the history got `{}`.",
    "max_completion_tokens:renamed": "Sent as `max_tokens`, the only name that the LLM API knows.",
    "max_tokens:raised": "Raised above the model's thinking budget, as the instance demands.",
    "stop:listed": "One stop sequence went as a list of one.",
    "stop:empty-dropped": "Empty stop sequences were left out: they stop nothing, and providers refuse them.",
    "functions:as-tools": "Legacy `functions` (and `function_call` in the history) went as tools.",
    "tools:withheld": 'Tools were not sent: `tool_choice` is "none", which the LLM API would ignore.',
    "tools:narrowed": "Only the tools that `tool_choice` names were sent.",
    "tools:schema-filled": "A tool's parameters got the `type` that the instance demands of a schema.",
    "model:resolved": "The model's name was resolved to the reference in `x-router-model`.",
    "model:family": "No model has that name: the nearest one of its family answered.",
    "model:default": "No model has that name: `DEFAULT_MODEL` answered.",
    "model:reasoning": "A thinking sibling of the model was chosen, since the request asks for reasoning.",
    "endpoint:cody": "Cody's stream was asked, since it carries the request better or the LLM API is closed (`SOURCEGRAPH_API`).",
    "developer:as-system": "A developer message went as the system message, the only one that Cody's stream knows.",
    "system:merged": "Several instructions at the beginning were joined by blank lines: Cody's stream takes one system message.",
    "tool-results:filled": "A tool call without a result in the history got `(no result)`, since it would be dropped otherwise.",
    "tool-images:beside": "Images in a tool's result went beside it: a result is text only.",
    "tools:emulated": "The tools were described in the prompt and the calls found in the text of the answer, since nothing here carries them.",
    "tool-calls:as-text": "Tool calls in the history went as text.",
    "text:rewritten": "The instance changed text that it had sent before; what was passed on could not be taken back.",
    "stream:folded": "The answer was asked for as a stream and folded into one.",
    "stream:played": "The answer was asked for whole and is played as a stream.",
    "tool-calls:split": "Several calls that the instance had run together were taken apart.",
    UNKNOWN_FIELD: "Fields that OpenAI's chat API does not have were left out.",
    **{f"{field}:dropped": reason for field, reason in DROPPED_FIELDS.items()},
}
