"""What of regular expressions is read, and what is refused in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.adapt.pattern_syntax import MAX_GROUPS, MAX_INSTRUCTIONS, MAX_LETTERS, PatternError, read_pattern

TOO_LARGE = "is too large once its repetitions are written out"
ONLY_GROUPS = "has a group that is not supported: only (…), (?:…), (?<name>…), (?=…) and (?!…) are"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("a)", "has a ) without its ("),
        ("(a", "has a ( without its )"),
        ("[a", "breaks off"),
        ("a\\", "breaks off"),
        ("(?<name", "breaks off"),
        ("*a", "repeats nothing"),
        ("(?:|+)", "repeats nothing"),
        ("a**", "repeats a repetition"),
        ("a{2}+", "repeats a repetition"),
        ("a{3,2}", "repeats at most less often than at least"),
        ("[z-a]", "has a range that ends before it begins"),
        (r"(a)\1", "refers back to a group, which is not supported"),
        (r"(?<n>a)\k<n>", "refers back to a group, which is not supported"),
        (r"\y", "has an escape that is not known: \\y"),
        (r"\xZZ", "has an escape without its digits"),
        (r"\u{110000}", "has an escape without its digits"),
        (r"\u{41", "has an escape without its digits"),
        (r"\p{Script=Greek}", "names a property of Unicode that is not supported: only categories such as L or Lu are"),
        (r"\p{L", "names a property of Unicode that is not supported: only categories such as L or Lu are"),
        ("(?<=a)b", ONLY_GROUPS),
        ("(?<!a)b", ONLY_GROUPS),
        ("(?i)a", ONLY_GROUPS),
        ("(?>a)", ONLY_GROUPS),
        ("a" * (MAX_LETTERS + 1), f"is longer than {MAX_LETTERS} letters"),
        ("(" * (MAX_GROUPS + 1), "has too many groups inside each other"),
        ("((a{1,100}){1,100}){1,100}", TOO_LARGE),
        (f"a{{{MAX_INSTRUCTIONS}}}", TOO_LARGE),
        ("a{99999999999999999999}", TOO_LARGE),
        ("(?:a{1000}b|){10}", TOO_LARGE),
        ("(?:" + "|".join(["a{900}"] * 6) + ")", TOO_LARGE),
        ("a{900}" * 6, TOO_LARGE),
    ],
)
def test_what_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(PatternError) as refused:
        read_pattern(pattern)
    assert str(refused.value) == words


@given(st.text(st.sampled_from("ab(){}[]|?*+^$\\.-,:=!<>1dpuxk"), max_size=20))
def test_any_text_is_read_or_refused_within_bounds(pattern: str) -> None:
    try:
        program = read_pattern(pattern)
    except PatternError:
        return
    assert len(program) <= MAX_INSTRUCTIONS
