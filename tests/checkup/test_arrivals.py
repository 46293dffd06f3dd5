"""How the pieces of an answer came."""

import pytest

from cody_oai_router.checkup.arrivals import NOTICEABLE, SEVERAL, Arrival, judge_arrivals

LATE = NOTICEABLE + 1


@pytest.mark.parametrize(
    ("samples", "arrival"),
    [
        ([(0.3, 1), (0.4, 3), (0.5, 1)], "streamed"),
        ([(LATE, 1), (LATE, 20)], "streamed"),
        ([(LATE, 20)], "batched"),
        ([(0.1, 0), (LATE, 20), (LATE, 0)], "batched"),
        ([(NOTICEABLE, SEVERAL)], "batched"),
        ([(NOTICEABLE, SEVERAL - 1)], "unclear"),
        ([(NOTICEABLE - 0.01, SEVERAL)], "unclear"),
        ([(0.1, 20)], "unclear"),
        ([(LATE, 0)], "unclear"),
        ([], "unclear"),
    ],
)
def test_an_answer_that_came_at_once_and_late_was_held_back(samples: list[tuple[float, int]], arrival: Arrival) -> None:
    assert judge_arrivals(samples) == arrival
