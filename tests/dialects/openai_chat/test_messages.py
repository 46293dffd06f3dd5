"""Messages: what each becomes, and what is refused in which words."""

from typing import Any

import msgspec
import pytest

from cody_oai_router.conversation import ImagePart, OtherPart, Part, Prompt, TextPart, ToolCall, Turn
from cody_oai_router.dialects.openai_chat import read_prompt
from cody_oai_router.dialects.openai_chat.messages import ARRAY, STRING, Notes, first, is_null
from cody_oai_router.faults import Fault


def read(*messages: str) -> Prompt | Fault:
    return read_prompt(f'{{"model":"m","messages":[{",".join(messages)}]}}'.encode())


def text(wire: str) -> TextPart:
    return TextPart(msgspec.Raw(f'"{wire}"'.encode()))


def turn(*parts: Part, **fields: Any) -> Turn:
    return Turn(**{"role": "user", "parts": parts} | fields)


CALL = '{"id":"c","type":"function","function":{"name":"f","arguments":"{\\"a\\":1}"}}'
TOOL_CALL = ToolCall("c", "f", '{"a":1}')
HINTS = '"cache_control":{"type":"ephemeral"}'
TEXT = '{"type":"text","text":"a"}'
IMAGE_URL = '{"type":"image_url","image_url":{"url":"data:,"}}'
IMAGE = ImagePart(msgspec.Raw(b'"data:,"'))
THOUGHT = ("think-tags:dropped",)


def hinted(wire: str) -> TextPart:
    return TextPart(text(wire).text, msgspec.Raw(b'{"type":"ephemeral"}'))


