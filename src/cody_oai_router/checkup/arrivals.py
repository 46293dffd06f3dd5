"""Judges from the times at which a streamed answer arrived whether something between here and the model holds it back."""

from collections.abc import Sequence
from typing import Final, Literal

# One or two events say nothing of how they would have come had there been more.
SEVERAL: Final = 4
# Seconds. A model that writes for this long has sent its first words well before its last ones.
NOTICEABLE: Final = 1.0

Arrival = Literal["streamed", "batched", "unclear"]


def judge_arrivals(samples: Sequence[tuple[float, int]]) -> Arrival:
    """Tells how an answer came; each sample is one read: seconds since the request was sent, and how many events came in it."""
    reads = [(moment, count) for moment, count in samples if count]
    if len(reads) > 1:
        return "streamed"
    if not reads:
        return "unclear"
    moment, count = reads[0]
    return "batched" if count >= SEVERAL and moment >= NOTICEABLE else "unclear"
