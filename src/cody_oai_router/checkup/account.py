"""Reads what GraphQL says of the account and the instance (contract §7.2); each field is asked for in a query of its own."""

from typing import Final

import msgspec

USER_PATH: Final = "/.api/graphql?CurrentUser"
USER: Final = "query CurrentUser { currentUser { username displayName } }"
VERSION_PATH: Final = "/.api/graphql?SiteProductVersion"
VERSION: Final = "query SiteProductVersion { site { productVersion } }"
ENABLED_PATH: Final = "/.api/graphql?SiteIsCodyEnabled"
ENABLED: Final = "query SiteIsCodyEnabled { site { isCodyEnabled } }"


class User(msgspec.Struct, frozen=True):
    """Whose token it is."""

    username: str
    displayName: str | None = None  # noqa: N815 - the wire's own name


class Account(msgspec.Struct, frozen=True):
    """The answer about the account: no `user` means that the instance does not know who asks; `words` are its complaints."""

    user: User | None = None
    words: str = ""


def read_account(body: bytes) -> Account | None:
    """Reads the answer to `USER`; nothing where it is no answer of GraphQL's."""
    answer = _read(body)
    if answer is None or (answer.data is None and not answer.errors):
        return None
    words = "; ".join(error.message for error in answer.errors or ())
    return Account(answer.data.currentUser if answer.data else None, words)


def read_product_version(body: bytes) -> str | None:
    """Reads the answer to `VERSION`; nothing where the version is not in it."""
    answer = _read(body)
    site = answer.data.site if answer and answer.data else None
    return site.productVersion if site else None


def read_cody_enabled(body: bytes) -> bool | None:
    """Reads the answer to `ENABLED`; nothing where it is not in it."""
    answer = _read(body)
    site = answer.data.site if answer and answer.data else None
    return site.isCodyEnabled if site else None


class _Site(msgspec.Struct):
    productVersion: str | None = None  # noqa: N815 - the wire's own name
    isCodyEnabled: bool | None = None  # noqa: N815 - the wire's own name


class _Data(msgspec.Struct):
    currentUser: User | None = None  # noqa: N815 - the wire's own name
    site: _Site | None = None


class _Error(msgspec.Struct):
    message: str = ""


class _Answer(msgspec.Struct):
    data: _Data | None = None
    errors: list[_Error] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def _read(body: bytes) -> _Answer | None:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
