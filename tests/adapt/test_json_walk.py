"""JSON followed by its brackets, however it is cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.json_walk import JsonWalker
from strategies import json_values


@pytest.mark.parametrize(
    ("text", "document", "rest", "mended"),
    [
        ("{}", "{}", "", False),
        ("{} and more", "{}", " and more", False),
        ('{"a}": [1, {"b": "\\\\"}]}}', '{"a}": [1, {"b": "\\\\"}]}', "}", False),
        ('{"a": "x\ny\t\x01"}', r'{"a": "x\ny\t\u0001"}', "", True),
        ('{"a\n":\n1}', '{"a\\n":\n1}', "", True),
    ],
)
def test_the_end_of_a_document(text: str, document: str, rest: str, *, mended: bool) -> None:
    walker = JsonWalker()
    found, end = walker.walk(text)
    assert (found, text[end:] if end is not None else None, walker.mended) == (document, rest, mended)


def test_a_document_that_is_not_over() -> None:
    assert JsonWalker().walk('{"a": [1') == ('{"a": [1', None)


def test_an_inner_bracket() -> None:
    walker = JsonWalker(depth=1)
    assert walker.walk('{"x": {}}, "y"', until=1) == ('{"x": {}}', 9)


@given(st.dictionaries(st.text(), json_values, max_size=3), st.integers(1, 7))
def test_any_cut_ends_at_the_same_place(value: dict[str, object], step: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    walker = JsonWalker()
    pieces: list[str] = []
    for start in range(0, len(text), step):
        piece, end = walker.walk(text[start : start + step])
        pieces.append(piece)
        assert (end is not None) == (start + step >= len(text))
    assert json.loads("".join(pieces)) == value
