"""A router between two honest ends: a client that shows every byte it gets, and the simulator.

Strategy: most scenarios run the router in the test's event loop, put together as `shell.router.run` does it, so that a test
can wait for events on either side; what belongs to a process (signals, exit codes, output) starts one. Everything is bounded in
time.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cody_oai_router.cli.running import secrets_of
from cody_oai_router.cli.sources import read_named_file
from cody_oai_router.reading import Source
from cody_oai_router.settings import Settings, read_settings
from cody_oai_router.shell.log import Log, Redactor
from cody_oai_router.shell.router import Address, close_workshop, open_workshop, serve
from cody_oai_router.shell.router import run as run_router
from cody_oai_router.simulator import DEMO_TOKEN, Simulator
from cody_oai_router.simulator.wire import Received

CHAT_PATH = "/.api/llm/chat/completions"
CODY_PATH = "/.api/completions/stream"
SONNET = "anthropic::2024-10-22::claude-sonnet-4-5-latest"
GPT = "openai::2024-02-01::gpt-4o"
END = b"0\r\n\r\n"
PATIENCE = 30.0  # seconds; far above what any scenario needs, below what a stuck one may cost

Headers = Sequence[tuple[str, str]]


def run(scenario: Coroutine[Any, Any, None], *, patience: float = PATIENCE) -> None:
    """Runs a scenario on the loop that the product runs on."""

    async def bounded() -> None:
        async with asyncio.timeout(patience):
            await scenario

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(bounded())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


class Captured:
    """An output that keeps what is written to it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    @property
    def text(self) -> str:
        return self._data.decode()


@dataclass
class Router:
    """A running router: its port, and its log once it has stopped."""

    port: int
    output: Captured

    @property
    def lines(self) -> list[str]:
        """The log lines; complete only after the router has stopped."""
        return self.output.text.splitlines()


def settings_of(upstream: int, variables: Mapping[str, str]) -> Settings:
    """Makes settings from an environment, as a process would."""
    values = {
        "SOURCEGRAPH_BASE_URL": f"http://127.0.0.1:{upstream}",
        "SOURCEGRAPH_API_TOKEN": DEMO_TOKEN,
        "PORT": "0",
        "ROUTER_HOST": "127.0.0.1",
        "SHUTDOWN_GRACE": "0.2",
        # Most scenarios are about the LLM API and what it lacks; which road a request takes is seen in `test_roads.py`.
        "SOURCEGRAPH_API": "llm",
        **variables,
    }
    settings = read_settings([Source("environment", "the environment", values)], read_named_file)
    assert isinstance(settings, Settings), settings
    return settings


@contextlib.asynccontextmanager
async def router(
    upstream: int, variables: Mapping[str, str] | None = None, *, demo: bool = False, asks_at_start: bool = False
) -> AsyncIterator[Router]:
    """Runs a router in this loop until the block ends; `upstream` is the port of its Sourcegraph.

    At its start it asks for nothing unless it is told to: what a scenario has its Sourcegraph do is for the scenario's own requests.
    """
    settings = settings_of(upstream, variables or {})
    output = Captured()
    log = Log(output, form=settings.log_format, redactor=Redactor(secrets_of(settings)))
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running = run_router if asks_at_start else _serve
    serving = asyncio.create_task(
        running(settings, log, demo=demo, ready=lambda addresses: listening.set_result(addresses[0][1]), stop=stop)
    )
    try:
        await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            serving.result()
        yield Router(listening.result(), output)
    finally:
        stop.set()
        await serving
        log.close()


async def _serve(
    settings: Settings, log: Log, *, demo: bool, ready: Callable[[Sequence[Address]], None], stop: asyncio.Event
) -> None:
    shop = open_workshop(settings, log, demo=demo)
    try:
        await serve(shop, ready=ready, stop=stop)
    finally:
        await close_workshop(shop)


@contextlib.asynccontextmanager
async def simulated(profile: str = "6.12", **options: Any) -> AsyncIterator[tuple[Simulator, int]]:
    """Runs a simulator in this loop; gives it and its port."""
    simulator = Simulator(profile, **options)
    port = await simulator.start()
    try:
        yield simulator, port
    finally:
        await simulator.stop()


