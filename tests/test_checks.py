"""Checks: which answers are held, what each has to keep, and what comes of one that does not."""

import msgspec
import pytest

from cody_oai_router.checks import Check, check_of
from cody_oai_router.conversation import Format, Named, Prompt, Reply, TextPart, Tool, ToolCall, ToolChoice, Turn
from cody_oai_router.events import StopReason, Usage
from cody_oai_router.faults import Fault

CITY = msgspec.Raw(b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}')
QUESTION = Turn(role="user", parts=(TextPart(msgspec.Raw(b'"Where?"')),))
CALLED = Reply(calls=(ToolCall("c", "f", "{}"),), stop="tool_calls")


def wanted(schema: msgspec.Raw | None = CITY, *, strict: bool = True) -> Format:
    return Format(kind="json_schema", name="place", schema=schema, strict=strict)


def prompt(choice: ToolChoice = "auto", asked: Format | None = None) -> Prompt:
    tools = () if choice == "auto" else (Tool(name="f"), Tool(name="g"))
    return Prompt(model="m", turns=(QUESTION,), tools=tools, tool_choice=choice, format=asked)


def check(asked: Prompt) -> Check:
    found = check_of(asked)
    assert isinstance(found, Check)
    return found


def said(turns: tuple[Turn, ...]) -> list[tuple[str, str]]:
    """Gives who says what after the question."""
    texts = [
        (turn.role, [msgspec.json.decode(part.text) for part in turn.parts if isinstance(part, TextPart)])
        for turn in turns
    ]
    return [(role, "".join(text)) for role, text in texts]


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        (prompt(), False),
        (prompt("required"), True),
        (prompt("none"), False),
        (prompt(Named(("f",))), True),
        (prompt(Named(("f",), required=False)), False),
        (prompt(asked=Format(kind="json_object")), False),
        (prompt(asked=wanted(strict=False)), False),
        (prompt(asked=wanted()), True),
        (prompt("required", Format(kind="json_object")), True),
    ],
)
def test_only_what_must_be_right_is_held(asked: Prompt, held: bool) -> None:
    assert (check_of(asked) is not None) == held


def test_a_schema_that_is_none_is_refused_before_anything_is_asked() -> None:
    assert check_of(prompt(asked=wanted(msgspec.Raw(b'{"type":"text"}')))) == Fault(
        kind="bad_request",
        message=("Invalid schema for response_format 'place': In context=('type',), 'text' is not a type."),
        param="response_format",
        code="invalid_json_schema",
    )


UNWRAPPED = "response_format:unwrapped"
MENDED = "response_format:mended"


