"""The table of variables: names kept for ever, and rows that fit together."""

import pytest

from cody_oai_router.notation import Wrong, read_bytes, read_count, read_seconds
from cody_oai_router.variables import BY_NAME, VARIABLES, Variable

# Users have these in their files; none may ever go away.
KEPT = {
    "PORT",
    "ROUTER_HOST",
    "SOURCEGRAPH_BASE_URL",
    "SOURCEGRAPH_END_POINT",
    "SOURCEGRAPH_API_TOKEN",
    "SOURCEGRAPH_API_TOKEN_FILE",
    "ALLOW_INSECURE_UPSTREAM",
    "SRC_ENDPOINT",
    "SRC_ACCESS_TOKEN",
    "SRC_HEADERS",
    "MODEL_ALIASES",
    "DEFAULT_MODEL",
    "DEFAULT_MAX_TOKENS",
    "DEFAULT_MAX_TOKENS_REASONING",
    "CONNECT_TIMEOUT",
    "FIRST_BYTE_TIMEOUT",
    "SLOW_FIRST_BYTE_TIMEOUT",
    "IDLE_TIMEOUT",
    "TOTAL_TIMEOUT",
    "HEAD_HOLD",
    "HEARTBEAT_INTERVAL",
    "SHUTDOWN_GRACE",
    "MAX_BODY_BYTES",
    "MAX_HEAD_BYTES",
    "MAX_CONNECTIONS",
    "MAX_EVENT_BYTES",
    "MAX_REPLY_BYTES",
    "MAX_BUFFERED_BYTES",
    "MAX_UPSTREAM_CONNECTIONS",
    "LOG_FORMAT",
    "CA_FILE",
    "SSL_CERT_FILE",
    "CLIENT_CERT_FILE",
    "CLIENT_KEY_FILE",
    "CLIENT_KEY_PASSWORD",
    "WORKERS",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALLOWED_HOSTS",
    "ALLOWED_ORIGINS",
    "ROUTER_API_KEY",
    "ROUTER_API_KEY_FILE",
}


def test_no_name_goes_away() -> None:
    assert KEPT - {variable.name for variable in VARIABLES} == set()


def test_every_spelling_is_there_once() -> None:
    spellings = [name for variable in VARIABLES for name in (variable.name, *variable.spellings)]
    assert len(spellings) == len(set(spellings))
    assert set(BY_NAME) == set(spellings)
    assert BY_NAME["https_proxy"] is BY_NAME["HTTPS_PROXY"]


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_a_row_fits_together(variable: Variable) -> None:
    assert variable.help.endswith(".")
    assert "\n" not in variable.help
    assert not (variable.secret and (variable.default or variable.flag)), "a secret is never a flag and has no default"
    readers = {"seconds": read_seconds, "bytes": read_bytes, "count": read_count}
    read = readers.get(variable.kind)
    if read and variable.default:
        assert not isinstance(read(variable.default), Wrong)
    assert variable.unit == ("s" if variable.kind == "seconds" else "")
