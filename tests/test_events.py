"""Events: a closed union, each member a value."""

from typing import get_args

import msgspec
import pytest

from cody_oai_router import events
from cody_oai_router.events import Event, Failed, StopReason, Usage
from cody_oai_router.faults import Fault


def test_the_union_holds_every_event_there_is() -> None:
    made = {kind for kind in vars(events).values() if isinstance(kind, type) and kind.__module__ == events.__name__}
    assert set(get_args(Event)) == made


def test_openais_four_reasons() -> None:
    assert set(get_args(StopReason)) == {"stop", "length", "tool_calls", "content_filter"}


def test_events_are_values() -> None:
    failed = Failed(Fault(kind="internal", message="x"))
    assert failed == Failed(Fault(kind="internal", message="x"))
    with pytest.raises(AttributeError):
        failed.fault = Fault(kind="internal", message="y")  # type: ignore[misc]  # that is the point


def test_usage_tells_zero_from_absent_where_clients_can() -> None:
    assert msgspec.structs.asdict(Usage()) == {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "cached_tokens": None,
        "cache_creation_tokens": None,
        "reasoning_tokens": None,
        "credits": None,
        "billed_tokens": None,
        "estimated": False,
    }
