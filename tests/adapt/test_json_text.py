"""JSON in text: what is taken out, what is held, what has failed, and that no cut makes a difference."""

import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cody_oai_router.adapt.json_text import MAX_PROSE, NOT_JSON, JsonText
from cody_oai_router.conversation import Reply, collect
from cody_oai_router.events import (
    Adapted,
    CallArguments,
    CallStart,
    Event,
    Failed,
    Reasoning,
    Stop,
    StopReason,
    Text,
    Usage,
)
from cody_oai_router.faults import Fault
from strategies import json_values

UNWRAPPED, MENDED = "response_format:unwrapped", "response_format:mended"


def fault(message: str) -> Fault:
    return Fault(kind="unprocessable", message=message, param="response_format", code=NOT_JSON)


NO_OBJECT = fault("The model answered without a JSON object, which response_format asks for.")
NO_DOCUMENT = fault("The model answered without a JSON document, which response_format asks for.")
INCOMPLETE = fault("The model's JSON ended before it was complete.")


def folded(*pieces: str, arrays: bool = True, reason: StopReason = "stop") -> Reply | Fault:
    adaptation = JsonText(arrays=arrays)
    given: list[Event] = [*map(Text, pieces), Stop(reason)]
    return collect(found for event in given for found in adaptation.adapt([event]))


def reply(text: str, *adapted: str, stop: StopReason = "stop") -> Reply:
    return Reply(text=text, stop=stop, adapted=adapted)


@pytest.mark.parametrize(
    ("text", "document", "notes"),
    [
        ('{"a": [1, "}"]}', '{"a": [1, "}"]}', ()),
        (' \n{"a":1}\n\n', '{"a":1}', ()),
        ("{}", "{}", ()),
        ("{ \n }", "{ \n }", ()),
        ('```json\n{"a": "```"}\n```', '{"a": "```"}', (UNWRAPPED,)),
        ('Here you are:\n{"a": 1}', '{"a": 1}', (UNWRAPPED,)),
        ('{"a": 1}\nAnything else?', '{"a": 1}', (UNWRAPPED,)),
        ('{"a": 1} {"b": 2}', '{"a": 1}', (UNWRAPPED,)),
        ('A {name} and { 1 } and [x] and [1]: {"a": 1}', '{"a": 1}', (UNWRAPPED,)),
        ("[1, 2]", "[1, 2]", ()),
        ("See:\n  [ {}, true]", "[ {}, true]", (UNWRAPPED,)),
        ("```json [true]```", "[true]", (UNWRAPPED,)),
        ("[]", "[]", ()),
        ("[null]", "[null]", ()),
        ('[note] [truth]\n[nothing]\n[false, "a"]', '[false, "a"]', (UNWRAPPED,)),
        ('{"a": "x\ny\tz\x01\\"\\\\"}', '{"a": "x\\ny\\tz\\u0001\\"\\\\"}', (MENDED,)),
        ('{"a": "\\\n"}', None, ()),
        ('{\n\t"a": 1\n}', '{\n\t"a": 1\n}', ()),
    ],
)
def test_the_document_is_taken_out(text: str, document: str | None, notes: tuple[str, ...]) -> None:
    found = folded(text)
    if document is None:
        assert isinstance(found, Fault)
    else:
        assert found == reply(document, *notes)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("", NO_DOCUMENT),
        ("I cannot do that.", NO_DOCUMENT),
        ("A {name} and [x] and {", NO_DOCUMENT),
        ("[tru", NO_DOCUMENT),
        (" " * 100 + "[1]", NO_DOCUMENT),
        ("{" + " " * 300 + '"a": 1}', NO_DOCUMENT),
        ('{"a": 1', INCOMPLETE),
        ('{"a": "}', INCOMPLETE),
        ('{"a": 1,}', fault("The model's JSON is not valid: trailing comma in object (byte 8).")),
        ('{"a" 1}', fault("The model's JSON is not valid: expected ':' (byte 5).")),
        ('{"a": [1}]', fault("The model's JSON is not valid: expected ',' or ']' (byte 8).")),
        ('{"a": "\ud800"}', fault("The model's JSON is not valid: half a character in it.")),
        ("[" * 2000 + "]" * 2000, fault("The model's JSON is nested too deeply.")),
    ],
)
def test_an_answer_that_is_no_json_has_failed(text: str, failure: Fault) -> None:
    assert folded(text) == failure


@pytest.mark.parametrize("text", ["[1]", '[{"a": 1', "  [\n]"])
def test_where_an_object_is_asked_for_an_array_is_none(text: str) -> None:
    assert folded(text, arrays=False) == NO_OBJECT


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ('An empty object {} would not do, so:\n```json\n{"answer": 42}\n```', '{"answer": 42}'),
        ("{}", "{}"),
        ("Nothing:\n{}", "{}"),
    ],
)
def test_an_empty_object_in_a_sentence_is_no_document(text: str, document: str) -> None:
    found = folded(text, arrays=False)
    assert isinstance(found, Reply)
    assert found.text == document


