"""OpenAI's chat completions, the client half: what `POST /v1/chat/completions` and `GET /v1/models` say and hear."""

from cody_oai_router.dialects.openai_chat.answer import (
    DONE,
    Writer,
    write_fault,
    write_model,
    write_models,
    write_replies,
)
from cody_oai_router.dialects.openai_chat.request import read_prompt

__all__ = ["DONE", "Writer", "read_prompt", "write_fault", "write_model", "write_models", "write_replies"]
