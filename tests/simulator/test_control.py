"""The control routes, and the simulator as a process that is driven through them."""

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cody_oai_router.simulator import DEMO_TOKEN, faults
from cody_oai_router.simulator.control import read_reply
from cody_oai_router.simulator.model import Attribution, Call, Fail, Reply, Text, Thought
from cody_oai_router.simulator.steps import Hold, Wait, write_fault

CHAT = "/.api/llm/chat/completions"
GPT = "openai::2024-02-01::gpt-4o"


@pytest.fixture(scope="module")
def process() -> Iterator[int]:
    """A simulator of its own process, and the port it listens on."""
    command = [sys.executable, "-m", "cody_oai_router.simulator", "--profile", "6.12", "--seed", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        line = simulator.stdout.readline()
        yield int(line.removeprefix("listening on http://127.0.0.1:"))
        simulator.terminate()
        _, errors = simulator.communicate(timeout=20)
        assert errors == ""
        assert os.name == "nt" or simulator.returncode == 0


@pytest.fixture
def port(process: int) -> int:
    assert call(process, "POST", "/.simulator/reset")[0] == 200
    return process


def call(port: int, method: str, path: str, body: Any = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"Authorization": f"token {DEMO_TOKEN}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def chat(port: int, prompt: str, *, stream: bool = False) -> tuple[int, str]:
    body = {"model": GPT, "max_tokens": 99, "stream": stream, "messages": [{"role": "user", "content": prompt}]}
    return call(port, "POST", CHAT, body)


def test_what_was_received_is_told(port: int) -> None:
    chat(port, "hi")
    (told,) = json.loads(call(port, "GET", "/.simulator/received?at_least=1")[1])
    assert (told["index"], told["method"], told["target"]) == (0, "POST", CHAT)
    assert ["Authorization", f"token {DEMO_TOKEN}"] in told["headers"]
    assert told["json"] == json.loads(told["body"])
    assert (told["answered"], told["disconnected"]) == (True, False)
    assert json.loads(call(port, "GET", "/.simulator/received/0?until=answered")[1]) == told


def test_a_fault_is_queued(port: int) -> None:
    fault = write_fault(faults.problem(429, "slow down"))
    assert call(port, "POST", "/.simulator/script", {"fault": fault, "times": 2}) == (200, '{"queued":2}')
    assert [chat(port, "hi")[0] for _ in range(3)] == [429, 429, 200]


def test_a_fault_is_queued_for_a_path(port: int) -> None:
    fault = write_fault(faults.empty())
    call(port, "POST", "/.simulator/script", {"fault": fault, "path": "/healthz"})
    assert chat(port, "hi")[0] == 200
    assert [call(port, "GET", "/healthz")[1] for _ in range(2)] == ["", "6.12.5040"]


def test_a_reply_is_queued(port: int) -> None:
    call(port, "POST", "/.simulator/script", {"reply": {"parts": [{"text": "chosen"}], "finish": "length"}})
    choice = json.loads(chat(port, "hi")[1])["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("chosen", "length")


def test_a_held_answer_is_released(port: int) -> None:
    got: list[tuple[int, str]] = []
    asking = threading.Thread(target=lambda: got.append(chat(port, "[[hold:gate]][[text:done]]", stream=True)))
    asking.start()
    assert call(port, "POST", "/.simulator/held", {"name": "gate"})[0] == 200
    assert json.loads(call(port, "GET", "/.simulator/received/0")[1])["answered"] is False
    assert call(port, "POST", "/.simulator/release", {"name": "gate"})[0] == 200
    asking.join()
    assert got[0][0] == 200
    assert "done" in got[0][1]


def test_a_client_that_leaves_is_told(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    messages = [{"role": "user", "content": "[[hold:gate]]"}]
    body = json.dumps({"model": GPT, "max_tokens": 99, "messages": messages})
    connection.request("POST", CHAT, body, {"Authorization": f"token {DEMO_TOKEN}"})
    call(port, "POST", "/.simulator/held", {"name": "gate"})
    connection.close()
    told = json.loads(call(port, "GET", "/.simulator/received/0?until=disconnected")[1])
    assert (told["answered"], told["disconnected"]) == (False, True)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/.simulator/nothing", None),
        ("GET", "/.simulator/received/5", None),
        ("POST", "/.simulator/script", {}),
        ("POST", "/.simulator/script", {"fault": [{"sing": 1}]}),
        ("POST", "/.simulator/script", {"reply": {"parts": [{"sing": 1}]}}),
        ("POST", "/.simulator/release", None),
    ],
)
def test_what_is_not_understood_is_a_400(port: int, method: str, path: str, body: Any) -> None:
    status, text = call(port, method, path, body)
    assert status == 400
    assert "Error: " in text


def test_every_part_of_a_reply_can_be_written() -> None:
    parts = [
        {"text": "a"},
        {"think": "b"},
        {"attribution": "c"},
        {"call": "f", "arguments": "{}"},
        {"fail": "no"},
        {"fail": "no", "status": 429},
        {"wait": 1},
        {"hold": "h"},
    ]
    expected = (
        Text("a"),
        Thought("b"),
        Attribution("c"),
        Call("f", "{}"),
        Fail("no"),
        Fail("no", 429),
        Wait(1),
        Hold("h"),
    )
    assert read_reply({"parts": parts}) == Reply(expected)
    assert read_reply({"parts": [], "finish": "x", "lost_deltas": True}) == Reply((), "x", lost_deltas=True)