@pytest.mark.parametrize(
    ("message", "expected", "notes"),
    [
        ('{"role":"user","content":"hi"}', turn(text("hi")), ()),
        ('{"role":"user","content":"\\u00e9\\n\\/"}', turn(text("\\u00e9\\n\\/")), ()),
        ('{"role":"user","content":"é"}', turn(text("é")), ()),
        ('{"role":"system","content":"hi"}', turn(text("hi"), role="system"), ()),
        ('{"role":"developer","content":"hi"}', turn(text("hi"), role="developer"), ()),
        ('{"role":"user","content":""}', turn(text("")), ()),
        ('{"role":"user","content":null}', turn(), ()),
        ('{"role":"user"}', turn(), ()),
        ('{"role":"user","content":[]}', turn(listed=True), ()),
        (
            '{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":""}]}',
            turn(text("a"), text(""), listed=True),
            (),
        ),
        (
            '{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}',
            turn(text("no"), role="assistant", listed=True),
            ("refusal:as-text",),
        ),
        (
            '{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}',
            turn(TextPart(msgspec.Raw(b'"a"'), msgspec.Raw(b'{"type":"ephemeral"}')), listed=True),
            (),
        ),
        (
            '{"role":"user","content":[{"type":"text","text":"a","cache_control":null}]}',
            turn(text("a"), listed=True),
            (),
        ),
        (
            '{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"},"cache_control":{}}]}',
            turn(ImagePart(msgspec.Raw(b'"data:,"')), listed=True),
            ("cache_control:dropped",),
        ),
        (
            '{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,","detail":"low"}}]}',
            turn(ImagePart(msgspec.Raw(b'"data:,"'), "low"), listed=True),
            (),
        ),
        (
            '{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}',
            turn(ImagePart(msgspec.Raw(b'"data:,"')), listed=True),
            (),
        ),
        ('{"role":"user","content":[{"type":"file","file":{}}]}', turn(OtherPart("file"), listed=True), ()),
        ('{"role":"user","content":[{"text":"a"}]}', turn(OtherPart(""), listed=True), ()),
        ('{"role":"user","content":[{"type":7}]}', turn(OtherPart(""), listed=True), ()),
        ('{"role":"user","content":"a","name":"bob"}', turn(text("a"), name="bob"), ()),
        ('{"role":"user","content":"a","name":null}', turn(text("a")), ("nulls:dropped",)),
        (
            '{"role":"user","content":"a","reasoning_content":"r","x":1,"refusal":null}',
            turn(text("a")),
            ("message-fields:dropped", "nulls:dropped", "reasoning_content:dropped"),
        ),
        # A cache hint of a message reaches as far as its last text.
        (f'{{"role":"system","content":"a",{HINTS}}}', turn(hinted("a"), role="system"), ()),
        (
            f'{{"role":"tool","tool_call_id":"c","content":"a",{HINTS}}}',
            turn(hinted("a"), role="tool", call_id="c"),
            (),
        ),
        (
            f'{{"role":"user","content":[{TEXT},{TEXT},{IMAGE_URL}],{HINTS}}}',
            turn(text("a"), hinted("a"), IMAGE, listed=True),
            (),
        ),
        (
            f'{{"role":"user","content":[{TEXT},{{"type":"text","text":""}}],{HINTS}}}',
            turn(hinted("a"), text(""), listed=True),
            (),
        ),
        (
            '{"role":"user","content":[{"type":"text","text":"a","cache_control":{"ttl":"1h"}}],"cache_control":{}}',
            turn(TextPart(msgspec.Raw(b'"a"'), msgspec.Raw(b'{"ttl":"1h"}')), listed=True),
            (),
        ),
        ('{"role":"user","content":"a","cache_control":null}', turn(text("a")), ("nulls:dropped",)),
        ('{"role":"user","content":"a","cache_control":true}', turn(text("a")), ("cache_control:dropped",)),
        (f'{{"role":"user","content":"",{HINTS}}}', turn(text("")), ("cache_control:dropped",)),
        (
            f'{{"role":"assistant","content":null,"tool_calls":[{CALL}],{HINTS}}}',
            turn(role="assistant", calls=(TOOL_CALL,)),
            ("cache_control:dropped",),
        ),
        (f'{{"role":"user","content":[{IMAGE_URL}],{HINTS}}}', turn(IMAGE, listed=True), ("cache_control:dropped",)),
        (
            '{"role":"user","content":[{"type":"text","text":"a","cache_control":"x"}]}',
            turn(text("a"), listed=True),
            ("cache_control:dropped",),
        ),
        # What it refused is what it said; beside a content, which OpenAI never has, a refusal is left out.
        (
            '{"role":"assistant","content":null,"refusal":"no"}',
            turn(text("no"), role="assistant"),
            ("refusal:as-text",),
        ),
        ('{"role":"assistant","refusal":"no"}', turn(text("no"), role="assistant"), ("refusal:as-text",)),
        ('{"role":"assistant","content":"","refusal":"no"}', turn(text("no"), role="assistant"), ("refusal:as-text",)),
        (
            '{"role":"assistant","content":"a","refusal":"no"}',
            turn(text("a"), role="assistant"),
            ("message-fields:dropped",),
        ),
        ('{"role":"assistant","refusal":7}', turn(role="assistant"), ("message-fields:dropped",)),
        (f'{{"role":"assistant","refusal":"no",{HINTS}}}', turn(hinted("no"), role="assistant"), ("refusal:as-text",)),
        # What it thought is not sent back, on either way of reading.
        ('{"role":"assistant","content":"<think>a</think>\\n\\nb"}', turn(text("b"), role="assistant"), THOUGHT),
        (
            '{"role":"assistant","content":"<think>a</think>b","tool_calls":null}',
            turn(text("b"), role="assistant"),
            ("nulls:dropped", *THOUGHT),
        ),
        (
            f'{{"role":"assistant","content":[{{"type":"text","text":"<think>a</think>b"}},{TEXT}],{HINTS}}}',
            turn(text("b"), hinted("a"), role="assistant", listed=True),
            THOUGHT,
        ),
        ('{"role":"user","content":"<think>a</think>b"}', turn(text("<think>a</think>b")), ()),
        ('{"role":"tool","tool_call_id":"c","content":"r"}', turn(text("r"), role="tool", call_id="c"), ()),
        ('{"role":"function","name":"f","content":"r"}', turn(text("r"), role="function", name="f"), ()),
        (
            f'{{"role":"assistant","content":null,"tool_calls":[{CALL}]}}',
            turn(role="assistant", calls=(TOOL_CALL,)),
            (),
        ),
        (f'{{"role":"assistant","tool_calls":[{CALL},{CALL}]}}', turn(role="assistant", calls=(TOOL_CALL,) * 2), ()),
        ('{"role":"assistant","content":"a","tool_calls":[]}', turn(text("a"), role="assistant"), ()),
        (
            '{"role":"assistant","content":"a","tool_calls":null,"function_call":null}',
            turn(text("a"), role="assistant"),
            ("nulls:dropped",),
        ),
        (
            '{"role":"assistant","tool_calls":[{"id":null,"function":{"name":"f","arguments":""}}]}',
            turn(role="assistant", calls=(ToolCall("", "f", "{}"),)),
            ("arguments:filled",),
        ),
        (
            '{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":null}}]}',
            turn(role="assistant", calls=(ToolCall("c", "f", "{}"),)),
            ("arguments:filled",),
        ),
        (
            '{"role":"assistant","function_call":{"name":"f","arguments":"[]"}}',
            turn(role="assistant", calls=(ToolCall("call_f", "f", "[]"),)),
            ("functions:as-tools",),
        ),
        (
            '{"role":"assistant","function_call":{"name":"f"}}',
            turn(role="assistant", calls=(ToolCall("call_f", "f", "{}"),)),
            ("arguments:filled", "functions:as-tools"),
        ),
    ],
)
def test_what_a_message_becomes(message: str, expected: Turn, notes: tuple[str, ...]) -> None:
    found = read(message)
    assert isinstance(found, Prompt)
    assert found.turns == (expected,)
    assert found.adapted == notes


