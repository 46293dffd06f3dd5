"""The simulator's own routes, under a path that no Sourcegraph has, for tests that run it as a process.

| route | |
|---|---|
| `GET /.simulator/received?at_least=N` | what was received, as JSON; waits until there are N |
| `GET /.simulator/received/I?until=answered` (or `disconnected`) | request I; waits for that |
| `POST /.simulator/script` | queues `{"fault": [steps]}` or `{"reply": {...}}` with `path` and `times` |
| `POST /.simulator/release` | `{"name": N}`: lets an answer that is held under this name go on |
| `POST /.simulator/held` | `{"name": N}`: waits until an answer is held under this name |
| `POST /.simulator/reset` | forgets everything |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from cody_oai_router.simulator.model import Attribution, Call, Fail, Part, Reply, Text, Thought
from cody_oai_router.simulator.steps import Hold, Wait, read_fault
from cody_oai_router.simulator.wire import Answer, Received, json_answer, text_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cody_oai_router.simulator.simulator import Simulator

PREFIX = "/.simulator/"


async def respond(request: Received, simulator: Simulator) -> Answer:
    """Answers one control request; whatever cannot be understood is a 400 that says why."""
    name, _, rest = request.path.removeprefix(PREFIX).partition("/")
    try:
        return await _ROUTES[request.method, name](request, simulator, rest)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        return text_answer(400, f"{type(error).__name__}: {error}")


def read_reply(value: Mapping[str, Any]) -> Reply:
    """Reads `{"parts": [...], "finish": WORD, "lost_deltas": true}`.

    The parts are `{"text": T}`, `{"think": T}`, `{"call": NAME, "arguments": A}`, `{"attribution": T}`,
    `{"fail": T, "status": S}`, `{"wait": SECONDS}` and `{"hold": NAME}`.
    """
    parts = tuple(_read_part(part) for part in value["parts"])
    return Reply(parts, value.get("finish"), bool(value.get("lost_deltas")))


def _read_part(part: Mapping[str, Any]) -> Part:
    match part:
        case {"text": str(text)}:
            return Text(text)
        case {"think": str(text)}:
            return Thought(text)
        case {"attribution": str(message)}:
            return Attribution(message)
        case {"call": str(name), "arguments": str(arguments)}:
            return Call(name, arguments)
        case {"fail": str(message)}:
            return Fail(message, part.get("status"))
        case {"wait": int() | float() as seconds}:
            return Wait(seconds)
        case {"hold": str(name)}:
            return Hold(name)
    raise ValueError(f"not a part of a reply: {part!r}")


def _write_received(index: int, request: Received) -> dict[str, Any]:
    return {
        "index": index,
        "connection": request.connection,
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": request.body.decode("utf-8", "replace"),
        "json": request.json,
        "answered": request.answered.is_set(),
        "disconnected": request.disconnected.is_set(),
    }


async def _received(request: Received, simulator: Simulator, rest: str) -> Answer:
    query = parse_qs(request.query)
    if rest:
        one = simulator.received[int(rest)]
        if "until" in query:
            await {"answered": one.answered, "disconnected": one.disconnected}[query["until"][0]].wait()
        return json_answer(_write_received(int(rest), one))
    await simulator.wait_for(int(query.get("at_least", ["0"])[0]))
    return json_answer([_write_received(index, one) for index, one in enumerate(simulator.received)])


async def _script(request: Received, simulator: Simulator, _rest: str) -> Answer:
    wanted = request.json
    item = read_reply(wanted["reply"]) if "reply" in wanted else read_fault(wanted["fault"])
    options = {key: wanted[key] for key in ("path", "times") if key in wanted}
    simulator.queue(item, **options)
    return json_answer({"queued": options.get("times", 1)})


async def _release(request: Received, simulator: Simulator, _rest: str) -> Answer:
    simulator.release(request.json["name"])
    return json_answer({"released": request.json["name"]})


async def _held(request: Received, simulator: Simulator, _rest: str) -> Answer:
    await simulator.held(request.json["name"])
    return json_answer({"held": request.json["name"]})


async def _reset(_request: Received, simulator: Simulator, _rest: str) -> Answer:
    simulator.reset()
    return json_answer({"reset": True})


_ROUTES = {
    ("GET", "received"): _received,
    ("POST", "script"): _script,
    ("POST", "release"): _release,
    ("POST", "held"): _held,
    ("POST", "reset"): _reset,
}
