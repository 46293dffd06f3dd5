"""A router for a moment, on a free port of this machine, and the client that tries it.

Strategy: what a user's programs will get is best seen by asking as they do. So nothing here decides how Sourcegraph is asked: the
questions go through the whole router. Its key is made for the occasion, so that nobody else on the machine can use the token meanwhile.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec

from cody_oai_router.checkup.answers import Heard, Question
from cody_oai_router.credentials import Secret
from cody_oai_router.http1 import Client, ClientError, Clocks, Incoming, Origin, Outgoing
from cody_oai_router.shell.pages import decoded
from cody_oai_router.shell.router import serve
from cody_oai_router.shell.workshop import Workshop

_HOST = "127.0.0.1"
_KEY_BYTES = 32


class Trial:
    """The client of one router."""

    def __init__(self, client: Client, key: str, patience: float) -> None:
        self._client = client
        self.port = client.origin.port
        self._headers = f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n".encode()
        self._clocks = Clocks(patience, patience, patience)

    async def ask(self, question: Question) -> Heard:
        """Asks one question and hears the answer to its end; raises a ClientError only where the router itself fails."""
        body = msgspec.json.encode(question)
        ear = _Ear()
        incoming = await self._client.send(
            Outgoing(b"POST", b"/v1/chat/completions", self._headers, body), self._clocks
        )
        incoming.attach(ear)
        try:
            await ear.ended
        finally:
            if not ear.ended.done() or ear.ended.cancelled():
                incoming.cancel()
        return ear.heard(incoming)


class _Ear:
    """A sink that notes when what came."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._pieces: list[tuple[float, bytes]] = []
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def on_data(self, data: bytes) -> None:
        self._pieces.append((self._loop.time() - self._start, data))

    def on_end(self, *, delimited: bool) -> None:  # noqa: ARG002 - a sink's signature
        self._end()

    def on_fail(self, error: ClientError) -> None:  # noqa: ARG002 - a broken answer shows by what is missing
        self._end()

    def heard(self, incoming: Incoming) -> Heard:
        return Heard(incoming.status, decoded(incoming.headers), self._pieces)

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


@contextlib.asynccontextmanager
async def trial(shop: Workshop, patience: float) -> AsyncIterator[Trial]:
    """Serves with what `shop` has until the block ends; raises OSError where this machine lets nobody listen."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    settings = msgspec.structs.replace(
        shop.settings, port=0, workers=1, hosts=(_HOST,), hosts_if_free=(), api_key=Secret(key)
    )
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.get_running_loop().create_task(
        serve(replace(shop, settings=settings), ready=lambda found: listening.set_result(found[0][1]), stop=stop)
    )
    try:
        await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            serving.result()
        client = Client(Origin("http", _HOST, listening.result()))
        try:
            yield Trial(client, key, patience)
        finally:
            await client.close()
    finally:
        stop.set()
        await serving