@contextlib.asynccontextmanager
async def both(
    profile: str = "6.12", *, variables: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[tuple[Simulator, Router]]:
    """Runs a simulator and a router in front of it."""
    async with simulated(profile, **options) as (simulator, port), router(port, variables) as running:
        yield simulator, running


# What a client sees.


@dataclass(frozen=True)
class Answer:
    """Everything that a client got until the end of the connection, or the end of one answer."""

    raw: bytes

    @cached_property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def header(self, name: str) -> str | None:
        """The only value of a header; a name must not come twice."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        lines = (line.decode().partition(":") for line in self.head.split(b"\r\n")[1:])
        return [(name.lower(), value.strip()) for name, _, value in lines]

    @property
    def rest(self) -> bytes:
        """The body as it came, chunks and all."""
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def finished(self) -> bool:
        """Whether HTTP itself says that the body is whole, and nothing follows it."""
        return self._parts[1]

    @property
    def body(self) -> bytes:
        """The body without its chunks; of a broken answer as much as there is."""
        return self._parts[0]

    @cached_property
    def _parts(self) -> tuple[bytes, bool]:
        if self.header("transfer-encoding") == "chunked":
            return _unchunk(self.rest)
        return self.rest, len(self.rest) == int(self.header("content-length") or "-1")

    @property
    def json(self) -> Any:
        assert self.finished, self.raw
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a refusal, which must have OpenAI's shape."""
        assert self.header("content-type") == "application/json"
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"message", "type", "param", "code"}
        found: dict[str, Any] = self.json["error"]
        return found

    @cached_property
    def events(self) -> list[str]:
        """The events of a stream: the data of each, comments with their colon."""
        blocks = self.body.decode().split("\n\n")
        assert blocks.pop() == "", self.raw
        return [block.removeprefix("data: ") for block in blocks]

    @cached_property
    def chunks(self) -> list[Any]:
        """The events that are JSON."""
        return [json.loads(event) for event in self.events if event.startswith("{")]

    @property
    def text(self) -> str:
        """The text of a streamed answer."""
        deltas = [choice["delta"] for chunk in self.chunks for choice in chunk.get("choices", ())]
        return "".join(delta.get("content") or "" for delta in deltas)

    @property
    def plain(self) -> str:
        """The body with what differs from run to run replaced: identifiers, times."""
        return normal(self.body.decode())

    def assert_whole(self) -> None:
        """The stream says that it is complete: by `[DONE]` and by HTTP's own end."""
        assert self.status == 200, self.raw
        assert self.finished, self.raw
        assert self.events[-1] == "[DONE]"
        assert self.events.count("[DONE]") == 1

    def assert_broken(self) -> dict[str, Any]:
        """The stream cannot be taken for a complete one; gives the error that it ends with."""
        assert self.status == 200, self.raw
        assert self.header("transfer-encoding") == "chunked"
        assert not self.raw.endswith(END)
        assert not self.finished
        assert b"[DONE]" not in self.raw
        last = json.loads(self.events[-1])
        assert set(last) == {"error"}
        error: dict[str, Any] = last["error"]
        return error


def normal(text: str) -> str:
    """Replaces what differs from run to run: identifiers (numbered as they come) and times."""
    text = re.sub(r"chatcmpl-[0-9a-f]{24}", "chatcmpl-ID", text)
    text = re.sub(r'"created":\d{10}', '"created":0', text)
    seen = dict.fromkeys(re.findall(r"(?:toolu_vrtx_|call_)[0-9a-f]{24}", text))
    for number, identifier in enumerate(seen, start=1):
        text = text.replace(identifier, f"CALL{number}")
    return text


def _unchunk(data: bytes) -> tuple[bytes, bool]:
    """Takes the chunks away; tells whether the last one was there and was the end."""
    pieces: list[bytes] = []
    position = 0
    while (line := data.find(b"\r\n", position)) >= 0:
        length, start = int(data[position:line], 16), line + 2
        if length == 0:
            return b"".join(pieces), data[start:] == b"\r\n"
        pieces.append(data[start : start + length])
        position = start + length + 2
        if data[start + length : position] != b"\r\n":
            break
    return b"".join(pieces), False


def _length(data: bytes) -> int | None:
    """Gives how many bytes the first answer in `data` has; nothing while it is not whole."""
    if b"\r\n\r\n" not in data:
        return None
    answer = Answer(data)
    if answer.header("transfer-encoding") == "chunked":
        found = re.search(rb"\r\n0\r\n\r\n", data)
        return found.end() if found else None
    whole = len(data) - len(answer.rest) + int(answer.header("content-length") or "0")
    return whole if whole <= len(data) else None


class Client:
    """One connection to the router, on which bytes are sent and read as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.got = b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def until(self, wanted: bytes, *, times: int = 1) -> bytes:
        """Reads until these bytes have come so many times; gives everything so far."""
        while self.got.count(wanted) < times:
            data = await self.reader.read(1 << 16)
            assert data, f"closed before {wanted!r}: {self.got!r}"
            self.got += data
        return self.got

    async def to_end(self) -> Answer:
        """Reads until the router closes."""
        pieces = [self.got]
        while data := await self.reader.read(1 << 20):
            pieces.append(data)
        self.got = b"".join(pieces)
        return Answer(self.got)

    async def answer(self) -> Answer:
        """Reads one answer on a connection that stays open."""
        while (length := _length(self.got)) is None:
            data = await self.reader.read(1 << 16)
            assert data, f"closed too early: {self.got!r}"
            self.got += data
        whole, self.got = Answer(self.got[:length]), self.got[length:]
        return whole

    async def leave(self) -> None:
        """Closes the connection, whatever is going on."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        """Drops the connection."""
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(running: "Router | Process | int", *, room: int | None = None) -> AsyncIterator[Client]:
    """Opens a connection to a router; `room` is what the system may keep of an answer that the test does not read."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if room is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        if sys.platform != "win32":  # segments of 64 KB on loopback would have the router's system keep megabytes
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(
        raw, ("127.0.0.1", running if isinstance(running, int) else running.port)
    )
    client = Client(*await asyncio.open_connection(sock=raw, limit=room or 1 << 16))
    try:
        yield client
    finally:
        await client.leave()