def test_messages_stay_in_order() -> None:
    found = read('{"role":"user","content":"a"}', '{"role":"user","content":"b"}', '{"role":"assistant","content":"c"}')
    assert isinstance(found, Prompt)
    assert found.turns == (turn(text("a")), turn(text("b")), turn(text("c"), role="assistant"))


INVALID_TYPE = "invalid_type"
MISSING = "missing_required_parameter"
ROLES = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"


def wrong(where: str, expected: str, got: str) -> tuple[str, str, str]:
    return f"Invalid type for 'messages[1].{where}': expected {expected}, but got {got} instead.", where, INVALID_TYPE


def lacking(where: str) -> tuple[str, str, str]:
    return f"Missing required parameter: 'messages[1].{where}'.", where, MISSING


CONTENT = "a string or an array of objects"


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ('{"content":"a"}', lacking("role")),
        ('{"role":null}', wrong("role", "a string", "null")),
        ('{"role":7}', wrong("role", "a string", "a number")),
        ('{"role":"bot"}', (f"Invalid value: 'bot'. Supported values are: {ROLES}.", "role", "invalid_value")),
        ('{"role":"user","content":7}', wrong("content", CONTENT, "a number")),
        ('{"role":"user","content":-0.5}', wrong("content", CONTENT, "a number")),
        ('{"role":"user","content":true}', wrong("content", CONTENT, "a boolean")),
        ('{"role":"user","content":false}', wrong("content", CONTENT, "a boolean")),
        ('{"role":"user","content":{"type":"text"}}', wrong("content", CONTENT, "an object")),
        ('{"role":"user","content":["a"]}', wrong("content[0]", "an object", "a string")),
        ('{"role":"user","content":[{"type":"text","text":"a"},[]]}', wrong("content[1]", "an object", "an array")),
        ('{"role":"user","content":[{"type":"text"}]}', lacking("content[0].text")),
        ('{"role":"user","content":[{"type":"text","text":null}]}', lacking("content[0].text")),
        ('{"role":"user","content":[{"type":"text","text":7}]}', wrong("content[0].text", "a string", "a number")),
        ('{"role":"assistant","content":[{"type":"refusal"}]}', lacking("content[0].refusal")),
        ('{"role":"user","content":[{"type":"image_url"}]}', lacking("content[0].image_url")),
        (
            '{"role":"user","content":[{"type":"image_url","image_url":"data:,"}]}',
            wrong("content[0].image_url", "an object", "a string"),
        ),
        ('{"role":"user","content":[{"type":"image_url","image_url":{}}]}', lacking("content[0].image_url.url")),
        (
            '{"role":"user","content":[{"type":"image_url","image_url":{"url":5}}]}',
            lacking("content[0].image_url.url"),
        ),
        ('{"role":"assistant","tool_calls":{}}', wrong("tool_calls", "an array of objects", "an object")),
        ('{"role":"assistant","tool_calls":["f"]}', wrong("tool_calls[0]", "an object", "a string")),
        ('{"role":"assistant","tool_calls":[{"id":"c"}]}', lacking("tool_calls[0].function")),
        ('{"role":"assistant","tool_calls":[{"function":null}]}', lacking("tool_calls[0].function")),
        (
            '{"role":"assistant","tool_calls":[{"function":7}]}',
            wrong("tool_calls[0].function", "an object", "a number"),
        ),
        ('{"role":"assistant","tool_calls":[{"function":{}}]}', lacking("tool_calls[0].function.name")),
        ('{"role":"assistant","tool_calls":[{"function":{"name":""}}]}', lacking("tool_calls[0].function.name")),
        (
            '{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}',
            wrong("tool_calls[0].function.arguments", "a string", "an object"),
        ),
        ('{"role":"assistant","function_call":"f"}', wrong("function_call", "an object", "a string")),
        ('{"role":"assistant","function_call":{}}', lacking("function_call.name")),
        (
            '{"role":"assistant","function_call":{"name":"f","arguments":[]}}',
            wrong("function_call.arguments", "a string", "an array"),
        ),
    ],
)
def test_a_refusal_names_the_field(message: str, refusal: tuple[str, str, str]) -> None:
    words, where, code = refusal
    found = read('{"role":"user","content":"hi"}', message)
    assert found == Fault(kind="bad_request", message=words, param=f"messages[1].{where}", code=code)


