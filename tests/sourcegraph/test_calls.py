"""Tool calls: every piece where it belongs, however upstream numbers and cuts it (contract §3.2, traps 17 and 18)."""

import itertools
import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.conversation import ToolCall, collect
from cody_oai_router.events import Adapted, CallArguments, CallStart, Event, Stop
from cody_oai_router.faults import Fault
from cody_oai_router.sourcegraph.calls import CallIndexer, Documents

SPLIT = Adapted("tool-calls:split")
FILLED = Adapted("arguments:filled")


class Piece(NamedTuple):
    """One piece as upstream gives it."""

    at: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""


def taken(*pieces: Piece) -> list[Event]:
    indexer = CallIndexer(limit=100)
    return [event for piece in pieces for event in indexer.take(*piece)]


def calls(*pieces: Piece) -> list[ToolCall]:
    reply = collect([*taken(*pieces), Stop("tool_calls")])
    assert not isinstance(reply, Fault)
    return list(reply.calls)


@pytest.mark.parametrize(
    ("pieces", "events"),
    [
        ([Piece(0, "a", "f")], [CallStart(0, "a", "f")]),
        (
            [Piece(0, "a", "f"), Piece(arguments='{"x"'), Piece(arguments=":1}")],
            [CallStart(0, "a", "f"), CallArguments(0, '{"x"'), CallArguments(0, ":1}")],
        ),
        (
            [Piece(0, "a", "f"), Piece(arguments="{}"), Piece(0, "b", "f"), Piece(arguments="[1]")],
            [CallStart(0, "a", "f"), CallArguments(0, "{}"), CallStart(1, "b", "f"), CallArguments(1, "[1]")],
        ),
        (
            [Piece(0, "a", "f", "{}"), Piece(1, "b", "g"), Piece(1, arguments="{}")],
            [CallStart(0, "a", "f"), CallArguments(0, "{}"), CallStart(1, "b", "g"), CallArguments(1, "{}")],
        ),
        (
            [Piece(0, "a", "f"), Piece(1, "b", "g"), Piece(0, arguments="{}"), Piece(1, arguments="[]")],
            [CallStart(0, "a", "f"), CallStart(1, "b", "g"), CallArguments(0, "{}"), CallArguments(1, "[]")],
        ),
        (
            [Piece(5, "a", "f"), Piece(9, "b", "g")],
            [CallStart(0, "a", "f"), CallStart(1, "b", "g")],
        ),
        (
            [Piece(0, "a", "f", "{"), Piece(0, "a", "f", "}"), Piece(0, "a", "", "")],
            [CallStart(0, "a", "f"), CallArguments(0, "{"), CallArguments(0, "}")],
        ),
        (
            [Piece(0, "a", "f", '{"x":1}{"x":2}')],
            [
                CallStart(0, "a", "f"),
                CallArguments(0, '{"x":1}'),
                SPLIT,
                CallStart(1, "a_2", "f"),
                CallArguments(1, '{"x":2}'),
            ],
        ),
        (
            [Piece(0, "a", "f", "{}"), Piece(arguments="{"), Piece(arguments="}{}")],
            [
                CallStart(0, "a", "f"),
                CallArguments(0, "{}"),
                SPLIT,
                CallStart(1, "a_2", "f"),
                CallArguments(1, "{"),
                CallArguments(1, "}"),
                CallStart(2, "a_3", "f"),
                CallArguments(2, "{}"),
            ],
        ),
        (
            [Piece(0, "a", "f", "{}{}"), Piece(0, "b", "g", "{}{}")],
            [
                CallStart(0, "a", "f"),
                CallArguments(0, "{}"),
                SPLIT,
                CallStart(1, "a_2", "f"),
                CallArguments(1, "{}"),
                CallStart(2, "b", "g"),
                CallArguments(2, "{}"),
                CallStart(3, "b_2", "g"),
                CallArguments(3, "{}"),
            ],
        ),
        (
            [Piece(name="f", arguments="{}"), Piece(name="f", arguments="{}")],
            [CallStart(0, "", "f"), CallArguments(0, "{}"), CallStart(1, "", "f"), CallArguments(1, "{}")],
        ),
        (
            [Piece(name="f"), Piece(name="g")],
            [CallStart(0, "", "f"), CallStart(1, "", "g")],
        ),
        (
            [Piece(name="f", arguments="{"), Piece(name="f", arguments="}")],
            [CallStart(0, "", "f"), CallArguments(0, "{"), CallArguments(0, "}")],
        ),
        (
            [Piece(0, name="f"), Piece(1, name="f"), Piece(0, arguments="{}"), Piece(1, arguments="[]")],
            [CallStart(0, "", "f"), CallStart(1, "", "f"), CallArguments(0, "{}"), CallArguments(1, "[]")],
        ),
        (
            [Piece(name="f", arguments="{}{}")],
            [CallStart(0, "", "f"), CallArguments(0, "{}"), SPLIT, CallStart(1, "", "f"), CallArguments(1, "{}")],
        ),
        (
            [Piece(0, "a", "f", "{"), Piece(3, arguments="}")],
            [CallStart(0, "a", "f"), CallArguments(0, "{"), CallArguments(0, "}")],
        ),
        ([Piece(arguments="{}")], [CallStart(0, "", ""), CallArguments(0, "{}")]),
    ],
)
def test_pieces(pieces: list[Piece], events: list[Event]) -> None:
    assert taken(*pieces) == events


