"""Judges the form of answers: by OpenAI's own description of its API, and by the types of its SDK in strict mode."""

import json
from typing import Any

import openai.types
import openai.types.chat

from clients.sdk import strict_chunks, strictly
from end_to_end.matrix import Seen
from openai_schema import DESCRIPTION, violations


def conforms(found: Seen) -> None:
    """Fails where an answer, one of its chunks, or its error is not of OpenAI's form.

    The description is not part of the project: where there is no copy of it, the types of the SDK judge alone.
    """
    if found.answer.status != 200:
        _is(found.answer.json, "ErrorResponse")
        strictly(openai.types.ErrorObject, json.dumps(found.answer.json["error"]))
    elif not found.stream:
        _is(found.answer.json, "CreateChatCompletionResponse")
        strictly(openai.types.chat.ChatCompletion, found.answer.body)
    else:
        _stream_conforms(found)


def _stream_conforms(found: Seen) -> None:
    if found.whole:
        strict_chunks(found.answer.body.decode())
    for chunk in found.answer.chunks:
        if "error" in chunk:
            assert chunk is found.answer.chunks[-1]
            _is(chunk, "ErrorResponse")
            strictly(openai.types.ErrorObject, json.dumps(chunk["error"]))
        else:
            _is(chunk, "CreateChatCompletionStreamResponse")
            strictly(openai.types.chat.ChatCompletionChunk, json.dumps(chunk))


def _is(value: Any, schema: str) -> None:
    found = violations(schema, value) if DESCRIPTION.exists() else []
    assert found == [], found
