"""Calls in text: what is passed on, what is held, what becomes a call, and that no cut makes a difference."""

import itertools
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cody_oai_router.adapt.tool_text import MAX_SPACE, CallFinder
from cody_oai_router.conversation import Reply, Tool, ToolCall, collect
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

NONCE = "5eed"
OPEN, CLOSE = "<tool_call_5eed>", "</tool_call_5eed>"
TOOLS = (Tool(name="read"), Tool(name="write"))
REPAIRED, BROKEN, UNREADABLE = "tool-calls:repaired", "tool-calls:broken", "tool-calls:unreadable"


def written(name: str, arguments: str = "{}") -> str:
    return f'{OPEN}{{"name": "{name}", "arguments": {arguments}}}{CLOSE}'


READ = written("read")


def folded(*pieces: str, reason: StopReason = "stop") -> Reply:
    finder = CallFinder(TOOLS, NONCE)
    given: list[Event] = [*map(Text, pieces), Stop(reason)]
    reply = collect(found for event in given for found in finder.adapt([event]))
    assert isinstance(reply, Reply)
    return reply


def reply(text: str, *calls: tuple[str, str], stop: StopReason = "tool_calls", adapted: tuple[str, ...] = ()) -> Reply:
    made = tuple(ToolCall(f"call_5eed_{index}", name, arguments) for index, (name, arguments) in enumerate(calls))
    return Reply(text=text, calls=made, stop=stop, adapted=adapted)


EMPTY = ("read", "{}")

WELL_FORMED = [
    (READ, reply("", EMPTY)),
    (f"Let me see.\n\n{READ}\n", reply("Let me see.", EMPTY)),
    (f"a {READ} \n {READ}{READ}\n\n", reply("a", EMPTY, EMPTY, EMPTY)),
    (f"a\n{READ}\nb\n", reply("a\nb\n", EMPTY)),
    (written("read", ' \n{"a": [1, {"b": "}{\\"\\\\"}]}'), reply("", ("read", '{"a": [1, {"b": "}{\\"\\\\"}]}'))),
    (
        written("write", '{\n  "text": "<tool_call_0>{}</tool_call_0> \\u00e9"\n}'),
        reply("", ("write", '{\n  "text": "<tool_call_0>{}</tool_call_0> \\u00e9"\n}')),
    ),
    (f'{OPEN}\n{{\n"name" : "read" ,\n"arguments" : {{}}\n}}\n{CLOSE}', reply("", EMPTY)),
    (f'{OPEN}{{"name": "re\\u0061d", "arguments": {{}}}}{CLOSE}', reply("", EMPTY)),
    (f"See:\n```json\n{READ}\n```\n", reply("See:", EMPTY)),
    (f"See:\n  ```tool-call\n  {READ}\n{READ}\n  ```\nb", reply("See:\nb", EMPTY, EMPTY)),
    (f"```\n{READ}\n```\n```xml\n{READ}\n```", reply("", EMPTY, EMPTY)),
    (f"```\n{READ}\n```\n{READ}\nb", reply("\nb", EMPTY, EMPTY)),
    (f'{OPEN}```json\n{{"name": "read", "arguments": {{}}}}\n```{CLOSE}', reply("", EMPTY)),
]

TEXT_STAYS = [
    (f"```py\ncode\n```\n{READ}", reply("```py\ncode\n```", EMPTY)),
    (f"```py\n{READ}\n", reply("", EMPTY)),
    (f"```\ncode\n{READ}\n```", reply("```\ncode\n```", EMPTY)),
    (f"say ```json\n{READ}", reply("say ```json", EMPTY)),
    (f"{READ}\n```\nb", reply("\n```\nb", EMPTY)),
    (f"```\n{READ}{' ' * 80}```\n", reply(f"{' ' * 80}```\n", EMPTY)),
    (f"```\n{READ}{chr(10) * 80}```\n", reply("\n" * 16, EMPTY)),
    (f"{READ}\n```", reply("\n```", EMPTY)),
    (f"```json\n{READ}\n```js\ncode\n```", reply("\n```js\ncode\n```", EMPTY)),
    (f"a{' ' * 100}{READ}", reply("a" + " " * (100 - MAX_SPACE), EMPTY)),
]

