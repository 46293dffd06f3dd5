"""GraphQL's answers, recorded and broken ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.checkup.account import (
    Account,
    User,
    read_account,
    read_cody_enabled,
    read_product_version,
)


@pytest.mark.parametrize(
    ("body", "account"),
    [
        (
            b'{"data":{"currentUser":{"username":"ada","displayName":"Ada L.","id":"x"}}}',
            Account(User("ada", "Ada L.")),
        ),
        (b'{"data":{"currentUser":{"username":"ada","displayName":null}}}', Account(User("ada", None))),
        (b'{"data":{"currentUser":null}}', Account()),
        (b'{"errors":[{"message":"a"},{"message":"b"}],"data":null}', Account(words="a; b")),
        (b"{}", None),
        (b"[]", None),
        (b"<html>", None),
        (b"\xff", None),
    ],
)
def test_whose_token_it_is(body: bytes, account: Account | None) -> None:
    assert read_account(body) == account


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b'{"data":{"site":{"productVersion":"6.5.2654"}}}', "6.5.2654"),
        (b'{"data":{"site":null}}', None),
        (b'{"errors":[{"message":"Cannot query field"}]}', None),
        (b"6.5", None),
    ],
)
def test_the_version(body: bytes, version: str | None) -> None:
    assert read_product_version(body) == version


@pytest.mark.parametrize(
    ("body", "enabled"),
    [
        (b'{"data":{"site":{"isCodyEnabled":true}}}', True),
        (b'{"data":{"site":{"isCodyEnabled":false}}}', False),
        (b'{"data":null}', None),
        (b"", None),
    ],
)
def test_whether_cody_is_on(body: bytes, enabled: bool | None) -> None:
    assert read_cody_enabled(body) is enabled


@given(st.binary(max_size=60))
def test_no_answer_breaks_a_reader(body: bytes) -> None:
    assert isinstance(read_account(body), Account | None)
    assert isinstance(read_product_version(body), str | None)
    assert read_cody_enabled(body) in (True, False, None)
