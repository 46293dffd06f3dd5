"""Compressed bodies, however they are cut, and what is none."""

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.http1.decoding import DecodingError, Inflater, inflater


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, zlib.compress, lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:])],
    ids=["gzip", "deflate", "members"],
)
@given(body=st.binary(), size=st.integers(1, 50))
def test_a_body_is_the_same_however_it_is_cut(compress: Callable[[bytes], bytes], body: bytes, size: int) -> None:
    wire = compress(body)
    decoder = Inflater(1000)
    assert b"".join(decoder.feed(wire[at : at + size]) for at in range(0, len(wire), size)) == body
    decoder.finish()


def test_what_is_flushed_is_there_at_once() -> None:
    compressor = zlib.compressobj(wbits=31)
    decoder = Inflater(1000)
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        assert decoder.feed(compressor.compress(event) + compressor.flush(zlib.Z_SYNC_FLUSH)) == event


def test_the_bound_is_on_the_whole_body() -> None:
    decoder = Inflater(10)
    assert decoder.feed(gzip.compress(b"x" * 6, mtime=0)) == b"x" * 6
    with pytest.raises(DecodingError, match=r"^it grows beyond 10 bytes when decompressed$"):
        decoder.feed(gzip.compress(b"x" * 5, mtime=0))
    exact = Inflater(10)
    assert exact.feed(gzip.compress(b"x" * 10, mtime=0)) == b"x" * 10
    exact.finish()


@pytest.mark.parametrize(
    "wire", [b"plain text", gzip.compress(b"a", mtime=0) + b"trailing", gzip.compress(b"a", mtime=0)[:-8] + b"12345678"]
)
def test_what_is_damaged(wire: bytes) -> None:
    with pytest.raises(DecodingError, match=r"^its compressed body is damaged$"):
        Inflater(100).feed(wire)


@pytest.mark.parametrize("wire", [b"", gzip.compress(b"a", mtime=0)[:-1]])
def test_what_is_cut_off(wire: bytes) -> None:
    decoder = Inflater(100)
    decoder.feed(wire)
    with pytest.raises(DecodingError, match=r"^its compressed body is cut off$"):
        decoder.finish()


@pytest.mark.parametrize(
    ("encoding", "decoded"),
    [(None, False), (b"identity", False), (b" Identity ", False), (b"", False), (b"GZIP", True), (b"x-gzip", True)],
)
def test_which_encodings_are_known(encoding: bytes | None, decoded: bool) -> None:
    assert (inflater(encoding, 1) is not None) is decoded


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip"])
def test_which_encodings_are_not(encoding: bytes) -> None:
    with pytest.raises(DecodingError, match="not known"):
        inflater(encoding, 1)
