"""Every variable of the router, in one table.

Strategy: the table is the only place that knows a variable's name, default and help text. `settings.py` reads by it;
`--help`, `.env.example` and `docs/configuration.md` are written from it. Names are kept for ever. A limit's help names
its reason.
"""

from typing import Final, Literal

import msgspec

Kind = Literal["text", "list", "switch", "seconds", "bytes", "count", "path"]
Group = Literal["Sourcegraph", "Models", "Listening", "Who may call", "Network", "Time", "Limits", "Log"]


class Variable(msgspec.Struct, frozen=True):
    """One row of the table.

    `default` is written as a user would write it; empty means that nothing is set. `spellings` are further names that
    mean the same. `secret` values are never shown. `steers` marks what decides where a secret travels or who may use
    it: such a variable is never taken from a less trusted source than the secret. `flag` is the command-line form,
    never for a secret.
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
        return "s" if self.kind == "seconds" else ""


DEFAULT_BASE_URL: Final = "https://sourcegraph.com"
DEFAULT_END_POINT: Final = "/.api/llm/chat/completions"
CODY_END_POINT: Final = "/.api/completions/stream"

# Name, default, meaning. A limit's meaning names the precedent or the reason of its default.
_TIMES: Final = (
    ("CONNECT_TIMEOUT", "60", "Longest wait for a connection to the instance."),
    ("FIRST_BYTE_TIMEOUT", "60", "Longest silence before the first byte of an answer."),
    ("SLOW_FIRST_BYTE_TIMEOUT", "300", "The same where the model reasons first or the answer comes in one piece."),
    ("IDLE_TIMEOUT", "60", "Longest silence between two bytes of an answer."),
    ("TOTAL_TIMEOUT", "", "Longest duration of a whole answer. Unset, an answer that keeps coming is never cut."),
    ("HEAD_HOLD", "10", "How long the head of a stream is held back, so that an early failure has its true status."),
    (
        "HEARTBEAT_INTERVAL",
        "10",
        "How often a silent stream gets a comment, so that nothing between takes it for dead.",
    ),
    ("SHUTDOWN_GRACE", "10", "How long running answers may go on after Ctrl+C or SIGTERM: as long as Docker waits."),
    ("HEAD_TIMEOUT", "20", "Longest time for a request's head to arrive, as in Apache."),
    ("BODY_TIMEOUT", "30", "Longest silence between two pieces of a request's body."),
    ("WRITE_TIMEOUT", "300", "A client that takes no byte of its answer for this long is gone."),
    (
        "KEEP_ALIVE_TIMEOUT",
        "120",
        "How long an idle client connection stays open: longer than clients keep theirs (90).",
    ),
    (
        "UPSTREAM_KEEP_ALIVE",
        "50",
        "How long an idle connection to the instance is kept: load balancers drop it after 60.",
    ),
    (
        "CONCURRENCY_WAIT",
        "15",
        "How long a request may wait, all in all, where the instance answers that too many run at once; 0 passes its 429 on.",
    ),
)
_SIZES: Final = (
    ("MAX_BODY_BYTES", "64MB", "Largest request body: several images of 20 MB, OpenAI's own limit for one."),
    ("MAX_HEAD_BYTES", "32KB", "Largest head of a request: as nginx; Node.js allows half of it."),
    ("MAX_UPSTREAM_HEAD_BYTES", "64KB", "Largest head of an answer from the instance: gateways set large cookies."),
    (
        "MAX_EVENT_BYTES",
        "8MB",
        "Largest event of a stream: some models send a whole tool call, files included, in one.",
    ),
    ("MAX_REPLY_BYTES", "64MB", "Largest answer from the instance that is read whole: far above what a model writes."),
    ("MAX_BUFFERED_BYTES", "512MB", "Most bytes held for all clients together: eight of the largest bodies."),
)
_COUNTS: Final = (
    ("MAX_HEADERS", "100", "Most headers in a request: as Apache."),
    ("MAX_CONNECTIONS", "1000", "Most clients at once: about as many files as systems let a program open."),
    ("MAX_UPSTREAM_CONNECTIONS", "500", "Most connections to the instance, each a running answer; the next one waits."),
)

VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(
        "SOURCEGRAPH_BASE_URL",
        "Sourcegraph",
        "Address of your Sourcegraph instance: https, a path is kept as a prefix. sourcegraph.com itself no longer "
        "serves Cody, so the address of an Enterprise instance is needed.",
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
        "A file that holds the access token, instead of SOURCEGRAPH_API_TOKEN. A .env in the working directory may not "
        "name one.",
        kind="path",
    ),
    Variable(
        "SOURCEGRAPH_END_POINT",
        "Sourcegraph",
        "Path of the chat endpoint on the instance. Any other value than the default pins every request to it; one that ends in "
        "/completions/stream is spoken to as Cody's stream.",
        DEFAULT_END_POINT,
        steers=True,
    ),
    Variable(
        "SOURCEGRAPH_API",
        "Sourcegraph",
        "auto: SOURCEGRAPH_END_POINT for plain chat, Cody's stream for what it carries better (tools, images, reasoning) or "
        "where the LLM API is closed; llm: only the LLM API; cody: only Cody's stream.",
        "auto",
        flag="--api",
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
        "Further headers for the instance, for companies' proxies, as src has them: name:value, one a line (or \\n "
        "between them), or a JSON object. One header alone: SRC_HEADER_NAME=value.",
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
        "WORKERS",
        "Listening",
        "Processes that serve the port together (Linux only). Each has the limits below for itself and learns for itself.",
        "1",
        kind="count",
        flag="--workers",
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
        "ROUTER_API_KEY",
        "Who may call",
        "The key that clients must send (Authorization: Bearer or x-api-key). Unset, any or no key is accepted.",
        secret=True,
        steers=True,
    ),
    Variable(
        "ROUTER_API_KEY_FILE",
        "Who may call",
        "A file that holds the key, instead of ROUTER_API_KEY. A .env in the working directory may not name one.",
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
        "HTTP proxy on the way to an https instance: [http://][user:password@]host:port.",
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
    Variable(
        "CLIENT_CERT_FILE",
        "Network",
        "PEM file with the certificate to show to an instance, or a gateway before it, that asks for one (mutual TLS). A "
        ".env in the working directory may not name one.",
        kind="path",
        steers=True,
    ),
    Variable(
        "CLIENT_KEY_FILE",
        "Network",
        "PEM file with the private key of CLIENT_CERT_FILE, where it is not in the same file.",
        kind="path",
        steers=True,
    ),
    Variable(
        "CLIENT_KEY_PASSWORD",
        "Network",
        "The password of an encrypted private key.",
        secret=True,
    ),
    *(Variable(name, "Time", text, default, kind="seconds") for name, default, text in _TIMES),
    *(Variable(name, "Limits", text, default, kind="bytes") for name, default, text in _SIZES),
    *(Variable(name, "Limits", text, default, kind="count") for name, default, text in _COUNTS),
    Variable(
        "LOG_FORMAT",
        "Log",
        "text: one readable line a request; json: one JSON object a request.",
        "text",
        flag="--log-format",
    ),
)

# By every spelling.
BY_NAME: Final[dict[str, Variable]] = {
    name: variable for variable in VARIABLES for name in (variable.name, *variable.spellings)
}
