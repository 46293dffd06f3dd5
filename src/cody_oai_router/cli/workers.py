"""Several processes that serve one port: `--workers`, on Linux, which shares connections out between them (SO_REUSEPORT).

Strategy: this process forks, before it has a loop or a thread, and from then on only watches. A socket pair to each worker carries
everything: a byte up says that it listens, a byte down asks it to stop, and its end says that the other side is gone. So a worker
whose keeper was killed gives the port back, and a worker that dies ends the whole: half a router that looks alive is worse than none.
Workers ignore signals, since a terminal and systemd send them to every process: only the keeper's word counts.
"""

import asyncio
import gc
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from cody_oai_router.cli.console import complain
from cody_oai_router.cli.running import User, explain, open_log, protect_memory, run_router, the_router
from cody_oai_router.settings import Settings
from cody_oai_router.shell.log import Log

_READY: Final = b"r"
_STOP: Final = b"s"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
# Requests to stop: the first is patient, the second is not, and then a worker that does not listen is ended.
_NO_MORE: Final = 3


def run_workers(settings: Settings, *, warnings: Sequence[str] = ()) -> int:
    """Run as many routers as the settings say until they are asked to stop; return the exit code."""
    if sys.platform != "linux":
        complain(["WORKERS: only Linux shares the connections of one port out between processes: leave it at 1."])
        return 2
    protect_memory()
    try:
        held = _hold_all(settings)
    except OSError as error:
        complain([explain(error, settings)])
        return 1
    addresses = [(host, port) for host, port, *_ in (one.getsockname() for one in held)]
    hosts = tuple(host for host, _ in addresses)
    settings = msgspec.structs.replace(settings, port=addresses[0][1], hosts=hosts, hosts_if_free=())
    return _Crew(settings, warnings, addresses, held).run()


class _Worker:
    """One forked router, as its keeper sees it."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.ready = False

    def tell(self) -> None:
        """Ask it to stop."""
        with suppress(OSError):  # it is gone, and its end is about to be read
            self.channel.send(_STOP)


class _Crew:
    """The workers and what they have said."""

    def __init__(
        self,
        settings: Settings,
        warnings: Sequence[str],
        addresses: Sequence[tuple[str, int]],
        held: Sequence[socket.socket],
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._held = held
        self._user = User(settings, warnings, demo=False)
        self._router = the_router()
        self._quieter = the_router(tells_filters=False)
        self._log: Log | None = None
        self._workers: dict[socket.socket, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._signals, self._wake = socket.socketpair()
        self._asked = 0
        self._code = 0

    def run(self) -> int:
        """Start the workers, watch them until the last one is gone, and return the exit code."""
        try:
            self._watch()
        finally:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            for opened in (*self._held, self._signals, self._wake):
                opened.close()
            if self._log:
                self._log.close()
        return self._code

    def _watch(self) -> None:
        self._wake.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        signal.set_wakeup_fd(self._wake.fileno())
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)  # the number arrives at the other end of `_wake`
        self._selector.register(self._signals, selectors.EVENT_READ)
        gc.collect()
        gc.freeze()  # so that the collector of a worker does not copy what all of them share
        self._start()  # alone, so that what is wrong is said once
        while self._workers:
            for key, _ in self._selector.select():
                if key.fileobj is self._signals:
                    for _ in self._signals.recv(64):
                        self._stop()
                else:
                    self._hear(self._workers[key.fileobj])  # type: ignore[index] # only these two are registered

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # a signal between the two sides of a fork would count twice
        pid = os.fork()
        if pid == 0:
            self._become_worker(ours, theirs)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
        self._workers[ours] = _Worker(pid, ours)
        self._selector.register(ours, selectors.EVENT_READ)

    def _become_worker(self, ours: socket.socket, theirs: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        for inherited in (*self._held, *self._workers, ours, self._signals, self._wake):
            inherited.close()
        self._selector.close()
        code = 1
        # What the start tells of the instance one of them tells: the last, after whom the keeper greets.
        router = self._router if len(self._workers) == self._settings.workers - 1 else self._quieter
        try:
            code = run_router(self._settings, router=router, keeper=_Channel(theirs))
        finally:
            os._exit(code)  # what this process inherited is its keeper's to clean up

    def _hear(self, worker: _Worker) -> None:
        if _heard(worker.channel) == _READY:
            worker.ready = True
            self._welcome()
            return
        self._selector.unregister(worker.channel)
        worker.channel.close()
        del self._workers[worker.channel]
        self._bury(worker, os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1]))

    def _welcome(self) -> None:
        while not self._asked and len(self._workers) < self._settings.workers:
            self._start()
        if self._asked or not all(worker.ready for worker in self._workers.values()):
            return
        for one in self._held:
            one.close()
        self._log = open_log(self._settings)
        self._user.ready(self._log, self._addresses)

    def _bury(self, worker: _Worker, code: int) -> None:
        if code == 0 and self._asked:
            return
        self._code = 1
        if self._asked:
            return
        if worker.ready or code < 0:  # one that could not start has said why
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            complain([f"A worker process ({worker.pid}) {how}; the router stops."])
        self._asked = 1
        self._tell_all()

    def _stop(self) -> None:
        self._asked += 1
        if self._asked == 1 and self._log:
            self._user.stopping(self._log)
        if self._asked >= _NO_MORE:
            for worker in self._workers.values():
                os.kill(worker.pid, signal.SIGKILL)
        self._tell_all()

    def _tell_all(self) -> None:
        for worker in self._workers.values():
            worker.tell()


class _Channel:
    """The keeper, as a worker sees it."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def ready(self, log: Log, addresses: Sequence[tuple[str, int]]) -> None:
        """Report; what is to be said about it, the keeper says once."""
        del log, addresses
        with suppress(OSError):  # it is gone, which `watch` hears too
            self._channel.send(_READY)

    def watch(self, stop: Callable[[], None]) -> None:
        """Have each byte from the keeper call `stop`, and its end too."""
        loop = asyncio.get_running_loop()

        def hear() -> None:
            if not _heard(self._channel):
                loop.remove_reader(self._channel)
            stop()

        loop.add_reader(self._channel, hear)

    def stopping(self, log: Log) -> None:
        """Nothing: the keeper says it once."""


def _heard(channel: socket.socket) -> bytes:
    """The next byte from the other side, nothing where it is gone."""
    try:
        return channel.recv(1)
    except OSError:  # gone, and left something unread
        return b""


def _hold_all(settings: Settings) -> list[socket.socket]:
    """Sockets that hold the port for the workers, and choose it where it is 0; raises OSError."""
    held = [_hold(settings.hosts[0], settings.port)]
    port = held[0].getsockname()[1]
    held += [_hold(host, port) for host in settings.hosts[1:]]
    for host in settings.hosts_if_free:
        with suppress(OSError):
            held.append(_hold(host, port))
    return held


def _hold(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen, so that no connection comes to it."""
    # Another router's workers would share the port with ours; one that shares with nobody finds out.
    _bind(host, port, shared=False).close()
    return _bind(host, port, shared=True)


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if ":" in host:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
