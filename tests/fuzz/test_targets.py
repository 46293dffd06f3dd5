"""The fuzzer's targets hold for their seeds and every beginning of them: what `make fuzz` starts from, without a fuzzer."""

import pytest

from fuzz.targets import SEEDS, TARGETS


def test_every_target_has_seeds() -> None:
    assert list(SEEDS) == list(TARGETS)
    assert all(SEEDS.values())


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_and_its_beginnings(name: str) -> None:
    for seed in SEEDS[name]:
        for end in range(0, len(seed) + 1, 1 + len(seed) // 40):
            TARGETS[name](seed[:end])
        TARGETS[name](seed)
