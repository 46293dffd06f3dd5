"""Thoughts in an assistant's earlier text: out of the head, and nowhere else (contract §4.3; §8, trap 50)."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.dialects.openai_chat.thoughts import without_thoughts


def bare(wire: str) -> str | None:
    """Takes the thoughts out of text as it stands on the wire, without its quotes."""
    found = without_thoughts(msgspec.Raw(f'"{wire}"'.encode()))
    return None if found is None else bytes(found).decode()


@pytest.mark.parametrize(
    ("wire", "kept"),
    [
        ("<think>a</think>b", "b"),
        (r"<think>\na\n<\/think>\n\n b ", "b "),
        (r" \n\t<think></think>", ""),
        (r"\u003cthink\u003ea\u003C/think\u003E\r\nb", "b"),
        ("<think>a</think><think>b</think>c", "<think>b</think>c"),
        (r"<think>a</think>\\n", r"\\n"),
        (r"<think>a</think>\u00e9", r"\u00e9"),
        ("<think>é</think>日本", "日本"),
        ("", None),
        ("a", None),
        ("a<think>b</think>c", None),
        ("<think>a", None),
        ("<thinking>a</think>b", None),
        ("<think>a</thinks>b", None),
        ("</think>b", None),
        (r"\\n<think>a</think>b", None),
    ],
)
def test_thoughts_at_the_head(wire: str, kept: str | None) -> None:
    assert bare(wire) == (None if kept is None else f'"{kept}"')


@given(st.text(max_size=20), st.text(max_size=20), st.booleans())
def test_what_is_kept_is_the_end_of_the_text(thought: str, said: str, ascii_only: bool) -> None:
    raw = json.dumps(f"<think>{thought}</think>{said}", ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = without_thoughts(msgspec.Raw(raw))
    assert found is not None
    assert json.loads(bytes(found)) == said.lstrip(" \n\r\t")
