"""Faults survive the way through JSON, and nothing else is taken for one."""

import json
from typing import Any

import pytest

from cody_oai_router.simulator.steps import Close, Fault, Hold, Ordinary, Reset, Send, Wait, read_fault, write_fault


def test_every_step_survives_json() -> None:
    ordinary = Ordinary("eof", (("Retry-After", "1"),), 3, False, 1, (4, 9), "\r\n", "data:", True)
    fault = Fault((Send(b"\x00\xff"), Wait(0.5), Hold("gate"), ordinary, Close(), Reset()))
    assert read_fault(json.loads(json.dumps(write_fault(fault)))) == fault


def test_bytes_may_be_written_as_text() -> None:
    assert read_fault([{"send": "HTTP/1.1 200 é\r\n"}]) == Fault((Send("HTTP/1.1 200 é\r\n".encode()),))


@pytest.mark.parametrize(
    "step",
    [
        {"sing": 1},
        {},
        {"send": "a", "wait": 1},
        {"wait": "long"},
        {"send_base64": "!"},
        {"ordinary": {"speed": 1}},
        "close",
    ],
)
def test_anything_else_is_refused_by_name(step: Any) -> None:
    with pytest.raises(ValueError, match=r"not a step: .*; the steps are send, send_base64, wait"):
        read_fault([step])
