"""What the user has configured: from sources of strings to one frozen value, or to the reasons why not.

Strategy: the shell collects the sources (command line, environment, files) in their order of precedence; this module
reads every variable once, collects everything that is wrong, and checks at the end that no less trusted source steers
where a secret from a more trusted one travels: a `.env` in some cloned repository must not send a user's token
elsewhere.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal

import msgspec

from cody_oai_router.addresses import (
    Proxy,
    Upstream,
    is_loopback,
    read_end_point,
    read_host_names,
    read_listen,
    read_origins,
    read_upstream,
)
from cody_oai_router.credentials import Secret, read_header, read_header_lines, read_key, read_token
from cody_oai_router.limits import Limits, Timeouts, read_limits, read_timeouts
from cody_oai_router.network import ClientCertificate, read_ca_file, read_client_certificate, read_proxy_on_the_way
from cody_oai_router.notation import (
    read_aliases,
    read_api,
    read_count,
    read_log_format,
    read_port,
    read_switch,
    read_text,
    read_workers,
)
from cody_oai_router.reading import Found, ReadFile, Reading, Source
from cody_oai_router.variables import BY_NAME, CODY_END_POINT, DEFAULT_END_POINT

Api = Literal["auto", "llm", "cody"]

_OURS: Final = ("SOURCEGRAPH_BASE_URL", "SOURCEGRAPH_API_TOKEN", "SOURCEGRAPH_API_TOKEN_FILE")
_SRC_PAIR: Final = ("SRC_ENDPOINT", "SRC_ACCESS_TOKEN")
_HEADER_PREFIX: Final = "SRC_HEADER_"
# Stands in for an address that is refused anyway.
_NOWHERE: Final = Upstream("https", "invalid", 443)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the user decides; no field shows a secret.

    `sourcegraph_api` is decided with the path that may pin it.
    `hosts` must all be bound, `hosts_if_free` only where they can. `proxy` is already decided for this instance.
    `notices` are lines to show at every start. `origins` says which source set each variable.
    """

    port: int
    workers: int
    hosts: tuple[str, ...]
    hosts_if_free: tuple[str, ...]
    upstream: Upstream
    sourcegraph_api: Api
    llm_path: str
    cody_path: str
    token: Secret
    extra_headers: tuple[tuple[str, Secret], ...]
    default_model: str | None
    model_aliases: Mapping[str, str]
    default_max_tokens: int
    default_max_tokens_reasoning: int
    timeouts: Timeouts
    limits: Limits
    log_format: Literal["text", "json"]
    proxy: Proxy | None
    ca_file: str | None
    client_certificate: ClientCertificate | None
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    api_key: Secret | None
    notices: tuple[str, ...] = ()
    origins: Mapping[str, str] = {}


class Refusal(msgspec.Struct, frozen=True):
    """Why the router does not start: one line for each thing that is wrong.

    `token_missing` says that no token is configured anywhere; with no `lines` it is all that is wrong. `hints` say what
    is set but has no effect on that.
    """

    lines: tuple[str, ...]
    token_missing: bool = False
    hints: tuple[str, ...] = ()


class _Account(msgspec.Struct, frozen=True):
    """Where to send requests, as whom; `found` is where the token comes from, `None` where none is set."""

    upstream: Upstream
    token: Secret | None
    found: Found | None


def read_settings(sources: Sequence[Source], read_file: ReadFile) -> Settings | Refusal:
    """The settings that the sources make together, which come in their order of precedence."""
    reading = Reading(sources, read_file)
    account = _account(reading)
    headers = _extra_headers(reading)
    settings = _read_rest(reading, account, headers)
    _check_openness(reading, settings)
    _check_trust(reading, account.found, {found.name: found for found, _ in headers.values()})
    if reading.lines or account.found is None:
        hints = () if account.found else _unused_pair(reading)
        return Refusal(tuple(reading.lines), account.found is None, hints)
    return settings


def _account(reading: Reading) -> _Account:
    read_address = partial(read_upstream, insecure=reading.value("ALLOW_INSECURE_UPSTREAM", read_switch))
    pair = None if any(map(reading.find, _OURS)) else reading.find_pair(*_SRC_PAIR)
    if pair:
        upstream = reading.parse(pair[0], read_address)
        return _Account(upstream or _NOWHERE, reading.parse(pair[1], read_token), pair[1])
    token, found = reading.secret("SOURCEGRAPH_API_TOKEN", read_token)
    return _Account(reading.value("SOURCEGRAPH_BASE_URL", read_address), token, found)


def _unused_pair(reading: Reading) -> tuple[str, ...]:
    """Why what is set for Sourcegraph's own CLI does not help, where it is set."""
    if not any(map(reading.find, _SRC_PAIR)):
        return ()
    ours = [name for name in _OURS if reading.find(name)]
    why = f"{ours[0]} is set" if ours else "they are not both set in the same place"
    return (f"{' and '.join(_SRC_PAIR)} are not used: {why}.",)


