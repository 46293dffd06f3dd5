"""Keeps `tool_choice` and `parallel_tool_calls` where the endpoint ignores them (contract §2.2; traps 14 to 16).

Leaving tools out keeps "none", and the names of a choice (`dialects/openai_chat`). The rest is said in words and then looked after: a
model that does not keep it is asked once more, and after that the client gets an honest failure.

The words stand at the end of the conversation and not at its head. There a model minds them best, they are about its next answer only,
and all before them stays as it was: so a cache of the prompt stays good when the choice changes from one request to the next, as it
does in agents. They are a part of their own where the client wrote parts, so that a cache hint of the client does not cover them.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from cody_oai_router.adapt.roles import joined
from cody_oai_router.conversation import Named, Reply, TextPart, ToolChoice, Turn
from cody_oai_router.events import Adapted, CallArguments, CallStart, Event, Stop, Usage
from cody_oai_router.faults import Fault

# An answer that ended so is no breach of the choice: the client sees why it has no call.
_BROKEN_OFF: Final = ("length", "content_filter")

# Of a wrong answer, in the request to put it right: a few pages.
MAX_QUOTED: Final = 8 * 1024

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def instruct(turns: tuple[Turn, ...], choice: ToolChoice, *, parallel: bool) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns with the choice in words, and notes; it comes last of all that changes turns.

    `parallel` false allows one call at most. The words join a last turn of the user, and are a turn of their own after any other.
    """
    words = _words(choice, parallel=parallel)
    if not words:
        return turns, set()
    notes = {"tool_choice:instructed"} if requires(choice) else set()
    if not parallel:
        notes.add("parallel_tool_calls:instructed")
    return _with_words(turns, words), notes


def verdict(reply: Reply, choice: ToolChoice) -> str | None:
    """Tells what an answer did not keep, in a sentence to the model; nothing where it kept the choice."""
    called = tuple(dict.fromkeys(call.name for call in reply.calls))
    if choice == "none" and called:
        return "Your last answer called a tool, but no tool may be called now."
    if isinstance(choice, Named):
        strays = [name for name in called if name not in choice.names]
        if strays:
            return f"Your last answer called {_listed(strays)}, which may not be called now."
    if not requires(choice) or reply.stop in _BROKEN_OFF:
        return None
    broken = [call.name for call in reply.calls if not _is_whole(call.arguments)]
    if broken:
        return f"Your last answer called {_listed(broken)} with arguments that are no JSON object."
    return None if called else "Your last answer called no tool."


def repair(turns: tuple[Turn, ...], reply: Reply, sentence: str) -> tuple[Turn, ...]:
    """Gives the turns to ask once more with, from those without an instruction: the answer, as far as it is text, and its verdict."""
    if reply.text.strip():
        turns = (*turns, Turn(role="assistant", parts=(_part(shortened(reply.text)),)))
    return _with_words(turns, sentence)


def shortened(text: str) -> str:
    """Gives a wrong answer as far as it helps to put it right: all of it would have to be paid for again."""
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"


def fault(choice: ToolChoice) -> Fault:
    """Gives the failure of a choice that the model did not keep when it was asked once more."""
    message = (
        f"The model did not keep `tool_choice`: it was told {_wish(choice)}, and did not do so when it was asked once more. "
        "Sourcegraph carries `tool_choice` only in words; ask again, ask for it in a message of your own, or choose another model."
    )
    return Fault(kind="unprocessable", message=message, param="tool_choice", code="tool_choice_not_kept")


class OneCall:
    """Passes the first call of one answer and drops the others: `parallel_tool_calls` false.

    `cut` tells that another one began when the first was whole: the answer has had its `Stop`, and of the rest only usage still passes.
    Where the first one is not whole yet, its pieces may still come between others', so the end is left to upstream.
    """

    __slots__ = ("_arguments", "_dropped", "cut")

    def __init__(self) -> None:
        self._arguments: list[str] = []
        self._dropped = False
        self.cut = False

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives what is passed on."""
        out: list[Event] = []
        for event in events:
            if not self.cut:
                self._take(event, out)
            elif isinstance(event, Usage):
                out.append(event)
        return out

    def _take(self, event: Event, out: list[Event]) -> None:
        match event:
            case CallStart(index=0) | CallArguments(index=0):
                if isinstance(event, CallArguments):
                    self._arguments.append(event.text)
                out.append(event)
            case CallStart():
                self._drop(out)
            case CallArguments():
                pass
            case _:
                out.append(event)

    def _drop(self, out: list[Event]) -> None:
        if not self._dropped:
            self._dropped = True
            out.append(Adapted("tool-calls:first-kept"))
        if _is_whole("".join(self._arguments)):
            self.cut = True
            out.append(Stop("tool_calls"))


def requires(choice: ToolChoice) -> bool:
    """Tells whether a tool must be called."""
    return choice.required if isinstance(choice, Named) else choice == "required"


def _words(choice: ToolChoice, *, parallel: bool) -> str:
    """Gives the instruction, empty where there is nothing to say."""
    if not requires(choice):
        return "" if parallel or choice == "none" else "Call at most one tool in this answer."
    if not isinstance(choice, Named):
        return f"Answer by calling {'at least' if parallel else 'exactly'} one tool."
    if len(choice.names) == 1:
        return f"Answer by calling the tool {_listed(choice.names)}{'' if parallel else ' exactly once'}."
    return f"Answer by calling {'at least' if parallel else 'exactly'} one of the tools {_listed(choice.names)}."


def _wish(choice: ToolChoice) -> str:
    if isinstance(choice, Named):
        return f"to call {'' if choice.required else 'only '}{_listed(choice.names, 'or')}"
    return {"auto": "to call what it likes", "none": "to call no tool", "required": "to call a tool"}[choice]


def _listed(names: Sequence[str], last: str = "and") -> str:
    """Lists names in quotes, as JSON has them, so that nothing in a name can end them."""
    *others, final = [_encode(name).decode() for name in names]
    return f"{', '.join(others)} {last} {final}" if others else final


def _with_words(turns: tuple[Turn, ...], words: str) -> tuple[Turn, ...]:
    turn = Turn(role="user", parts=(_part(words),))
    if turns and turns[-1].role == "user":
        return (*turns[:-1], joined((turns[-1], turn)))
    return (*turns, turn)


def _part(text: str) -> TextPart:
    return TextPart(msgspec.Raw(_encode(text)))


def _is_whole(arguments: str) -> bool:
    try:
        _object.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True
