"""Every variable of the router, in one table.

Strategy: the table is the only place that knows a variable's name, default and help text. `settings.py` reads by it; `--help`,
`.env.example` and `docs/configuration.md` are written from it. Names are kept for ever. A limit's help names its reason.
"""

from typing import Final, Literal

import msgspec

from cody_oai_router.wrong import Wrong, quoted

Kind = Literal["text", "list", "switch", "seconds", "bytes", "count", "path"]
Group = Literal["Sourcegraph", "Models", "Listening", "Who may call", "Network", "Time", "Limits", "Log"]


class Variable(msgspec.Struct, frozen=True):
    """One row of the table.

    `default` is written as a user would write it; empty means that nothing is set. `spellings` are further names that mean
    the same. `secret` values are never shown. `steers` marks what decides where a secret travels or who may use it: such a
    variable is never taken from a less trusted source than the secret. `flag` is the command-line form, never for a secret.
    """

    name: str
    group: Group
    help: str
    default: str = ""
    kind: Kind = "text"
    secret: bool = False
    steers: bool = False
    flag: str = ""
    spellings: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The unit of the value, for the documentation; empty where there is none."""
        return self.kind if self.kind in ("seconds", "bytes") else ""


DEFAULT_BASE_URL: Final = "https://sourcegraph.com"
DEFAULT_END_POINT: Final = "/.api/llm/chat/completions"

VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(
        "SOURCEGRAPH_BASE_URL",
        "Sourcegraph",
        "Address of your Sourcegraph instance: https, a path is kept as a prefix. sourcegraph.com itself no longer serves "
        "Cody, so the address of an Enterprise instance is needed.",
        DEFAULT_BASE_URL,
        steers=True,
        flag="--base-url",
    ),
    Variable(
        "SOURCEGRAPH_API_TOKEN",
        "Sourcegraph",
        "Your access token (sgp_...), made in Sourcegraph under Settings > Access tokens. Required, here or in a file.",
        secret=True,
    ),
    Variable(
        "SOURCEGRAPH_API_TOKEN_FILE",
        "Sourcegraph",
        "A file that holds the access token, instead of SOURCEGRAPH_API_TOKEN. Not read from a .env in the working directory.",
        kind="path",
        steers=True,
    ),
    Variable(
        "SOURCEGRAPH_END_POINT",
        "Sourcegraph",
        "Path of the chat endpoint on the instance. Any other value than the default pins every request to it.",
        DEFAULT_END_POINT,
        steers=True,
    ),
    Variable(
        "ALLOW_INSECURE_UPSTREAM",
        "Sourcegraph",
        "1 allows a plain http address that is not on this machine: token and prompts then travel unencrypted.",
        "0",
        kind="switch",
        steers=True,
    ),
    Variable(
        "SRC_ENDPOINT",
        "Sourcegraph",
        "The address as Sourcegraph's own src program has it. Used only together with SRC_ACCESS_TOKEN from the same "
        "place, and only where neither SOURCEGRAPH_BASE_URL nor SOURCEGRAPH_API_TOKEN(_FILE) is set.",
        steers=True,
    ),
    Variable(
        "SRC_ACCESS_TOKEN",
        "Sourcegraph",
        "The access token as Sourcegraph's own src program has it; see SRC_ENDPOINT.",
        secret=True,
    ),
    Variable(
        "SRC_HEADERS",
        "Sourcegraph",
        "Further headers for the instance, for companies' proxies, as src has them: name:value, one a line (or \\n between "
        'them), or a JSON object. One header alone: SRC_HEADER_<name>=value.',
        secret=True,
        steers=True,
    ),
    Variable(
        "DEFAULT_MODEL",
        "Models",
        "The model that answers where a request names none, or one that the instance does not have.",
    ),
    Variable(
        "MODEL_ALIASES",
        "Models",
        "Further model names: name=model,name=model.",
        kind="list",
    ),
    Variable(
        "DEFAULT_MAX_TOKENS",
        "Models",
        "max_tokens where a request has none and the model's limit is not known: what Cody's own clients send.",
        "4000",
        kind="count",
    ),
    Variable(
        "DEFAULT_MAX_TOKENS_REASONING",
        "Models",
        "The same for a model that reasons, since its thoughts count.",
        "32000",
        kind="count",
    ),
    Variable(
        "PORT",
        "Listening",
        "Port to listen on; 0 takes any free one.",
        "3000",
        kind="count",
        flag="--port",
    ),
    Variable(
        "ROUTER_HOST",
        "Listening",
        "IP addresses to listen on, separated by commas. Left at its default, ::1 is added where it is free. Any but a "
        "loopback address needs ROUTER_API_KEY.",
        "127.0.0.1",
        kind="list",
        steers=True,
        flag="--host",
    ),
    Variable(
        "SHUTDOWN_GRACE",
        "Listening",
        "How long running answers may go on after Ctrl+C or SIGTERM.",
        "10",
        kind="seconds",
    ),
    Variable(
        "ROUTER_API_KEY",
        "Who may call",
        "The key that clients must send (Authorization: Bearer or x-api-key). Unset, any or no key is accepted on loopback.",
        secret=True,
    ),
    Variable(
        "ROUTER_API_KEY_FILE",
        "Who may call",
        "A file that holds the key, instead of ROUTER_API_KEY. Not read from a .env in the working directory.",
        kind="path",
        steers=True,
    ),
    Variable(
        "ALLOWED_HOSTS",
        "Who may call",
        "Host names besides loopback ones under which clients may reach the router, separated by commas.",
        kind="list",
        steers=True,
    ),
    Variable(
        "ALLOWED_ORIGINS",
        "Who may call",
        "Origins of web pages and extensions that may call the router, separated by commas. * needs ROUTER_API_KEY.",
        kind="list",
        steers=True,
    ),
    Variable(
        "HTTPS_PROXY",
        "Network",
        "HTTP proxy on the way to an https instance: http://[user:password@]host:port.",
        secret=True,
        steers=True,
        spellings=("https_proxy",),
    ),
    Variable(
        "NO_PROXY",
        "Network",
        "Hosts reached without the proxy: names with their subdomains, addresses, networks (10.0.0.0/8), or *.",
        kind="list",
        steers=True,
        spellings=("no_proxy",),
    ),
    Variable(
        "CA_FILE",
        "Network",
        "PEM file with the certificates of the authorities to trust, instead of the system's.",
        kind="path",
        steers=True,
    ),
    Variable(
        "SSL_CERT_FILE",
        "Network",
        "The same as CA_FILE, under the name that other programs use; CA_FILE wins.",
        kind="path",
        steers=True,
    ),
    Variable("CONNECT_TIMEOUT", "Time", "Longest wait for a connection to the instance.", "60", kind="seconds"),
    Variable("FIRST_BYTE_TIMEOUT", "Time", "Longest silence before the first byte of an answer.", "60", kind="seconds"),
    Variable(
        "SLOW_FIRST_BYTE_TIMEOUT",
        "Time",
        "The same where the model reasons first or the answer comes in one piece.",
        "300",
        kind="seconds",
    ),
    Variable("IDLE_TIMEOUT", "Time", "Longest silence between two bytes of an answer.", "60", kind="seconds"),
    Variable(
        "TOTAL_TIMEOUT",
        "Time",
        "Longest duration of a whole answer. Unset, an answer that keeps coming is never cut.",
        kind="seconds",
    ),
    Variable(
        "HEAD_HOLD",
        "Time",
        "How long a streamed answer's head is held back, so that an early failure can still have its true status.",
        "10",
        kind="seconds",
    ),
    Variable(
        "HEARTBEAT_INTERVAL",
        "Time",
        "How often a silent stream gets a comment, so that nothing between takes it for dead.",
        "10",
        kind="seconds",
    ),
    Variable(
        "MAX_BODY_BYTES",
        "Limits",
        "Largest request body: several images of 20 MB, OpenAI's own limit for one.",
        "64MB",
        kind="bytes",
    ),
    Variable(
        "MAX_HEAD_BYTES",
        "Limits",
        "Largest head of a request or an answer: nginx reads four buffers of 8 KB, Node.js 16 KB, some proxies add cookies.",
        "64KB",
        kind="bytes",
    ),
    Variable("MAX_HEADERS", "Limits", "Most headers in one head: Apache's LimitRequestFields.", "100", kind="count"),
    Variable(
        "MAX_CONNECTIONS",
        "Limits",
        "Most clients at once: with an upstream connection for each, within the open files that systems usually allow.",
        "1000",
        kind="count",
    ),
    Variable(
        "MAX_UPSTREAM_CONNECTIONS",
        "Limits",
        "Most connections to the instance at once: one for each client, so that none waits for another.",
        "1000",
        kind="count",
    ),
    Variable(
        "MAX_EVENT_BYTES",
        "Limits",
        "Largest single event of a stream: some models send a whole tool call, file contents included, in one.",
        "8MB",
        kind="bytes",
    ),
    Variable(
        "MAX_REPLY_BYTES",
        "Limits",
        "Largest answer from the instance that is read whole: far above what a model can write.",
        "64MB",
        kind="bytes",
    ),
    Variable(
        "MAX_BUFFERED_BYTES",
        "Limits",
        "Most bytes held for all clients together: four of the largest bodies.",
        "256MB",
        kind="bytes",
    ),
    Variable("LOG_FORMAT", "Log", "text: one readable line a request; json: one JSON object a request.", "text", flag="--log-format"),
)

BY_NAME: Final[dict[str, Variable]] = {variable.name: variable for variable in VARIABLES}

_UNITS: Final = {"": 1, "b": 1, "k": 1024, "kb": 1024, "kib": 1024, "m": 1024**2, "mb": 1024**2, "mib": 1024**2}
_LARGEST_COUNT: Final = 1_000_000_000
_LONGEST: Final = 7 * 24 * 3600.0
_SWITCH: Final = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def read_count(text: str) -> int | Wrong:
    """A whole number from 1."""
    number = _digits(text)
    if number is None or number < 1:
        return Wrong(f"{quoted(text)} is not a whole number from 1 to {_LARGEST_COUNT}")
    return number


def read_port(text: str) -> int | Wrong:
    """A TCP port, 0 for any free one."""
    number = _digits(text)
    if number is None or number > 65535:  # noqa: PLR2004 - the largest port there is
        return Wrong(f"{quoted(text)} is not a port: give a whole number from 0 to 65535")
    return number


def _digits(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LARGEST_COUNT)):
        return None
    number = int(text)
    return number if number <= _LARGEST_COUNT else None


def read_bytes(text: str) -> int | Wrong:
    """A size in bytes; `64KB` and `64MB` count in powers of 1024."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = _UNITS.get(text[len(digits) :].strip().lower())
    number = _digits(digits)
    if not number or unit is None:
        return Wrong(f"{quoted(text)} is not a size: give a number of bytes from 1, or such as 64KB or 64MB")
    return number * unit


def read_seconds(text: str) -> float | Wrong:
    """A duration in seconds, fractions allowed, at most a week."""
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        return Wrong(f"{quoted(text)} is not a duration: give a number of seconds above 0, such as 60 or 2.5")
    return seconds


def read_switch(text: str) -> bool | Wrong:
    """1, true, yes or on; 0, false, no or off."""
    on = _SWITCH.get(text.lower())
    return Wrong(f"{quoted(text)} is neither 1 nor 0") if on is None else on


def read_list(text: str) -> tuple[str, ...]:
    """The words between commas, without empty ones."""
    return tuple(word.strip() for word in text.split(",") if word.strip())
