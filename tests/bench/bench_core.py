"""Measures the core alone, without a socket: the steps of a JSON exchange, and one event of a stream on its way across.

Each step is run some times more in a second process than in a first one, both under callgrind, and the difference divided
by the difference of the counts: start-up and imports cancel. Instructions in user space; the same interpreter always
gives nearly the same figure. Without valgrind, CPU time is taken instead.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from bench.work import BIG, BURST, JSON, REF, event, reply_body, request_body
from cody_oai_router import exchange
from cody_oai_router.abilities import traits_of
from cody_oai_router.catalogue import Catalogue, Model
from cody_oai_router.conversation import Collector, Prompt, Stamp
from cody_oai_router.dialects import llm_chat, openai_chat
from cody_oai_router.faults import Fault
from cody_oai_router.http1.heads import read_request_head, read_response_head
from cody_oai_router.lessons import NO_LESSONS
from cody_oai_router.relay import Source, Upstream
from cody_oai_router.roads import Site, choose
from cody_oai_router.upstreams import completions_stream, llm_api

Step = Callable[[int], None]

_FEW: Final = 100
_MANY: Final = 600
_ROUNDS: Final = 5
_TIMED: Final = 2_000

_SITE: Final = Site(9)
_LIMIT: Final = 1 << 26
_BUDGETS: Final = exchange.Budgets(4_000, 32_000)
_STAMP: Final = Stamp("0123456789abcdef01234567", "gpt-4o", 1747699200)
_CODY_EVENT: Final = b'event: completion\ndata: {"deltaText":"hello "}\n\n'
_CODY_THOUGHT: Final = b'event: completion\ndata: {"delta_thinking":"hello "}\n\n'
_THOUGHT: Final = event("hello ").replace(b'"content"', b'"reasoning_content"')
_COLLECTED: Final = re.compile(r"Collected : (\d+)")

_REQUEST_HEAD: Final = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    b"Authorization: Bearer none\r\nContent-Type: application/json\r\nContent-Length: 2048\r\n\r\n"
)
_RESPONSE_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n"
    b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
)


def main() -> None:
    """Prints a figure for each step."""
    parser = argparse.ArgumentParser(prog="python -m bench.bench_core", description=__doc__)
    parser.add_argument("--run", nargs=2, metavar=("STEP", "TIMES"), help="only run a step so many times")
    parser.add_argument("--only", nargs="+", choices=list(_STEPS), default=list(_STEPS))
    options = parser.parse_args()
    if options.run:
        name, times = options.run
        _STEPS[name](int(times))
        return
    counted = shutil.which("valgrind") is not None
    sys.stdout.write(f"| step | {'instructions' if counted else 'CPU nanoseconds'} |\n|---|---|\n")
    for name in options.only:
        figure = _instructions(name) if counted else _nanoseconds(_STEPS[name])
        sys.stdout.write(f"| {name} | {figure:,.0f} |\n")
        sys.stdout.flush()


def _instructions(name: str) -> float:
    return (_counted(name, _MANY) - _counted(name, _FEW)) / (_MANY - _FEW)


def _counted(name: str, times: int) -> int:
    command = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    program = (sys.executable, "-m", "bench.bench_core", "--run", name, str(times))
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run([*command, *program], env=environment, capture_output=True, text=True, check=True)
    match = _COLLECTED.search(done.stderr)
    assert match is not None, done.stderr
    return int(match[1])


def _nanoseconds(step: Step) -> float:
    def once() -> float:
        begun = time.process_time()
        step(_TIMED)
        return (time.process_time() - begun) / _TIMED * 1e9

    return min(once() for _ in range(_ROUNDS))


def _read_request_head(times: int) -> None:
    for _ in range(times):
        read_request_head(_REQUEST_HEAD, 100)


def _read_response_head(times: int) -> None:
    for _ in range(times):
        read_response_head(_RESPONSE_HEAD, 100)


def _read_prompt(times: int) -> None:
    body = request_body(JSON, 1)
    for _ in range(times):
        openai_chat.read_prompt(body)


def _read_big_prompt(times: int) -> None:
    body = request_body(BIG, 1)
    for _ in range(times):
        openai_chat.read_prompt(body)


def _plan(times: int) -> None:
    prompt = _prompt()
    catalogue = Catalogue([Model(ref=REF)], aliases={}, default=None)
    for _ in range(times):
        resolved = exchange.resolve(prompt, catalogue)
        assert not isinstance(resolved, Fault)
        traits = traits_of(prompt)
        road = choose(prompt, resolved, _SITE, "auto", traits)
        exchange.plan(prompt, resolved, road, NO_LESSONS, _BUDGETS, nonce="0123456789ab", traits=traits)


def _read_reply(times: int) -> None:
    body = reply_body()
    for _ in range(times):
        llm_chat.read_reply(body)


def _carry_reply(times: int) -> None:
    body = reply_body()
    for _ in range(times):
        source, collector = _source(), Collector()
        collector.feed(source.feed(body))
        collector.feed(source.end(delimited=True))
        collector.reply()


def _write_reply(times: int) -> None:
    prompt = _prompt()
    reply = llm_chat.read_reply(reply_body())
    assert not isinstance(reply, Fault)
    for _ in range(times):
        openai_chat.write_replies([reply], reply.usage, _STAMP, prompt)


def _stream(batch: int, upstream: Upstream = llm_api, *, thoughts: bool = False) -> Step:
    words, thought = (event("hello "), _THOUGHT) if upstream is llm_api else (_CODY_EVENT, _CODY_THOUGHT)

    def carry(times: int) -> None:
        data = (thought if thoughts else words) * batch
        source, writer = _source(upstream), openai_chat.Writer(_STAMP, _prompt())
        for _ in range(times):
            writer.write(source.feed(data))

    return carry


def _fold(batch: int) -> Step:
    def fold(times: int) -> None:
        data = event("hello ") * batch
        source, collector = _source(), Collector()
        for _ in range(times):
            collector.feed(source.feed(data))

    return fold


def _prompt() -> Prompt:
    prompt = openai_chat.read_prompt(request_body(BURST, 1))
    assert not isinstance(prompt, Fault)
    return prompt


def _source(upstream: Upstream = llm_api) -> Source:
    return Source(upstream.Reader(), upstream.read_reply, event_limit=_LIMIT, reply_limit=_LIMIT)


_STEPS: Final[dict[str, Step]] = {
    "read the head of a request": _read_request_head,
    "read the head of a response": _read_response_head,
    "read a prompt of 2 KB": _read_prompt,
    "read a prompt of 1 MB": _read_big_prompt,
    "resolve the model and plan": _plan,
    "read a reply of 1 KB": _read_reply,
    "carry a reply of 1 KB (source and collector)": _carry_reply,
    "write a reply of 1 KB": _write_reply,
    "read of 1 event, re-written": _stream(1),
    "read of 4 events, re-written": _stream(4),
    "read of 32 events, re-written": _stream(32),
    "read of 1 event of Cody's stream, re-written": _stream(1, completions_stream),
    "read of 4 events of Cody's stream, re-written": _stream(4, completions_stream),
    "read of 1 event of thoughts, re-written": _stream(1, thoughts=True),
    "read of 1 event of thoughts of Cody's stream, re-written": _stream(1, completions_stream, thoughts=True),
    "read of 1 event, folded": _fold(1),
    "read of 4 events, folded": _fold(4),
    "read of 32 events, folded": _fold(32),
}


if __name__ == "__main__":
    main()
