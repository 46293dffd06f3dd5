"""Writes what the scripted model said as Cody's stream answers: events, or one object (contract §4.4, §4.5)."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cody_oai_router.simulator import refusals
from cody_oai_router.simulator.complaints import GATEWAY
from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.model import Attribution, Call, Fail, Reply, Text, Thought
from cody_oai_router.simulator.refusals import REFUSALS
from cody_oai_router.simulator.speech import Spoken, count, pauses, speak
from cody_oai_router.simulator.steps import Hold, Send, Wait
from cody_oai_router.simulator.stream_request import TOOLS, Asked
from cody_oai_router.simulator.wire import Answer, Piece, event, sniffed_answer, text_answer, write_json

DELTAS, USAGE = 2, 5  # the api-versions with which these came (contract §4.1); thinking came with tools


def answer(asked: Asked, reply: Reply, instance: Instance, timeout: float | None) -> Answer:
    """Returns the answer to a decoded request; `timeout` (seconds) replaces the instance's own deadline."""
    spoken = speak(reply, asked.stop, asked.max_tokens)
    spoken = replace(spoken, finish=_finish_word(reply.finish or spoken.finish, asked))
    late = Fail(REFUSALS["deadline"].text)
    if not asked.streams:
        made, overdue = _whole(asked, spoken, instance), _refused(late, asked, instance)
    else:
        made, overdue = _stream(asked, spoken, instance), _stream(asked, replace(spoken, parts=[late]), instance)
    line = b"".join(piece.data for piece in _failure(late.message))
    return replace(made, deadline=timeout or instance.profile.deadline, late=overdue, late_line=line)


_HEADERS = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
_WORDS: Mapping[str, Mapping[str, str]] = {  # contract §3.3, §4.4
    "anthropic": {
        "stop": "end_turn",
        "stop_sequence": "stop_sequence",
        "length": "max_tokens",
        "tool_calls": "tool_use",
    },
    "openai": {"stop_sequence": "stop"},
}
_SILENT = {"google", "fireworks", "mistral"}  # these never give a reason (trap 39); Mixtral runs at Fireworks


def _finish_word(word: str, asked: Asked) -> str:
    """Puts our finish word in the provider's own, `""` where it gives none; a word that is not ours stays as it is."""
    if word not in _WORDS["anthropic"]:
        return word
    provider = asked.model.provider
    return "" if provider in _SILENT else _WORDS.get(provider, _WORDS["openai"]).get(word, word)


def _refused(fail: Fail, asked: Asked, instance: Instance) -> Answer:
    """Answers a failure with a status of its own.

    A stream has the status that was asked for; a whole answer relays 429 without a body, calls every other complaint of
    the provider a 503 and everything else a 500 (contract §4.5).
    """
    status = fail.status
    if not asked.streams and status is None:
        status = 503 if fail.message.startswith(GATEWAY) else 500
    elif not asked.streams and status != _TOO_MANY:
        status = 503
    status = status or 500
    if status == _TOO_MANY and not (asked.streams and fail.message):
        return replace(text_answer(status, ""), body=())
    return refusals.stream_answer(REFUSALS["provider"].about(fail.message)._replace(status=status), instance.profile)


_TOO_MANY = 429


def _whole(asked: Asked, spoken: Spoken, instance: Instance) -> Answer:
    fail = next((part for part in spoken.parts if isinstance(part, Fail)), None)
    made = _refused(fail, asked, instance) if fail else sniffed_answer(write_json(_completion(asked, spoken, instance)))
    return replace(made, body=(*pauses(spoken.parts, instance.pace), *made.body))


def _completion(asked: Asked, spoken: Spoken, instance: Instance) -> dict[str, Any]:
    """The whole answer; it says `completion` in every version."""
    made: dict[str, Any] = {"completion": spoken.text, "stopReason": spoken.finish}
    if asked.version >= TOOLS and spoken.calls:
        calls = [(instance.call_id(asked.model), call) for call in spoken.calls]
        made["tool_calls"] = [_call(identifier, call.name, call.arguments) for identifier, call in calls]
    if asked.version >= USAGE:
        made["usage"] = count(asked.messages, spoken, asked.model, instance)
    return made


