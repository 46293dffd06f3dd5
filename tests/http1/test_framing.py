"""Where bodies end, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.http1.framing import Chunked, Framing, FramingError, Sized, UntilClose


def feed_all(framing: Framing, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Return the payload and what came after the body."""
    payload, rest = b"", b""
    for piece in pieces:
        if framing.done:
            rest += piece
        else:
            payload += framing.feed(piece)
            rest = framing.rest
    return payload, rest


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in at})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.binary(max_size=60), st.binary(max_size=10), st.lists(st.integers(0, 100)))
def test_a_sized_body_ends_after_its_length(body: bytes, rest: bytes, at: list[int]) -> None:
    framing = Sized(len(body))
    assert feed_all(framing, cut(body + rest, at)) == (body, rest)
    assert framing.done


SIZE_LINES = ["%x\r\n", "%X\r\n", "0%x\r\n", "%x;a=b\r\n"]


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    st.sampled_from(SIZE_LINES),
    st.binary(max_size=10),
    st.lists(st.integers(0, 500)),
)
def test_a_chunked_body_is_the_same_however_it_is_cut(
    chunks: list[bytes], size_line: str, rest: bytes, at: list[int]
) -> None:
    written = (size_line.encode() % len(chunk) + chunk + b"\r\n" for chunk in chunks)
    wire = b"".join(written) + b"0\r\nA: b\r\n\r\n" + rest
    framing = Chunked()
    assert feed_all(framing, cut(wire, at)) == (b"".join(chunks), rest)
    assert framing.done


@pytest.mark.parametrize("size_line", SIZE_LINES)
def test_a_read_of_exactly_one_chunk(size_line: str) -> None:
    framing = Chunked()
    for payload in (b"x" * 10, b"\r\n" * 5, b"y" * 300):
        assert framing.feed(size_line.encode() % len(payload) + payload + b"\r\n") == payload
    assert framing.feed(b"0\r\n\r\n") == b""
    assert (framing.done, framing.rest) == (True, b"")


def test_what_looks_like_a_chunk_within_one_is_none() -> None:
    framing = Chunked()
    assert framing.feed(b"a\r\n") == b""
    assert framing.feed(b"5\r\nhello\r\n") == b"5\r\nhello\r\n"


@pytest.mark.parametrize("wire", [b"3\r\nabcde\r\n", b"5\r\nabc\r\n1\r\nx\r\n"])
def test_a_chunk_of_another_size_than_its_line_says_is_none(wire: bytes) -> None:
    with pytest.raises(FramingError, match="a chunk is longer than its size"):
        Chunked().feed(wire)


def test_every_byte_on_its_own() -> None:
    framing = Chunked()
    wire = b'5 ;ext="x"\r\nhello\r\n06\r\n world\r\n0\r\nTrailer: x\r\n\r\nnext'
    assert feed_all(framing, [wire[at : at + 1] for at in range(len(wire))]) == (b"hello world", b"next")


def test_one_read_with_several_chunks_gives_one_piece() -> None:
    assert Chunked().feed(b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n") == b"abc"


def test_a_body_until_close_never_ends_by_itself() -> None:
    framing = UntilClose()
    assert framing.feed(b"x") == b"x"
    assert not framing.done
    assert not framing.delimited


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"x\r\n", "a chunk size is malformed"),
        (b"0x1\r\n", "a chunk size is malformed"),
        (b"+1\r\n", "a chunk size is malformed"),
        (b" 1\r\n", "a chunk size is malformed"),
        (b"1 \r\n", "a chunk size is malformed"),
        (b"1_0\r\n", "a chunk size is malformed"),
        (b"\r\n", "a chunk size is malformed"),
        (b"1\na\n", "a chunk size is malformed"),
        (b"1;a\rb\r\n", "a chunk size is malformed"),
        (b"1;a\x00\r\n", "a chunk size is malformed"),
        (b"1000000000000000\r\n", "a chunk size is malformed"),
        (b"1;" + b"a" * 4096 + b"\r\n", "a chunk size line is too long"),
        (b"1" * 5000, "a chunk size is malformed"),
        (b"1\r\nab\r\n", "a chunk is longer than its size"),
        (b"1\r\na\rb", "a chunk is longer than its size"),
        (b"0\r\nno colon\r\n\r\n", "a trailer is malformed"),
        (b"0\r\nA: b\nc\r\n\r\n", "a trailer is malformed"),
        (b"0\r\nA: b\n", "a trailer is malformed"),
        (b"0\r\nA: " + b"b" * 5000, "a trailer is malformed"),
        (b"0\r\n" + b"A: b\r\n" * 1500, "the trailers are too long"),
    ],
)
def test_what_is_no_chunked_body(wire: bytes, reason: str) -> None:
    with pytest.raises(FramingError, match=f"^{reason}$"):
        Chunked().feed(wire)


@given(st.lists(st.binary(max_size=30)))
def test_garbage_is_payload_or_an_error(pieces: list[bytes]) -> None:
    framing = Chunked()
    try:
        feed_all(framing, pieces)
    except FramingError:
        return
    assert framing.done or not framing.rest
