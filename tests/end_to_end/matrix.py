"""Every version of Sourcegraph with everything that a client may want: which road it takes, and what is changed on the way.

Each cell is run through a router in front of that simulated version, streamed and whole, and judged: a right answer or a right error.
`docs/compatibility.md` is written from the same runs: `make compatibility`.
"""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cody_oai_router.simulator import Fault, Simulator, faults
from end_to_end.harness import CHAT_PATH, CODY_PATH, Answer, Router, ask, both, chat, connected, request, run, words

NOW = 1_776_000_000.0
PIXEL = "data:image/png;base64,iVBORw0KGgo="
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "5.4": {},
    "5.6": {},
    "5.8": {},
    "5.10": {},
    "6.1": {},
    "6.5-starter": {"gate": "404"},
    "6.8-gated": {"gate": "403"},
    "6.12": {},
    "7.x-unknown": {},
    "dotcom-dead": {},
}
# No catalogue names models before 5.6: there only what the instance itself calls them works.
_MODELS = {"5.4": "anthropic::2023-06-01::claude-3.5-sonnet"}
_THINKING = {"5.4", "5.6", "5.8", "5.10"}  # these know no thinking model
_NO_IMAGES = {"5.4", "5.6"}
_OFF = "dotcom-dead"

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Gets the {name.removeprefix('get_')}.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("get_weather", "get_time")
]


@dataclass
class Seen:
    """What a client saw of one answer, whichever way it came."""

    answer: Answer
    stream: bool
    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    finish: str = ""

    @property
    def whole(self) -> bool:
        """Whether it is a complete answer."""
        if self.answer.status != 200 or not self.answer.finished:
            return False
        return not self.stream or self.answer.events[-1] == "[DONE]"

    @property
    def error(self) -> dict[str, Any]:
        """The error that it ended with, before or after its head."""
        if self.stream and self.answer.status == 200:
            return self.answer.assert_broken()
        return self.answer.error


def seen(answer: Answer, *, stream: bool) -> Seen:
    """Reads an answer as a client does."""
    found = Seen(answer, stream)
    if answer.status != 200:
        return found
    if not stream:
        choice = answer.json["choices"][0]
        message = choice["message"]
        found.text, found.reasoning = message["content"] or "", message.get("reasoning_content", "")
        found.calls, found.finish = message.get("tool_calls", []), choice["finish_reason"]
        return found
    for chunk in answer.chunks:
        for choice in chunk.get("choices", ()):
            _piece(choice, found)
    return found


def _piece(choice: dict[str, Any], found: Seen) -> None:
    delta = choice["delta"]
    found.text += delta.get("content") or ""
    found.reasoning += delta.get("reasoning_content") or ""
    found.finish = choice["finish_reason"] or found.finish
    for call in delta.get("tool_calls", ()):
        if "id" in call:
            assert call["index"] == len(found.calls)
            found.calls.append({"id": call["id"], "type": call["type"], "function": dict(call["function"])})
        else:
            found.calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]


def unjudged(found: Seen) -> None:
    """Takes an answer as it is: the documentation is written without any judge."""


@dataclass(frozen=True)
class Stage:
    """A router in front of one version, whether this run asks for streams, and who judges the form of each answer."""

    profile: str
    simulator: Simulator
    running: Router
    stream: bool
    judge: Callable[[Seen], None]

    async def ask(self, content: Any = "Hello there", **fields: Any) -> Seen:
        """Asks once."""
        model = _MODELS.get(self.profile, "claude-sonnet-4-5")
        fields = {"model": model, **fields}
        return self._judged(await ask(self.running, content, stream=self.stream, **fields))

    def queue(self, fault: Fault, times: int = 1) -> None:
        """Has whichever road the next request takes get a fault."""
        self.simulator.queue(fault, CHAT_PATH, times)
        self.simulator.queue(fault, CODY_PATH, times)

    async def asked(self, content: Any, at: Callable[[Any], Awaitable[None]]) -> Seen:
        """Asks, and does something while the answer is awaited."""
        body = chat(content, model=_MODELS.get(self.profile, "claude-sonnet-4-5"), stream=self.stream)
        async with connected(self.running) as client:
            client.send(request(body))
            await at(client)
            return self._judged(await client.to_end())

    def _judged(self, answer: Answer) -> Seen:
        found = seen(answer, stream=self.stream)
        self.judge(found)
        return found


