"""Finds the tool calls that a model wrote into its text: the half of emulated tools that reads the answer.

Strategy: text is passed on as it comes, except what may still become the marker of a call (`tool_prompt.py`); what stands between the
markers is read by `tool_call.py`.

* What is no call stays text, exactly as the model wrote it.
* What breaks after its arguments began ends the call as it stands: with a bracket open they are no JSON, so no client can mistake them
  for whole, and agents tell their model of arguments that do not parse. The answer goes on, with a note.
* The closing marker ends a call wherever it stands, even in a string: the nonce keeps anything else from looking like it.

White space around calls and a code fence that only wraps them are left out. Every decision depends on the text alone, never on where
it was cut.
"""

import re
from collections.abc import Iterable
from typing import Final

from cody_oai_router.adapt.tool_call import SPACE, Call, closing, opening
from cody_oai_router.conversation import Tool
from cody_oai_router.events import Adapted, Event, Failed, Stop, StopReason, Text

# White space around calls up to this is left out: some blank lines and an indentation.
MAX_SPACE: Final = 64

# A whole answer is read in pieces of this size, so that thousands of markers in it do not cost the square.
_AT_ONCE: Final = 16 * 1024

_FENCE: Final = re.compile(r"[ \t]{0,8}```[\w-]{0,16}")
_FENCE_SO_FAR: Final = re.compile(r"[ \t]{0,8}`{1,3}[\w-]{0,16}")
_CLOSING_FENCE: Final = re.compile(r"[ \t]{0,8}```(?!\w)")


class CallFinder:
    """Turns the text of one answer into text and calls; other events pass."""

    __slots__ = (
        "_call",
        "_closing",
        "_count",
        "_held",
        "_names",
        "_nonce",
        "_noted",
        "_opening",
        "_out",
        "_prose",
        "_whole",
    )

    def __init__(self, tools: Iterable[Tool], nonce: str) -> None:
        self._names = frozenset(tool.name for tool in tools)
        self._nonce = nonce
        self._opening = opening(nonce)
        self._closing = closing(nonce)
        self._held = ""  # what cannot be judged before more has come
        self._prose = _Prose()
        self._call: Call | None = None
        self._count = 0
        self._whole = False  # of the last call
        self._noted: set[str] = set()
        self._out: list[Event] = []

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        """Takes a batch of events and gives what can be passed on."""
        for event in events:
            match event:
                case Text():
                    self._take(event.text)
                case Stop():
                    self._flush(cut=event.reason != "stop")
                    self._out.append(Stop(self._reason(event.reason)))
                case Failed():
                    self._flush(cut=True)
                    self._out.append(event)
                case _:
                    self._out.append(event)
        out, self._out = self._out, []
        return out

    def _reason(self, reason: StopReason) -> StopReason:
        return "tool_calls" if reason == "stop" and self._whole else reason

    def _take(self, text: str) -> None:
        for start in range(0, len(text), _AT_ONCE):
            rest = self._held + text[start : start + _AT_ONCE]
            self._held = ""
            while rest:
                rest = self._outside(rest) if self._call is None else self._inside(self._call, rest)

    def _outside(self, text: str) -> str:
        """Passes text on up to a call, or up to what may become one; gives what is left."""
        at = text.find(self._opening)
        if at < 0:
            hold = self._prose.wrap(text, self._partial(text), _FENCE_SO_FAR)
            self._say(text[:hold])
            self._held = text[hold:]
            return ""
        start = self._prose.wrap(text, at, _FENCE)
        self._say(text[:start])
        if self._prose.in_code and text[start:at].strip(SPACE) == "```":
            fence_end = _before_space(text, at)  # it closes a block of the answer, so it is no wrapping
            self._say(text[start:fence_end])
            start = fence_end
        self._call = Call(self._names, self._count, f"call_{self._nonce}_{self._count}", text[start:at])
        return text[at + len(self._opening) :]

    def _inside(self, call: Call, text: str) -> str:
        """Takes the text of a call up to the next marker; gives what is left."""
        marks = [at for at in (text.find(self._closing), text.find(self._opening)) if at >= 0]
        end = min(marks, default=self._partial(text))
        left = call.feed(text[:end], self._out) if end else None
        if left is None and not marks:
            self._held = text[end:]
            return ""
        if not call.name:
            return self._unread(call) + text[end:]
        closed = left is None and text.startswith(self._closing, end)
        self._end(call, closed=closed, cut=False)
        return (left or "") + text[end + len(self._closing) if closed else end :]

    def _partial(self, text: str) -> int:
        """Gives where a marker may have begun, else the end."""
        at = text.rfind("<", max(0, len(text) - len(self._closing) + 1))
        begun = text[at:] if at >= 0 else ""
        return at if begun and (self._closing.startswith(begun) or self._opening.startswith(begun)) else len(text)

    def _unread(self, call: Call) -> str:
        """Takes the marker of what is no call for text; gives what followed it."""
        self._call = None
        self._say(call.wrap + self._opening)
        self._note("tool-calls:unreadable")
        return call.written()

    def _end(self, call: Call, *, closed: bool, cut: bool) -> None:
        self._call = None
        self._count += 1
        self._whole = call.whole
        self._prose.after_call(call.wrap)
        if not call.whole:
            if not cut:
                self._note("tool-calls:broken")
        elif call.repaired or not (closed and call.complete):
            self._note("tool-calls:repaired")

    def _flush(self, *, cut: bool) -> None:
        """Settles what is held, since nothing more comes; `cut` tells that the model did not end by itself."""
        held, self._held = self._held, ""
        call = self._call
        if call is not None and call.name:
            if not call.whole:
                call.feed(held, self._out)
            self._end(call, closed=False, cut=cut)
        elif call is not None:
            self._say(self._unread(call) + held)
        elif not self._prose.is_wrapping(held):
            self._say(held)

    def _say(self, text: str) -> None:
        said = self._prose.say(text) if text else ""
        if said:
            self._out.append(Text(said))

    def _note(self, note: str) -> None:
        if note not in self._noted:
            self._noted.add(note)
            self._out.append(Adapted(note))