REPAIRS = [
    (f'{OPEN}{{"arguments": {{"a": 1}}, "name": "read"}}{CLOSE}', ("read", '{"a": 1}'), ""),
    (f'{OPEN}{{"id": "1", "name": "read", "arguments": {{"a": "\n"}}}}{CLOSE}', ("read", '{"a": "\\n"}'), ""),
    (f'{OPEN}{{"name": "read", "arguments": "{{\\"a\\": 1}}"}}{CLOSE}', ("read", '{"a": 1}'), ""),
    (f'{OPEN}{{"name": "read", "arguments": "{{\\"a\\": \\"\\n\\"}}"}}{CLOSE}', ("read", '{"a": "\\n"}'), ""),
    (f'{OPEN}{{"name": "read", "parameters": {{"a": 1}}}}{CLOSE}', ("read", '{"a": 1}'), ""),
    (f'{OPEN}{{"name": "read"}}{CLOSE}', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": null}}{CLOSE}', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": {{}}, "why": "}}"}}{CLOSE}', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": {{}},}}{CLOSE}', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": {{}}{CLOSE}', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": {{}}\nI wait.', EMPTY, "I wait."),
    (f'{OPEN}{{"name": "read", "arguments": {{}}', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": {{}}}}', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": {{}}}}</tool_ca', EMPTY, ""),
    (f'{OPEN}{{"name": "read", "arguments": {{}}}}\nI wait.', EMPTY, "\nI wait."),
    (f'{OPEN}{{"name": "read"}}\nI wait.', EMPTY, "\nI wait."),
    (f'{OPEN}{{"name": "read", "arguments": {{"a": "b\n\tc\x01"}}}}{CLOSE}', ("read", '{"a": "b\\n\\tc\\u0001"}'), ""),
]

AS_WRITTEN = [
    f'{OPEN}{{"name": "unknown", "arguments": {{}}}}{CLOSE}',
    f'{OPEN}{{"arguments": {{}}, "name": "unknown"}}{CLOSE}',
    f"The marker ` {OPEN}` is mine.",
    f"{OPEN}{' ' * 1100}}}{{{CLOSE}",
    f"{OPEN}{' ' * 1100}[]{CLOSE}",
    f'{OPEN}{" " * 1100}[{{"name": "read"}}]{CLOSE}',
    f'{OPEN}{{"why": {{}}, "x": "{"a" * 1100}", "name": "read{CLOSE}',
    f"\n\n```json\n{OPEN}nothing{CLOSE}\n```\n",
    f'{OPEN}{{"name": "read", "arguments": [1]}}{CLOSE}',
    f'{OPEN}{{"name": "read", "arguments": "[1]"}}{CLOSE}',
    f'{OPEN}{{"name": "read", "arguments": 1{CLOSE}',
    f'{OPEN}{{"name": "\\ud800", "arguments": {{}}}}{CLOSE}',
    f'{OPEN}{{"name": "\ud800", "arguments": {{}}}}{CLOSE}',
    f'{OPEN}{{"name": 1}}{CLOSE}',
    f"{OPEN}{{'name': 'read', 'arguments': {{}}}}{CLOSE}",
    f'{OPEN}{{"name": "read',
    f"{OPEN}",
    f"{OPEN}{CLOSE}",
    f"{OPEN}{{{{}}",
    f'{OPEN}{{"x": {"[" * 3000}{"]" * 3000}, "name": "read"}}{CLOSE}',
]


def bitwise(text: str) -> Reply:
    return folded(*text)


@pytest.mark.parametrize(("text", "expected"), WELL_FORMED + TEXT_STAYS)
def test_calls_are_found(text: str, expected: Reply) -> None:
    assert folded(text) == expected
    assert bitwise(text) == expected


@pytest.mark.parametrize(("text", "call", "rest"), REPAIRS)
def test_a_call_is_put_right_where_its_meaning_is_beyond_doubt(text: str, call: tuple[str, str], rest: str) -> None:
    assert folded(text) == reply(rest, call, adapted=(REPAIRED,))
    assert bitwise(text) == folded(text)


def test_a_long_answer_is_read_to_its_end() -> None:
    text = f"{'a' * 40_000}{READ * 3000}"
    assert folded(text) == reply("a" * 40_000, *[EMPTY] * 3000)


def test_a_forgotten_closing_marker_ends_at_the_next_call() -> None:
    text = f"{READ.removesuffix(CLOSE)}\n{READ.removesuffix(CLOSE)}"
    assert folded(text) == bitwise(text) == reply("", EMPTY, EMPTY, adapted=(REPAIRED,))


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_what_is_no_call_stays_as_it_was_written(text: str) -> None:
    assert folded(text) == bitwise(text) == reply(text, stop="stop", adapted=(UNREADABLE,))


def test_a_call_after_one_that_cannot_be_read_is_found() -> None:
    text = f"{OPEN}oh\n{READ}"
    assert folded(text) == bitwise(text) == reply(f"{OPEN}oh", EMPTY, adapted=(UNREADABLE,))


BEGUN = f'{OPEN}{{"name": "read", "arguments": {{"a": "b'


