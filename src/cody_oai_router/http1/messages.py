"""Requests and responses as values, and the bytes of a response head."""

import http
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

Headers = Sequence[tuple[bytes, bytes]]

CRLF: Final = b"\r\n"

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}


def first_header(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first header called `name` (lower case), or None."""
    for known, value in headers:
        if known == name:
            return value
    return None


class Request:
    """One request: the head as received and, before it is handled, the whole body."""

    __slots__ = (
        "_first",
        "body",
        "chunked",
        "expect",
        "headers",
        "keep_alive",
        "length",
        "method",
        "path",
        "received",
        "target",
        "version",
    )

    def __init__(self, method: str, target: str, version: str, headers: list[tuple[bytes, bytes]]) -> None:
        self.method = method
        self.target = target
        """The request target as received; ASCII."""
        self.path = target.partition("?")[0]
        """The target up to its query; not decoded."""
        self.version = version
        """`1.0` or `1.1`."""
        self.headers = headers
        """In order; names in lower case."""
        self._first: dict[bytes, bytes] | None = None
        self.keep_alive = version == "1.1"
        self.length = 0
        """What Content-Length declares; 0 without one."""
        self.chunked = False
        self.expect: bytes | None = None
        self.body: bytes | bytearray = b""
        self.received = 0.0
        """The loop's time when the head was complete."""

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header called `name` (lower case), or None."""
        if self._first is None:  # a request is asked for half a dozen that most have not
            self._first = dict(reversed(self.headers))
        return self._first.get(name)

    def forget(self) -> None:
        """Let go of headers and body: a stream may be open for minutes after somebody has last asked for them."""
        self.headers.clear()
        self._first = None
        self.body = b""


class Response(NamedTuple):
    """A whole answer; framing, Date and Connection headers are the layer's."""

    status: int
    headers: Headers = ()
    body: bytes | bytearray = b""


class DateLine:
    """The Date header (and Server, where there is a name), made once per second."""

    __slots__ = ("_line", "_second", "_server")

    def __init__(self, server: bytes = b"") -> None:
        self._server = b"Server: " + server + CRLF if server else b""
        self._second = -1
        self._line = b""

    def current(self) -> bytes:
        """The header lines for this second, each with its CRLF."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = b"Date: " + http_date(second) + CRLF + self._server
        return self._line


def http_date(second: int) -> bytes:
    """Seconds since 1970 as an IMF-fixdate (RFC 9110 §5.6.7), in no locale."""
    t = time.gmtime(second)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    return f"{day}, {t.tm_mday:02d} {month} {t.tm_year} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} GMT".encode()


def has_no_body(status: int) -> bool:
    """Whether a response with this status never has a body (RFC 9110 §6.4.1)."""
    return status in {204, 304} or status < 200  # noqa: PLR2004 - the statuses are what the function is about


def response_head(status: int, headers: Headers, more: bytes) -> bytes:
    """Status line, headers and the ready-made lines `more`, ended by the empty line.

    Raises ValueError for a line break inside a header, which would be a response of somebody else's making.
    """
    fields = b"".join([name + b": " + value + CRLF for name, value in headers])
    if fields.count(b"\n") != len(headers) or fields.count(b"\r") != len(headers):
        raise ValueError("a header name or value contains a line break")
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    return line + fields + more + CRLF
