"""The stands of the heavy clients: tools native, and emulated; and nothing of the user's, nothing sent home, around them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.heavy.surroundings import PROFILES, quiet
from clients.stand import Stand


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leaves these tests to a run that names them: they need an environment of their own."""
    return None if any("heavy" in argument for argument in config.args) else True


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Gives clients that run in this process the surroundings that those with a process of their own are given."""
    for name, value in quiet(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module", params=PROFILES)
def _stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with Stand(request.param) as stand:
        yield stand
