"""Puts the results of tools where Cody's stream wants them: each call answered, right after the turn that called.

A call without a result makes the server drop all calls of that turn, and a result without its call is refused (contract §4.3, traps 5,
7 and 8). So a missing result is filled in and a stray one goes as text; both are reported.
"""

import itertools
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
    used: set[str] = set()  # ids of calls
    paired: list[Turn] = []
    position = 0
    while position < len(turns):
        turn = turns[position]
        position += 1
        if turn.role == "assistant" and turn.calls:
            while position < len(turns) and turns[position].role == "assistant" and turns[position].calls:
                turn = joined((turn, turns[position]))  # their results come together
                notes.add("messages:merged")
                position += 1
            end = _end_of_round(turns, position)
            paired += _round(turn, turns[position:end], used, notes)
            position = end
        else:
            paired.append(_stray(turn, notes))
    return tuple(paired), notes


def _end_of_round(turns: tuple[Turn, ...], start: int) -> int:
    """Finds where the assistant speaks again: until then results may come."""
    return next((index for index in range(start, len(turns)) if turns[index].role == "assistant"), len(turns))


def _round(caller: Turn, following: tuple[Turn, ...], used: set[str], notes: set[str]) -> list[Turn]:
    calls = tuple(_readable(call, notes) for call in _named(caller.calls, used))
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


def _named(calls: tuple[ToolCall, ...], used: set[str]) -> tuple[ToolCall, ...]:
    """Gives each call an id that no other call of the conversation has, as providers demand; an id that is alone stays."""
    taken = used | {call.id for call in calls}
    named: list[ToolCall] = []
    for call in calls:
        call_id = call.id if call.id and call.id not in used else _free(call.id or "call", taken)
        used.add(call_id)
        taken.add(call_id)
        named.append(call if call_id == call.id else msgspec.structs.replace(call, id=call_id))
    return tuple(named)


def _readable(call: ToolCall, notes: set[str]) -> ToolCall:
    """Gives a call with arguments that are a JSON object, as providers demand: a model may have been cut off in the middle of them."""
    try:
        _object(call.arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        notes.add("arguments:wrapped")
        written = _encode({"arguments": call.arguments.encode("utf-8", "replace").decode()})
        return msgspec.structs.replace(call, arguments=written.decode())
    return call


def _free(call_id: str, taken: set[str]) -> str:
    return next(name for number in itertools.count(1) if (name := f"{call_id}_{number}") not in taken)


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
