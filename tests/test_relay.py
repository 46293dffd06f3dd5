"""The way across: a stream or a whole body, and when an answer is complete (ARCHITECTURE.md; traps 20, 29, 39, 62)."""

import pytest
from hypothesis import given

from cody_oai_router.dialects import llm_chat
from cody_oai_router.events import Event, Failed, Stop, Text
from cody_oai_router.faults import EMPTY_ANSWER, Fault
from cody_oai_router.relay import Source
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


def source(event_limit: int = 1000, reply_limit: int = 1000) -> Source:
    return Source(llm_chat.Reader(), llm_chat.read_reply, event_limit=event_limit, reply_limit=reply_limit)


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
        if not where:
            assert "".join(event.text for event in events if isinstance(event, Text)) is not None
