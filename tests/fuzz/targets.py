"""What the fuzzer calls: every reader of bytes that somebody else wrote, each with the outcomes that it documents.

Strategy: a target takes any bytes and asserts. Where a reader works on a stream, the first byte of the input is the size
of the pieces, and the same bytes in one piece must come to the same end. `SEEDS` are whole, well-formed inputs, which
the fuzzer varies; `test_targets.py` runs them and their beginnings without a fuzzer.
"""

import asyncio
import re
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from cody_oai_router.adapt.schema import read_schema
from cody_oai_router.answering import chain_of
from cody_oai_router.catalogue import Resolved, read_listing, read_supported
from cody_oai_router.cli.sources import read_env_file
from cody_oai_router.conversation import Format, Prompt, Reply, Tool, collect
from cody_oai_router.dialects import openai_chat
from cody_oai_router.events import Event, Failed, Stop, Text
from cody_oai_router.exchange import Budgets, Plan, plan
from cody_oai_router.faults import STATUS, Fault
from cody_oai_router.http1 import (
    BadResponse,
    ClientError,
    ClientLimits,
    Clocks,
    ConnectionLost,
    Request,
    Response,
    Server,
    ServerExchange,
    ServerLimits,
)
from cody_oai_router.http1.client_connection import ClientConnection
from cody_oai_router.http1.clock import ExchangeClock
from cody_oai_router.http1.incoming import Incoming
from cody_oai_router.http1.pool import Pool
from cody_oai_router.http1.server_connection import ServerConnection
from cody_oai_router.notation import Wrong
from cody_oai_router.notes import NOTES
from cody_oai_router.reading import File, Source
from cody_oai_router.relay import Source as Answer
from cody_oai_router.relay import Upstream
from cody_oai_router.roads import Api, Site, choose
from cody_oai_router.settings import Settings, read_settings
from cody_oai_router.site import has_context_filters, read_client_config, read_release
from cody_oai_router.sourcegraph import refusals
from cody_oai_router.sse import Frame, Splitter
from cody_oai_router.upstreams import completions_stream, llm_api
from fuzz.wire import Wire, cuts
from http1.clocked import ClockedLoop

Target = Callable[[bytes], None]

LIMIT: Final = 4096
"""Of bodies and events here: small, so that the fuzzer reaches it."""

_ANSWER: Final = re.compile(
    rb"(?:HTTP/1\.1 (?:100|200|400|413|417|431|501|503|505) [^\r\n]+\r\n(?:[A-Za-z-]+: [^\r\n]*\r\n)*\r\n)*"
)
_NOW: Final = 1_700_000_000.0
_CLOCKS: Final = Clocks(connect=1, first_byte=1, idle=1)


def _split(data: bytes) -> tuple[int, bytes]:
    """Takes the size of the pieces off the input."""
    return (data[0], data[1:]) if data else (0, b"")


def _on_loop(scenario: Callable[[ClockedLoop], Coroutine[Any, Any, None]]) -> None:
    """Runs a scenario; whatever it leaves to the loop to report is a finding."""
    loop = ClockedLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        reported: list[str] = []
        loop.set_exception_handler(lambda _, context: reported.append(repr(context)))
        runner.run(scenario(loop))
        assert reported == []


# HTTP: the server.


class _Application:
    """Answers everything with an empty 200 and keeps what it was given."""

    def __init__(self) -> None:
        self.handled: list[tuple[str, str, bytes]] = []

    def admit(self, request: Request) -> Response | None:
        assert request.target.isascii()
        assert all(name == name.lower() and b"\r" not in value + name for name, value in request.headers)
        return None

    def malformed(self, status: int, reason: str, request: Request | None) -> Response:
        assert reason
        assert request is None or request.method
        return Response(status)

    def failed(self, request: Request, error: BaseException | None) -> Response:
        raise AssertionError(request.target) from error

    async def handle(self, request: Request, exchange: ServerExchange) -> None:
        assert len(request.body) <= LIMIT
        self.handled.append((request.method, request.target, bytes(request.body)))
        exchange.respond(Response(200))


async def _serve(loop: ClockedLoop, size: int, data: bytes) -> list[tuple[str, str, bytes]]:
    application = _Application()
    server = Server(application, ServerLimits(body_bytes=LIMIT, head_bytes=LIMIT, ahead_bytes=len(data) + 1))
    wire = Wire(loop, ServerConnection(server))
    for piece in cuts(data, size):
        await wire.receive(piece)
    await wire.end()
    await server.close()
    assert server.budget.used == 0
    assert _ANSWER.fullmatch(wire.written), bytes(wire.written)
    return application.handled


