"""The check itself: a check that finds nothing wrong with anything proves nothing."""

from typing import Any

import pytest

from openai_schema import violations

GOOD: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
}
CHOICE: dict[str, Any] = GOOD["choices"][0]


@pytest.mark.parametrize(
    ("change", "start"),
    [
        ({}, None),
        ({"id": 5}, "$.id: 5 is no string"),
        ({"created": True}, "$.created: True is no "),
        ({"object": "object"}, "$.object: 'object' is not one of"),
        ({"choices": {}}, "$.choices: {} is no array"),
        ({"choices": [{}]}, "$.choices[0]: finish_reason is missing"),
        ({"choices": [CHOICE | {"finish_reason": ""}]}, "$.choices[0].finish_reason: '' is not one of"),
        ({"choices": [CHOICE | {"message": {"role": "user"}}]}, "$.choices[0].message: content is missing"),
        (
            {"choices": [CHOICE | {"message": CHOICE["message"] | {"tool_calls": [{"id": 1}]}}]},
            "$.choices[0].message.tool_calls",
        ),
    ],
)
def test_what_is_found(change: dict[str, Any], start: str | None) -> None:
    found = violations("CreateChatCompletionResponse", GOOD | change)
    assert found == [] if start is None else found[0].startswith(start)