def _call(identifier: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def _stream(asked: Asked, spoken: Spoken, instance: Instance) -> Answer:
    first = next((part for part in spoken.parts if not isinstance(part, Wait | Hold)), None)
    if isinstance(first, Fail) and first.status is not None:
        made = _refused(first, asked, instance)
        return replace(made, body=(*pauses(spoken.parts, 0.0), *made.body))
    pieces = tuple(_Writer(asked, spoken, instance).pieces())
    return Answer(200, (*_HEADERS, *_trace(instance)), pieces, framing="chunked")


def _trace(instance: Instance) -> Sequence[tuple[str, str]]:
    """The trace headers that early recordings show (contract §4.4)."""
    trace = f"{instance.random.getrandbits(128):032x}"
    return (("X-Trace", trace), ("X-Trace-Span", trace[:16])) if instance.profile.old else ()


def _failure(message: str) -> Iterator[Send]:
    yield Send(event("error", {"error": message}))
    yield Send(event("done", {}))


class _Writer:
    """Writes the events of one answer; it remembers what was said, for the versions that repeat it in each event."""

    def __init__(self, asked: Asked, spoken: Spoken, instance: Instance) -> None:
        self._asked = asked
        self._spoken = spoken
        self._instance = instance
        self._said = ""

    def pieces(self) -> Iterator[Piece]:
        """Returns every frame, `done` last; nothing at all where there was nothing to say (trap 62)."""
        yield from self._opening()
        for position, part in enumerate(self._spoken.parts):
            if isinstance(part, Wait | Hold):
                yield part
            elif isinstance(part, Fail):
                yield from _failure(part.message)
                return
            else:
                yield from self._paced(self._frames(position, part))
        last = [*self._closing()]
        yield from last
        if last or self._said:
            yield Send(event("done", {}))

    def _opening(self) -> Iterator[Send]:
        """OpenAI's first chunk has a role and no text, which shows in the old versions (recorded)."""
        if self._asked.version < DELTAS and self._asked.model.provider == "openai":
            yield self._completion({"completion": "", "stopReason": ""})

    def _frames(self, position: int, part: Text | Thought | Call | Attribution) -> Iterator[Send]:
        match part:
            case Text(text):
                yield self._text(text)
            case Thought(text) if self._asked.version >= TOOLS:
                yield self._completion({"delta_thinking": text})
                if not any(isinstance(later, Thought) for later in self._spoken.parts[position + 1 :]):
                    yield self._completion({"thinking_signature": self._signature()})
            case Call() if self._asked.version >= TOOLS and not self._spoken.lost_deltas:
                yield from self._call(part)
            case Attribution(message):
                yield Send(event("attribution-error", {"error": message}))

    def _text(self, text: str) -> Send:
        self._said += text
        if self._asked.version < DELTAS:
            return self._completion({"completion": self._said, "stopReason": ""})
        return self._completion({"deltaText": text})

    def _call(self, call: Call) -> Iterator[Send]:
        """A start with id and name, then fragments with neither (trap 18).

        Of a further parallel call one hypothesis shows a start with a new id, the other nothing but more arguments.
        """
        if call is self._spoken.calls[0] or self._instance.parallel == "new-id":
            yield self._tool_delta(self._instance.call_id(self._asked.model), call.name, "")
        middle = len(call.arguments) // 2
        for fragment in filter(None, (call.arguments[:middle], call.arguments[middle:])):
            yield self._tool_delta("", "", fragment)

    def _tool_delta(self, identifier: str, name: str, arguments: str) -> Send:
        return self._completion({"delta_tool_calls": [_call(identifier, name, arguments)]})

    def _closing(self) -> Iterator[Send]:
        """The last frame: the reason, and since 5 the provider's name of the model and what the answer cost."""
        asked, finish = self._asked, self._spoken.finish
        reason = {"stopReason": finish} if finish else {}
        if asked.version < DELTAS:
            yield self._completion({"completion": self._said, "stopReason": finish})
        elif asked.version >= USAGE:
            ref = {"modelref": asked.model.ref} if self._instance.profile.names_ref else {}
            usage = count(asked.messages, self._spoken, asked.model, self._instance)
            yield self._completion({"model": asked.model.model_name, **ref, **reason, "usage": usage})
        elif reason:
            yield self._completion({"deltaText": "", **reason})

    def _signature(self) -> str:
        return base64.b64encode(self._instance.random.randbytes(48)).decode()

    def _completion(self, data: Mapping[str, Any]) -> Send:
        return Send(event("completion", data))

    def _paced(self, frames: Iterator[Send]) -> Iterator[Piece]:
        for frame in frames:
            if self._instance.pace:
                yield Wait(self._instance.pace)
            yield frame
