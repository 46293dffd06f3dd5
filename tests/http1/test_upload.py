"""A large request in slices, over a transport that says no more of a write than Windows does."""

import asyncio

from cody_oai_router.http1.upload import SLICE, Upload


class Whole(asyncio.Transport):
    """A transport that, like that of Windows' loop, has a write or has it not."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = b""
        self.pending = b""
        self.limits: list[int | None] = []
        self.closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert low is None
        self.limits.append(high)

    def get_write_buffer_size(self) -> int:
        return len(self.pending)

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.pending
        assert len(data) <= SLICE
        self.pending = bytes(data)

    def take(self) -> None:
        self.taken += self.pending
        self.pending = b""


def test_slice_by_slice_what_is_unsent_shrinks() -> None:
    transport = Whole()
    parts: list[bytes | bytearray] = [b"head", bytearray(range(256)) * 512, b"", b"tail"]
    upload = Upload(transport, parts)
    assert transport.limits == [0]  # or it would not say that it has taken a slice
    unsent = []
    while upload.left or transport.pending:
        unsent.append(upload.left + len(transport.pending))
        upload.go_on()
        transport.take()
    assert unsent == [131_080, 131_076, 65_540, 4]
    assert transport.taken == b"".join(parts)


def test_a_closing_transport_is_given_nothing() -> None:
    transport = Whole()
    upload = Upload(transport, [b"x" * 100])
    transport.closing = True
    upload.go_on()
    assert (transport.pending, upload.left) == (b"", 100)