async def _serve_alike(loop: ClockedLoop, size: int, data: bytes) -> None:
    assert await _serve(loop, size, data) == await _serve(loop, 0, data)


def server(data: bytes) -> None:
    """Requests, pipelined: the same ones are handled however the bytes are cut, and answers are well-formed."""
    size, sent = _split(data)
    _on_loop(partial(_serve_alike, size=size, data=sent))


# HTTP: the client.


class _Kept:
    """A sink that keeps what comes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ends: list[bool | ClientError] = []

    def on_data(self, data: bytes) -> None:
        assert data
        assert not self.ends
        self.data += data

    def on_end(self, *, delimited: bool) -> None:
        self.ends.append(delimited)

    def on_fail(self, error: ClientError) -> None:
        self.ends.append(error)


async def _no_connection() -> ClientConnection:
    raise AssertionError("nothing here opens a connection")


async def _ask(loop: ClockedLoop, size: int, data: bytes, *, head_only: bool) -> tuple[int, bytes | None, object]:
    """Gives the status, the body of an answer that has an end, and the kind of the end."""
    limits = ClientLimits(head_bytes=LIMIT, decoded_bytes=4 * LIMIT)
    connection = ClientConnection(Pool(limits, _no_connection))
    wire = Wire(loop, connection)
    incoming = Incoming(
        connection, limits, ExchangeClock(_CLOCKS, loop.time()), where="upstream", head_only=head_only, reused=False
    )
    kept = _Kept()
    incoming.attach(kept)
    connection.send(incoming, [b"GET / HTTP/1.1\r\n\r\n"])
    for piece in cuts(data, size):
        await wire.receive(piece)
    await wire.end()
    (end,) = kept.ends
    status = await _status(incoming)
    assert isinstance(end, bool | BadResponse | ConnectionLost), end
    return status, bytes(kept.data) if isinstance(end, bool) else None, end if isinstance(end, bool) else type(end)


async def _status(incoming: Incoming) -> int:
    try:
        await incoming.wait_for_head()
    except ClientError:
        return 0
    assert 200 <= incoming.status <= 999
    return incoming.status


async def _ask_alike(loop: ClockedLoop, size: int, data: bytes, *, head_only: bool) -> None:
    assert await _ask(loop, size, data, head_only=head_only) == await _ask(loop, 0, data, head_only=head_only)


def client(data: bytes) -> None:
    """One answer: it ends once, and alike however the bytes are cut."""
    size, sent = _split(data)
    head_only = size == 255
    _on_loop(partial(_ask_alike, size=size, data=sent, head_only=head_only))


# Streams of events.


def _frames(size: int, data: bytes) -> tuple[list[Frame], bool]:
    splitter = Splitter(LIMIT)
    frames = [frame for piece in cuts(data, size) for frame in splitter.feed(piece)]
    return frames + splitter.finish(), splitter.overflowed


def sse(data: bytes) -> None:
    """Frames: the same ones however the bytes are cut, none longer than the limit."""
    size, sent = _split(data)
    whole, cut = _frames(0, sent), _frames(size, sent)
    assert whole == cut
    assert all(len(frame.data) <= LIMIT for frame in cut[0])


def _events(upstream: Upstream, size: int, data: bytes, *, delimited: bool) -> list[Event]:
    answer = Answer(upstream.Reader(), upstream.read_reply, event_limit=LIMIT, reply_limit=4 * LIMIT)
    events = [event for piece in cuts(data, size) for event in answer.feed(piece)]
    return events + answer.end(delimited=delimited)


def relay(data: bytes) -> None:
    """An answer of either endpoint: nothing follows a failure, and its end is the same however the bytes are cut."""
    size, sent = _split(data)
    for upstream, delimited in product((llm_api, completions_stream), (True, False)):
        whole, cut = (_events(upstream, step, sent, delimited=delimited) for step in (0, size))
        assert whole == cut
        failures = [event for event in cut if isinstance(event, Failed)]
        assert not failures or failures == cut[-1:]
        assert delimited or cut, "a broken answer says nothing"


def found_in_text(data: bytes) -> None:
    """A model's words on their way through all that looks into them: nothing raises, and the answer is the same however it is cut."""
    size, sent = _split(data)
    text = sent.decode("utf-8", "replace")
    step = size or max(1, len(text))
    pieces = [text[start : start + step] for start in range(0, len(text), step)]
    replies = [_adapted([Text(piece) for piece in said]) for said in ([text], pieces)]
    assert replies[0] == replies[1]


