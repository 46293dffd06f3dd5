"""Model names: what the instance offers, and which of it a client means.

Sources: `/.api/llm/models` (references only) and `/.api/modelconfig/supported-models.json` (abilities and limits);
either may be missing, empty or null (contract §6). Order of resolution: contract §6.3. The LLM API wants full
references (`provider::apiVersion::modelId`), clients want the short names that they know.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec

from cody_oai_router.conversation import ListedModel

# How a name was found. "exact" is a full reference; "unlisted" passes unchanged, as nothing is known of the instance's
# models.
How = Literal["exact", "alias", "name", "family", "default", "unlisted"]

NEAREST: Final = 3
# Clients use a handful of names; this many bounds what one that makes them up can fill.
MAX_REMEMBERED: Final = 1024

# The longest names of the contract (§6.2) have some 50 letters: no longer one is remembered, nor, as comparing is slow,
# more of one compared.
MAX_COMPARED: Final = 128

_DATE: Final = re.compile(r"-(20\d{6}|20\d\d-\d\d-\d\d)$")
_THINKING: Final = re.compile(r"^(.*?)(-extended)?-thinking(-latest)?$")
_WORDS: Final = re.compile(r"[a-z]+")
_NUMBERS: Final = re.compile(r"\d{1,9}")
# What makes one of several models with the same name the better one: it can be asked for more.
_PRIZED: Final = frozenset({"vision", "tools"})
_REASONING_NAME: Final = re.compile(r"thinking|^o\d|^gpt-5|reason|deepseek-r\d")


@lru_cache(maxsize=1024)
def _is_named_for_reasoning(ref: str) -> bool:
    return bool(_REASONING_NAME.search(ref.rpartition("::")[2].lower()))


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the instance. `abilities` is empty where only its reference is known; limits are in tokens."""

    ref: str
    name: str = ""
    created: int = 0
    abilities: frozenset[str] = frozenset()
    deprecated: bool = False
    max_input: int | None = None
    max_output: int | None = None

    @property
    def provider(self) -> str:
        """The first part of the reference."""
        return self.ref.partition("::")[0]

    @property
    def id(self) -> str:
        """The last part of the reference: the short name that clients use."""
        return self.ref.rpartition("::")[2]

    @property
    def reasons(self) -> bool:
        """Whether it thinks before it answers; told by its abilities, else by its name."""
        return "reasoning" in self.abilities or _is_named_for_reasoning(self.ref)

    @property
    def streams(self) -> bool:
        """Whether it may be asked for a stream (contract §6.3: Cody's clients do not stream where this says so)."""
        return "streamDisabled" not in self.abilities

    @property
    def chats(self) -> bool:
        """Whether it can be talked to; one whose abilities nobody knows is given the benefit of the doubt."""
        return not self.abilities or "chat" in self.abilities


class Resolved(msgspec.Struct, frozen=True):
    """A name that was found: the reference to ask for, how it was found, and what is known of the model.

    `lacks` are the abilities that other models of the instance are said to have and this one is not.
    """

    ref: str
    how: How
    model: Model | None = None
    reasoning_chosen: bool = False
    lacks: frozenset[str] = frozenset()


