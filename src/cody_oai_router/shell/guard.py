"""Who may call: decided on the head of a request, before any of its body is read.

The port is open to every program of this machine and to every web page in its browser. A page gives itself away by its `Origin`
(or by `Sec-Fetch-Site`), and a name that points here by DNS rebinding by its `Host`; neither can be set by a page. Both are refused
unless the user allowed them. A key keeps out other users of the machine, and is demanded where the port is open to a network.
"""

import ipaddress
import re
from typing import Final

from cody_oai_router.addresses import is_loopback
from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Request, Response
from cody_oai_router.settings import Settings

Headers = list[tuple[bytes, bytes]]

# Spellings of allowed hosts that are kept; more than a machine's programs use.
MAX_REMEMBERED: Final = 64

# Paths that answer without a key: they tell nothing that a port scan does not.
_OPEN: Final = frozenset({"/health"})

# RFC 3986's authority without a user: an IPv6 address in brackets or a name, and a port, which may be empty.
_HOST: Final = re.compile(r"(?:\[([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\]|([^:\[\]/@\s]*[^:\[\]/@\s.]\.?))(?::\d{0,5})?")
_FIELD_NAMES: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1000}")
_EXPOSED: Final = b"x-router-model, x-router-adapted, x-router-demo, x-request-id, retry-after"
# How long a browser may remember a preflight, in seconds: Chromium's own upper bound.
_PREFLIGHT_SECONDS: Final = b"7200"


class Guard:
    """The rules of one router."""

    def __init__(self, settings: Settings) -> None:
        self._hosts = frozenset(map(_canonical, (*settings.allowed_hosts, *settings.hosts)))
        self._origins = frozenset(settings.allowed_origins)
        self._key = settings.api_key
        self._welcome: set[bytes] = (
            set()
        )  # Host headers that were let in: clients use one or two, and reading one is dear

    def refusal(self, request: Request, path: str) -> Fault | None:
        """Gives the reason why a request is not let in; `path` is normalised (`app.normal_path`)."""
        return self._host(request) or self._origin(request) or self._credential(request, path)

    def preflight(self, request: Request) -> Response | None:
        """Answers a browser's question whether it may send what it has in mind; only asked for allowed origins."""
        if request.method != "OPTIONS" or request.header(b"access-control-request-method") is None:
            return None
        headers = [
            *self.cors(request),
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
        ]
        wanted = request.header(b"access-control-request-headers") or b""
        if _FIELD_NAMES.fullmatch(wanted):
            headers.append((b"access-control-allow-headers", wanted))
        if request.header(b"access-control-request-private-network") == b"true":
            headers.append((b"access-control-allow-private-network", b"true"))
        return Response(204, headers)

    def cors(self, request: Request) -> Headers:
        """Gives the headers that let an allowed origin read the answer."""
        origin = request.header(b"origin")
        if origin is None or not self._allows(origin):
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]

    def _host(self, request: Request) -> Fault | None:
        value = request.header(b"host")
        if value in self._welcome:
            return None
        shown = _shown(value or b"")
        match = _HOST.fullmatch(shown)
        name = _canonical(match[1] or match[2]) if match else ""
        if value and name and (is_loopback(name) or name in self._hosts):
            if len(self._welcome) < MAX_REMEMBERED:
                self._welcome.add(value)
            return None
        message = (
            f"Requests for the host '{shown}' are refused: add it to ALLOWED_HOSTS if it is really this router's name."
        )
        if value is None:
            message = "Requests without a Host header are refused."
        return Fault(kind="forbidden", message=message, code="host_not_allowed")

    def _origin(self, request: Request) -> Fault | None:
        if request.header(b"origin") is None:
            return self._other_site(request)
        for origin in [value for name, value in request.headers if name == b"origin"]:
            if not self._allows(origin):
                message = (
                    f"Requests from the web page or app '{_shown(origin)}' are refused: add it to ALLOWED_ORIGINS if you "
                    "trust it."
                )
                return Fault(kind="forbidden", message=message, code="origin_not_allowed")
        return None

    def _other_site(self, request: Request) -> Fault | None:
        if request.header(b"sec-fetch-site") != b"cross-site":
            return None
        message = "Requests from other web sites are refused; ALLOWED_ORIGINS lists those that you trust."
        return Fault(kind="forbidden", message=message, code="origin_not_allowed")

    def _allows(self, origin: bytes) -> bool:
        return "*" in self._origins or origin.decode("latin-1").lower() in self._origins

    def _credential(self, request: Request, path: str) -> Fault | None:
        if self._key is None or path in _OPEN or (request.method == "OPTIONS" and self.cors(request)):
            return None
        scheme, _, bearer = (request.header(b"authorization") or b"").partition(b" ")
        offered = (bearer.strip() if scheme.lower() == b"bearer" else b"", request.header(b"x-api-key") or b"")
        matches = [self._key.matches(key) for key in offered]  # both are compared, whatever the first one says
        if any(matches):
            return None
        message = (
            "Incorrect API key provided: this router wants the value of ROUTER_API_KEY, as Bearer token or x-api-key."
        )
        return Fault(kind="unauthenticated", message=message)


def _canonical(name: str) -> str:
    """Gives a host in the one spelling that is compared: lower case, no dot at the end, IPv6 in its short form."""
    name = name.lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _shown(value: bytes) -> str:
    """Gives a header's value for a message: one line, printable, not long."""
    return "".join(char if char.isprintable() else "?" for char in value.decode("latin-1"))[:200]
