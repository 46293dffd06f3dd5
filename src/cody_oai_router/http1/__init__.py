"""HTTP/1.1 on asyncio protocols: a server and a pooled client, for exactly what this router needs.

Nothing here knows of the rest of the package. Stream bytes go from protocol to protocol through plain callbacks; a
coroutine is only for what needs thought.
"""

from cody_oai_router.http1.client import Client
from cody_oai_router.http1.errors import (
    BadResponse,
    ClientError,
    ConnectFailed,
    ConnectionLost,
    ProxyFailed,
    TimedOut,
    TLSFailed,
)
from cody_oai_router.http1.incoming import Incoming, Sink
from cody_oai_router.http1.limits import ByteBudget, ClientLimits, ServerLimits
from cody_oai_router.http1.messages import Headers, Request, Response
from cody_oai_router.http1.outgoing import Clocks, Origin, Outgoing, Proxy
from cody_oai_router.http1.server import Application, Server
from cody_oai_router.http1.server_exchange import ServerExchange

__all__ = [
    "Application",
    "BadResponse",
    "ByteBudget",
    "Client",
    "ClientError",
    "ClientLimits",
    "Clocks",
    "ConnectFailed",
    "ConnectionLost",
    "Headers",
    "Incoming",
    "Origin",
    "Outgoing",
    "Proxy",
    "ProxyFailed",
    "Request",
    "Response",
    "Server",
    "ServerExchange",
    "ServerLimits",
    "Sink",
    "TLSFailed",
    "TimedOut",
]