class Catalogue:
    """The models of one instance, and the user's own names for them."""

    def __init__(self, models: Sequence[Model], *, aliases: Mapping[str, str], default: str | None) -> None:
        self.models = tuple(models)
        self._aliases = aliases
        self._default = default
        self._by_ref = {model.ref: model for model in self.models}
        self._resolved: dict[tuple[str, bool], Resolved | None] = {}
        self._spoken_of = frozenset[str]().union(*(model.abilities for model in self.models))
        self._chat = sorted((model for model in self.models if model.chats), key=lambda model: model.deprecated)

    def resolve(self, name: str, *, reasoning: bool = False) -> Resolved | None:
        """Finds the model that a client means by `name`; nothing where there is none (and no default)."""
        if len(name) > MAX_COMPARED:
            return self._complete(self._resolve(name, reasoning=reasoning))
        key = (name, reasoning)
        if key not in self._resolved:
            if len(self._resolved) >= MAX_REMEMBERED:
                self._resolved.clear()
            self._resolved[key] = self._complete(self._resolve(name, reasoning=reasoning))
        return self._resolved[key]

    def _complete(self, resolved: Resolved | None) -> Resolved | None:
        """Adds what the model lacks, as far as the instance's words go: an older one does not speak of vision or tools at all."""
        if resolved is None or resolved.model is None or not resolved.model.abilities:
            return resolved
        return msgspec.structs.replace(resolved, lacks=self._spoken_of - resolved.model.abilities)

    def _resolve(self, name: str, *, reasoning: bool) -> Resolved | None:
        name = name.removeprefix("models/")
        found = self._direct(name) if name else None
        how = found.how if found is not None else "default"
        if self._default and (found is None or (how == "unlisted" and not _is_reference(name))):
            found, how = self._direct(self._default) or Resolved(self._default, "default"), "default"
        if found is None:
            return None
        sibling = self._thinking_sibling(found.model) if reasoning and found.how != "exact" and found.model else None
        if sibling is not None:
            return Resolved(sibling.ref, how, sibling, reasoning_chosen=True)
        return msgspec.structs.replace(found, how=how)

    def nearest(self, name: str) -> list[str]:
        """Gives the three short names that look most like `name`."""
        from difflib import SequenceMatcher  # noqa: PLC0415 - only a name that means nothing needs it

        wanted = normalised(name[:MAX_COMPARED])
        ids = dict.fromkeys(model.id for model in self._chat)
        ranked = sorted(ids, key=lambda model_id: -SequenceMatcher(None, wanted, normalised(model_id)).ratio())
        return ranked[:NEAREST]

    def listed(self) -> list[ListedModel]:
        """Lists what can be asked for: the user's own names, short ids, then full references."""
        chat = [model for model in self.models if model.chats]
        rows = {alias: self._alias_row(alias, target) for alias, target in self._aliases.items()}
        for model in chat:
            rows.setdefault(model.id, _row(model.id, model))
        for model in chat:
            rows.setdefault(model.ref, _row(model.ref, model))
        return list(rows.values())

    def described(self, name: str) -> ListedModel | None:
        """Describes one model by a name that means exactly it; a name that only its family answers to describes nothing."""
        for row in self.listed():
            if row.id == name:
                return row
        found = self._direct(name)
        if found is None or found.model is None or found.how == "family":
            return None
        return _row(name, found.model)

    def _alias_row(self, alias: str, target: str) -> ListedModel:
        model = self._aliased(target).model
        return _row(alias, model) if model else ListedModel(alias, "router")

    def _direct(self, name: str) -> Resolved | None:
        if name in self._by_ref:
            return Resolved(name, "exact", self._by_ref[name])
        if name in self._aliases:
            return self._aliased(self._aliases[name])
        if not self.models:
            return Resolved(name, "unlisted") if name.isprintable() else None  # it goes into a header
        model = self._named(name)
        if model is not None:
            return Resolved(model.ref, "name", model)
        model = self._family(name)
        return Resolved(model.ref, "family", model) if model else None

    def _aliased(self, target: str) -> Resolved:
        """Follows an alias; a target that neither the listing nor another alias has is believed, since the user wrote it."""
        followed: set[str] = set()
        model = self._by_ref.get(target) or self._named(target)
        while model is None and target in self._aliases and target not in followed:
            followed.add(target)
            target = self._aliases[target]
            model = self._by_ref.get(target) or self._named(target)
        return Resolved(model.ref if model else target, "alias", model)

    def _named(self, name: str) -> Model | None:
        if "/" in name:
            provider, _, rest = name.partition("/")
            within = [model for model in self._chat if model.provider == provider]
            return _first_match(within, rest) or _first_match(self._chat, name)
        return _first_match(self._chat, name)

    def _family(self, name: str) -> Model | None:
        """Gives the newest model of the same family and kind (`sonnet`, `pro`, `mini`); the first word must be the same."""
        wanted = normalised(name.rpartition("/")[2][:MAX_COMPARED])
        kind, version, thinks = _kind(wanted), _version(wanted), bool(_REASONING_NAME.search(wanted))

        def likeness(model: Model) -> tuple[bool, bool, int, int, int, tuple[int, ...]]:
            its_kind, its_version = _kind(normalised(model.id)), _version(normalised(model.id))
            alike = len(set(kind) & set(its_kind)), -len(set(its_kind) - set(kind))
            return (not model.deprecated, model.reasons == thinks, *alike, _common(version, its_version), its_version)

        kin = [model for model in self._chat if _kind(normalised(model.id))[:1] == kind[:1]]
        return max(kin, key=likeness, default=None) if kind else None

    def _thinking_sibling(self, model: Model) -> Model | None:
        """Finds the variant of a model that thinks: `claude-sonnet-4-thinking-latest` of `claude-sonnet-4-latest`."""
        base = normalised(model.id)
        for other in self._chat:
            match = _THINKING.match(other.id)
            if match and other.provider == model.provider and normalised(match[1]) == base:
                return other
        return None