class _Prose:
    """Follows the text around the calls: what of it only wraps them."""

    __slots__ = ("_after_call", "_fenced", "_line", "_unclosed")

    def __init__(self) -> None:
        self._fenced = False  # whether the lines so far left a code block open
        self._line = ""  # the first letters of the line at hand
        self._after_call = False  # nothing but white space since the last call
        self._unclosed = False  # the fence before a call was left out, so the one that closes it goes too

    @property
    def in_code(self) -> bool:
        """Whether what was said ends inside a code block."""
        return self._fenced != (self._line == "```")

    def say(self, text: str) -> str:
        """Gives what is passed on of a text, and follows it."""
        if text.strip(SPACE):
            text = self._without_fence(text)
            self._unclosed = False
            self._after_call = self._after_call and not text.strip(SPACE)
        *lines, last = (self._line + text).split("\n")
        for line in lines:
            self._fenced ^= line.lstrip(SPACE).startswith("```")
        self._line = last.lstrip(SPACE)[:3]
        return text

    def wrap(self, text: str, end: int, fence: re.Pattern[str]) -> int:
        """Gives where the white space, and the fence, begin that stand directly before `end`."""
        inner = _before_space(text, end)
        line = text.rfind("\n", 0, inner) + 1
        if (line or not self._line) and fence.fullmatch(text, line, inner):
            return _before_space(text, line)
        return inner

    def after_call(self, wrap: str) -> None:
        """Notes that a call stood here, and what before it was left out."""
        fence = wrap.strip(SPACE)
        if fence:
            self._unclosed = fence != "```" or not self._unclosed
        self._after_call = True
        self._line = ""

    def is_wrapping(self, text: str) -> bool:
        """Tells whether a text at the end belongs to the call before it: white space, and the end of its fence."""
        return self._after_call and not self._without_fence(text).strip(SPACE)

    def _without_fence(self, text: str) -> str:
        """Gives a text after a call without the fence that closes the one left out before the call."""
        start = len(text) - len(text.lstrip(SPACE))
        if self._unclosed and _CLOSING_FENCE.match(text, text.rfind("\n", 0, start) + 1):
            return text[: _before_space(text, start)] + text[start + len("```") :]
        return text


def _before_space(text: str, end: int) -> int:
    """Gives where the white space before `end` begins, within reason."""
    start = max(0, end - MAX_SPACE)
    return start + len(text[start:end].rstrip(SPACE))
