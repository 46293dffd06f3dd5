"""The only clock and the only source of identifiers; a test brings its own."""

import os
import time


class Clock:
    """Tells the time and makes identifiers."""

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def identifier(self) -> str:
        """Gives 24 random hex digits."""
        return os.urandom(12).hex()