async def plain(stage: Stage) -> Seen:
    """Plain chat."""
    found = await stage.ask()
    assert (found.whole, found.text, found.finish) == (True, "You said: Hello there", "stop")
    return found


async def system(stage: Stage) -> Seen:
    """A system message, and another one in the middle."""
    said = [
        ("system", "Be brief."),
        ("user", "Hi."),
        ("assistant", "Hi!"),
        ("system", "Be kind."),
        ("user", "Hello there"),
    ]
    found = await stage.ask(messages=[{"role": role, "content": content} for role, content in said])
    assert (found.whole, found.text) == (True, "You said: Hello there")
    sent = stage.simulator.received[-1].body.decode()
    assert "Be brief." in sent
    assert "<SYSTEM_PROMPT>Be kind.</SYSTEM_PROMPT>" in sent.replace(r"\u003c", "<").replace(r"\u003e", ">")
    return found


async def tools(stage: Stage) -> Seen:
    """A tool is called, and its result is answered."""
    return await _round_trip(stage, '[[call:get_weather {"city":"Oslo"}]]', [("get_weather", {"city": "Oslo"})])


async def parallel(stage: Stage) -> Seen:
    """Two tools are called at once, and both results are answered."""
    question = '[[call:get_weather {"city":"Oslo"}]] [[call:get_time {"city":"Rome"}]]'
    return await _round_trip(stage, question, [("get_weather", {"city": "Oslo"}), ("get_time", {"city": "Rome"})])


async def twice(stage: Stage) -> Seen:
    """One tool is called twice at once, and both results are answered."""
    question = '[[call:get_weather {"city":"Oslo"}]] [[call:get_weather {"city":"Rome"}]]'
    return await _round_trip(stage, question, [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})])


async def _round_trip(stage: Stage, question: str, calls: list[tuple[str, Any]]) -> Seen:
    messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
    first = await stage.ask(messages=messages, tools=TOOLS)
    if not first.whole:
        return first
    called = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in first.calls]
    assert (called, first.finish) == (calls, "tool_calls")
    assert len({call["id"] for call in first.calls}) == len(calls)
    messages.append({"role": "assistant", "content": first.text or None, "tool_calls": first.calls})
    results = [f"{number} degrees" for number in range(len(calls))]
    for call, result in zip(first.calls, results, strict=True):
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    second = await stage.ask(messages=messages, tools=TOOLS)
    assert (second.whole, second.finish) == (True, "stop"), second.answer.raw
    assert second.text == f"The tool answered: {' | '.join(results)}"
    return second


async def image(stage: Stage) -> Seen:
    """An image that the model is to see."""
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    found = await stage.ask(parts)
    if stage.profile in _NO_IMAGES:
        assert found.error["code"] == "unsupported_value"
    else:
        assert (found.whole, "image/png" in found.text) == (True, True), found.answer.raw
    return found


async def thinking(stage: Stage) -> Seen:
    """Reasoning is asked for."""
    found = await stage.ask("Hello there [[think:Hmm. Greetings.]]", reasoning_effort="high")
    assert (found.whole, found.text) == (True, "You said: Hello there"), found.answer.raw
    thought = "" if stage.profile in _THINKING else "Hmm. Greetings."
    assert found.reasoning == thought
    return found


async def required(stage: Stage) -> Seen:
    """A tool must be called, which no endpoint takes as a field."""
    found = await stage.ask('[[call:get_weather {"city":"Oslo"}]]', tools=TOOLS, tool_choice="required")
    assert (found.whole, found.finish) == (True, "tool_calls"), found.answer.raw
    assert [call["function"]["name"] for call in found.calls] == ["get_weather"]
    return found


