"""The process around the router: event loop, signals, limits of the system, the log, and what a failed start is called.

Strategy: the router itself is one coroutine function (`Router`) that listens, calls `ready`, waits for `stop` and gives
its running answers their grace period. Everything that belongs to a process and not to a router is here.
"""

import asyncio
import ctypes
import errno
import gc
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Final, Protocol

import msgspec

from cody_oai_router.addresses import Upstream
from cody_oai_router.cli.console import complain
from cody_oai_router.cli.greeting import greeting
from cody_oai_router.cli.unpacked import once, unpacked_folder
from cody_oai_router.credentials import Secret
from cody_oai_router.settings import Settings
from cody_oai_router.shell.log import Log, Redactor, raw_output

# Files that are open besides connections: the listeners, the loop's own, the log.
_OTHER_FILES: Final = 64
_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGBREAK")
_PR_SET_DUMPABLE: Final = 4
_TAKEN: Final = {errno.EADDRINUSE, *({errno.EACCES} if sys.platform == "win32" else ())}

Ready = Callable[[Sequence[tuple[str, int]]], None]
Simulated = Callable[[], AbstractAsyncContextManager[Upstream]]


class Router(Protocol):
    """The router: listens and calls `ready` with its addresses, then serves until `stop`, then lets answers finish.

    Raises OSError where it cannot listen.
    """

    async def __call__(self, settings: Settings, log: Log, *, demo: bool, ready: Ready, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        ...


class Keeper(Protocol):
    """Who keeps a router: hears that it is ready, and says when it has to stop."""

    def ready(self, log: Log, addresses: Sequence[tuple[str, int]]) -> None:
        """The router listens on these addresses."""
        ...

    def watch(self, stop: Callable[[], None]) -> None:
        """Have the running loop call `stop` at each request to end: the second one does not wait for answers."""
        ...

    def stopping(self, log: Log) -> None:
        """The first request to end has come."""
        ...


class User:
    """The user, who reads the greeting and sends signals."""

    def __init__(self, settings: Settings, warnings: Sequence[str], *, demo: bool) -> None:
        self._settings = settings
        self._warnings = warnings
        self._demo = demo

    def ready(self, log: Log, addresses: Sequence[tuple[str, int]]) -> None:
        """Greet."""
        for line in (*greeting(self._settings, addresses, demo=self._demo), *self._warnings):
            log.say(line)

    def watch(self, stop: Callable[[], None]) -> None:
        """Have each signal that asks a process to end call `stop`."""
        loop = asyncio.get_running_loop()
        stop = once(stop, loop.time) if unpacked_folder() else stop
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            if number is None:
                continue
            try:
                loop.add_signal_handler(number, stop)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))

    def stopping(self, log: Log) -> None:
        """Say how long it may take."""
        grace = self._settings.timeouts.shutdown_grace
        log.say(f"Stopping; running answers get {grace:g} s. Once more stops at once.")


def run_router(
    settings: Settings,
    *,
    warnings: Sequence[str] = (),
    router: Router | None = None,
    simulated: Simulated | None = None,
    keeper: Keeper | None = None,
) -> int:
    """Run a router until it is asked to stop and return the exit code; `simulated` is the demo's Sourcegraph."""
    protect_memory()
    _allow_open_files(settings.limits.connections + settings.limits.upstream_connections + _OTHER_FILES)
    log = open_log(settings)
    keeper = keeper or User(settings, warnings, demo=simulated is not None)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run(router or the_router(), settings, log, keeper, simulated))
    except asyncio.CancelledError:
        return 0  # asked twice to stop
    except OSError as error:
        complain([log.redact(explain(error, settings))])
        return 1
    except Exception:  # noqa: BLE001 - a bug: the last place that can say something about it
        complain(log.redact(traceback.format_exc()).splitlines())
        return 1
    finally:
        log.close()
    return 0


def open_log(settings: Settings) -> Log:
    """The log on standard output, which knows every secret; it has a thread from now on."""
    output, encoding = raw_output(sys.stdout)
    return Log(output, encoding=encoding, form=settings.log_format, redactor=Redactor(secrets_of(settings)))


def the_router(*, tells_filters: bool = True) -> Router:
    """The real router, with all that it imports; `tells_filters` is false where another process tells of context filters."""
    from cody_oai_router.shell.router import run  # noqa: PLC0415 - not needed where a test brings its own

    return partial(run, tells_filters=tells_filters)


def secrets_of(settings: Settings) -> Iterable[Secret]:
    """Everything that must never be shown."""
    yield settings.token
    if settings.api_key:
        yield settings.api_key
    for _, value in settings.extra_headers:
        yield value
    if settings.proxy and settings.proxy.credentials:
        yield settings.proxy.credentials
        yield Secret(settings.proxy.credentials.reveal().partition(":")[2])
    if settings.client_certificate and settings.client_certificate.password:
        yield settings.client_certificate.password


async def _run(router: Router, settings: Settings, log: Log, keeper: Keeper, simulated: Simulated | None) -> None:
    stop = asyncio.Event()
    keeper.watch(partial(_stop, stop, partial(keeper.stopping, log), asyncio.current_task()))

    def ready(addresses: Sequence[tuple[str, int]]) -> None:
        keeper.ready(log, addresses)
        # What start-up made stays for ever: the collector need not look at it again.
        gc.collect()
        gc.freeze()

    if simulated is None:
        await router(settings, log, demo=False, ready=ready, stop=stop)
        return
    async with simulated() as upstream:
        await router(msgspec.structs.replace(settings, upstream=upstream), log, demo=True, ready=ready, stop=stop)


def _stop(stop: asyncio.Event, announce: Callable[[], None], task: asyncio.Task[None] | None) -> None:
    if stop.is_set() and task is not None:
        task.cancel()
        return
    announce()
    stop.set()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the fastest event loop that there is here, or nothing for Python's own."""
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


def protect_memory() -> None:
    """Keep memory, with the token and prompts in it, from core dumps and on Linux from other programs of the user."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not there on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit does not hold where dumps are piped to a program (core(5)); this does, and it closes /proc/<pid>/mem
        # and environ too, as ssh-agent does.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _allow_open_files(wanted: int) -> None:
    """Raise the limit of open files as far as `wanted` and the system allow: macOS begins with 256."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not there on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def explain(error: OSError, settings: Settings) -> str:
    """Why the router cannot listen, and what to do."""
    other = "choose another one: PORT=3001 (or --port 3001)"
    if error.errno in _TAKEN:
        return f"Port {settings.port} is already in use: stop the other program, or {other}."
    if error.errno == errno.EACCES:
        return f"Port {settings.port} needs rights that this user does not have: {other}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"ROUTER_HOST: {' or '.join(settings.hosts)} is not an address of this machine."
    return f"The router cannot start: {error.strerror or error}."
