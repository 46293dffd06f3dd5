"""The way across: a stream or a whole body, and when an answer is complete (ARCHITECTURE.md; traps 20, 29, 39, 62)."""

from collections.abc import Iterable

import pytest
from hypothesis import given

from cody_oai_router.conversation import Reply, play
from cody_oai_router.events import Adapted, CallArguments, CallStart, Event, Failed, Stop, Text, Usage
from cody_oai_router.faults import EMPTY_ANSWER, Fault
from cody_oai_router.relay import Adaptation, Chain, Source, Upstream
from cody_oai_router.sse import Frame, Lines
from cody_oai_router.upstreams import completions_stream, llm_api
from strategies import cut, fed, places, wild_bytes

SAY = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
WHOLE = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
LATE = b'{"message":"context deadline exceeded","type":"x"}\n'
A: list[Event] = [Text("a")]
DONE: list[Event] = [Text("a"), Stop("stop")]


def failed(message: str, **fields: object) -> Failed:
    return Failed(Fault(kind="bad_gateway", message=message, **fields))  # type: ignore[arg-type]  # by name


BROKE_OFF = failed("The answer broke off: Sourcegraph closed the connection before it was complete.")
UNREADABLE = failed("Sourcegraph sent something that is not whole, or no JSON; ask again.")
NOTHING = failed("Sourcegraph answered with nothing; ask again.", code=EMPTY_ANSWER)
TIMED_OUT = Failed(
    Fault(
        kind="timed_out",
        message="The model took longer than the instance allows. Sourcegraph says: context deadline exceeded",
        said="context deadline exceeded",
    )
)


def source(
    event_limit: int = 1000,
    reply_limit: int = 1000,
    *,
    upstream: Upstream = llm_api,
    adaptation: Adaptation | None = None,
) -> Source:
    chain = Chain([adaptation]) if adaptation is not None else None
    return Source(upstream.Reader(), upstream.read_reply, chain, event_limit=event_limit, reply_limit=reply_limit)


def answer(data: bytes, *, delimited: bool) -> list[Event]:
    made = source()
    return made.feed(data) + made.end(delimited=delimited)


@pytest.mark.parametrize(
    ("body", "delimited", "cut_off"),
    [
        (SAY + STOP, DONE, DONE),
        (SAY, DONE, [*A, BROKE_OFF]),
        (SAY + b"data: [DONE]\n\n", DONE, [*A, BROKE_OFF]),
        (SAY + STOP.removesuffix(b"\n\n"), DONE, DONE),
        (SAY + STOP[:30], [*A, UNREADABLE], [*A, UNREADABLE]),
        (SAY + STOP + SAY[:20], DONE, DONE),
        (SAY + STOP + LATE, DONE, DONE),
        (SAY + LATE, [*A, TIMED_OUT], [*A, TIMED_OUT]),
        (SAY + LATE.removesuffix(b"\n"), [*A, TIMED_OUT], [*A, TIMED_OUT]),
        (b"event: error\ndata: " + LATE + b"\n" + SAY, [TIMED_OUT], [TIMED_OUT]),
        (b"context deadline exceeded", [TIMED_OUT], [TIMED_OUT]),
        (b": hello\n\n" + SAY + STOP, DONE, DONE),
        (b" \n" + SAY + STOP, DONE, DONE),
        (b"\r\n" * 500 + SAY + STOP, DONE, DONE),
        (b"data: [DONE]\n\n", [Stop("stop")], [BROKE_OFF]),
        (WHOLE, DONE, DONE),
        (b"\n " + WHOLE + b"\r\n", DONE, DONE),
        (LATE, [TIMED_OUT], [TIMED_OUT]),
        (WHOLE[:40], [UNREADABLE], [UNREADABLE]),
        (b"", [NOTHING], [NOTHING]),
        (b"\n\n ", [NOTHING], [NOTHING]),
    ],
)
def test_what_a_body_means(body: bytes, delimited: list[Event], cut_off: list[Event]) -> None:
    assert answer(body, delimited=True) == delimited
    assert answer(body, delimited=False) == cut_off
    bytewise = source()
    assert fed(bytewise.feed, [bytes([byte]) for byte in body]) + bytewise.end(delimited=True) == delimited


