"""The catalogue as a table and as JSON."""

import json

from cody_oai_router.catalogue import Catalogue, Model
from cody_oai_router.model_table import Line, left_out, lines_of, write_json, write_table

SONNET = Model(
    ref="anthropic::2024-10-22::claude-sonnet-latest",
    abilities=frozenset({"chat", "vision", "tools"}),
    max_input=132000,
    max_output=8192,
)
MINI = Model(ref="openai::2024-02-01::o3-mini", deprecated=True)
QUIET = Model(ref="x::v1::quiet", abilities=frozenset({"chat", "streamDisabled", "reasoning"}))
CODE = Model(ref="fireworks::v1::starcoder", abilities=frozenset({"autocomplete"}))
ALIASES = {"gpt-4": "claude-sonnet-latest", "fast": "nope"}
CATALOGUE = Catalogue([SONNET, MINI, CODE, QUIET], aliases=ALIASES, default="o3-mini")
LINES = lines_of(CATALOGUE, ALIASES, SONNET.ref, "o3-mini")


def test_aliases_come_first_and_only_what_chats_is_there() -> None:
    assert [(line.name, line.reference, line.notes) for line in LINES] == [
        ("gpt-4", SONNET.ref, ("alias",)),
        ("fast", "nope", ("alias", "not listed")),
        ("claude-sonnet-latest", SONNET.ref, ("default in Cody",)),
        ("o3-mini", MINI.ref, ("DEFAULT_MODEL", "deprecated", "reasoning")),
        ("quiet", QUIET.ref, ("no streaming",)),
    ]
    assert left_out(CATALOGUE) == 1


def test_without_wishes_nothing_is_marked() -> None:
    plain = Catalogue([SONNET], aliases={}, default=None)
    assert [line.notes for line in lines_of(plain, {}, None, None)] == [()]


def test_a_wide_terminal_gets_a_line_for_each() -> None:
    assert [line.split() for line in write_table(LINES, None)] == [
        ["NAME", "INPUT", "OUTPUT", "NOTES", "REFERENCE", "ABILITIES"],
        ["gpt-4", "132000", "8192", "alias", SONNET.ref, "tools", "vision"],
        ["fast", "?", "?", "alias,", "not", "listed", "nope"],
        ["claude-sonnet-latest", "132000", "8192", "default", "in", "Cody", SONNET.ref, "tools", "vision"],
        ["o3-mini", "?", "?", "DEFAULT_MODEL,", "deprecated,", "reasoning", MINI.ref],
        ["quiet", "?", "?", "no", "streaming", QUIET.ref, "reasoning", "streamDisabled"],
    ]
    heads = {write_table(LINES, None)[0].index(name) for name in ("NOTES", "REFERENCE")}
    assert heads == {write_table(LINES, None)[3].index(name) for name in ("default in Cody", SONNET.ref)}
    assert write_table(LINES, 200) == write_table(LINES, None)


def test_a_narrow_one_gets_two() -> None:
    assert write_table(LINES, 64) == [
        "NAME                   INPUT  OUTPUT  NOTES",
        "  REFERENCE  ABILITIES",
        "gpt-4                 132000    8192  alias",
        "  anthropic::2024-10-22::claude-sonnet-latest  tools vision",
        "fast                       ?       ?  alias, not listed",
        "  nope",
        "claude-sonnet-latest  132000    8192  default in Cody",
        "  anthropic::2024-10-22::claude-sonnet-latest  tools vision",
        "o3-mini                    ?       ?  DEFAULT_MODEL, deprecated,",
        "    reasoning",
        "  openai::2024-02-01::o3-mini",
        "quiet                      ?       ?  no streaming",
        "  x::v1::quiet  reasoning streamDisabled",
    ]


def test_json_has_every_field() -> None:
    line = Line(name="gpt-4", reference="a::b::c", max_input=1, abilities=("tools",), notes=("alias",))
    assert json.loads(write_json([line])) == {
        "models": [
            {
                "name": "gpt-4",
                "reference": "a::b::c",
                "max_input": 1,
                "max_output": None,
                "abilities": ["tools"],
                "notes": ["alias"],
            }
        ]
    }
