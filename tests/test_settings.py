"""Settings as a whole: what variables make together, what is refused together, and the rule of trust variable by variable."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.addresses import Proxy, Upstream
from cody_oai_router.credentials import Secret
from cody_oai_router.limits import Limits, Timeouts
from cody_oai_router.network import ClientCertificate
from cody_oai_router.notation import Wrong
from cody_oai_router.reading import File, Place, Source
from cody_oai_router.settings import Refusal, Settings, read_settings
from cody_oai_router.variables import VARIABLES

TOKEN = "sgp_0123456789abcdef0123456789abcdef01234567"
LLM = "/.api/llm/chat/completions"
CODY = "/.api/completions/stream"
URL = "https://sg.example.com"
LABELS: dict[Place, str] = {
    "flags": "the command line",
    "environment": "the environment",
    "beside": "/opt/.env",
    "user": "/home/u/.env",
    "directory": "/somewhere/.env",
}


def read_file(path: str) -> File | Wrong:
    if path.endswith("missing"):
        return Wrong(f"there is no file {path}")
    texts = {
        "/ca.pem": "-----BEGIN CERTIFICATE-----\n",
        "/key.pem": "-----BEGIN EC PRIVATE KEY-----\n",
        "/both.pem": "-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n",
        "/key": "key-from-file\n",
        "/token": f"{TOKEN}\n",
    }
    return File(path, texts.get(path, "nothing of use"))


def settle(**places: dict[str, str]) -> Settings | Refusal:
    sources = [Source(place, LABELS[place], places.get(place, {})) for place in LABELS]
    return read_settings(sources, read_file)


def settings(**values: str) -> Settings:
    found = settle(environment={"SOURCEGRAPH_API_TOKEN": TOKEN, "SOURCEGRAPH_BASE_URL": URL} | values)
    assert isinstance(found, Settings), found
    return found


def refused(**values: str) -> tuple[str, ...]:
    found = settle(environment={"SOURCEGRAPH_API_TOKEN": TOKEN, "SOURCEGRAPH_BASE_URL": URL} | values)
    assert isinstance(found, Refusal)
    assert not found.token_missing
    return found.lines


def test_the_defaults() -> None:
    assert settle(environment={"SOURCEGRAPH_API_TOKEN": TOKEN}) == Settings(
        port=3000,
        workers=1,
        hosts=("127.0.0.1",),
        hosts_if_free=("::1",),
        upstream=Upstream("https", "sourcegraph.com", 443),
        sourcegraph_api="auto",
        llm_path="/.api/llm/chat/completions",
        cody_path="/.api/completions/stream",
        token=Secret(TOKEN),
        extra_headers=(),
        default_model=None,
        model_aliases={},
        default_max_tokens=4000,
        default_max_tokens_reasoning=32000,
        timeouts=Timeouts(
            connect=60.0,
            first_byte=60.0,
            slow_first_byte=300.0,
            idle=60.0,
            total=None,
            head_hold=10.0,
            heartbeat=10.0,
            shutdown_grace=10.0,
            head=20.0,
            body_silence=30.0,
            write_stall=300.0,
            keep_alive=120.0,
            upstream_keep_alive=50.0,
            concurrency_wait=15.0,
        ),
        limits=Limits(
            body_bytes=64 * 1024**2,
            head_bytes=32 * 1024,
            upstream_head_bytes=64 * 1024,
            headers=100,
            connections=1000,
            upstream_connections=500,
            event_bytes=8 * 1024**2,
            reply_bytes=64 * 1024**2,
            buffered_bytes=512 * 1024**2,
        ),
        log_format="text",
        proxy=None,
        ca_file=None,
        client_certificate=None,
        allowed_hosts=(),
        allowed_origins=(),
        api_key=None,
        notices=(
            "sourcegraph.com no longer serves Cody: set SOURCEGRAPH_BASE_URL to the address of an Enterprise instance.",
        ),
        origins={"SOURCEGRAPH_API_TOKEN": "the environment"},
    )


# One value for every variable of the table that is not the default, and where it shows.
SHOWN: dict[str, tuple[str, str, object]] = {
    "SOURCEGRAPH_BASE_URL": (f"{URL}:444/sub/", "upstream", Upstream("https", "sg.example.com", 444, "/sub")),
    "SOURCEGRAPH_API_TOKEN": ("sgp_other", "token", Secret("sgp_other")),
    "SOURCEGRAPH_API_TOKEN_FILE": ("/token", "token", Secret(TOKEN)),
    "SOURCEGRAPH_END_POINT": ("/other", "llm_path", "/other"),
    "SOURCEGRAPH_API": ("cody", "sourcegraph_api", "cody"),
    "ALLOW_INSECURE_UPSTREAM": ("1", "origins.ALLOW_INSECURE_UPSTREAM", "the environment"),
    "SRC_ENDPOINT": ("https://src.example.com", "upstream", Upstream("https", "src.example.com", 443)),
    "SRC_ACCESS_TOKEN": ("sgp_src", "token", Secret("sgp_src")),
    "SRC_HEADERS": ("A:b", "extra_headers", (("a", Secret("b")),)),
    "DEFAULT_MODEL": ("gpt-5", "default_model", "gpt-5"),
    "MODEL_ALIASES": ("a=b", "model_aliases", {"a": "b"}),
    "DEFAULT_MAX_TOKENS": ("1", "default_max_tokens", 1),
    "DEFAULT_MAX_TOKENS_REASONING": ("2", "default_max_tokens_reasoning", 2),
    "PORT": ("0", "port", 0),
    "WORKERS": ("2", "workers", 2),
    "ROUTER_HOST": ("127.0.0.2,::1", "hosts", ("127.0.0.2", "::1")),
    "ROUTER_API_KEY": ("key", "api_key", Secret("key")),
    "ROUTER_API_KEY_FILE": ("/key", "api_key", Secret("key-from-file")),
    "ALLOWED_HOSTS": ("r.example", "allowed_hosts", ("r.example",)),
    "ALLOWED_ORIGINS": ("app://x", "allowed_origins", ("app://x",)),
    "HTTPS_PROXY": ("http://u:p@proxy:1", "proxy", Proxy("proxy", 1, Secret("u:p"))),
    "NO_PROXY": ("example.com", "proxy", None),
    "CA_FILE": ("/ca.pem", "ca_file", "/ca.pem"),
    "SSL_CERT_FILE": ("/ca.pem", "ca_file", "/ca.pem"),
    "CLIENT_CERT_FILE": ("/both.pem", "client_certificate", ClientCertificate("/both.pem", "/both.pem", None)),
    "CLIENT_KEY_FILE": ("/key.pem", "client_certificate", ClientCertificate("/ca.pem", "/key.pem", None)),
    "CLIENT_KEY_PASSWORD": ("x y", "client_certificate.password", Secret("x y")),
    "CONNECT_TIMEOUT": ("1", "timeouts.connect", 1.0),
    "FIRST_BYTE_TIMEOUT": ("2", "timeouts.first_byte", 2.0),
    "SLOW_FIRST_BYTE_TIMEOUT": ("3", "timeouts.slow_first_byte", 3.0),
    "IDLE_TIMEOUT": ("4", "timeouts.idle", 4.0),
    "TOTAL_TIMEOUT": ("5", "timeouts.total", 5.0),
    "HEAD_HOLD": ("6", "timeouts.head_hold", 6.0),
    "HEARTBEAT_INTERVAL": ("7", "timeouts.heartbeat", 7.0),
    "SHUTDOWN_GRACE": ("8", "timeouts.shutdown_grace", 8.0),
    "HEAD_TIMEOUT": ("9", "timeouts.head", 9.0),
    "BODY_TIMEOUT": ("11", "timeouts.body_silence", 11.0),
    "WRITE_TIMEOUT": ("12", "timeouts.write_stall", 12.0),
    "KEEP_ALIVE_TIMEOUT": ("13", "timeouts.keep_alive", 13.0),
    "UPSTREAM_KEEP_ALIVE": ("14", "timeouts.upstream_keep_alive", 14.0),
    "CONCURRENCY_WAIT": ("0", "timeouts.concurrency_wait", 0.0),
    "MAX_BODY_BYTES": ("1KB", "limits.body_bytes", 1024),
    "MAX_HEAD_BYTES": ("2KB", "limits.head_bytes", 2048),
    "MAX_UPSTREAM_HEAD_BYTES": ("3KB", "limits.upstream_head_bytes", 3072),
    "MAX_EVENT_BYTES": ("4KB", "limits.event_bytes", 4096),
    "MAX_REPLY_BYTES": ("5KB", "limits.reply_bytes", 5120),
    "MAX_BUFFERED_BYTES": ("6KB", "limits.buffered_bytes", 6144),
    "MAX_HEADERS": ("7", "limits.headers", 7),
    "MAX_CONNECTIONS": ("8", "limits.connections", 8),
    "MAX_UPSTREAM_CONNECTIONS": ("9", "limits.upstream_connections", 9),
    "LOG_FORMAT": ("json", "log_format", "json"),
}


@pytest.mark.parametrize("name", [variable.name for variable in VARIABLES])
def test_every_variable_of_the_table_has_its_effect(name: str) -> None:
    text, path, expected = SHOWN[name]
    values = {"SOURCEGRAPH_API_TOKEN": TOKEN, "SOURCEGRAPH_BASE_URL": URL, "HTTPS_PROXY": "http://u:p@proxy:1"}
    if name == "SOURCEGRAPH_API_TOKEN_FILE":
        del values["SOURCEGRAPH_API_TOKEN"]
    if name in {"SRC_ENDPOINT", "SRC_ACCESS_TOKEN"}:
        values = {"SRC_ENDPOINT": URL, "SRC_ACCESS_TOKEN": TOKEN}
    if name in {"CLIENT_KEY_FILE", "CLIENT_KEY_PASSWORD"}:
        values["CLIENT_CERT_FILE"] = "/ca.pem"
    found = settle(environment=values | {name: text})
    assert isinstance(found, Settings), found
    shown: object = msgspec.structs.asdict(found)
    for step in path.split("."):
        shown = shown[step] if isinstance(shown, dict) else getattr(shown, step)
    assert shown == expected
    assert found.origins[name] == "the environment"


def test_no_secret_is_in_the_representation() -> None:
    canary = "canary0123"
    shown = repr(
        settings(
            SOURCEGRAPH_API_TOKEN=canary,
            ROUTER_API_KEY=canary,
            SRC_HEADER_X=canary,
            SRC_HEADERS=f"Y:{canary}",
            HTTPS_PROXY=f"http://u:{canary}@proxy:1",
            CLIENT_CERT_FILE="/both.pem",
            CLIENT_KEY_PASSWORD=canary,
        )
    )
    assert canary not in shown


@pytest.mark.parametrize(
    ("variables", "api", "llm", "cody"),
    [
        ({"SOURCEGRAPH_END_POINT": LLM}, "auto", LLM, CODY),
        ({"SOURCEGRAPH_END_POINT": LLM, "SOURCEGRAPH_API": "LLM"}, "llm", LLM, CODY),
        ({"SOURCEGRAPH_END_POINT": "/v1/chat"}, "llm", "/v1/chat", CODY),
        ({"SOURCEGRAPH_END_POINT": CODY}, "cody", LLM, CODY),
        ({"SOURCEGRAPH_END_POINT": f"/x{CODY}", "SOURCEGRAPH_API": "cody"}, "cody", LLM, f"/x{CODY}"),
        ({"SOURCEGRAPH_END_POINT": f"/x{CODY}", "SOURCEGRAPH_API": "auto"}, "cody", LLM, f"/x{CODY}"),
    ],
)
def test_an_endpoint_of_ones_own_is_pinned(variables: dict[str, str], api: str, llm: str, cody: str) -> None:
    found = settings(**variables)
    assert (found.sourcegraph_api, found.llm_path, found.cody_path) == (api, llm, cody)


def test_a_pinned_endpoint_and_the_other_dialect_contradict_each_other() -> None:
    assert refused(SOURCEGRAPH_END_POINT=CODY, SOURCEGRAPH_API="llm") == (
        "SOURCEGRAPH_API: it contradicts SOURCEGRAPH_END_POINT, whose path is that of the other endpoint (cody) (from the environment).",
    )


def test_hosts_of_ones_own_are_the_only_ones() -> None:
    assert (settings(ROUTER_HOST="::1").hosts, settings(ROUTER_HOST="::1").hosts_if_free) == (("::1",), ())


def test_the_proxy_is_left_out_where_it_has_no_part() -> None:
    proxy = "http://proxy:1"
    assert settings(HTTPS_PROXY=proxy).proxy == Proxy("proxy", 1)
    assert settings(https_proxy=proxy, no_proxy="other.com").proxy == Proxy("proxy", 1)
    assert settings(HTTPS_PROXY=proxy, no_proxy="sg.example.com").proxy is None
    assert settings(HTTPS_PROXY=proxy, SOURCEGRAPH_BASE_URL="http://localhost:1").proxy is None
    assert settings(HTTPS_PROXY=proxy, SOURCEGRAPH_BASE_URL="https://127.0.0.1:1").proxy is None


def test_our_ca_file_wins_and_must_hold_a_certificate() -> None:
    assert settings(CA_FILE="/ca.pem", SSL_CERT_FILE="/missing").ca_file == "/ca.pem"
    assert refused(SSL_CERT_FILE="/missing") == ("SSL_CERT_FILE: there is no file /missing (from the environment).",)
    assert refused(CA_FILE="/other") == (
        "CA_FILE: /other holds no certificate in PEM form (-----BEGIN CERTIFICATE-----) (from the environment).",
    )


def test_extra_headers_from_both_forms() -> None:
    found = settings(SRC_HEADERS="A: one\\nB:two", SRC_HEADER_b="three", SRC_HEADER_C_D="four")
    assert found.extra_headers == (("a", Secret("one")), ("b", Secret("three")), ("c_d", Secret("four")))
    assert refused(SRC_HEADER_AUTHORIZATION="x") == (
        "SRC_HEADER_AUTHORIZATION: it sets the header Authorization, which carries the access token (from the environment).",
    )
    assert refused(SRC_HEADERS="x") == ("SRC_HEADERS: every line needs the form name:value (from the environment).",)


def test_banners() -> None:
    assert settings().notices == ()
    assert settings(SOURCEGRAPH_BASE_URL="http://sg.example.com", ALLOW_INSECURE_UPSTREAM="1").notices == (
        "WARNING: your token and all prompts travel unencrypted to http://sg.example.com (ALLOW_INSECURE_UPSTREAM).",
    )
    assert settings(ROUTER_HOST="::", ROUTER_API_KEY="k").notices == (
        "WARNING: the router listens beyond this machine; keys and prompts travel unencrypted (ROUTER_HOST).",
    )


def test_others_may_not_use_the_token_without_a_key() -> None:
    assert refused(ROUTER_HOST="127.0.0.1,10.0.0.1") == (
        (
            "ROUTER_HOST: others in the network could use your token: set ROUTER_API_KEY too, or listen on 127.0.0.1 "
            "(from the environment)."
        ),
    )
    assert refused(ALLOWED_ORIGINS="*") == (
        (
            "ALLOWED_ORIGINS: any web page could use your token: set ROUTER_API_KEY too, or list the origins "
            "(from the environment)."
        ),
    )
    assert settings(ALLOWED_ORIGINS="*", ROUTER_API_KEY="k").allowed_origins == ("*",)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert refused(PORT="x", IDLE_TIMEOUT="0", SOURCEGRAPH_BASE_URL="sg", SOURCEGRAPH_API_TOKEN="<token>") == (
        (
            "SOURCEGRAPH_API_TOKEN: it is still a placeholder: put your own access token (sgp_...) there "
            "(from the environment)."
        ),
        "SOURCEGRAPH_BASE_URL: 'sg' has no scheme: write it like https://sourcegraph.example.com (from the environment).",
        "PORT: 'x' is not a port: give a whole number from 0 to 65535 (from the environment).",
        (
            "IDLE_TIMEOUT: '0' is not a duration: give a number of seconds above 0, such as 60 or 2.5 "
            "(from the environment)."
        ),
    )


def test_a_missing_token_is_no_other_fault() -> None:
    assert settle() == Refusal((), token_missing=True)
    assert settle(environment={"SOURCEGRAPH_API_TOKEN": " ", "SOURCEGRAPH_BASE_URL": URL}) == Refusal(
        (), token_missing=True
    )
    found = settle(environment={"PORT": "x"})
    assert isinstance(found, Refusal)
    assert (found.token_missing, len(found.lines)) == (True, 1)


_PAIR = {"SRC_ENDPOINT": "https://src.example.com", "SRC_ACCESS_TOKEN": TOKEN}
_UNUSED = "SRC_ENDPOINT and SRC_ACCESS_TOKEN are not used: "


def test_the_pair_of_src_is_used_where_nothing_of_ours_is_set() -> None:
    found = settle(user=_PAIR)
    assert isinstance(found, Settings)
    assert (found.upstream.host, found.token) == ("src.example.com", Secret(TOKEN))
    assert found.origins == dict.fromkeys(_PAIR, "/home/u/.env")
    assert settle(environment=_PAIR | {"SRC_ENDPOINT": "src"}) == Refusal(
        ("SRC_ENDPOINT: 'src' has no scheme: write it like https://sourcegraph.example.com (from the environment).",)
    )


@pytest.mark.parametrize("name", ["SOURCEGRAPH_BASE_URL", "SOURCEGRAPH_API_TOKEN", "SOURCEGRAPH_API_TOKEN_FILE"])
@pytest.mark.parametrize("place", LABELS)
def test_the_pair_of_src_yields_to_any_of_ours(name: str, place: Place) -> None:
    ours = {name: "https://own.example.com" if name.endswith("URL") else "/token" if name.endswith("FILE") else TOKEN}
    places: dict[str, dict[str, str]] = {"environment": _PAIR}
    places[place] = places.get(place, {}) | ours
    found = settle(**places)
    if name == "SOURCEGRAPH_BASE_URL":
        assert found == Refusal((), token_missing=True, hints=(f"{_UNUSED}{name} is set.",))
    elif place == "directory" and name.endswith("FILE"):
        assert isinstance(found, Refusal)
    else:
        assert isinstance(found, Settings)
        assert found.upstream.host == "sourcegraph.com"


@pytest.mark.parametrize("name", _PAIR)
def test_half_a_pair_of_src_is_not_used(name: str) -> None:
    hint = f"{_UNUSED}they are not both set in the same place."
    assert settle(environment={name: _PAIR[name]}) == Refusal((), token_missing=True, hints=(hint,))
    (other,) = set(_PAIR) - {name}
    apart = settle(environment={name: _PAIR[name]}, directory={other: _PAIR[other]})
    assert apart == Refusal((), token_missing=True, hints=(hint,))


STEERING = {
    "SOURCEGRAPH_BASE_URL": "https://evil.example",
    "SOURCEGRAPH_END_POINT": "/evil",
    "ALLOW_INSECURE_UPSTREAM": "1",
    "HTTPS_PROXY": "http://evil.example:1",
    "https_proxy": "http://evil.example:1",
    "NO_PROXY": "sourcegraph.com",
    "no_proxy": "*",
    "CA_FILE": "/ca.pem",
    "SSL_CERT_FILE": "/ca.pem",
    "ROUTER_HOST": "127.0.0.9",
    "ROUTER_API_KEY": "known-to-others",
    "ALLOWED_HOSTS": "evil.example",
    "ALLOWED_ORIGINS": "https://evil.example",
    "SRC_HEADERS": "X-Forwarded-Host:evil.example",
    "SRC_HEADER_X": "y",
}
LEVEL: dict[Place, int] = {"flags": 0, "environment": 0, "beside": 1, "user": 2, "directory": 3}
HEADERS = {"SRC_HEADERS", "SRC_HEADER_X"}


@pytest.mark.parametrize("name", ["CLIENT_CERT_FILE", "CLIENT_KEY_FILE"])
def test_who_we_show_ourselves_as_is_not_for_a_less_trusted_place(name: str) -> None:
    files = {"CLIENT_CERT_FILE": "/ca.pem", "CLIENT_KEY_FILE": "/key.pem"}
    near = {other: path for other, path in files.items() if other != name}
    account = {"SOURCEGRAPH_API_TOKEN": TOKEN}
    assert isinstance(settle(user=account | files), Settings)
    line = (
        f"{name} from /home/u/.env would decide about SOURCEGRAPH_API_TOKEN from the environment, "
        f"which is trusted more: set both in the same place, or remove {name}."
    )
    found = settle(environment=account | near, user={name: files[name]})
    assert isinstance(found, Refusal)
    assert line in found.lines


@pytest.mark.parametrize("token", LABELS)
@pytest.mark.parametrize("place", LABELS)
@pytest.mark.parametrize("name", STEERING)
def test_the_token_is_steered_only_from_where_it_is_trusted(name: str, place: Place, token: Place) -> None:
    places: dict[str, dict[str, str]] = {token: {"SOURCEGRAPH_API_TOKEN": TOKEN}}
    places[place] = places.get(place, {}) | {name: STEERING[name]}
    found = settle(**places)
    if LEVEL[place] <= LEVEL[token]:
        assert isinstance(found, Settings), found
    else:
        line = (
            f"{name} from {LABELS[place]} would decide about SOURCEGRAPH_API_TOKEN from {LABELS[token]}, "
            f"which is trusted more: set both in the same place, or remove {name}."
        )
        assert found == Refusal((line,))


@pytest.mark.parametrize("headers", sorted(HEADERS))
@pytest.mark.parametrize("name", sorted(set(STEERING) - HEADERS))
def test_extra_headers_are_protected_like_the_token(name: str, headers: str) -> None:
    cloned = {"SOURCEGRAPH_API_TOKEN": TOKEN, name: STEERING[name]}
    line = (
        f"{name} from /somewhere/.env would decide about {headers} from the environment, "
        f"which is trusted more: set both in the same place, or remove {name}."
    )
    assert settle(environment={headers: STEERING[headers]}, directory=cloned) == Refusal((line,))
    assert isinstance(settle(directory=cloned | {headers: STEERING[headers]}), Settings)


@pytest.mark.parametrize("variable", [row for row in VARIABLES if row.steers and row.default], ids=lambda row: row.name)
def test_a_default_written_out_steers_nothing(variable: object) -> None:
    name, default = getattr(variable, "name", ""), getattr(variable, "default", "")
    found = settle(environment={"SOURCEGRAPH_API_TOKEN": TOKEN}, directory={name: default})
    assert isinstance(found, Settings), found


def test_a_less_trusted_value_that_is_overridden_does_no_harm() -> None:
    found = settle(
        environment={"SOURCEGRAPH_API_TOKEN": TOKEN, "SOURCEGRAPH_BASE_URL": URL},
        directory={"SOURCEGRAPH_BASE_URL": "https://evil.example", "PORT": "3001"},
    )
    assert isinstance(found, Settings)
    assert (found.upstream.host, found.port) == ("sg.example.com", 3001)


def test_a_token_in_a_file_is_as_trusted_as_who_names_it() -> None:
    named = {"SOURCEGRAPH_API_TOKEN_FILE": "/token"}
    line = (
        "SOURCEGRAPH_BASE_URL from /somewhere/.env would decide about SOURCEGRAPH_API_TOKEN_FILE from /home/u/.env, "
        "which is trusted more: set both in the same place, or remove SOURCEGRAPH_BASE_URL."
    )
    assert settle(user=named, directory={"SOURCEGRAPH_BASE_URL": URL}) == Refusal((line,))
    assert isinstance(settle(user=named | {"SOURCEGRAPH_BASE_URL": URL}), Settings)


def test_a_key_in_a_file_is_as_trusted_as_who_names_it() -> None:
    line = (
        "ROUTER_API_KEY_FILE from /home/u/.env would decide about SOURCEGRAPH_API_TOKEN from the environment, "
        "which is trusted more: set both in the same place, or remove ROUTER_API_KEY_FILE."
    )
    named = {"ROUTER_API_KEY_FILE": "/key"}
    assert settle(environment={"SOURCEGRAPH_API_TOKEN": TOKEN}, user=named) == Refusal((line,))
    assert isinstance(settle(user=named | {"SOURCEGRAPH_API_TOKEN": TOKEN}), Settings)
    refusal = (
        "ROUTER_API_KEY_FILE: a .env in the working directory may not name files to read secrets from "
        "(from /somewhere/.env)."
    )
    assert settle(directory=named | {"SOURCEGRAPH_API_TOKEN": TOKEN}) == Refusal((refusal,))


def test_a_cloned_repository_cannot_send_away_a_file_or_the_token_of_src() -> None:
    evil = {"SOURCEGRAPH_BASE_URL": "https://evil.example"}
    files = settle(directory=evil | {"SOURCEGRAPH_API_TOKEN_FILE": "~/.netrc"})
    assert files == Refusal(
        (
            (
                "SOURCEGRAPH_API_TOKEN_FILE: a .env in the working directory may not name files to read secrets from "
                "(from /somewhere/.env)."
            ),
        )
    )
    assert settle(environment=_PAIR, directory=evil) == Refusal(
        (), token_missing=True, hints=(f"{_UNUSED}SOURCEGRAPH_BASE_URL is set.",)
    )


NAMES = st.sampled_from([*(row.name for row in VARIABLES), "https_proxy", "no_proxy", "SRC_HEADER_X", "SRC_HEADER_"])
VALUES = st.text(max_size=30) | st.sampled_from([text for text, _, _ in SHOWN.values()])


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=8), max_size=5))
def test_whatever_is_configured_is_settings_or_one_line_a_fault(maps: list[dict[str, str]]) -> None:
    found = settle(**dict(zip(LABELS, maps, strict=False)))
    assert isinstance(found, Settings | Refusal)
    if isinstance(found, Refusal):
        assert found.lines or found.token_missing
        assert all(line.endswith(".") for line in found.lines)
