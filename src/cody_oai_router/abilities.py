"""What each endpoint of Sourcegraph carries, and what a prompt needs of it: the table by which a request finds its way.

| need | the LLM API | Cody's stream | source |
|---|---|---|---|
| tools | from 6.0: calls as they are, results wrapped; before: emulated | whole from 9; likely at 8; before: emulated | §2.2, §4.1 |
| images | lost: dropped unseen | whole from 3 | trap 25, §4.1 |
| reasoning | the model thinks, its thoughts are not shown | whole from 8 | §3.2, §4.1 |

(Numbers are api-versions of Cody's stream; sections are the contract's.) A need that is lost is refused with 400, not left out: a model
that never sees the image would answer all the same.
"""

from enum import IntEnum
from typing import Final, Literal, assert_never

import msgspec

from cody_oai_router.conversation import ImagePart, OtherPart, Prompt, TextPart
from cody_oai_router.faults import Fault

Need = Literal["tools", "images", "reasoning"]
Endpoint = Literal["llm", "cody"]

# What the LLM API takes as an image it never shows to the model; these the models behind Cody's stream were seen to take (contract §4.3).
IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/webp", "image/gif")

_NO_NEEDS: Final = frozenset[Need]()

_LONGEST_PREFIX: Final = 64  # of a data URL: its type and encoding


class Grade(IntEnum):
    """How an endpoint carries a need."""

    LOST = 0
    ADAPTED = 1
    WHOLE = 2


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint carries as it is.

    `native_tools`: offered tools and the calls of the answer; `tool_results`: calls and results in the history; `system`: one first system
    message; `cache_hints`: `cache_control`; `names`: who speaks. `reliable_streamed_calls` is false where tool calls are safer asked for
    whole.
    """

    tools: Grade
    images: Grade
    reasoning: Grade
    native_tools: bool
    tool_results: bool
    system: bool
    cache_hints: bool
    names: bool
    reliable_streamed_calls: bool

    def grade(self, need: Need) -> Grade:
        """Gives how a need is carried."""
        match need:
            case "tools":
                return self.tools
            case "images":
                return self.images
            case "reasoning":
                return self.reasoning
            case _:
                assert_never(need)


LLM_API: Final = Abilities(
    tools=Grade.ADAPTED,
    images=Grade.LOST,
    reasoning=Grade.ADAPTED,
    native_tools=True,
    tool_results=False,
    system=False,
    cache_hints=False,
    names=True,
    reliable_streamed_calls=False,  # contract §3.2
)
LLM_API_BEFORE_6: Final = msgspec.structs.replace(LLM_API, native_tools=False)

_FIRST_OF_6: Final = 6  # the api-version by which an instance shows that it is a 6.0 (contract §4.1)


def llm_api(api_version: int | None) -> Abilities:
    """Gives what the LLM API carries on an instance whose Cody's stream has that api-version; none where nobody knows."""
    return LLM_API_BEFORE_6 if api_version is not None and api_version < _FIRST_OF_6 else LLM_API


def cody_stream(api_version: int) -> Abilities:
    """Gives what Cody's stream carries in an api-version (contract §4.1); 0 stands for none."""
    tools = api_version >= 8  # noqa: PLR2004 - likely at 8, sure from 9; emulated before
    return Abilities(
        tools=Grade.WHOLE if api_version >= 9 else Grade.ADAPTED,  # noqa: PLR2004 - an api-version
        images=Grade.WHOLE if api_version >= 3 else Grade.LOST,  # noqa: PLR2004 - an api-version
        reasoning=Grade.WHOLE if api_version >= 8 else Grade.ADAPTED,  # noqa: PLR2004 - an api-version
        native_tools=tools,
        tool_results=tools,
        system=api_version >= 1,
        cache_hints=api_version >= 7,  # noqa: PLR2004 - an api-version
        names=False,
        reliable_streamed_calls=True,
    )


class Traits(msgspec.Struct, frozen=True):
    """What there is in a prompt besides text of user and assistant: so that nothing is looked for where it is not."""

    instructions: bool = False
    history: bool = False
    images: bool = False
    others: bool = False
    hints: bool = False
    names: bool = False


# Most prompts: nothing but words.
PLAIN: Final = Traits()


def traits_of(prompt: Prompt) -> Traits:
    """Looks through a prompt, once."""
    instructions = history = images = others = hints = names = False
    for turn in prompt.turns:
        match turn.role:
            case "user" | "assistant":
                names = names or turn.name is not None
            case "system" | "developer":
                instructions = True
            case _:
                history = True
        if turn.calls:
            history = True
        for part in turn.parts:
            if isinstance(part, TextPart):
                hints = hints or part.cache_control is not None
            elif isinstance(part, ImagePart):
                images = True
            else:
                others = True
    if not (instructions or history or images or others or hints or names):
        return PLAIN
    return Traits(instructions, history, images, others, hints, names)


def needs(prompt: Prompt, traits: Traits, *, thinks: bool) -> frozenset[Need]:
    """Gives what a prompt needs beyond text; `thinks` tells that the model was chosen because it thinks."""
    if not (thinks or prompt.tools or prompt.reasoning or traits.history or traits.images):
        return _NO_NEEDS
    found: list[Need] = []
    if prompt.tools or traits.history:
        found.append("tools")
    if traits.images:
        found.append("images")
    if prompt.reasoning or thinks:
        found.append("reasoning")
    return frozenset(found)


def lost(prompt: Prompt, abilities: Abilities, *, blind: bool) -> Fault | None:
    """Gives the first need of the prompt that is lost, as the client will read it; `blind` tells that the model has no vision."""
    for index, turn in enumerate(prompt.turns):
        for number, part in enumerate(turn.parts):
            if isinstance(part, ImagePart):
                message = _unseen(part, abilities, blind=blind)
            elif isinstance(part, OtherPart):
                kind = f"of type '{part.kind}'" if part.kind.isidentifier() else "of an unknown type"
                message = f"is {kind}; only text and images can be carried."
            else:
                continue
            if message:
                where = f"messages[{index}].content[{number}]"
                return Fault(kind="bad_request", message=f"'{where}' {message}", param=where, code="unsupported_value")
    return None


def _unseen(image: ImagePart, abilities: Abilities, *, blind: bool) -> str:
    """Tells why the model would not see an image; nothing where it would."""
    if not abilities.images:
        return (
            "is an image; the LLM API drops images unseen, and Cody's stream, which carries them since 5.8, is not offered here or not "
            "allowed by SOURCEGRAPH_API. Send text only."
        )
    if blind:
        return "is an image, which this model cannot see; GET /v1/models shows what each model can."
    start = bytes(memoryview(image.url)[1:_LONGEST_PREFIX]).replace(b"\\/", b"/").lower()
    if not start.startswith(b"data:"):
        return "is an image by its address, which the router does not fetch; send it as a data: URL (base64)."
    kind = start[5:].partition(b";")[0].partition(b",")[0].decode("ascii", "replace")
    if kind not in IMAGE_TYPES and kind != "image/jpg":
        return f"is an image of a type that models do not take; send {', '.join(IMAGE_TYPES)}."
    if b";base64," not in start:
        return "is an image that is not base64; send it as data:<type>;base64,<data>."
    return ""
