"""How values are written: every reader, and the words for a wrong value."""

from collections.abc import Callable

import pytest

from cody_oai_router.notation import (
    Wrong,
    quoted,
    read_aliases,
    read_api,
    read_bytes,
    read_count,
    read_list,
    read_log_format,
    read_port,
    read_seconds,
    read_switch,
    read_text,
    read_wait,
    read_workers,
)

_DURATION = "is not a duration: give a number of seconds above 0, such as 60 or 2.5"
_SIZE = "is not a size: give a number of bytes from 1, or such as 64KB or 64MB"
_WORKERS = "is not a number of processes from 1 to 64"
_PORT = "is not a port: give a whole number from 0 to 65535"
_COUNT = "is not a whole number from 1 to 1000000000"


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (read_port, "0", 0),
        (read_workers, "1", 1),
        (read_workers, "64", 64),
        (read_port, "65535", 65535),
        (read_count, "1", 1),
        (read_count, "1000000000", 1_000_000_000),
        (read_seconds, "60", 60.0),
        (read_seconds, "2.5", 2.5),
        (read_seconds, "30s", 30.0),
        (read_bytes, "1", 1),
        (read_bytes, "64KB", 65536),
        (read_bytes, "64 kb", 65536),
        (read_bytes, "2MiB", 2 * 1024**2),
        (read_bytes, "2m", 2 * 1024**2),
        (read_bytes, "7B", 7),
        (read_switch, "1", True),
        (read_switch, "TRUE", True),
        (read_switch, "off", False),
        (read_list, " a, b ,,c ", ("a", "b", "c")),
        (read_list, ",", ()),
        (read_text, "gpt-4 \u00e9", "gpt-4 \u00e9"),
        (read_aliases, "a=b::c, d = e=f", {"a": "b::c", "d": "e=f"}),
        (read_wait, "0", 0.0),
        (read_wait, "0s", 0.0),
        (read_wait, "2.5s", 2.5),
        (read_wait, "0.5", 0.5),
        (read_api, "auto", "auto"),
        (read_api, " LLM ", "llm"),
        (read_api, "Cody", "cody"),
        (read_log_format, "JSON", "json"),
        (read_log_format, "text", "text"),
    ],
)
def test_a_value(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "why"),
    [
        (read_workers, "0", f"'0' {_WORKERS}"),
        (read_workers, "65", f"'65' {_WORKERS}"),
        (read_workers, "two", f"'two' {_WORKERS}"),
        (read_port, "65536", f"'65536' {_PORT}"),
        (read_port, "-1", f"'-1' {_PORT}"),
        (read_port, "3000.0", f"'3000.0' {_PORT}"),
        (read_port, "\u0663\u0660", f"'\\u0663\\u0660' {_PORT}"),
        (read_port, "9" * 5000, f"'{'9' * 60}...' {_PORT}"),
        (read_count, "0", f"'0' {_COUNT}"),
        (read_count, "1000000001", f"'1000000001' {_COUNT}"),
        (read_count, "ten", f"'ten' {_COUNT}"),
        (read_seconds, "0", f"'0' {_DURATION}"),
        (read_seconds, "-1", f"'-1' {_DURATION}"),
        (read_seconds, "nan", f"'nan' {_DURATION}"),
        (read_seconds, "inf", f"'inf' {_DURATION}"),
        (read_seconds, "604801", f"'604801' {_DURATION}"),
        (read_seconds, "1m", f"'1m' {_DURATION}"),
        (read_bytes, "0", f"'0' {_SIZE}"),
        (read_bytes, "MB", f"'MB' {_SIZE}"),
        (read_bytes, "1.5MB", f"'1.5MB' {_SIZE}"),
        (read_bytes, "1GB", f"'1GB' {_SIZE}"),
        (read_switch, "maybe", "'maybe' is neither 1 nor 0"),
        (read_text, "a\tb", "'a\\tb' contains a control character"),
        (read_aliases, "a", "'a' is not an alias: write it like name=model"),
        (read_aliases, "=b", "'=b' is not an alias: write it like name=model"),
        (read_aliases, "a=\udcff", "'a=\\udcff' contains a control character"),
        (read_aliases, "a=", "'a=' is not an alias: write it like name=model"),
        (read_aliases, "a=b,a=c", "'a' is given twice"),
        (read_wait, "-1", f"'-1' {_DURATION}"),
        (read_wait, "never", f"'never' {_DURATION}"),
        (read_api, "both", "'both' is not auto, llm or cody"),
        (read_api, "", "'' is not auto, llm or cody"),
        (read_log_format, "xml", "'xml' is neither text nor json"),
    ],
)
def test_a_wrong_value_says_what_to_write(read: Callable[[str], object], text: str, why: str) -> None:
    assert read(text) == Wrong(why)


def test_a_quoted_value_is_short_ascii_and_never_a_token() -> None:
    assert quoted("a\nb\u2028\u00e9") == "'a\\nb\\u2028\\xe9'"
    assert quoted("x" * 61) == f"'{'x' * 60}...'"
    assert quoted("https://SGP_0123") == "(a value that looks like a token)"
