"""The properties of an executable that Windows shows: its version as four numbers."""

import pytest

import properties


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("0.1.0", (0, 1, 0, 0)),
        ("12.3", (12, 3, 0, 0)),
        ("1.2.3.4", (1, 2, 3, 4)),
        ("1.2.0rc1", (1, 2, 0, 0)),
        ("1.2.dev7+g0a987e3", (1, 2, 0, 0)),
        ("2", (2, 0, 0, 0)),
    ],
)
def test_a_version_is_four_numbers(version: str, numbers: tuple[int, int, int, int]) -> None:
    assert properties.four(version) == numbers
