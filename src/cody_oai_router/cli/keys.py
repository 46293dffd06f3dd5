"""`cody-oai-router generate-key`: a key that others cannot guess, and what to do with it."""

import secrets
from typing import Final

from cody_oai_router.cli.console import complain
from cody_oai_router.cli.sources import settings_file, this_machine

# Bytes of randomness: as many as the hash of a password that nobody has to remember.
_STRENGTH: Final = 32


def generate_key() -> int:
    """Print a new key, alone on standard output so that it can be piped, and return the exit code."""
    file = settings_file(this_machine())
    print(secrets.token_urlsafe(_STRENGTH))  # noqa: T201 - the key is what the command is for
    complain(
        [
            "A new key; it is stored nowhere yet.",
            f"For the router: ROUTER_API_KEY=<the key> in {file or 'the environment'}, readable by you alone (chmod 600).",
            "For clients: their API key (OPENAI_API_KEY=<the key>).",
        ]
    )
    return 0
