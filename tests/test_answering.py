"""What changes the events of an answer: nothing where nothing is needed, and each adaptation at its place."""

import itertools
from typing import Any

import msgspec
import pytest

from cody_oai_router.answering import chain_of
from cody_oai_router.conversation import Format, Prompt, TextPart, Tool, Turn
from cody_oai_router.events import Adapted, CallArguments, CallStart, Event, Failed, Rewritten, Stop, Text, Usage
from cody_oai_router.faults import HOLLOW_TOOL_CALLS
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
        # What a whole answer took is told when it is there.
        asked(),
        asked(tools=(TOOL,)),
    ],
)
@pytest.mark.parametrize("counts", [True, False])
def test_most_answers_need_nothing(prompt: Prompt, counts: bool) -> None:
    assert chain_of(prompt, called=(), nonce=NONCE, counts=counts) is None


@pytest.mark.parametrize(
    ("prompt", "counts", "estimated"),
    [
        (asked(), False, False),
        (asked(stream=True, include_usage=True), False, True),
        (asked(stream=True), False, False),
        # Nothing promises a count, whatever the instance.
        (asked(stream=True, include_usage=True), True, True),
        (asked(stream=True), True, False),
        (asked(stop=("X",)), True, False),
        (asked(stream=True, stop=("X",)), True, False),
        (asked(stream=True, include_usage=True, stop=("X",)), True, True),
        (asked(tools=(TOOL,), parallel_calls=False), True, False),
        (asked(stream=True, tools=(TOOL,)), True, False),
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


LATER: list[Event] = [Text("Hello wor"), Rewritten("Hello Bob"), Text(" and END more"), Stop("stop")]
STRICT = Format(kind="json_schema", name="s", schema=SCHEMA, strict=True)


@pytest.mark.parametrize(
    "prompt",
    [
        asked(stop=("END", "wor")),
        asked(stop=("END", "wor"), stream=True, tools=(TOOL,), tool_choice="required"),
    ],
)
def test_where_nothing_is_shown_before_the_end_the_last_text_is_the_text(prompt: Prompt) -> None:
    out = carried(chain(prompt, counts=False), *[[event] for event in LATER])
    assert text_of(out) == "Hello Bob and "
    assert Adapted("text:rewritten") not in out


def test_what_a_stream_has_shown_and_reads_otherwise_now_is_told() -> None:
    out = carried(chain(asked(stream=True, stop=("END",)), counts=False), *[[event] for event in LATER])
    assert text_of(out) == "Hello wor and "
    assert Adapted("text:rewritten") in out


def test_a_strict_answer_with_calls_in_its_text_is_held_too() -> None:
    held = asked(stream=True, tools=(TOOL,), format=STRICT)
    out = carried(chain(held, (TOOL,), counts=False), [Text("ab")], [Rewritten("X")], [Text("Y"), Stop("stop")])
    assert text_of(out) == "XY"
    assert Adapted("text:rewritten") not in out


def test_text_that_nobody_looks_into_passes_with_its_rewriting() -> None:
    out = carried(chain(asked(stream=True, include_usage=True), counts=False), LATER)
    assert out[: len(LATER)] == LATER
    assert isinstance(out[-2], Usage)
    assert out[-2].completion_tokens == 6  # 23 letters


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


RUN_TOGETHER: list[Event] = [*CALLS[:2], Adapted("tool-calls:split"), *CALLS[2:]]
TOOLS = (TOOL, Tool(name="g"))


@pytest.mark.parametrize("prompt", [asked(tools=TOOLS), asked(stream=True, tools=TOOLS, tool_choice="required")])
def test_a_name_that_was_assumed_is_refused_where_it_can_be_asked_for_again(prompt: Prompt) -> None:
    out = carried(chain(prompt), RUN_TOGETHER)
    assert out[:-1] == RUN_TOGETHER[:3]
    assert isinstance(out[-1], Failed)
    assert out[-1].fault.code == HOLLOW_TOOL_CALLS


@pytest.mark.parametrize(
    "prompt",
    [
        asked(tools=(TOOL,), stop=("X",)),
        asked(stream=True, include_usage=True, tools=TOOLS),
        asked(stream=True, include_usage=True, tools=(TOOL,), tool_choice="required"),
    ],
)
def test_with_one_tool_a_name_is_certain_and_of_a_stream_the_rest_cannot_be_asked_for(prompt: Prompt) -> None:
    assert carried(chain(prompt), RUN_TOGETHER)[: len(RUN_TOGETHER)] == RUN_TOGETHER


def test_names_of_calls_that_are_dropped_do_not_matter() -> None:
    out = carried(chain(asked(tools=TOOLS, parallel_calls=False)), RUN_TOGETHER)
    assert out[-1] == Stop("tool_calls")
    assert not any(isinstance(event, Failed) for event in out)


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
    assert {event.note for event in out if isinstance(event, Adapted)} == {"tool-calls:first-kept"}


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
