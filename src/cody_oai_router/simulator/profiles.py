"""What one Sourcegraph version does differently from another (contract §1.1, §4.1 and §9.1), as a table.

A value is a fact of the contract where its source is marked [S], [R], [D] or [T] there; the comments name the guesses
[I].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One version of Sourcegraph, as far as its two LLM endpoints are concerned."""

    name: str
    version: str
    """`productVersion`, and the body of `/healthz`."""
    api_version: int | None
    """The newest api-version, as `client-config` announces it; None where the field does not exist yet (only 1 then)."""
    models: Literal["2024", "2024-12", "2025"]
    """The age of the models that a site of this version has."""
    llm: bool = True
    """Whether there is anything under `/.api/llm`."""
    streams: bool = True
    """Whether `stream: true` and `tools` work on the LLM API (6.0+)."""
    gated: bool = False
    """Whether a licence gate closes everything under `/.api/llm`."""
    wants_requested_with: bool = False
    """Whether a request without `X-Requested-With: name version` is refused (5.10 to 6.11)."""
    old: bool = False
    """The source of August 2024: plain-text errors, inner failures wrapped in 500, only the `token` scheme, raw finish
    words; Cody's stream knows no `content` and no `role` in a message."""
    ancient: bool = False
    """Before 5.5 and 5.6: no client-config, no model configuration, no context filters in GraphQL, and a site that has
    filters serves none but Cody's own clients (contract §1.2, §4.1)."""
    null_content: bool = True
    """Whether the LLM API puts up with null content (5.9+)."""
    json_errors: bool = True
    """Whether Cody's stream writes its errors as JSON (6.5+)."""
    names_ref: bool = False
    """Whether the last frame of Cody's stream has `modelref`: announced for 6.2, absent on 6.12 (contract §4.4)."""
    dotcom: bool = False
    """sourcegraph.com: public, and without Cody since July 2025 (fact 15)."""
    usage: Literal["zeros", "counts", "credits"] = "credits"
    refused_fields: tuple[str, ...]
    """Fields that are refused when they are not null, in the order in which they are looked at."""
    bad_tools_status: int = 400
    """The status for a bad tool schema: 500 while the server panicked (6.0, 6.1), 400 since 6.2 (contract §1.1)."""
    deadline: float = 480.0
    """Seconds until the server gives up unless `X-Timeout-Ms` says otherwise (contract §4.7)."""


_STRICT = ("stream_options", "n", "seed", "service_tier", "response_format", "user")
_LICENSED = ("n", "seed", "service_tier", "response_format")

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="5.4",
            version="5.4.0",
            api_version=None,
            models="2024",
            llm=False,
            streams=False,
            old=True,
            ancient=True,
            null_content=False,
            json_errors=False,
            usage="zeros",
            refused_fields=_STRICT,
        ),
        Profile(
            name="5.6",
            version="5.6.2535",
            api_version=None,
            models="2024",
            streams=False,
            old=True,
            null_content=False,
            json_errors=False,
            usage="zeros",
            refused_fields=_STRICT,
            bad_tools_status=500,
            deadline=60.0,
        ),
        Profile(
            name="5.8",
            version="5.8.1579",
            api_version=4,
            models="2024-12",
            streams=False,
            null_content=False,
            json_errors=False,
            usage="zeros",
            refused_fields=_STRICT,  # [I]: as in the source of 2024
        ),
        Profile(
            name="5.10",
            version="5.10.1164",  # [I]: no release of 5.10 is recorded
            api_version=5,
            models="2024-12",
            streams=False,
            wants_requested_with=True,
            json_errors=False,
            usage="counts",
            refused_fields=_STRICT,  # [I]: as in the source of 2024
        ),
        Profile(
            name="6.1",
            version="6.1.2889",
            api_version=8,
            models="2025",
            wants_requested_with=True,
            json_errors=False,
            usage="counts",
            refused_fields=("n", "seed", "service_tier", "response_format", "user"),  # [I]: `user` as in 2024
            bad_tools_status=500,
        ),
        Profile(
            name="6.5-starter",
            version="6.5.2654",
            api_version=9,
            models="2025",
            gated=True,
            wants_requested_with=True,
            names_ref=True,
            refused_fields=_LICENSED,
        ),
        Profile(
            name="6.8-gated",
            version="6.8.1217",
            api_version=9,
            models="2025",
            gated=True,
            wants_requested_with=True,
            names_ref=True,
            refused_fields=_LICENSED,
        ),
        Profile(
            name="6.12",
            version="6.12.5040",
            api_version=9,
            models="2025",
            refused_fields=_LICENSED,
        ),
        Profile(  # [I]: all of it
            name="7.x-unknown",
            version="7.0.1",
            api_version=9,
            models="2025",
            llm=False,
            refused_fields=_LICENSED,
        ),
        Profile(
            name="dotcom-dead",
            version="336952_2025-07-24_6.6-0a7545eb3e57",
            api_version=9,
            models="2025",
            names_ref=True,
            dotcom=True,
            refused_fields=_LICENSED,
        ),
    )
}
