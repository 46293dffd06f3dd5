"""The command that makes a key."""

import pytest

from cody_oai_router.cli import main
from cody_oai_router.credentials import Secret, read_key


def test_a_key_is_printed_alone_and_never_twice(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/u/.config")
    keys = []
    for _ in range(2):
        assert main(["generate-key"]) == 0
        out, err = capfd.readouterr()
        key = out.removesuffix("\n")
        assert isinstance(read_key(key), Secret)
        assert len(key) == 43
        assert key not in err
        assert "ROUTER_API_KEY=<the key>" in err
        assert "OPENAI_API_KEY=<the key>" in err
        keys.append(key)
    assert keys[0] != keys[1]
