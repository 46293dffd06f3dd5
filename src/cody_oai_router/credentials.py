"""What must never be shown or sent to the wrong place: access tokens, keys and the extra headers of company proxies.

Strategy: a secret travels as a `Secret`, whose text is only there for the one who calls `reveal`. Whether a text can be
a Sourcegraph access token at all is decided here, before it is ever sent, so that a pasted mistake is explained at
start-up and not by a 401 an hour later.
"""

import re
from typing import Final, NoReturn

import msgspec

from cody_oai_router.notation import Wrong

# Contract §7.1: these are Sourcegraph's, but none of them is a user's access token.
_OTHER_TOKENS: Final[dict[str, str]] = {
    "slk_": "it is a licence key (slk_...), which only a Sourcegraph server uses",
    "sgs_": "it is a subscription token (sgs_...), which only a Sourcegraph server uses",
    "sgd_": "it is a token of Sourcegraph's own gateway (sgd_...), which no instance accepts",
}
_PLACEHOLDER: Final = re.compile(
    r"<.*>|\[.*\]|\{.*\}|\$\{?\w+\}?|%\w+%"
    r"|(sgp_)?your[-_ ].*|my[-_ ].*token.*|(insert|replace|paste|put|enter|add)[-_ ].*"
    r"|sgp_(<.*>|x{3,}.*|\.{2,}.*|token|[.x*_\u2026]*)|[.x*_\u2026]+"
    r"|change[-_ ]?me|token|secret|todo|none|null|undefined",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"(authorization\s*:\s*)?(bearer|token|basic)\s+(?=\S)", re.IGNORECASE)

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]+")
# The router writes these itself, for the framing of the message or by contract §2.1.
_OUR_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-requested-with",
        "x-timeout-ms",
    }
)


class Secret:
    """A text that shows itself to nobody but the caller of `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: only for the wire and for the redaction of logs."""
        return self._text

    def matches(self, offered: bytes) -> bool:
        """Whether `offered` is this secret, in a time that does not tell how much of it is right."""
        # Imported here: with all of OpenSSL's digests it takes 1.5 MB, and only a key needs it.
        import hmac  # noqa: PLC0415

        return hmac.compare_digest(self._text.encode(), offered)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def read_token(text: str) -> Secret | Wrong:
    """The access token in `text`, or why it cannot be one; the answer never repeats the text."""
    if _SCHEME.match(text):
        return Wrong("give the token alone, without 'token' or 'Bearer' before it")
    if _PLACEHOLDER.fullmatch(text):
        return Wrong("it is still a placeholder: put your own access token (sgp_...) there")
    wrong = _unfit(text)
    if wrong:
        return wrong
    other = _OTHER_TOKENS.get(text[:4].lower())
    return Wrong(f"{other}: make an access token (sgp_...) in your user settings") if other else Secret(text)


def read_key(text: str) -> Secret | Wrong:
    """The router's own key in `text`, or why a client could not send it."""
    return _unfit(text) or Secret(text)


def _unfit(text: str) -> Wrong | None:
    """Why `text` cannot be written after an auth scheme in a header."""
    if not text.isascii():
        return Wrong("it contains a character outside ASCII: copy it again, without quotation marks of a text program")
    if any(character.isspace() for character in text):
        return Wrong("it contains a space or a line break: copy it again, as one word")
    if not text.isprintable():
        return Wrong("it contains a control character: copy it again")
    if '"' in text or "'" in text or "`" in text:
        return Wrong("it contains a quotation mark: quote the whole value or nothing")
    return None


def read_header_lines(text: str) -> dict[str, Secret] | Wrong:
    r"""The headers of `SRC_HEADERS`: `name:value` on lines of their own, or one JSON object of strings.

    Names come out in lower case, as Sourcegraph's own `src` makes them. Its documentation writes the line break as `\n`
    inside double quotes, which a shell hands over as two characters, so both spellings separate.
    """
    if text.startswith("{"):
        return _header_object(text)
    headers: dict[str, Secret] = {}
    for line in text.replace("\\n", "\n").splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            return Wrong("every line needs the form name:value")
        header = read_header(name.strip(), value.strip())
        if isinstance(header, Wrong):
            return header
        headers.update([header])
    return headers


def _header_object(text: str) -> dict[str, Secret] | Wrong:
    try:
        pairs = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError:
        return Wrong('it looks like JSON but is not an object of strings, such as {"name": "value"}')
    headers: dict[str, Secret] = {}
    for name, value in pairs.items():
        header = read_header(name, value)
        if isinstance(header, Wrong):
            return header
        headers.update([header])
    return headers


def read_header(name: str, value: str) -> tuple[str, Secret] | Wrong:
    """One extra header for the instance, its name in lower case; the answer never repeats the value."""
    if not _HEADER_NAME.fullmatch(name):
        return Wrong("it contains a header name that HTTP does not allow")
    if not _HEADER_VALUE.fullmatch(value):
        return Wrong(f"the value of the header {name} must be visible ASCII on one line")
    if name.lower() == "authorization":
        return Wrong("it sets the header Authorization, which carries the access token")
    if name.lower() in _OUR_HEADERS:
        return Wrong(f"it sets the header {name}, which the router writes itself")
    return name.lower(), Secret(value)
