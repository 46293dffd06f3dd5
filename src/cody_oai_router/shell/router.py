"""One router: puts the parts together, listens, serves until it is told to stop, and lets running answers finish."""

import asyncio
import errno
from collections.abc import Callable, Sequence

from cody_oai_router.exchange import Budgets
from cody_oai_router.http1 import Server, ServerLimits
from cody_oai_router.settings import Settings
from cody_oai_router.shell.app import App
from cody_oai_router.shell.clock import Clock
from cody_oai_router.shell.instance import Instance
from cody_oai_router.shell.log import Log
from cody_oai_router.shell.pulse import Pulse
from cody_oai_router.shell.upstream_client import upstream_client
from cody_oai_router.shell.workshop import Workshop
from cody_oai_router.upstreams.requests import headers

Address = tuple[str, int]

# For answers that are broken off to say so, after their grace period.
LAST_WORDS_SECONDS = 1.0

# What a second address may fail with without anybody missing it: no IPv6 here, or somebody else is on it.
_NOT_TO_BE_HAD = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EACCES})


async def run(
    settings: Settings,
    log: Log,
    *,
    demo: bool,
    ready: Callable[[Sequence[Address]], None],
    stop: asyncio.Event,
    tells_filters: bool = True,
) -> None:
    """Serves until `stop`; raises OSError where it cannot listen. `tells_filters` is false where another process tells of them."""
    shop = open_workshop(settings, log, demo=demo)
    if demo or not tells_filters:
        shop.instance.leave_context_filters()

    def listening(addresses: Sequence[Address]) -> None:
        ready(addresses)
        shop.instance.look_for_context_filters()

    try:
        await serve(shop, ready=listening, stop=stop)
    finally:
        await close_workshop(shop)


async def serve(shop: Workshop, *, ready: Callable[[Sequence[Address]], None], stop: asyncio.Event) -> None:
    """Serves with what `shop` has until `stop`; the shop stays open."""
    settings, app = shop.settings, App(shop)
    server = Server(app, _server_limits(settings))
    try:
        ready(await _listen(server, settings))
        await stop.wait()
        server.stop()
        await server.drain(settings.timeouts.shutdown_grace)
    finally:
        app.break_off()
        await server.drain(LAST_WORDS_SECONDS)
        await server.close()


def open_workshop(settings: Settings, log: Log, *, demo: bool) -> Workshop:
    """Puts together what requests need, inside the running loop; raises OSError where certificates cannot be used."""
    clock = Clock()
    extra = [(name, value.reveal()) for name, value in settings.extra_headers]
    common = headers(settings.token.reveal(), extra, settings.timeouts.total)
    client = upstream_client(settings)
    timeouts = settings.timeouts
    return Workshop(
        settings=settings,
        client=client,
        instance=Instance(client, settings, common, clock, log),
        pulse=Pulse(asyncio.get_running_loop(), min(timeouts.head_hold, timeouts.heartbeat)),
        clock=clock,
        log=log,
        common_headers=common,
        budgets=Budgets(settings.default_max_tokens, settings.default_max_tokens_reasoning),
        demo=demo,
    )


async def close_workshop(shop: Workshop) -> None:
    """Closes every connection to the instance, and gives up what still runs."""
    shop.pulse.close()
    await shop.instance.close()
    await shop.client.close()


async def _listen(server: Server, settings: Settings) -> list[Address]:
    addresses: list[Address] = []
    shared = settings.workers > 1
    for host in settings.hosts:
        port = addresses[0][1] if addresses else settings.port
        addresses += await server.start(host, port, reuse_port=shared)
    for host in settings.hosts_if_free:
        try:
            addresses += await server.start(host, addresses[0][1])
        except OSError as error:
            if error.errno not in _NOT_TO_BE_HAD:
                raise
    return addresses


def _server_limits(settings: Settings) -> ServerLimits:
    limits, timeouts = settings.limits, settings.timeouts
    return ServerLimits(
        connections=limits.connections,
        head_bytes=limits.head_bytes,
        headers=limits.headers,
        head_time=timeouts.head,
        body_bytes=limits.body_bytes,
        body_silence=timeouts.body_silence,
        buffered_bytes=limits.buffered_bytes,
        keep_alive=timeouts.keep_alive,
        write_stall=timeouts.write_stall,
    )