@pytest.mark.parametrize(
    ("text", "given", "notes"),
    [
        ('{"city":"Oslo"}', '{"city":"Oslo"}', ()),
        ('\n{"city":"Oslo"}\n', '{"city":"Oslo"}', ()),
        ('Here it is:\n```json\n{"city":"Oslo"}\n```\nEnjoy!', '{"city":"Oslo"}', (UNWRAPPED,)),
        ('{"city":"Os\nlo"}', '{"city":"Os\\nlo"}', (MENDED,)),
        ('{"city":"Os\nlo"} Enjoy!', '{"city":"Os\\nlo"}', (UNWRAPPED, MENDED)),
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_an_answer_that_fits_its_schema_is_given_without_what_stands_around_it(
    text: str, given: str, notes: tuple[str, ...], last: bool
) -> None:
    asked = prompt(asked=wanted())
    usage = Usage(1, 2, 3)
    reply = Reply(text=text, reasoning="Hmm.", usage=usage, adapted=("text:rewritten",))
    expected = Reply(text=given, reasoning="Hmm.", usage=usage, adapted=("text:rewritten", *notes))
    assert check(asked).judge(reply, asked, last=last) == expected


def test_an_answer_that_does_not_fit_is_asked_for_once_more_with_what_is_wrong() -> None:
    asked = prompt(asked=wanted())
    again = check(asked).judge(Reply(text='{"town":"Oslo"}'), asked, last=False)
    assert isinstance(again, Prompt)
    assert msgspec.structs.replace(again, turns=asked.turns) == asked
    assert again.turns[0] is QUESTION
    (first, answer), (second, words) = said(again.turns[1:])
    assert (first, answer, second) == ("assistant", '{"town":"Oslo"}', "user")
    assert '$: lacks "city".' in words


def test_no_json_at_all_is_asked_for_once_more_too() -> None:
    asked = prompt(asked=wanted())
    again = check(asked).judge(Reply(text="I cannot."), asked, last=False)
    assert isinstance(again, Prompt)
    assert "$: The model answered without a JSON document" in said(again.turns)[-1][1]


def test_a_second_answer_that_does_not_fit_is_an_honest_failure() -> None:
    asked = prompt(asked=wanted())
    fault = check(asked).judge(Reply(text="{}"), asked, last=True)
    assert isinstance(fault, Fault)
    assert (fault.status, fault.param, fault.code) == (422, "response_format", "output_against_schema")
    assert "'place'" in fault.message


@pytest.mark.parametrize(
    "reply",
    [
        CALLED,
        Reply(text="Let me look.", calls=CALLED.calls, stop="tool_calls"),
        Reply(text='{"ci', stop="length"),
        Reply(text="Let me th", stop="length"),
        Reply(stop="content_filter"),
    ],
)
def test_an_answer_that_owes_no_json_passes(reply: Reply) -> None:
    asked = prompt(asked=wanted())
    assert check(asked).judge(reply, asked, last=True) == reply


def test_what_there_is_of_an_answer_that_was_cut_off_is_json_too() -> None:
    asked = prompt(asked=wanted())
    reply = Reply(text='Here:\n```json\n{"city":"Os', stop="length")
    expected = Reply(text='{"city":"Os', stop="length", adapted=(UNWRAPPED,))
    assert check(asked).judge(reply, asked, last=False) == expected


@pytest.mark.parametrize("choice", ["required", Named(("f",)), Named(("f", "g"))])
@pytest.mark.parametrize("last", [True, False])
def test_a_choice_that_is_kept_passes(choice: ToolChoice, last: bool) -> None:
    asked = prompt(choice)
    assert check(asked).judge(CALLED, asked, last=last) is CALLED


def test_a_choice_that_is_not_kept_is_asked_for_once_more() -> None:
    asked = prompt("required")
    again = check(asked).judge(Reply(text="No."), asked, last=False)
    assert isinstance(again, Prompt)
    assert msgspec.structs.replace(again, turns=asked.turns) == asked
    assert said(again.turns) == [("user", "Where?"), ("assistant", "No."), ("user", "Your last answer called no tool.")]


def test_a_choice_that_is_not_kept_twice_is_an_honest_failure() -> None:
    asked = prompt(Named(("g",)))
    fault = check(asked).judge(CALLED, asked, last=True)
    assert isinstance(fault, Fault)
    assert (fault.status, fault.param, fault.code) == (422, "tool_choice", "tool_choice_not_kept")


@pytest.mark.parametrize("stop", ["length", "content_filter"])
def test_an_answer_that_was_cut_off_shows_that_itself(stop: StopReason) -> None:
    asked = prompt("required")
    reply = Reply(text="Let me", stop=stop)
    assert check(asked).judge(reply, asked, last=False) is reply


def test_with_both_the_call_comes_first_and_then_no_json_is_owed() -> None:
    asked = prompt("required", wanted())
    assert check(asked).judge(CALLED, asked, last=False) is CALLED
    again = check(asked).judge(Reply(text='{"city":"Oslo"}'), asked, last=False)
    assert isinstance(again, Prompt)
    assert said(again.turns)[-1][1] == "Your last answer called no tool."
