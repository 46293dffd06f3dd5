"""Model names: which model a client means, by rows of contract §6.2 and §6.3."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.catalogue import (
    MAX_REMEMBERED,
    Catalogue,
    How,
    Model,
    Resolved,
    merged,
    normalised,
    read_listing,
    read_supported,
)
from cody_oai_router.conversation import ListedModel
from strategies import wild_bytes

CHAT = frozenset({"chat", "tools"})
REASONING = frozenset({"chat", "reasoning"})

SONNET = Model(
    ref="anthropic::2024-10-22::claude-sonnet-4-latest", name="claude-sonnet-4-20250514", abilities=CHAT, created=5
)
SONNET_45 = Model(
    ref="anthropic::2024-10-22::claude-sonnet-4-5-latest", name="claude-sonnet-4-5-20250929", abilities=CHAT
)
THINKING = Model(
    ref="anthropic::2024-10-22::claude-sonnet-4-thinking-latest",
    name="claude-sonnet-4-20250514",
    abilities=REASONING,
    max_output=64000,
)
SONNET_35 = Model(
    ref="anthropic::2023-06-01::claude-3.5-sonnet", name="claude-3-5-sonnet-latest", abilities=CHAT, deprecated=True
)
HAIKU_35 = Model(ref="anthropic::2024-10-22::claude-3-5-haiku-latest", name="claude-3-5-haiku-latest", abilities=CHAT)
GPT_4O = Model(ref="openai::2024-02-01::gpt-4o", name="gpt-4o", abilities=CHAT)
O3_MINI = Model(ref="openai::2024-02-01::o3-mini-medium", name="o3-mini", abilities=REASONING, deprecated=True)
O3 = Model(ref="openai::2024-02-01::o3", name="o3", abilities=REASONING)
GEMINI = Model(ref="google::v1::gemini-2.0-flash", name="gemini-2.0-flash", abilities=CHAT)
DEEPSEEK = Model(
    ref="fireworks::v1::deepseek-coder-v2-lite-base",
    name="accounts/sourcegraph/models/deepseek-coder-v2-lite-base",
    abilities=frozenset({"autocomplete"}),
)
LLAMA = Model(
    ref="fireworks::v1::llama-v3p1-70b-instruct",
    name="accounts/fireworks/models/llama-v3p1-70b-instruct",
    abilities=CHAT,
)
# The deprecated and the thinking ones come first on purpose: order must not decide for them.
ALL = [SONNET_35, O3_MINI, THINKING, DEEPSEEK, SONNET, SONNET_45, HAIKU_35, GPT_4O, O3, GEMINI, LLAMA]


# What the models of `ALL` are said to have between them, and a model lacks.
LACKS = {
    CHAT: frozenset({"reasoning", "autocomplete"}),
    REASONING: frozenset({"tools", "autocomplete"}),
    DEEPSEEK.abilities: frozenset({"chat", "tools", "reasoning"}),
}


def found(how: How, model: Model, *, reasoning_chosen: bool = False) -> Resolved:
    """What resolving a name among `ALL` gives."""
    return Resolved(model.ref, how, model, reasoning_chosen=reasoning_chosen, lacks=LACKS[model.abilities])


def catalogue(*models: Model, aliases: dict[str, str] | None = None, default: str | None = None) -> Catalogue:
    return Catalogue(models or ALL, aliases=aliases or {}, default=default)


@pytest.mark.parametrize(
    ("name", "how", "model"),
    [
        ("anthropic::2024-10-22::claude-sonnet-4-latest", "exact", SONNET),
        ("fireworks::v1::deepseek-coder-v2-lite-base", "exact", DEEPSEEK),
        ("openai/gpt-4o", "name", GPT_4O),
        ("anthropic/claude-sonnet-4.5", "name", SONNET_45),
        ("gpt-4o", "name", GPT_4O),
        ("GPT-4o", "name", GPT_4O),
        ("gpt-4o-2024-08-06", "name", GPT_4O),
        ("claude-sonnet-4-20250514", "name", SONNET),
        ("claude-sonnet-4-5", "name", SONNET_45),
        ("claude-sonnet-4.5", "name", SONNET_45),
        ("claude_sonnet_4_5", "name", SONNET_45),
        ("claude-sonnet-4-thinking", "name", THINKING),
        ("claude-3-5-sonnet-20241022", "name", SONNET_35),
        ("claude-3-5-sonnet-2024-10-22", "name", SONNET_35),
        ("models/gemini-2.0-flash", "name", GEMINI),
        ("accounts/fireworks/models/llama-v3p1-70b-instruct", "name", LLAMA),
        ("o3", "name", O3),
        ("o3-mini", "name", O3_MINI),
        ("gpt-4", "family", GPT_4O),
        ("gpt-3.5-turbo", "family", GPT_4O),
        ("azure/gpt-4", "family", GPT_4O),
        ("gemini-2.5-pro", "family", GEMINI),
        ("claude-sonnet-4-5-20991231-preview", "family", SONNET_45),
        ("claude-opus-9-thinking", "family", THINKING),
        ("o3-pro", "family", O3),
    ],
)
def test_the_model_that_a_name_means(name: str, how: How, model: Model) -> None:
    assert catalogue().resolve(name) == found(how, model)


@pytest.mark.parametrize(
    "name", ["", "models/", "mistral-large", "gp", "deepseek-coder", "deepseek-coder-v2-lite-base", "/", "a\nb"]
)
def test_names_that_nothing_answers_to(name: str) -> None:
    assert catalogue().resolve(name) is None


def test_a_family_prefers_what_is_not_deprecated() -> None:
    assert catalogue(SONNET_35, HAIKU_35).resolve("claude-3-opus") == Resolved(HAIKU_35.ref, "family", HAIKU_35)
    assert catalogue(SONNET_35).resolve("claude-3-opus") == Resolved(SONNET_35.ref, "family", SONNET_35)


def test_the_same_name_twice_gives_the_one_that_is_not_deprecated_then_the_first() -> None:
    old = Model(ref="a::v1::m", abilities=CHAT, deprecated=True)
    new, last = Model(ref="b::v1::m", abilities=CHAT), Model(ref="c::v1::m", abilities=CHAT)
    assert catalogue(old, new, last).resolve("m") == Resolved("b::v1::m", "name", new)
    assert catalogue(old, new, last).resolve("a/m") == Resolved("a::v1::m", "name", old)


def test_unknown_abilities_are_given_the_benefit_of_the_doubt() -> None:
    bare = Model(ref="openai::v1::gpt-9")
    assert catalogue(bare).resolve("gpt-4") == Resolved(bare.ref, "family", bare)


@pytest.mark.parametrize(
    ("name", "model"),
    [("claude-sonnet-4", THINKING), ("claude-sonnet-4-latest", THINKING), ("gpt-4o", None), ("o3", None)],
)
def test_a_request_for_reasoning_gets_the_thinking_sibling(name: str, model: Model | None) -> None:
    plain = catalogue().resolve(name)
    assert plain is not None
    expected = plain if model is None else found("name", model, reasoning_chosen=True)
    assert catalogue().resolve(name, reasoning=True) == expected


def test_a_full_reference_is_never_exchanged_for_its_sibling() -> None:
    assert catalogue().resolve(SONNET.ref, reasoning=True) == found("exact", SONNET)


def test_a_sibling_of_another_provider_is_none() -> None:
    other = Model(ref="bedrock::v1::claude-sonnet-4-thinking", abilities=REASONING)
    resolved = catalogue(SONNET, other).resolve("claude-sonnet-4", reasoning=True)
    assert resolved == Resolved(SONNET.ref, "name", SONNET, lacks=frozenset({"reasoning"}))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (GEMINI.ref, found("alias", GEMINI)),
        ("gemini-2.0-flash", found("alias", GEMINI)),
        ("x::v1::not-listed", Resolved("x::v1::not-listed", "alias")),
    ],
)
def test_aliases_go_before_names(target: str, expected: Resolved) -> None:
    assert catalogue(aliases={"gpt-4o": target}).resolve("gpt-4o") == expected


@pytest.mark.parametrize("name", ["", "mistral-large"])
@pytest.mark.parametrize(
    ("default", "expected"),
    [
        (GPT_4O.ref, found("default", GPT_4O)),
        ("gpt-4", found("default", GPT_4O)),
        ("mine", found("default", GEMINI)),
        ("x::v1::not-listed", Resolved("x::v1::not-listed", "default")),
    ],
)
def test_the_default_answers_for_unknown_and_missing_names(name: str, default: str, expected: Resolved) -> None:
    assert catalogue(aliases={"mine": GEMINI.ref}, default=default).resolve(name) == expected


def test_without_a_listing_names_pass_unchanged() -> None:
    empty = Catalogue((), aliases={"mine": "a::b::c"}, default=None)
    assert empty.resolve("gpt-4", reasoning=True) == Resolved("gpt-4", "unlisted")
    assert empty.resolve("mine") == Resolved("a::b::c", "alias")
    assert empty.resolve("") is None


@pytest.mark.parametrize("default", ["d::e::f", "gpt-4o"])
def test_without_a_listing_the_default_answers_for_what_is_no_reference(default: str) -> None:
    empty = Catalogue((), aliases={"mine": "a::b::c"}, default=default)
    for name in ("gpt-4", "gpt-4o", ""):
        assert empty.resolve(name) == Resolved(default, "default")
    for name in ("anthropic/claude-3-opus", "a::b::d"):
        assert empty.resolve(name) == Resolved(name, "unlisted")
    assert empty.resolve("mine") == Resolved("a::b::c", "alias")


def listing(*ids: str) -> Catalogue:
    """A catalogue of models by their short ids, of which those with `thinking` in them think."""
    models = [Model(ref=f"p::v1::{one}", abilities=REASONING if "thinking" in one else CHAT) for one in ids]
    return Catalogue(models, aliases={}, default=None)


@pytest.mark.parametrize(
    ("ids", "name", "expected"),
    [
        # The newest of its kind, wherever it is listed.
        (("gemini-1.5-pro-002", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.0-pro"), "gemini-3-pro", "gemini-2.5-pro"),
        (("claude-sonnet-4-5-latest", "claude-sonnet-4-latest"), "claude-sonnet", "claude-sonnet-4-5-latest"),
        (("claude-sonnet-4-latest", "claude-sonnet-4-5-latest"), "claude-sonnet-5", "claude-sonnet-4-5-latest"),
        # The same kind goes before a newer one, and one that says no more than was asked before one that does.
        (("claude-sonnet-4-5-latest", "claude-3-5-haiku-latest"), "claude-haiku-4-5", "claude-3-5-haiku-latest"),
        (("gpt-4o-mini", "gpt-4.1"), "gpt-4", "gpt-4.1"),
        (("gpt-4o", "gpt-4o-mini"), "gpt-5-mini", "gpt-4o-mini"),
        # The same version goes before a newer one.
        (("claude-opus-5", "claude-opus-4-1"), "claude-opus-4", "claude-opus-4-1"),
        # A model that thinks only where the name says so.
        (("claude-sonnet-4-latest", "claude-sonnet-5-thinking"), "claude-sonnet-5-latest", "claude-sonnet-4-latest"),
        (("gpt-4o", "gpt-5"), "gpt-3.5-turbo", "gpt-4o"),
        (("claude-sonnet-4-latest", "claude-sonnet-4-thinking"), "claude-sonnet-5-thinking", "claude-sonnet-4-thinking"),
        (("gpt-4o", "o4-mini", "o3"), "o1-mini", "o4-mini"),
    ],
)  # fmt: skip
def test_the_model_of_a_family(ids: tuple[str, ...], name: str, expected: str) -> None:
    resolved = listing(*ids).resolve(name)
    assert resolved is not None
    assert (resolved.ref, resolved.how) == (f"p::v1::{expected}", "family")


def test_an_id_goes_before_the_providers_own_name() -> None:
    theirs = Model(ref="a::v2::claude-3.5-byok", name="claude-3-5-sonnet-20241022", abilities=CHAT)
    ours = Model(ref="a::v1::claude-3-5-sonnet-latest", name="claude-3-5-sonnet-latest", abilities=CHAT)
    assert catalogue(theirs, ours).resolve("claude-3-5-sonnet-20241022") == Resolved(ours.ref, "name", ours)
    assert catalogue(theirs).resolve("claude-3-5-sonnet-20241022") == Resolved(theirs.ref, "name", theirs)


def test_of_two_with_one_name_the_one_that_can_more_is_meant() -> None:
    less = Model(ref="a::v1::m", abilities=frozenset({"chat"}))
    more = Model(ref="b::v1::m", abilities=frozenset({"chat", "vision", "tools"}))
    resolved = catalogue(less, more).resolve("m")
    assert resolved is not None
    assert resolved.ref == more.ref


def test_a_sibling_may_think_extendedly() -> None:
    both = listing("claude-3-7-sonnet-latest", "claude-3-7-sonnet-extended-thinking")
    resolved = both.resolve("claude-3-7-sonnet", reasoning=True)
    assert resolved is not None
    assert (resolved.ref, resolved.reasoning_chosen) == ("p::v1::claude-3-7-sonnet-extended-thinking", True)


def test_the_default_has_a_sibling_too_where_it_is_a_name() -> None:
    by_name = catalogue(default="claude-sonnet-4").resolve("unknown", reasoning=True)
    assert by_name == found("default", THINKING, reasoning_chosen=True)
    assert catalogue(default=SONNET.ref).resolve("unknown", reasoning=True) == found("default", SONNET)


def test_an_alias_may_name_another() -> None:
    names = {"fast": "small", "small": GEMINI.ref, "round": "about", "about": "round"}
    assert catalogue(aliases=names).resolve("fast") == found("alias", GEMINI)
    assert catalogue(aliases=names).resolve("round") == Resolved("about", "alias")
    # What the listing has is meant before an alias of the same name.
    assert catalogue(aliases={"mine": "gpt-4o", "gpt-4o": GEMINI.ref}).resolve("mine") == found("alias", GPT_4O)


@pytest.mark.parametrize("name", ["a\r\nx-evil: 1", "a\x00", "\x1b[31m", "a\u2028b"])
def test_a_name_that_could_break_a_header_does_not_pass(name: str) -> None:
    assert Catalogue((), aliases={}, default=None).resolve(name) is None


def test_names_that_a_client_makes_up_do_not_fill_the_memory() -> None:
    made = catalogue(GPT_4O)
    for number in range(MAX_REMEMBERED + 2):
        assert made.resolve(f"gpt-{number}") == Resolved(GPT_4O.ref, "family", GPT_4O)
    assert made.resolve("gpt-" + "9" * 1_000_000) == Resolved(GPT_4O.ref, "family", GPT_4O)
    assert made.resolve("gpt-1") is made.resolve("gpt-1")
    assert len(made._resolved) == 3
    assert max(len(name) for name, _ in made._resolved) < 10


def test_the_nearest_names() -> None:
    assert catalogue(O3, GEMINI, DEEPSEEK, GPT_4O).nearest("gpt4-o") == ["gpt-4o", "o3", "gemini-2.0-flash"]
    assert catalogue(O3, GPT_4O).nearest("gpt4-o" + "x" * 1_000_000)[0] == "gpt-4o"
    assert catalogue().nearest("claude-sonet-4")[0] == "claude-sonnet-4-latest"
    assert Catalogue((), aliases={}, default=None).nearest("gpt-4") == []


def listed_row(name: str, model: Model) -> ListedModel:
    abilities = tuple(sorted(model.abilities))
    return ListedModel(name, model.provider, model.created, model.max_input, model.max_output, abilities)


def test_listing() -> None:
    listed = catalogue(SONNET, DEEPSEEK, GPT_4O, aliases={"mine": SONNET.ref, "gpt-4o": "elsewhere"}).listed()
    assert listed == [
        listed_row("mine", SONNET),
        ListedModel("gpt-4o", "router"),
        listed_row("claude-sonnet-4-latest", SONNET),
        listed_row(SONNET.ref, SONNET),
        listed_row(GPT_4O.ref, GPT_4O),
    ]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("claude-sonnet-4-latest", ListedModel("claude-sonnet-4-latest", "anthropic", 5, abilities=("chat", "tools"))),
        (SONNET.ref, ListedModel(SONNET.ref, "anthropic", 5, abilities=("chat", "tools"))),
        ("mine", ListedModel("mine", "google", abilities=("chat", "tools"))),
        ("gone", ListedModel("gone", "router")),
        ("claude-sonnet-4.5", ListedModel("claude-sonnet-4.5", "anthropic", abilities=("chat", "tools"))),
        (
            "claude-sonnet-4-thinking",
            ListedModel("claude-sonnet-4-thinking", "anthropic", max_output=64000, abilities=("chat", "reasoning")),
        ),
        # A full reference is described even where nobody can talk to it; a name that only its family answers to is not.
        (DEEPSEEK.ref, ListedModel(DEEPSEEK.ref, "fireworks", abilities=("autocomplete",))),
        ("deepseek-coder-v2-lite-base", None),
        ("gpt-4", None),
        ("mistral", None),
        ("", None),
    ],
)
def test_one_model_is_described_by_a_name_that_means_it(name: str, row: ListedModel | None) -> None:
    aliases = {"mine": GEMINI.ref, "gone": "x::y::z"}
    assert catalogue(aliases=aliases, default=GPT_4O.ref).described(name) == row


def test_where_nobody_knows_the_models_none_is_described() -> None:
    assert Catalogue((), aliases={"mine": "a::b::c"}, default=None).described("gpt-4") is None
    assert Catalogue((), aliases={"mine": "a::b::c"}, default=None).described("mine") == ListedModel("mine", "router")


VISION = Model(ref="a::v1::seeing", abilities=frozenset({"chat", "vision"}))
NO_STREAM = Model(ref="a::v1::slow", abilities=frozenset({"chat", "streamDisabled"}))
UNKNOWN = Model(ref="a::v1::unknown")


@pytest.mark.parametrize(
    ("models", "name", "lacks"),
    [
        ([GPT_4O, VISION], "gpt-4o", {"vision"}),
        ([GPT_4O, VISION], "seeing", {"tools"}),
        ([GPT_4O, VISION], "gpt-4", {"vision"}),
        # An instance that says nothing of vision says nothing of what its models lack.
        ([GPT_4O, GEMINI], "gpt-4o", set()),
        ([VISION, UNKNOWN], "unknown", set()),
        ([], "anything", set()),
    ],
)
def test_what_a_model_lacks_is_told_by_what_others_have(models: list[Model], name: str, lacks: set[str]) -> None:
    resolved = Catalogue(models, aliases={}, default=None).resolve(name)
    assert resolved is not None
    assert resolved.lacks == lacks


def test_long_names_are_complete_too() -> None:
    resolved = catalogue(GPT_4O, VISION).resolve("gpt-" + "9" * 200)
    assert resolved == Resolved(GPT_4O.ref, "family", GPT_4O, lacks=frozenset({"vision"}))


@pytest.mark.parametrize(
    ("model", "streams", "chats"),
    [
        (GPT_4O, True, True),
        (NO_STREAM, False, True),
        (UNKNOWN, True, True),
        (DEEPSEEK, True, False),
    ],
)
def test_what_abilities_mean(model: Model, streams: bool, chats: bool) -> None:
    assert (model.streams, model.chats) == (streams, chats)


@pytest.mark.parametrize(
    ("ref", "reasons"),
    [
        ("anthropic::v1::claude-sonnet-4-thinking-latest", True),
        ("openai::v1::o1", True),
        ("openai::v1::o4-mini", True),
        ("openai::v1::gpt-5", True),
        ("fireworks::v1::deepseek-r1", True),
        ("openai::v1::gpt-4o", False),
        ("openai::v1::olmo", False),
        ("google::v1::gemini-2.0-flash", False),
    ],
)
def test_names_that_tell_of_thinking(ref: str, reasons: bool) -> None:
    assert Model(ref=ref).reasons == reasons


def test_an_ability_tells_of_thinking_better_than_a_name() -> None:
    assert Model(ref="google::v1::gemini-2.5-pro", abilities=REASONING).reasons


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("models/Gemini-2.0-Flash", "gemini-2-0-flash"),
        ("claude-3.5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("", ""),
    ],
)
def test_what_differs_between_catalogues(name: str, plain: str) -> None:
    assert normalised(name) == plain


LISTING = {
    "object": "list",
    "data": [
        {"id": GPT_4O.ref, "object": "model", "created": 1747699200, "owned_by": "openai"},
        {"id": GEMINI.ref, "object": "model", "created": None, "owned_by": "google"},
        {"id": ""},
        {"id": "a::b::c\r\nx-evil: 1"},
    ],
}
SUPPORTED = {
    "schemaVersion": "1.0",
    "revision": "6.12.5040",
    "providers": [{"id": "openai", "displayName": "OpenAI"}],
    "models": [
        {
            "modelRef": GPT_4O.ref,
            "modelName": "gpt-4o",
            "capabilities": ["chat", "tools"],
            "status": "stable",
            "contextWindow": {"maxInputTokens": 45000, "maxOutputTokens": 4000},
            "modelConfigAllTiers": {
                "free": None,
                "enterprise": {"contextWindow": {"maxInputTokens": 77000, "maxOutputTokens": 16000}},
            },
        },
        {
            "modelRef": SONNET_35.ref,
            "modelName": "claude-3-5-sonnet-latest",
            "capabilities": ["chat"],
            "status": "deprecated",
            "modelConfigAllTiers": None,
        },
        {"modelRef": "x::v1::bare", "capabilities": None, "modelConfigAllTiers": {"enterprise": None}},
        {
            "modelRef": "x::v1::zero",
            "modelConfigAllTiers": {"enterprise": {"contextWindow": {"maxOutputTokens": 0, "maxInputTokens": 0}}},
        },
        {"modelRef": "x::v1::null", "modelConfigAllTiers": {"enterprise": {"contextWindow": None}}},
        {"modelRef": "x::v1::\x07"},
    ],
    "defaultModels": {"chat": GPT_4O.ref},
}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_reading_the_listing() -> None:
    listed = [Model(ref=GPT_4O.ref, created=1747699200), Model(ref=GEMINI.ref)]
    assert read_listing(encoded(LISTING)) == listed


def test_reading_supported_models() -> None:
    assert read_supported(encoded(SUPPORTED)) == [
        Model(ref=GPT_4O.ref, name="gpt-4o", abilities=CHAT, max_input=77000, max_output=16000),
        Model(ref=SONNET_35.ref, name="claude-3-5-sonnet-latest", abilities=frozenset({"chat"}), deprecated=True),
        Model(ref="x::v1::bare"),
        Model(ref="x::v1::zero"),
        Model(ref="x::v1::null"),
    ]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"models":1}', b"\xff", b"{}", b"[" * 100_000])
def test_what_is_no_listing(body: bytes) -> None:
    assert read_listing(body) is None
    assert read_supported(body) is None


def test_null_lists_are_empty_ones() -> None:
    assert read_listing(b'{"data":null}') == []
    assert read_supported(b'{"providers":null,"models":null,"defaultModels":null}') == []


BARE_GPT = Model(ref=GPT_4O.ref, created=7)
BARE_NEW = Model(ref="a::v1::new", created=8)


@pytest.mark.parametrize(
    ("listing", "supported", "models"),
    [
        (None, None, None),
        ([], None, []),
        (None, [GPT_4O], [GPT_4O]),
        ([], [GPT_4O], [GPT_4O]),
        ([BARE_GPT], None, [BARE_GPT]),
        (
            [BARE_GPT, BARE_NEW],
            [GEMINI, GPT_4O],
            [Model(ref=GPT_4O.ref, name="gpt-4o", abilities=CHAT, created=7), BARE_NEW],
        ),
    ],
)
def test_both_sources_together(
    listing: list[Model] | None, supported: list[Model] | None, models: list[Model] | None
) -> None:
    assert merged(listing, supported) == models


@given(wild_bytes(LISTING, SUPPORTED))
def test_reading_never_raises(body: bytes) -> None:
    for models in (read_listing(body), read_supported(body)):
        assert models is None or all(model.ref.isprintable() for model in models)


@given(st.text(max_size=30))
def test_resolving_gives_a_model_of_the_listing_or_none(name: str) -> None:
    resolved = catalogue().resolve(name)
    assert resolved is None or resolved.model in ALL
    assert len(catalogue().nearest(name)) == 3
