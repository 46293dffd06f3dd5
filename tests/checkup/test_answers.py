"""What the router answers to three questions, judged; the answers are on the wire as OpenAI has them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cody_oai_router.checkup import answers
from cody_oai_router.checkup.answers import Heard
from cody_oai_router.checkup.check import Status
from cody_oai_router.conversation import Prompt
from cody_oai_router.dialects import openai_chat

MODEL = "a::b::gpt"
DONE = b"data: [DONE]\n\n"


def heard(body: bytes, *, status: int = 200, adapted: str = "", at: float = 0.5) -> Heard:
    return Heard(status, {"x-router-model": MODEL, "x-router-adapted": adapted}, [(at, body)])


def whole(text: str | None, *called: str, adapted: str = "") -> Heard:
    calls = [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in called]
    message = {"role": "assistant", "content": text} | ({"tool_calls": calls} if calls else {})
    return heard(json.dumps({"id": "x", "choices": [{"index": 0, "message": message}]}).encode(), adapted=adapted)


def error(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x", "param": None, "code": code}}).encode()


def chunk(**delta: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode()


def streamed(*texts: str, together: bool, at: float = 0.5, adapted: str = "", end: bool = True) -> Heard:
    parts = [chunk(role="assistant", content=""), *(chunk(content=text) for text in texts)]
    parts += [chunk(), b'data: {"choices":[],"usage":{}}\n\n', b": comment\n\n", DONE] if end else []
    pieces = [(at, b"".join(parts))] if together else [(at * number, part) for number, part in enumerate(parts)]
    return Heard(200, {"x-router-adapted": adapted}, pieces)


@pytest.mark.parametrize("question", [answers.plain_question, answers.streamed_question, answers.tool_question])
def test_questions_are_small_and_ones_that_the_router_takes(question: Callable[[str], answers.Question]) -> None:
    asked = question(MODEL)
    prompt = openai_chat.read_prompt(json.dumps(asked).encode())
    assert isinstance(prompt, Prompt)
    assert prompt.model == MODEL
    assert prompt.max_tokens is not None
    assert prompt.max_tokens <= 120
    assert prompt.adapted == ()


@pytest.mark.parametrize(
    ("text", "adapted", "detail"),
    [
        (" Hi\n there", "", '"Hi there" from a::b::gpt by the LLM API in 0.5 s'),
        ("Hi", "endpoint:cody, stream:folded", '"Hi" from a::b::gpt by Cody\'s stream in 0.5 s'),
        (None, "", "an answer without words from a::b::gpt by the LLM API in 0.5 s"),
    ],
)
def test_a_plain_answer(text: str | None, adapted: str, detail: str) -> None:
    check = answers.judge_answer(whole(text, adapted=adapted), MODEL)
    assert (check.name, check.status, check.detail, check.advice) == ("answer", "ok", detail, "")


def test_an_answer_that_is_refused() -> None:
    check = answers.judge_answer(heard(error("Too much."), status=429), MODEL)
    assert (check.status, check.detail, check.advice) == ("failed", "Too much.", "")
    check = answers.judge_answer(heard(error("unsupported", "model_not_found"), status=400), MODEL)
    assert check.advice.startswith(
        f"Asked for {MODEL}. Set DEFAULT_MODEL to the full reference (provider::version::model)"
    )


def test_what_was_seen_before_explains_an_answer_that_does_not_come() -> None:
    for body in (error("Not here.", "upstream_gate"), b""):
        check = answers.judge_answer(heard(body, status=404), MODEL, "Is this the place?")
        assert (check.status, check.advice) == ("failed", "Is this the place?")
    check = answers.judge_answer(
        heard(error("unsupported", "model_not_found"), status=400), MODEL, "Is this the place?"
    )
    assert check.advice.startswith("Asked for")
    assert answers.judge_answer(whole("Hi"), MODEL, "Is this the place?").advice == ""


def test_chat_works_where_tools_are_refused() -> None:
    check = answers.judge_tools(heard(error("tools.0: bad"), status=400), MODEL)
    assert (check.status, check.detail) == ("warning", "tools.0: bad")
    assert check.advice.startswith("Chat works without them.")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"choices":[]}', b"\xff"])
def test_what_is_no_answer(body: bytes) -> None:
    check = answers.judge_answer(heard(body), MODEL)
    assert (check.status, check.detail) == ("failed", f"the answer broke off (HTTP 200, {len(body)} bytes)")


@pytest.mark.parametrize(
    ("answer", "status", "detail"),
    [
        (streamed("a", "b", "c", together=False), "ok", "piece by piece (3 in 3 reads, 3.5 s)"),
        (
            streamed("a", "b", "c", "d", together=True),
            "ok",
            "it came, too quickly to see whether pieces are held back (4 in one read)",
        ),
        (streamed("a", "b", "c", "d", together=True, at=4.0), "warning", "all 4 pieces came at once, after 4.0 s"),
        (
            streamed("a", "b", "c", "d", together=True, at=4.0, adapted="stream:played"),
            "ok",
            "this model or instance gives answers whole; they are passed on as streams of one piece",
        ),
        (streamed(together=True, at=4.0), "ok", "it came to its proper end, without words"),
        (streamed("a", together=False, end=False), "failed", None),
    ],
)
def test_streams(answer: Heard, status: Status, detail: str | None) -> None:
    check = answers.judge_stream(answer, MODEL)
    assert (check.name, check.status) == ("streaming", status)
    assert check.detail == (detail or f"the answer broke off (HTTP 200, {len(answer.body)} bytes)")
    assert bool(check.advice) == (status == "warning")


def test_a_stream_that_ends_in_an_error() -> None:
    begun = streamed("a", together=True, end=False)
    fault = b"data: " + error("It broke.") + b"\n\n"
    check = answers.judge_stream(heard(begun.body + fault), MODEL)
    assert (check.status, check.detail) == ("failed", "It broke.")


@pytest.mark.parametrize(
    ("called", "adapted", "status", "words"),
    [
        (("get_weather",), "", "ok", "the model called get_weather by the LLM API (native)"),
        (
            ("get_weather",),
            "endpoint:cody, tools:emulated",
            "ok",
            "by Cody's stream (emulated: described in the prompt",
        ),
        (("other",), "", "warning", "the model answered in words"),
        ((), "tools:emulated", "warning", "the model answered in words"),
    ],
)
def test_tools(called: tuple[str, ...], adapted: str, status: Status, words: str) -> None:
    check = answers.judge_tools(whole("Sunny.", *called, adapted=adapted), MODEL)
    assert (check.name, check.status) == ("tools", status)
    assert words in check.detail


def test_tools_that_are_refused() -> None:
    assert answers.judge_tools(heard(error("No."), status=400), MODEL).detail == "No."