def test_a_web_page_and_a_list_are_whole_bodies() -> None:
    (page,) = answer(b"<html><title>Sign in</title>", delimited=True)
    assert isinstance(page, Failed)
    assert page.fault.message.startswith('A web page ("Sign in") came instead of an answer (HTTP 200)')
    (listed,) = answer(b'["rate limit"]', delimited=True)
    assert isinstance(listed, Failed)
    assert listed.fault.kind == "rate_limited"


def test_after_a_failure_nothing_comes() -> None:
    made = source()
    assert made.feed(LATE + SAY) == []
    assert made.end(delimited=True) == [UNREADABLE]
    assert made.failed == UNREADABLE.fault
    assert (made.feed(SAY), made.end(delimited=True)) == ([], [])
    assert made.fail(Fault(kind="internal", message="x")) == []


@pytest.mark.parametrize(
    ("before", "settled"), [(b"", False), (SAY, False), (SAY + STOP, True), (WHOLE, False), (b"x: y\n", True)]
)
def test_a_connection_that_fails(before: bytes, settled: bool) -> None:
    made = source()
    made.feed(before)
    fault = Fault(kind="timed_out", message="silence")
    assert made.fail(fault) == ([] if settled else [Failed(fault)])


@pytest.mark.parametrize(("before", "told"), [(LATE, True), (LATE[:-1], True), (LATE[:20], False), (WHOLE, False)])
def test_an_error_that_came_whole_before_the_connection_failed_is_told(before: bytes, told: bool) -> None:
    made = source()
    made.feed(before)
    fault = Fault(kind="bad_gateway", message="reset")
    assert made.fail(fault) == [TIMED_OUT if told else Failed(fault)]


TOO_LONG_EVENT = failed("Sourcegraph sent an event that is longer than MAX_EVENT_BYTES allows.")
TOO_LONG_REPLY = failed("Sourcegraph's answer is longer than MAX_REPLY_BYTES allows.")


def test_limits() -> None:
    one = source(event_limit=100)
    assert one.feed(SAY + b"data: " + b"x" * 101) == [*A, TOO_LONG_EVENT]
    assert one.end(delimited=True) == []
    two = source(event_limit=100)
    assert two.feed(SAY + STOP + b"data: " + b"x" * 101) == DONE
    assert two.end(delimited=True) == []
    three = source(reply_limit=100)
    assert three.feed(b"{" + b" " * 99) == []
    assert three.feed(b" ") == [TOO_LONG_REPLY]
    four = source(reply_limit=10)
    assert four.feed(SAY) + four.feed(STOP) == DONE


@given(wild_bytes({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}), places)
def test_any_bytes_end_in_one_way_however_they_are_cut(body: bytes, where: list[int]) -> None:
    for data in (body, b"data: " + body + b"\n\n", SAY + body):
        made = source(event_limit=600_000, reply_limit=600_000)
        events = fed(made.feed, cut(data, where)) + made.end(delimited=True)
        ends = [event for event in events if isinstance(event, Failed | Stop)]
        assert len(ends) == 1 or isinstance(events[-1], Failed)
        assert isinstance(events[-1], Failed) == (made.failed is not None)
        uncut = source(event_limit=600_000, reply_limit=600_000)
        assert uncut.feed(data) + uncut.end(delimited=True) == events


COMPLETION = b'event: completion\ndata: {"deltaText":"a"}\n\n'
END = b"event: done\ndata: {}\n\n"
UNDONE = failed("The answer broke off: Sourcegraph ended it without saying that it was done.")
ERROR = b'event: error\ndata: {"error":"context deadline exceeded"}\n\n'


