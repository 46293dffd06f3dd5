"""Reads a request to `/.api/llm/chat/completions` the way the instance does: one check after the other (contract §2.2).

The order is the source's: JSON, model, unsupported fields, roles; then what fails behind the handler, at the provider.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import UnionType
from typing import Any

from cody_oai_router.simulator import catalogue
from cody_oai_router.simulator.catalogue import Model
from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.model import Message, Tool
from cody_oai_router.simulator.refusals import REFUSALS, Refusal

DEFAULT_MAX_TOKENS = 16  # the only default that a public source shows (fact 4)


@dataclass(frozen=True, slots=True)
class Chat:
    """An accepted request, or as much of one as is understood."""

    body: Mapping[str, Any]
    model: Model
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether the answer is to be a stream."""
        return self.body.get("stream") is True

    @property
    def max_tokens(self) -> int:
        """The longest answer; `max_completion_tokens` is an unknown field and ignored (trap 3), 0 means unset."""
        return self.body.get("max_tokens") or DEFAULT_MAX_TOKENS

    @property
    def stop(self) -> Sequence[str]:
        """The stop sequences."""
        stop = self.body.get("stop", ())
        return [stop] if isinstance(stop, str) else stop


def read_chat(body: Any, instance: Instance) -> Chat | Refusal:
    """Returns the request, or the first reason for which this instance refuses it."""
    if not isinstance(body, dict):
        return REFUSALS["decode"].about("invalid character looking for beginning of value")
    for check in _HANDLER_CHECKS:
        if refusal := check(body, instance):
            return refusal
    model = catalogue.find(instance.models, body["model"])
    if model is None or not model.chats:
        return REFUSALS["unknown model"].about(body["model"], catalogue.default_ref(instance.models))
    chat = Chat(body, model, tuple(_read_messages(body)))
    if instance.profile.streams:
        chat = replace(chat, tools=tuple(_read_tools(body)))
    return next((refusal for check in _PROVIDER_CHECKS if (refusal := check(chat, instance))), chat)


_Check = Callable[[Mapping[str, Any], Instance], Refusal | None]
_ProviderCheck = Callable[[Chat, Instance], Refusal | None]

_PART = "[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?"  # contract §2.4
_KNOWN_ROLES = {"user", "assistant", "system"}
_TYPES: Mapping[str, type | UnionType] = {
    "model": str,
    "messages": list,
    "tools": list,
    "max_tokens": int,
    "stream": bool,
    "temperature": int | float,
    "n": int,
}


def _check_types(body: Mapping[str, Any], _instance: Instance) -> Refusal | None:
    """Go decodes into types; what has another one fails before anything else is looked at."""
    wrong = next((name for name, kind in _TYPES.items() if not isinstance(body.get(name), kind | None)), None)
    lists = () if wrong else (*(body.get("messages") or ()), *(body.get("tools") or ()))
    functions = (item.get("function") or {} for item in lists if isinstance(item, dict))
    if wrong is None and all(isinstance(item, dict) for item in (*lists, *functions)):
        return None
    field = f"ChatCompletionRequest.{wrong or 'messages'}"
    return REFUSALS["decode"].about(f"json: cannot unmarshal into Go struct field {field}")


def _check_stop(body: Mapping[str, Any], _instance: Instance) -> Refusal | None:
    """`stop: null` fails to decode (trap 13)."""
    stop = body.get("stop", [])
    words = stop if isinstance(stop, list) else [stop]
    return None if all(isinstance(word, str) for word in words) else REFUSALS["decode"].about("invalid type for stop")


def _check_contents(body: Mapping[str, Any], instance: Instance) -> Refusal | None:
    """Null content fails to decode before 5.9 (contract §2.3)."""
    for message in _messages(body):
        content = message.get("content")
        parts = content if isinstance(content, list) else ()
        if isinstance(content, str | list) and all(isinstance(part, dict) for part in parts):
            continue
        if content is not None or not instance.profile.null_content:
            return REFUSALS["decode"].about("invalid type for ChatCompletionRequestContent: expected string or array")
    return None


