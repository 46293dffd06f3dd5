"""The report as lines and as JSON."""

import json

import pytest

from cody_oai_router.checkup.check import NAMES, Check
from cody_oai_router.checkup.report import SIGNS, WORDS, Marks, write_json, write_lines, write_skipped, write_verdict

LONG = Check("llm-api", "warning", "one two three four five six seven eight nine ten eleven", "Do this.\nThen that.")


def test_a_long_check_is_wrapped_below_itself() -> None:
    assert write_lines(LONG, SIGNS, 50) == [
        "! llm-api          one two three four five six",
        "                   seven eight nine ten eleven",
        "                   Do this.",
        "                   Then that.",
    ]


@pytest.mark.parametrize(("marks", "start"), [(SIGNS, "✗ dns "), (WORDS, "XX dns ")])
def test_marks_are_what_the_console_can_show(marks: Marks, start: str) -> None:
    (line,) = write_lines(Check("dns", "failed", "lost"), marks, 80)
    assert line.startswith(start)
    assert line.endswith("  lost")


def test_words_for_marks_are_ascii_and_signs_differ() -> None:
    assert "".join(WORDS.values()).isascii()
    assert len(set(SIGNS.values())) == len(set(WORDS.values())) == len(SIGNS) == len(WORDS)


def test_what_was_not_looked_at_is_one_line() -> None:
    made = [Check("dns", "failed", "lost"), Check("proxy", "skipped", "why"), Check("tls", "skipped", "why")]
    assert write_skipped(made, SIGNS, 80) == ["- not looked at    proxy, tls"]
    assert write_skipped(made[:1], SIGNS, 80) == []


def test_the_verdict_is_wrapped() -> None:
    assert write_verdict([Check("dns", "ok", "found")], 30) == [
        "",
        "The router will work. Start",
        "it: cody-oai-router",
    ]


def test_json_is_one_ascii_line_with_everything() -> None:
    written = write_json([Check("dns", "ok", "é 😀 ✓"), LONG])
    assert written.isascii()
    assert "\n" not in written
    assert json.loads(written) == {
        "ok": True,
        "checks": [
            {"name": "dns", "status": "ok", "detail": "é 😀 ✓", "advice": ""},
            {"name": "llm-api", "status": "warning", "detail": LONG.detail, "advice": LONG.advice},
        ],
    }
    assert json.loads(write_json([Check("tls", "failed", "no")]))["ok"] is False


def test_every_name_leaves_room() -> None:
    starts = {write_lines(Check(name, "ok", "seen"), SIGNS, 80)[0].index("seen") for name in NAMES}
    assert len(starts) == 1
