"""Faults: every kind has its status."""

from typing import get_args

import pytest

from cody_oai_router.faults import STATUS, Fault, Kind

TABLE: list[tuple[Kind, int]] = [
    ("bad_request", 400),
    ("unauthenticated", 401),
    ("forbidden", 403),
    ("not_found", 404),
    ("model_not_found", 404),
    ("method_not_allowed", 405),
    ("request_timeout", 408),
    ("too_large", 413),
    ("unprocessable", 422),
    ("rate_limited", 429),
    ("internal", 500),
    ("bad_gateway", 502),
    ("unavailable", 503),
    ("timed_out", 504),
]


@pytest.mark.parametrize(("kind", "status"), TABLE)
def test_the_status_of_a_kind(kind: Kind, status: int) -> None:
    assert Fault(kind=kind, message="").status == status


def test_every_kind_is_in_the_table() -> None:
    assert set(STATUS) == set(get_args(Kind)) == {kind for kind, _ in TABLE}


def test_a_status_of_upstream_that_has_no_kind_of_its_own() -> None:
    assert Fault(kind="bad_request", message="", override=402).status == 402
