"""Tools in words: the instruction, and a history without calls and results."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.tool_prompt import describe
from cody_oai_router.adapt.tool_text import CallFinder
from cody_oai_router.conversation import ImagePart, OtherPart, Reply, Role, TextPart, Tool, ToolCall, Turn, collect
from cody_oai_router.events import Stop, Text

NONCE = "5eed"
IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))
READ = Tool(name="read")


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def text(wire: str) -> TextPart:
    """Text as it stands on the wire, without its quotes."""
    return TextPart(raw(f'"{wire}"'))


def turn(role: Role, *wire: str, listed: bool = False, call_id: str | None = None) -> Turn:
    return Turn(role=role, parts=tuple(map(text, wire)), listed=listed, call_id=call_id)


def calling(*wire: str, calls: list[tuple[str, str, str]], listed: bool = False) -> Turn:
    made = tuple(ToolCall(*call) for call in calls)
    return Turn(role="assistant", parts=tuple(map(text, wire)), listed=listed, calls=made)


def described(*turns: Turn) -> tuple[list[Turn], set[str]]:
    """Gives the turns after the instruction."""
    found, notes = describe(turns, (READ,), NONCE)
    return list(found[1:]), notes - {"tools:emulated"}


def test_a_cache_hint_goes_with_what_becomes_of_its_text() -> None:
    hint = raw('{"type":"ephemeral"}')
    hinted = TextPart(raw('"r"'), hint)
    given = msgspec.structs.replace(calling(calls=[("c1", "read", "{}")]), parts=(hinted,))
    result = Turn(role="tool", parts=(hinted, text("s")), listed=True, call_id="c1")
    found, _ = describe((given, result), (), NONCE)
    assert [each.parts for each in found] == [
        (TextPart(raw(r'"r\n(called read with {})"'), hint),),
        (TextPart(raw('"<TOOL_RESULT>rs</TOOL_RESULT>"'), hint),),
    ]


def test_where_no_tool_can_be_called_calls_of_the_history_are_told_without_a_marker() -> None:
    given = calling("x", calls=[("c1", "read", '{"a":1}'), ("c2", "write", "no")])
    found, notes = describe((given, turn("tool", "r", call_id="c2")), (), NONCE)
    assert [said(each) for each in found] == [
        'x\n(called read with {"a":1})\n(called write with "no")',
        '<TOOL_RESULT call="2" name="write">r</TOOL_RESULT>',
    ]
    assert notes == {"tool-calls:as-text", "tool:wrapped"}


def said(turn: Turn) -> str:
    return "".join(msgspec.json.decode(part.text, type=str) for part in turn.parts if isinstance(part, TextPart))


INSTRUCTION = """\
You can call the tools in <TOOLS>, one JSON object per line; "parameters" is the JSON schema of the arguments.
<TOOLS>
{"name":"read","description":"Reads \\"it\\".","parameters":{"type":"object"}}
{"name":"write"}
</TOOLS>
To call a tool, write exactly
<tool_call_5eed>{"name": "TOOL", "arguments": {...}}</tool_call_5eed>
with valid JSON and no code fence. Several calls follow each other. Write nothing after the last call: results come \
in the next message in <TOOL_RESULT> tags (call="2" marks the second of several calls). \
Never write a result yourself, and never write this marker except to call."""


def test_the_instruction_comes_first() -> None:
    tools = (
        Tool(name="read", description=raw(r'"Reads \"it\"."'), parameters=raw('{"type":"object"}'), strict=True),
        Tool(name="write"),
    )
    given = (turn("system", "s"), turn("user", "u"))
    (first, *rest), notes = describe(given, tools, NONCE)
    assert (first.role, said(first), rest, notes) == ("system", INSTRUCTION, list(given), {"tools:emulated"})


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{\n  "a":\t"x\\n  y",\r\n  "b": [1.50,\n 2]\n}', '{"a": "x\\n  y","b": [1.50,2]}'),
        (r'{"a":"\u2028 \\ \""}', r'{"a":"\u2028 \\ \""}'),
        ('{"a":"\u2028é"}', '{"a":"\u2028é"}'),
    ],
)
def test_each_tool_is_one_line_of_json(schema: str, line: str) -> None:
    (first,), _ = describe((), (Tool(name='a"\n', parameters=raw(schema)),), NONCE)
    written = said(first).split("<TOOLS>\n", 1)[1].split("\n</TOOLS>", 1)[0]
    assert written == rf'{{"name":"a\"\n","parameters":{line}}}'
    assert json.loads(written)["parameters"] == json.loads(schema)


CALL = r"<tool_call_5eed>{\"name\": \"read\", \"arguments\": {\"a\":\"\\n\"}}</tool_call_5eed>"
ONE = ("c1", "read", r'{"a":"\n"}')


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (calling(calls=[ONE]), turn("assistant", CALL)),
        (calling("", calls=[ONE]), turn("assistant", CALL)),
        (calling(r"\u00e9", calls=[ONE]), turn("assistant", rf"\u00e9\n{CALL}")),
        (calling("a", "b", calls=[ONE], listed=True), turn("assistant", "a", rf"b\n{CALL}", listed=True)),
        (calling("a", calls=[ONE, ONE]), turn("assistant", rf"a\n{CALL}\n{CALL}")),
        (
            calling(calls=[("", "read", ' {"a": ')]),
            turn("assistant", CALL.replace(r"{\"a\":\"\\n\"}", r"\" {\\\"a\\\": \"")),
        ),
        (calling(calls=[("", "read", "")]), turn("assistant", CALL.replace(r"{\"a\":\"\\n\"}", r"\"\""))),
    ],
)
def test_calls_of_the_history_are_written_out(given: Turn, sent: Turn) -> None:
    assert described(given) == ([sent], {"tool-calls:as-text"})


def test_arguments_that_are_nested_too_deep_to_check_go_as_a_string() -> None:
    deep = "[" * 100_000
    (sent,), _ = described(calling(calls=[("", "read", deep)]))
    assert f'"arguments": "{deep}"' in said(sent)


def test_what_an_assistant_shows_stays_before_its_calls() -> None:
    given = Turn(role="assistant", parts=(IMAGE,), calls=(ToolCall(*ONE),), name="n")
    sent = Turn(role="assistant", parts=(IMAGE, text(CALL)), listed=True, name="n")
    assert described(given)[0] == [sent]


@pytest.mark.parametrize(
    ("given", "sent", "notes"),
    [
        (turn("tool", r"4\n"), turn("user", r"<TOOL_RESULT>4\n</TOOL_RESULT>"), {"tool:wrapped"}),
        (turn("function", "4"), turn("user", "<TOOL_RESULT>4</TOOL_RESULT>"), {"function:wrapped"}),
        (turn("tool"), turn("user", "<TOOL_RESULT></TOOL_RESULT>"), {"tool:wrapped"}),
        (turn("tool", "a", "b", listed=True), turn("user", "<TOOL_RESULT>ab</TOOL_RESULT>"), {"tool:wrapped"}),
        (turn("user", "<tool_call_0>"), turn("user", "<tool_call_0>"), set()),
        (turn("assistant", "a"), turn("assistant", "a"), set()),
        (turn("developer", "a"), turn("developer", "a"), set()),
    ],
)
def test_results_become_what_the_user_says(given: Turn, sent: Turn, notes: set[str]) -> None:
    assert described(given) == ([sent], notes)


@pytest.mark.parametrize("part", [IMAGE, OtherPart("file")])
def test_a_result_that_is_no_text_stays_between_its_tags(part: ImagePart | OtherPart) -> None:
    given = Turn(role="tool", parts=(text("a"), part), listed=True)
    parts = (text("<TOOL_RESULT>"), text("a"), part, text("</TOOL_RESULT>"))
    assert described(given)[0] == [Turn(role="user", parts=parts, listed=True)]


def test_results_of_several_calls_tell_which_is_which() -> None:
    given = [
        calling(calls=[("c1", "read", "{}"), ("c2", 'a"', "{}")]),
        turn("tool", "second", call_id="c2"),
        turn("tool", "first", call_id="c1"),
        turn("tool", "whose?", call_id="c3"),
        calling(calls=[("c1", "read", "{}")]),
        turn("tool", "only", call_id="c1"),
    ]
    assert [said(turn) for turn in described(*given)[0] if turn.role == "user"] == [
        r'<TOOL_RESULT call="2" name="a\"">second</TOOL_RESULT>',
        '<TOOL_RESULT call="1" name="read">first</TOOL_RESULT>',
        "<TOOL_RESULT>whose?</TOOL_RESULT>",
        "<TOOL_RESULT>only</TOOL_RESULT>",
    ]


objects = st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none()), max_size=3).map(json.dumps)


@given(st.lists(st.tuples(st.sampled_from(["read", 'a"\n\\']), objects), min_size=1, max_size=3))
def test_a_call_written_out_is_found_again(planned: list[tuple[str, str]]) -> None:
    (sent,), _ = described(calling(calls=[("", *call) for call in planned]))
    finder = CallFinder((READ, Tool(name='a"\n\\')), NONCE)
    reply = collect(finder.adapt([Text(said(sent)), Stop("stop")]))
    assert isinstance(reply, Reply)
    assert [(call.name, call.arguments) for call in reply.calls] == planned
    assert (reply.text, reply.adapted) == ("", ())
