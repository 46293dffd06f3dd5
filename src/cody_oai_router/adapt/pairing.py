"""Puts the results of tools where Cody's stream wants them: each call answered, right after the turn that called.

A call without a result makes the server drop all calls of that turn, and a result without its call is refused (contract §4.3, traps 5,
7 and 8). So a missing result is filled in and a stray one goes as text; both are reported.
"""

import itertools
from collections.abc import Iterator
from typing import Final

import msgspec

from cody_oai_router.adapt.roles import joined, wrapped
from cody_oai_router.conversation import ImagePart, TextPart, ToolCall, Turn

_NO_RESULT: Final = TextPart(msgspec.Raw(b'"(no result)"'))
_SEE_IMAGE: Final = TextPart(msgspec.Raw(b'"(an image, beside this)"'))
_RESULTS: Final = frozenset({"tool", "function"})

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def pair_results(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns with a `tool` turn for each call right after it, in the order of the calls, and notes of what was changed."""
    notes: set[str] = set()
    names = _Names()
    paired: list[Turn] = []
    position = 0
    while position < len(turns):
        turn = turns[position]
        position += 1
        if _is_caller(turn):
            callers = [turn, *itertools.takewhile(_is_caller, itertools.islice(turns, position, None))]
            if len(callers) > 1:
                turn = joined(callers)  # their results come together
                notes.add("messages:merged")
                position += len(callers) - 1
            end = _end_of_round(turns, position)
            paired += _round(turn, turns[position:end], names, notes)
            position = end
        else:
            paired.append(_stray(turn, notes))
    return tuple(paired), notes


class _Names:
    """Gives each call of a conversation an id that no other one has, as providers demand.

    Some clients use one id in every round, and legacy calls have no other; so where the last search for one ended, the next goes on.
    """

    __slots__ = ("_numbers", "_used")

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = {}

    def name(self, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
        """Gives the calls of one turn with their ids; an id that is alone stays."""
        given = {call.id for call in calls}
        return tuple(self._named(call, given) for call in calls)

    def _named(self, call: ToolCall, given: set[str]) -> ToolCall:
        alone = call.id and call.id not in self._used
        call_id = call.id if alone else self._free(call.id or "call", given)
        self._used.add(call_id)
        return call if alone else msgspec.structs.replace(call, id=call_id)

    def _free(self, call_id: str, given: set[str]) -> str:
        numbers = self._numbers.setdefault(call_id, itertools.count(1))
        names = (f"{call_id}_{number}" for number in numbers)
        return next(name for name in names if name not in self._used and name not in given)


def _is_caller(turn: Turn) -> bool:
    return turn.role == "assistant" and bool(turn.calls)


def _end_of_round(turns: tuple[Turn, ...], start: int) -> int:
    """Finds where the assistant speaks again: until then results may come."""
    return next((index for index in range(start, len(turns)) if turns[index].role == "assistant"), len(turns))


def _round(caller: Turn, following: tuple[Turn, ...], names: _Names, notes: set[str]) -> list[Turn]:
    calls = tuple(_readable(call, notes) for call in names.name(caller.calls))
    results: dict[str, Turn] = {}
    others: list[Turn] = []
    for turn in following:
        waiting = [(asked, call) for asked, call in zip(caller.calls, calls, strict=True) if call.id not in results]
        call_id = _answered(turn, waiting)
        if call_id is None:
            others.append(_stray(turn, notes))
        else:
            if others:
                notes.add("tool-results:moved")
            results[call_id] = _result(turn, call_id, notes)
    if len(results) < len(calls):
        notes.add("tool-results:filled")
    answers = [results.get(call.id) or Turn(role="tool", parts=(_NO_RESULT,), call_id=call.id) for call in calls]
    return [msgspec.structs.replace(caller, calls=calls), *answers, *others]


def _readable(call: ToolCall, notes: set[str]) -> ToolCall:
    """Gives a call with arguments that are a JSON object, as providers demand: a model may have been cut off in the middle of them."""
    try:
        _object(call.arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        notes.add("arguments:wrapped")
        written = _encode({"arguments": call.arguments.encode("utf-8", "replace").decode()})
        return msgspec.structs.replace(call, arguments=written.decode())
    return call


def _answered(turn: Turn, waiting: list[tuple[ToolCall, ToolCall]]) -> str | None:
    """Finds the call that a turn answers: by the id as the client wrote it; where there is none by the function's name, else in order."""
    if turn.role not in _RESULTS:
        return None
    if turn.call_id:
        return next((call.id for asked, call in waiting if asked.id == turn.call_id), None)
    return next((call.id for asked, call in waiting if turn.name in (None, asked.name)), None)


def _result(turn: Turn, call_id: str, notes: set[str]) -> Turn:
    parts = turn.parts
    if any(isinstance(part, TextPart) and part.cache_control is not None for part in parts):
        notes.add("cache_control:dropped")  # a result is a string and has no place for it
    if any(isinstance(part, ImagePart) for part in parts):
        notes.add("tool-images:beside")
        if not any(isinstance(part, TextPart) and len(part.text) > len(b'""') for part in parts):
            parts = (_SEE_IMAGE, *parts)
    return Turn(role="tool", parts=parts, listed=turn.listed, call_id=call_id)


def _stray(turn: Turn, notes: set[str]) -> Turn:
    return wrapped(turn, notes) if turn.role in _RESULTS else turn
