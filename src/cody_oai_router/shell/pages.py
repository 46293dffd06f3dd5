"""The small pages of an instance: what it says of itself, as bytes, or why it says nothing."""

from typing import Final

import msgspec

from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Client, ClientError, Clocks, Outgoing
from cody_oai_router.settings import Settings
from cody_oai_router.shell.clock import Clock
from cody_oai_router.shell.failures import fault_of
from cody_oai_router.sourcegraph.refusals import read_fault
from cody_oai_router.sourcegraph.waits import with_pause

# The largest recorded listing is 60 KB.
MAX_PAGE_BYTES: Final = 8 * 1024 * 1024


class Pages:
    """Asks one instance for its pages."""

    def __init__(self, client: Client, settings: Settings, common: bytes, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._headers = common + b"accept: application/json\r\n"
        self._clock = clock

    async def query(self, path: str, query: str) -> bytes | Fault:
        """Posts a GraphQL query."""
        return await self.get(path, msgspec.json.encode({"query": query}))

    async def get(self, path: str, body: bytes = b"") -> bytes | Fault:
        """Asks for a page, or posts a query where there is a body."""
        timeouts = self._settings.timeouts
        clocks = Clocks(timeouts.connect, timeouts.first_byte, timeouts.idle, None)
        target = self._settings.upstream.target(path).encode()
        headers = self._headers + (b"content-type: application/json\r\n" if body else b"")
        try:
            incoming = await self._client.send(Outgoing(b"POST" if body else b"GET", target, headers, body), clocks)
            answer = await incoming.read(MAX_PAGE_BYTES)
        except ClientError as error:
            return fault_of(error)
        if incoming.status == 200:  # noqa: PLR2004 - HTTP's own number
            return answer
        return with_pause(read_fault(incoming.status, decoded(incoming.headers), answer, self._clock.wall()))


def decoded(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Gives upstream's headers as text, the first of each name."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found
