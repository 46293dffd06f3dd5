r"""Says what an answer took in tokens where upstream does not.

Upstream's own numbers are taken where there are any; instances before 5.9 send zeros (contract §3.1), an answer that the router itself
ended early has none, and nothing promises them for the others (§4.4). Without them both sides are estimated from their UTF-8 bytes and
marked so with `usage:estimated`.

Known error. English prose has 4 to 5 bytes a token and code about 3, so an estimate is up to a quarter off; Chinese and Japanese have 2
to 3, so it is a quarter to a half too low, as it is for the newest models, whose tokens are shorter. What a model thought without
showing it is not in it, nor what a provider adds to describe tools. Text that a client wrote as `\uXXXX` counts as it was written: two
to three times too much.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from cody_oai_router.conversation import ImagePart, Prompt, Reply, TextPart, Tool, Turn, collect, play
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Reasoning,
    Rewritten,
    Stop,
    Text,
    Usage,
)

BYTES_PER_TOKEN: Final = 4
# What stands around each message: OpenAI's own recipe for counting has 3 and one for a name.
TURN_TOKENS: Final = 4
# A picture of 1000 by 750 pixels as Anthropic counts (an area / 750); OpenAI counts 765 for 1024 by 1024.
IMAGE_TOKENS: Final = 1000

_QUOTES: Final = 2


class Estimator:
    """Passes the events of one answer and knows at its end what it took; `prompt_tokens` is the estimate of the prompt.

    It stands last of all adaptations, so that it counts what the client gets.
    """

    __slots__ = ("_counted", "_empty", "_prompt_tokens", "_shown", "_stopped", "_thought")

    def __init__(self, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self._shown = 0  # bytes
        self._thought = 0
        self._stopped = False
        self._counted = False  # by upstream
        self._empty = Usage()  # what upstream said where it counted nothing: it may hold credits

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives them on, except a usage that counts nothing."""
        events = list(events)
        texts = [event.text for event in events if type(event) is Text]
        if len(texts) == len(events):  # as nearly all batches are
            self._shown += sum(map(_size, texts))
            return events
        out: list[Event] = []
        for event in events:
            match event:
                case Text() | CallArguments():
                    self._shown += _size(event.text)
                case Rewritten():
                    self._shown = _size(event.text)
                case Reasoning():
                    self._thought += _size(event.text)
                case CallStart():
                    self._shown += _size(event.name)
                case Stop():
                    self._stopped = True
                case Usage() if not _counts(event):
                    self._empty = event
                    continue
                case Usage():
                    self._counted = True
                case _:
                    pass
            out.append(event)
        return out

    def finish(self) -> list[Event]:
        """Gives what is missing, once, after the last batch of an answer: upstream's usage may follow its `Stop`."""
        if self._counted or not self._stopped:
            return []
        thought = _tokens(self._thought)
        completion = _tokens(self._shown) + thought
        usage = msgspec.structs.replace(
            self._empty,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=completion,
            total_tokens=self._prompt_tokens + completion,
            reasoning_tokens=thought or self._empty.reasoning_tokens,
            estimated=True,
        )
        return [usage, Adapted("usage:estimated")]


def with_usage(reply: Reply, prompt: Prompt) -> Reply:
    """Gives a whole answer with what it took, estimated where upstream counted nothing."""
    if reply.usage is not None and _counts(reply.usage):
        return reply
    estimator = Estimator(estimate_prompt(prompt))
    events = estimator.adapt(play(reply))
    counted = collect([*events, *estimator.finish()])
    return counted if isinstance(counted, Reply) else reply


def estimate_prompt(prompt: Prompt) -> int:
    """Estimates the tokens of a prompt as its client wrote it; no text is decoded."""
    size = sum(map(_tool_size, prompt.tools))
    images = 0
    for turn in prompt.turns:  # loops, since every request comes here
        for part in turn.parts:
            if isinstance(part, TextPart):
                size += len(part.text) - _QUOTES
            elif isinstance(part, ImagePart):
                images += 1
        if turn.calls or turn.name:
            size += _named_size(turn)
    return _tokens(size) + TURN_TOKENS * len(prompt.turns) + IMAGE_TOKENS * images


def _counts(usage: Usage) -> bool:
    return bool(usage.prompt_tokens or usage.completion_tokens or usage.total_tokens)


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _named_size(turn: Turn) -> int:
    return sum(_size(call.name) + _size(call.arguments) for call in turn.calls) + _size(turn.name or "")


def _tool_size(tool: Tool) -> int:
    return _size(tool.name) + len(tool.description or b"") + len(tool.parameters or b"")
