"""A reply within a request's limits: what is really said, how it ends, what it costs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cody_oai_router.simulator.catalogue import Model
from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.model import Call, Message, Part, Reply, Text, Thought, split, tokens
from cody_oai_router.simulator.steps import Hold, Wait
from cody_oai_router.simulator.wire import Piece


@dataclass(frozen=True, slots=True)
class Spoken:
    """A reply cut to size; the finish word is one of `stop`, `stop_sequence`, `length`, `tool_calls` until mapped."""

    parts: Sequence[Part]
    finish: str
    lost_deltas: bool

    @property
    def text(self) -> str:
        """Everything that is said."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tokens(self) -> int:
        """What it costs: one for each word that is thought, said or put into a call."""
        words = sum(isinstance(part, Text | Thought) for part in self.parts)
        return words + sum(len(tokens(call.arguments)) for call in self.calls)

    @property
    def calls(self) -> list[Call]:
        """The tool calls."""
        return [part for part in self.parts if isinstance(part, Call)]


def speak(reply: Reply, stop: Sequence[str], max_tokens: int) -> Spoken:
    """Cuts the reply at a stop sequence and after `max_tokens`, and names how it ended."""
    pieces: Sequence[Part] = [piece for part in reply.parts for piece in split(part)]
    pieces, stopped = _until_stop(pieces, stop)
    pieces, cut = _within(pieces, max_tokens)
    called = any(isinstance(piece, Call) for piece in pieces)
    finish = "length" if cut else "stop_sequence" if stopped else "tool_calls" if called else "stop"
    return Spoken(pieces, finish, reply.lost_deltas)


def count(messages: Sequence[Message], spoken: Spoken, model: Model, instance: Instance) -> dict[str, Any]:
    """Counts words; zeros before 5.9, credits since 6.5, rounded up (contract §3.1)."""
    if instance.profile.usage == "zeros":
        return {"completion_tokens": 0, "prompt_tokens": 0, "total_tokens": 0}
    prompt = sum(len(tokens(message.text)) for message in messages)
    usage: dict[str, Any] = {
        "completion_tokens": spoken.tokens,
        "prompt_tokens": prompt,
        "total_tokens": prompt + spoken.tokens,
    }
    if instance.profile.usage == "credits":
        usage["credits"] = math.ceil((prompt + 5 * spoken.tokens) / 1000)
        if model.provider == "anthropic":
            usage["prompt_tokens_details"] = {"cached_tokens": 0, "cache_creation_input_tokens": 0}
    return usage


def pauses(parts: Sequence[Part], pace: float) -> Iterator[Piece]:
    """Returns the time that a whole answer takes: what a stream would have waited in between, all of it before."""
    for part in parts:
        if isinstance(part, Wait | Hold):
            yield part
        elif pace:
            yield Wait(pace)


def _until_stop(pieces: Sequence[Part], stop: Sequence[str]) -> tuple[Sequence[Part], bool]:
    text = "".join(piece.text for piece in pieces if isinstance(piece, Text))
    left = min((end for word in stop if word and (end := text.find(word)) >= 0), default=None)
    if left is None:
        return pieces, False
    kept: list[Part] = []
    for piece in pieces:
        if not isinstance(piece, Text):
            kept.append(piece)
            continue
        kept += [Text(piece.text[:left])] if left else []
        left -= len(piece.text)
        if left <= 0:
            break
    return kept, True


def _within(pieces: Sequence[Part], limit: int) -> tuple[Sequence[Part], bool]:
    words = [position for position, piece in enumerate(pieces) if isinstance(piece, Text)]
    return (pieces[: words[limit]], True) if len(words) > limit else (pieces, False)
