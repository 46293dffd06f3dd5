"""Hypothesis strategies: cuts of a byte stream, JSON of any kind, and messages that are nearly right."""

import itertools
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Json = Any

# Lone surrogates on purpose: JavaScript clients send them where they cut a text in the middle of an emoji.
texts = st.text(st.characters(exclude_categories=()), max_size=12)

numbers = st.one_of(
    st.integers(-3, 3),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([1e308, 10**400, -0.0]),
)

json_values: st.SearchStrategy[Json] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cuts bytes at the given places, wherever they lie."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


places = st.lists(st.integers(0, 10_000), max_size=12)


def nearly(value: Json) -> st.SearchStrategy[Json]:
    """Gives the value, or one in which fields are missing or hold something else."""
    if isinstance(value, dict):
        fields = {name: nearly(inner) for name, inner in value.items()}
        return st.one_of(st.fixed_dictionaries({}, optional=fields), st.fixed_dictionaries(fields), json_values)
    if isinstance(value, list):
        items = [nearly(inner) for inner in value]
        return st.one_of(st.tuples(*items).map(list), json_values)
    return st.one_of(st.just(value), st.just(value), json_values)


def written(value: Json) -> bytes:
    """Writes JSON; what Python writes for infinities is no JSON, which is welcome here."""
    return json.dumps(value).encode()


def wild_bytes(*likely: Json) -> st.SearchStrategy[bytes]:
    """Gives any bytes: noise, deep nesting, near misses of the likely values, cut short or with a byte changed."""
    near = st.one_of([nearly(value).map(written) for value in likely])
    return st.one_of(
        st.binary(max_size=60),
        st.sampled_from([b"", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\xef\xbb\xbf{}", b'"\xff"', b"{}", b"[]"]),
        near,
        st.tuples(near, st.integers(0, 400)).map(lambda given: given[0][: given[1]]),
        st.tuples(near, st.integers(0, 400), st.binary(max_size=3)).map(_changed),
    )


def _changed(given: tuple[bytes, int, bytes]) -> bytes:
    data, place, new = given
    place %= len(data) + 1
    return data[:place] + new + data[place + 1 :]


def fed(feed: Callable[[bytes], list[Any]], pieces: list[bytes]) -> list[Any]:
    """Feeds piece after piece and gives all that came of it."""
    return [item for piece in pieces for item in feed(piece)]
