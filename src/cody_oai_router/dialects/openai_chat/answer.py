"""Writes answers as OpenAI's chat API does: streamed chunks, whole completions, model lists, errors.

Strategy: what every chunk of a stream has in common is encoded once, so that a piece of text costs one JSON string and two
concatenations. Shapes: `CreateChatCompletionStreamResponse`, `CreateChatCompletionResponse`, `ListModelsResponse` and
`ErrorResponse` of OpenAI's own description.
"""

from collections.abc import Sequence
from typing import Any, Final, assert_never

import msgspec

from cody_oai_router.conversation import ListedModel, Prompt, Reply, Stamp, ToolCall
from cody_oai_router.events import (
    REWRITTEN,
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Rewritten,
    Stop,
    StopReason,
    Text,
    Usage,
)
from cody_oai_router.faults import Fault, Kind
from cody_oai_router.sse import write_comment, write_data

DONE: Final = write_data(b"[DONE]")

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines

# OpenAI's words for its errors: (type, code). The official SDKs choose the exception by the status.
_ERRORS: Final[dict[Kind, tuple[str, str | None]]] = {
    "bad_request": ("invalid_request_error", None),
    "unauthenticated": ("invalid_request_error", "invalid_api_key"),
    "forbidden": ("request_forbidden", "forbidden"),
    "not_found": ("invalid_request_error", "unknown_url"),
    "model_not_found": ("invalid_request_error", "model_not_found"),
    "method_not_allowed": ("invalid_request_error", "method_not_supported"),
    "request_timeout": ("invalid_request_error", "request_timeout"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "unprocessable": ("invalid_request_error", "unprocessable"),
    "rate_limited": ("requests", "rate_limit_exceeded"),
    "internal": ("server_error", "internal_error"),
    "bad_gateway": ("server_error", "bad_gateway"),
    "unavailable": ("server_error", "unavailable"),
    "timed_out": ("server_error", "timeout"),
}


# What stands around the text of a chunk that holds nothing else.
_TEXT: Final = b'{"content":'
_AFTER: Final = b'},"logprobs":null,"finish_reason":null}]}\n\n'
_AFTER_WITH_USAGE: Final = b'},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'


class Writer:
    """Writes the events of one choice as chunks; keeps whether the first chunk is out, and what the end must say."""

    __slots__ = ("_after", "_before", "_begun", "_index", "_legacy", "_stamp", "_wants_usage", "notes", "usage")

    def __init__(self, stamp: Stamp, prompt: Prompt, index: int = 0) -> None:
        self._stamp = stamp
        opening = _opening(stamp, "chat.completion.chunk")
        self._before = b"data: " + opening + b',"choices":[{"index":%d,"delta":' % index + _TEXT
        self._after = _AFTER_WITH_USAGE if prompt.include_usage else _AFTER
        self._wants_usage = prompt.include_usage
        self._legacy = prompt.legacy_functions
        self._begun = False
        self.usage: Usage | None = None
        self._index = index
        self.notes: list[str] = []

    @property
    def _head(self) -> bytes:
        """What a chunk begins with."""
        return self._before.removesuffix(_TEXT)

    @property
    def _tail(self) -> bytes:
        """What a chunk ends with."""
        return self._after[1:]

    def begin(self) -> bytes:
        """Writes the chunk that names the role, as OpenAI's first chunk does; nothing where it is out."""
        if self._begun:
            return b""
        self._begun = True
        return self._head + b'{"role":"assistant","content":"","refusal":null}' + self._tail

    def write(self, events: Sequence[Event]) -> bytes:
        """Writes a batch of events; gives bytes for one write to the client, empty where nothing is to be said yet."""
        texts = [event.text for event in events if type(event) is Text]
        if texts and self._begun and len(texts) == len(events):
            # A chunk for each text: all are encoded in one call, and what stands between them is put in by another.
            between = self._after + self._before
            return self._before + _encode_lines(texts)[:-1].replace(b"\n", between) + self._after
        return b"".join([self._event(event) for event in events])

    def finish(self, usage: Usage | None, notes: Sequence[str]) -> bytes:
        """Writes the end of a complete answer: usage where it was asked for, notes that came late, `[DONE]`."""
        told = b""
        if self._wants_usage and usage is not None:
            body = b',"choices":[],"usage":' + _encode(_usage(usage)) + b"}"
            told = write_data(_opening(self._stamp, "chat.completion.chunk") + body)
        late = write_comment("x-router-adapted: " + ", ".join(dict.fromkeys(notes))) if notes else b""
        return told + late + DONE

    def _event(self, event: Event) -> bytes:
        match event:
            case Text():
                return self._delta(_TEXT + _encode(event.text) + b"}")
            case Rewritten():
                self.notes.append(REWRITTEN)
                return b""
            case Reasoning():
                return self._delta(b'{"reasoning_content":' + _encode(event.text) + b"}")
            case CallStart():
                return self._call(
                    event.index, {"name": event.name, "arguments": ""}, event.id or self._call_id(event.index)
                )
            case CallArguments():
                return self._call(event.index, {"arguments": event.text}, None)
            case Stop():
                return self._stop(event.reason)
            case Usage():
                self.usage = event
                return b""
            case Adapted():
                self.notes.append(event.note)
                return b""
            case Failed():
                return write_data(write_fault(event.fault))
            case _:
                assert_never(event)

    def _delta(self, delta: bytes) -> bytes:
        if self._begun:
            return self._head + delta + self._tail
        return self.begin() + self._head + delta + self._tail

    def _call(self, index: int, function: dict[str, str], call_id: str | None) -> bytes:
        if self._legacy:
            return self._delta(_encode({"function_call": function})) if index == 0 else b""
        call: dict[str, Any] = {"index": index}
        if call_id is not None:
            call |= {"id": call_id, "type": "function"}
        return self._delta(_encode({"tool_calls": [call | {"function": function}]}))

    def _call_id(self, index: int) -> str:
        return _spare_id(self._stamp, self._index, index)

    def _stop(self, reason: StopReason) -> bytes:
        word = _stop_word(reason, legacy=self._legacy).encode()
        tail = self._tail.replace(b'"finish_reason":null', b'"finish_reason":"' + word + b'"')
        return self.begin() + self._head + b"{}" + tail


def write_replies(replies: Sequence[Reply], usage: Usage | None, stamp: Stamp, prompt: Prompt) -> bytes:
    """Writes a whole completion: one choice for each reply."""
    choices = b",".join([_encode(_choice(reply, index, stamp, prompt)) for index, reply in enumerate(replies)])
    cost = b"" if usage is None else b',"usage":' + _encode(_usage(usage))
    return _opening(stamp, "chat.completion") + b',"choices":[' + choices + b"]" + cost + b"}"


def _choice(reply: Reply, index: int, stamp: Stamp, prompt: Prompt) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text if reply.text or not reply.calls else None}
    message["refusal"] = None
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.calls:
        calls = [_written(call, _spare_id(stamp, index, number)) for number, call in enumerate(reply.calls)]
        message |= {"function_call": calls[0]["function"]} if prompt.legacy_functions else {"tool_calls": calls}
    word = _stop_word(reply.stop, legacy=prompt.legacy_functions)
    return {"index": index, "message": message, "logprobs": None, "finish_reason": word}


