"""The log: one line a request, written by a thread of its own, with every registered secret struck out.

Strategy: whoever logs only appends to a bounded queue. A click into a Windows console or a full pipe blocks the output
for as long as it likes; then lines are dropped and counted, and no stream stops. The thread writes to the raw file
below the standard stream: it holds no lock of Python's while it is blocked, so that the process can always end.
"""

import base64
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Final, Literal, Protocol, TextIO
from urllib.parse import quote, quote_plus

import msgspec

from cody_oai_router.credentials import Secret

# A second of lines at the highest rate that one process reaches; some megabytes at most.
_CAPACITY: Final = 10_000
# Lines that come within this many seconds leave in one write: under load the thread wakes 20 times a second.
_GATHER: Final = 0.05
# A client's own words in a line: longer ones say nothing more.
_LONGEST_WORD: Final = 200
# Words that are kept as they are shown: a router sees the same paths and models again and again.
_KEPT_WORDS: Final = 256
# Shorter ones would strike out half of every line and protect nobody.
_SHORTEST_SECRET: Final = 4
_ESCAPE: Final = re.compile(r"%[0-9A-F]{2}")
_STRUCK: Final = "***"
# What Linux writes into a pipe in one piece, so that the lines of several workers do not mix; a Windows console takes more.
_PIECE: Final = 4 * 1024


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the log shows it; durations in seconds, `failure` the kind of a `Fault` or another fixed word."""

    method: str
    path: str
    status: int
    duration: float
    model: str = ""
    ref: str = ""
    first_byte: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    attempts: int = 1
    failure: str = ""


class _Line(msgspec.Struct, frozen=True):
    """What waits to be written: when it was logged, and whether a text shows that."""

    moment: float
    item: Entry | str
    timed: bool = True


class Output(Protocol):
    """What the log writes to: a raw file, which may take a part of what it is given."""

    def write(self, data: bytes, /) -> int | None:
        """Write some of `data` and say how much."""
        ...


class Redactor:
    """Strikes secrets out of texts by value: plain, in base64 at any offset, percent-encoded and as JSON has them."""

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret.reveal())}
        longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
        self._pattern = re.compile("|".join(longest_first)) if longest_first else None

    def redact(self, text: str) -> str:
        """`text` without any registered secret."""
        return self._pattern.sub(_STRUCK, text) if self._pattern else text


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < _SHORTEST_SECRET:
        return
    yield secret
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), quoted)
    yield json.dumps(secret)[1:-1]
    data = secret.encode()
    for offset in range(3):
        # Only the characters that hold bits of the secret alone are the same in whatever surrounds it.
        first, last = (offset * 8 + 5) // 6, (offset + len(data)) * 8 // 6
        encoded = base64.b64encode(bytes(offset) + data).decode()[first:last]
        if len(encoded) >= _SHORTEST_SECRET:
            yield encoded
            yield encoded.translate({ord("+"): "-", ord("/"): "_"})


def printable(text: str) -> str:
    """`text` on one line: control, direction and line-separating characters and the like are written as escapes."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _word(redactor: Redactor, text: str) -> str:
    """A text from outside that cannot pass for two fields, or for another line."""
    word = printable(redactor.redact(text)).replace(" ", "\\x20")
    return word if len(word) <= _LONGEST_WORD else word[:_LONGEST_WORD] + "..."


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Log:
    """The log of one process; every method returns at once and none raises.

    `form` is `text` or `json`. Lines that the output's `encoding` cannot carry are written in ASCII with escapes.
    """

    def __init__(
        self,
        output: Output | None,
        *,
        encoding: str = "utf-8",
        form: Literal["text", "json"] = "text",
        redactor: Redactor | None = None,
        clock: Callable[[], float] = time.time,
        capacity: int = _CAPACITY,
    ) -> None:
        self._output = output
        self._encoding = encoding
        self._form = form
        self._redactor = redactor or Redactor()
        # Measured: to strike out and escape the words anew for every line is most of what a line costs.
        self._known_word = lru_cache(_KEPT_WORDS)(partial(_word, self._redactor))
        self._clock = clock
        self._capacity = capacity
        self._lines: deque[_Line] = deque()
        self._dropped = 0
        self._reported = 0
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def request(self, entry: Entry) -> None:
        """Log one request."""
        self._put(_Line(self._clock(), entry))

    def note(self, text: str) -> None:
        """Log what happened outside a request."""
        self._put(_Line(self._clock(), text))

    def say(self, text: str) -> None:
        """Show a line of start-up or shutdown, in the text form as it is, so that it can be copied."""
        self._put(_Line(self._clock(), text, timed=False))

    def redact(self, text: str) -> str:
        """`text` without any registered secret, for messages that leave by another way than the log."""
        return self._redactor.redact(text)

    def close(self, wait: float = 2.0) -> None:
        """Write what is left, for at most `wait` seconds."""
        self._closing.set()
        self._wake.set()
        self._thread.join(wait)

    def _put(self, line: _Line) -> None:
        if len(self._lines) >= self._capacity:
            self._dropped += 1
            return
        self._lines.append(line)
        # The thread clears the flag before it takes the lines: whoever sees it set knows that this line will be seen
        # too.
        if not self._wake.is_set():
            self._wake.set()

    def _work(self) -> None:
        while not (self._closing.is_set() and not self._lines):
            self._wake.wait()
            self._closing.wait(_GATHER)
            self._wake.clear()
            self._write_out(self._take())
        self._write_out(self._take())

    def _take(self) -> bytes:
        lines = []
        while self._lines:
            lines.append(self._format(self._lines.popleft()))
        dropped = self._dropped
        if dropped > self._reported:
            notice = f"{dropped - self._reported} log lines dropped: the output was blocked"
            lines.append(self._format(_Line(self._clock(), notice)))
            self._reported = dropped
        return b"".join(map(self._encode, lines))

    def _format(self, line: _Line) -> str:
        item = line.item
        second, microsecond = divmod(round(line.moment * 1e6), 1_000_000)
        stamp = f"{_date(second)}.{microsecond // 1000:03d}Z"
        if self._form == "json":
            shown = self._message(item) if isinstance(item, str) else self._fields(item)
            return json.dumps({"time": stamp, **shown}).replace("\x7f", "\\u007f")
        return f"[{stamp}] {self._text(item)}" if line.timed else self._text(item)

    def _text(self, item: Entry | str) -> str:
        if isinstance(item, str):
            return printable(self.redact(item))
        line = f"{self._word(item.method)} {self._word(_bare(item.path))} {item.status} {item.duration * 1000:.0f}ms"
        if item.model:
            line += f" model={self._word(item.model)}"
        if item.ref:
            line += f" ref={self._word(item.ref)}"
        if item.first_byte is not None:
            line += f" first={item.first_byte * 1000:.0f}ms"
        if item.prompt_tokens is not None or item.completion_tokens is not None:
            line += f" tokens={_count(item.prompt_tokens)}/{_count(item.completion_tokens)}"
        if item.attempts > 1:
            line += f" attempts={item.attempts}"
        return f"{line} failure={self._word(item.failure)}" if item.failure else line

    def _message(self, text: str) -> dict[str, str | int]:
        return {"message": self.redact(text)}

    def _fields(self, entry: Entry) -> dict[str, str | int]:
        """What JSON shows: no empty fields, whole milliseconds, and no word with a space or a break in it."""
        fields: dict[str, str | int | None] = {
            "method": self._word(entry.method),
            "path": self._word(_bare(entry.path)),
            "status": entry.status,
            "duration_ms": round(entry.duration * 1000),
            "model": self._word(entry.model) or None,
            "ref": self._word(entry.ref) or None,
            "first_byte_ms": None if entry.first_byte is None else round(entry.first_byte * 1000),
            "prompt_tokens": entry.prompt_tokens,
            "completion_tokens": entry.completion_tokens,
            "attempts": entry.attempts,
            "failure": self._word(entry.failure) or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _word(self, text: str) -> str:
        return self._known_word(text) if len(text) <= _LONGEST_WORD else _word(self._redactor, text)

    def _encode(self, line: str) -> bytes:
        try:
            return (line + "\n").encode(self._encoding)
        except (UnicodeError, LookupError):
            return (line + "\n").encode("ascii", "backslashreplace")

    def _write_out(self, data: bytes) -> None:
        """Write all of `data`, or give the output up: there is nobody left to tell."""
        while data and self._output is not None:
            # Whole lines where they fit, so that no character is cut in two.
            end = len(data) if len(data) <= _PIECE else data.rfind(b"\n", 0, _PIECE) + 1 or _PIECE
            try:
                taken = self._output.write(data[:end])
            except (OSError, ValueError):
                self._output = None
                return
            if taken is None:
                time.sleep(_GATHER)  # a pipe that somebody made non-blocking is full
            data = data[taken or 0 :]


def _bare(path: str) -> str:
    return path.partition("?")[0].partition("#")[0]


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def raw_output(stream: TextIO | None) -> tuple[Output | None, str]:
    """The raw file below a standard stream and its encoding; nothing where the process has no such stream."""
    if stream is None:
        return None, "ascii"
    stream.flush()
    buffer = stream.buffer
    return getattr(buffer, "raw", buffer), stream.encoding
