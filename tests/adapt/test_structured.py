"""Structured answers in words: the instruction, the check, the second ask, and the refusal."""

import json

import msgspec
import pytest
from hypothesis import given

from cody_oai_router.adapt.schema import Schema, read_schema
from cody_oai_router.adapt.structured import check, instruct, repair, unmet
from cody_oai_router.conversation import Format, ImagePart, Part, Role, TextPart, Turn
from cody_oai_router.faults import Fault
from strategies import texts

IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))
HINT = msgspec.Raw(b'{"type":"ephemeral"}')
JSON = Format(kind="json_object")
RAW = msgspec.Raw(
    b'{\n  "type": "object",\n  "properties": {"a \\"b\\"": {"pattern": "\\\\d\xc3\xa9"}},\n  "required": ["n"]\n}'
)


def text(wire: str) -> TextPart:
    """Text as it stands on the wire, without its quotes."""
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()))


def turn(role: Role, *wire: str, listed: bool = False) -> Turn:
    return Turn(role=role, parts=tuple(map(text, wire)), listed=listed)


def said(part: Part) -> str:
    assert isinstance(part, TextPart)
    return msgspec.json.decode(part.text, type=str)


def read(raw: msgspec.Raw) -> Schema:
    found = read_schema(raw, "shape")
    assert isinstance(found, Schema)
    return found


SCHEMA = read(RAW)

END = """
Write that JSON alone: nothing before or after it, no code fence, no comments, line breaks in strings as \\n. \
This is about your answer: where you need a tool first, call it as usual.
</RESPONSE_FORMAT>"""
ANY_OBJECT = f"<RESPONSE_FORMAT>\nYour answer must be one JSON object.{END}"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (JSON, ANY_OBJECT),
        (
            Format(kind="json_schema", name="weather"),
            ANY_OBJECT.replace("one JSON object", "one JSON object (weather)"),
        ),
        (
            Format(kind="json_schema", name="weather", description='A "forecast"\nin brief', schema=RAW, strict=True),
            '<RESPONSE_FORMAT>\nYour answer must be one JSON document (weather: A "forecast"\nin brief) that is valid against this JSON '
            'schema:\n{"type":"object","properties":{"a \\"b\\"":{"pattern":"\\\\dé"}},"required":["n"]}' + END,
        ),
    ],
)
def test_what_the_user_asks_for(wanted: Format, words: str) -> None:
    (asking,), notes = instruct((turn("user", "hi"),), wanted)
    assert said(asking.parts[0]) == f"hi\n\n{words}"
    assert notes == {"response_format:instructed"}


def words(role: Role, *parts: Part, listed: bool = False) -> Turn:
    return Turn(role=role, parts=parts, listed=listed)


PART = TextPart(msgspec.Raw(msgspec.json.encode(ANY_OBJECT)))
SPLICED = bytes(PART.text)[1:-1].decode()


@pytest.mark.parametrize(
    ("given", "asking"),
    [
        (turn("user", r"a\u00e9\n"), turn("user", rf"a\u00e9\n\n\n{SPLICED}")),
        (turn("user", "a", "b", listed=True), words("user", text("a"), text("b"), PART, listed=True)),
        (words("user", text("a"), IMAGE, listed=True), words("user", text("a"), IMAGE, PART, listed=True)),
        (words("user", IMAGE), words("user", IMAGE, PART, listed=True)),
        (turn("user"), words("user", PART)),
        (
            words("user", TextPart(msgspec.Raw(b'"a"'), HINT), listed=True),
            words("user", TextPart(msgspec.Raw(b'"a"'), HINT), PART, listed=True),
        ),
    ],
)
def test_it_stands_at_the_end_of_what_the_user_said_last(given: Turn, asking: Turn) -> None:
    before, after = (turn("system", "s"), turn("user", "u")), (turn("assistant", "c"), turn("tool", "r"))
    assert instruct((*before, given, *after), JSON)[0] == (*before, asking, *after)


@pytest.mark.parametrize("turns", [(), (turn("system", "s"),), (turn("assistant", "a"), turn("tool", "t"))])
def test_where_no_user_spoke_one_does(turns: tuple[Turn, ...]) -> None:
    assert instruct(turns, JSON)[0] == (*turns, words("user", PART))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"n": 1}', '{"n": 1}'),
        ('Sure:\n```json\n{"n":\n1}\n```', '{"n":\n1}'),
        ('{"n": "a\nb"}', '{"n": "a\\nb"}'),
        ("{}", ('$: lacks "n".',)),
        ("[1]", ("$: must be object, not array.",)),
        (
            '{"n": 1, "a \\"b\\"": "x"}',
            ('$["a \\"b\\""]: does not match the pattern "\\\\dé".',),
        ),
        ("I will not.", ("$: The model answered without a JSON document, which response_format asks for.",)),
        ('{"n": ', ("$: The model's JSON ended before it was complete.",)),
        ('{"n": "\ud800"}', ("$: The model's JSON is not valid: half a character in it.",)),
    ],
)
def test_a_whole_answer_is_json_or_what_is_wrong_with_it(answer: str, found: str | tuple[str, ...]) -> None:
    assert check(answer, SCHEMA) == found


@given(texts, texts)
def test_any_answer_is_checked(answer: str, value: str) -> None:
    assert isinstance(check(answer, SCHEMA), str | tuple)
    written = json.dumps({"n": [value.encode("utf-8", "replace").decode()]})
    assert check(f"{written} {answer}", SCHEMA) == written


@pytest.mark.parametrize("answer", ["[" * 100_000, '{"n":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_brackets_without_end_are_no_json(answer: str) -> None:
    assert isinstance(check(answer, SCHEMA), tuple)


def test_the_model_is_asked_again_with_what_is_wrong() -> None:
    turns = (turn("user", "hi"),)
    again = repair(turns, '{"a": "\n"}', ('$: lacks "n".', "$.a: must be number, not string."))
    assert again[:1] == turns
    assert [(said_by.role, said(said_by.parts[0])) for said_by in again[1:]] == [
        ("assistant", '{"a": "\n"}'),
        (
            "user",
            """Your answer is not valid:
- $: lacks "n".
- $.a: must be number, not string.
Write the whole JSON again with this put right, and nothing else: no apology, no code fence.""",
        ),
    ]


def test_half_a_character_can_be_shown_to_the_model_again() -> None:
    assert said(repair((), "a\ud800b", ("$: wrong.",))[0].parts[0]) == "a?b"


def test_after_the_second_try_it_is_refused() -> None:
    assert unmet(SCHEMA, ("$.a: one.", "$.b: two.", "$.c: three.", "$.d: four.")) == Fault(
        kind="unprocessable",
        message="The model's answer did not meet the schema of response_format 'shape', and neither did its second attempt: "
        "$.a: one. $.b: two. $.c: three. Ask again, simplify the schema, or use another model.",
        param="response_format",
        code="output_against_schema",
    )
