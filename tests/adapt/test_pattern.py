"""Patterns: what they find, beside Python's own, and that nothing takes more steps than it may."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.pattern import Pattern
from cody_oai_router.adapt.pattern_syntax import PatternError


class Purse:
    """Counts what is spent."""

    def __init__(self) -> None:
        self.spent = 0

    def spend(self, steps: int) -> None:
        self.spent += steps


def occurs(pattern: str, text: str) -> bool:
    return Pattern(pattern).occurs(text, Purse().spend)


# pydantic's for a Decimal.
DECIMAL = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("b", ["abc"], ["ac", ""]),
        ("", ["", "a"], []),
        ("^b", ["bc"], ["ab", "\nb"]),
        ("b$", ["ab"], ["ba", "b\n"]),
        (r"\Ab\z", ["b"], ["ab", "ba"]),
        (r"\Ab\Z", ["b"], ["b\n"]),
        ("^(?:ab|cd|)$", ["ab", "cd", ""], ["abcd", "a"]),
        ("^(?<year>[0-9]{4})-(?P<month>[0-9]{2})$", ["2024-01"], ["24-1", "2024-011"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{1,2}?$", ["a", "aa"], ["", "aaa"]),
        ("^a{0}b$", ["b"], ["ab"]),
        ("^a+?b*?c??$", ["a", "aabbc"], ["", "acc"]),
        ("^(a*)*b$", ["b", "aab"], ["a"]),
        ("^a{,2}{x}$", ["a{,2}{x}"], ["aa"]),
        (r"^[a-c\d_-]+$", ["b1_-"], ["d"]),
        (r"^[^a-c\s]$", ["d", "-"], ["b", "\u2003"]),
        (r"^[\w-z]+$", ["a-z"], ["!"]),
        (r"^[a-\d]+$", ["a-1"], ["b"]),
        (r"^[]a]", [], ["]a", "a"]),
        (r"^[\b]$", ["\b"], ["b"]),
        (r"^\d\D\w\W\s\S$", ["1ab! x"], ["1ab!xx", "\u0661ab! x"]),
        (r"^\t\n\r\f\v\0\cJ\x41\u00e9\u{1F600}\/\-$", ["\t\n\r\f\v\0\nA\u00e9\U0001f600/-"], [""]),
        (r"^\p{Lu}\P{L}\p{N}$", ["É!7", "A_٣"], ["éx7"]),
        (r"\bcat\b", ["a cat.", "cat"], ["cats", "acat"]),
        (r"\Bcat", ["acat"], ["cat", "a cat"]),
        ("^.$", ["a", "\U0001f600"], ["\n", "\u2028", "ab"]),
        ("^a(?=b)", ["ab"], ["ac", "a"]),
        ("^(?=.*[A-Z])(?=.*[0-9]).{4,}$", ["aaA1"], ["aaaa1", "A1"]),
        ("a(?!b)", ["abac"], ["ab"]),
        ("^[a-z0-9]+(?:-[a-z0-9]+)*$", ["a-slug-1"], ["a--b", "-a"]),
        (r"^[\w.%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", ["me.x@example.co.uk"], ["me@x", "@example.com"]),
        (DECIMAL, ["12.50", "-.5", "0"], ["-", "abc", "1.2.3"]),
    ],
)
def test_what_is_found(pattern: str, found: list[str], missed: list[str]) -> None:
    assert [text for text in [*found, *missed] if occurs(pattern, text)] == found


atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\b", r"\w", ""])
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,3}", "{2,}"])).map(
            lambda of: f"(?:{of[0]}){of[1]}"
        ),
        inner.map(lambda text: f"(?={text})"),
        inner.map(lambda text: f"(?!{text})"),
    ),
    max_leaves=6,
)


@given(patterns, st.text("ab c", max_size=8))
def test_it_finds_what_python_finds(pattern: str, text: str) -> None:
    assert occurs(pattern, text) is (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(a+)+$",
        r"^(a|a)*$",
        r"^(a|aa)+$",
        r"^(.*a){12}$",
        r"^(\w+\s?)*$",
        r"(a*)*(a*)*(a*)*b",
        DECIMAL,
        "(?:a?){30}a{30}b",
    ],
)
@pytest.mark.parametrize("text", ["a" * 300 + "!", "0" * 300 + "!"])
def test_steps_grow_with_the_text_and_no_faster(pattern: str, text: str) -> None:
    purse, twice = Purse(), Purse()
    assert not Pattern(pattern).occurs(text, purse.spend)
    assert not Pattern(pattern).occurs(text[:-1] + text, twice.spend)
    assert twice.spent <= 2.1 * purse.spent + 100


def test_looking_ahead_everywhere_is_paid_for() -> None:
    purse = Purse()
    Pattern("(?!a*b)c").occurs("a" * 100, purse.spend)
    assert purse.spent > 100 * 100


def test_a_bad_pattern_raises() -> None:
    with pytest.raises(PatternError, match="repeats nothing"):
        Pattern("*")