def _adapted(events: list[Event]) -> Reply | Fault:
    prompt = msgspec.structs.replace(_ASKED, stop=("STOP",))
    chain = chain_of(prompt, called=_TOOLS, nonce="0a", counts=False)
    assert chain is not None
    out: list[Event] = []
    for event in [*events, Stop("stop")]:
        out += chain.adapt([event])
    return collect([*out, *chain.finish()])


# Whole bodies.


def read_prompt(data: bytes) -> None:
    """A client's request: what can be read can be written to upstream."""
    prompt = openai_chat.read_prompt(data)
    if isinstance(prompt, Prompt):
        for version, api in product((None, 0, 2, 5, 9), get_args(Api)):
            road = choose(prompt, _MODEL, Site(version), api)
            made = plan(prompt, _MODEL, road, frozenset(), Budgets(1, 1), nonce="0a")
            if isinstance(made, Plan):
                assert isinstance(msgspec.json.decode(b"".join(made.body)), dict)
                assert set(made.adapted) <= set(NOTES)
            else:
                _is_fault(made)
    else:
        _is_fault(prompt)


def read_reply(data: bytes) -> None:
    """A whole answer of either endpoint."""
    for upstream in (llm_api, completions_stream):
        reply = upstream.read_reply(data)
        if not isinstance(reply, Reply):
            _is_fault(reply)


def read_fault(data: bytes) -> None:
    """A refusal: status, one header and body are the input's first two bytes, its first line, and the rest."""
    line, _, body = data[2:].partition(b"\n")
    name, _, value = line.decode("latin-1").partition(":")
    fault = refusals.read_fault(300 + int.from_bytes(data[:2], "big") % 400, {name.lower(): value}, body, _NOW)
    _is_fault(fault)
    assert fault.retry_after is None or fault.retry_after >= 0


def _is_fault(fault: object) -> None:
    assert isinstance(fault, Fault), fault
    assert fault.kind in STATUS
    assert fault.message
    assert msgspec.json.decode(openai_chat.write_fault(fault))["error"]["message"]


def schema(data: bytes) -> None:
    """A JSON schema and a value, the input's first line and the rest: what can be read can be asked."""
    first, _, rest = data.partition(b"\n")
    try:
        value = msgspec.json.decode(rest)
        raw = msgspec.Raw(first)
        msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    read = read_schema(raw, "x")
    if isinstance(read, Fault):
        _is_fault(read)
    else:
        assert all(isinstance(violation, str) for violation in read.violations(value))


def catalogue(data: bytes) -> None:
    """The two listings of models, and what an instance says of itself."""
    read_client_config(data)
    read_release(data)
    has_context_filters(data)
    for read in (read_listing, read_supported):
        models = read(data)
        assert models is None or all(model.ref and model.ref.isprintable() for model in models)


# Settings.


def _no_file(name: str) -> File | Wrong:
    return Wrong(f"there is no file {name}")


