"""Cody's stream as an upstream (contract §4.1): its address and its api-versions."""

import pytest

from cody_oai_router import __version__
from cody_oai_router.dialects import cody_stream
from cody_oai_router.relay import Upstream
from cody_oai_router.upstreams import completions_stream
from cody_oai_router.upstreams.completions_stream import NEWEST, newest_of, older, query

CLIENT = f"client-name=cody-oai-router&client-version={__version__}"


def test_what_it_speaks() -> None:
    upstream: Upstream = completions_stream
    assert (upstream.Reader, upstream.read_reply) == (cody_stream.Reader, cody_stream.read_reply)
    assert completions_stream.write_prompt is cody_stream.write_prompt


@pytest.mark.parametrize(
    ("version", "address"), [(9, f"?api-version=9&{CLIENT}"), (1, f"?api-version=1&{CLIENT}"), (0, f"?{CLIENT}")]
)
def test_the_api_version_is_in_the_address_and_none_is_left_out(version: int, address: str) -> None:
    """`api-version=0` literally would be refused with 406."""
    assert query(version) == address


def test_versions_are_tried_from_the_newest_to_none() -> None:
    tried = [NEWEST]
    while (version := older(tried[-1])) is not None:
        tried.append(version)
    assert tried == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert older(12) == 9


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ((7, 0), 9),
        ((6, 12), 9),
        ((6, 2), 9),
        ((6, 1), 8),
        ((6, 0), 6),
        ((5, 11), 5),
        ((5, 9), 5),
        ((5, 8), 4),
        ((5, 7), 1),
        ((5, 0), 1),
        ((4, 5), None),
    ],
)
def test_the_version_that_a_release_takes(release: tuple[int, int], version: int | None) -> None:
    assert newest_of(release) == version
