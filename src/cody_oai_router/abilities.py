"""What an endpoint can carry, and what a prompt needs.

A need that no endpoint of the instance has is refused with 400, not left out: a model that never sees the image would
answer all the same (contract §8, traps 25 and 28).
"""

from typing import Final

import msgspec

from cody_oai_router.conversation import ImagePart, OtherPart, Prompt
from cody_oai_router.faults import Fault


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint carries as it is. `reliable_streamed_calls` is false where tool calls are safer asked for whole."""

    images: bool
    reliable_streamed_calls: bool


LLM_API: Final = Abilities(images=False, reliable_streamed_calls=False)  # contract §2.3 and §3.2


def missing(prompt: Prompt, abilities: Abilities) -> Fault | None:
    """Gives the first need of the prompt that the endpoint lacks, as the client will read it."""
    for index, turn in enumerate(prompt.turns):
        for number, part in enumerate(turn.parts):
            where = f"messages[{index}].content[{number}]"
            if isinstance(part, ImagePart) and not abilities.images:
                message = f"'{where}' is an image; Sourcegraph's LLM API drops images unseen. Send text only."
                return Fault(kind="bad_request", message=message, param=where, code="unsupported_value")
            if isinstance(part, OtherPart):
                kind = f"of type '{part.kind}'" if part.kind.isidentifier() else "of an unknown type"
                message = f"'{where}' is {kind}; only text can be carried."
                return Fault(kind="bad_request", message=message, param=where, code="unsupported_value")
    return None
