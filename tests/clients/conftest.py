"""The stands that the clients are tried on: a router before an instance of each version that has the LLM API open."""

from collections.abc import Iterator

import pytest

from clients.stand import PROFILES, Stand


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the clients from asking this machine's proxy, where it has one, for the way to loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module", params=PROFILES)
def _stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with Stand(request.param) as stand:
        yield stand


@pytest.fixture
def stand(_stand: Stand) -> Stand:
    """A running stand of each profile in turn, with nothing received and nothing queued."""
    _stand.reset()
    return _stand


@pytest.fixture(scope="module")
def _newest() -> Iterator[Stand]:
    with Stand(PROFILES[-1]) as stand:
        yield stand


@pytest.fixture
def newest(_newest: Stand) -> Stand:
    """A running stand of the newest profile, for what does not depend on the instance's version."""
    _newest.reset()
    return _newest
