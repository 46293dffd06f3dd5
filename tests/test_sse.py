"""Frames: what the bytes of a stream mean, however they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.sse import Frame, Lines, Splitter, write_comment, write_data
from strategies import cut, fed, places


def split(data: bytes, limit: int = 1000) -> list[Frame]:
    splitter = Splitter(limit)
    return splitter.feed(data) + splitter.finish()


def data(*texts: bytes) -> list[Frame]:
    return [Frame(b"", text) for text in texts]


CASES = [
    (b"data: one\n\n", data(b"one")),
    (b"data: one\n\ndata: two\n\n", data(b"one", b"two")),
    (b"data:one\n\n", data(b"one")),
    (b"data:  one\n\n", data(b" one")),
    (b"data: one\r\n\r\ndata: two\r\n\r\n", data(b"one", b"two")),
    (b"data: one\r\rdata: two\r\r", data(b"one", b"two")),
    (b"data: one\n\r\ndata: two\r\n\n", data(b"one", b"two")),
    (b"\xef\xbb\xbfdata: one\n\n", data(b"one")),
    (b"\xef\xbb\xbf\n\ndata: one\n\n", data(b"one")),
    (b'data: {"a":\ndata: 1}\n\n', data(b'{"a":\n1}')),
    (b"data: one\ndata: two\n\n", data(b"one\ntwo")),
    (b"data\n\n", data(b"")),
    (b"data:\ndata:\n\n", data(b"\n")),
    (b"event: error\ndata: x\n\ndata: y\n\n", [Frame(b"error", b"x"), Frame(b"", b"y")]),
    (b"event:error\ndata:x\n\n", [Frame(b"error", b"x")]),
    (b"event: done\n\ndata: y\n\n", data(b"y")),
    (b": keep-alive\n\nid: 7\nretry: 10\ndata: x\n\n", data(b"x")),
    (b"\n\n\n\ndata: x\n\n\n", data(b"x")),
    (b'data: x\n\n{"message":"late"}\n', [Frame(b"", b"x"), Frame(b"", b'{"message":"late"}', stray=True)]),
    (b'data: x\n\n{"message":"cut off', [Frame(b"", b"x"), Frame(b"", b'{"message":"cut off', stray=True)]),
    (b" data: x\n\n", [Frame(b"", b" data: x", stray=True)]),
    (b"data: x", data(b"x")),
    (b"data: x\n", data(b"x")),
    (b"data: x\r", data(b"x")),
    (b"", []),
    (b"\n\n", []),
]


@pytest.mark.parametrize(("wire", "frames"), CASES)
def test_the_frames_of_a_stream(wire: bytes, frames: list[Frame]) -> None:
    assert split(wire) == frames


@pytest.mark.parametrize(("wire", "frames"), CASES)
def test_byte_by_byte(wire: bytes, frames: list[Frame]) -> None:
    splitter = Splitter()
    assert fed(splitter.feed, [wire[i : i + 1] for i in range(len(wire))]) + splitter.finish() == frames


LINES = st.sampled_from(
    [b"data: x", b"data:x", b"data: \xc3\xa9", b"event: e", b"", b"", b": c", b"stray", b"data", b"\xef\xbb\xbfdata: b"]
)
WIRE = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])).map(b"".join), max_size=12)


@given(WIRE.map(b"".join), places, st.integers(1, 40))
def test_any_cut_gives_the_same_frames_up_to_the_same_limit(wire: bytes, where: list[int], limit: int) -> None:
    whole, pieces = Splitter(limit), Splitter(limit)
    expected = whole.feed(wire) + whole.finish()
    assert fed(pieces.feed, cut(wire, where)) + pieces.finish() == expected
    assert pieces.overflowed == whole.overflowed


@given(st.binary(max_size=200), places)
def test_any_bytes_are_cut_alike(wire: bytes, where: list[int]) -> None:
    pieces = Splitter(1000)
    assert fed(pieces.feed, cut(wire, where)) + pieces.finish() == split(wire)


@pytest.mark.parametrize(
    ("wire", "overflowed", "frames"),
    [
        (b"data: 5678901234\n\n", False, data(b"5678901234")),
        (b"data: 56789012345\n\n", True, []),
        (b"data: a\n\ndata: 56789012345\n\ndata: b\n\n", True, data(b"a")),
        (b"data: a\n\n: 6789012345678901\n\ndata: b\n\n", True, data(b"a")),
        (b"data: a\n\n56789012345678901", True, data(b"a")),
        (b"data: 789012\ndata: 789012\ndata: 7\n\n", False, data(b"789012\n789012\n7")),
        (b"data: 789012\ndata: 789012\ndata: 78\n\n", True, []),
        (b": 34567890123456\n\ndata: b\n\n", False, data(b"b")),
        (b"data:\n" * 16 + b"\n", False, data(b"\n" * 15)),
        (b"data:\n" * 17, True, []),
    ],
)
def test_a_line_or_an_event_longer_than_the_limit_ends_it(wire: bytes, overflowed: bool, frames: list[Frame]) -> None:
    splitter = Splitter(16)
    assert splitter.feed(wire) == frames
    assert splitter.overflowed == overflowed
    assert splitter._pieces == splitter._data == []
    late = splitter.feed(b"data: late\n\n") + splitter.finish()
    assert late == ([] if overflowed else data(b"late"))


def test_limits_start_anew_with_each_event() -> None:
    splitter = Splitter(16)
    assert fed(splitter.feed, [b"data: 789012\n", b"\n"] * 5) == data(*[b"789012"] * 5)


@pytest.mark.parametrize(
    ("wire", "lines"),
    [
        (b"data: one\n\n", Lines(b"", b"one", 1)),
        (b"data: \n\n", Lines(b"", b"", 1)),
        (b"data: one\n\ndata: two\n\ndata: \n\n", Lines(b"", b"one\rtwo\r", 3)),
        (b"event: e\ndata: one\n\n", Lines(b"e", b"one", 1)),
        (b"event: e\ndata: one\n\nevent: e\ndata: two\n\n", Lines(b"e", b"one\rtwo", 2)),
        # Anything else is taken line by line: another name, several lines, no line, another line end, part of an event.
        (b"event: e\ndata: one\n\nevent: f\ndata: two\n\n", None),
        (b"event: e\ndata: one\n\ndata: two\n\n", None),
        (b"data: one\n\nevent: e\ndata: two\n\n", None),
        (b"data: one\ndata: two\n\n", None),
        (b"data: one\n\ndata: two\ndata: three\n\n", None),
        (b"data: one\n\n\n\n", None),
        (b"data: one\n\nstray\n\n", None),
        (b"event: e\n\n", None),
        (b"event: e\nid: 1\ndata: one\n\n", None),
        (b"event:e\ndata: one\n\n", None),
        (b"data:one\n\n", None),
        (b"data: one\r\n\r\n", None),
        (b"data: one\r\n\ndata: two\n\n", None),
        (b"data: one\n\ndata: tw", None),
        (b"data: one\n", None),
        (b"\xef\xbb\xbfdata: one\n\n", None),
        (b"data: " + b"x" * 993 + b"\n\n", None),
        (b"", None),
    ],
)
def test_events_that_are_alike_stay_together(wire: bytes, lines: Lines | None) -> None:
    splitter = Splitter(1000)
    assert splitter.lines(wire) == lines
    frames = splitter.cut(wire) if lines is None else lines.frames()
    assert frames + splitter.finish() == split(wire)
    assert lines is None or frames == Splitter(1000).cut(wire)


@pytest.mark.parametrize("before", [b"d", b"data: a\n", b"event: e\n", b"data: a\n\n\r"])
def test_in_the_middle_of_an_event_nothing_is_alike(before: bytes) -> None:
    splitter = Splitter()
    splitter.feed(before)
    assert splitter.lines(b"data: one\n\n") is None


def test_after_the_limit_nothing_is_alike() -> None:
    splitter = Splitter(16)
    splitter.feed(b"data: 56789012345\n\n")
    assert splitter.overflowed
    assert splitter.lines(b"data: one\n\n") is None


def test_a_mark_of_byte_order_is_none_after_the_first_event() -> None:
    splitter = Splitter()
    assert splitter.lines(b"data: one\n\n") == Lines(b"", b"one", 1)
    assert splitter.feed(b"\xef\xbb\xbfdata: two\n\n") == [Frame(b"", b"\xef\xbb\xbfdata: two", stray=True)]


def test_after_a_cut_frame_whole_frames_are_still_whole() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: o") == []
    assert splitter.feed(b"ne\n\ndata: two\n\n") == data(b"one", b"two")
    assert splitter.feed(b"data: three\n\n") == data(b"three")


def test_a_line_feed_after_a_carriage_return_that_ended_a_read_is_no_second_line_end() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: one\r") == []
    assert splitter.feed(b"\ndata: two\r\n\r") == data(b"one\ntwo")
    assert splitter.feed(b"\ndata: three\n\n") == data(b"three")


def test_the_end_comes_once() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: one") == []
    assert splitter.finish() == data(b"one")
    assert splitter.finish() == []


def test_writing() -> None:
    assert write_data(b'{"a":1}') == b'data: {"a":1}\n\n'
    assert write_comment("keep-alive") == b": keep-alive\n\n"


@given(st.lists(st.binary(max_size=20).filter(lambda item: b"\n" not in item and b"\r" not in item), max_size=5))
def test_what_is_written_is_read_again(payloads: list[bytes]) -> None:
    assert split(b": hello\n\n" + b"".join(map(write_data, payloads))) == data(*payloads)
