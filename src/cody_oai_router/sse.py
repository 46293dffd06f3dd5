"""Server-sent events: cut a byte stream into frames, and write frames.

Strategy: nearly every read from upstream is a few whole frames of one `data:` line each with the same name, so those are
given on as they stand (`Lines`), for a reader that takes them all in one call. All else (a frame cut by the network,
several fields, CR or CRLF line ends) goes line by line; only the unfinished last line is held. A line that is no field of
the format is not dropped, as the standard would have it: it becomes a frame of its own with `stray` set, because
Sourcegraph's LLM API reports a failure in mid-stream as a bare line of JSON (contract §3.2).
"""

from typing import Final

import msgspec

# An event of a chat stream is some hundred bytes; a tool call whose arguments are a whole file can be some hundred
# kilobytes.
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event: its name (empty where none was given), its data lines joined by newlines; or one stray line."""

    event: bytes
    data: bytes
    stray: bool = False


class Lines(msgspec.Struct, frozen=True, gc=False):
    """Events in a row that have the same name and one line of data each; `data` is these lines, `count` of them, a CR between two."""

    event: bytes
    data: bytes
    count: int

    def frames(self) -> list[Frame]:
        """Gives them one by one."""
        return [Frame(self.event, line) for line in self.data.split(b"\r")]


class Splitter:
    """Cuts bytes into frames; any cut of the same bytes gives the same frames.

    `overflowed` becomes true, and no more frames come, once a line is longer than `limit` bytes, or the data lines of
    one event together (each counted with its line end).
    """

    __slots__ = (
        "_after_cr",
        "_clean",
        "_data",
        "_event",
        "_held",
        "_limit",
        "_pieces",
        "_size",
        "_started",
        "overflowed",
    )

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._started = False
        self._clean = True  # nothing is held: the next byte begins an event
        self.overflowed = False

    def lines(self, data: bytes) -> Lines | None:
        """Takes the next bytes where they are whole events of the same name with one line of data each; other bytes are for `cut`.

        A call for each event costs more than all else that is done with it (counted), so this looks at all of them at once.
        """
        if not self._clean or len(data) > self._limit or data[-2:] != b"\n\n" or b"\r" in data:
            return None
        event = b""
        start = 6
        if data[:7] == b"event: ":
            end = data.find(b"\n")
            event = data[7:end]
            start += end + 1
        if data[start - 6 : start] != b"data: ":
            return None
        if data.find(b"\n", start) == len(data) - 2:
            self._started = True
            return Lines(event, data[start:-2], 1)
        between = b"\n\n" + data[:start]
        lines = data[start:-2].replace(between, b"\r")
        if b"\n" in lines:
            return None
        self._started = True
        # Each line end that is gone has made it shorter by so much: to count them costs as much as to find them (measured).
        gone = (len(data) - start - 2 - len(lines)) // (len(between) - 1)
        return Lines(event, lines, gone + 1)

    def feed(self, data: bytes) -> list[Frame]:
        """Takes the next bytes and gives the frames that they complete."""
        lines = self.lines(data)
        return self.cut(data) if lines is None else lines.frames()

    def cut(self, data: bytes) -> list[Frame]:
        """Does the same for bytes of any kind, line by line."""
        if self.overflowed or not data:
            return []
        frames = self._feed_lines(data)
        self._clean = not (self._pieces or self._data or self._event or self._after_cr or self.overflowed)
        return frames

    def finish(self) -> list[Frame]:
        """Gives what the end of the stream left over: an unfinished line or event, for the dialect to judge."""
        rest = b"".join(self._pieces)
        self._pieces.clear()
        frames: list[Frame] = []
        if rest:
            self._line(rest, frames)
        self._blank(frames)
        return frames

    def _feed_lines(self, data: bytes) -> list[Frame]:
        if self._after_cr:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\n" not in data and b"\r" not in data:
            self._hold(data)
            return []
        if self._pieces:
            self._pieces.append(data)
            data = b"".join(self._pieces)
            self._pieces.clear()
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        frames: list[Frame] = []
        for line in lines:
            self._line(line, frames)
        self._held = 0
        self._hold(rest)
        return frames

    def _hold(self, data: bytes) -> None:
        if not data or self.overflowed:
            return
        self._pieces.append(data)
        self._held += len(data)
        if self._held > self._limit:
            self._overflow()

    def _overflow(self) -> None:
        self.overflowed = True
        self._pieces.clear()
        self._data.clear()

    def _line(self, line: bytes, frames: list[Frame]) -> None:
        if self.overflowed:
            return
        if len(line) > self._limit:
            self._overflow()
            return
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        if line:
            self._field(line, frames)
        else:
            self._blank(frames)

    def _field(self, line: bytes, frames: list[Frame]) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(self._data[-1]) + 1
            if self._size > self._limit:
                self._overflow()
        elif name == b"event":
            self._event = value.removeprefix(b" ")
        elif name in (b"", b"id", b"retry"):
            pass  # a comment, or a field for reconnecting, which nothing here does
        else:
            frames.append(Frame(b"", line, stray=True))

    def _blank(self, frames: list[Frame]) -> None:
        if self._data:
            frames.append(Frame(self._event, b"\n".join(self._data)))
            self._data.clear()
        self._size = 0
        self._event = b""


def write_data(payload: bytes) -> bytes:
    """Writes one unnamed event; `payload` is JSON, so it has no line breaks."""
    return b"data: " + payload + b"\n\n"


def write_comment(text: str) -> bytes:
    """Writes a comment, which every client skips; `text` is one line of ours."""
    return b": " + text.encode() + b"\n\n"