@pytest.mark.parametrize(
    ("pieces", "rest"),
    [
        ([], []),
        ([Piece(0, "a", "f", "{}")], []),
        ([Piece(0, "a", "f"), Piece(arguments="{}")], []),
        ([Piece(0, "a", "f")], [CallArguments(0, "{}"), FILLED]),
        (
            [Piece(0, "a", "f"), Piece(0, "b", "f", "{}"), Piece(0, "c", "g")],
            [CallArguments(0, "{}"), CallArguments(2, "{}"), FILLED],
        ),
        ([Piece(0, "a", "f", '{"x":1}{}'), Piece(0, "b", "g")], [CallArguments(2, "{}"), FILLED]),
        ([Piece(name="f"), Piece(name="g")], [CallArguments(0, "{}"), CallArguments(1, "{}"), FILLED]),
        # What is not empty is left as it is, whatever it is.
        ([Piece(0, "a", "f", " ")], []),
    ],
)
def test_calls_without_arguments_get_an_empty_object_at_the_end(pieces: list[Piece], rest: list[Event]) -> None:
    indexer = CallIndexer(limit=100)
    for piece in pieces:
        indexer.take(*piece)
    assert indexer.rest() == rest


def test_more_calls_than_anyone_means() -> None:
    indexer = CallIndexer(limit=2)
    indexer.take(0, "a", "f", "{}{}")
    assert (indexer.count, indexer.overflowed) == (2, False)
    indexer.take(0, "b", "f", "{}" * 1_000_000)
    assert (indexer.count, indexer.overflowed) == (5, True)


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("", [""]),
        ("{}", ["{}"]),
        ("{}{}", ["{}", "{}"]),
        ("{} \n{} ", ["{} \n", "{} "]),
        ('{"a":"}{"}{"b":"\\"}{"}', ['{"a":"}{"}', '{"b":"\\"}{"}']),
        ('{"a":"\\\\"}{}', ['{"a":"\\\\"}', "{}"]),
        ('{"a":{"b":[{}]}}{}', ['{"a":{"b":[{}]}}', "{}"]),
        ("[1]{}", ["[1]", "{}"]),
        ("{}[1]", ["{}[1]"]),
        ('{}, "x"{}', ['{}, "x"', "{}"]),
        ("}{}", ["}", "{}"]),
        ("\\{}{}", ["\\{}", "{}"]),
        ("not json", ["not json"]),
        ('{"a":"cut off', ['{"a":"cut off']),
    ],
)
def test_documents(text: str, documents: list[str]) -> None:
    assert list(Documents().take(text)) == documents
    assert _taken_in_pieces(list(text)) == documents


def _taken_in_pieces(pieces: list[str]) -> list[str]:
    """Feeds pieces to one `Documents` and puts what belongs together together."""
    documents, found = Documents(), [""]
    for piece in pieces:
        own, *others = documents.take(piece)
        found[-1] += own
        found += others
    return found


marks = st.text(st.sampled_from('{}[]"\\ ,a\n'), max_size=40)


@given(marks, st.lists(st.integers(0, 40), max_size=8))
def test_documents_under_any_cut(text: str, places: list[int]) -> None:
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
    assert _taken_in_pieces(pieces) == list(Documents().take(text))
    assert "".join(Documents().take(text)) == text


objects = st.dictionaries(
    st.text(max_size=4), st.one_of(st.text(max_size=6), st.lists(st.integers(), max_size=2)), max_size=3
)
arguments = st.tuples(objects, st.booleans()).map(lambda given: json.dumps(given[0], indent=1 if given[1] else None))
meant = st.lists(st.tuples(st.sampled_from("fg"), arguments), min_size=1, max_size=5)


def _cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@given(meant, st.integers(1, 9), st.booleans(), st.booleans())
def test_no_call_is_lost_doubled_or_out_of_order_with_ids(
    wanted: list[tuple[str, str]], size: int, numbered: bool, repeated: bool
) -> None:
    pieces: list[Piece] = []
    for number, (name, text) in enumerate(wanted):
        index, call_id = number if numbered else 0, f"toolu_{number}"
        pieces.append(Piece(index, call_id, name))
        again = (call_id, name) if repeated else ("", "")
        pieces += [Piece(index, *again, part) for part in _cut(text, size)]
    assert calls(*pieces) == [ToolCall(f"toolu_{n}", name, text) for n, (name, text) in enumerate(wanted)]


@given(meant, st.integers(1, 9), st.booleans())
def test_nor_without_ids(wanted: list[tuple[str, str]], size: int, repeated: bool) -> None:
    pieces: list[Piece] = []
    for name, text in wanted:
        first, *rest = _cut(text, size)
        pieces.append(Piece(name=name, arguments=first))
        pieces += [Piece(name=name if repeated else "", arguments=part) for part in rest]
    assert calls(*pieces) == [ToolCall("", name, text) for name, text in wanted]


@given(st.lists(arguments, min_size=1, max_size=5), st.integers(1, 9), st.sampled_from(["a", ""]))
def test_nor_run_together(wanted: list[str], size: int, call_id: str) -> None:
    pieces = [Piece(0, call_id, "f"), *[Piece(arguments=part) for part in _cut("".join(wanted), size)]]
    found = calls(*pieces)
    assert [call.arguments for call in found] == wanted
    assert [call.id for call in found] == [call_id and (f"a_{n + 1}" if n else "a") for n in range(len(wanted))]


@given(meant, st.lists(st.integers(0, 4), max_size=60))
def test_nor_interleaved(wanted: list[tuple[str, str]], order: list[int]) -> None:
    queues = [[Piece(n, arguments=part) for part in _cut(text, 3)] for n, (_, text) in enumerate(wanted)]
    pieces = [Piece(n, f"id{n}", name) for n, (name, _) in enumerate(wanted)]
    pieces += [queues[number].pop(0) for number in order if number < len(queues) and queues[number]]
    pieces += [piece for queue in queues for piece in queue]
    assert calls(*pieces) == [ToolCall(f"id{n}", name, text) for n, (name, text) in enumerate(wanted)]
