"""What an instance refuses in the contract's words is applied, tried again at once, remembered, and reported."""

from collections.abc import Callable
from typing import Any

import pytest

from cody_oai_router.simulator import Fault, faults
from end_to_end.harness import GPT, SONNET, ask, both, chats, run, words

GEMINI = "google::v1::gemini-2.5-pro"
A, B, C = ({"role": role, "content": text} for role, text in (("user", "A"), ("user", "B"), ("assistant", "C")))


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


Row = tuple[str, str, list[dict[str, Any]], list[dict[str, Any]], list[str]]

# What is refused, what is sent, what is sent after the lesson, what the client is told.
LESSONS: list[Row] = [
    (
        "merge",
        "found consecutive messages with the same speaker",
        [A, B, C, user([{"type": "text", "text": "D"}]), user("E")],
        [user("A\n\nB"), C, user([{"type": "text", "text": "D"}, {"type": "text", "text": "\n\nE"}])],
        ["messages:merged"],
    ),
    (
        "merge-google",
        "consistent speaker role is not allowed",
        [{"role": "system", "content": "S"}, A],
        [user("<SYSTEM_PROMPT>S</SYSTEM_PROMPT>\n\nA")],
        ["messages:merged", "system:wrapped"],
    ),
    (
        "end",
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        [A, C],
        [A, C, user("Continue.")],
        ["messages:user-turn-added"],
    ),
    (
        "blank",
        "message content cannot be empty",
        [user(" \n"), C, user([{"type": "text", "text": " "}, {"type": "text", "text": "D"}])],
        [user("(empty)"), C, user([{"type": "text", "text": "D"}])],
        ["content:empty-dropped", "content:filled"],
    ),
    (
        "blank-anthropic",
        "messages: text content blocks must be non-empty",
        [user([{"type": "text", "text": "\n"}, {"type": "text", "text": "D"}])],
        [user([{"type": "text", "text": "D"}])],
        ["content:empty-dropped"],
    ),
    (
        "begin",
        "messages: first message must use the 'user' role",
        [C, A],
        [user("(The conversation begins.)"), C, A],
        ["messages:user-turn-first"],
    ),
]

WRAPPERS: dict[str, Callable[[str], Fault]] = {
    "json": lambda text: faults.problem(400, text),
    "json-500": lambda text: faults.problem(500, text),
    "text-503": lambda text: faults.status(503, text),
    "wrapped-500": lambda text: faults.wrapped_status(400, text),
    "in-a-200": lambda text: faults.error_first(
        faults.DEADLINE_LINE.replace(b"context deadline exceeded", text.encode())
    ),
    "provider-json": lambda text: faults.problem(
        500, f'Gateway: unexpected status code 400: {{"error":{{"message":"{text}"}}}}'
    ),
}


@pytest.mark.parametrize("row", LESSONS, ids=[row[0] for row in LESSONS])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_refusal_is_applied_at_once_and_remembered(wrapper: str, row: Row) -> None:
    _, text, given, sent, told = row

    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(WRAPPERS[wrapper](text))
            first = await ask(running, messages=given, model=GPT, stream=True)
            first.assert_whole()
            assert [received.json["messages"] for received in chats(simulator)][1:] == [sent]
            assert words(first) == told
            again = await ask(running, messages=given, model=GPT)
            assert again.status == 200
            assert len(chats(simulator)) == 3
            assert chats(simulator)[2].json["messages"] == sent
            assert words(again) == sorted([*told, "stream:folded"])

    run(scenario())


def test_a_lesson_is_about_one_model() -> None:
    async def scenario() -> None:
        async with both(alternation=[SONNET], prefill=True) as (simulator, running):
            assert words(await ask(running, messages=[A, B], model=SONNET, stream=True)) == ["messages:merged"]
            assert words(await ask(running, messages=[A, B], model=GPT, stream=True)) == []
            assert [len(received.json["messages"]) for received in chats(simulator)] == [2, 1, 2]

    run(scenario())


@pytest.mark.parametrize(
    ("profile", "model", "options"),
    [
        ("5.6", "anthropic::2023-06-01::claude-3.5-sonnet", {}),
        ("5.6", "google::v1::gemini-1.5-pro-002", {}),
        ("6.1", SONNET, {"alternation": True}),
        ("6.12", GEMINI, {"alternation": True}),
    ],
)
def test_instances_that_want_turns_get_turns(profile: str, model: str, options: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with both(profile, **options) as (simulator, running):
            for _ in range(2):
                answer = await ask(running, messages=[A, B], model=model)
                assert answer.status == 200
                assert "messages:merged" in words(answer)
            assert chats(simulator)[-1].json["messages"] == [user("A\n\nB")]
            counted = len(chats(simulator))
            await ask(running, messages=[A, B], model=model)
            assert len(chats(simulator)) == counted + 1

    run(scenario())


def test_two_lessons_in_one_request() -> None:
    async def scenario() -> None:
        async with both(alternation=[SONNET]) as (simulator, running):
            answer = await ask(running, messages=[A, B, C], model=SONNET, stream=True)
            answer.assert_whole()
            assert words(answer) == ["messages:merged", "messages:user-turn-added"]
            assert [received.json["messages"] for received in chats(simulator)] == [
                [A, B, C],
                [user("A\n\nB"), C],
                [user("A\n\nB"), C, user("Continue.")],
            ]

    run(scenario())


def test_a_thinking_budget_raises_max_tokens() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            for _ in range(2):
                answer = await ask(running, model="claude-opus-4-5-thinking-latest", max_tokens=100, stream=True)
                answer.assert_whole()
                assert "max_tokens:raised" in words(answer)
            assert [received.json["max_tokens"] for received in chats(simulator)] == [100, 32000, 32000]

    run(scenario())


def test_a_refusal_that_does_not_go_away_is_told_once() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(faults.problem(500, "found consecutive messages with the same speaker"), times=9)
            answer = await ask(running, messages=[A, B], stream=True)
            assert answer.status == 500
            assert "found consecutive messages" in answer.error["message"]
            assert len(chats(simulator)) == 2

    run(scenario())


def test_a_refusal_after_the_first_words_is_no_reason_to_ask_again() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            line = faults.DEADLINE_LINE.replace(b"context deadline exceeded", b"message content cannot be empty")
            simulator.queue(faults.error_after(2, line))
            error = (await ask(running, stream=True)).assert_broken()
            assert error["message"] == "Sourcegraph says: message content cannot be empty"
            assert len(chats(simulator)) == 1

    run(scenario())


def test_an_unknown_refusal_teaches_nothing() -> None:
    async def scenario() -> None:
        async with both() as (simulator, running):
            simulator.queue(faults.problem(400, "the moon is in the wrong house"))
            answer = await ask(running)
            assert answer.status == 400
            assert answer.error["message"] == "Sourcegraph says: the moon is in the wrong house"
            assert len(chats(simulator)) == 1
            assert words(await ask(running)) == ["model:resolved", "stream:folded"]

    run(scenario())