@pytest.mark.parametrize(
    ("body", "delimited", "cut_off"),
    [
        (COMPLETION + END, DONE, DONE),
        # After `event: done` nothing counts any more, whatever it is.
        (COMPLETION + END + ERROR, DONE, DONE),
        (COMPLETION + END + b"\xff{" * 9, DONE, DONE),
        (COMPLETION + END[:-2], DONE, DONE),
        (COMPLETION + END + COMPLETION, DONE, DONE),
        # Not even a proper end of the body stands for `event: done`.
        (COMPLETION, [*A, UNDONE], [*A, BROKE_OFF]),
        (COMPLETION + END[:9], [*A, UNDONE], [*A, BROKE_OFF]),
        (COMPLETION + ERROR + END, [*A, TIMED_OUT], [*A, TIMED_OUT]),
        (ERROR + END, [TIMED_OUT], [TIMED_OUT]),
        (b'{"completion":"a","stopReason":"end_turn"}', DONE, DONE),
        (b'{"error":"context deadline exceeded"}', [TIMED_OUT], [TIMED_OUT]),
        (END, [NOTHING], [NOTHING]),
        (b"", [NOTHING], [NOTHING]),
    ],
)
def test_what_a_body_of_codys_stream_means(body: bytes, delimited: list[Event], cut_off: list[Event]) -> None:
    for events, ends_well in ((delimited, True), (cut_off, False)):
        made = source(upstream=completions_stream)
        assert made.feed(body) + made.end(delimited=ends_well) == events
        bytewise = source(upstream=completions_stream)
        assert fed(bytewise.feed, [bytes([byte]) for byte in body]) + bytewise.end(delimited=ends_well) == events


def test_an_answer_of_codys_stream_is_complete_with_its_last_event() -> None:
    made = source(upstream=completions_stream, event_limit=100)
    assert (made.feed(COMPLETION), made.complete) == (A, False)
    assert (made.feed(END), made.complete) == ([Stop("stop")], True)
    assert made.feed(COMPLETION + ERROR) == []
    assert made.feed(b"data: " + b"x" * 1000) == []
    assert made.fail(Fault(kind="timed_out", message="silence")) == []
    assert made.end(delimited=False) == []
    assert (made.failed, made.cut) == (None, False)


def test_an_answer_of_the_llm_api_is_complete_only_with_a_mark_after_its_finish_word() -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    mark = b"data: [DONE]\n\n"
    made = source()
    assert (made.feed(SAY + mark), made.complete) == (A, False)
    assert (made.feed(STOP), made.complete) == ([Stop("stop")], False)
    assert (made.feed(usage), made.complete) == ([Usage(1)], False)
    assert (made.feed(mark + SAY), made.complete) == ([], True)
    assert (made.feed(SAY), made.end(delimited=False)) == ([], [])
    without = source()
    assert without.feed(SAY + STOP + usage) == [*DONE, Usage(1)]
    assert (without.end(delimited=True), without.complete) == ([], False)


@pytest.mark.parametrize(
    ("upstream", "body"), [(llm_api, WHOLE), (completions_stream, b'{"completion":"a","stopReason":"end_turn"}')]
)
def test_an_answer_in_one_piece_is_given_in_one_piece(upstream: Upstream, body: bytes) -> None:
    made = source(upstream=upstream)
    assert fed(made.feed, [b" \n", body[:9], body[9:], b"\n"]) == []
    reply = Reply(text="a")
    assert made.whole() == reply
    assert made.end(delimited=True) == list(play(reply))  # the same as events


@pytest.mark.parametrize("body", [b"", b" \n", SAY + STOP, LATE, WHOLE[:40], b"<html>", b"{" + b" " * 2000])
def test_what_is_no_answer_in_one_piece_is_left_to_events(body: bytes) -> None:
    made = source()
    made.feed(body)
    assert made.whole() is None


def test_an_answer_that_an_adaptation_has_to_see_is_given_as_events() -> None:
    made = source(adaptation=Holding())
    made.feed(WHOLE)
    assert made.whole() is None
    assert made.end(delimited=True) == [*A, Adapted("text:held"), Stop("stop")]


@pytest.mark.parametrize("upstream", [llm_api, completions_stream])
@pytest.mark.parametrize("end", [b"", ERROR])
def test_what_broke_off_is_not_complete(upstream: Upstream, end: bytes) -> None:
    made = source(upstream=upstream)
    made.feed((SAY if upstream is llm_api else COMPLETION) + end)
    made.end(delimited=False)
    assert made.failed is not None
    assert not made.complete


@pytest.mark.parametrize(("before", "settled"), [(COMPLETION, False), (COMPLETION + END, True), (ERROR, True)])
def test_a_connection_of_codys_stream_that_fails(before: bytes, settled: bool) -> None:
    made = source(upstream=completions_stream)
    made.feed(before)
    fault = Fault(kind="timed_out", message="silence")
    assert made.fail(fault) == ([] if settled else [Failed(fault)])


