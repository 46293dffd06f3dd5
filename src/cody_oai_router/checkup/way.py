"""Judges the way to the instance: names, connections, the proxy and certificates."""

from collections.abc import Sequence
from typing import Final

from cody_oai_router.addresses import is_loopback
from cody_oai_router.checkup.certificate import Issuer
from cody_oai_router.checkup.check import Check
from cody_oai_router.settings import Settings
from cody_oai_router.variables import BY_NAME

# A name with more addresses than this is spread over the world, and nobody reads them.
_SHOWN: Final = 3


def judge_addresses(settings: Settings, addresses: Sequence[str]) -> Check:
    """Tells what the name that has to be looked up stands for: the proxy's, where there is one."""
    host = _first_host(settings)
    if list(addresses) == [host]:
        return Check("dns", "ok", f"no name to look up: {host} is an address")
    shown = ", ".join(addresses[:_SHOWN]) + (", ..." if len(addresses) > _SHOWN else "")
    return Check("dns", "ok", f"{host} is {shown}")


def judge_unresolved(settings: Settings, why: str) -> Check:
    """Tells what to do about a name that is not found."""
    variable = _first_variable(settings)
    advice = (
        f"Check the spelling in {variable}. If only your company's network knows the name, connect to it first (VPN), "
        "and check that the name opens in a browser on this machine."
    )
    return Check("dns", "failed", f"the name {_first_host(settings)} is not found ({why})", advice)


def judge_connected(settings: Settings, peer: str) -> Check:
    """Tells where a connection was made to."""
    whom = "the proxy " if settings.proxy else ""
    return Check("connection", "ok", f"{whom}{peer} accepts connections")


def judge_unconnected(settings: Settings, why: str) -> Check:
    """Tells what to do where nobody takes the connection."""
    variable = _first_variable(settings)
    advice = f"Check host and port in {variable}, and whether a VPN has to be on."
    if not settings.proxy and not is_loopback(settings.upstream.host):
        advice += " If your company's network lets programs out through a proxy only, set HTTPS_PROXY=http://host:port."
    return Check("connection", "failed", why, advice)


def judge_proxy(settings: Settings) -> Check:
    """Tells that the way through the proxy is open, or that there is no proxy on it."""
    if settings.proxy:
        return Check("proxy", "ok", f"{_proxy_address(settings)} connects to {settings.upstream.authority}")
    variable = _set_as(settings, "HTTPS_PROXY")
    if variable not in settings.origins:
        return Check("proxy", "ok", "none configured; connections go straight to Sourcegraph")
    why = "plain http needs none" if settings.upstream.scheme == "http" else "NO_PROXY, or this machine itself"
    return Check("proxy", "ok", f"{variable} is not used for this address ({why})")


def judge_refused_by_proxy(settings: Settings, why: str) -> Check:
    """Tells what to do about a proxy that does not connect."""
    variable = _set_as(settings, "HTTPS_PROXY")
    advice = (
        f"{variable} is set in {settings.origins.get(variable, 'your settings')}. If this instance is reached without a "
        f"proxy, set NO_PROXY={settings.upstream.host}; otherwise ask whoever runs the proxy."
    )
    return Check("proxy", "failed", why, advice)


def judge_plain(settings: Settings) -> Check:
    """Judges an instance that is asked without TLS."""
    if is_loopback(settings.upstream.host):
        return Check("tls", "ok", "not used: plain http, which does not leave this machine")
    advice = "Use the https address of the instance, if it has one."
    return Check("tls", "warning", "not used: your token and prompts travel unencrypted", advice)


def judge_trusted(settings: Settings, issuer: Issuer | None, version: str) -> Check:
    """Tells whose certificate is trusted."""
    by = f"trusted by CA_FILE ({settings.ca_file})" if settings.ca_file else "trusted by this system"
    if issuer is None:
        return Check("tls", "ok", f"verified ({version}), {by}")
    detail = f"verified ({version}), issued by {issuer.shown}, {by}"
    match issuer.kind:
        case "public":
            return Check("tls", "ok", detail)
        case "inspection":
            advice = (
                f"{issuer.inspector} looks into this connection on your company's behalf: it can read prompts and answers, and may "
                "hold back streamed answers (see streaming)."
            )
            return Check("tls", "ok", detail, advice)
        case "private":
            return Check("tls", "ok", detail, "That is no public authority: most likely your company's own.")


def judge_untrusted(settings: Settings, why: str, issuer: Issuer | None, *, signer: bool) -> Check:
    """Tells who issued a certificate that is not trusted, and what to do; `signer` tells that nothing else is wrong with it."""
    if issuer is None:
        return Check("tls", "failed", why)
    remedy = [_remedy(settings, issuer)] if signer else []
    return Check("tls", "failed", why, " ".join([f"It was issued by {_issued(issuer)}.", *remedy]))


def _issued(issuer: Issuer) -> str:
    if issuer.itself:
        return f"itself ({issuer.shown})"
    if issuer.inspector:
        return f"{issuer.shown}: {issuer.inspector}, a program that looks into TLS, which your company or this machine runs"
    return issuer.shown


def _remedy(settings: Settings, issuer: Issuer) -> str:
    if issuer.kind == "public":
        return (
            "That is a public authority: most likely the instance does not send the certificates between its own and that one, or "
            "this machine's list of authorities is old (package ca-certificates)."
        )
    if settings.ca_file:
        return (
            f"CA_FILE ({settings.ca_file}) is all that is trusted now; it does not hold the authority that is needed."
        )
    return (
        "Ask your IT department for the certificate of that authority as a PEM file (or export it from the browser that opens the "
        "instance), and set CA_FILE to its path."
    )


def _first_host(settings: Settings) -> str:
    return settings.proxy.host if settings.proxy else settings.upstream.host


def _first_variable(settings: Settings) -> str:
    return (
        _set_as(settings, "HTTPS_PROXY")
        if settings.proxy
        else _set_as(settings, "SOURCEGRAPH_BASE_URL", "SRC_ENDPOINT")
    )


def _set_as(settings: Settings, *names: str) -> str:
    """Gives the name under which the user has set a variable; its own where nobody has."""
    spellings = (spelling for name in names for spelling in (name, *BY_NAME[name].spellings))
    return next((spelling for spelling in spellings if spelling in settings.origins), names[0])


def _proxy_address(settings: Settings) -> str:
    return f"{settings.proxy.host}:{settings.proxy.port}" if settings.proxy else ""
