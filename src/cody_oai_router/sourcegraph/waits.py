"""Reads when to come back after a limit, in every form of contract §4.6: from headers, from the words, else from experience.

What Sourcegraph said and what the router suggests stay apart: a suggestion is worded as one, and nothing here waits for it.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from cody_oai_router.faults import Fault

# A slot is free again as soon as another answer of the same user ends, which takes seconds.
PAUSE_OF_CONCURRENCY: Final = 5
# Nobody knows the window of a limit that names no time; a minute is the shortest that is usual, and the longest that the official
# OpenAI SDKs heed in `Retry-After`.
USUAL_PAUSE: Final = 60

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE: Final = re.compile(
    rf"\w+, (\d{{1,2}}) ({'|'.join(_MONTHS)}) ([12]\d{{3}}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC)", re.ASCII
)
# As Go writes a time: in the zone of the server, whose letters say less than the offset before them.
_GO_DATE: Final = re.compile(
    r"retry after ([12]\d{3})-(0[1-9]|1[0-2])-(\d\d) (\d\d):(\d\d):(\d\d)[.\d]* ([+-])(\d\d)(\d\d)\b",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_NUMBER: Final = 12  # letters

# From this on a number of seconds is a date: 2001 as Unix time, 31 years as a wait.
_UNIX_TIME: Final = 1_000_000_000
# Quotas are renewed within a day or a month (contract §4.6); a longer wait is no wait but a mistake.
_LONGEST_WAIT: Final = 32 * 86400


def retry_after(headers: Mapping[str, str], now: float) -> int | None:
    """Gives the seconds to wait, from every form in contract §4.6; none where upstream did not say."""
    for name in ("retry-after", "x-ratelimit-reset", "ratelimit-reset"):
        value = headers.get(name, "").strip()
        seconds = _seconds(value, now)
        if seconds is not None and seconds <= _LONGEST_WAIT:
            return math.ceil(max(0, seconds))
    return None


def named_time(words: str) -> float | None:
    """Gives the time to come back, in Unix seconds, from the words themselves (seen with concurrency limits)."""
    found = _GO_DATE.search(words)
    if found is None:
        return None
    *date, sign, hours, minutes = found.groups()
    time = _unix_time(*map(int, date))
    offset = int(hours) * 3600 + int(minutes) * 60
    return None if time is None else time - (offset if sign == "+" else -offset)


def limited(fault: Fault, headers: Mapping[str, str], now: float) -> Fault:
    """Adds to a rate limit what is known of it: how much is allowed, and when to come back."""
    wait = retry_after(headers, now)
    if wait is None and fault.retry_at is not None:
        wait = _seconds_until(fault.retry_at, now)
    limit = headers.get("x-ratelimit-limit", "").strip()
    known = [f"limit {limit}"] if limit.isdecimal() and len(limit) <= _LONGEST_NUMBER else []
    known += [f"try again in {wait} s"] if wait is not None else []
    message = f"{fault.message} ({', '.join(known)})" if known else fault.message
    return msgspec.structs.replace(fault, message=message, retry_after=wait)


def in_seconds(fault: Fault, now: float) -> Fault:
    """Turns the time that a limit names into seconds, where that came inside an answer and nobody there had a clock."""
    return fault if fault.retry_at is None or fault.retry_after is not None else limited(fault, {}, now)


def with_pause(fault: Fault) -> Fault:
    """Gives a limit that names no time the wait that a client is told, and says whose suggestion that is."""
    if fault.kind != "rate_limited" or fault.retry_after is not None:
        return fault
    pause = PAUSE_OF_CONCURRENCY if is_of_concurrency(fault) else USUAL_PAUSE
    message = f"{fault.message} (It is not known when to come back; the router suggests {pause} s.)"
    return msgspec.structs.replace(fault, message=message, retry_after=pause)


def is_of_concurrency(fault: Fault) -> bool:
    """Tells a limit on what runs at once, which passes by itself, from one on how much is used."""
    return fault.kind == "rate_limited" and "concurren" in fault.said.lower()


def _seconds_until(time: float, now: float) -> int | None:
    return math.ceil(max(0.0, time - now)) if time - now <= _LONGEST_WAIT else None


def _unix_time(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    """Gives Unix seconds; nothing for a day or an hour that there is not."""
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _seconds(value: str, now: float) -> float | None:
    if date := _DATE.fullmatch(value):
        day, month, year, *clock = date.groups()
        time = _unix_time(int(year), _MONTHS.index(month) + 1, int(day), *map(int, clock))
        return None if time is None else time - now
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number) or number < 0:
        return None
    return number - now if number >= _UNIX_TIME else number