async def structured(stage: Stage) -> Seen:
    """JSON by a strict schema: held, taken out of what stands around it, and checked."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    found = await stage.ask('[[text:Here:\n```json\n{"city": "Oslo"}\n```]]', response_format=form)
    assert (found.whole, found.text, found.finish) == (True, '{"city": "Oslo"}', "stop"), found.answer.raw
    return found


async def choices(stage: Stage) -> Seen:
    """Two answers to one request, each asked for by itself."""
    found = await stage.ask(n=2)
    assert found.whole, found.answer.raw
    said = [""] * 2
    for piece in found.answer.chunks if stage.stream else [found.answer.json]:
        for choice in piece["choices"]:
            said[choice["index"]] += choice["delta" if stage.stream else "message"].get("content") or ""
    assert said == ["You said: Hello there"] * 2
    return found


async def stops(stage: Stage) -> Seen:
    """A stop sequence across the pieces of a stream."""
    found = await stage.ask("[[text:one two three four]]", stop=["o th"])
    assert (found.whole, found.text, found.finish) == (True, "one tw", "stop"), found.answer.raw
    return found


async def silence(stage: Stage) -> Seen:
    """The model says nothing for a long time: the client is kept waiting, not dropped."""

    async def at(client: Any) -> None:
        if stage.profile == _OFF:
            return
        await stage.simulator.held("quiet")
        if stage.stream:
            await client.until(b": keep-alive")
        stage.simulator.release("quiet")

    found = await stage.asked("Hello there [[hold:quiet]]", at)
    assert (found.whole, found.text) == (True, "You said: Hello there")
    return found


async def failing(stage: Stage) -> Seen:
    """The model fails before it has said a word."""
    found = await stage.ask("[[error:the provider exploded]]")
    assert found.answer.status >= 500, found.answer.raw
    assert "the provider exploded" in found.error["message"]
    return found


async def breaking(stage: Stage) -> Seen:
    """The model fails in the middle: a client never takes it for the end."""
    found = await stage.ask("[[words:8]] [[mid-error:the provider exploded]]")
    assert not found.whole
    assert "the provider exploded" in found.error["message"]
    return found


async def limited(stage: Stage) -> Seen:
    """The rate limit is reached, in every way in which an instance says so."""
    await stage.ask()  # what is closed has been learnt by now
    for form in faults.retry_after_forms(NOW):
        stage.queue(faults.rate_limited(form, now=NOW))
        found = await stage.ask()
        assert (found.answer.status, found.error["code"]) == (429, "rate_limit_exceeded")
        wait = found.answer.header("retry-after")
        assert wait is not None
        assert wait.isdecimal()
        stage.simulator.reset()
    stage.queue(faults.wrapped_status(429))
    return await stage.ask()


async def gate(stage: Stage) -> Seen:
    """The LLM API is closed from now on (403)."""
    for _ in range(2):
        stage.simulator.queue(faults.problem(403, "not licensed"), CHAT_PATH)
    found = await stage.ask()
    assert (found.whole, found.text) == (True, "You said: Hello there")
    return found


CASES: Mapping[str, Callable[[Stage], Awaitable[Seen]]] = {
    "plain": plain,
    "system": system,
    "tools": tools,
    "parallel tools": parallel,
    "image": image,
    "thinking": thinking,
    "required tool": required,
    "structured output": structured,
    "several choices": choices,
    "stop sequence": stops,
    "long silence": silence,
    "error at the start": failing,
    "error in the middle": breaking,
    "rate limit": limited,
    "gate": gate,
}


@asynccontextmanager
async def stage(
    profile: str, *, stream: bool, hasty: bool = False, judge: Callable[[Seen], None] = unjudged, **options: Any
) -> AsyncIterator[Stage]:
    """Sets up a fresh router and a fresh instance; a hasty router sends heads and heartbeats at once."""
    soon = {"HEAD_HOLD": "0.05", "HEARTBEAT_INTERVAL": "0.05"}
    variables = {"SOURCEGRAPH_API": "auto", **(soon if hasty else {})}
    async with both(profile, variables=variables, **{"clock": lambda: NOW, **PROFILES[profile], **options}) as (
        simulator,
        running,
    ):
        yield Stage(profile, simulator, running, stream, judge)


async def cell(profile: str, case: str, *, stream: bool, **options: Any) -> str:
    """Runs one cell; gives what its column in the documentation says."""
    async with stage(profile, stream=stream, hasty=CASES[case] is silence, **options) as here:
        if profile == _OFF:
            found = await here.ask()
            assert found.answer.status == 403
            assert "cody is not enabled" in found.error["message"]
            return "403: Cody is off"
        found = await CASES[case](here)
        return _described(found, here)


def _described(found: Seen, here: Stage) -> str:
    paths = [received for received in here.simulator.received if received.path in (CHAT_PATH, CODY_PATH)]
    if not paths:
        return f"refused ({found.answer.status})"
    last = paths[-1]
    road = "LLM API" if last.path == CHAT_PATH else f"Cody's stream, {_version(last.query)}"
    if found.answer.status != 200:
        return f"{road}; {found.answer.status}"
    if not found.whole:
        return f"{road}; error"
    changed = [note for note in _told(found) if not note.startswith(("model:", "stream:", "endpoint:"))]
    return "; ".join([road, *changed])


def _told(found: Seen) -> list[str]:
    """Gives what the answer says was changed, in its head or, where that had to leave early, at its end."""
    prefix = ": x-router-adapted: "
    late = (
        [event.removeprefix(prefix) for event in found.answer.events if event.startswith(prefix)]
        if found.stream
        else []
    )
    return sorted({*words(found.answer), *(note for line in late for note in line.split(", "))})


def _version(query: str) -> str:
    fields = dict(pair.split("=", 1) for pair in query.split("&") if pair)
    return f"api-version {fields['api-version']}" if "api-version" in fields else "no api-version"


async def matrix() -> dict[tuple[str, str], tuple[str, str]]:
    """Runs every cell, streamed and whole."""
    return {
        (profile, case): (await cell(profile, case, stream=True), await cell(profile, case, stream=False))
        for profile in PROFILES
        for case in CASES
    }


def page(cells: Mapping[tuple[str, str], tuple[str, str]]) -> str:
    """Writes the documentation."""
    lines = [_HEAD]
    for case, check in CASES.items():
        lines += [
            f"## {case.capitalize()}",
            "",
            (check.__doc__ or "").strip(),
            "",
            "| Sourcegraph | streamed | whole |",
            "|---|---|---|",
        ]
        lines += [f"| {profile} | {cells[profile, case][0]} | {cells[profile, case][1]} |" for profile in PROFILES]
        lines.append("")
    return "\n".join(lines)


_HEAD = """\
# Compatibility

What a request becomes, by version of Sourcegraph. Written from runs of the router in front of the simulator of each version
(`make compatibility`); the words after the endpoint are those of `x-router-adapted` ([adaptations](adaptations.md)), without the ones about
the model's name and about streaming. The simulator follows what is publicly known of each version; no live instance was asked.

* **5.4**: before the LLM API. **6.5-starter**, **6.8-gated**: the LLM API is closed by the plan or the licence (404, 403).
  **7.x-unknown**: it is gone. **dotcom-dead**: sourcegraph.com, where Cody was switched off.
* A plain chat goes to the LLM API where it is open; tools, images and reasoning go to Cody's stream where that carries them better.
"""


def main() -> None:
    """Writes the page to the file that the command line names."""
    found: dict[tuple[str, str], tuple[str, str]] = {}

    async def every() -> None:
        found.update(await matrix())

    run(every(), patience=300)
    Path(sys.argv[1]).write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
