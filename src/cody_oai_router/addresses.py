"""Addresses as users write them: the instance, its endpoint, the proxy, where to listen and who may call.

Strategy: nothing is guessed or repaired beyond trailing slashes. The access token follows these addresses, so whatever
could be read in two ways (credentials in a URL, `..`, a backslash, an encoded slash) is refused with the reason.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from cody_oai_router.credentials import Secret
from cody_oai_router.notation import Wrong, quoted, read_list

Scheme = Literal["http", "https"]

_PORTS: Final[dict[Scheme, int]] = {"http": 80, "https": 443}
# RFC 3986's characters of a path, without those that only other parts may have.
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+")
# What listens on every address, and where it is reached on this machine.
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, not bound
_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")


class Upstream(msgspec.Struct, frozen=True):
    """The address of an instance: `host` in ASCII without brackets, `prefix` empty or beginning with a slash."""

    scheme: Scheme
    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        """The value of the `Host` header: brackets around IPv6, no default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    def target(self, path: str) -> str:
        """The request target of `path`, which begins with a slash, on this instance."""
        return self.prefix + path


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy, spoken to in plain HTTP, on the way to the instance; `credentials` are `user:password`, decoded."""

    host: str
    port: int
    credentials: Secret | None = None


def is_loopback(host: str) -> bool:
    """Whether `host`, an address without brackets or a name in lower case, is this machine by definition."""
    address = _address(host)
    if address is None:
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def reached(host: str) -> str:
    """The address under which a program of this machine reaches what listens on `host`."""
    return _EVERYWHERE.get(host, host)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def read_upstream(text: str, *, insecure: bool) -> Upstream | Wrong:
    """The instance at the base URL `text`; plain http only to this machine, or anywhere where `insecure` says so."""
    parts = _split(text, "https://sourcegraph.example.com")
    if isinstance(parts, Wrong):
        return parts
    if "@" in parts.netloc:
        return Wrong("it contains a user name or password: the access token has its own variable")
    if "?" in text or "#" in text:
        return Wrong(f"{quoted(text)} has a query or a fragment: give the address alone")
    scheme = _scheme(parts.scheme)
    if scheme is None:
        return Wrong(f"{quoted(text)} is neither https nor http")
    host, port = _host(parts), _port(parts)
    if host is None or port is None:
        return Wrong(f"{quoted(text)} has no valid host name or port")
    prefix = parts.path.rstrip("/")
    if prefix and _path_wrong(prefix):
        return Wrong(f"the path of {quoted(text)} {_path_wrong(prefix)}")
    if "/.api/" in prefix + "/":
        return Wrong(f"{quoted(text)} names an endpoint: leave out everything from /.api on")
    if scheme == "http" and not insecure and not is_loopback(host):
        return Wrong(
            f"{quoted(text)} would send your token unencrypted: use https, or accept it with ALLOW_INSECURE_UPSTREAM=1"
        )
    return Upstream(scheme, host, port or _PORTS[scheme], prefix)


def _split(text: str, example: str) -> SplitResult | Wrong:
    if not text.isprintable() or any(character.isspace() for character in text) or "\\" in text:
        return Wrong(f"{quoted(text)} contains a space, a backslash or a control character")
    if "://" not in text:
        return Wrong(f"{quoted(text)} has no scheme: write it like {example}")
    try:
        return urlsplit(text)
    except ValueError:
        return Wrong(f"{quoted(text)} is not a URL")


def _scheme(text: str) -> Scheme | None:
    return "https" if text == "https" else "http" if text == "http" else None


def _port(parts: SplitResult) -> int | None:
    """The port of a URL, 0 where it names none, `None` where it is not a port."""
    try:
        port = parts.port
    except ValueError:
        return None
    if port is None:
        return 0
    return port or None


def _host(parts: SplitResult) -> str | None:
    """The host of a URL in ASCII and lower case, `None` where it cannot be one."""
    name = parts.hostname or ""
    address = _address(name)
    if address is not None:
        return str(address) if "%" not in name else None
    try:
        name = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    return name if _HOST_NAME.fullmatch(name) else None


def _path_wrong(path: str) -> str:
    """What is wrong with an absolute path, as a predicate; empty where nothing is."""
    decoded = unquote(path)
    if path.endswith("/"):
        return "ends with a slash"
    if "//" in decoded or "\\" in decoded or decoded.count("/") != path.count("/"):
        return "contains an empty segment, a backslash or an encoded slash"
    if any(segment in {".", ".."} for segment in decoded.split("/")):
        return "contains . or .. as a segment"
    if not _PATH.fullmatch(path) or not decoded.isprintable():
        return "contains a character that a path may not have"
    return ""


def read_end_point(text: str) -> str | Wrong:
    """The path of the chat endpoint, which stays on the instance however it is joined."""
    if not text.startswith("/") or text.startswith("//"):
        return Wrong(
            f"{quoted(text)} does not begin with exactly one /: give a path on the instance, not a whole address"
        )
    if "?" in text or "#" in text:
        return Wrong(f"{quoted(text)} has a query or a fragment: give the path alone")
    wrong = _path_wrong(text)
    return Wrong(f"{quoted(text)} {wrong}") if wrong else text


def read_proxy(text: str) -> Proxy | Wrong:
    """The proxy at `text`, `http` where it has no scheme; no answer repeats the text, which may hold a password."""
    parts = _split(text if "://" in text else f"http://{text}", "http://proxy.example.com:8080")
    if isinstance(parts, Wrong):
        return Wrong("it contains a character that a proxy address may not have, or is not a URL")
    if parts.scheme != "http":
        return Wrong("only proxies that are spoken to in plain HTTP are supported: give http://host:port")
    host, port = _host(parts), _port(parts)
    if host is None or port is None or parts.path.strip("/") or parts.query or parts.fragment:
        return Wrong("it is not a proxy address: give http://host:port")
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    credentials = Secret(f"{unquote(user)}:{unquote(password)}") if user else None
    return Proxy(host, port or _PORTS["http"], credentials)


def bypasses(upstream: Upstream, no_proxy: Sequence[str]) -> bool:
    """Whether the instance is reached without a proxy: this machine always is, and what `NO_PROXY` lists."""
    return is_loopback(upstream.host) or any(_matches(upstream, entry.lower()) for entry in no_proxy)


def _matches(upstream: Upstream, entry: str) -> bool:
    """Whether an entry of `NO_PROXY` covers the instance: `*`, a network, an address, a name with its subdomains."""
    if entry == "*":
        return True
    address = _address(upstream.host)
    bare, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (bare.endswith("]") or ":" not in bare):
        if int(port) != upstream.port:
            return False
        entry = bare
    entry = entry.strip("[]")
    if address is None:
        name = entry.removeprefix("*").lstrip(".").rstrip(".")
        return bool(name) and f".{upstream.host.rstrip('.')}".endswith(f".{name}")
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def read_listen(text: str) -> tuple[str, ...] | Wrong:
    """The IP addresses to listen on, between commas; `localhost` stands for 127.0.0.1."""
    hosts = []
    for word in read_list(text):
        bare = word[1:-1] if word.startswith("[") and word.endswith("]") else word
        address = _address("127.0.0.1" if bare.lower() == "localhost" else bare)
        if address is None:
            return Wrong(f"{quoted(word)} is not an IP address: give 127.0.0.1, ::1, or 0.0.0.0 for every network")
        hosts.append(str(address))
    return tuple(dict.fromkeys(hosts))


def read_host_names(text: str) -> tuple[str, ...] | Wrong:
    """Names, between commas, under which clients reach the router, in lower case, without ports."""
    for word in read_list(text):
        bare = word.strip("[]").lower()
        if _address(bare) is None and not _HOST_NAME.fullmatch(bare):
            return Wrong(f"{quoted(word)} is not a host name: give the name alone, without a scheme or a port")
    return tuple(dict.fromkeys(word.strip("[]").lower() for word in read_list(text)))


def read_origins(text: str) -> tuple[str, ...] | Wrong:
    """Origins, between commas, as browsers send them: `scheme://host[:port]` in lower case, `null`, or `*` for all."""
    origins = []
    for word in read_list(text):
        scheme, _, rest = word.lower().rstrip("/").partition("://")
        if word not in {"*", "null"} and (not rest or not scheme or set(rest) & set("/?#@\\*") or not word.isascii()):
            return Wrong(f"{quoted(word)} is not an origin: write it like https://app.example.com or app://name")
        origins.append(word.lower().rstrip("/"))
    return tuple(dict.fromkeys(origins))
