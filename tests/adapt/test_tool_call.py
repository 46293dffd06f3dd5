"""One call between its markers: when it begins, how far it reaches, and what is let go."""

import pytest

from cody_oai_router.adapt.tool_call import MAX_HEAD, MAX_HELD, MAX_LITTER, Call, closing, opening
from cody_oai_router.events import CallArguments, CallStart, Event


def begun() -> Call:
    return Call(frozenset({"read"}), 2, "id", "\n")


def fed(call: Call, *pieces: str) -> tuple[list[Event], str | None]:
    """Feeds pieces until the call is over; gives its events and what does not belong to it."""
    out: list[Event] = []
    for piece in pieces:
        left = call.feed(piece, out)
        if left is not None:
            return out, left
    return out, None


def made(arguments: str) -> list[Event]:
    return [CallStart(2, "id", "read"), CallArguments(2, arguments)]


def test_markers() -> None:
    assert (opening("5eed"), closing("5eed")) == ("<tool_call_5eed>", "</tool_call_5eed>")


def test_a_call_begins_with_its_arguments() -> None:
    call = begun()
    assert fed(call, '{"name": "read", "arguments": ') == ([], None)
    assert (call.name, call.written()) == ("", '{"name": "read", "arguments": ')
    assert fed(call, "{") == (made("{"), None)
    assert (call.name, call.whole, call.complete) == ("read", False, False)
    assert fed(call, "}") == ([CallArguments(2, "}")], None)
    assert (call.whole, call.complete) == (True, False)
    assert fed(call, "}") == ([], None)
    assert (call.whole, call.complete, call.repaired) == (True, True, False)


def test_a_backslash_at_the_end_of_a_piece_escapes_what_comes_next() -> None:
    call = begun()
    out, left = fed(call, '{"name": "read", "arguments": {"a": "\\', "", '"}\\', "\\", '"}', "}")
    assert "".join(event.text for event in out if isinstance(event, CallArguments)) == r'{"a": "\"}\\"}'
    assert (left, call.complete) == (None, True)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"name": "read", "arguments": {}}\n} `', None),
        ('{"name": "read", "arguments": {}}\nwords', "\nwords"),
        ('{"name": "read", "arguments": {}} \n words', " \n words"),
        ('{"name": "read", "arguments": {} words', "words"),
        ('{"name": "read", "arguments": {}, "words', None),
        ('{"name": "read", "arguments": {}}' + " " * MAX_LITTER, None),
        ('{"name": "read", "arguments": {}}' + " " * (MAX_LITTER + 1), " " * (MAX_LITTER + 1)),
    ],
)
def test_what_follows_a_call_is_given_back(text: str, left: str | None) -> None:
    assert fed(begun(), text) == (made("{}"), left)
    out, given = fed(begun(), *text)
    assert (out[0], "".join(event.text for event in out if isinstance(event, CallArguments))) == (made("{}")[0], "{}")
    assert given is None if left is None else given and left.startswith(given)


@pytest.mark.parametrize("text", ["word", " `` word", '{"name": "write"', '{"name": "\\x"', '{"name": "\ud800"'])
def test_what_is_no_call_is_known_early(text: str) -> None:
    call = begun()
    assert fed(call, text) == ([], "")
    assert (call.name, call.written()) == ("", text)


@pytest.mark.parametrize("text", ["", " \n", "``", "```json", "```json\n", "{", '{"na', '{"name": "rea', '{"why": "'])
def test_what_may_become_a_call_is_held(text: str) -> None:
    call = begun()
    assert fed(call, text) == ([], None)
    assert call.written() == text


def spaced(size: int) -> str:
    """Gives a call in the right form whose arguments begin at `size`."""
    return '{"name":"read","arguments":'.rjust(size) + "{"


def test_the_beginning_of_arguments_is_looked_for_within_reason() -> None:
    assert fed(begun(), spaced(MAX_HEAD - 1)) == (made("{"), None)
    assert fed(begun(), spaced(MAX_HEAD)) == ([], None)
    assert fed(begun(), *spaced(MAX_HEAD)) == ([], None)


def padded(size: int) -> str:
    """Gives a call in another form of that size."""
    start, end = '{"why": "', '", "name": "read"}'
    return start + "a" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("cut", [1, 1000, MAX_HELD])
def test_a_call_that_never_ends_is_let_go(cut: int) -> None:
    kept = padded(MAX_HELD)
    assert fed(begun(), kept[:cut], kept[cut:]) == (made("{}"), None)
    long = padded(MAX_HELD + 1)
    call = begun()
    assert fed(call, long[:cut], long[cut:]) == ([], "")
    assert call.written() == long
