"""The models of an instance, judged, and the one to try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.catalogue import Catalogue, Model
from cody_oai_router.checkup.models import judge_models, model_to_try, read_default

SONNET = Model(ref="anthropic::v1::claude-sonnet", abilities=frozenset({"chat"}))
THINKING = Model(ref="anthropic::v1::claude-sonnet-thinking", abilities=frozenset({"chat", "reasoning"}))
OLD = Model(ref="openai::v1::gpt-4o", abilities=frozenset({"chat"}), deprecated=True)
CODE = Model(ref="fireworks::v1::starcoder", abilities=frozenset({"autocomplete"}))


def catalogue(*models: Model, default: str | None = None, **aliases: str) -> Catalogue:
    return Catalogue(models, aliases=aliases, default=default)


@pytest.mark.parametrize(
    ("body", "ref"),
    [
        (b'{"defaultModels":{"chat":"a::b::c","fastChat":"d"}}', "a::b::c"),
        (b'{"defaultModels":{"chat":""}}', None),
        (b'{"defaultModels":null,"models":null}', None),
        (b"<html>", None),
    ],
)
def test_the_instances_default(body: bytes, ref: str | None) -> None:
    assert read_default(body) == ref


@given(st.binary(max_size=60))
def test_no_listing_breaks_the_reader(body: bytes) -> None:
    assert isinstance(read_default(body), str | None)


def test_a_listing_without_wishes() -> None:
    check = judge_models(catalogue(SONNET, CODE, OLD), SONNET.ref, None, {})
    detail = "2 models; Cody itself begins with claude-sonnet; to list them: cody-oai-router models"
    assert (check.status, check.detail) == ("ok", detail)
    check = judge_models(catalogue(SONNET), "google::v1::gemini", None, {})
    assert check.detail == "1 model; to list them: cody-oai-router models"


def test_wishes_that_come_true() -> None:
    listing = catalogue(SONNET, default="claude-sonnet", fast="claude-sonnet")
    check = judge_models(listing, None, "claude-sonnet", {"fast": "claude-sonnet"})
    assert check.status == "ok"
    assert check.detail.endswith("; DEFAULT_MODEL is anthropic::v1::claude-sonnet")


def test_wishes_that_do_not() -> None:
    listing = catalogue(SONNET, default="nope", fast="nothing")
    check = judge_models(listing, None, "nope", {"fast": "nothing"})
    assert check.status == "warning"
    assert "DEFAULT_MODEL=nope is not in the listing; MODEL_ALIASES: fast=nothing is not in the listing" in check.advice


def test_nothing_listed() -> None:
    for models in ((), (CODE,)):
        check = judge_models(catalogue(*models), None, None, {})
        assert (check.status, check.detail) == ("warning", "the instance lists none")
        assert "Set DEFAULT_MODEL to the full reference" in check.advice
    check = judge_models(catalogue(default="a::b::c"), None, "a::b::c", {})
    assert (check.status, check.detail) == ("ok", "the instance lists none; DEFAULT_MODEL is a::b::c")


@pytest.mark.parametrize(
    ("listing", "default", "chosen", "tried"),
    [
        (
            catalogue(OLD, THINKING, SONNET, default="claude-sonnet-thinking"),
            SONNET.ref,
            "claude-sonnet-thinking",
            THINKING.ref,
        ),
        (catalogue(SONNET, default="nope"), SONNET.ref, "nope", "nope"),
        (catalogue(OLD, THINKING, SONNET), THINKING.ref, None, THINKING.ref),
        (catalogue(OLD, THINKING, SONNET), CODE.ref, None, SONNET.ref),
        (catalogue(CODE, OLD), CODE.ref, None, OLD.ref),
        (catalogue(), None, None, "gpt-4o"),
        (catalogue(), None, "x", "x"),
    ],
)
def test_the_model_to_try(listing: Catalogue, default: str | None, chosen: str | None, tried: str) -> None:
    assert model_to_try(listing, default, chosen, {}) == tried


def test_where_nothing_is_listed_the_users_own_name_is_tried() -> None:
    assert model_to_try(catalogue(fast="a::b::c"), None, None, {"fast": "a::b::c"}) == "fast"
    assert model_to_try(catalogue(SONNET, fast="a::b::c"), None, None, {"fast": "a::b::c"}) == SONNET.ref
