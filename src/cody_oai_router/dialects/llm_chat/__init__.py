"""The language of Sourcegraph's LLM API (`/.api/llm/chat/completions`), the upstream half.

It looks like OpenAI's, but it is a dialect of its own: contract §2 says what it takes, §3 what it gives.
"""

from cody_oai_router.dialects.llm_chat.reading import Reader, read_reply
from cody_oai_router.dialects.llm_chat.writing import write_prompt

__all__ = ["Reader", "read_reply", "write_prompt"]
