"""The LLM API: `POST {base}/.api/llm/chat/completions` (Format A in the contract)."""

from cody_oai_router.conversation import Prompt
from cody_oai_router.dialects import llm_chat
from cody_oai_router.dialects.llm_chat import Reader, read_reply

__all__ = ["Reader", "read_reply", "write_prompt"]


def write_prompt(prompt: Prompt, ref: str, *, max_tokens: int, stream: bool, version: int) -> list[bytes]:
    """Writes the body of the request; there is only one version of it."""
    del version
    return llm_chat.write_prompt(prompt, ref, max_tokens=max_tokens, stream=stream)
