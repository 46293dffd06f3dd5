"""Asks for JSON in words where no endpoint takes `response_format`, checks what comes, and words one more ask where it is not valid.

Strategy: the instruction stands at the end of the last message of the user. There it is nearest to the answer, where models obey best; it
means the same to those that see system messages wrapped in the user's; what stands before it stays word for word, so prompt caches
hold; and it stays in its place while tools are called. It speaks of the answer alone, so a model may call tools first.

A `strict` answer is held until it is checked (`check`), asked for once more with what is wrong (`repair`), and then refused (`unmet`). Any
other is passed on as it comes (`adapt/json_text.py`).
"""

import re
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from cody_oai_router.adapt.json_text import JsonText
from cody_oai_router.adapt.tool_choice import shortened
from cody_oai_router.conversation import Format, Reply, TextPart, Turn, collect
from cody_oai_router.events import Stop, Text
from cody_oai_router.faults import Fault

if TYPE_CHECKING:
    from cody_oai_router.adapt.schema import Schema

UNMET: Final = "output_against_schema"

_OBJECT: Final = "one JSON object"
_BY_SCHEMA: Final = "one JSON document{named} that is valid against this JSON schema:\n"
_ALONE: Final = (
    "Write that JSON alone: nothing before or after it, no code fence, no comments, line breaks in strings as \\n. "
    "This is about your answer: where you need a tool first, call it as usual."
)
_WRONG: Final = (
    "Your answer is not valid:\n{violations}\n"
    "Write the whole JSON again with this put right, and nothing else: no apology, no code fence."
)
_TOLD_AT_MOST: Final = 3  # violations in the client's error: it says what kind of thing went wrong

_FENCED: Final = re.compile(r"```[\w-]*[ \t]*\r?\n\s*([{\[])")
_ALONE_ON_LINE: Final = re.compile(r"^[ \t]{0,8}[{\[]", re.MULTILINE)
_MOST_PLACES: Final = 4

_encode = msgspec.json.Encoder().encode


def instruct(turns: tuple[Turn, ...], wanted: Format) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives turns in which the user asks for the format at the end, and notes of what was changed."""
    at = next((index for index in range(len(turns) - 1, -1, -1) if turns[index].role == "user"), len(turns))
    asking = turns[at] if at < len(turns) else Turn(role="user")
    asking = _extended(asking, _instruction(wanted))
    return (*turns[:at], asking, *turns[at + 1 :]), {"response_format:instructed"}


def check(text: str, schema: "Schema") -> str | tuple[str, ...]:
    """Gives the JSON of a whole answer where it is valid, without what stands around it; else what is wrong, for the model."""
    first = _checked(text, schema)
    if isinstance(first, str):
        return first
    # The first thing that looked like JSON may have been an example: what stands alone, or in a fence, is meant more likely.
    others = (_checked(other, schema) for other in _others(text))
    return next((found for found in others if isinstance(found, str)), first)


def _checked(text: str, schema: "Schema") -> str | tuple[str, ...]:
    reply = unwrapped(Reply(text=text))
    if isinstance(reply, Fault):
        return (f"$: {reply.message}",)
    return schema.violations(msgspec.json.decode(reply.text)) or reply.text


def _others(text: str) -> list[str]:
    """Gives other places where the document of an answer may begin, the likeliest first; a few, since each is read."""
    fenced = [match.start(1) for match in _FENCED.finditer(text)]
    alone = [match.end() - 1 for match in _ALONE_ON_LINE.finditer(text)]
    return [text[start:] for start in dict.fromkeys([*reversed(fenced), *reversed(alone)])][:_MOST_PLACES]


def unwrapped(reply: Reply) -> Reply | Fault:
    """Gives an answer without what stands around its JSON, and with notes of that; a fault where it owes JSON and has none."""
    found = collect(JsonText(arrays=True).adapt([Text(reply.text), Stop(reply.stop)]))
    if isinstance(found, Fault):
        return found
    return msgspec.structs.replace(reply, text=found.text, adapted=(*reply.adapted, *found.adapted))


def repair(turns: tuple[Turn, ...], wrong: str, violations: tuple[str, ...]) -> tuple[Turn, ...]:
    """Gives the conversation that asks once more, after a wrong answer, with what is wrong with it."""
    asking = _WRONG.format(violations="\n".join(f"- {violation}" for violation in violations))
    return (*turns, _turn("assistant", shortened(wrong)), _turn("user", asking))


def unmet(schema: "Schema", violations: tuple[str, ...]) -> Fault:
    """Words the refusal after the second answer that is not valid."""
    told = " ".join(violations[:_TOLD_AT_MOST])
    message = (
        f"The model's answer did not meet the schema of response_format '{schema.name}', and neither did its second attempt: {told} "
        "Ask again, simplify the schema, or use another model."
    )
    return Fault(kind="unprocessable", message=message, param="response_format", code=UNMET)


def _instruction(wanted: Format) -> bytes:
    """Gives the instruction as it stands inside a JSON string; the schema is in it as the client wrote it, on one line."""
    if wanted.schema is None:
        named = _OBJECT + _named(wanted)
        schema = b""
    else:
        named = _BY_SCHEMA.format(named=_named(wanted))
        schema = msgspec.json.format(bytes(wanted.schema), indent=-1).replace(b"\\", rb"\\").replace(b'"', rb"\"")
    before = _inner(f"<RESPONSE_FORMAT>\nYour answer must be {named}")
    return before + schema + _inner(f"{'' if wanted.schema else '.'}\n{_ALONE}\n</RESPONSE_FORMAT>")


def _named(wanted: Format) -> str:
    """Gives the name and the description that the client has for the format."""
    if not wanted.name and not wanted.description:
        return ""
    return f" ({': '.join(filter(None, (wanted.name, wanted.description)))})"


def _extended(turn: Turn, words: bytes) -> Turn:
    """Puts words at the end of a turn: of its string, or as one more part, so that no part with a cache hint changes."""
    last = turn.parts[-1] if turn.parts else None
    if turn.listed or not isinstance(last, TextPart):
        part = TextPart(msgspec.Raw(b'"' + words + b'"'))
        return msgspec.structs.replace(turn, parts=(*turn.parts, part), listed=turn.listed or bool(turn.parts))
    text = TextPart(msgspec.Raw(bytes(last.text)[:-1] + rb"\n\n" + words + b'"'))
    return msgspec.structs.replace(turn, parts=(*turn.parts[:-1], text))


def _turn(role: Literal["user", "assistant"], text: str) -> Turn:
    readable = text.encode("utf-8", "replace").decode()  # half a character cannot be sent on
    return Turn(role=role, parts=(TextPart(msgspec.Raw(_encode(readable))),))


def _inner(text: str) -> bytes:
    """Gives text as it stands inside a JSON string."""
    return _encode(text)[1:-1]
