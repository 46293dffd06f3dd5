"""Searches for a regular expression of a JSON schema in a number of steps that is known beforehand.

Strategy: Python's `re` tries one way after the other, and some patterns have more ways than atoms in the universe; nothing stops it once it
has begun. Here all ways are followed at once (Thompson's construction): a letter costs at most one step for each instruction, and each step
is paid for.
"""

from collections.abc import Callable

from cody_oai_router.adapt.pattern_syntax import WORD, Edge, Letter, Look, Program, Split, read_pattern

Spend = Callable[[int], None]


class Pattern:
    """One pattern, ready to be searched for; raises `PatternError`."""

    __slots__ = ("_program", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._program = read_pattern(text)

    @property
    def size(self) -> int:
        """How many instructions it has."""
        return len(self._program)

    def occurs(self, text: str, spend: Spend) -> bool:
        """Tells whether the pattern occurs in a text; pays for each letter and for each instruction that is tried at it."""
        return _matches(self._program, text, 0, spend, anchored=False)


def _matches(program: Program, text: str, start: int, spend: Spend, *, anchored: bool) -> bool:
    """Follows all ways through a program at once, from `start` alone or from every place after it."""
    places = {0}
    for at in range(start, len(text)):
        reached = _reach(program, places, text, at, spend)
        if len(program) in reached:
            return True
        places = set() if anchored else {0}
        for place in reached:
            step = program[place]
            if isinstance(step, Letter) and step.accepts(text[at]):
                places.add(place + 1)
        if not places:
            return False
    return len(program) in _reach(program, places, text, len(text), spend)


def _reach(program: Program, places: set[int], text: str, at: int, spend: Spend) -> set[int]:
    """Gives all places of a program that can be reached without another letter."""
    reached: set[int] = set()
    ahead = list(places)
    while ahead:
        place = ahead.pop()
        if place in reached:
            continue
        reached.add(place)
        step = program[place] if place < len(program) else None
        if isinstance(step, Split):
            ahead += [place + jump for jump in step.jumps]
        elif step is not None and not isinstance(step, Letter) and _is_open(step, text, at, spend):
            ahead.append(place + 1)
    spend(1 + len(reached))
    return reached


def _is_open(step: Edge | Look, text: str, at: int, spend: Spend) -> bool:
    """Tells whether the way goes on past a condition."""
    if isinstance(step, Look):
        return _matches(step.program, text, at, spend, anchored=True) is step.wanted
    if step.kind == "^":
        return at == 0
    if step.kind == "$":
        return at == len(text)
    before, after = text[max(0, at - 1) : at], text[at : at + 1]
    return ((before in WORD) != (after in WORD)) is (step.kind == "b")
