"""The simulator as a process: what it prints, which options it takes, how it ends."""

import http.client
import json
import os
import signal
import subprocess
import sys

import pytest

FILTERS = "{ site { codyContextFilters(version: V1) { raw } } }"
COMMAND = [sys.executable, "-m", "cody_oai_router.simulator"]


def start(*options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def port_of(simulator: "subprocess.Popen[str]") -> int:
    assert simulator.stdout is not None
    return int(simulator.stdout.readline().removeprefix("listening on http://127.0.0.1:"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly(number: signal.Signals) -> None:
    with start() as simulator:
        assert port_of(simulator) > 0
        simulator.send_signal(number)
        assert simulator.communicate(timeout=20) == ("", "")
        assert simulator.returncode == 0


def test_options() -> None:
    options = "--profile 6.8-gated --gate 404 --token t --no-cody-enabled --pace 0.1 --demo --parallel no-id"
    more = ("--listing", "null", "--context-filters", "--catalogue", "57", "--alternation", "--no-prefill")
    with start(*options.split(), *more, "--host", "127.0.0.1") as simulator:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(simulator), timeout=20)
        headers = {"Authorization": "Bearer t", "X-Requested-With": "a 1"}
        connection.request("GET", "/.api/llm/models", headers=headers)
        gate = connection.getresponse()
        assert (gate.status, gate.read()) == (404, b"404 page not found\n")
        connection.request("GET", "/.api/client-config", headers=headers)
        assert json.loads(connection.getresponse().read())["codyEnabled"] is False
        connection.request("POST", "/.api/graphql", json.dumps({"query": FILTERS}), headers)
        assert json.loads(connection.getresponse().read())["data"]["site"]["codyContextFilters"] is not None
        connection.close()
        simulator.terminate()
        assert simulator.communicate(timeout=20)[1] == ""


def test_a_profile_that_does_not_exist() -> None:
    done = subprocess.run([*COMMAND, "--profile", "4"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "choose from" in done.stderr
