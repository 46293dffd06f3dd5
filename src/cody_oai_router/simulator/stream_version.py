"""What Cody's stream looks at before it reads a body: the api-version and the client's name (contract §4.1)."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from cody_oai_router.simulator.instance import Instance
from cody_oai_router.simulator.refusals import REFUSALS, Refusal

LEGACY = 0  # no api-version at all; written out, `0` is an unknown version


def read_version(query: str, instance: Instance) -> int | Refusal:
    """Returns the api-version that a request asks for, or why it is refused."""
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    newest = instance.profile.api_version or 1
    word = fields.get("api-version", "")
    if word not in {"", *map(str, range(1, newest + 1))}:
        return REFUSALS["api version"]
    refusal = _check_client(fields, instance) if instance.context_filters else None
    return refusal or int(word or LEGACY)


_Semver = tuple[int, int, int, bool]

_SEMVER = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_MINIMA: Mapping[str, _Semver] = {
    "vscode": (1, 20, 0, True),
    "jetbrains": (6, 0, 0, False),  # [I]: its snapshots pass, as which Cody's CLI masquerades
}


def _check_client(fields: Mapping[str, str], instance: Instance) -> Refusal | None:
    """A site with context filters serves clients that keep to them: it goes by their name and version."""
    name = fields.get("client-name")
    if name is None:
        return REFUSALS["client param"].about("client-name")
    if name == "web":
        return None
    if instance.profile.ancient and name not in _MINIMA:
        return REFUSALS["client name"].about(name)
    if "client-version" not in fields:
        return REFUSALS["client param"].about("client-version")
    version = _read_semver(fields["client-version"])
    if version is None:
        return REFUSALS["client semver"].about(fields["client-version"])
    return (
        None if version >= _MINIMA.get(name, version) else REFUSALS["client old"].about(name, fields["client-version"])
    )


def _read_semver(text: str) -> _Semver | None:
    """Reads a version as generously as Go's semver library does (`v1` is 1.0.0); last, whether it is a release."""
    match = _SEMVER.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups(default="")
    return int(major), int(minor or 0), int(patch or 0), not prerelease