def _extra_headers(reading: Reading) -> dict[str, tuple[Found, Secret]]:
    headers: dict[str, tuple[Found, Secret]] = {}
    together = reading.find("SRC_HEADERS")
    if together:
        for name, value in (reading.parse(together, read_header_lines) or {}).items():
            headers[name] = together, value
    for found in reading.find_prefixed(_HEADER_PREFIX):
        header = reading.parse(found, partial(read_header, found.name.removeprefix(_HEADER_PREFIX)))
        if header:
            headers[header[0]] = found, header[1]
    return headers


def _read_rest(reading: Reading, account: _Account, headers: Mapping[str, tuple[Found, Secret]]) -> Settings:
    upstream = account.upstream
    listen = reading.optional("ROUTER_HOST", read_listen)
    end_point = reading.value("SOURCEGRAPH_END_POINT", read_end_point)
    api_key, _ = reading.secret("ROUTER_API_KEY", read_key)
    settings = Settings(
        port=reading.value("PORT", read_port),
        workers=reading.value("WORKERS", read_workers),
        hosts=listen or ("127.0.0.1",),
        hosts_if_free=() if listen else ("::1",),
        upstream=upstream,
        sourcegraph_api=_api(reading, end_point),
        llm_path=DEFAULT_END_POINT if _is_codys(end_point) else end_point,
        cody_path=end_point if _is_codys(end_point) else CODY_END_POINT,
        token=account.token or Secret(""),
        extra_headers=tuple((name, value) for name, (_, value) in headers.items()),
        default_model=reading.optional("DEFAULT_MODEL", read_text),
        model_aliases=reading.optional("MODEL_ALIASES", read_aliases) or {},
        default_max_tokens=reading.value("DEFAULT_MAX_TOKENS", read_count),
        default_max_tokens_reasoning=reading.value("DEFAULT_MAX_TOKENS_REASONING", read_count),
        timeouts=read_timeouts(reading),
        limits=read_limits(reading),
        log_format=reading.value("LOG_FORMAT", read_log_format),
        proxy=read_proxy_on_the_way(reading, upstream),
        ca_file=read_ca_file(reading),
        client_certificate=read_client_certificate(reading),
        allowed_hosts=reading.optional("ALLOWED_HOSTS", read_host_names) or (),
        allowed_origins=reading.optional("ALLOWED_ORIGINS", read_origins) or (),
        api_key=api_key,
    )
    origins = {name: found.source.label for name, found in reading.used.items()}
    return msgspec.structs.replace(settings, notices=_notices(settings), origins=origins)


def _is_codys(end_point: str) -> bool:
    return end_point.rstrip("/").endswith("/completions/stream")


def _api(reading: Reading, end_point: str) -> Api:
    """The endpoint that answers; a path that is not the default one pins its own."""
    api: Api = reading.value("SOURCEGRAPH_API", read_api)
    if end_point == DEFAULT_END_POINT:
        return api
    pinned: Literal["llm", "cody"] = "cody" if _is_codys(end_point) else "llm"
    chosen = reading.used.get("SOURCEGRAPH_API")
    if chosen and api not in ("auto", pinned):
        reading.refuse(
            chosen, f"it contradicts SOURCEGRAPH_END_POINT, whose path is that of the other endpoint ({pinned})"
        )
    return pinned


def _check_openness(reading: Reading, settings: Settings) -> None:
    """Note what would let others than this machine's own programs use the token without a key."""
    if settings.api_key is not None:
        return
    listen, origins = reading.used.get("ROUTER_HOST"), reading.used.get("ALLOWED_ORIGINS")
    if listen and not all(map(is_loopback, settings.hosts)):
        reading.refuse(
            listen, "others in the network could use your token: set ROUTER_API_KEY too, or listen on 127.0.0.1"
        )
    if origins and "*" in settings.allowed_origins:
        reading.refuse(origins, "any web page could use your token: set ROUTER_API_KEY too, or list the origins")


def _check_trust(reading: Reading, token: Found | None, headers: Mapping[str, Found]) -> None:
    """Check that nothing less trusted steers the token or, as they may hold credentials too, the extra headers."""
    secrets = [*([token] if token else ()), *headers.values()]
    if not secrets:
        return
    nearest = min(secrets, key=lambda found: found.source.distance)
    reading.check_trust(
        nearest, [found for found in reading.used.values() if _steers(found) and found.name not in headers]
    )
    if token:
        reading.check_trust(token, list(headers.values()))


def _steers(found: Found) -> bool:
    variable = BY_NAME.get(found.name)
    return variable is not None and variable.steers and found.value != variable.default


def _notices(settings: Settings) -> tuple[str, ...]:
    upstream, lines = settings.upstream, []
    if upstream.host in {"sourcegraph.com", "www.sourcegraph.com"}:
        lines.append(
            "sourcegraph.com no longer serves Cody: set SOURCEGRAPH_BASE_URL to the address of an Enterprise instance."
        )
    if upstream.scheme == "http" and not is_loopback(upstream.host):
        lines.append(
            f"WARNING: your token and all prompts travel unencrypted to {upstream.url} (ALLOW_INSECURE_UPSTREAM)."
        )
    if not all(map(is_loopback, settings.hosts)):
        lines.append(
            "WARNING: the router listens beyond this machine; keys and prompts travel unencrypted (ROUTER_HOST)."
        )
    return tuple(lines)
