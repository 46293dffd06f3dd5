"""Tools and the choice among them: which are offered, as they were written, and the words for what is none."""

import json
from typing import Any

import msgspec
import pytest

from cody_oai_router.conversation import Named, Tool, ToolChoice
from cody_oai_router.dialects.openai_chat.fields import Refused
from cody_oai_router.dialects.openai_chat.messages import Notes
from cody_oai_router.dialects.openai_chat.tools import read_parallel, read_tools

Found = tuple[tuple[Tool, ...], ToolChoice, tuple[str, ...]]


def read(fields: str) -> Found:
    notes = Notes()
    tools, choice = read_tools(msgspec.json.decode(f"{{{fields}}}", type=dict[str, msgspec.Raw]), notes)
    return tools, choice, notes.sorted()


def function(name: str) -> dict[str, Any]:
    return {"name": name, "parameters": {"type": "object"}}


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": function(name)}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str, flat: bool = False) -> dict[str, Any]:
    tools = [{"type": "function", "name": name} if flat else named(name) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def offered(*names: str, choice: Any = None) -> str:
    chosen = {} if choice is None else {"tool_choice": choice}
    return json.dumps({"tools": [tool(name) for name in names], **chosen})[1:-1]


def legacy(*names: str, choice: Any = None) -> str:
    chosen = {} if choice is None else {"function_call": choice}
    return json.dumps({"functions": [function(name) for name in names], **chosen})[1:-1]


AS_TOOLS = ("functions:as-tools",)
NARROWED = ("tools:narrowed",)
WITHHELD = ("tools:withheld",)


@pytest.mark.parametrize(
    ("fields", "names", "choice", "notes"),
    [
        ("", [], "auto", ()),
        (offered("f", "g"), ["f", "g"], "auto", ()),
        (offered("f", "g", choice="auto"), ["f", "g"], "auto", ()),
        (offered("f", "g", choice="required"), ["f", "g"], "required", ()),
        (offered("f", "g", choice="none"), [], "auto", WITHHELD),
        (offered("f", "g", choice=named("g")), ["g"], Named(("g",)), NARROWED),
        (offered("f", choice=named("f")), ["f"], Named(("f",)), ()),
        (offered("f", choice={"name": "f"}), ["f"], Named(("f",)), ()),
        (offered("f", "g", "h", choice=allowed("auto", "h", "f")), ["f", "h"], Named(("f", "h"), False), NARROWED),
        (offered("f", "g", choice=allowed("required", "f", "g")), ["f", "g"], Named(("f", "g")), ()),
        (offered("f", "g", choice=allowed("required", "g", flat=True)), ["g"], Named(("g",)), NARROWED),
        (offered("f", choice=allowed("auto", "f", "nobody")), ["f"], Named(("f",), False), ()),
        (offered(choice="required"), [], "auto", ("tool_choice:dropped",)),
        (offered(choice=named("x")), [], "auto", ("tool_choice:dropped",)),
        (legacy("f", "g"), ["f", "g"], "auto", AS_TOOLS),
        (legacy("f", "g", choice="auto"), ["f", "g"], "auto", AS_TOOLS),
        (legacy("f", choice="none"), [], "auto", (*AS_TOOLS, *WITHHELD)),
        (legacy("f", "g", choice={"name": "f"}), ["f"], Named(("f",)), (*AS_TOOLS, *NARROWED)),
        ('"function_call":"auto"', [], "auto", ("function_call:dropped",)),
        ('"functions":[]', [], "auto", ()),
        (f'"tools":[],{legacy("f")}', ["f"], "auto", AS_TOOLS),
        (f"{offered('f')},{legacy('g')}", ["f"], "auto", ()),
    ],
)
def test_what_may_be_called_and_what_must(
    fields: str, names: list[str], choice: ToolChoice, notes: tuple[str, ...]
) -> None:
    tools, found, changed = read(fields)
    assert [tool.name for tool in tools] == names
    assert (found, changed) == (choice, notes)


HINT = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("beside", "within", "notes"),
    [
        ({}, {"strict": True, "description": "d"}, ()),
        (HINT, {}, ("cache_control:dropped",)),
        ({}, HINT, ("cache_control:dropped",)),
        ({"defer_loading": True}, {}, ("unknown-field:dropped",)),
        (HINT, {"examples": []}, ("cache_control:dropped", "unknown-field:dropped")),
        ({"cache_control": None}, {"x": None}, ()),
    ],
)
def test_what_is_left_out_of_a_tool_is_noted(
    beside: dict[str, Any], within: dict[str, Any], notes: tuple[str, ...]
) -> None:
    given = {"type": "function", "function": function("f") | within} | beside
    tools, _, changed = read(json.dumps({"tools": [given]})[1:-1])
    assert [tool.name for tool in tools] == ["f"]
    assert changed == notes
    _, _, changed = read(json.dumps({"functions": [function("f") | within | beside]})[1:-1])
    assert changed == tuple(sorted({*notes, *AS_TOOLS}))


