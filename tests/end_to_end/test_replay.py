"""Real answers of Sourcegraph, replayed by a server over real sockets: the client gets what was said, to the letter, however it was cut."""

import pytest

from cody_oai_router.simulator import Close, Fault, Send
from end_to_end.harness import CODY_PATH, ask, both, run
from test_recordings import FILE, STREAMS, text_of

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the recordings are not beside the project")

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
# Bytes a write: one at a time only where that is a few thousand writes.
SIZES = (1, 61, 4096)
FEW = 3000


def played(body: bytes, size: int) -> Fault:
    """Gives an answer in chunks of that many bytes, each a write of its own."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return Fault((Send(HEAD), *map(Send, chunks), Send(b"0\r\n\r\n"), Close()))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_every_recorded_answer_comes_through(size: int, stream: bool) -> None:
    async def scenario() -> None:
        async with both(variables={"SOURCEGRAPH_API": "cody"}) as (simulator, running):
            for row in STREAMS:
                body = row["response_body"].encode()
                if size == 1 and len(body) > FEW:
                    continue
                simulator.queue(played(body, size), CODY_PATH)
                answer = await ask(running, stream=stream)
                if stream:
                    answer.assert_whole()
                assert (answer.text if stream else answer.json["choices"][0]["message"]["content"]) == text_of(row)

    run(scenario(), patience=120)