def settings(data: bytes) -> None:
    """A `.env` file, and the settings that its variables make."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_bytes(data)
        values = read_env_file(path)
    if isinstance(values, Wrong):
        assert values.why
        return
    assert values is not None
    found = read_settings([Source("environment", "the environment", values)], _no_file)
    if not isinstance(found, Settings):
        assert found.lines or found.token_missing


_CHUNK: Final = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":""}]}\n\n'
_CALL: Final = (
    b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"toolu_1","type":"function",'
    b'"function":{"name":"now","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}\r\n\r\n'
)
_COMPLETION: Final = (
    b'event: completion\ndata: {"deltaText":"Hi","delta_tool_calls":[{"id":"t","type":"function",'
    b'"function":{"name":"now","arguments":"{}"}}],"delta_thinking":"h"}\n\n'
)
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
_GZIP: Final = bytes.fromhex("1f8b08000000000002ffcbc8e4020007a1ead603000000")  # "hi\n", made without a time

_TOOLS: Final = (Tool(name="f"),)
_ASKED: Final = Prompt(model="m", turns=(), tools=_TOOLS, parallel_calls=False, format=Format(kind="json_object"))
_MODEL: Final = Resolved("anthropic::1::m", "exact")

TARGETS: Final[Mapping[str, Target]] = {
    target.__name__: target
    for target in (
        server,
        client,
        sse,
        relay,
        found_in_text,
        read_prompt,
        read_reply,
        read_fault,
        schema,
        catalogue,
        settings,
    )
}

SEEDS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "server": (
        b"\x07GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        (
            b"\x05POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            b"2;x=y\r\nhi\r\n0\r\nT: v\r\n\r\nGET / HTTP/1.0\r\n\r\n"
        ),
    ),
    "client": (
        b"\x09HTTP/1.1 100 Continue\r\n\r\n" + _HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"\x03" + _HEAD + b"Content-Length: 23\r\nContent-Encoding: gzip\r\n\r\n" + _GZIP,
        b"\x04HTTP/1.0 502 Bad Gateway\r\n\r\n<html>",
    ),
    "sse": (b"\x03\xef\xbb\xbfevent: a\r\ndata: 1\rdata:2\n\n: c\nid: 4\n{}\n\ndata", b"\x00" + _CHUNK + _CALL),
    "relay": (
        b"\x11" + _CHUNK + _CALL + b"data: [DONE]\n\n",
        b"\x07" + _CHUNK + b'{"error":{"message":"no","type":"x"}}\n',
        b'\x05{"choices":[{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}',
        b"\x0d" + _COMPLETION + b'event: completion\ndata: {"stopReason":"tool_use"}\n\nevent: done\ndata: {}\n\n',
        b'\x06event: completion\ndata: {"completion":"a b"}\n\nevent: error\ndata: {"error":"no"}\n\n',
    ),
    "found_in_text": (
        b'\x05so: <tool_call_0a>{"name": "f", "arguments": {"a": [1]}}</tool_call_0a>\n<tool_call_0a>{"name": "f"}',
        b'\x03Sure:\n```json\n{"a": "b\\"}"}\n```\nSTOP that',
    ),
    "read_prompt": (
        (
            b'{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},'
            b'{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}],"stream":true,"max_tokens":5,'
            b'"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto"}'
        ),
        (
            b'{"model":"m","messages":[{"role":"user","content":"u"},{"role":"assistant","tool_calls":[{"id":"c","type":'
            b'"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}]}'
        ),
    ),
    "read_reply": (
        (
            b'{"choices":[{"message":{"content":"Hi","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},'
            b'"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}'
        ),
    ),
    "read_fault": (
        (b'\x00\x81retry-after: Wed, 21 Oct 2026 07:28:00 GMT\n{"error":{"message":"unexpected status code 429: x"}}'),
        b"\x00\xc8x-ratelimit-reset: 1700000100\n<html><title>Sign in</title>",
    ),
    "schema": (
        b'{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}},"$defs":{"b":{"pattern":"^(x+)+$"}}}\n{"a":"xx"}',
        b'{"anyOf":[{"type":"array","items":{"enum":[1,null]}},{"const":{}}],"minItems":1}\n[1,2]',
    ),
    "catalogue": (
        b'{"codyEnabled":true,"latestSupportedCompletionsStreamAPIVersion":9}',
        b'{"data":{"site":{"productVersion":"6.1.0","codyContextFilters":{"raw":{}}}}}',
        b'{"object":"list","data":[{"id":"a::b::c","object":"model","created":0,"owned_by":"a"}]}',
        (
            b'{"models":[{"modelRef":"a::b::c","modelName":"c","capabilities":["chat"],"status":"stable",'
            b'"modelConfigAllTiers":{"enterprise":{"contextWindow":{"maxInputTokens":1,"maxOutputTokens":2}}}}]}'
        ),
    ),
    "settings": (
        (
            b"SOURCEGRAPH_BASE_URL=https://sourcegraph.example.com\nSOURCEGRAPH_API_TOKEN='sgp_abc' # mine\nPORT=80\n"
            b'SRC_HEADERS={"X-A": "b"}\nMODEL_ALIASES=a=b,c=d\nHTTPS_PROXY=http://u:p@proxy:80\nMAX_HEAD_BYTES=8KB\n'
        ),
    ),
}
"""Well-formed inputs of each target."""
