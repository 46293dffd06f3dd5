"""Reads a regular expression of a JSON schema (ECMA-262) into a program that `adapt/pattern.py` searches with.

Only whether a pattern occurs is asked: there are no captures, and greedy and lazy are the same. Back references cannot be searched in a
known number of steps, and looking behind is hardly used; both are refused.
"""

import unicodedata
from collections.abc import Callable
from typing import Final

import msgspec

Accepts = Callable[[str], bool]

# A set is looked through letter by letter; patterns that people write have a hundred letters.
MAX_LETTERS: Final = 2000
# A counted repetition is written out, so `(.{1,1000}){1,1000}` would be a million instructions.
MAX_INSTRUCTIONS: Final = 5000
# Groups in groups are read by recursion; patterns that people write have two or three.
MAX_GROUPS: Final = 32

_SPACE: Final = frozenset(
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)
WORD: Final = frozenset("0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SETS: Final = {"d": frozenset("0123456789"), "w": WORD, "s": _SPACE}
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_HEX: Final = {"x": 2, "u": 4}
# What Python and Rust write for both ends of the text is welcome: pydantic hands patterns on as they are.
_ENDS: Final = {"A": "^", "z": "$", "Z": "$", "b": "b", "B": "B"}


class PatternError(ValueError):
    """A pattern that is not one, or that is not searched here; says why."""


class Letter(msgspec.Struct, frozen=True):
    """Takes one letter."""

    accepts: Accepts


class Split(msgspec.Struct, frozen=True):
    """Goes on in several places: the jumps are relative."""

    jumps: tuple[int, ...]


class Edge(msgspec.Struct, frozen=True):
    """Goes on only here: at the beginning (`^`), the end (`$`), the edge of a word (`b`) or anywhere else (`B`)."""

    kind: str


class Look(msgspec.Struct, frozen=True):
    """Goes on only where another program matches ahead, or does not."""

    program: "Program"
    wanted: bool


Program = list[Letter | Split | Edge | Look]


def read_pattern(text: str) -> Program:
    """Reads a pattern; raises `PatternError`."""
    if len(text) > MAX_LETTERS:
        raise PatternError(f"is longer than {MAX_LETTERS} letters")
    return _Reader(text).read()


def _limit(instructions: int) -> None:
    if instructions > MAX_INSTRUCTIONS:
        raise PatternError("is too large once its repetitions are written out")


class _Reader:
    """Reads a pattern into a program, by recursion on its groups."""

    __slots__ = ("_at", "_depth", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def read(self) -> Program:
        program = self._alternatives()
        if self._at < len(self._text):
            raise PatternError("has a ) without its (")
        return program

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _take(self, wanted: str) -> bool:
        if not self._text.startswith(wanted, self._at):
            return False
        self._at += len(wanted)
        return True

    def _letter(self) -> str:
        letter = self._peek()
        if not letter:
            raise PatternError("breaks off")
        self._at += 1
        return letter

    def _alternatives(self) -> Program:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        program = branches.pop()
        while branches:
            first = branches.pop()
            program = [Split((1, len(first) + 2)), *first, Split((len(program) + 1,)), *program]
            _limit(len(program))
        return program

    def _sequence(self) -> Program:
        program: Program = []
        while self._peek() not in ("", "|", ")"):
            atom = self._atom()
            program += self._repeated(atom)
            _limit(len(program))
        return program

    def _atom(self) -> Program:
        letter = self._letter()
        if letter == "(":
            return self._group()
        if letter == "[":
            return [Letter(self._set())]
        if letter == ".":
            return [Letter(lambda found: found not in "\n\r\u2028\u2029")]
        if letter in "^$":
            return [Edge(letter)]
        if letter in "*+?":
            raise PatternError("repeats nothing")
        if letter == "\\":
            if self._peek() in _ENDS:
                return [Edge(_ENDS[self._letter()])]
            return [Letter(self._escape())]
        return [Letter(letter.__eq__)]

    def _group(self) -> Program:
        self._depth += 1
        if self._depth > MAX_GROUPS:
            raise PatternError("has too many groups inside each other")
        look = self._peek(2) in ("?=", "?!")
        wanted = self._peek(2) == "?="
        if look:
            self._at += 2
        elif self._take("?"):
            self._named()
        program = self._alternatives()
        if not self._take(")"):
            raise PatternError("has a ( without its )")
        self._depth -= 1
        return [Look(program, wanted)] if look else program

    def _named(self) -> None:
        """Reads what follows `(?` of a group that is one: `:`, or a name."""
        if self._take(":"):
            return
        if not (self._take("<") or self._take("P<")) or self._peek() in ("=", "!", ""):
            raise PatternError("has a group that is not supported: only (…), (?:…), (?<name>…), (?=…) and (?!…) are")
        end = self._text.find(">", self._at)
        if end < 0:
            raise PatternError("breaks off")
        self._at = end + 1

    def _repeated(self, atom: Program) -> Program:
        least, most = self._bounds()
        if self._peek() in ("*", "+"):
            raise PatternError("repeats a repetition")
        if (least, most) == (1, 1):
            return atom
        _limit((len(atom) + 2) * max(least + 1, most or 0))
        if most is None:
            return [*atom * least, Split((1, len(atom) + 2)), *atom, Split((-len(atom) - 1,))]
        return [*atom * least, *[Split((1, len(atom) + 1)), *atom] * (most - least)]

    def _bounds(self) -> tuple[int, int | None]:
        """Reads how often the atom before may come; None stands for any number of times."""
        sign = self._peek()
        bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign)
        if bounds is None:
            return self._counted() if sign == "{" else (1, 1)
        self._at += 1
        self._take("?")
        return bounds

    def _counted(self) -> tuple[int, int | None]:
        """Reads `{n}`, `{n,}` or `{n,m}`; any other brace stands for itself."""
        end = self._text.find("}", self._at)
        least, comma, most = self._text[self._at + 1 : max(end, 0)].partition(",")
        if not (least.isascii() and least.isdigit()) or (most and not (most.isascii() and most.isdigit())):
            return 1, 1
        _limit(10 ** max(len(least), len(most)) // 10)  # their size, before anything is made of them
        self._at = end + 1
        self._take("?")
        if not comma:
            return int(least), int(least)
        if most and int(most) < int(least):
            raise PatternError("repeats at most less often than at least")
        return int(least), int(most) if most else None

    def _set(self) -> Accepts:
        """Reads a set up to its `]`."""
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        others: list[Accepts] = []
        while not self._take("]"):
            first = self._member()
            if not isinstance(first, str):
                others.append(first)
                continue
            last: str | Accepts = first
            if self._peek() == "-" and self._peek(2) != "-]":
                self._at += 1
                last = self._member()
            if not isinstance(last, str):
                ranges += [(first, first), ("-", "-")]
                others.append(last)
            elif last < first:
                raise PatternError("has a range that ends before it begins")
            else:
                ranges.append((first, last))

        def accepts(letter: str) -> bool:
            inside = any(low <= letter <= high for low, high in ranges) or any(other(letter) for other in others)
            return inside is not negated

        return accepts

    def _member(self) -> str | Accepts:
        """Reads one letter of a set, or a set within it."""
        letter = self._letter()
        if letter != "\\":
            return letter
        if self._take("b"):
            return "\b"
        escaped = self._literal()
        return self._class() if escaped is None else escaped

    def _escape(self) -> Accepts:
        escaped = self._literal()
        return self._class() if escaped is None else escaped.__eq__

    def _literal(self) -> str | None:
        """Reads what follows a backslash where it stands for one letter."""
        letter = self._peek()
        if letter in _HEX:
            return self._hex()
        if letter in _CONTROLS and letter:
            self._at += 1
            return _CONTROLS[letter]
        if letter == "c":
            self._at += 1
            return chr(ord(self._letter()) % 32)
        if letter and not (letter.isascii() and letter.isalnum()):
            self._at += 1
            return letter
        return None

    def _hex(self) -> str:
        length = _HEX[self._letter()]
        digits = self._peek(length)
        if length > 2 and self._take("{"):  # noqa: PLR2004 - \u{…}, where \x{…} is none
            digits = self._text[self._at : max(self._text.find("}", self._at), 0)]
            length = len(digits) + 1
        try:
            letter = chr(int(digits, 16))
        except (ValueError, OverflowError):
            raise PatternError("has an escape without its digits") from None
        self._at += length
        return letter

    def _class(self) -> Accepts:
        """Reads what follows a backslash where it stands for a kind of letters."""
        name = self._letter()
        lower = name.lower()
        if lower in _SETS:
            letters, wanted = _SETS[lower], name == lower
            return lambda letter: (letter in letters) is wanted
        if lower == "p" and self._take("{"):
            return self._category(wanted=name == lower)
        if name.isdigit() or name == "k":
            raise PatternError("refers back to a group, which is not supported")
        raise PatternError(f"has an escape that is not known: \\{name}")

    def _category(self, *, wanted: bool) -> Accepts:
        """Reads a general category of Unicode, such as `L` or `Lu`."""
        end = self._text.find("}", self._at)
        category = self._text[self._at : max(end, 0)]
        if not 1 <= len(category) <= 2 or category[0] not in "LMNPSZC":  # noqa: PLR2004 - letters of a category
            raise PatternError("names a property of Unicode that is not supported: only categories such as L or Lu are")
        self._at = end + 1
        return lambda letter: unicodedata.category(letter).startswith(category) is wanted