EMPTY = msgspec.Raw(b'{"type":"object","properties":{}}')


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            '{"name":"f","description":"d\\u00e9","parameters":{"type" : "object"},"strict":true}',
            Tool(
                name="f",
                description=msgspec.Raw(b'"d\\u00e9"'),
                parameters=msgspec.Raw(b'{"type" : "object"}'),
                strict=True,
            ),
        ),
        ('{"name":"f"}', Tool(name="f", parameters=EMPTY)),
        ('{"name":"f","description":null,"parameters":null,"strict":null}', Tool(name="f", parameters=EMPTY)),
        ('{"name":"f","parameters":{}}', Tool(name="f", parameters=EMPTY)),
        (
            '{"name":"f","parameters":{"properties":{"a":{}}}}',
            Tool(name="f", parameters=msgspec.Raw(b'{"type":"object","properties":{"a":{}}}')),
        ),
        ('{"name":"f","parameters":{"type":"object"}}', Tool(name="f", parameters=msgspec.Raw(b'{"type":"object"}'))),
    ],
)
def test_a_tool_is_kept_as_it_is_written(written: str, expected: Tool) -> None:
    for fields in (
        f'"tools":[{{"type":"function","function":{written}}}]',
        f'"tools":[{{"function":{written}}}]',
        f'"functions":[{written}]',
    ):
        tools, _, notes = read(fields)
        assert tools == (expected,)
        assert ("tools:schema-filled" in notes) == (bytes(expected.parameters or b"") not in written.encode())


@pytest.mark.parametrize(("given", "parallel"), [({}, True), ({"parallel_tool_calls": "true"}, True)])
def test_calls_may_be_parallel(given: dict[str, str], parallel: bool) -> None:
    assert read_parallel({name: msgspec.Raw(value.encode()) for name, value in given.items()}) == parallel


def test_calls_may_be_one_at_a_time() -> None:
    assert not read_parallel({"parallel_tool_calls": msgspec.Raw(b"false")})
    with pytest.raises(Refused, match="expected a boolean, but got a string instead"):
        read_parallel({"parallel_tool_calls": msgspec.Raw(b'"false"')})


def wrong(where: str, expected: str, got: str) -> tuple[str, str, str]:
    message = f"Invalid type for '{where}': expected {expected}, but got {got} instead."
    return message, where, "invalid_type"


def lacking(where: str) -> tuple[str, str, str]:
    return f"Missing required parameter: '{where}'.", where, "missing_required_parameter"


def unsupported(where: str) -> tuple[str, str, str]:
    return f"Invalid '{where}': only tools of type 'function' can be carried.", where, "unsupported_value"


def invalid(where: str, message: str) -> tuple[str, str, str]:
    return message, where, "invalid_value"


NO_CHOICE = "it must be a word or name a function."
NO_TOOL = "it names no tool of this request."
WORDS = "Supported values are: 'none', 'auto', and 'required'."


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ('"tools":{}', wrong("tools", "an array of objects", "an object")),
        ('"tools":["f"]', wrong("tools[0]", "an object", "a string")),
        ('"tools":[{}]', unsupported("tools[0]")),
        ('"tools":[{"type":"custom","custom":{"name":"x"}}]', unsupported("tools[0]")),
        ('"tools":[{"type":"custom","function":{"name":"x"}}]', unsupported("tools[0]")),
        ('"tools":[{"type":7,"function":{"name":"x"}}]', wrong("tools[0].type", "a string", "a number")),
        ('"tools":[{"type":"function","function":"f"}]', wrong("tools[0].function", "an object", "a string")),
        ('"tools":[{"type":"function","function":{}}]', lacking("tools[0].function.name")),
        ('"functions":[{"name":""}]', lacking("functions[0].name")),
        ('"functions":[{"name":7}]', wrong("functions[0].name", "a string", "a number")),
        (
            '"functions":[{"name":"f","description":["d"]}]',
            wrong("functions[0].description", "a string", "an array"),
        ),
        ('"functions":[{"name":"f","parameters":[]}]', wrong("functions[0].parameters", "an object", "an array")),
        ('"functions":[{"name":"f","strict":1}]', wrong("functions[0].strict", "a boolean", "a number")),
        (
            offered("f", "g", "f"),
            invalid("tools", "Tool names must be unique; 'f' is there more than once."),
        ),
        (offered("f", choice=named("g")), invalid("tool_choice", f"Invalid 'tool_choice': {NO_TOOL}")),
        (offered("f", choice="any"), invalid("tool_choice", f"Invalid value: 'any'. {WORDS}")),
        (offered("f", choice=5), invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}")),
        (offered("f", choice=[]), invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}")),
        (offered("f", choice={}), invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}")),
        (offered("f", choice={"function": "f"}), invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}")),
        (offered("f", choice={"function": {"name": 5}}), invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}")),
        (
            offered("f", choice={"type": "custom", "custom": {"name": "f"}}),
            invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}"),
        ),
        (
            offered("f", choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}),
            invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}"),
        ),
        (
            offered("f", choice={"type": "allowed_tools", "allowed_tools": {}}),
            invalid("tool_choice", f"Invalid 'tool_choice': {NO_CHOICE}"),
        ),
        (offered("f", choice=allowed("auto")), invalid("tool_choice", f"Invalid 'tool_choice': {NO_TOOL}")),
        (legacy("f", choice={"name": "g"}), invalid("function_call", f"Invalid 'function_call': {NO_TOOL}")),
        (legacy("f", choice="any"), invalid("function_call", f"Invalid value: 'any'. {WORDS}")),
        (legacy("f", choice=5), invalid("function_call", f"Invalid 'function_call': {NO_CHOICE}")),
    ],
)
def test_a_refusal_names_the_field(fields: str, refusal: tuple[str, str, str]) -> None:
    with pytest.raises(Refused) as refused:
        read(fields)
    fault = refused.value.fault
    assert (fault.message, fault.param, fault.code) == refusal
    assert fault.kind == "bad_request"
