"""What changes the events of an answer: nothing where nothing is needed, and each adaptation at its place."""

import itertools
from typing import Any

import msgspec
import pytest

from cody_oai_router.answering import chain_of
from cody_oai_router.conversation import Format, Prompt, TextPart, Tool, Turn
from cody_oai_router.events import Adapted, CallArguments, CallStart, Event, Failed, Stop, Text, Usage
from cody_oai_router.relay import Chain

NONCE = "0123456789ab"
TOOL = Tool(name="f", parameters=msgspec.Raw(b'{"type":"object","properties":{}}'))
ASKED = Turn(role="user", parts=(TextPart(msgspec.Raw(b'"' + b"a" * 40 + b'"')),))
SCHEMA = msgspec.Raw(b'{"type":"object"}')
OBJECT = Format(kind="json_object")


def asked(**fields: Any) -> Prompt:
    return Prompt(model="m", turns=(ASKED,), **fields)


def chain(prompt: Prompt, called: tuple[Tool, ...] = (), *, counts: bool = True) -> Chain:
    found = chain_of(prompt, called=called, nonce=NONCE, counts=counts)
    assert found is not None
    return found


def carried(through: Chain, *batches: list[Event]) -> list[Event]:
    """Gives what comes out of a whole answer, as `relay.Source` takes it through."""
    out: list[Event] = []
    for batch in batches:
        out += through.adapt(batch)
        if through.cut or any(isinstance(event, Failed) for event in out):
            break
    return out if any(isinstance(event, Failed) for event in out) else [*out, *through.finish()]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


@pytest.mark.parametrize(
    "prompt",
    [
        asked(stream=True),
        asked(stream=True, tools=(TOOL,)),
        asked(stream=True, tools=(TOOL,), tool_choice="required"),
        asked(stream=True, parallel_calls=False),
        asked(stream=True, format=Format(kind="json_schema", name="s", schema=SCHEMA, strict=True)),
        asked(stream=True, include_usage=True),
        asked(),
    ],
)
def test_most_answers_need_nothing(prompt: Prompt) -> None:
    assert chain_of(prompt, called=(), nonce=NONCE, counts=True) is None


@pytest.mark.parametrize(
    ("prompt", "counts", "estimated"),
    [
        (asked(), False, True),
        (asked(stream=True, include_usage=True), False, True),
        (asked(stream=True), False, False),
        (asked(), True, False),
        (asked(stop=("X",)), True, True),
        (asked(stream=True, stop=("X",)), True, False),
        (asked(stream=True, include_usage=True, stop=("X",)), True, True),
        (asked(tools=(TOOL,), parallel_calls=False), True, True),
        (asked(tools=(TOOL,)), True, False),
    ],
)
def test_tokens_are_estimated_where_nobody_else_counts_and_somebody_looks(
    prompt: Prompt, counts: bool, estimated: bool
) -> None:
    made = chain_of(prompt, called=(), nonce=NONCE, counts=counts)
    out = [] if made is None else carried(made, [Text("abcd"), Stop("stop")])
    usages = [event for event in out if isinstance(event, Usage)]
    assert len(usages) == estimated
    if usages:
        assert usages[0].prompt_tokens >= 10
        assert usages[0].completion_tokens == 1
        assert usages[0].estimated
        assert out[-1] == Adapted("usage:estimated")


def test_what_upstream_counted_stays() -> None:
    counted = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    out = carried(chain(asked(stop=("X",))), [Text("abcd"), Stop("stop"), counted])
    assert out == [Text("abcd"), Stop("stop"), counted]


def test_a_sequence_ends_the_answer() -> None:
    made = chain(asked(stream=True, stop=("END",)))
    assert not made.cut
    assert carried(made, [Text("a E")], [Text("ND b"), Stop("stop")]) == [
        Text("a "),
        Adapted("stop:cut-here"),
        Stop("stop"),
    ]
    assert made.cut


