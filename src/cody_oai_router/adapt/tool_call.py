"""Reads what a model wrote between the markers of a tool call.

A call begins for the client once its name is known and its arguments have begun. From there they are streamed and judged by
brackets alone, since what was sent cannot be taken back. A call in another form is held until its object is complete, and put right
where its meaning is beyond doubt; what cannot be read before its arguments began is no call.
"""

import re
from typing import Final, Literal

import msgspec

from cody_oai_router.adapt.json_walk import JsonWalker
from cody_oai_router.events import CallArguments, CallStart, Event

SPACE: Final = " \t\r\n"

# A call in another form waits in memory until it is complete: enough for an agent that writes a large file, not for a
# model that never ends.
MAX_HELD: Final = 256 * 1024
# How far into a call its name and the beginning of its arguments are looked for: names have at most 64 letters.
MAX_HEAD: Final = 1024
# What may stand between a complete call and its closing marker: a bracket too many, the end of a code fence.
MAX_LITTER: Final = 64
_LITTER: Final = SPACE + "}`"

_BEFORE_OBJECT: Final = re.compile(r"[ \t\r\n]*(?:`{1,3}[\w-]*[ \t\r\n]*)?")
_NAME: Final = re.compile(r'\{[ \t\r\n]*"name"[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\]|\\.)*")')
_ARGUMENTS: Final = re.compile(r'[ \t\r\n]*,[ \t\r\n]*"arguments"[ \t\r\n]*:[ \t\r\n]*(?=\{)')


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
# Half an emoji cannot be decoded, and brackets a thousand deep are not.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeEncodeError, RecursionError)


def opening(nonce: str) -> str:
    """The marker before a call."""
    return f"<tool_call_{nonce}>"


def closing(nonce: str) -> str:
    """The marker after a call."""
    return f"</tool_call_{nonce}>"


class Call:
    """One call in the making. `name` is empty until it has begun for the client.

    `wrap` is what stood before its marker and only wraps it. `whole` tells that the arguments are complete, `repaired`
    that the model did not write what it was asked to.
    """

    __slots__ = ("_held", "_id", "_index", "_json", "_names", "_phase", "_size", "name", "repaired", "whole", "wrap")

    def __init__(self, names: frozenset[str], index: int, call_id: str, wrap: str) -> None:
        self._names = names
        self._index = index
        self._id = call_id
        self.wrap = wrap
        self._phase: Literal["head", "arguments", "after", "rest", "complete", "over"] = "head"
        self._held: list[str] = []
        self._size = 0
        self._json = JsonWalker()
        self.name = ""
        self.whole = False
        self.repaired = False

    @property
    def complete(self) -> bool:
        """Whether the object around the arguments is complete."""
        return self._phase == "complete"

    def feed(self, text: str, out: list[Event]) -> str | None:
        """Takes the next text; once the call is over, gives what does not belong to it."""
        if self._phase == "head":
            text = self._head(text, out)
        if self._phase == "arguments":
            text = self._arguments(text, out)
        if self._phase == "after":
            text = self._after(text)
        if self._phase == "rest":
            text = self._rest(text)
        if self._phase == "complete":
            text = self._litter(text)
        return text if self._phase == "over" else None

    def written(self) -> str:
        """Gives what the model wrote of a call that has not begun for the client."""
        return "".join(self._held)

    def _head(self, text: str, out: list[Event]) -> str:
        before = self._size
        self._held.append(text)
        self._size += len(text)
        if before < MAX_HEAD:
            written = self.written()
            start = self._recognise(written[:MAX_HEAD])
            if start:
                self._begin(JsonWalker(depth=1), "arguments", out)
                return written[start:]
        _, end = self._json.walk(text, 0)
        if end is not None and before + end <= MAX_HELD:
            self._read(self.written()[: before + end], out)
            return text[end:]
        if self._size > MAX_HELD:
            self._phase = "over"
        return ""

    def _recognise(self, text: str) -> int:
        """Gives where the arguments begin, 0 where they do not yet; sees early what is no call of a known tool."""
        start = _start(text)
        written = _NAME.match(text, start)
        if written is None:
            if text[start : start + 1] not in ("", "{"):
                self._phase = "over"
            return 0
        name = _decoded(written.group(1))
        if name not in self._names:
            self._phase = "over"
            return 0
        arguments = _ARGUMENTS.match(text, written.end())
        if arguments is None:
            return 0
        self.name = name
        return arguments.end()

    def _begin(self, json: JsonWalker, phase: Literal["arguments", "complete"], out: list[Event]) -> None:
        out.append(CallStart(self._index, self._id, self.name))
        self._held.clear()
        self._json = json
        self._phase = phase

    def _read(self, text: str, out: list[Event]) -> None:
        """Reads a complete object that is not in the form that was asked for."""
        try:
            fields = _object.decode(_mended(text[_start(text) :]))
            name = _string.decode(fields["name"])
            arguments = _read_arguments(fields.get("arguments", fields.get("parameters")))
        except (*_UNREADABLE, KeyError):
            name, arguments = "", ""
        if name not in self._names:
            self._phase = "over"
            return
        self.name = name
        self.whole = self.repaired = True
        self._begin(self._json, "complete", out)
        out.append(CallArguments(self._index, arguments))

    def _arguments(self, text: str, out: list[Event]) -> str:
        piece, end = self._json.walk(text, 1)
        self.repaired |= self._json.mended
        if piece:
            out.append(CallArguments(self._index, piece))
        if end is None:
            return ""
        self.whole = True
        self._phase = "after"
        return text[end:]

    def _after(self, text: str) -> str:
        """Looks for the end of the object; a comma begins what nobody asked for."""
        rest = text.lstrip(SPACE)
        if rest:
            self.repaired |= rest[0] != "}"
            self._phase = "rest" if rest[0] in "}," else "over"
        return rest

    def _rest(self, text: str) -> str:
        _, end = self._json.walk(text, 0)
        if end is None:
            return ""
        self._phase = "complete"
        return text[end:]

    def _litter(self, text: str) -> str:
        """Holds what may stand before the closing marker; words show that there is none."""
        self._held.append(text)
        litter = self.written()
        if len(litter) <= MAX_LITTER and not litter.strip(_LITTER):
            return ""
        self._phase = "over"
        return litter


def _start(text: str) -> int:
    """Gives where the object begins: after white space, and a code fence inside the markers."""
    before = _BEFORE_OBJECT.match(text)
    return before.end() if before else 0


def _mended(text: str) -> str:
    return JsonWalker().walk(text, 0)[0]


def _decoded(text: str) -> str:
    try:
        return _string.decode(text)
    except _UNREADABLE:
        return ""


def _read_arguments(raw: msgspec.Raw | None) -> str:
    """Gives arguments as an object: `{}` where there are none, and an object out of the string that it was written as."""
    text = bytes(raw or b"null").decode()
    if text == "null":
        return "{}"
    if text.startswith('"'):
        text = _mended(_string.decode(text))
    _object.decode(text)
    return text
