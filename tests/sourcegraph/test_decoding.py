"""JSON that comes in lines, all decoded in one call, or none of it."""

import msgspec
import pytest

from cody_oai_router.sourcegraph.decoding import decode_each
from cody_oai_router.sse import Lines


class Number(msgspec.Struct):
    n: int
    s: str = ""


decode = msgspec.json.Decoder(Number).decode_lines


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        ([b'{"n":1}'], [1]),
        ([b'{"n":1}', b'{"n":2}', b'{"n":3,"s":"}{"}'], [1, 2, 3]),
        ([b' {"n":1}\t'], [1]),
        # A space next to a line end is no harm, and not worth a second look.
        ([b'{"n":1} ', b'{"n":2}'], None),
        ([b'{"n":1}', b""], None),
        ([b""], None),
        ([b'{"n":1}{"n":2}'], None),
        ([b'{"n":1}{"n":2}', b""], None),
        ([b'{"n":1,"x":[{}', b"{}]}", b'{"n":2}{"n":3}'], None),
        ([b'{"n":', b"1}"], None),
        ([b'{"n":1}', b'{"n":"2"}'], None),
        ([b'{"n":1}', b"{"], None),
        ([b'{"n":1,"s":"\xff"}'], None),
        ([b"[" * 100_000], None),
    ],
)
def test_an_object_a_line(lines: list[bytes], numbers: list[int] | None) -> None:
    decoded = decode_each(decode, Lines(b"", b"\r".join(lines), len(lines)))
    assert (None if decoded is None else [each.n for each in decoded]) == numbers
