"""What went wrong, as a value.

Strategy: nothing in the core raises for a bad request or a bad answer; it returns a `Fault`. The table below is the
only place that knows which HTTP status a kind of fault has; each client dialect words the same fault in its own shape.
"""

from typing import Final, Literal

import msgspec

Kind = Literal[
    "bad_request",
    "unauthenticated",
    "forbidden",
    "not_found",
    "model_not_found",
    "method_not_allowed",
    "request_timeout",
    "too_large",
    "unprocessable",
    "rate_limited",
    "internal",
    "bad_gateway",
    "unavailable",
    "timed_out",
]

STATUS: Final[dict[Kind, int]] = {
    "bad_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limited": 429,
    "internal": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "timed_out": 504,
}


# Codes by which the router itself knows a fault again; both are worth one more try while nothing was sent to the
# client.
EMPTY_ANSWER: Final = "empty_answer"
HOLLOW_TOOL_CALLS: Final = "hollow_tool_calls"
# The code of a refusal that may mean that the endpoint is closed on this instance.
UPSTREAM_GATE: Final = "upstream_gate"
# The code of a refusal by which Cody's stream says that it does not know the api-version that it was asked with.
API_VERSION_REFUSED: Final = "unsupported_api_version"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A failure that a client will be told about.

    `message` says what was wrong and what to do. `param` names the field of the request at fault and `code` is the word
    that programs test, both as OpenAI's error object has them. `retry_after` is in whole seconds, `retry_at` in
    Unix seconds where upstream named a time and nobody here has a clock. `said` holds
    upstream's own words where it refused in words, so that a lesson can be learnt from them. `status` overrides the
    table's (an upstream 4xx that has no kind of its own, or another kind's).
    """

    kind: Kind
    message: str
    param: str | None = None
    code: str | None = None
    retry_after: int | None = None
    retry_at: float | None = None
    said: str = ""
    override: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status of this fault."""
        return self.override or STATUS[self.kind]
