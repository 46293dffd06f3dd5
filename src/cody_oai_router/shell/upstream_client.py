"""The pooled client to the user's Sourcegraph, as the settings want it."""

from cody_oai_router.credentials import Secret
from cody_oai_router.http1 import Client, ClientLimits, Origin, Proxy
from cody_oai_router.settings import Settings
from cody_oai_router.shell.tls import client_context


def upstream_client(settings: Settings) -> Client:
    """Makes the client inside the running loop; raises OSError where certificates cannot be used, which says what to change."""
    limits = settings.limits
    return Client(
        upstream_origin(settings),
        ClientLimits(
            connections=limits.upstream_connections,
            head_bytes=limits.upstream_head_bytes,
            idle=settings.timeouts.upstream_keep_alive,
            decoded_bytes=limits.reply_bytes,
        ),
        tls=client_context(settings) if settings.upstream.scheme == "https" else None,
        proxy=upstream_proxy(settings),
    )


def upstream_origin(settings: Settings) -> Origin:
    """Gives the place that requests go to."""
    upstream = settings.upstream
    return Origin(upstream.scheme, upstream.host, upstream.port)


def upstream_proxy(settings: Settings) -> Proxy | None:
    """Gives the proxy on the way there, if any."""
    proxy = settings.proxy
    if proxy is None:
        return None
    return Proxy(proxy.host, proxy.port, _revealed(proxy.credentials))


def _revealed(secret: Secret | None) -> str | None:
    return secret.reveal() if secret is not None else None
