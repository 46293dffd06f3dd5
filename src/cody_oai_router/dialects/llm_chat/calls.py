"""Puts the pieces of tool calls where they belong.

The LLM API gives every piece `index: 0` (contract §3.2, traps 17 and 18). A new call is told by a new id; where there are no ids at
all, by a name or by arguments that go on after a complete JSON document. Real indexes, should they come, agree with this.
"""

import re
from typing import Final

from cody_oai_router.events import Adapted, CallArguments, CallStart, Event

_MARKS: Final = re.compile(r'["\\{}\[\]]')
_SPACE: Final = " \t\r\n"


class Documents:
    """Follows JSON text and tells where one document ends and the next begins; bytes of strings are not documents."""

    __slots__ = ("_depth", "_escaped", "_in_string", "complete")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.complete = False

    def take(self, text: str) -> tuple[str, str]:
        """Takes the next piece; gives what still belongs to this document, and what begins another."""
        if self.complete:
            rest = text.lstrip(_SPACE)
            return ("", rest) if rest.startswith("{") else (text, "")
        position = 0
        if self._escaped and text:
            self._escaped = False
            position = 1
        while match := _MARKS.search(text, position):
            position, complete = self._mark(match.group(), match.start(), text)
            if complete:
                more, rest = self.take(text[position:])
                return text[:position] + more, rest
        return text, ""

    def _mark(self, mark: str, at: int, text: str) -> tuple[int, bool]:
        """Takes one mark; gives where to look on, and whether it ended the document."""
        if mark == "\\":
            self._escaped = self._in_string and at + 1 >= len(text)
            return (at + 2 if self._in_string else at + 1), False
        if mark == '"':
            self._in_string = not self._in_string
        elif not self._in_string:
            self._depth += 1 if mark in "{[" else -1
            self.complete = self._depth <= 0
        return at + 1, self.complete


class _Call:
    """One call: the id that upstream uses for it, and how many calls have been taken out of that one so far."""

    __slots__ = ("documents", "index", "name", "splits", "upstream_id")

    def __init__(self, index: int, upstream_id: str, name: str, splits: int) -> None:
        self.index = index
        self.upstream_id = upstream_id
        self.name = name
        self.splits = splits
        self.documents = Documents()

    @property
    def id(self) -> str:
        return f"{self.upstream_id}_{self.splits + 1}" if self.splits and self.upstream_id else self.upstream_id


class CallIndexer:
    """Turns upstream's pieces of calls into events with gapless indexes."""

    __slots__ = ("_by_id", "_by_index", "_count", "_current", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._current: _Call | None = None

    @property
    def count(self) -> int:
        """How many calls have begun."""
        return self._count

    @property
    def overflowed(self) -> bool:
        """Whether upstream began more calls than anyone could have meant."""
        return self._count > self._limit

    def take(self, index: int, call_id: str, name: str, arguments: str) -> list[Event]:
        """Takes one piece as upstream gave it: empty id and name mean that the last call goes on."""
        events: list[Event] = []
        call = self._known(index, call_id, name)
        if call is None:
            call = self._start(index, call_id, name, events)
        self._current = call
        if arguments:
            self._arguments(call, index, arguments, events)
        return events

    def _known(self, index: int, call_id: str, name: str) -> _Call | None:
        if call_id:
            return self._by_id.get(call_id)
        call = self._by_index.get(index, self._current)
        if call is not None and name and (call.documents.complete or name != call.name):
            return None
        return call

    def _start(self, index: int, call_id: str, name: str, events: list[Event], splits: int = 0) -> _Call:
        call = _Call(self._count, call_id, name, splits)
        self._count += 1
        if call_id:
            self._by_id[call_id] = call  # what upstream still sends under this id belongs to the newest call of it
        self._by_index[index] = call
        self._current = call
        events.append(CallStart(call.index, call.id, name))
        return call

    def _arguments(self, call: _Call, index: int, text: str, events: list[Event]) -> None:
        own, rest = call.documents.take(text)
        if own:
            events.append(CallArguments(call.index, own))
        while rest and not self.overflowed:
            if not call.splits:
                events.append(Adapted("tool-calls:split"))
            call = self._start(index, call.upstream_id, call.name, events, call.splits + 1)
            own, rest = call.documents.take(rest)
            events.append(CallArguments(call.index, own))
