"""Which loop it is."""

import asyncio

from cody_oai_router.http1 import proactor


def test_the_loop_of_windows_is_where_windows_is() -> None:
    assert hasattr(asyncio, "ProactorEventLoop") is proactor.PROACTOR
