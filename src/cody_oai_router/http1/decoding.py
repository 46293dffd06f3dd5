"""A compressed body, decoded as it comes, within a bound.

We ask for identity, so a compressed answer is some gateway's doing; it is decoded rather than refused, because the user
cannot change the gateway.
"""

import zlib
from typing import Final

_DETECT: Final = 32 + zlib.MAX_WBITS
"""zlib's window bits for: gzip or zlib, whichever the data begins with."""


class DecodingError(ValueError):
    """The body is not in the encoding that it claims, or grows beyond the bound."""


class Inflater:
    """Decodes gzip (also of several members) and deflate."""

    __slots__ = ("_left", "_limit", "_object")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit
        self._object = zlib.decompressobj(_DETECT)

    def feed(self, data: bytes) -> bytes:
        """Return what `data` decodes to by now; raises DecodingError."""
        pieces: list[bytes] = []
        try:
            while data:
                if self._object.eof:
                    self._object = zlib.decompressobj(_DETECT)
                piece = self._object.decompress(data, self._left + 1)
                self._left -= len(piece)
                if self._left < 0:
                    raise DecodingError(f"it grows beyond {self._limit} bytes when decompressed")
                pieces.append(piece)
                data = self._object.unused_data
        except zlib.error as error:
            raise DecodingError("its compressed body is damaged") from error
        return b"".join(pieces)

    def finish(self) -> None:
        """Check that the body was complete; raises DecodingError."""
        if not self._object.eof:
            raise DecodingError("its compressed body is cut off")


def inflater(encoding: bytes | None, limit: int) -> Inflater | None:
    """Return the decoder for a Content-Encoding, None for identity; raises DecodingError for an unknown one."""
    name = (encoding or b"identity").strip().lower()
    if name in {b"identity", b""}:
        return None
    if name in {b"gzip", b"x-gzip", b"deflate"}:
        return Inflater(limit)
    raise DecodingError("it is in a Content-Encoding that was not asked for and is not known")
