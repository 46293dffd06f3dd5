"""The catalogue for a human eye: a table that fits the terminal, or one object of JSON for programs."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from cody_oai_router.catalogue import Catalogue, Model

_HEAD: Final = ("NAME", "INPUT", "OUTPUT", "NOTES", "REFERENCE", "ABILITIES")
_FIRST: Final = 4  # of these stand on the first line where one is not enough
_NUMBERS: Final = (1, 2)
# Every model that is listed has it.
_UNSAID: Final = frozenset({"chat"})
_GAP: Final = "  "


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One name that can be asked for. Limits are in tokens, `None` where nobody knows."""

    name: str
    reference: str
    max_input: int | None = None
    max_output: int | None = None
    abilities: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def lines_of(catalogue: Catalogue, aliases: Mapping[str, str], default: str | None, chosen: str | None) -> list[Line]:
    """Gives the user's aliases, then the models that chat; `default` is the instance's reference, `chosen` is DEFAULT_MODEL."""
    marks = dict[str, str]()
    if default:
        marks[default] = "default in Cody"
    found = catalogue.resolve("") if chosen else None
    if found is not None:
        marks[found.ref] = "DEFAULT_MODEL"
    lines = [_alias(catalogue, name, target) for name, target in aliases.items()]
    return lines + [_line(model.id, model, marks.get(model.ref)) for model in catalogue.models if model.chats]


def left_out(catalogue: Catalogue) -> int:
    """Counts the models that do not chat."""
    return sum(not model.chats for model in catalogue.models)


def write_table(lines: Sequence[Line], width: int | None) -> list[str]:
    """Writes a table of at most `width` columns: where one line for each model does not fit, it has a second one."""
    rows = [_HEAD, *map(_cells, lines)]
    whole = _columns(rows)
    if width is None or max(map(len, whole)) <= width:
        return whole
    table = []
    for first, row in zip(_columns([row[:_FIRST] for row in rows]), rows, strict=True):
        table += _wrapped(first, width) + _wrapped(_GAP + _GAP.join(row[_FIRST:]), width)
    return table


def write_json(lines: Sequence[Line]) -> str:
    """Writes all of it as one object."""
    return msgspec.json.encode({"models": lines}).decode()


def _alias(catalogue: Catalogue, name: str, target: str) -> Line:
    found = catalogue.resolve(name)
    if found is None or found.model is None:
        return Line(name=name, reference=target, notes=("alias", "not listed"))
    return _line(name, found.model, "alias")


def _line(name: str, model: Model, mark: str | None) -> Line:
    told = {
        mark or "": mark is not None,
        "deprecated": model.deprecated,
        "reasoning": model.reasons and "reasoning" not in model.abilities,
        "no streaming": not model.streams,
    }
    return Line(
        name=name,
        reference=model.ref,
        max_input=model.max_input,
        max_output=model.max_output,
        abilities=tuple(sorted(model.abilities - _UNSAID)),
        notes=tuple(note for note, holds in told.items() if holds),
    )


def _cells(line: Line) -> tuple[str, ...]:
    limits = ("?" if tokens is None else str(tokens) for tokens in (line.max_input, line.max_output))
    return (line.name, *limits, ", ".join(line.notes), line.reference, " ".join(line.abilities))


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(map(_padded, row, sizes, range(len(row)))).rstrip() for row in rows]


def _padded(cell: str, size: int, column: int) -> str:
    return cell.rjust(size) if column in _NUMBERS else cell.ljust(size)


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent=_GAP * 2, break_long_words=False, break_on_hyphens=False)