def test_a_call_that_could_not_be_read_is_no_answer() -> None:
    events: list[Event] = [Adapted("tool-calls:unreadable"), Text('<tool_call_0>{"name": "x"}'), Stop("stop")]
    assert JsonText().adapt(events)[-1] == Failed(NO_OBJECT)


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls"])
@pytest.mark.parametrize("text", ['{"a": 1', "Let me think", '{"a": 1}', "A {", '{"a": 1,}'])
def test_an_answer_that_was_cut_off_says_so_itself(text: str, reason: StopReason) -> None:
    assert folded(text, reason=reason) == reply(text, stop=reason)


def test_text_is_passed_on_as_it_comes_once_the_document_has_begun() -> None:
    adaptation = JsonText()
    assert adaptation.adapt([Text("Sure: ")]) == []
    assert adaptation.adapt([Text("{\n")]) == []
    assert adaptation.adapt([Text(' "a"')]) == [Text('{\n "a"')]
    assert adaptation.adapt([Text("")]) == []
    assert adaptation.adapt([Text(": 1")]) == [Text(": 1")]
    assert adaptation.adapt([Text("} so")]) == [Text("}")]
    assert adaptation.adapt([Text(" there.")]) == []
    assert adaptation.adapt([Stop("stop")]) == [Adapted(UNWRAPPED), Stop("stop")]


CALL: list[Event] = [CallStart(0, "c1", "read"), CallArguments(0, "{}")]


@pytest.mark.parametrize("text", ["Let me see {", '{"a": ', "I shall read."])
def test_a_model_that_calls_owes_no_document(text: str) -> None:
    events: list[Event] = [Reasoning("why"), Text(text), *CALL, Text("{"), Text(" done"), Stop("stop"), Usage()]
    assert JsonText().adapt(events) == events


def test_what_was_left_out_before_a_call_stays_out() -> None:
    events: list[Event] = [Text('a {"a": 1} b'), *CALL, Stop("tool_calls")]
    assert JsonText().adapt(events) == [Text('{"a": 1}'), *CALL, Adapted(UNWRAPPED), Stop("tool_calls")]


def test_after_a_failure_nothing_comes() -> None:
    adaptation = JsonText()
    assert adaptation.adapt([Text("no"), Stop("stop"), Usage()]) == [Failed(NO_OBJECT)]
    assert adaptation.adapt([Usage()]) == []


def test_a_failure_of_upstream_passes_alone() -> None:
    broken = Failed(Fault(kind="bad_gateway", message="broken"))
    assert JsonText().adapt([Text("Here: {"), broken, Text('"a"')]) == [broken]


def test_prose_without_end_is_ended() -> None:
    adaptation = JsonText()
    assert adaptation.adapt([Text("a" * MAX_PROSE)]) == []
    assert adaptation.adapt([Text("a")]) == [Failed(NO_OBJECT)]


def test_a_document_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cody_oai_router.adapt.json_text.MAX_DOCUMENT", 10)
    adaptation = JsonText()
    assert adaptation.adapt([Text('{"a": "'), Text("aaaa"), Text("a")]) == [
        Text('{"a": "'),
        Text("aaaa"),
        Failed(fault("The model's JSON is too long to be checked.")),
    ]


likely = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            '"',
            "\\",
            '{"a": 1}',
            "[tr",
            "ue",
            "]",
            "\n",
            " ",
            "```json\n",
            "```",
            "a",
            ":",
            "null",
            ",",
            "1",
            "\u00e9",
        ]
    ),
    max_size=14,
).map("".join)


@given(likely, st.lists(st.integers(0, 60), max_size=6), st.booleans(), st.sampled_from(["stop", "length"]))
@example('a [true] {"b": "\\"}', list(range(19)), True, "stop")
def test_no_cut_makes_a_difference(text: str, places: list[int], arrays: bool, reason: StopReason) -> None:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
    assert folded(*pieces, arrays=arrays, reason=reason) == folded(text, arrays=arrays, reason=reason)


prose = st.text(st.characters(exclude_characters="{[", exclude_categories=["Cs"]), max_size=12)
documents = st.one_of(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.one_of(st.integers(), st.text(max_size=4))
    ),
    st.lists(st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.just({"a": ["]"]}))),
)


@given(documents, st.sampled_from([None, 2]), prose, st.sampled_from(["", "```json\n", "```\n"]), prose)
def test_a_document_comes_out_byte_for_byte(
    document: object, indent: int | None, before: str, fence: str, after: str
) -> None:
    written = json.dumps(document, indent=indent)
    found = folded(f"{before}\n{fence}{written}{'```' if fence else ''}{after}")
    assert isinstance(found, Reply)
    assert found.text == written


@given(json_values, prose)
def test_any_answer_is_a_reply_or_a_fault(value: object, after: str) -> None:
    assert isinstance(folded(json.dumps(value, ensure_ascii=False) + after), Reply | Fault)
