"""Reads what an instance says of itself: its release, and which api-version of Cody's stream it takes (contract §4.1, §7.2)."""

import re
from typing import Final

import msgspec

# `6.5.2654`, or a build between releases: `336952_2025-07-24_6.6-0a7545eb3e57` (contract §7.2).
_RELEASE: Final = re.compile(rb"(?:^|_)(\d{1,3})\.(\d{1,3})(?=[.\-]|$)")

# The newest that an instance takes which has a configuration for clients but no such field in it (contract §4.1).
_FIRST: Final = 1


class ClientConfig(msgspec.Struct, frozen=True):
    """What `/.api/client-config` says: whether Cody is on, and the newest api-version of its stream."""

    cody_enabled: bool
    api_version: int


class _Config(msgspec.Struct):
    codyEnabled: bool | None = None  # noqa: N815 - the wire's own name
    latestSupportedCompletionsStreamAPIVersion: int | None = None  # noqa: N815 - the wire's own name


_config = msgspec.json.Decoder(_Config).decode


def read_client_config(body: bytes) -> ClientConfig | None:
    """Reads `/.api/client-config`; nothing where it is none."""
    try:
        config = _config(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if config.codyEnabled is None and config.latestSupportedCompletionsStreamAPIVersion is None:
        return None
    version = config.latestSupportedCompletionsStreamAPIVersion
    return ClientConfig(config.codyEnabled is not False, _FIRST if version is None or version < 0 else version)


def read_release(body: bytes) -> tuple[int, int] | None:
    """Reads a version as `/healthz` writes it, or GraphQL's answer to `PRODUCT_VERSION`; nothing where it is none."""
    if body.startswith(b"{"):
        body = _product_version(body)
    found = _RELEASE.search(body[:100].strip())
    return (int(found[1]), int(found[2])) if found else None


def has_context_filters(body: bytes) -> bool:
    """Reads GraphQL's answer to `CONTEXT_FILTERS`: whether the site keeps repositories from language models (contract §4.1)."""
    filters = _read_site(body).codyContextFilters
    return bool(filters and filters.raw)


# Asked on its own: a field that the instance does not know fails the whole query (contract §7.2).
CONTEXT_FILTERS: Final = "query ContextFilters { site { codyContextFilters(version: V1) { raw } } }"


PRODUCT_VERSION: Final = "query ProductVersion { site { productVersion } }"


class _Raw(msgspec.Struct):
    raw: object = None


class _Site(msgspec.Struct):
    codyContextFilters: _Raw | None = None  # noqa: N815 - the wire's own name
    productVersion: str | None = None  # noqa: N815 - the wire's own name


class _Data(msgspec.Struct):
    site: _Site | None = None


class _Answer(msgspec.Struct):
    data: _Data | None = None


_answer = msgspec.json.Decoder(_Answer).decode


def _read_site(body: bytes) -> _Site:
    try:
        data = _answer(body).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        data = None
    return (data and data.site) or _Site()


def _product_version(body: bytes) -> bytes:
    return (_read_site(body).productVersion or "").encode()
