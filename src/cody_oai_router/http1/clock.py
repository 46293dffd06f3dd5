"""The clocks of one exchange with the origin: they measure silence, and stand still while nobody wants to read.

The first clock runs from the request sent to the first byte of the body, the idle clock from piece to piece, the total
one from the beginning. The clock for connecting is the client's.
"""

import math

from cody_oai_router.http1.errors import Phase
from cody_oai_router.http1.outgoing import Clocks


class ExchangeClock:
    """Which clock runs, and until when; times are the loop's."""

    __slots__ = ("_clocks", "_deadline", "_paused_at", "_phase", "_unsent", "_until")

    def __init__(self, clocks: Clocks, now: float, until: float = math.inf) -> None:
        self._clocks = clocks
        self._phase: Phase = "first byte"
        self._deadline = now + clocks.first_byte
        self._until = until
        self._unsent = 0
        self._paused_at: float | None = None

    @property
    def shortest(self) -> float:
        """The shortest of its clocks, in seconds."""
        return min(self._clocks.first_byte, self._clocks.idle, self._clocks.total or math.inf)

    def sending(self, now: float, unsent: int) -> None:
        """Note how much of the request is unsent: while that changes, the first clock begins anew."""
        if unsent != self._unsent:
            self._unsent = unsent
            if self._phase == "first byte":
                self._deadline = now + self._clocks.first_byte

    def received(self, now: float, *, body: bool) -> None:
        """Note that bytes came, of the body or only around it."""
        if body:
            self._phase = "idle"
        if self._phase == "idle":
            self._deadline = now + self._clocks.idle

    def pause(self, now: float) -> None:
        """Stand still."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """Run on."""
        if self._paused_at is not None:
            self._deadline += now - self._paused_at
            self._until += now - self._paused_at
            self._paused_at = None

    def expired(self, now: float) -> tuple[Phase, float] | None:
        """Return the clock that has run out, with the seconds that it allowed."""
        if self._paused_at is not None:
            return None
        if now >= self._until:
            return "total", self._clocks.total or 0.0
        if now >= self._deadline:
            return self._phase, self._clocks.first_byte if self._phase == "first byte" else self._clocks.idle
        return None
