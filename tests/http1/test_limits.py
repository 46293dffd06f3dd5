"""The budget for buffered bytes."""

from cody_oai_router.http1 import ByteBudget


def test_what_does_not_fit_is_not_taken() -> None:
    budget = ByteBudget(10)
    assert budget.take(10)
    assert not budget.take(1)
    budget.give(4)
    assert not budget.take(5)
    assert budget.take(4)
    assert budget.used == 10