class Holding:
    """Holds text back until the answer ends, as what looks for calls in it does; keeps all that it was given."""

    def __init__(self) -> None:
        self.given: list[list[Event]] = []
        self._held = ""

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        batch = list(events)
        self.given.append(batch)
        out: list[Event] = []
        for event in batch:
            if isinstance(event, Text):
                self._held += event.text
                continue
            if isinstance(event, Stop | Failed) and self._held:
                out += [Text(self._held), Adapted("text:held")]
                self._held = ""
            out.append(event)
        return out


HELD: list[Event] = [Text("aa"), Adapted("text:held")]


@pytest.mark.parametrize("delimited", [True, False])
def test_an_adaptation_sees_all_events_of_a_stream(delimited: bool) -> None:
    adaptation = Holding()
    made = source(upstream=completions_stream, adaptation=adaptation)
    assert made.feed(COMPLETION) == []
    assert made.feed(b": nothing\n\n") == []
    assert made.feed(COMPLETION) == []
    assert made.feed(END) == [*HELD, Stop("stop")]
    assert made.end(delimited=delimited) == []
    assert adaptation.given == [A, A, [Stop("stop")]]


def test_an_adaptation_lets_go_of_what_it_held_before_a_failure() -> None:
    broken = source(adaptation=Holding())
    assert broken.feed(SAY + SAY) == []
    assert broken.end(delimited=False) == [*HELD, BROKE_OFF]
    assert broken.failed == BROKE_OFF.fault
    lost = source(adaptation=Holding())
    assert lost.feed(SAY + SAY) == []
    fault = Fault(kind="timed_out", message="silence")
    assert lost.fail(fault) == [*HELD, Failed(fault)]
    assert lost.failed == fault
    late = source(adaptation=Holding())
    assert late.feed(SAY + SAY + LATE) == [*HELD, TIMED_OUT]
    assert late.fail(fault) == late.end(delimited=True) == []


def test_an_adaptation_sees_a_whole_answer_too() -> None:
    adaptation = Holding()
    made = source(upstream=completions_stream, adaptation=adaptation)
    whole = b'{"completion":"aa","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}],"usage":{"prompt_tokens":1}}'
    assert made.feed(whole) == []
    calls: list[Event] = [CallStart(0, "c", "f"), CallArguments(0, "{}")]
    assert made.end(delimited=True) == [*calls, *HELD, Stop("tool_calls"), Usage(1)]
    assert len(adaptation.given) == 1


class Failing:
    """Finds something in an answer that breaks it."""

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        return [Failed(Fault(kind="bad_gateway", message="broken here")) for _ in events]


def test_a_failure_that_an_adaptation_finds_ends_the_answer() -> None:
    made = source(adaptation=Failing())
    broken = failed("broken here")
    assert made.feed(SAY) == [broken]
    assert made.failed == broken.fault
    assert (made.feed(SAY), made.end(delimited=True)) == ([], [])


@given(wild_bytes({"deltaText": "a", "stopReason": "x"}, {"completion": "a"}), places)
def test_any_bytes_of_codys_stream_end_in_one_way_however_they_are_cut(body: bytes, where: list[int]) -> None:
    for data in (body, b"event: completion\ndata: " + body + b"\n\n", COMPLETION + body, COMPLETION + END + body):
        made = source(600_000, 600_000, upstream=completions_stream, adaptation=Holding())
        events = fed(made.feed, cut(data, where)) + made.end(delimited=True)
        ends = [event for event in events if isinstance(event, Failed | Stop)]
        assert len(ends) == 1
        assert isinstance(ends[0], Failed) == (made.failed is not None)
        uncut = source(600_000, 600_000, upstream=completions_stream, adaptation=Holding())
        assert uncut.feed(data) + uncut.end(delimited=True) == events


class Cutting:
    """Ends an answer at a word of its text."""

    def __init__(self, word: str) -> None:
        self._word = word
        self.cut = False

    def adapt(self, events: Iterable[Event]) -> list[Event]:
        out: list[Event] = []
        for event in events:
            if self.cut:
                break
            out.append(event)
            if isinstance(event, Text) and self._word in event.text:
                self.cut = True
                out.append(Stop("stop"))
        return out


class Closing:
    """Has something to say at the end of an answer."""

    def finish(self) -> list[Event]:
        return [Adapted("text:closed")]


