"""Pages of an instance, and the header lines of requests to it: only the necessary ones, under the router's own name (contract §2.1, §4.2).

Nothing of the client's headers comes here.
"""

import re
from collections.abc import Iterable
from typing import Final

from cody_oai_router import __version__

MODELS_PATH: Final = "/.api/llm/models"
SUPPORTED_PATH: Final = "/.api/modelconfig/supported-models.json"
CLIENT_CONFIG_PATH: Final = "/.api/client-config"
CONTEXT_FILTERS_PATH: Final = "/.api/graphql?ContextFilters"
PRODUCT_VERSION_PATH: Final = "/.api/graphql?ProductVersion"
HEALTH_PATH: Final = "/healthz"

CLIENT_NAME: Final = f"cody-oai-router {__version__}"

# The instance's own deadline can be as short as a minute (contract §4.7); an hour outlasts any answer.
DEFAULT_TIMEOUT_MS: Final = 3_600_000

_ACCESS_TOKEN: Final = re.compile(r"sgp_[0-9A-Za-z_]+|[0-9a-fA-F]{40}")


def authorization(token: str) -> str:
    """Gives the scheme that fits the token: `token` for access tokens, `Bearer` for OAuth ones (contract §2.1, §7.1)."""
    return f"token {token}" if _ACCESS_TOKEN.fullmatch(token) else f"Bearer {token}"


def headers(token: str, extra: Iterable[tuple[str, str]], total: float | None) -> bytes:
    """Writes the header lines that every request has; `total` is the configured time limit in seconds, if any."""
    timeout = DEFAULT_TIMEOUT_MS if total is None else int(total * 1000)
    lines = {
        "authorization": authorization(token),
        "user-agent": CLIENT_NAME,
        "x-requested-with": CLIENT_NAME,
        "accept-encoding": "identity",
        "x-timeout-ms": str(timeout),
    } | dict(extra)
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in lines.items())


def request_headers(common: bytes, *, stream: bool) -> bytes:
    """Adds what differs between one completion request and the next."""
    accept = b"text/event-stream" if stream else b"application/json"
    return common + b"content-type: application/json\r\naccept: " + accept + b"\r\n"
