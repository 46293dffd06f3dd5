"""A router in front of a simulator, in one thread with an event loop of its own, for clients over real sockets."""

import asyncio
import io
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from cody_oai_router.notation import Wrong
from cody_oai_router.reading import File, Source
from cody_oai_router.settings import Settings, read_settings
from cody_oai_router.shell.log import Log
from cody_oai_router.shell.router import run
from cody_oai_router.simulator import DEMO_TOKEN, Fault, Received, Reply, Simulator

T = TypeVar("T")

# Seconds that anything here may take: far more than it needs, so that a hang is an error and not a hung test run.
PATIENCE: Final = 30.0
# The versions that have the LLM API open, one of each kind.
PROFILES: Final = ("5.6", "6.1", "6.12")
CHAT: Final = "/.api/llm/chat/completions"
STREAM: Final = "/.api/completions/stream"


class Stand:
    """A simulator of one profile and a router that asks it; `variables` configure the router as the environment would.

    Used as a context manager. Everything but `simulator` may be called from any thread.
    """

    def __init__(self, profile: str, **variables: str) -> None:
        self.profile = profile
        self.simulator = Simulator(profile)
        self.address = ""
        self._variables = variables
        self._log = io.BytesIO()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"stand {profile}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        assert not self._thread.is_alive()
        assert "defect" not in self.log

    @property
    def base_url(self) -> str:
        """The base URL that OpenAI's clients are given."""
        return f"{self.address}/v1"

    @property
    def log(self) -> str:
        """What the router has logged; all of it once the stand has stopped."""
        return self._log.getvalue().decode()

    @property
    def chats(self) -> list[Received]:
        """The chat requests that the instance received."""
        return [received for received in self.simulator.received if received.path in (CHAT, STREAM)]

    def reset(self) -> None:
        """Forgets what was received and queued."""
        self.wait(_called(self.simulator.reset))

    def queue(self, item: Fault | Reply, times: int = 1) -> None:
        """Makes the next chat requests get this fault, or this reply of the model."""
        self.simulator.queue(item, times=times)

    def release(self, name: str) -> None:
        """Lets an answer that is held under this name go on."""
        self._loop.call_soon_threadsafe(self.simulator.release, name)

    def wait(self, what: Coroutine[Any, Any, T]) -> T:
        """Runs something in the stand's loop and gives its outcome."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(what, PATIENCE), self._loop).result(PATIENCE)

    def ask_to_stop(self) -> None:
        """Asks the router to stop, as SIGTERM does."""
        with suppress(RuntimeError):  # the loop of a stand that has stopped is closed
            self._loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        """Asks the router to stop and waits until it has."""
        self.ask_to_stop()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:  # noqa: BLE001 - shown by the thread that waits for us
                self._failure = error
            finally:
                self._ready.set()

    async def _serve(self) -> None:
        port = await self.simulator.start()
        log = Log(self._log)
        try:
            await run(self._settings(port), log, demo=False, ready=self._listening, stop=self._stop)
        finally:
            await self.simulator.stop()
            log.close()

    def _settings(self, port: int) -> Settings:
        values = {
            "PORT": "0",
            "ROUTER_HOST": "127.0.0.1",
            "SOURCEGRAPH_BASE_URL": f"http://127.0.0.1:{port}",
            "SOURCEGRAPH_API_TOKEN": DEMO_TOKEN,
            **self._variables,
        }
        settings = read_settings([Source("environment", "the test", values)], _no_file)
        assert isinstance(settings, Settings), settings
        return settings

    def _listening(self, addresses: Sequence[tuple[str, int]]) -> None:
        self.address = "http://{}:{}".format(*addresses[0])
        self._ready.set()


async def _called(function: Any) -> None:
    function()


def _no_file(path: str) -> File | Wrong:
    raise FileNotFoundError(path)
