"""Lessons: which words of a refusal teach what, also inside a wrapped error."""

import pytest

from cody_oai_router.faults import Fault
from cody_oai_router.lessons import OF_INSTANCE, Lesson, learn
from cody_oai_router.sourcegraph.refusals import read_fault

TEXTS: list[tuple[str, Lesson]] = [
    ("found consecutive messages with the same speaker", "merge"),
    ("consistent speaker role is not allowed", "merge"),
    (
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        "end-with-user",
    ),
    ("message content cannot be empty", "fill-blank"),
    ("messages: text content blocks must be non-empty", "fill-blank"),
    ("messages: first message must use the 'user' role", "begin-with-user"),
    ("stream is not supported", "whole"),
    ("max_tokens should be greater than thinking.budget_tokens", "above-thinking-budget"),
    ("`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our docs", "above-thinking-budget"),
    ("max_tokens (8192) must exceed the thinking budget (16000)", "above-thinking-budget"),
    ("thinking.budget_tokens: must be less than 'max_tokens'", "above-thinking-budget"),
]
WRAPPER = "failed to forward request to apiHandler: handler returned unexpected status code: got 400 want 200, "


@pytest.mark.parametrize(("text", "lesson"), TEXTS)
def test_a_refusal_teaches(text: str, lesson: Lesson) -> None:
    assert learn(Fault(kind="bad_request", message="", said=text)) == lesson
    assert learn(Fault(kind="bad_request", message="", said=text.upper())) == lesson


@pytest.mark.parametrize(("text", "lesson"), TEXTS)
@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_refusal_teaches_in_every_wrapping(text: str, lesson: Lesson, status: int) -> None:
    shapes = [text, f'{{"message":"{text}","type":"x"}}', f"{WRAPPER}response body: {text}"]
    assert {learn(read_fault(status, {}, shape.encode(), 0)) for shape in shapes} == {lesson}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stream_options is not supported",
        "n must be nil or 1",
        "message is empty",
        "thinking.budget_tokens: Input should be greater than or equal to 1024",
        "max_tokens: Field required",
    ],
)
def test_other_words_teach_nothing(text: str) -> None:
    assert learn(Fault(kind="bad_request", message="message content cannot be empty", said=text)) is None


def test_lessons_about_the_whole_instance() -> None:
    assert {"whole", "plain-parts"} == OF_INSTANCE
