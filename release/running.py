"""A built executable as its self-test and the measurements run it: in folders of its own, with nothing of the machine around it."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

# Seconds. Loaded build machines are slow; nothing here waits that long unless something is wrong.
PATIENCE: Final = 60.0
# A release is built where all can be shown: there, what cannot is a failure.
PROVE_ALL: Final = bool(os.environ.get("PROVE_ALL"))
POSIX: Final = os.name == "posix"
LINUX: Final = sys.platform == "linux"
WINDOWS: Final = sys.platform == "win32"
# On Windows whatever runs gets a console of its own, as a double click gives it one: keys pressed there reach nothing else.
OWN_CONSOLE: Final[int] = getattr(subprocess, "CREATE_NEW_CONSOLE", 0)
# What presses Ctrl+C in the console of a process: it must be attached to that one and no other, so it is a program of its own.
PRESS_CTRL_C: Final = """
import ctypes, sys
kernel = ctypes.windll.kernel32
kernel.FreeConsole()
done = kernel.AttachConsole(int(sys.argv[1])) and kernel.SetConsoleCtrlHandler(None, 1) and kernel.GenerateConsoleCtrlEvent(0, 0)
sys.exit(not done)
"""
QUESTION: Final = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello!"}]}


class Failed(Exception):
    """Something that should be so is not."""


class CannotShow(Exception):
    """What this machine lacks for a check."""


def want(wanted: object, found: object, what: str) -> None:
    """Fail where two things that should be equal are not."""
    if wanted != found:
        raise Failed(f"{what}: {found!r} instead of {wanted!r}")


def want_in(part: str, whole: str, what: str) -> None:
    """Fail where a text lacks a part."""
    if part not in whole:
        raise Failed(f"{what} lacks {part!r}:\n{whole}")


class Bench:
    """One folder for one check: a copy of the program, a folder for temporary files, an empty home."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        self.single = not (program.parent / "_internal").is_dir()
        # Not everybody's folders have names that fit into ASCII, nor into any one code page of Windows.
        self.place = folder / "Téléchargé Загрузки"
        if self.single:
            self.place.mkdir()
            shutil.copy2(program, self.place)
        else:
            shutil.copytree(program.parent, self.place, symlinks=True)
        self.program = self.place / program.name
        self.temporary = folder / "temporary"
        self.home = folder / "home"
        for made in (self.temporary, self.home):
            made.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        """What a program finds on a machine where nothing was set up for it."""
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC") if name in os.environ}
        kept |= {name: value for name, value in os.environ.items() if name.startswith("WINE")}
        own = {"PATH": os.defpath, "HOME": str(self.home), "TMPDIR": str(self.temporary)}
        if not POSIX:
            own |= {"TEMP": str(self.temporary), "TMP": str(self.temporary), "APPDATA": str(self.home)}
        return {**kept, **own, **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        return subprocess.run(
            [self.program, *arguments],
            env=self.environment(**more),
            cwd=self.home,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
        )

    @contextmanager
    def running(
        self, *arguments: str, prefix: Sequence[str] = (), program: str | None = None, **more: str
    ) -> Iterator["Running"]:
        """Start the program on a port of its own and stop it afterwards."""
        port = free_port()
        with subprocess.Popen(
            [*prefix, program or self.program, *arguments],
            env=self.environment(PORT=str(port), **more),
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=POSIX,
            creationflags=OWN_CONSOLE,
        ) as process:
            running = Running(process, port)
            try:
                yield running
            finally:
                running.end()

    def left(self) -> list[str]:
        """What lies in the folder for temporary files."""
        return sorted(path.name for path in self.temporary.iterdir())


class Running:
    """A started program: what it says, and the port that it was given."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port
        self._said = bytearray()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        while some := stream.read1():  # type: ignore[attr-defined] # pipes are buffered readers
            self._said += some

    @property
    def said(self) -> str:
        """All that it has printed."""
        return bytes(self._said).decode("utf-8", "replace")

    def ready(self, every: float = 0.02) -> "Running":
        """Wait until it answers, asking in intervals of so many seconds."""
        for _ in ticks(f"no answer on port {self.port}; it said: {{}}", lambda: self.said, every):
            if self.process.poll() is not None:
                for reader in self._readers:
                    reader.join(PATIENCE)
                raise Failed(f"it ended with {self.process.returncode}; it said:\n{self.said}")
            with suppress(OSError):
                if self.get("/health")[0] == http.client.OK:
                    return self
        raise AssertionError

    def says(self, text: str) -> None:
        """Wait until it has said a text."""
        for _ in ticks(f"it did not say {text!r} but: {{}}", lambda: self.said):
            if text in self.said:
                return

    def pressed_enter(self) -> int:
        """Press Enter and wait for the end; the exit code."""
        assert self.process.stdin is not None  # noqa: S101 - it was started with a pipe
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self.process.wait(PATIENCE)

    def streamed_meanwhile(self, act: Callable[[], None]) -> str:
        """Ask for a streamed answer of some seconds, act once it has begun, and give all of it that came."""
        words = {"role": "user", "content": "word " * 60}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            body = json.dumps({**QUESTION, "messages": [words], "stream": True})
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            begun = answer.read1()
            act()
            return (begun + answer.read()).decode()
        except (http.client.HTTPException, OSError) as error:
            raise Failed(f"the answer that had begun was cut ({type(error).__name__})") from error
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, str]:
        """Ask with GET; status and body."""
        return self._ask("GET", path, None)

    def chat(self, **more: object) -> tuple[int, str]:
        """Ask a model; status and body."""
        return self._ask("POST", "/v1/chat/completions", json.dumps({**QUESTION, **more}))

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def signalled(self, number: int, *, group: bool = False) -> int:
        """Send a signal, or on Windows press Ctrl+C, and wait for the end; the exit code."""
        if WINDOWS:
            subprocess.run(
                [sys.executable, "-c", PRESS_CTRL_C, str(self.process.pid)], check=True, creationflags=OWN_CONSOLE
            )
        elif group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """End it, and its child."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        if POSIX:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.poll() is None:
            self.process.kill()
        for reader in self._readers:  # on Windows the child ends a little later, and holds the pipes until then
            reader.join(PATIENCE)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ticks(failure: str, more: Callable[[], str] = str, every: float = 0.02) -> Iterator[None]:
    """Come by at intervals, in seconds, until patience is over, which is a failure."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        yield
        time.sleep(every)
    raise Failed(failure.replace("{}", more()))


def refuses(port: int) -> bool:
    """Whether nothing listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
