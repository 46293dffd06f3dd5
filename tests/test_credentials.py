"""Tokens, keys and extra headers: what shows, what is refused and in which words."""

import pickle

import pytest

from cody_oai_router.credentials import Secret, read_header, read_header_lines, read_key, read_token
from cody_oai_router.notation import Wrong

TOKEN = "sgp_0123456789abcdef_0123456789abcdef0123456789abcdef01234567"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("canary")
    assert (repr(secret), str(secret), f"{secret}") == ("Secret(***)",) * 3
    assert secret.reveal() == "canary"
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(secret)


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("k\u00e9y").matches("k\u00e9y".encode())
    assert not Secret("key").matches(b"key ")
    assert not Secret("key").matches(b"\xff")


@pytest.mark.parametrize(
    "token",
    [
        TOKEN,
        "sgp_local_0123456789abcdef0123456789abcdef01234567",
        "sgp_0123456789abcdef0123456789abcdef01234567",
        "0123456789abcdef0123456789abcdef01234567",
        "eyJhbGciOi.J9-_~+/=",
        "xoauth-opaque",
        "yourname0123",
    ],
)
def test_every_form_of_token_is_taken(token: str) -> None:
    assert read_token(token) == Secret(token)


_STILL = "it is still a placeholder: put your own access token (sgp_...) there"


@pytest.mark.parametrize(
    "text",
    [
        "your_token_here",
        "YOUR-TOKEN",
        "Your token here",
        "sgp_your_token_here",
        "<token>",
        "<your token>",
        "sgp_<token>",
        "[token]",
        "{{token}}",
        "$TOKEN",
        "${TOKEN}",
        "%TOKEN%",
        "changeme",
        "change_me",
        "sgp_xxx",
        "sgp_xxxxxxxxxxxxxxxx_xxxxxxxx",
        "sgp_",
        "sgp_...",
        "sgp_\u2026",
        "xxx",
        "****",
        "...",
        "token",
        "insert-token-here",
        "my-secret-token",
        "null",
    ],
)
def test_a_placeholder_is_no_token(text: str) -> None:
    assert read_token(text) == Wrong(_STILL)


_ALONE = "give the token alone, without 'token' or 'Bearer' before it"
_USE = "make an access token (sgp_...) in your user settings"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"token {TOKEN}", _ALONE),
        (f"Bearer {TOKEN}", _ALONE),
        (f"Authorization: token {TOKEN}", _ALONE),
        ("slk_0123", f"it is a licence key (slk_...), which only a Sourcegraph server uses: {_USE}"),
        ("sgs_0123", f"it is a subscription token (sgs_...), which only a Sourcegraph server uses: {_USE}"),
        ("sgd_0123", f"it is a token of Sourcegraph's own gateway (sgd_...), which no instance accepts: {_USE}"),
        ("sgp_0123 4567", "it contains a space or a line break: copy it again, as one word"),
        ("sgp_0123\n4567", "it contains a space or a line break: copy it again, as one word"),
        ("sgp_0123\x00", "it contains a control character: copy it again"),
        ('"sgp_0123', "it contains a quotation mark: quote the whole value or nothing"),
        (
            "sgp_0123\u201d",
            "it contains a character outside ASCII: copy it again, without quotation marks of a text program",
        ),
    ],
)
def test_what_cannot_be_a_token_is_explained_without_being_shown(text: str, why: str) -> None:
    assert read_token(text) == Wrong(why)
    assert "0123" not in why


def test_a_key_is_one_word_of_ascii() -> None:
    assert read_key("token") == Secret("token")
    assert read_key("two words") == Wrong("it contains a space or a line break: copy it again, as one word")


@pytest.mark.parametrize(
    "text",
    [
        "X-One:a b\nclient-id: two:three",
        "X-One:a b\\nclient-id:two:three",
        "X-One: a b\r\n\r\nclient-id: two:three\r\n",
        '{"X-One": "a b", "client-id": "two:three"}',
    ],
)
def test_header_lines_in_every_spelling(text: str) -> None:
    assert read_header_lines(text) == {"x-one": Secret("a b"), "client-id": Secret("two:three")}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no colon", "every line needs the form name:value"),
        ("a b:c", "it contains a header name that HTTP does not allow"),
        (":c", "it contains a header name that HTTP does not allow"),
        ("a:", "the value of the header a must be visible ASCII on one line"),
        ("a:\u00e9", "the value of the header a must be visible ASCII on one line"),
        ('{"a": "b\\r\\nc: d"}', "the value of the header a must be visible ASCII on one line"),
        ('{"a": 1}', 'it looks like JSON but is not an object of strings, such as {"name": "value"}'),
        ("{", 'it looks like JSON but is not an object of strings, such as {"name": "value"}'),
        ("AUTHORIZATION:Bearer x", "it sets the header Authorization, which carries the access token"),
        ("Host:x", "it sets the header Host, which the router writes itself"),
        ("content-LENGTH:1", "it sets the header content-LENGTH, which the router writes itself"),
    ],
)
def test_header_lines_that_cannot_be_sent(text: str, why: str) -> None:
    assert read_header_lines(text) == Wrong(why)


def test_one_header() -> None:
    assert read_header("X-Dbx-Auth-Token", "foo\tbar") == ("x-dbx-auth-token", Secret("foo\tbar"))
