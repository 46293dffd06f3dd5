"""What a streamed answer is made of, in no dialect.

A reader makes these from upstream's frames, a writer turns them into the client's. The union is closed: writers `match`
it and end in `assert_never`, so that a new kind makes mypy list every place that must learn it.
"""

from typing import Final, Literal

import msgspec

from cody_oai_router.faults import Fault

REWRITTEN: Final = "text:rewritten"

StopReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Text(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer's text."""

    text: str


class Rewritten(msgspec.Struct, frozen=True, gc=False):
    """All text so far reads otherwise: `text`, which is never longer, stands in its place, and the pieces that follow go on from there.

    What was shown of it cannot be taken back; then the note `REWRITTEN` tells so.
    """

    text: str


class Reasoning(msgspec.Struct, frozen=True, gc=False):
    """A piece of what the model thought before it answered."""

    text: str


class CallStart(msgspec.Struct, frozen=True, gc=False):
    """A tool call begins. `index` counts from 0 without gaps; `id` is empty where upstream gave none."""

    index: int
    id: str
    name: str


class CallArguments(msgspec.Struct, frozen=True, gc=False):
    """A piece of the arguments (JSON text) of the call with that index."""

    index: int
    text: str


class Stop(msgspec.Struct, frozen=True, gc=False):
    """The model has ended its answer, and why."""

    reason: StopReason


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens, as upstream counted them, or `estimated` where it did not.

    `credits` is Sourcegraph's own unit (6.5 and later), rounded up by the server. `billed_tokens` is what several choices cost together,
    their prompt counted once for each.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int | None = None
    cache_creation_tokens: int | None = None
    reasoning_tokens: int | None = None
    credits: int | None = None
    billed_tokens: int | None = None
    estimated: bool = False


class Adapted(msgspec.Struct, frozen=True, gc=False):
    """Something about the answer was changed; `note` is a word of the fixed vocabulary (docs/adaptations.md)."""

    note: str


class Failed(msgspec.Struct, frozen=True):
    """The answer broke; nothing that follows counts."""

    fault: Fault


Event = Text | Rewritten | Reasoning | CallStart | CallArguments | Stop | Usage | Adapted | Failed