def _messages(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return body.get("messages") or ()


def _check_role_names(body: Mapping[str, Any], instance: Instance) -> Refusal | None:
    """Roles are an enumeration since 5.8: `tool` and `developer` are not in it (trap 5)."""
    roles = [str(message.get("role")) for message in _messages(body)]
    unknown = next((role for role in roles if role not in _KNOWN_ROLES), None)
    return REFUSALS["role"].about(unknown) if unknown is not None and not instance.profile.old else None


def _check_model(body: Mapping[str, Any], instance: Instance) -> Refusal | None:
    ref = body.get("model") or ""
    if instance.profile.old:
        return None if ref.count("::") == 2 else REFUSALS["old model"].about(ref)  # noqa: PLR2004 -- three parts
    reason = _invalid(ref)
    return REFUSALS["new model"].about(ref, reason) if reason else None


def _invalid(ref: str) -> str | None:
    """Returns what is wrong with a ref: capitals in a provider's name among other things (trap 54)."""
    if not ref:
        return "modelRef is blank"
    parts = ref.split("::")
    if len(parts) != 3:  # noqa: PLR2004 -- provider, API version, model
        return "modelRef syntax error"
    named = zip(("invalid ProviderID", "invalid APIVersionID", "invalid ModelID"), parts, strict=True)
    return next((reason for reason, part in named if not re.fullmatch(_PART, part)), None)


def _check_stream(body: Mapping[str, Any], instance: Instance) -> Refusal | None:
    return REFUSALS["field"].about("stream") if body.get("stream") and not instance.profile.streams else None


def _check_fields(body: Mapping[str, Any], instance: Instance) -> Refusal | None:
    """Fields that the instance refuses rather than ignores (trap 12)."""
    for name in instance.profile.refused_fields:
        if name == "n" and body.get("n") not in {None, 1}:
            return REFUSALS["n"]
        if name != "n" and body.get(name) is not None:
            return REFUSALS["field"].about(name)
    return None


def _check_system(body: Mapping[str, Any], _instance: Instance) -> Refusal | None:
    return REFUSALS["system"] if any(message.get("role") == "system" for message in _messages(body)) else None


_HANDLER_CHECKS: Sequence[_Check] = (
    _check_types,
    _check_stop,
    _check_contents,
    _check_role_names,
    _check_model,
    _check_stream,
    _check_fields,
    _check_system,
)


def _read_messages(body: Mapping[str, Any]) -> Iterator[Message]:
    for message in _messages(body):
        yield Message(str(message.get("role")), _text(message.get("content")), bool(message.get("tool_calls")))


def _text(content: Any) -> str:
    """Joins text parts without a separator; other parts are dropped without a word (contract §2.3, trap 25)."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return content or ""


def _read_tools(body: Mapping[str, Any]) -> Iterator[Tool]:
    for tool in body.get("tools") or ():
        function = tool.get("function") or {}
        yield Tool(str(function.get("name", "")), function.get("parameters") or {"type": "object"})


def _check_speakers(chat: Chat, _instance: Instance) -> Refusal | None:
    """The source of 2024 passes unknown roles through; its inner endpoint refuses them (contract §2.3, §4.1)."""
    stranger = next((message.role for message in chat.messages if message.role not in _KNOWN_ROLES), None)
    return REFUSALS["speaker"].about(stranger) if stranger is not None else None


def _check_blocks(chat: Chat, _instance: Instance) -> Refusal | None:
    """Anthropic's own `tool_result` blocks end in a 500 (contract §2.3)."""
    contents = (message.get("content") for message in _messages(chat.body))
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return REFUSALS["blocks"] if any(part.get("type") == "tool_result" for part in parts) else None


def _check_empty(chat: Chat, _instance: Instance) -> Refusal | None:
    """Anthropic refuses a message without text, also beside tool calls (trap 6)."""
    empty = any(not message.text for message in chat.messages)
    return REFUSALS["empty"] if empty and chat.model.provider == "anthropic" else None


def _check_alternation(chat: Chat, instance: Instance) -> Refusal | None:
    """Some providers want the speakers to take turns (trap 9)."""
    roles = [message.role for message in chat.messages]
    if not instance.alternates(chat.model) or all(a != b for a, b in pairwise(roles)):
        return None
    return REFUSALS["google alternation" if chat.model.provider == "google" else "alternation"]


def _check_prefill(chat: Chat, instance: Instance) -> Refusal | None:
    last = chat.messages[-1].role if chat.messages else "user"
    return REFUSALS["prefill"] if last == "assistant" and not instance.accepts_prefill(chat.model) else None


def _check_streaming(chat: Chat, _instance: Instance) -> Refusal | None:
    """Clients do not stream from a model whose listing says `streamDisabled` (contract §6.3)."""
    return REFUSALS["no stream"] if chat.streams and chat.model.can("streamDisabled") else None


def _check_budget(chat: Chat, _instance: Instance) -> Refusal | None:
    """A thinking model needs `max_tokens`, and more of them than it thinks (contract §2.2)."""
    budget = chat.model.thinking_budget
    if budget and not chat.body.get("max_tokens"):
        return REFUSALS["no max_tokens"]
    return REFUSALS["budget"] if budget and chat.max_tokens <= budget else None


def _check_tools(chat: Chat, instance: Instance) -> Refusal | None:
    """Tools need a name of their own and an object as parameters (traps 59 and 60)."""
    names = [tool.name for tool in chat.tools]
    for position, tool in enumerate(chat.tools):
        problem = None
        if not tool.name or tool.name in names[:position]:
            problem = "tool names must be unique and not empty"
        elif not isinstance(tool.parameters, dict) or tool.parameters.get("type") != "object":
            problem = "type must be object"
        if problem:
            return REFUSALS["bad tools"].about(position, problem)._replace(status=instance.profile.bad_tools_status)
    return None


_PROVIDER_CHECKS: Sequence[_ProviderCheck] = (
    _check_speakers,
    _check_blocks,
    _check_empty,
    _check_alternation,
    _check_prefill,
    _check_streaming,
    _check_budget,
    _check_tools,
)
