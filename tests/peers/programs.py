"""Programs of others that a test starts: found or skipped with a reason, bounded in time, ended by their own handle."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_SYSTEM: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
"""Where systems keep servers, which are not on every user's PATH."""

_NGINX: Final = """\
daemon off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    upstream behind {{ server 127.0.0.1:{to}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        {server}
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            {location}
        }}
    }}
}}
"""


def find(name: str) -> str:
    """Gives the path of a program; skips the test where there is none."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM)))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@dataclass(frozen=True)
class Ended:
    """What a program left: its exit code and what it printed."""

    code: int
    out: bytes
    err: str


@contextlib.asynccontextmanager
async def started(*command: str, **options: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a program with pipes until the block ends, at the latest."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        **options,  # type: ignore[arg-type]
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await process.communicate()


async def run_to_end(*command: str, given: bytes = b"") -> Ended:
    """Runs a program to its end."""
    async with started(*command) as process:
        out, err = await process.communicate(given)
    return Ended(process.returncode or 0, out, err.decode())


@contextlib.asynccontextmanager
async def nginx(scratch: Path, to: int, *, location: str = "", server: str = "") -> AsyncIterator[int]:
    """Runs nginx in front of a port of this machine; gives its own port.

    It inherits its listening socket (as in its own binary upgrades), so the port is never free in between and a
    connection waits in the backlog until nginx is up.
    """
    program = find("nginx")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        listener.setblocking(False)
        port: int = listener.getsockname()[1]
        config = scratch / "nginx.conf"
        config.write_text(_NGINX.format(scratch=scratch, port=port, to=to, server=server, location=location))
        command = (program, "-e", "stderr", "-p", str(scratch), "-c", str(config))
        environment = {"PATH": os.environ.get("PATH", ""), "NGINX": f"{listener.fileno()};"}
        async with started(*command, pass_fds=(listener.fileno(),), env=environment):
            yield port
