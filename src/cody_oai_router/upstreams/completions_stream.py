"""Cody's stream: `POST {base}/.api/completions/stream?api-version=N` (Format B in the contract), what every Cody client uses.

An api-version that an instance does not know is refused with 406 (contract §4.1): then the next older one is tried.
"""

from typing import Final

from cody_oai_router import __version__
from cody_oai_router.dialects.cody_stream import Reader, read_reply, write_prompt

__all__ = ["NEWEST", "Reader", "newest_of", "older", "query", "read_reply", "write_prompt"]

# The newest api-version whose meaning is known; an instance that offers newer ones takes this one too.
NEWEST: Final = 9

# In which order they are tried where nobody says which one is right; 0 is none at all.
_LADDER: Final = (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)

# The first release with each, where an instance does not say itself (contract §4.1).
_SINCE: Final = (((6, 2), 9), ((6, 1), 8), ((6, 0), 6), ((5, 9), 5), ((5, 8), 4), ((5, 0), 1))


def query(version: int) -> str:
    """Gives the query of the address; the name is the router's own, and a site with context filters asks for it (contract §4.1)."""
    client = f"client-name=cody-oai-router&client-version={__version__}"
    return f"?api-version={version}&{client}" if version else f"?{client}"


def older(version: int) -> int | None:
    """Gives the api-version to try after one that was refused; nothing after the last."""
    return next((step for step in _LADDER if step < version), None)


def newest_of(release: tuple[int, int]) -> int | None:
    """Gives the api-version that a release of Sourcegraph (major, minor) takes; nothing for one that is older than any."""
    return next((version for since, version in _SINCE if release >= since), None)