@pytest.mark.parametrize(
    ("text", "reason", "expected"),
    [
        (BEGUN, "stop", reply("", ("read", '{"a": "b'), stop="stop", adapted=(BROKEN,))),
        (BEGUN, "length", reply("", ("read", '{"a": "b'), stop="length")),
        (f"{BEGUN}</tool", "length", reply("", ("read", '{"a": "b</tool'), stop="length")),
        (f"{BEGUN}{CLOSE}c", "stop", reply("c", ("read", '{"a": "b'), stop="stop", adapted=(BROKEN,))),
        (f"{BEGUN}{READ}", "stop", reply("", ("read", '{"a": "b'), EMPTY, adapted=(BROKEN,))),
        (READ, "length", reply("", EMPTY, stop="length")),
        (READ, "content_filter", reply("", EMPTY, stop="content_filter")),
        (READ, "tool_calls", reply("", EMPTY)),
        (f'{OPEN}{{"name": "re', "length", reply(f'{OPEN}{{"name": "re', stop="length", adapted=(UNREADABLE,))),
        ("a <tool_c", "length", reply("a <tool_c", stop="length")),
        (" \n", "stop", reply(" \n", stop="stop")),
    ],
)
def test_an_answer_that_ends_early_says_so(text: str, reason: StopReason, expected: Reply) -> None:
    assert folded(text, reason=reason) == expected
    assert folded(*text, reason=reason) == expected


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("x < y", "x < y"),
        ("x <", "x"),
        ("x <to", "x"),
        ("x <table", "x <table"),
        ("x </tool_call_5", "x"),
        ("a  ", "a"),
        ("a\n``", "a"),
        ("a\n```json\n<tool_call_", "a"),
        ("a ``", "a ``"),
        ("a\n```json\nb", "a\n```json\nb"),
        (f"{' ' * 100}", " " * 36),
        (f"a{OPEN}b", f"a{OPEN}b"),
        (f'a{OPEN}{{"name": "x"', f'a{OPEN}{{"name": "x"'),
        (f"a{OPEN}{{", "a"),
    ],
)
def test_only_what_may_become_a_call_is_held(text: str, passed: str) -> None:
    events = CallFinder(TOOLS, NONCE).adapt([Text(text)])
    assert "".join(event.text for event in events if isinstance(event, Text)) == passed


def test_arguments_are_streamed() -> None:
    finder = CallFinder(TOOLS, NONCE)
    pieces = ["a\n", f"{OPEN}{{", '"name": "wri', 'te", "arguments": {"te', 'xt": "b', "<", '/p>"', "}", "}", CLOSE]
    assert [finder.adapt([Text(piece)]) for piece in pieces] == [
        [Text("a")],
        [],
        [],
        [CallStart(0, "call_5eed_0", "write"), CallArguments(0, '{"te')],
        [CallArguments(0, 'xt": "b')],
        [],
        [CallArguments(0, '</p>"')],
        [CallArguments(0, "}")],
        [],
        [],
    ]


def test_other_events_pass_and_held_text_goes_before_a_failure() -> None:
    fault = Failed(Fault(kind="bad_gateway", message="broken"))
    given: list[Event] = [Reasoning(READ), Text("a <"), Adapted("stream:folded"), Usage(1, 2, 3), fault]
    expected = [Reasoning(READ), Text("a"), Adapted("stream:folded"), Usage(1, 2, 3), Text(" <"), fault]
    assert CallFinder(TOOLS, NONCE).adapt(given) == expected


def test_a_call_that_a_failure_breaks_off_needs_no_note() -> None:
    fault = Failed(Fault(kind="bad_gateway", message="broken"))
    expected = [CallStart(0, "call_5eed_0", "read"), CallArguments(0, '{"a": "b'), fault]
    assert CallFinder(TOOLS, NONCE).adapt([Text(BEGUN), fault]) == expected


PIECES = [
    OPEN,
    CLOSE,
    READ,
    BEGUN,
    '{"name": "read", "arguments": {',
    '"name"',
    '"arguments": ',
    "{",
    "}",
    '"',
    "\\",
    ",",
    "```",
    "```json",
    "`",
    "\n",
    " ",
    " " * (MAX_SPACE + 1),
    "a",
    "<",
    "</tool",
    "\ud800",
    "[" * 2000,
]
answers = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
reasons = st.sampled_from(["stop", "length"])


def cuts(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


@given(answers, st.lists(st.integers(0, 10_000), max_size=12), reasons)
def test_no_cut_makes_a_difference(text: str, places: list[int], reason: StopReason) -> None:
    whole = folded(text, reason=reason)
    assert folded(*cuts(text, places), reason=reason) == whole
    assert folded(*text, reason=reason) == whole


@given(st.one_of(st.text(), answers.map(lambda text: text.replace(NONCE, "5eec"))))
@example(f"```json\n{READ}\n```".replace(NONCE, "5eec"))
def test_text_without_the_marker_passes_as_it_is(text: str) -> None:
    assert folded(*text) == reply(text, stop="stop")


objects = st.dictionaries(st.text(max_size=5), st.one_of(st.text(), st.integers(), st.lists(st.booleans())), max_size=4)
calls = st.tuples(st.sampled_from(["read", "write"]), objects.map(json.dumps))


@given(st.text(st.characters(exclude_characters="`<")), st.lists(calls, min_size=1, max_size=4), st.booleans())
def test_what_was_planned_is_found(text: str, planned: list[tuple[str, str]], fenced: bool) -> None:
    said = text.rstrip(" \t\r\n")
    body = "\n".join(written(*call) for call in planned)
    answer = f"{said}\n```json\n{body}\n```\n" if fenced else f"{said}\n\n{body}\n"
    assert folded(answer) == bitwise(answer) == reply(said, *planned)
