"""Which clock runs out when; the times are given, so nothing waits."""

import pytest

from cody_oai_router.http1.clock import ExchangeClock
from cody_oai_router.http1.outgoing import Clocks

CLOCKS = Clocks(connect=1, first_byte=10, idle=5, total=100)


def test_the_first_clock_runs_until_the_first_byte_of_the_body() -> None:
    clock = ExchangeClock(CLOCKS, now=0)
    clock.received(9, body=False)
    assert clock.expired(9.9) is None
    assert clock.expired(10) == ("first byte", 10)


def test_the_idle_clock_begins_anew_with_every_piece() -> None:
    clock = ExchangeClock(CLOCKS, now=0)
    clock.received(9, body=True)
    clock.received(13, body=False)
    assert clock.expired(17.9) is None
    assert clock.expired(18) == ("idle", 5)


def test_the_total_clock_goes_before_the_others() -> None:
    clock = ExchangeClock(CLOCKS, now=0, until=10)
    assert clock.expired(10) == ("total", 100)


def test_the_first_clock_waits_for_the_request_to_be_sent() -> None:
    clock = ExchangeClock(CLOCKS, now=0)
    clock.sending(8, 500)
    assert clock.expired(10) is None
    clock.sending(17, 0)
    clock.sending(26, 0)
    assert clock.expired(26.9) is None
    assert clock.expired(27) == ("first byte", 10)


def test_a_request_that_gets_stuck_runs_out() -> None:
    clock = ExchangeClock(CLOCKS, now=0)
    clock.sending(8, 500)
    clock.sending(12, 500)
    assert clock.expired(18) == ("first byte", 10)


def test_what_is_still_being_sent_does_not_move_the_idle_clock() -> None:
    clock = ExchangeClock(CLOCKS, now=0)
    clock.received(1, body=True)
    clock.sending(5, 500)
    assert clock.expired(6) == ("idle", 5)


@pytest.mark.parametrize("pauses", [[(1, 1000)], [(1, 500), (501, 1002)]])
def test_all_clocks_stand_still_in_a_pause(pauses: list[tuple[float, float]]) -> None:
    clock = ExchangeClock(CLOCKS, now=0, until=100)
    away = 0.0
    for start, end in pauses:
        clock.pause(start)
        clock.pause(start + 0.5)
        assert clock.expired(end) is None
        clock.resume(end)
        clock.resume(end + 100)
        away += end - start
    assert clock.expired(9.9 + away) is None
    assert clock.expired(10 + away) == ("first byte", 10)
    clock.received(99 + away, body=True)
    assert clock.expired(99.9 + away) is None
    assert clock.expired(100 + away) == ("total", 100)