def request(
    body: Any = None,
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    headers: Headers = (),
    close: bool = True,
) -> bytes:
    """Writes a request; a body that is no bytes is written as JSON."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"] if body is not None else []
    lines += ["Connection: close"] if close else []
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + data


async def exchange(running: "Router | Process", data: bytes) -> Answer:
    """Sends a request that asks for the connection to be closed, and reads until it is."""
    async with connected(running) as client:
        client.send(data)
        return await client.to_end()


def chat(content: Any = "Hello there", *, model: str = "gpt-4o", stream: bool = False, **fields: Any) -> dict[str, Any]:
    """Makes the body of a chat request; `messages` among the fields replace the one that says `content`."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
    return body | {"stream": True} if stream else body


async def ask(running: "Router | Process", content: Any = "Hello there", **fields: Any) -> Answer:
    """Asks a chat question on a connection of its own."""
    return await exchange(running, request(chat(content, **fields)))


async def get(running: "Router | Process", path: str, *, headers: Headers = ()) -> Answer:
    """Gets a page."""
    return await exchange(running, request(method="GET", path=path, headers=headers))


# What the simulator saw.


def chats(simulator: Simulator) -> list[Received]:
    """The chat requests that upstream received, without those that list its models."""
    return [received for received in simulator.received if received.path == CHAT_PATH]


def roads(simulator: Simulator) -> list[str]:
    """The endpoints that were asked for a completion, in order, with the api-version where there is one."""
    found = []
    for received in simulator.received:
        if received.path == CHAT_PATH:
            found.append("llm")
        elif received.path == CODY_PATH:
            fields = dict(pair.split("=") for pair in received.query.split("&"))
            found.append(f"cody {fields.get('api-version', 'none')}")
    return found


async def nth_chat(simulator: Simulator, number: int) -> Received:
    """Waits until upstream has received this many chat requests; gives the last of them."""
    while len(chats(simulator)) < number:
        await simulator.wait_for(len(simulator.received) + 1)
    return chats(simulator)[number - 1]


# A process.


@dataclass
class Process:
    """The router as a process of its own."""

    process: asyncio.subprocess.Process
    port: int = 0
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    _readers: list[asyncio.Task[None]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def said(self, words: bytes) -> bytes:
        """Waits until the standard output holds these words; gives all of it."""
        while words not in self.stdout:
            assert not all(reader.done() for reader in self._readers), (bytes(self.stdout), bytes(self.stderr))
            self._news.clear()
            await self._news.wait()
        return bytes(self.stdout)

    async def ended(self) -> int:
        """Waits for the end; gives the exit code."""
        await asyncio.gather(*self._readers)
        return await self.process.wait()

    def read_along(self) -> None:
        for stream, kept in ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr)):
            assert stream is not None
            self._readers.append(asyncio.create_task(self._read(stream, kept)))

    async def _read(self, stream: asyncio.StreamReader, kept: bytearray) -> None:
        while data := await stream.read(1 << 16):
            kept += data
            self._news.set()
        self._news.set()


@contextlib.asynccontextmanager
async def process(
    home: Path, *arguments: str, environment: Mapping[str, str] | None = None, listens: bool = True
) -> AsyncIterator[Process]:
    """Starts the router as a process in an empty home; with `listens` it is ready when the block begins."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cody_oai_router",
        *arguments,
        cwd=home,
        env=_clean_environment(home) | {"PORT": "0", "ROUTER_HOST": "127.0.0.1"} | dict(environment or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    running = Process(started)
    running.read_along()
    try:
        if listens:
            said = await running.said(b"Try it: ")
            match = re.search(rb" on http://127\.0\.0\.1:(\d+)", said)
            assert match, said
            running.port = int(match[1])
        yield running
    finally:
        if started.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                started.kill()
        await running.ended()


def _clean_environment(home: Path) -> dict[str, str]:
    kept = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP", "LANG")
    named = {name: os.environ[name] for name in kept if name in os.environ}
    return named | {"HOME": str(home), "USERPROFILE": str(home), "APPDATA": str(home), "XDG_CONFIG_HOME": str(home)}


def account(upstream: int, **variables: str) -> dict[str, str]:
    """Gives the environment of a router in front of this upstream."""
    return {"SOURCEGRAPH_BASE_URL": f"http://127.0.0.1:{upstream}", "SOURCEGRAPH_API_TOKEN": DEMO_TOKEN, **variables}


def words(answer: Answer) -> list[str]:
    """Gives the words of `x-router-adapted`."""
    return [word for word in (answer.header("x-router-adapted") or "").split(", ") if word]


def without(items: Iterable[tuple[str, str]], *names: str) -> list[tuple[str, str]]:
    """Gives headers without some of them."""
    return [(name, value) for name, value in items if name not in names]