def _row(name: str, model: Model) -> ListedModel:
    return ListedModel(
        name, model.provider, model.created, model.max_input, model.max_output, tuple(sorted(model.abilities))
    )


def read_listing(body: bytes) -> list[Model] | None:
    """Reads `/.api/llm/models`; nothing where it is no listing, an empty list where the instance lists nothing."""
    try:
        listing = _listing(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    rows = listing.data or []
    return [Model(ref=row.id, created=int(row.created or 0)) for row in rows if row.id and row.id.isprintable()]


def read_supported(body: bytes) -> list[Model] | None:
    """Reads `supported-models.json`; its parts may be null (contract §6.2). Limits are the enterprise tier's."""
    try:
        supported = _supported(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return [_model(row) for row in supported.models or () if row.modelRef and row.modelRef.isprintable()]


def merged(listing: list[Model] | None, supported: list[Model] | None) -> list[Model] | None:
    """Puts what both sources say together; the listing decides what there is, where there is one."""
    if not listing:
        return supported or listing
    known = {model.ref: model for model in supported or ()}
    return [msgspec.structs.replace(known.get(row.ref, row), created=row.created) for row in listing]


def normalised(name: str) -> str:
    """Gives the name without what differs between catalogues: case, dots, `-latest` and dates (contract §6.3)."""
    plain = name.lower().replace(".", "-").replace("_", "-").removeprefix("models/")
    return _DATE.sub("", plain.removesuffix("-latest"))


def _first_match(models: Iterable[Model], name: str) -> Model | None:
    """Goes through the models by id, then by the provider's own name for them, each as it is and then normalised.

    Of several with the same name it takes one that is not deprecated, does not think, and can do most.
    """
    rows = sorted(models, key=lambda model: (model.deprecated, model.reasons, -len(model.abilities & _PRIZED)))
    wanted = normalised(name)
    found = [model for model in rows if model.id == name] or [model for model in rows if normalised(model.id) == wanted]
    # Ids first: the provider's names are not unique, and one of a bring-your-own-key model has a date (contract §6.3).
    found = found or [model for model in rows if model.name == name]
    found = found or [model for model in rows if model.name and normalised(model.name) == wanted]
    return found[0] if found else None


def _is_reference(name: str) -> bool:
    """Whether a name says which provider's model it means, as instances that list nothing take it."""
    return "::" in name or "/" in name


def _kind(name: str) -> list[str]:
    return _WORDS.findall(name)


def _version(name: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBERS.findall(name)))


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    length = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return length


class _Row(msgspec.Struct):
    id: str = ""
    created: float | None = None


class _Listing(msgspec.Struct):
    data: list[_Row] | None


class _Window(msgspec.Struct):
    maxInputTokens: int | None = None  # noqa: N815 - the wire's own name
    maxOutputTokens: int | None = None  # noqa: N815 - the wire's own name


class _Tier(msgspec.Struct):
    contextWindow: _Window | None = None  # noqa: N815 - the wire's own name


class _Tiers(msgspec.Struct):
    enterprise: _Tier | None = None


class _Supported(msgspec.Struct):
    modelRef: str = ""  # noqa: N815 - the wire's own name
    modelName: str = ""  # noqa: N815 - the wire's own name
    capabilities: list[str] | None = None
    status: str = ""
    modelConfigAllTiers: _Tiers | None = None  # noqa: N815 - the wire's own name


class _SupportedModels(msgspec.Struct):
    models: list[_Supported] | None


_listing = msgspec.json.Decoder(_Listing).decode
_supported = msgspec.json.Decoder(_SupportedModels).decode


def _model(row: _Supported) -> Model:
    tier = row.modelConfigAllTiers.enterprise if row.modelConfigAllTiers else None
    window = tier.contextWindow if tier else None
    return Model(
        ref=row.modelRef,
        name=row.modelName,
        abilities=frozenset(row.capabilities or ()),
        deprecated=row.status == "deprecated",
        max_input=(window.maxInputTokens or None) if window else None,
        max_output=(window.maxOutputTokens or None) if window else None,
    )
