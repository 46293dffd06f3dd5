"""Calls that were run together without their names: refused before a client runs the wrong tool."""

import pytest

from cody_oai_router.adapt.call_names import SPLIT, CallNames
from cody_oai_router.events import CallArguments, CallStart, Event, Failed, Stop, Text
from cody_oai_router.faults import HOLLOW_TOOL_CALLS, Fault

NAMELESS = Failed(
    Fault(
        kind="bad_gateway",
        message="Sourcegraph ran several tool calls together and left out which tools they are for; ask again.",
        code=HOLLOW_TOOL_CALLS,
    )
)
FIRST: list[Event] = [CallStart(0, "a", "f"), CallArguments(0, "{}")]
SECOND: list[Event] = [CallStart(1, "a_2", "f"), CallArguments(1, "{}")]
END = Stop("tool_calls")


@pytest.mark.parametrize(
    ("events", "out"),
    [
        ([Text("x"), *FIRST, *SECOND, END], [Text("x"), *FIRST, *SECOND, END]),
        ([Text("x"), *FIRST, SPLIT, *SECOND, END], [Text("x"), *FIRST, SPLIT, NAMELESS]),
        # As a whole answer is played, whose calls have names, and where the others were dropped.
        ([*FIRST, *SECOND, SPLIT, END], [*FIRST, *SECOND, SPLIT, END]),
        ([*FIRST, SPLIT, END], [*FIRST, SPLIT, END]),
    ],
)
def test_a_call_whose_name_was_assumed(events: list[Event], out: list[Event]) -> None:
    assert CallNames().adapt(events) == out
    one_by_one = CallNames()
    assert [found for event in events for found in one_by_one.adapt([event])] == out
