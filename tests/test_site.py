"""What an instance says of itself (contract §4.1, §7.2)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.site import (
    CONTEXT_FILTERS,
    PRODUCT_VERSION,
    ClientConfig,
    has_context_filters,
    read_client_config,
    read_release,
)
from strategies import wild_bytes

VERSION = "latestSupportedCompletionsStreamAPIVersion"


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"codyEnabled": True, VERSION: 9}, ClientConfig(cody_enabled=True, api_version=9)),
        ({"codyEnabled": False, VERSION: 8}, ClientConfig(cody_enabled=False, api_version=8)),
        ({VERSION: 12}, ClientConfig(cody_enabled=True, api_version=12)),
        ({VERSION: 0, "codyEnabled": None}, ClientConfig(cody_enabled=True, api_version=0)),
        # Releases 5.4 to 5.7 have the configuration, but not the field: they take 1.
        ({"codyEnabled": True, "chatEnabled": True}, ClientConfig(cody_enabled=True, api_version=1)),
        ({"codyEnabled": True, VERSION: None}, ClientConfig(cody_enabled=True, api_version=1)),
        ({"codyEnabled": True, VERSION: -1}, ClientConfig(cody_enabled=True, api_version=1)),
        ({}, None),
        ({"chatEnabled": True}, None),
        ({"codyEnabled": "yes"}, None),
        ({"codyEnabled": True, VERSION: "9"}, None),
        ([], None),
    ],
)
def test_client_config(fields: Any, config: ClientConfig | None) -> None:
    assert read_client_config(json.dumps(fields).encode()) == config


@pytest.mark.parametrize("body", [b"", b"Not Found", b"<html>", b"\xff", b'{"a":"\xff"}', b"[" * 100_000])
def test_what_is_no_client_config(body: bytes) -> None:
    assert read_client_config(body) is None


@pytest.mark.parametrize(
    ("body", "release"),
    [
        (b"6.5.2654", (6, 5)),
        (b"6.12.5040\n", (6, 12)),
        (b" 5.8.1579 ", (5, 8)),
        (b"5.2", (5, 2)),
        (b"6.6-rc.1", (6, 6)),
        (b"336952_2025-07-24_6.6-0a7545eb3e57", (6, 6)),
        (b"313030_2025-03-11_6.1-abcdef123456", (6, 1)),
        (b"", None),
        (b"ok", None),
        (b"0.0.0+dev", (0, 0)),
        (b"dev", None),
        (b"6", None),
        (b"1234.5", None),
        (b"6.5x", None),
        (b"v6.5.1", None),
        (b"\xff6.5.1", None),
        (b"<html>6.5.1", None),
        (b" " * 100 + b"6.5.1", None),
        # GraphQL's answer.
        (b'{"data":{"site":{"productVersion":"6.5.2654"}}}', (6, 5)),
        (b'{"data":{"site":{"productVersion":"336952_2025-07-24_6.6-0a7545eb3e57","x":1}}}', (6, 6)),
        (b'{"data":{"site":{"productVersion":"dev"}}}', None),
        (b'{"data":{"site":{"productVersion":null}}}', None),
        (b'{"data":{"site":{"productVersion":6.5}}}', None),
        (b'{"data":{"site":{"siteID":"6.5.1"}}}', None),
        (b'{"data":{"site":null}}', None),
        (b'{"data":null,"errors":[{"message":"6.5.1"}]}', None),
        (b'{"version":"6.5.1"}', None),
        (b'{"data":{"site":{"productVersion":"6.5', None),
        (b'{"data":' * 100_000, None),
    ],
)
def test_releases(body: bytes, release: tuple[int, int] | None) -> None:
    assert read_release(body) == release


@pytest.mark.parametrize(
    ("body", "has"),
    [
        (b'{"data":{"site":{"codyContextFilters":{"raw":{"include":[{"repoNamePattern":"a"}]}}}}}', True),
        (b'{"data":{"site":{"codyContextFilters":{"raw":{}}}}}', False),
        (b'{"data":{"site":{"codyContextFilters":{"raw":null}}}}', False),
        (b'{"data":{"site":{"codyContextFilters":{}}}}', False),
        (b'{"data":{"site":{"codyContextFilters":null}}}', False),
        (b'{"data":{"site":null}}', False),
        (
            b'{"data":null,"errors":[{"message":"Cannot query field \\"codyContextFilters\\" on type \\"Site\\"."}]}',
            False,
        ),
        (b"{}", False),
        (b"[]", False),
        (b"", False),
        (b"Unauthorized", False),
        (b"\xff", False),
        (b'{"data":' * 100_000, False),
    ],
)
def test_context_filters(body: bytes, has: bool) -> None:
    assert has_context_filters(body) == has


def test_the_question_asks_for_the_filters_and_nothing_else() -> None:
    """A field that an instance does not know fails the whole query."""
    assert CONTEXT_FILTERS == "query ContextFilters { site { codyContextFilters(version: V1) { raw } } }"
    assert PRODUCT_VERSION == "query ProductVersion { site { productVersion } }"


CONFIG = {"codyEnabled": True, VERSION: 9}
FILTERS: dict[str, Any] = {"data": {"site": {"codyContextFilters": {"raw": {"include": []}}}}}


RELEASE: dict[str, Any] = {"data": {"site": {"productVersion": "6.5.2654"}}}


@given(wild_bytes(CONFIG, FILTERS, RELEASE) | st.sampled_from([b"6.5.2654", b"336952_2025-07-24_6.6-0a7545eb3e57"]))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    config = read_client_config(body)
    assert config is None or config.api_version >= 0
    assert has_context_filters(body) in (True, False)
    release = read_release(body)
    assert release is None or min(release) >= 0
