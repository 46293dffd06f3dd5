"""What the server does on a connection, one step at a time, as values that also travel as JSON.

An ordinary answer and a fault are played by the same player: a fault is a list of steps that says byte for byte what
goes out, and `Ordinary` stands for "what would have been answered anyway", whole or mangled.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

FramingName = Literal["chunked", "length", "eof"]


@dataclass(frozen=True, slots=True)
class Send:
    """Writes bytes as they are."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Keeps silent for a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Keeps silent until the test releases this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the connection with a FIN, whatever was promised before."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Closes the connection with an RST (SO_LINGER of 0 seconds)."""


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Gives the ordinary answer, changed on the wire as the fields say.

    `pieces` stops after that many body pieces (events, in a stream) and leaves out the end of the body; `end=False`
    leaves out only the end; `omitted` leaves out that many of the last pieces and ends as if nothing were missing.
    `cut_every` and `cut_at` split the written bytes (head included) into separate writes.
    `newline` and `data_prefix` rewrite the lines of a stream; `gzip` compresses although nobody asked.
    """

    framing: FramingName | None = None
    headers: tuple[tuple[str, str], ...] = ()
    pieces: int | None = None
    end: bool = True
    cut_every: int | None = None
    cut_at: tuple[int, ...] = ()
    newline: str = "\n"
    data_prefix: str = "data: "
    gzip: bool = False
    omitted: int = 0


Step = Send | Wait | Hold | Close | Reset | Ordinary


@dataclass(frozen=True, slots=True)
class Fault:
    """Steps that one request gets in place of its ordinary answer; the connection is kept unless they close it."""

    steps: tuple[Step, ...]


def write_fault(fault: Fault) -> list[dict[str, Any]]:
    """Returns a fault as JSON values: a list of objects, each with the step's name as its only key."""
    return [_write_step(step) for step in fault.steps]


def read_fault(steps: list[Mapping[str, Any]]) -> Fault:
    """Reads what `write_fault` wrote, and bytes also from `{"send": "text"}`; raises `ValueError` on anything else."""
    return Fault(tuple(_read_step(step) for step in steps))


def _write_step(step: Step) -> dict[str, Any]:
    match step:
        case Send(data):
            return {"send_base64": base64.b64encode(data).decode()}
        case Wait(seconds):
            return {"wait": seconds}
        case Hold(name):
            return {"hold": name}
        case Close():
            return {"close": True}
        case Reset():
            return {"reset": True}
        case Ordinary():
            return {"ordinary": {field: getattr(step, field) for field in Ordinary.__dataclass_fields__}}


def _read_ordinary(fields: Mapping[str, Any]) -> Ordinary:
    plain = {name: value for name, value in fields.items() if name not in {"headers", "cut_at"}}
    headers = tuple((name, value) for name, value in fields.get("headers", ()))
    return Ordinary(**plain, headers=headers, cut_at=tuple(fields.get("cut_at", ())))


_STEPS: Mapping[str, Callable[[Any], Step]] = {
    "send": lambda text: Send(text.encode()),
    "send_base64": lambda text: Send(base64.b64decode(text, validate=True)),
    "wait": lambda seconds: Wait(float(seconds)),
    "hold": lambda name: Hold(str(name)),
    "close": lambda _: Close(),
    "reset": lambda _: Reset(),
    "ordinary": _read_ordinary,
}


def _read_step(step: Mapping[str, Any]) -> Step:
    try:
        ((name, value),) = step.items()
        return _STEPS[name](value)
    except (AttributeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ValueError(f"not a step: {step!r}; the steps are {', '.join(_STEPS)}") from error