CALLS: list[Event] = [
    CallStart(0, "a", "f"),
    CallArguments(0, "{}"),
    CallStart(1, "b", "f"),
    CallArguments(1, "{}"),
    Stop("tool_calls"),
]


def test_a_second_call_ends_the_answer_where_one_is_allowed() -> None:
    made = chain(asked(stream=True, tools=(TOOL,), parallel_calls=False))
    assert carried(made, CALLS) == [
        CallStart(0, "a", "f"),
        CallArguments(0, "{}"),
        Adapted("tool-calls:first-kept"),
        Stop("tool_calls"),
    ]
    assert made.cut


@pytest.mark.parametrize(("asks", "arrays"), [(OBJECT, False), (Format(kind="json_schema", schema=SCHEMA), True)])
def test_json_is_taken_out_of_what_stands_around_it(asks: Format, arrays: bool) -> None:
    out = carried(chain(asked(stream=True, format=asks)), [Text('Here:\n```json\n{"a":1}\n```'), Stop("stop")])
    assert (text_of(out), out[-1]) == ('{"a":1}', Stop("stop"))
    listed = carried(chain(asked(stream=True, format=asks)), [Text("[1]"), Stop("stop")])
    assert isinstance(listed[-1], Failed) == (not arrays)
    assert text_of(listed) == ("[1]" if arrays else "")


def written(*cities: str) -> str:
    """Calls as a model writes them in words."""
    return "".join(
        f'<tool_call_{NONCE}>{{"name":"f","arguments":{{"city":"{city}"}}}}</tool_call_{NONCE}>' for city in cities
    )


def called(events: list[Event]) -> list[str]:
    pieces = {event.index: "" for event in events if isinstance(event, CallStart)}
    for event in events:
        if isinstance(event, CallArguments):
            pieces[event.index] += event.text
    return [msgspec.json.decode(piece)["city"] for piece in pieces.values()]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_all_at_once_each_sees_what_the_one_before_it_gives(size: int) -> None:
    prompt = asked(tools=(TOOL,), parallel_calls=False, stop=("city",), format=OBJECT)
    text = f"Let me see. {written('Oslo', 'Rome')}"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    batches: list[list[Event]] = [[Text(piece)] for piece in pieces]
    out = carried(chain(prompt, (TOOL,)), *batches, [Stop("stop")])
    assert called(out) == ["Oslo"]  # nor does the sequence in it end the answer
    assert text_of(out).strip() == "Let me see."  # who calls owes no JSON
    assert [event for event in out if isinstance(event, Stop)] == [Stop("tool_calls")]
    assert {event.note for event in out if isinstance(event, Adapted)} == {"tool-calls:first-kept", "usage:estimated"}


def test_a_sequence_is_looked_for_in_the_json_and_not_around_it() -> None:
    asked_for = asked(stream=True, format=OBJECT, stop=("```", "2"))
    out = carried(chain(asked_for), [Text('```json\n{"a":1,"b":2}\n```'), Stop("stop")])
    assert text_of(out) == '{"a":1,"b":'
    assert [event for event in out if isinstance(event, Stop)] == [Stop("stop")]
    strict = asked(stream=True, format=Format(kind="json_schema", name="s", schema=SCHEMA, strict=True), stop=("1",))
    assert chain_of(strict, called=(), nonce=NONCE, counts=True) is None


@pytest.mark.parametrize(
    ("stop", "tools", "parallel", "form", "counts"),
    [*itertools.product([(), ("X",)], [(), (TOOL,)], [True, False], [None, OBJECT], [True, False])],
)
def test_an_answer_that_needs_no_change_comes_out_as_it_was(
    stop: tuple[str, ...], tools: tuple[Tool, ...], parallel: bool, form: Format | None, counts: bool
) -> None:
    prompt = asked(stop=stop, tools=tools, parallel_calls=parallel, format=form)
    events: list[Event] = [Text('{"a":1}'), Stop("stop"), Usage(1, 2, 3)]
    for finders in ((), tools):
        made = chain_of(prompt, called=finders, nonce=NONCE, counts=counts)
        assert made is None or carried(made, events) == events
