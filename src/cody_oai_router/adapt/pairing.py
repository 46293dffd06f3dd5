"""Puts the results of tools where Cody's stream wants them: each call answered, right after the turn that called.

A call without a result makes the server drop all calls of that turn, and a result without its call is refused (contract §4.3, traps 5,
7 and 8). So a missing result is filled in and a stray one goes as text; both are reported.
"""

import itertools
from typing import Final

import msgspec

from cody_oai_router.adapt.roles import wrapped
from cody_oai_router.conversation import ImagePart, TextPart, ToolCall, Turn

_NO_RESULT: Final = TextPart(msgspec.Raw(b'"(no result)"'))
_RESULTS: Final = frozenset({"tool", "function"})


def pair_results(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], set[str]]:
    """Gives the turns with a `tool` turn for each call right after it, in the order of the calls, and notes of what was changed."""
    notes: set[str] = set()
    paired: list[Turn] = []
    position = 0
    while position < len(turns):
        turn = turns[position]
        position += 1
        if turn.role == "assistant" and turn.calls:
            end = _end_of_round(turns, position)
            paired += _round(turn, turns[position:end], notes)
            position = end
        else:
            paired.append(_stray(turn, notes))
    return tuple(paired), notes


def _end_of_round(turns: tuple[Turn, ...], start: int) -> int:
    """Finds where the assistant speaks again: until then results may come."""
    return next((index for index in range(start, len(turns)) if turns[index].role == "assistant"), len(turns))


def _round(caller: Turn, following: tuple[Turn, ...], notes: set[str]) -> list[Turn]:
    calls = _named(caller.calls)
    results: dict[str, Turn] = {}
    others: list[Turn] = []
    for turn in following:
        call_id = _answered(turn, calls, results)
        if call_id is None:
            others.append(_stray(turn, notes))
        else:
            results[call_id] = _result(turn, call_id, notes)
    if len(results) < len(calls):
        notes.add("tool-results:filled")
    answers = [results.get(call.id) or Turn(role="tool", parts=(_NO_RESULT,), call_id=call.id) for call in calls]
    return [msgspec.structs.replace(caller, calls=calls), *answers, *others]


def _named(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """Gives each call an id of its own, since results find their calls by it; an id that is alone stays."""
    taken = {call.id for call in calls}
    seen = {""}
    named: list[ToolCall] = []
    for call in calls:
        call_id = call.id if call.id not in seen else _free(call.id or "call", taken)
        seen.add(call_id)
        taken.add(call_id)
        named.append(call if call_id == call.id else msgspec.structs.replace(call, id=call_id))
    return tuple(named)


def _free(call_id: str, taken: set[str]) -> str:
    return next(name for number in itertools.count(1) if (name := f"{call_id}_{number}") not in taken)


def _answered(turn: Turn, calls: tuple[ToolCall, ...], results: dict[str, Turn]) -> str | None:
    """Finds the call that a turn answers, by its id or, as legacy function results have none, by the function's name."""
    if turn.role not in _RESULTS:
        return None
    open_calls = [call for call in calls if call.id not in results]
    if turn.call_id:
        return next((call.id for call in open_calls if call.id == turn.call_id), None)
    return next((call.id for call in open_calls if call.name == turn.name), None)


def _result(turn: Turn, call_id: str, notes: set[str]) -> Turn:
    if any(isinstance(part, ImagePart) for part in turn.parts):
        notes.add("tool-images:beside")
    return Turn(role="tool", parts=turn.parts, listed=turn.listed, call_id=call_id)


def _stray(turn: Turn, notes: set[str]) -> Turn:
    return wrapped(turn, notes) if turn.role in _RESULTS else turn
