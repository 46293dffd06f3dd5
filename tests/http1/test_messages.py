"""Response heads, byte for byte."""

import datetime as dt
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.http1.messages import DateLine, http_date, response_head


@given(st.integers(0, 4_000_000_000))
def test_dates_are_as_the_standard_library_writes_them(second: int) -> None:
    moment = dt.datetime.fromtimestamp(second, dt.UTC)
    assert http_date(second).decode() == email.utils.format_datetime(moment, usegmt=True)


def test_the_date_line_names_the_server_where_there_is_a_name() -> None:
    assert DateLine(b"x/1").current().endswith(b" GMT\r\nServer: x/1\r\n")
    line = DateLine()
    assert line.current().startswith(b"Date: ")
    assert line.current().endswith(b" GMT\r\n")


def test_a_head_is_written_as_given() -> None:
    head = response_head(404, [(b"A", b"b"), (b"C", b"")], b"D: e\r\n")
    assert head == b"HTTP/1.1 404 Not Found\r\nA: b\r\nC: \r\nD: e\r\n\r\n"


@pytest.mark.parametrize(
    "field", [(b"A", b"b\r\nC: d"), (b"A\r\nC", b"d"), (b"A", b"b\n"), (b"A", b"\rb"), (b"\n", b"")]
)
def test_a_line_break_cannot_be_written(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"^a header name or value contains a line break$"):
        response_head(200, [field], b"")
