"""The log: what a line looks like, what never shows in it, and that it never holds anybody up."""

import base64
import io
import json
import os
import sys
import threading
from datetime import datetime
from typing import Literal
from urllib.parse import quote, quote_plus

import pytest

from cody_oai_router.credentials import Secret
from cody_oai_router.shell.log import Entry, Log, Redactor, printable, raw_output

NOW = datetime.fromisoformat("2025-01-09T12:00:00+00:00").timestamp()
CHAT = Entry(method="POST", path="/chat/completions", status=200, duration=1.234)
FULL = Entry(
    method="POST",
    path="/v1/chat/completions?key=canary",
    status=502,
    duration=0.0004,
    model="gpt-4",
    ref="openai::2024-02-01::gpt-4o",
    first_byte=0.25,
    prompt_tokens=12,
    completion_tokens=34,
    attempts=2,
    failure="bad_gateway",
)


class Console:
    """An output that can stand still, like a Windows console after a click into it, and break, like a closed pipe."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.written = b""
        self.pieces: list[bytes] = []
        self.error: OSError | ValueError | None = None
        self.entered = threading.Event()
        self.moving = threading.Event()
        self.moving.set()
        self._most = most

    def write(self, data: bytes) -> int:
        self.entered.set()
        self.moving.wait()
        if self.error:
            raise self.error
        taken = data[: self._most]
        self.written += taken
        self.pieces.append(taken)
        return len(taken)


def logged(
    *entries: Entry | str,
    form: Literal["text", "json"] = "text",
    secrets: tuple[str, ...] = (),
    encoding: str = "utf-8",
) -> str:
    console = Console()
    redactor = Redactor(map(Secret, secrets))
    log = Log(console, form=form, redactor=redactor, encoding=encoding, clock=lambda: NOW)
    for entry in entries:
        if isinstance(entry, str):
            log.note(entry)
        else:
            log.request(entry)
    log.close()
    return console.written.decode(encoding)


def test_a_plain_line() -> None:
    assert logged(CHAT) == "[2025-01-09T12:00:00.000Z] POST /chat/completions 200 1234ms\n"


def test_a_full_line_without_the_query() -> None:
    assert logged(FULL) == (
        "[2025-01-09T12:00:00.000Z] POST /v1/chat/completions 502 0ms model=gpt-4 ref=openai::2024-02-01::gpt-4o "
        "first=250ms tokens=12/34 attempts=2 failure=bad_gateway\n"
    )


def test_half_known_tokens() -> None:
    entry = Entry(method="GET", path="/", status=200, duration=0.0, completion_tokens=0)
    assert logged(entry).endswith(" tokens=?/0\n")


def test_json_lines() -> None:
    first, second, third = logged(CHAT, FULL, "said \u2028", form="json").splitlines()
    stamp = "2025-01-09T12:00:00.000Z"
    assert json.loads(first) == {
        "time": stamp,
        "method": "POST",
        "path": "/chat/completions",
        "status": 200,
        "duration_ms": 1234,
        "attempts": 1,
    }
    assert json.loads(second) == {
        "time": stamp,
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 502,
        "duration_ms": 0,
        "model": "gpt-4",
        "ref": "openai::2024-02-01::gpt-4o",
        "first_byte_ms": 250,
        "prompt_tokens": 12,
        "completion_tokens": 34,
        "attempts": 2,
        "failure": "bad_gateway",
    }
    assert third == f'{{"time": "{stamp}", "message": "said \\u2028"}}'


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_client_can_write_a_line_or_a_field_of_its_own(form: Literal["text", "json"]) -> None:
    bad = "a b\r\n\x1b[2J\x7f\x85\u2028\u202e\u200b\ud800\x00z"
    entry = Entry(method=bad, path=f"/{bad}", status=400, duration=0.0, model=bad, failure=bad)
    text = logged(entry, bad, form=form)
    assert text.count("\n") == len(text.splitlines()) == 2
    assert text.replace("\n", "").isprintable()
    escaped = "a\\x20b\\r\\n\\x1b[2J\\x7f\\x85\\u2028\\u202e\\u200b\\ud800\\x00z"
    if form == "text":
        assert f" {escaped} /{escaped} 400 0ms model={escaped} failure={escaped}\n" in text
    else:
        assert json.loads(text.splitlines()[0])["model"] == escaped


def test_long_words_are_cut() -> None:
    entry = Entry(method="GET", path="/" + "p" * 300, status=404, duration=0.0)
    assert f" /{'p' * 199}... 404" in logged(entry)


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "\u00e9\u20ac"), ("cp1252", "\u00e9\u20ac"), ("ascii", "\\xe9\\u20ac")]
)
def test_what_the_console_cannot_show_is_escaped(encoding: str, shown: str) -> None:
    assert logged("\u00e9\u20ac", encoding=encoding).endswith(f"] {shown}\n")


def test_an_unknown_encoding_means_ascii() -> None:
    console = Console()
    log = Log(console, encoding="no-such-encoding")
    log.say("\u00e9")
    log.close()
    assert console.written == b"\\xe9\n"


CANARY = 'c@n"ary/0123+4567\\89'


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        quote(CANARY, safe=""),
        quote(CANARY),
        quote_plus(CANARY),
        quote(CANARY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%5C", "%5c"),
        json.dumps(CANARY),
        *(base64.b64encode(b"x" * offset + CANARY.encode() + b"yz").decode() for offset in range(4)),
        *(base64.urlsafe_b64encode(b"x" * offset + CANARY.encode()).decode() for offset in range(4)),
    ],
)
@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_is_struck_out_in_every_form(form: str, style: Literal["text", "json"]) -> None:
    text = logged(
        Entry(method="GET", path=f"/{form}", status=404, duration=0.0, model=form, failure=f"x{form}y"),
        f"before {form} after",
        form=style,
        secrets=("other", CANARY),
    )
    assert text.count("***") == 4
    assert not [part for part in (CANARY, form, quote(CANARY, safe=""), form[3:-3]) if part in text]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_is_struck_out_each_time_it_comes(style: Literal["text", "json"]) -> None:
    entry = Entry(method="GET", path="/canary", status=404, duration=0.0, model="canary " + "x" * 300)
    lines = logged(entry, "canary", entry, form=style, secrets=("canary",)).splitlines()
    assert "canary" not in "".join(lines)
    assert lines[0] == lines[2]
    assert "/***" in lines[0]


def test_what_is_cut_is_struck_out_first() -> None:
    secret = "s" * 40
    entry = Entry(method="GET", path="/" + "p" * 180 + secret, status=404, duration=0.0)
    assert "ss" not in logged(entry, secrets=(secret,)).partition("/")[2].partition("404")[0]


def test_redaction_for_other_texts() -> None:
    log = Log(None, redactor=Redactor([Secret("canary"), Secret("canary-long"), Secret("abc")]))
    assert log.redact("canary-long canary abc") == "*** *** abc"
    log.close()


def test_say_is_not_stamped_so_that_it_can_be_copied() -> None:
    console = Console()
    log = Log(console)
    log.say("Try it: curl")
    log.close()
    assert console.written == b"Try it: curl\n"


def test_a_console_that_stands_still_stops_nobody_and_what_is_lost_is_counted() -> None:
    console = Console()
    console.moving.clear()
    log = Log(console, capacity=3, clock=lambda: NOW)
    log.say("first")
    assert console.entered.wait(10)
    for number in range(10):
        log.say(f"line {number}")
    log.close(wait=0.01)
    console.moving.set()
    log.close(wait=10)
    notice = "[2025-01-09T12:00:00.000Z] 7 log lines dropped: the output was blocked"
    assert console.written.decode().splitlines() == ["first", "line 0", "line 1", "line 2", notice]


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed")])
def test_a_broken_output_is_given_up_without_a_word(error: OSError | ValueError) -> None:
    console = Console()
    console.error = error
    log = Log(console)
    log.say("lost")
    assert console.entered.wait(10)
    log.say("lost too")
    log.close()
    assert console.written == b""


def test_an_output_that_takes_little_at_a_time_gets_everything() -> None:
    console = Console(most=7)
    log = Log(console)
    for number in range(5000):
        log.say(f"line {number} \u20ac")
    log.close(wait=20)
    assert console.written.decode().splitlines() == [f"line {number} \u20ac" for number in range(5000)]


def test_lines_leave_in_pieces_that_a_pipe_takes_whole() -> None:
    """Several processes may write into the same pipe: what is longer than its PIPE_BUF can be mixed with theirs."""
    console = Console()
    log = Log(console)
    for number in range(500):
        log.say(f"line {number} {'x' * 90}")
    log.close(wait=20)
    assert len(console.written.splitlines()) == 500
    assert all(len(piece) <= 4096 and piece.endswith(b"\n") for piece in console.pieces)


def test_many_threads_lose_nothing() -> None:
    console = Console()
    log = Log(console)

    def write(name: int) -> None:
        for number in range(200):
            log.say(f"{name} {number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close(wait=10)
    assert sorted(console.written.decode().splitlines()) == sorted(
        f"{name} {number}" for name in range(4) for number in range(200)
    )


def test_a_full_pipe_that_does_not_block_gets_everything_in_the_end() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(reader, "rb") as taken, open(writer, "wb", buffering=0) as output:  # noqa: PTH123 - these are descriptors
        log = Log(output)
        text = "x" * 1000
        for _ in range(200):
            log.say(text)
        received = b"".join(taken.readline() for _ in range(200))
        log.close()
    assert received == (text.encode() + b"\n") * 200


def test_the_raw_file_below_a_stream() -> None:
    raw = io.BytesIO()
    buffered = io.TextIOWrapper(raw, encoding="latin-1")
    assert raw_output(buffered) == (raw, "latin-1")
    assert raw_output(None) == (None, "ascii")
    with open(os.devnull, "w", encoding="utf-8") as stream:  # noqa: PTH123 - as Python opens its standard streams
        output, encoding = raw_output(stream)
        assert (output, encoding) == (stream.buffer.raw, "utf-8")  # type: ignore[attr-defined]
    assert sys.stdout is not None


def test_printable_leaves_what_is_printable() -> None:
    assert printable("caf\u00e9 \u4e16") == "caf\u00e9 \u4e16"
    assert printable("a\tb\u2066") == "a\\tb\\u2066"
