"""The few GraphQL fields that a client asks about its account and its instance (contract §7.2)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cody_oai_router.simulator.instance import Instance


def execute(query: str, instance: Instance) -> dict[str, Any]:
    """Answers a query; an unknown field is a 200 with `errors`, in GraphQL's own words (contract §7.2)."""
    words = iter(re.findall(r"[A-Za-z_]\w*|[{}]", query.partition("{")[2]))
    errors: list[str] = []
    data = _select(words, _schema(instance), "Query", errors)
    return {"errors": [{"message": message} for message in errors]} if errors else {"data": data}


_TYPES = {"currentUser": "User", "site": "Site", "primaryEmail": "UserEmail"}


def _schema(instance: Instance) -> Mapping[str, Any]:
    return {
        "currentUser": {
            "id": "VXNlcjox",
            "username": "demo",
            "displayName": "Demo User",
            "hasVerifiedEmail": True,
            "primaryEmail": {"email": "demo@example.com"},
            "completionsQuotaOverride": None,
            "codeCompletionsQuotaOverride": None,
        },
        "site": {
            "productVersion": instance.profile.version,
            "isCodyEnabled": instance.cody_enabled,
            "perUserCompletionsQuota": None,
            "perUserCodeCompletionsQuota": None,
        },
    }


def _select(
    words: Iterator[str], values: Mapping[str, Any] | None, type_name: str, errors: list[str]
) -> dict[str, Any]:
    """Reads one selection set, up to its closing brace; one below an unknown field (None) is read past."""
    known = values or {}
    selected: dict[str, Any] = {}
    last = ""
    for word in words:
        if word == "}":
            break
        if word == "{":
            selected[last] = _select(words, known.get(last), _TYPES.get(last, last), errors)
            continue
        last = word
        selected[word] = known.get(word)
        if values is not None and word not in values:
            errors.append(f'Cannot query field "{word}" on type "{type_name}".')
    return selected