def chained(*links: Adaptation, cutter: Cutting | None = None) -> Source:
    chain = Chain([*links, *([cutter] if cutter else [])], [cutter] if cutter else [], Closing())
    return Source(llm_api.Reader(), llm_api.read_reply, chain, event_limit=1000, reply_limit=1000)


def test_an_adaptation_may_end_an_answer_and_one_may_add_to_its_end() -> None:
    cutter = Cutting("a")
    made = chained(cutter=cutter)
    assert not made.cut
    assert made.feed(SAY) == [*A, Stop("stop"), Adapted("text:closed")]
    assert (made.cut, made.complete) == (True, True)
    assert (made.feed(SAY + STOP), made.end(delimited=False)) == ([], [])
    assert made.fail(Fault(kind="bad_gateway", message="lost")) == []
    assert made.failed is None


def test_what_an_adaptation_adds_to_the_end_comes_once_and_only_to_a_complete_answer() -> None:
    whole = chained()
    assert whole.feed(SAY) == A
    assert whole.end(delimited=True) == [Stop("stop"), Adapted("text:closed")]
    broken = chained()
    broken.feed(SAY)
    assert [type(event) for event in broken.end(delimited=False)] == [Failed]
    late = chained()
    late.feed(SAY + STOP)
    assert late.fail(Fault(kind="bad_gateway", message="lost")) == [Adapted("text:closed")]


def test_a_chain_without_a_tail_adds_nothing_and_one_without_cutters_cuts_nothing() -> None:
    plain = Chain([])
    assert (plain.cut, plain.adapt([Text("a")]), plain.finish()) == (False, A, [])
    early, late = Cutting("a"), Cutting("b")
    several = Chain([early, late], [early, late])
    assert several.adapt([Text("b")]) == [Text("b"), Stop("stop")]
    assert several.cut


@pytest.mark.parametrize("ends", [True, False])
def test_the_tail_of_an_answer_comes_with_its_last_event_and_once(ends: bool) -> None:
    chain = Chain([], tail=Closing())
    made = Source(completions_stream.Reader(), completions_stream.read_reply, chain, event_limit=1000, reply_limit=1000)
    assert made.feed(COMPLETION + END) == [*DONE, Adapted("text:closed")]
    assert made.complete
    assert made.end(delimited=ends) == []


def test_a_failure_that_an_adaptation_finds_in_the_last_event_is_no_complete_answer() -> None:
    made = source(upstream=completions_stream, adaptation=Failing())
    events = made.feed(END.replace(b"done", b"completion") + END)
    assert isinstance(events[-1], Failed)
    assert (made.failed is not None, made.complete) == (True, False)


def test_the_chain_goes_from_upstream_to_the_client() -> None:
    holding = Holding()
    assert chained(holding, cutter=Cutting("a")).feed(SAY) == []
    assert holding.given == [A]


class Counting:
    """A reader that counts how often it is asked for texts alone; `more` tells that there is more than text."""

    def __init__(self) -> None:
        self.tried = 0
        self.more = False
        self.ended = self.final = False

    def texts(self, lines: Lines) -> list[Event] | None:
        self.tried += 1
        return None if self.more else [Text("t")] * lines.count

    def read(self, frames: list[Frame]) -> list[Event]:
        return [Text("r")] * len(frames)

    def finish(self) -> list[Event]:
        return []


def test_texts_are_read_in_one_go_and_other_events_are_not_tried_as_texts_each_time() -> None:
    reader = Counting()
    made = Source(reader, llm_api.read_reply, event_limit=1000, reply_limit=1000)
    assert made.feed(b"data: 1\n\n") == [Text("r")]  # the first one tells that it is a stream
    assert made.feed(b"data: 2\n\ndata: 3\n\n") == [Text("t"), Text("t")]
    assert made.feed(b"data: 4\n\ndata") == [Text("r")]
    assert made.feed(b": 5\n\n") == [Text("r")]
    assert made.feed(b"data: 6\n\n") == [Text("t")]
    reader.more, reader.tried = True, 0
    for _ in range(32):
        assert made.feed(b"data: 7\n\n") == [Text("r")]
    assert reader.tried == 2
    reader.more = False
    assert [made.feed(b"data: 8\n\n") for _ in range(17)][-1] == [Text("t")]
