"""The fuzzer's targets hold for their seeds and every beginning of them: what `make fuzz` starts from, without a fuzzer."""

import pytest

from fuzz.targets import SEEDS, TARGETS


def test_every_target_has_seeds() -> None:
    assert list(SEEDS) == list(TARGETS)
    assert all(SEEDS.values())


def holds(name: str, data: bytes) -> bool:
    """Whether what a target says of its data is true: it fails where it is not."""
    try:
        TARGETS[name](data)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_and_its_beginnings(name: str) -> None:
    beginnings = [seed[:end] for seed in SEEDS[name] for end in range(0, len(seed) + 1, 1 + len(seed) // 40)]
    assert [data for data in (*beginnings, *SEEDS[name]) if not holds(name, data)] == []
