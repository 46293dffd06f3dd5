"""The LLM API as an upstream (contract §2.1): its dialect."""

import msgspec
import pytest

from cody_oai_router.conversation import Prompt, TextPart, Turn
from cody_oai_router.dialects import llm_chat
from cody_oai_router.relay import Upstream
from cody_oai_router.upstreams import llm_api
from cody_oai_router.upstreams.llm_api import Reader, read_reply, write_prompt

HI = Prompt(model="m", turns=(Turn(role="user", parts=(TextPart(msgspec.Raw(b'"hi"')),)),))


def test_what_it_speaks() -> None:
    upstream: Upstream = llm_api
    assert (upstream.Reader, upstream.read_reply) == (Reader, read_reply) == (llm_chat.Reader, llm_chat.read_reply)


@pytest.mark.parametrize("version", [0, 9])
@pytest.mark.parametrize("stream", [True, False])
def test_there_is_only_one_version_of_it(version: int, stream: bool) -> None:
    body = b"".join(write_prompt(HI, "a::b::c", max_tokens=7, stream=stream, version=version)).decode()
    asked = ',"stream":true' if stream else ""
    assert body == f'{{"model":"a::b::c","messages":[{{"role":"user","content":"hi"}}],"max_tokens":7{asked}}}'