def _spare_id(stamp: Stamp, choice: int, call: int) -> str:
    """Gives an id for a call that upstream gave none."""
    return f"call_{stamp.id}_{choice}_{call}" if choice else f"call_{stamp.id}_{call}"


def write_models(models: Sequence[ListedModel]) -> bytes:
    """Writes the answer to `GET /v1/models`."""
    return _encode({"object": "list", "data": [_model(model) for model in models]})


def write_model(model: ListedModel) -> bytes:
    """Writes the answer to `GET /v1/models/{id}`."""
    return _encode(_model(model))


def write_fault(fault: Fault) -> bytes:
    """Writes OpenAI's error object; the same object is the data of an error event in mid-stream."""
    kind, code = _ERRORS[fault.kind]
    error = {"message": fault.message, "type": kind, "param": fault.param, "code": fault.code or code}
    return _encode({"error": error})


def _opening(stamp: Stamp, kind: str) -> bytes:
    fields = {"id": f"chatcmpl-{stamp.id}", "object": kind, "created": stamp.created, "model": stamp.model}
    return _encode(fields)[:-1]


def _model(model: ListedModel) -> dict[str, Any]:
    """Gives OpenAI's model object; limits and abilities are extra fields, by the names that other servers use for them."""
    written: dict[str, Any] = {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}
    if model.max_input is not None:
        written["context_window"] = model.max_input
    if model.max_output is not None:
        written["max_output_tokens"] = model.max_output
    if model.abilities:
        written["capabilities"] = list(model.abilities)
    return written


def _written(call: ToolCall, spare_id: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id or spare_id, "type": "function", "function": function}


def _stop_word(reason: StopReason, *, legacy: bool) -> str:
    return "function_call" if legacy and reason == "tool_calls" else reason


def _usage(usage: Usage) -> dict[str, Any]:
    """Gives OpenAI's usage object; Sourcegraph's `credits` and cache writes stay as extra fields."""
    written: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens or usage.prompt_tokens + usage.completion_tokens,
    }
    if usage.cached_tokens is not None:
        written["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
        if usage.cache_creation_tokens is not None:
            written["prompt_tokens_details"]["cache_creation_input_tokens"] = usage.cache_creation_tokens
    if usage.reasoning_tokens is not None:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.credits is not None:
        written["credits"] = usage.credits
    if usage.billed_tokens is not None:
        written["billed_tokens"] = usage.billed_tokens
    if usage.estimated:
        written["estimated"] = True
    return written
