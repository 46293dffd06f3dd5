"""Puts the pieces of tool calls where they belong.

The LLM API gives every piece `index: 0` (contract §3.2, traps 17 and 18). A new call is told by a new id; where there are no ids at
all, by a name or by arguments that go on after a complete JSON document. Real indexes, should they come, agree with this.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Final

from cody_oai_router.events import Adapted, CallArguments, CallStart, Event

_MARKS: Final = re.compile(r'["\\{}\[\]]')


class Documents:
    """Follows JSON text and tells where one document ends and the next begins; bytes of strings are not documents."""

    __slots__ = ("_depth", "_escaped", "_in_string", "complete")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.complete = False

    def take(self, text: str) -> Iterator[str]:
        """Takes the next piece; gives what still belongs to the document at hand (maybe nothing), then each that begins."""
        start = 0
        position = 1 if self._escaped and text else 0
        self._escaped = self._escaped and not text
        while match := _MARKS.search(text, position):
            at, mark = match.start(), match.group()
            position = at + 1
            if self.complete and mark == "{":
                yield text[start:at]
                start = at
                self.complete = False
            if mark == "\\" and self._in_string:
                self._escaped = position >= len(text)
                position += 1
            elif not self.complete:
                self._mark(mark)
        yield text[start:]

    def _mark(self, mark: str) -> None:
        if mark == '"':
            self._in_string = not self._in_string
        elif not self._in_string and mark != "\\":
            self._depth += 1 if mark in "{[" else -1
            if self._depth <= 0:
                self.complete = True
                self._depth = 0


class _Call:
    """One call: the id that upstream uses for it, and how many calls have been taken out of that one so far."""

    __slots__ = ("documents", "empty", "index", "name", "splits", "upstream_id")

    def __init__(self, index: int, upstream_id: str, name: str, splits: int, documents: Documents) -> None:
        self.index = index
        self.upstream_id = upstream_id
        self.name = name
        self.splits = splits
        self.documents = documents
        self.empty = True

    @property
    def id(self) -> str:
        return f"{self.upstream_id}_{self.splits + 1}" if self.splits and self.upstream_id else self.upstream_id


class CallIndexer:
    """Turns upstream's pieces of calls into events with gapless indexes."""

    __slots__ = ("_by_id", "_by_index", "_calls", "_count", "_current", "_limit", "_split")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._calls: list[_Call] = []
        self._current: _Call | None = None
        self._split = False

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
            call = self._begin(index, _Call(self._count, call_id, name, 0, Documents()), events)
        self._current = call
        if arguments:
            self._arguments(call, index, arguments, events)
        return events

    def rest(self) -> list[Event]:
        """Gives an empty object to each call that got no arguments, as tools without parameters do: clients parse them."""
        empty = [call for call in self._calls if call.empty]
        filled: list[Event] = [CallArguments(call.index, "{}") for call in empty]
        return [*filled, Adapted("arguments:filled")] if filled else filled

    def _known(self, index: int, call_id: str, name: str) -> _Call | None:
        if call_id:
            return self._by_id.get(call_id)
        call = self._by_index.get(index)
        if call is None:
            return None if name else self._current
        return None if name and (call.documents.complete or name != call.name) else call

    def _begin(self, index: int, call: _Call, events: list[Event]) -> _Call:
        self._count += 1
        self._calls.append(call)
        if call.upstream_id:
            self._by_id[call.upstream_id] = call  # what upstream still sends under this id belongs to its newest call
        self._by_index[index] = call
        events.append(CallStart(call.index, call.id, call.name))
        return call

    def _arguments(self, call: _Call, index: int, text: str, events: list[Event]) -> None:
        own, *others = itertools.islice(call.documents.take(text), self._limit + 1)
        if own:
            call.empty = False
            events.append(CallArguments(call.index, own))
        if others and not self._split:
            self._split = True
            events.append(Adapted("tool-calls:split"))
        for document in others:
            following = _Call(self._count, call.upstream_id, call.name, call.splits + 1, call.documents)
            self._current = call = self._begin(index, following, events)
            call.empty = False
            events.append(CallArguments(call.index, document))
