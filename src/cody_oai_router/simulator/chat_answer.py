"""Writes what the scripted model said as the LLM API of one version answers: whole or as a stream (contract §3)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cody_oai_router.simulator import refusals
from cody_oai_router.simulator.chat_request import Chat
from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.model import Attribution, Call, Fail, Reply, Text, Thought
from cody_oai_router.simulator.refusals import REFUSALS
from cody_oai_router.simulator.speech import Spoken, count, pauses, speak
from cody_oai_router.simulator.steps import Hold, Send, Wait
from cody_oai_router.simulator.wire import Answer, Piece, json_answer, write_json


def answer(chat: Chat, reply: Reply, instance: Instance, timeout: float | None) -> Answer:
    """Returns the answer to an accepted request; `timeout` (seconds) replaces the instance's own deadline."""
    spoken = speak(_audible(reply), chat.stop, chat.max_tokens)
    spoken = replace(spoken, finish=reply.finish or _finish_word(spoken.finish, chat, instance))
    late = REFUSALS["deadline"]
    plain = _stream(chat, spoken, instance) if chat.streams else _whole(chat, spoken, instance)
    return replace(
        plain,
        deadline=timeout or instance.profile.deadline,
        late=refusals.answer(late, instance.profile),
        late_line=write_json(refusals.body(late)) + b"\n",
    )


def _audible(reply: Reply) -> Reply:
    """Leaves out what the LLM API never shows: thoughts, and what became of a search for their source."""
    return replace(reply, parts=tuple(part for part in reply.parts if not isinstance(part, Thought | Attribution)))


_RAW_FINISH: Mapping[str, Mapping[str, str]] = {  # provider words, as 5.6 passes them on (contract §3.3)
    "anthropic": {"stop": "end_turn", "stop_sequence": "stop_sequence", "length": "max_tokens"},
    "google": {"stop": "STOP", "stop_sequence": "STOP", "length": "MAX_TOKENS"},
}


def _finish_word(word: str, chat: Chat, instance: Instance) -> str:
    """Maps our finish word to the version's: raw before 5.7; none for Gemini's ordinary end after it (trap 39)."""
    if instance.profile.old:
        return _RAW_FINISH.get(chat.model.provider, {}).get(word, "stop" if word == "stop_sequence" else word)
    if word in {"stop", "stop_sequence"}:
        return "" if chat.model.provider == "google" else "stop"
    return word


def _failure(fail: Fail, instance: Instance) -> Answer:
    refusal = REFUSALS["provider"].about(fail.message)
    return refusals.answer(refusal._replace(status=fail.status or refusal.status), instance.profile)


def _whole(chat: Chat, spoken: Spoken, instance: Instance) -> Answer:
    fail = next((part for part in spoken.parts if isinstance(part, Fail)), None)
    made = _failure(fail, instance) if fail else json_answer(_completion(chat, spoken, instance))
    return replace(made, body=(*pauses(spoken.parts, instance.pace), *made.body))


def _completion(chat: Chat, spoken: Spoken, instance: Instance) -> dict[str, Any]:
    """The whole answer; parallel calls are separate entries here (contract §10.3 leaves it open)."""
    message: dict[str, Any] = {"role": "assistant", "content": spoken.text}
    if spoken.calls:
        message["tool_calls"] = [
            _call(instance.call_id(chat.model), call.name, call.arguments) for call in spoken.calls
        ]
    return {
        "id": instance.chat_id(),
        "choices": [{"finish_reason": spoken.finish, "index": 0, "message": message}],
        "created": int(instance.clock()),
        "model": chat.model.ref,
        "system_fingerprint": "",
        "object": "chat.completion",
        "usage": count(chat.messages, spoken, chat.model, instance),
    }


def _call(identifier: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def _stream(chat: Chat, spoken: Spoken, instance: Instance) -> Answer:
    first = next((part for part in spoken.parts if not isinstance(part, Wait | Hold)), None)
    if isinstance(first, Fail) and first.status is not None:
        made = _failure(first, instance)
        return replace(made, body=(*pauses(spoken.parts, 0.0), *made.body))
    headers = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
    return Answer(200, headers, tuple(_events(chat, spoken, instance)), framing="chunked")


def _events(chat: Chat, spoken: Spoken, instance: Instance) -> Iterator[Piece]:
    """One event per piece and no `[DONE]` after the last (trap 20); an error is a bare line of JSON (contract §3.2)."""
    first_call = next(iter(spoken.calls), None)
    for part in spoken.parts:
        if isinstance(part, Wait | Hold):
            yield part
        elif isinstance(part, Fail):
            yield Send(write_json(refusals.body(REFUSALS["provider"].about(part.message))) + b"\n")
            return
        elif isinstance(part, Text):
            yield from _paced(instance, {"content": part.text})
        elif isinstance(part, Call) and not spoken.lost_deltas:
            for delta in _call_deltas(part, chat, instance, another=part is not first_call):
                yield from _paced(instance, delta)
    yield _event(instance, {}, spoken.finish, usage=count(chat.messages, spoken, chat.model, instance))


def _paced(instance: Instance, delta: Mapping[str, Any]) -> Iterator[Piece]:
    if instance.pace:
        yield Wait(instance.pace)
    yield _event(instance, {"role": "assistant", **delta})


def _call_deltas(call: Call, chat: Chat, instance: Instance, *, another: bool) -> Iterator[dict[str, Any]]:
    """A start with id and name, then fragments with neither, all at index 0 (traps 17 and 18).

    Of a further parallel call one hypothesis shows a start with a new id, the other nothing but more arguments.
    """
    if not (another and instance.parallel == "no-id"):
        yield _tool_delta(instance.call_id(chat.model), call.name, "")
    middle = len(call.arguments) // 2
    for fragment in filter(None, (call.arguments[:middle], call.arguments[middle:])):
        yield _tool_delta("", "", fragment)


def _tool_delta(identifier: str, name: str, arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, **_call(identifier, name, arguments)}]}


def _event(
    instance: Instance, delta: Mapping[str, Any], finish: str = "", usage: Mapping[str, Any] | None = None
) -> Send:
    """One chunk: a new id each, no model, a role each, `finish_reason: ""` until the end (traps 21 to 23)."""
    chunk: dict[str, Any] = {
        "id": instance.chat_id(),
        "choices": [{"delta": delta, "finish_reason": finish, "index": 0}],
        "created": int(instance.clock()),
        "model": "",
        "object": "chat.completion.chunk",
    }
    if usage is not None:
        chunk["usage"] = usage
    return Send(b"data: " + write_json(chunk) + b"\n\n")
