"""Judges the models of an instance, and chooses the one to try."""

from collections.abc import Mapping
from typing import Final

import msgspec

from cody_oai_router.catalogue import Catalogue, Model
from cody_oai_router.checkup.check import Check

# Asked for where an instance lists nothing and the user has no names of their own: what many clients send unasked, and
# what most instances have had, under this name, since 2024.
_UNLISTED: Final = "gpt-4o"


def read_default(body: bytes) -> str | None:
    """Reads which model Cody's chat begins with from supported-models.json (contract §6.2); it need not be in the list."""
    try:
        defaults = _decode(body).defaultModels
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return (defaults.chat or None) if defaults else None


class _Defaults(msgspec.Struct):
    chat: str | None = None


class _Supported(msgspec.Struct):
    defaultModels: _Defaults | None = None  # noqa: N815 - the wire's own name


_decode = msgspec.json.Decoder(_Supported).decode


def judge_models(catalogue: Catalogue, default: str | None, chosen: str | None, aliases: Mapping[str, str]) -> Check:
    """Judges the listing, the user's DEFAULT_MODEL (`chosen`) and MODEL_ALIASES; `default` is the instance's own."""
    chat = [model for model in catalogue.models if model.chats]
    if not chat:
        return _unlisted_site(catalogue, chosen)
    detail = f"{_count(len(chat))}{_first(chat, default)}; to list them: cody-oai-router models"
    lost = _unlisted(catalogue, chosen, aliases)
    if chosen and not lost:
        found = catalogue.resolve("")
        detail += f"; DEFAULT_MODEL is {found.ref if found else chosen}"
    if not lost:
        return Check("models", "ok", detail)
    advice = (
        "; ".join(lost)
        + ": requests for what is not listed may be refused. Correct the names, or leave it if you know better."
    )
    return Check("models", "warning", detail, advice)


def _unlisted_site(catalogue: Catalogue, chosen: str | None) -> Check:
    found = catalogue.resolve("") if chosen else None
    if found is None:
        advice = (
            "Names of models go to Sourcegraph as clients write them, and the LLM API takes full references only. Set DEFAULT_MODEL to "
            "the full reference of a model that Cody offers you: provider::version::model."
        )
        return Check("models", "warning", "the instance lists none", advice)
    return Check("models", "ok", f"the instance lists none; DEFAULT_MODEL is {found.ref}")


def _count(number: int) -> str:
    return "1 model" if number == 1 else f"{number} models"


def _first(chat: list[Model], default: str | None) -> str:
    listed = next((model for model in chat if model.ref == default), None)
    return f"; Cody itself begins with {listed.id}" if listed else ""


def _unlisted(catalogue: Catalogue, chosen: str | None, aliases: Mapping[str, str]) -> list[str]:
    lost = []
    if chosen:
        found = catalogue.resolve("")
        if found is None or found.model is None:
            lost.append(f"DEFAULT_MODEL={chosen} is not in the listing")
    for alias, target in aliases.items():
        meant = catalogue.resolve(alias)
        if meant is None or meant.model is None:
            lost.append(f"MODEL_ALIASES: {alias}={target} is not in the listing")
    return lost


def model_to_try(catalogue: Catalogue, default: str | None, chosen: str | None, aliases: Mapping[str, str]) -> str:
    """Chooses what to ask: the user's default, the instance's, else one that is not deprecated and does not think first.

    Where nothing is listed it is what clients send: a name that the user made for them (`aliases`), or a usual one.
    """
    if chosen:
        found = catalogue.resolve("")
        return found.ref if found else chosen
    chat = [model for model in catalogue.models if model.chats]
    if any(model.ref == default for model in chat) and default:
        return default
    ranked = sorted(chat, key=lambda model: (model.deprecated, model.reasons))
    return ranked[0].ref if ranked else next(iter(aliases), _UNLISTED)
