"""Text that an instance said otherwise before: the last one where nothing was shown, a note where it was (trap 38)."""

import pytest

from cody_oai_router.adapt import rewrites
from cody_oai_router.adapt.rewrites import Rewrites
from cody_oai_router.events import Adapted, Event, Failed, Reasoning, Rewritten, Stop, Text, Usage
from cody_oai_router.faults import Fault

BROKEN = Failed(Fault(kind="bad_gateway", message="broken"))
TOLD = Adapted("text:rewritten")


def settled(events: list[Event], *, whole: bool) -> list[Event]:
    """Gives what comes out of all events, which is the same for one batch and for many."""
    one_by_one, at_once = Rewrites(whole=whole), Rewrites(whole=whole)
    out = [found for event in events for found in one_by_one.adapt([event])]
    assert out == at_once.adapt(events)
    return out


@pytest.mark.parametrize(
    ("events", "out"),
    [
        ([Text("a"), Text("b"), Stop("stop")], [Text("a"), Text("b"), Stop("stop")]),
        ([Text("ab"), Rewritten("X"), Text("Y"), Stop("stop")], [Text("X"), Text("Y"), Stop("stop")]),
        (
            [Text("a"), Rewritten("X"), Reasoning("hm"), Rewritten("Y"), Usage(1), Stop("stop"), Usage(2)],
            [Reasoning("hm"), Usage(1), Text("Y"), Stop("stop"), Usage(2)],
        ),
        ([Text("a"), BROKEN], [Text("a"), BROKEN]),
        ([Text("a")], []),
    ],
)
def test_of_a_whole_answer_the_last_text_comes_at_its_end(events: list[Event], out: list[Event]) -> None:
    assert settled(events, whole=True) == out


def test_what_is_held_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrites, "MAX_HELD", 4)
    fits: list[Event] = [Text("ab"), Text("cd"), Rewritten("abcd"), Stop("stop")]
    assert settled(fits, whole=True) == [Text("abcd"), Stop("stop")]
    *_, failed = settled([Text("abcd"), Reasoning("hm"), Text("e"), Text("f"), Stop("stop")], whole=True)
    assert isinstance(failed, Failed)
    assert failed.fault.message == "Sourcegraph's answer is longer than the router can hold until its end."


def test_of_a_stream_everything_passes_at_once_and_a_rewriting_is_told() -> None:
    events: list[Event] = [Text("ab"), Rewritten("X"), Text("Y"), Usage(1), Stop("stop")]
    assert settled(events, whole=False) == [Text("ab"), TOLD, Text("Y"), Usage(1), Stop("stop")]
    assert settled([Text("a")], whole=False) == [Text("a")]
