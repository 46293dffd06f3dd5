"""The proxies that are compared: how each is started, and why it is not where it cannot be."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bench.work import Api, Work

# Above the most streams that are ever held open at once.
CONNECTIONS: Final = 10_100

API_PATHS: Final[dict[Api, str]] = {
    "llm": "/.api/llm/chat/completions",
    "cody": "/.api/completions/stream?api-version=9",
}

# Where express and axios are: `npm install express axios` in any folder outside the repository.
NODE_MODULES: Final = "BENCH_NODE_MODULES"

_NODE: Final = Path(__file__).parent / "node"
_START_PATIENCE: Final = 120.0
_STOP_PATIENCE: Final = 10.0
_KNOCK: Final = 0.002

_WITHOUT_UVLOOP: Final = (
    "import sys; sys.modules['uvloop'] = None; from cody_oai_router.cli import main; sys.exit(main(['serve']))"
)

_NGINX: Final = """\
daemon off;
master_process off;
worker_rlimit_nofile 32768;
pid {scratch}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 24000; }}
http {{
    access_log off;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    client_max_body_size 16m;
    client_body_buffer_size 2m;
    keepalive_requests 1000000;
    upstream mock {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Place:
    """Where a proxy is to run: its port, its upstream's and in whose words that streams, and a folder for its files."""

    port: int
    upstream: int
    api: Api
    scratch: Path


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """One proxy. `missing` gives the reason why it cannot run here; `rewrites` tells whether it reads the events."""

    name: str
    command: Callable[[Place], Sequence[str]]
    environment: Callable[[Place], Mapping[str, str]]
    missing: Callable[[], str | None]
    rewrites: bool = True
    carries_raw: bool = True
    folds: bool = False

    def does(self, work: Work) -> bool:
        """Tells whether this proxy does that kind of work at all."""
        if work.manner == "timed":
            return self.folds
        if work.raw:
            return self.carries_raw
        return self.rewrites or work.manner == "whole"

    def path(self, work: Work, api: Api) -> str:
        """Gives the path to send that work to: OpenAI's where the proxy knows it, else that of the upstream."""
        if self.folds:
            return "/v1/chat/completions"
        return ("/raw" if work.raw else "") + API_PATHS[api]


@dataclass(frozen=True)
class Running:
    """A proxy that answers."""

    proxy: Proxy
    pid: int
    port: int
    api: Api

    def path(self, work: Work) -> str:
        """Gives the path to send that work to."""
        return self.proxy.path(work, self.api)


@contextlib.asynccontextmanager
async def running(proxy: Proxy, place: Place, *, under: Sequence[str] = ()) -> AsyncIterator[Running]:
    """Runs a proxy until the block ends, `under` another program where one is named; returns once it listens."""
    said = place.scratch / f"said-{place.port}"
    with said.open("wb") as output:
        process = await _started(proxy, place, under, output)
    try:
        await _until_it_listens(place.port, process)
    except RuntimeError as error:
        raise RuntimeError(f"{proxy.name} {error}: {said.read_text()}") from None
    try:
        yield Running(proxy, process.pid, place.port, place.api)
    finally:
        await _stop(process)


def router() -> Proxy:
    """Runs the router as it is started, on uvloop."""
    command = (sys.executable, "-m", "cody_oai_router", "serve")
    return _router("router, uvloop", command)


def router_on_asyncio() -> Proxy:
    """Runs the router where there is no uvloop, as on Windows."""
    return _router("router, asyncio", (sys.executable, "-c", _WITHOUT_UVLOOP))


def node() -> Proxy:
    """Runs the least that Node's own `http` needs."""
    return Proxy(
        name="Node http",
        command=lambda place: ("node", str(_NODE / "minimal.js"), str(place.port), str(place.upstream)),
        environment=_nothing,
        missing=lambda: _not_found("node"),
    )


def express() -> Proxy:
    """Runs express and axios, what the router's former Node version was made of."""
    return Proxy(
        name="express + axios",
        command=lambda place: ("node", str(_NODE / "express.js"), str(place.port), str(place.upstream)),
        environment=lambda _: {"NODE_PATH": os.environ.get(NODE_MODULES, ""), "NODE_ENV": "production"},
        missing=_express_missing,
    )


def nginx() -> Proxy:
    """Runs nginx with `proxy_pass`: what it costs to move the bytes and to understand none of them."""
    return Proxy(
        name="nginx",
        command=_nginx_command,
        environment=_nothing,
        missing=lambda: None if _nginx_program() else "nginx is not installed",
        rewrites=False,
    )


PROXIES: Final = (router, router_on_asyncio, node, express, nginx)


def proxies(names: Sequence[str]) -> list[Proxy]:
    """Gives the proxies of these function names, all where none is named."""
    return [make() for make in PROXIES if not names or make.__name__ in names]


def _router(name: str, command: Sequence[str]) -> Proxy:
    return Proxy(
        name=name,
        command=lambda _: command,
        environment=_router_environment,
        missing=lambda: None,
        carries_raw=False,
        folds=True,
    )


def _router_environment(place: Place) -> dict[str, str]:
    return {
        "SOURCEGRAPH_BASE_URL": f"http://127.0.0.1:{place.upstream}",
        "SOURCEGRAPH_API_TOKEN": "sgp_" + "0" * 40,
        "PORT": str(place.port),
        "ROUTER_HOST": "127.0.0.1",
        "SOURCEGRAPH_API": "cody" if place.api == "cody" else "auto",
        "MAX_CONNECTIONS": str(CONNECTIONS),
        "MAX_UPSTREAM_CONNECTIONS": str(CONNECTIONS),
        "SHUTDOWN_GRACE": "0.1",
    }


def _nothing(_: Place) -> dict[str, str]:
    return {}


def _plain_environment(place: Place) -> dict[str, str]:
    """Keeps a user's own settings out of the comparison."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return kept | {"HOME": str(place.scratch), "PYTHONHASHSEED": "0"}


def _not_found(program: str) -> str | None:
    return None if shutil.which(program) else f"{program} is not installed"


def _express_missing() -> str | None:
    folder = os.environ.get(NODE_MODULES)
    if folder is None:
        return f"{NODE_MODULES} names no node_modules folder with express and axios"
    absent = [name for name in ("express", "axios") if not (Path(folder) / name).is_dir()]
    return f"not in {NODE_MODULES}: {', '.join(absent)}" if absent else _not_found("node")


def _nginx_program() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _nginx_command(place: Place) -> Sequence[str]:
    file = place.scratch / f"nginx-{place.port}.conf"
    file.write_text(_NGINX.format(scratch=place.scratch, upstream=place.upstream, port=place.port))
    return (_nginx_program() or "nginx", "-c", str(file), "-p", str(place.scratch))


async def _started(proxy: Proxy, place: Place, under: Sequence[str], errors: IO[bytes]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *under,
        *proxy.command(place),
        env=_plain_environment(place) | dict(proxy.environment(place)),
        cwd=place.scratch,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=errors,
    )


async def _until_it_listens(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_START_PATIENCE):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"ended with {process.returncode} before it listened")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(_KNOCK)
            else:
                writer.transport.abort()
                return


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_PATIENCE):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
