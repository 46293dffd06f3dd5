"""The few GraphQL fields that a client asks about its account and its instance (contract §7.2)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cody_oai_router.simulator.instance import Instance

FILTERS: Mapping[str, Any] = {"exclude": [{"repoNamePattern": r"^example\.com/secret/.*"}]}


def execute(query: str, instance: Instance, *, anonymous: bool = False) -> dict[str, Any]:
    """Answers a query; an unknown field is a 200 with `errors`, in GraphQL's own words (contract §7.2)."""
    words = iter(re.findall(r"[A-Za-z_]\w*|[{}]", _ARGUMENTS.sub("", query).partition("{")[2]))
    errors: list[str] = []
    data = _select(words, _schema(instance, anonymous=anonymous), "Query", errors)
    return {"errors": [{"message": message} for message in errors]} if errors else {"data": data}


_ARGUMENTS = re.compile(r'\((?:"(?:[^"\\]|\\.)*"|[^()"])*\)')
_TYPES = {
    "currentUser": "User",
    "site": "Site",
    "primaryEmail": "UserEmail",
    "codyContextFilters": "CodyContextFilters",
}
_FOR_ADMINS = {"codyGatewayRateLimitStatus"}


def _schema(instance: Instance, *, anonymous: bool) -> Mapping[str, Any]:
    user = {
        "id": "VXNlcjox",
        "username": "demo",
        "displayName": "Demo User",
        "hasVerifiedEmail": True,
        "primaryEmail": {"email": "demo@example.com"},
        "completionsQuotaOverride": None,
        "codeCompletionsQuotaOverride": None,
    }
    filters = {"raw": FILTERS} if instance.context_filters else None
    site = {
        "productVersion": instance.profile.version,
        "isCodyEnabled": instance.cody_enabled,
        "perUserCompletionsQuota": None,
        "perUserCodeCompletionsQuota": None,
        "codyGatewayRateLimitStatus": None,
    }
    since_5_6 = {} if instance.profile.ancient else {"codyContextFilters": filters}
    return {"currentUser": None if anonymous else user, "site": {**site, **since_5_6}}


def _select(
    words: Iterator[str], values: Mapping[str, Any] | None, type_name: str, errors: list[str]
) -> dict[str, Any] | None:
    """Reads one selection set, up to its closing brace; below null there is null, whatever is asked of it."""
    selected: dict[str, Any] = {}
    last = ""
    for word in words:
        if word == "}":
            break
        if word == "{":
            below = None if values is None else values.get(last)
            selected[last] = _select(words, below, _TYPES.get(last, last), errors)
            continue
        last = word
        selected[word] = None if values is None else values.get(word)
        if values is not None and word not in values:
            errors.append(f'Cannot query field "{word}" on type "{type_name}".')
        elif word in _FOR_ADMINS:
            errors.append("must be site admin")  # [I]: the contract knows that it is refused, not how
    return None if values is None else selected
