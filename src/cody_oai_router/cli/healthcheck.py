"""`cody-oai-router healthcheck`: whether the router that is configured here answers; a container image has no curl to ask it with.

Strategy: a container engine asks every half minute, so this reads two variables and speaks a few lines of HTTP on a socket of its own,
without an event loop and without the settings that a router checks at its start. The exit code is 1 for whatever stands between here and
a good answer: Docker reserves 2.
"""

import json
import socket
import time
from collections.abc import Mapping
from typing import Final

from cody_oai_router.addresses import Upstream, reached, read_listen
from cody_oai_router.cli.console import complain, say
from cody_oai_router.cli.sources import find_sources, read_named_file, this_machine
from cody_oai_router.notation import read_port
from cody_oai_router.reading import Reading

_HOST: Final = "127.0.0.1"
# Seconds for everything together: a router that runs answers in milliseconds, and an engine's own deadline is longer.
_PATIENCE: Final = 3.0
# Bytes of an answer; a router's own has some hundreds.
_LONGEST: Final = 64 * 1024


def healthcheck(flags: Mapping[str, str]) -> int:
    """Ask `/health`, say in one line what came, and return the exit code."""
    sources = find_sources(this_machine(), flags)
    reading = Reading(sources.found, read_named_file)
    port = reading.value("PORT", read_port)
    hosts = reading.optional("ROUTER_HOST", read_listen) or (_HOST,)
    if wrong := [*sources.lines, *reading.lines]:
        complain(wrong)
        return 1
    if not port:
        complain(["PORT is 0, any free port: nobody can tell which one the router took."])
        return 1
    # A router listens on all its addresses or does not start, so that one answers for all.
    address = Upstream("http", reached(hosts[0]), port)
    fault = _fault(address)
    if fault:
        complain([f"{address.url}/health: {fault}."])
        return 1
    say([f"{address.url}/health: ok."])
    return 0


def _fault(address: Upstream) -> str:
    """What is wrong with the answer; empty where it is a router's own and good."""
    try:
        head, _, body = _ask(address).partition(b"\r\n\r\n")
    except TimeoutError:
        return f"no answer within {_PATIENCE:g} s"
    except OSError as error:
        return f"no answer ({error.strerror or error})"
    status = head.partition(b"\r\n")[0].decode("latin-1")
    if not status.startswith("HTTP/1.1 200 "):
        return f"the answer is not HTTP's 200 but '{status[:80]}'"
    try:
        health = json.loads(body)
    except ValueError:
        health = None
    return "" if isinstance(health, dict) and health.get("status") == "ok" else "another program answers"


def _ask(address: Upstream) -> bytes:
    """Everything that comes until the connection ends; raises OSError, TimeoutError where it takes too long."""
    deadline = time.monotonic() + _PATIENCE
    answer = b""
    with socket.create_connection((address.host, address.port), _PATIENCE) as connection:
        connection.sendall(
            b"GET /health HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n\r\n" % address.authority.encode()
        )
        while len(answer) < _LONGEST:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(4096)
            if not piece:
                break
            answer += piece
    return answer
