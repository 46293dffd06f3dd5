"""The vocabulary: fit for a header, explained, and without a word that nobody says."""

import re

from cody_oai_router.notes import DROPPED_FIELDS, NOTES, UNKNOWN_FIELD


def test_a_header_can_carry_every_note() -> None:
    assert [note for note in NOTES if not re.fullmatch(r"[a-z_-]+:[a-z-]+", note)] == []


def test_every_note_is_explained_in_a_sentence() -> None:
    assert [note for note, meaning in NOTES.items() if not re.fullmatch(r"[A-Z`].*\.", meaning)] == []


def test_dropped_fields_are_notes() -> None:
    assert {f"{field}:dropped" for field in DROPPED_FIELDS} | {UNKNOWN_FIELD} <= set(NOTES)
