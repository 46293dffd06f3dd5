"""Takes the JSON document out of the text of an answer, as it comes.

Models put code fences and words around the JSON that they were asked for alone. Text is held until a document has begun; from there it is
passed on as it is up to the bracket that closes it, and what follows is left out. The only letters that are changed are line breaks and
other control characters in strings, which are no JSON but which models write.

Strategy: a document begins where only one can. Prose has brackets too, so a brace counts before a name or its closing brace, and a square
bracket only at the beginning of a line and before a value. Every decision depends on the text alone, never on where it was cut.

A model that calls tools instead of answering owes no document: its words are passed on as they are. So are those of an answer that was cut
off at its limit, which says so itself.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from cody_oai_router.adapt.json_walk import JsonWalker
from cody_oai_router.events import Adapted, CallStart, Event, Failed, Stop, Text
from cody_oai_router.faults import Fault

# Models that think aloud do so before the document: several pages, and not for ever.
MAX_PROSE: Final = 64 * 1024
# As much as an answer that is read whole may have, by default.
MAX_DOCUMENT: Final = 64 * 1024 * 1024

NOT_JSON: Final = "output_not_json"

_SPACE: Final = " \t\r\n"
_OPENING: Final = re.compile(r"[{\[]")
_LINE_SO_FAR: Final = re.compile(r"[ \t]*(?:`{1,3}[\w-]*[ \t]*)?")
# How far into its line an array may begin: an indentation, and a fence.
_INDENTED: Final = 64
# How far after a bracket the first thing in it is looked for: a line break and its indentation.
_FAR: Final = 256
_VALUES: Final = tuple(']{["-0123456789')
_WORDS: Final = ("true", "false", "null")


class JsonText:
    """Passes on the JSON document of one answer; other events pass. An answer that ends by itself without a whole one has failed.

    `arrays` tells that the document may be an array.
    """

    __slots__ = (
        "_arrays",
        "_called",
        "_document",
        "_fault",
        "_held",
        "_listed",
        "_looked",
        "_over",
        "_phase",
        "_size",
        "_unreadable",
        "_unwrapped",
        "_walker",
    )

    def __init__(self, *, arrays: bool = False) -> None:
        self._arrays = arrays
        self._phase: Literal["before", "inside", "after"] = "before"
        self._held = ""  # what stands before the document, or may be its beginning
        self._looked = 0  # how far that holds no beginning
        self._walker = JsonWalker()
        self._document: list[str] = []
        self._size = 0
        self._fault: Fault | None = None
        self._unwrapped = False
        self._called = False
        self._listed = False
        self._unreadable = False
        self._over = False

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives what can be passed on; nothing after a `Failed`."""
        out: list[Event] = []
        for event in events:
            if self._over:
                break
            match event:
                case Text() if not self._called:
                    self._take(event.text, out)
                case CallStart():
                    self._release(out)
                    self._called = True
                    out.append(event)
                case Stop():
                    self._stop(event, out)
                case Adapted(note="tool-calls:unreadable"):
                    self._unreadable = True  # the text holds a call that is no answer
                    out.append(event)
                case _:
                    self._over = isinstance(event, Failed)
                    out.append(event)
        return out

    def _take(self, text: str, out: list[Event]) -> None:
        if self._phase == "before":
            text = self._before(text)
            if len(self._held) > MAX_PROSE:
                self._fail(self._none(), out)
        if self._phase == "inside":
            text = self._inside(text, out)
        if self._phase == "after":
            self._unwrapped |= bool(text.strip(_SPACE))

    def _before(self, text: str) -> str:
        """Holds text up to the beginning of the document; gives what stands from there on."""
        self._held += text
        while opening := _OPENING.search(self._held, self._looked):
            at = opening.start()
            begins = self._begins(at)
            if begins is None:
                self._looked = at
                return ""
            if begins:
                text, self._held = self._held[at:], self._held[:at]
                self._unwrapped = bool(self._held.strip(_SPACE))
                self._held = ""
                self._phase = "inside"
                return text
            self._looked = at + 1
        self._looked = len(self._held)
        return ""

    def _begins(self, at: int) -> bool | None:
        """Tells whether a bracket begins the document; None where more has to come first."""
        if self._listed or (self._held[at] == "[" and not self._is_at_line_start(at)):
            return False
        rest = self._held[at + 1 : at + 1 + _FAR].lstrip(_SPACE)
        if not rest:
            return None if len(self._held) <= at + _FAR else False
        if self._held[at] == "{":
            return rest.startswith('"') or (rest.startswith("}") and self._is_at_line_start(at))
        if rest.startswith((*_VALUES, *_WORDS)):
            self._listed = not self._arrays  # what it holds is no document of its own
            return self._arrays
        return None if any(word.startswith(rest) for word in _WORDS) else False

    def _is_at_line_start(self, at: int) -> bool:
        line = self._held.rfind("\n", 0, at) + 1
        return at - line <= _INDENTED and _LINE_SO_FAR.fullmatch(self._held, line, at) is not None

    def _inside(self, text: str, out: list[Event]) -> str:
        """Passes on what belongs to the document; gives what follows it."""
        piece, end = self._walker.walk(text)
        if piece:
            out.append(Text(piece))
        self._document.append(piece)
        self._size += len(piece)
        if self._size > MAX_DOCUMENT:
            self._fail(_fault("The model's JSON is too long to be checked."), out)
        if end is None:
            return ""
        self._phase = "after"
        self._fault = _judge("".join(self._document))
        self._document.clear()
        return text[end:]

    def _release(self, out: list[Event]) -> None:
        """Passes on what was held, since no document is owed any more."""
        if self._held:
            out.append(Text(self._held))
            self._held = ""

    def _stop(self, event: Stop, out: list[Event]) -> None:
        owed = event.reason == "stop" and not self._called
        if not owed:
            self._release(out)
        elif self._phase == "before" or self._unreadable:
            return self._fail(self._none(), out)
        elif self._phase == "inside":
            return self._fail(_fault("The model's JSON ended before it was complete."), out)
        elif self._fault is not None:
            return self._fail(self._fault, out)
        if self._unwrapped:
            out.append(Adapted("response_format:unwrapped"))
        if self._walker.mended:
            out.append(Adapted("response_format:mended"))
        out.append(event)
        return None

    def _fail(self, fault: Fault, out: list[Event]) -> None:
        self._over = True
        out.append(Failed(fault))

    def _none(self) -> Fault:
        document = "a JSON document" if self._arrays else "a JSON object"
        return _fault(f"The model answered without {document}, which response_format asks for.")


def _judge(document: str) -> Fault | None:
    try:
        msgspec.json.decode(document)
    except msgspec.DecodeError as error:
        return _fault(f"The model's JSON is not valid: {str(error).removeprefix('JSON is malformed: ')}.")
    except UnicodeEncodeError:
        return _fault("The model's JSON is not valid: half a character in it.")
    except RecursionError:
        return _fault("The model's JSON is nested too deeply.")
    return None


def _fault(message: str) -> Fault:
    return Fault(kind="unprocessable", message=message, param="response_format", code=NOT_JSON)
