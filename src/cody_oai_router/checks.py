"""Checks what has to be right before any of an answer may go out: a tool that must be called, JSON that must fit a schema.

An answer that is not right is asked for once more, with what is wrong with it; after that the client gets an honest failure, since every
attempt costs the user.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from cody_oai_router.adapt import structured, tool_choice
from cody_oai_router.conversation import Prompt, Reply
from cody_oai_router.faults import Fault

if TYPE_CHECKING:
    from cody_oai_router.adapt.schema import Schema

# Schemas that are kept: a few programs, each with a few; the largest take some hundred kilobytes.
MAX_REMEMBERED: Final = 16


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer to one prompt has to keep; `schema` is none where it needs no more than JSON, or not even that."""

    schema: "Schema | None" = None

    def judge(self, reply: Reply, prompt: Prompt, *, last: bool) -> Reply | Prompt | Fault:
        """Gives the reply where it is right; else what to ask once more, or, for the `last` answer, the fault."""
        sentence = tool_choice.verdict(reply, prompt.tool_choice)
        if sentence is not None:
            if last:
                return tool_choice.fault(prompt.tool_choice)
            return msgspec.structs.replace(prompt, turns=tool_choice.repair(prompt.turns, reply, sentence))
        if self.schema is None or reply.calls:
            return reply
        if reply.stop != "stop":
            return structured.unwrapped(reply)
        found = structured.check(reply.text, self.schema)
        if isinstance(found, str):
            return reply if found == reply.text else structured.unwrapped(reply)
        if last:
            return structured.unmet(self.schema, found)
        return msgspec.structs.replace(prompt, turns=structured.repair(prompt.turns, reply.text, found))


def check_of(prompt: Prompt) -> Check | Fault | None:
    """Gives what an answer has to keep, nothing where it may go out as it comes; a fault for a schema that is none."""
    wanted = prompt.format
    if wanted is not None and wanted.strict and wanted.schema is not None:
        schema = _schema(bytes(wanted.schema), wanted.name)
        return schema if isinstance(schema, Fault) else Check(schema=schema)
    return Check() if tool_choice.requires(prompt.tool_choice) else None


@lru_cache(maxsize=MAX_REMEMBERED)
def _schema(schema: bytes, name: str) -> "Schema | Fault":
    """Reads a schema, which programs send again with every request, and each choice of a request needs."""
    # Imported here: it is 0.9 MB of code, and most routers never see a strict schema.
    from cody_oai_router.adapt.schema import read_schema  # noqa: PLC0415

    return read_schema(msgspec.Raw(schema), name)
