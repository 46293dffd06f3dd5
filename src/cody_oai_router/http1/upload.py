"""A large request on its way out on the loop of Windows, slice by slice.

That loop hands a write to the system as a whole and says nothing of it before all is taken: a large prompt on a slow line would
look like an origin that is silent.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

SLICE: Final = 64 * 1024
"""Bytes that are handed over at a time; half a second on a line of one megabit a second."""


class Upload:
    """What of a request is not handed over yet; `go_on` hands over the next slice, whenever the one before is taken."""

    __slots__ = ("_slices", "_transport", "left")

    def __init__(self, transport: asyncio.Transport, parts: Sequence[bytes | bytearray]) -> None:
        # The transport says that it is ready for more when nothing is left of what it has.
        transport.set_write_buffer_limits(high=0)
        self._transport = transport
        views = [memoryview(part) for part in parts]
        self._slices = deque(view[at : at + SLICE] for view in views for at in range(0, len(view), SLICE))
        self.left = sum(map(len, views))
        """Bytes that are not handed over."""

    def go_on(self) -> None:
        """Hand over what the transport can take now."""
        while self._slices and not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            piece = self._slices.popleft()
            self.left -= len(piece)
            self._transport.write(piece)
