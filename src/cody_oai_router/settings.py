"""What the user has configured: from sources of strings to one frozen value, or to the reasons why not.

Strategy: the shell collects the sources (command line, environment, files) in their order of precedence; this module reads
every variable once, collects everything that is wrong, and checks at the end that no less trusted source steers where a
secret from a more trusted one travels: a `.env` in some cloned repository must not send a user's token elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar

import msgspec

from cody_oai_router import variables
from cody_oai_router.addresses import (
    Proxy,
    Upstream,
    bypasses,
    is_loopback,
    read_end_point,
    read_host_names,
    read_listen,
    read_origins,
    read_proxy,
    read_upstream,
)
from cody_oai_router.credentials import Secret, read_header, read_header_lines, read_key, read_token
from cody_oai_router.variables import DEFAULT_BASE_URL, DEFAULT_END_POINT
from cody_oai_router.wrong import Wrong, quoted

Place = Literal["flags", "environment", "beside", "user", "directory"]

# How far each place is from the user's own hand. Whoever writes a flag or the environment runs the program already; the folder
# of the executable and the user's configuration folder are the user's; the working directory may be anybody's repository.
_DISTANCE: Final[dict[Place, int]] = {"flags": 0, "environment": 0, "beside": 1, "user": 2, "directory": 3}

_HEADER_PREFIX: Final = "SRC_HEADER_"
T = TypeVar("T")


class Source(msgspec.Struct, frozen=True):
    """One place that sets variables; `label` names it in messages ("the environment", a path)."""

    place: Place
    label: str
    values: Mapping[str, str]


class File(msgspec.Struct, frozen=True):
    """A file that a variable names: the whole path and its text."""

    path: str
    text: str


ReadFile = Callable[[str], File | Wrong]


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds."""

    connect: float
    first_byte: float
    slow_first_byte: float
    idle: float
    total: float | None
    head_hold: float
    heartbeat: float
    shutdown_grace: float


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in bytes or as counts, as the table of variables explains them."""

    body_bytes: int
    head_bytes: int
    headers: int
    connections: int
    upstream_connections: int
    event_bytes: int
    reply_bytes: int
    buffered_bytes: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the user decides; no field shows a secret.

    `hosts` must all be bound, `hosts_if_free` only where they can. `proxy` is already decided for this instance. `notices` are
    lines to show at every start. `origins` says which source set each variable.
    """

    port: int
    hosts: tuple[str, ...]
    hosts_if_free: tuple[str, ...]
    upstream: Upstream
    end_point: str
    pinned: bool
    token: Secret
    extra_headers: tuple[tuple[str, Secret], ...]
    default_model: str | None
    model_aliases: Mapping[str, str]
    default_max_tokens: int
    default_max_tokens_reasoning: int
    timeouts: Timeouts
    limits: Limits
    log_format: Literal["text", "json"]
    proxy: Proxy | None
    ca_file: str | None
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    api_key: Secret | None
    notices: tuple[str, ...]
    origins: Mapping[str, str]


class Refusal(msgspec.Struct, frozen=True):
    """Why the router does not start: one line for each thing that is wrong.

    `token_missing` says that no token is configured anywhere; with no `lines` it is all that is wrong.
    """

    lines: tuple[str, ...]
    token_missing: bool = False
