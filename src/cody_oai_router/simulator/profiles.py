"""What one Sourcegraph version does differently from another (contract §1.1 and §9.1), as a table.

A value is a fact of the contract where its source is marked [S], [R], [D] or [T] there; the comments name the guesses
[I].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """One version of Sourcegraph, as far as its LLM API is concerned."""

    name: str
    version: str
    """`productVersion`, and the body of `/healthz`."""
    api_version: int | None
    """The newest api-version that `client-config` announces; None where the field does not exist yet."""
    streams: bool
    """Whether `stream: true` and `tools` work (6.0+)."""
    gated: bool
    """Whether a licence gate closes everything under `/.api/llm`."""
    wants_requested_with: bool
    """Whether a request without `X-Requested-With: name version` is refused (5.10 to 6.11)."""
    old: bool
    """The source of August 2024: plain-text errors, inner failures wrapped in 500, only the `token` scheme, raw finish
    words, null content refused."""
    usage: Literal["zeros", "counts", "credits"]
    refused_fields: tuple[str, ...]
    """Fields that are refused when they are not null, in the order in which they are looked at."""
    bad_tools_status: int
    """The status for a bad tool schema: 500 while the server panicked (6.0, 6.1), 400 since 6.2 (contract §1.1)."""
    deadline: float
    """Seconds until the server gives up unless `X-Timeout-Ms` says otherwise (contract §4.7)."""


_STRICT = ("stream_options", "n", "seed", "service_tier", "response_format", "user")
_LICENSED = ("n", "seed", "service_tier", "response_format")

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="5.6",
            version="5.6.2535",
            api_version=None,
            streams=False,
            gated=False,
            wants_requested_with=False,
            old=True,
            usage="zeros",
            refused_fields=_STRICT,
            bad_tools_status=500,
            deadline=60.0,
        ),
        Profile(
            name="6.1",
            version="6.1.2889",
            api_version=8,
            streams=True,
            gated=False,
            wants_requested_with=True,
            old=False,
            usage="counts",
            refused_fields=("n", "seed", "service_tier", "response_format", "user"),  # [I]: `user` as in 2024
            bad_tools_status=500,
            deadline=480.0,
        ),
        Profile(
            name="6.8-gated",
            version="6.8.1217",
            api_version=9,
            streams=True,
            gated=True,
            wants_requested_with=True,
            old=False,
            usage="credits",
            refused_fields=_LICENSED,
            bad_tools_status=400,
            deadline=480.0,
        ),
        Profile(
            name="6.12",
            version="6.12.5040",
            api_version=9,
            streams=True,
            gated=False,
            wants_requested_with=False,
            old=False,
            usage="credits",
            refused_fields=_LICENSED,
            bad_tools_status=400,
            deadline=480.0,
        ),
    )
}
