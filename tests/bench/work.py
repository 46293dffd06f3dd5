"""The work that every proxy is given, byte for byte: requests as clients send them, answers in the shape of the LLM API.

A tag inside the user's message tells the upstream of the benchmark what to answer, so it passes through any proxy.
"""

import json
import re
from dataclasses import dataclass
from typing import Final, Literal

MODEL: Final = "gpt-4o"
REF: Final = "openai::2024-02-01::gpt-4o"

WORD: Final = "hello "
# The text of the last event of a batch: who sees it knows that the batch has come through.
MARK: Final = "~mark~"
MARK_BYTES: Final = MARK.encode()

REPLY_BYTES: Final = 1024

_TAG: Final = re.compile(rb"\[\[(whole|lockstep|timed) (\d+) (\d+) (\d+)\]\]")

Manner = Literal["whole", "lockstep", "timed"]
# Which endpoint of Sourcegraph answers: the LLM API, or Cody's stream.
Api = Literal["llm", "cody"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One kind of exchange.

    `manner` is how upstream answers: one JSON body of 1 KB; or events in batches of `batch`, each batch one write, the
    next one after the client has seen the one before ("lockstep": each read of a proxy is one batch) or on a timer
    ("timed", where the client sees nothing before the end). `per` is what a figure is divided by.
    """

    name: str
    manner: Manner
    size: int
    per: Literal["request", "event"]
    streamed: bool = False
    events: int = 0
    batch: int = 0
    raw: bool = False

    @property
    def units(self) -> int:
        """How many units of `per` one request has."""
        return self.events if self.per == "event" else 1


JSON: Final = Work(name="JSON request 2 KB, reply 1 KB", manner="whole", size=2048, per="request")
BURST: Final = Work(
    name="SSE event re-written, 8 a read",
    manner="lockstep", size=2048, per="event", streamed=True, events=1000, batch=8,
)  # fmt: skip
SINGLE: Final = Work(
    name="SSE event re-written, 1 a read",
    manner="lockstep", size=2048, per="event", streamed=True, events=500, batch=1,
)  # fmt: skip
RAW_BURST: Final = Work(
    name="SSE event raw, 8 a read",
    manner="lockstep", size=2048, per="event", streamed=True, events=1000, batch=8, raw=True,
)  # fmt: skip
RAW_SINGLE: Final = Work(
    name="SSE event raw, 1 a read",
    manner="lockstep", size=2048, per="event", streamed=True, events=500, batch=1, raw=True,
)  # fmt: skip
FOLD: Final = Work(
    name="JSON reply folded from events, 8 a read",
    manner="timed", size=2048, per="event", events=1000, batch=8,
)  # fmt: skip
BIG: Final = Work(name="JSON request 1 MB, reply 1 KB", manner="whole", size=1024 * 1024, per="request")
OPEN: Final = Work(
    name="open stream", manner="lockstep", size=512, per="request", streamed=True, events=2, batch=1
)  # fmt: skip

WORKS: Final = {
    "json": JSON, "burst": BURST, "single": SINGLE, "raw-burst": RAW_BURST, "raw-single": RAW_SINGLE, "fold": FOLD, "big": BIG,
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What the tag of a request says."""

    manner: str
    number: int
    events: int
    batch: int


def request_body(work: Work, number: int) -> bytes:
    """Writes the body of a request of exactly `work.size` bytes; `number` is unique among the requests under way."""
    tag = f"[[{work.manner} {number} {work.events} {work.batch}]] "
    bare = _body(work, tag)
    filler = "Please look at this line of code again.\n" * (work.size // 40)
    text = tag + filler
    # A line feed is two bytes of JSON; what is too much is cut, what is missing is filled with letters.
    while len(_body(work, text)) > work.size:
        text = text[: len(text) - (len(_body(work, text)) - work.size + 1) // 2]
    body = _body(work, text + "x" * (work.size - len(_body(work, text))))
    assert len(body) == work.size > len(bare), "a request has no room for its tag"
    return body


def read_tag(body: bytes | bytearray) -> Wanted:
    """Reads what a request asks the upstream for; the tag is near the front of every body."""
    match = _TAG.search(body)
    if match is None:
        raise ValueError("a request without a tag: this upstream is for the benchmark only")
    return Wanted(match[1].decode(), int(match[2]), int(match[3]), int(match[4]))


def reply_body() -> bytes:
    """Writes a whole completion of 1 KB (contract §3.1)."""
    return _reply("y" * (REPLY_BYTES - len(_reply(""))))


def cody_event(text: str, *, last: bool = False) -> bytes:
    """Writes one event of Cody's stream (contract §4.4); the last one with all that ends it."""
    end = b'event: completion\ndata: {"stopReason":"end_turn"}\n\nevent: done\ndata: {}\n\n' if last else b""
    return b"event: completion\ndata: " + _compact({"deltaText": text}) + b"\n\n" + end


def event(text: str, *, last: bool = False) -> bytes:
    """Writes one event of a stream (contract §3.2): a new chunk with empty model and finish word, the role repeated."""
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": text},
        "finish_reason": "stop" if last else "",
    }
    chunk = {
        "id": "chat-0b9e5a3e-73a6-4b0a-9d5e-3a0d2f6a2c11",
        "object": "chat.completion.chunk",
        "created": 1747699200,
        "model": "",
        "choices": [choice],
    }
    return b"data: " + _compact(chunk) + b"\n\n"


def _body(work: Work, text: str) -> bytes:
    messages = [{"role": "system", "content": "You are a careful engineer."}, {"role": "user", "content": text}]
    fields = {"model": MODEL, "messages": messages, "temperature": 0.2, "max_tokens": 1000, "stream": work.streamed}
    return _compact(fields)


def _reply(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"completion_tokens": 200, "prompt_tokens": 500, "total_tokens": 700, "credits": 3}
    reply = {
        "id": "chat-0b9e5a3e-73a6-4b0a-9d5e-3a0d2f6a2c11",
        "object": "chat.completion",
        "created": 1747699200,
        "model": REF,
        "choices": [choice],
        "usage": usage,
    }
    return _compact(reply)


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