@pytest.mark.parametrize("more", ["", ',"tool_calls":null'])
def test_an_assistant_shows_no_images(more: str) -> None:
    """In OpenAI's own words, on either way of reading; a system message and a tool's result may have some (`adapt/`)."""
    shown = '"content":[{"type":"image_url","image_url":{"url":"data:,"}}]'
    found = read('{"role":"user","content":"hi"}', f'{{"role":"assistant",{shown}{more}}}')
    assert found == Fault(
        kind="bad_request",
        message="Invalid 'messages[1]'. Image URLs are only allowed for messages with role 'user', but this message with role "
        "'assistant' contains an image URL.",
        param="messages[1]",
        code="invalid_value",
    )
    for role in ("user", "system", "developer", "tool", "function"):
        assert isinstance(read(f'{{"role":"{role}",{shown}{more}}}'), Prompt)


def test_looking_at_raw_values() -> None:
    assert is_null(msgspec.Raw(b"null"))
    assert not is_null(msgspec.Raw(b"true"))
    assert not is_null(None)
    assert first(msgspec.Raw(b"[1]")) == ARRAY
    assert first(msgspec.Raw(b'"["')) == STRING


def test_notes_are_kept_once_and_in_order() -> None:
    notes = Notes()
    for note in ("b", "a", "b"):
        notes.add(note)
    assert notes.sorted() == ("a", "b")
