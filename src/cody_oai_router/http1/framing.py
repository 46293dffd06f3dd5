"""Where a body ends: by length, by chunks, or with the connection.

Each framing is fed what arrives and returns the payload in it, at once and in one piece; `done` says that the body is
complete and `rest` holds what came after it. They do no I/O and are used by both halves.
"""

import re
from typing import Final, Protocol

_MAX_LINE: Final = 4096
"""Bytes of one chunk-size line or of all trailers: extensions are legal, and nobody sends them."""

# RFC 9112 §7.1; 15 digits are more than any body and less than 64 bits.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class FramingError(ValueError):
    """The bytes are no chunked body."""


class Framing(Protocol):
    """How a body is cut out of what arrives."""

    delimited: bool
    done: bool
    rest: bytes

    def feed(self, data: bytes) -> bytes:
        """Return the payload in `data`; raises FramingError."""


class Sized:
    """A body whose length is declared; of length 0 where there is none."""

    __slots__ = ("done", "left", "rest")
    delimited = True

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = not length
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the part of `data` that belongs to the body."""
        if len(data) <= self.left:
            self.left -= len(data)
            self.done = not self.left
            return data
        payload, self.rest = data[: self.left], data[self.left :]
        self.left = 0
        self.done = True
        return payload


class UntilClose:
    """A body that ends with the connection."""

    __slots__ = ()
    delimited = False
    done = False
    rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return `data`: all of it belongs to the body."""
        return data


class Chunked:
    """A chunked body (RFC 9112 §7.1), read strictly; extensions and trailers are bounded and dropped."""

    __slots__ = ("_left", "_pending", "_step", "_trailers", "done", "rest")
    delimited = True

    def __init__(self) -> None:
        self._step = _SIZE
        self._left = 0
        self._trailers = 0
        self._pending = b""
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the payload in `data`; raises FramingError."""
        if self._pending:
            data = self._pending + data
            self._pending = b""
        if self._step == _SIZE:
            # Exactly one chunk, as nearly every read of a stream is: told by its size line, which needs no parsing then.
            start = data.find(b"\r\n") + 2
            left = len(data) - start - 2
            if left > 0 and data[:start] == b"%x\r\n" % left and data[-2:] == b"\r\n":
                return data[start:-2]
        pieces: list[bytes] = []
        at, size = 0, len(data)
        while at < size and not self.done:
            after = _STEPS[self._step](self, data, at, pieces)
            if after < 0:
                self._pending = data[at:]
                break
            at = after
        if self.done:
            self.rest = data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # A step reads from `at` and returns where the next one begins, or -1 when it needs more bytes.

    def _read_size(self, data: bytes, at: int, _: list[bytes]) -> int:
        line = _SIZE_LINE.match(data, at)
        if line is None:
            return _wait_for_line(data, at, "a chunk size is malformed")
        end = line.end()
        if end - at > _MAX_LINE:
            raise FramingError("a chunk size line is too long")
        self._left = int(line[1], 16)
        self._step = _PAYLOAD if self._left else _TRAILERS
        return end

    def _read_payload(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        payload = data[at : at + self._left]
        pieces.append(payload)
        self._left -= len(payload)
        if not self._left:
            self._step = _PAYLOAD_END
        return at + len(payload)

    def _read_payload_end(self, data: bytes, at: int, _: list[bytes]) -> int:
        end = data[at : at + 2]
        if end == b"\r\n":
            self._step = _SIZE
            return at + 2
        if end == b"\r":
            return -1
        raise FramingError("a chunk is longer than its size")

    def _read_trailer(self, data: bytes, at: int, _: list[bytes]) -> int:
        end = data.find(b"\r\n", at)
        if end < 0:
            return _wait_for_line(data, at, "a trailer is malformed")
        self._trailers += end - at
        if self._trailers > _MAX_LINE:
            raise FramingError("the trailers are too long")
        if end == at:
            self.done = True
        elif not _TRAILER.fullmatch(data, at, end):
            raise FramingError("a trailer is malformed")
        return end + 2


_SIZE, _PAYLOAD, _PAYLOAD_END, _TRAILERS = range(4)
_STEPS: Final = (Chunked._read_size, Chunked._read_payload, Chunked._read_payload_end, Chunked._read_trailer)  # noqa: SLF001 - the class's own table; a bound method in a slot would be a reference cycle


def _wait_for_line(data: bytes, at: int, problem: str) -> int:
    if len(data) - at > _MAX_LINE or data.find(b"\n", at) >= 0:
        raise FramingError(problem)
    return -1
