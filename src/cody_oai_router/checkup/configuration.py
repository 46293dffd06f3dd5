"""Judges what is configured, and where."""

from collections.abc import Mapping, Sequence

from cody_oai_router.checkup.check import Check
from cody_oai_router.settings import Refusal, Settings


def judge_settings(settings: Settings, warnings: Sequence[str]) -> Check:
    """Tells where each variable is set; `warnings` are those about files."""
    detail = "; ".join([settings.upstream.url, *_origins(settings.origins)])
    advice = [*warnings, *settings.notices]
    return Check("configuration", "warning" if advice else "ok", detail, "\n".join(advice))


def judge_refusal(refusal: Refusal, how_to_get_a_token: Sequence[str]) -> Check:
    """Tells everything that is wrong with the configuration."""
    lines = [*refusal.lines]
    if refusal.token_missing:
        lines += [*refusal.hints, *how_to_get_a_token]
    return Check("configuration", "failed", lines[0], "\n".join(lines[1:]))


def _origins(origins: Mapping[str, str]) -> list[str]:
    """Which variables come from where, never a value."""
    places = {label: sorted(name for name in origins if origins[name] == label) for label in origins.values()}
    return [f"{', '.join(names)} from {label}" for label, names in places.items()]
