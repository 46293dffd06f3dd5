"""Writes the three small questions that a router is tried with, and judges what it answers to them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cody_oai_router.checkup.arrivals import judge_arrivals
from cody_oai_router.checkup.check import Check, Name, unseen
from cody_oai_router.sse import Splitter

# A few words; providers refuse less than this.
_FEW: Final = 16
# Twenty numbers: enough pieces to see whether they come one after the other, and cheap.
_SOME: Final = 120
_OK: Final = 200
_SHOWN: Final = 60
_TOOL: Final = "get_weather"
_WITHOUT_TOOLS: Final = "Chat works without them. If agents and tools matter to you, try another model (DEFAULT_MODEL)."

Question = dict[str, Any]


class Heard(msgspec.Struct, frozen=True):
    """What the router answered: `pieces` are the reads of the body, each with the seconds since the request was sent."""

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[tuple[float, bytes]]

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(data for _, data in self.pieces)

    @property
    def seconds(self) -> float:
        """How long the answer took."""
        return self.pieces[-1][0] if self.pieces else 0.0

    @property
    def notes(self) -> Sequence[str]:
        """What the router had to change."""
        return self.headers.get("x-router-adapted", "").split(", ")

    @property
    def road(self) -> str:
        """The endpoint that answered."""
        return "Cody's stream" if "endpoint:cody" in self.notes else "the LLM API"


def plain_question(model: str) -> Question:
    """Asks for a word or two."""
    return {"model": model, "max_tokens": _FEW, "messages": [{"role": "user", "content": "Say hi"}]}


def streamed_question(model: str) -> Question:
    """Asks for an answer in many pieces."""
    content = "Write the numbers from one to twenty as words."
    return {"model": model, "stream": True, "max_tokens": _SOME, "messages": [{"role": "user", "content": content}]}


def tool_question(model: str) -> Question:
    """Asks for what only a tool can tell."""
    place = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": _TOOL, "description": "Tells the weather in a city.", "parameters": place}
    content = f"What is the weather in Paris? Use the tool {_TOOL}."
    return {
        "model": model,
        "max_tokens": _SOME,
        "messages": [{"role": "user", "content": content}],
        "tools": [{"type": "function", "function": function}],
    }


def judge_answer(heard: Heard, model: str, doubt: str = "") -> Check:
    """Judges the plain answer; `doubt` is what may be the matter if there is none, by what was seen before."""
    message = _message(heard)
    if message is None:
        return _failed("answer", heard, model, doubt)
    name = heard.headers.get("x-router-model", model)
    text = " ".join((message.content or "").split())
    said = f'"{text[:_SHOWN]}"' if text else "an answer without words"
    return Check("answer", "ok", f"{said} from {name} by {heard.road} in {heard.seconds:.1f} s")


def judge_stream(heard: Heard, model: str) -> Check:
    """Judges the streamed answer: whether it is whole, and how its pieces came."""
    samples, whole = _arrivals(heard.pieces)
    if heard.status != _OK or not whole:
        return _failed("streaming", heard, model)
    if "stream:played" in heard.notes:
        return Check(
            "streaming", "ok", "this model or instance gives answers whole; they are passed on as streams of one piece"
        )
    reads, count = sum(1 for _, events in samples if events), sum(events for _, events in samples)
    if not count:
        return Check("streaming", "ok", "it came to its proper end, without words")
    match judge_arrivals(samples):
        case "streamed":
            return Check("streaming", "ok", f"piece by piece ({count} in {reads} reads, {heard.seconds:.1f} s)")
        case "unclear":
            return Check(
                "streaming",
                "ok",
                f"it came, too quickly to see whether pieces are held back ({count} in one read)",
            )
        case "batched":
            advice = (
                "Something between this machine and the model collects answers before it passes them on: a proxy, TLS inspection or a "
                "gateway. Answers are right but appear all at once. Ask whoever runs it not to buffer text/event-stream for this host."
            )
            return Check(
                "streaming", "warning", f"all {count} pieces came at once, after {heard.seconds:.1f} s", advice
            )


def judge_tools(heard: Heard, model: str) -> Check:
    """Judges the answer to a question that a tool was offered for."""
    message = _message(heard)
    if message is None:
        return _failed("tools", heard, model, _WITHOUT_TOOLS)
    emulated = "tools:emulated" in heard.notes
    how = "emulated: described in the prompt, since this road carries no tools" if emulated else "native"
    called = [call.function.name for call in message.tool_calls or ()]
    if called and called[0] == _TOOL:
        return Check("tools", "ok", f"the model called {_TOOL} by {heard.road} ({how})")
    advice = "Models may choose to. If agents and tools matter to you, try another model (DEFAULT_MODEL)."
    return Check(
        "tools", "warning", f"the model answered in words instead of calling a tool, by {heard.road} ({how})", advice
    )


def _failed(name: Name, heard: Heard, model: str, doubt: str = "") -> Check:
    error = _error(heard.body)
    if error is None:
        return unseen(name, f"the answer broke off (HTTP {heard.status}, {len(heard.body)} bytes)", doubt)
    if error.code != "model_not_found":
        return unseen(name, error.message, doubt)
    wish = "Set DEFAULT_MODEL to the full reference (provider::version::model) of a model that Cody offers you."
    return unseen(name, error.message, f"Asked for {model}. {wish}")


def _message(heard: Heard) -> "_Message | None":
    if heard.status != _OK:
        return None
    try:
        completion = _completion(heard.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return completion.choices[0].message if completion.choices else None


def _arrivals(pieces: Sequence[tuple[float, bytes]]) -> tuple[list[tuple[float, int]], bool]:
    """Counts the pieces of text in each read; tells whether the stream came to its proper end."""
    splitter = Splitter()
    samples, whole = [], False
    for moment, data in pieces:
        frames = splitter.feed(data)
        whole = whole or any(frame.data == b"[DONE]" for frame in frames)
        samples.append((moment, sum(_has_text(frame.data) for frame in frames)))
    return samples, whole


def _has_text(data: bytes) -> bool:
    try:
        chunk = _chunk(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return any(choice.delta.content for choice in chunk.choices)


def _error(body: bytes) -> "_Error | None":
    """Reads the error of a refusal, or the one that a stream ended with."""
    frames = Splitter().feed(body) if not body.startswith(b"{") else []
    for data in (body, *(frame.data for frame in reversed(frames))):
        try:
            return _failure(data).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return None


class _Function(msgspec.Struct):
    name: str = ""


class _Call(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Delta(msgspec.Struct):
    content: str | None = None


class _Piece(msgspec.Struct):
    delta: _Delta


class _Chunk(msgspec.Struct):
    choices: list[_Piece]


class _Error(msgspec.Struct):
    message: str
    code: str | None = None


class _Failure(msgspec.Struct):
    error: _Error


_completion = msgspec.json.Decoder(_Completion).decode
_chunk = msgspec.json.Decoder(_Chunk).decode
_failure = msgspec.json.Decoder(_Failure).decode
