"""Who is let in, rule by rule, and that a refusal comes on the head alone."""

import asyncio
import hmac
import json
from collections.abc import Callable

import pytest

from cody_oai_router.faults import Fault
from cody_oai_router.http1 import Request, Response
from cody_oai_router.notation import Wrong
from cody_oai_router.reading import Source
from cody_oai_router.settings import Refusal, Settings, read_settings
from cody_oai_router.shell.guard import Guard
from end_to_end.harness import Answer, connected, get, router, run, simulated

KEY = "canary-key"
CHAT = "/chat/completions"


def configured(**variables: str) -> Settings | Refusal:
    account = {"SOURCEGRAPH_API_TOKEN": "sgp_canary", "SOURCEGRAPH_BASE_URL": "https://sg.example.com"}
    source = Source("environment", "the environment", account | variables)
    return read_settings([source], lambda _: Wrong("no file"))


def guard(**variables: str) -> Guard:
    settings = configured(**variables)
    assert isinstance(settings, Settings), settings
    return Guard(settings)


def asked(*headers: tuple[str, str], method: str = "POST", host: str | None = "127.0.0.1:3000") -> Request:
    fields = [] if host is None else [(b"host", host.encode("latin-1"))]
    fields += [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request(method, "/v1" + CHAT, "1.1", fields)


def code(fault: Fault | None) -> str | None:
    return None if fault is None else fault.code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:3000",
        "127.0.0.1:",
        "127.255.255.254",
        "localhost",
        "localhost:1",
        "LocalHost:3000",
        "localhost.",
        "localhost.:3000",
        "router.localhost:3000",
        "[::1]",
        "[::1]:3000",
        "[0:0:0:0:0:0:0:1]:3000",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7f00:1]:3000",
    ],
)
def test_this_machine_by_each_of_its_names(host: str) -> None:
    assert guard().refusal(asked(host=host), CHAT) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        ":3000",
        ".",
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "localhost..",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io",
        "127.1",
        "127.0.1",
        "0127.0.0.1",
        "127.0.0.01",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "127。0。0。1",
        "0.0.0.0",  # noqa: S104 - a host to refuse
        "10.0.0.1",
        "128.0.0.1",
        "[::]",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "[::ffff:127.0.0.1",
        "[127.0.0.1]",
        "[localhost]",
        "[]",
        "[:]",
        "::1",
        "[::1]evil.example",
        "[::1%25lo]",
        "user@localhost",
        "user:word@127.0.0.1",
        "localhost@evil.example",
        "localhost/evil",
        "localhost,evil.example",
        "localhost evil.example",
        "localhost:3000:1",
        "localhost:port",
        "localhost:-1",
        "localhost:123456",
        "localhost\x85",
        "local\xaehost",
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    fault = guard().refusal(asked(host=host.encode("utf-8").decode("latin-1")), CHAT)
    assert fault is not None
    assert (fault.status, fault.code) == (403, "host_not_allowed")


def test_a_refused_host_is_named_with_the_variable() -> None:
    fault = guard().refusal(asked(host="evil.example:3000"), CHAT)
    assert fault is not None
    assert fault.message == (
        "Requests for the host 'evil.example:3000' are refused: "
        "add it to ALLOWED_HOSTS if it is really this router's name."
    )
    long = guard().refusal(asked(host="e" * 5000), CHAT)
    assert long is not None
    assert f"'{'e' * 200}'" in long.message
    missing = guard().refusal(asked(host=None), CHAT)
    assert missing is not None
    assert missing.message == "Requests without a Host header are refused."


@pytest.mark.parametrize(
    ("allowed", "host", "fits"),
    [
        ("router.corp.example", "router.corp.example", True),
        ("router.corp.example", "Router.Corp.Example:8443", True),
        ("router.corp.example", "router.corp.example.", True),
        ("router.corp.example.", "router.corp.example", True),
        ("router.corp.example", "corp.example", False),
        ("router.corp.example", "x.router.corp.example", False),
        ("router.corp.example", "router.corp.example.evil.example", False),
        ("a.example,10.1.2.3", "10.1.2.3:3000", True),
        ("10.1.2.3", "10.1.2.30", False),
        ("fd00::1", "[FD00:0:0::1]:3000", True),
        ("fd00:0::1", "[fd00::1]", True),
        ("fd00::1", "[fd00::2]", False),
    ],
)
def test_hosts_that_the_user_allows(allowed: str, host: str, *, fits: bool) -> None:
    found = guard(ALLOWED_HOSTS=allowed).refusal(asked(host=host), CHAT)
    assert code(found) == (None if fits else "host_not_allowed")


def test_an_address_that_is_listened_on_is_a_name_of_ours() -> None:
    listening = guard(ROUTER_HOST="10.1.2.3", ROUTER_API_KEY=KEY)
    request = asked(("x-api-key", KEY), host="10.1.2.3:3000")
    assert listening.refusal(request, CHAT) is None
    assert code(listening.refusal(asked(("x-api-key", KEY), host="10.1.2.4"), CHAT)) == "host_not_allowed"


ORIGINS = [
    "null",
    "http://localhost:3000",
    "http://127.0.0.1:3000",
    "https://evil.example",
    "app://obsidian.md",
    "vscode-webview://0abc1def",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://0-1-2",
    "file://",
    "capacitor://localhost",
    "",
]


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_every_origin_is_refused_unless_it_is_allowed(method: str, origin: str) -> None:
    fault = guard().refusal(asked(("origin", origin), method=method), CHAT)
    assert fault is not None
    assert (fault.status, fault.code) == (403, "origin_not_allowed")
    assert fault.message == (
        f"Requests from the web page or app '{origin}' are refused: add it to ALLOWED_ORIGINS if you trust it."
    )
    assert guard().cors(asked(("origin", origin))) == []


@pytest.mark.parametrize("origin", [origin for origin in ORIGINS if origin not in {"", "file://"}])
def test_an_origin_can_be_allowed(origin: str) -> None:
    open_to = guard(ALLOWED_ORIGINS=f"https://other.example,{origin}")
    request = asked(("origin", origin))
    assert open_to.refusal(request, CHAT) is None
    assert open_to.cors(request)[0] == (b"access-control-allow-origin", origin.encode())
    assert (b"vary", b"Origin") in open_to.cors(request)
    assert b"access-control-allow-credentials" not in dict(open_to.cors(request))


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.evil.example",
        "https://evil-app.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example/",
        "https://app.example@evil.example",
        "https://app.example, https://evil.example",
        "null",
    ],
)
def test_an_allowed_origin_allows_no_other(origin: str) -> None:
    assert code(guard(ALLOWED_ORIGINS="https://app.example").refusal(asked(("origin", origin)), CHAT)) is not None


def test_an_allowed_origin_is_compared_without_case() -> None:
    open_to = guard(ALLOWED_ORIGINS="https://App.Example")
    assert open_to.refusal(asked(("origin", "HTTPS://app.example")), CHAT) is None


def test_a_second_origin_does_not_hide_behind_an_allowed_one() -> None:
    request = asked(("origin", "https://app.example"), ("origin", "https://evil.example"))
    assert code(guard(ALLOWED_ORIGINS="https://app.example").refusal(request, CHAT)) == "origin_not_allowed"


def test_all_origins_need_a_key() -> None:
    refusal = configured(ALLOWED_ORIGINS="*")
    assert isinstance(refusal, Refusal)
    (line,) = refusal.lines
    assert line == (
        "ALLOWED_ORIGINS: any web page could use your token: set ROUTER_API_KEY too, or list the origins "
        "(from the environment)."
    )
    open_to = guard(ALLOWED_ORIGINS="*", ROUTER_API_KEY=KEY)
    request = asked(("origin", "https://any.example"), ("authorization", f"Bearer {KEY}"))
    assert open_to.refusal(request, CHAT) is None
    assert open_to.cors(request)[0] == (b"access-control-allow-origin", b"https://any.example")
    without = open_to.refusal(asked(("origin", "https://any.example")), CHAT)
    assert without is not None
    assert without.status == 401


@pytest.mark.parametrize(
    ("site", "refused"),
    [("cross-site", True), ("same-site", False), ("same-origin", False), ("none", False)],
)
def test_what_the_browser_says_of_the_site(site: str, *, refused: bool) -> None:
    fault = guard().refusal(asked(("sec-fetch-site", site), method="GET"), "/models")
    assert (fault is not None) == refused
    if fault is not None:
        assert (fault.status, fault.message) == (
            403,
            "Requests from other web sites are refused; ALLOWED_ORIGINS lists those that you trust.",
        )
    allowed = guard(ALLOWED_ORIGINS="https://app.example")
    from_page = asked(("origin", "https://app.example"), ("sec-fetch-site", site))
    assert allowed.refusal(from_page, CHAT) is None


def preflight(*headers: tuple[str, str], **variables: str) -> Fault | Response | None:
    rules = guard(**variables)
    request = asked(("access-control-request-method", "POST"), *headers, method="OPTIONS")
    return rules.refusal(request, CHAT) or rules.preflight(request)


def test_a_preflight_of_an_allowed_origin() -> None:
    wanted = "authorization,content-type,x-api-key,anthropic-version,x-stainless-os"
    answer = preflight(
        ("origin", "app://obsidian.md"),
        ("access-control-request-headers", wanted),
        ("access-control-request-private-network", "true"),
        ALLOWED_ORIGINS="app://obsidian.md",
        ROUTER_API_KEY=KEY,
    )
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (204, b"")
    assert dict(answer.headers) == {
        b"access-control-allow-origin": b"app://obsidian.md",
        b"access-control-expose-headers": b"x-router-model, x-router-adapted, x-router-demo, x-request-id, retry-after",
        b"vary": b"Origin",
        b"access-control-allow-methods": b"GET, POST, OPTIONS",
        b"access-control-max-age": b"7200",
        b"access-control-allow-headers": wanted.encode(),
        b"access-control-allow-private-network": b"true",
    }


@pytest.mark.parametrize("value", ["false", "", "TRUE "])
def test_the_private_network_is_opened_only_where_it_is_asked_for(value: str) -> None:
    headers = (("origin", "https://a.example"), ("access-control-request-private-network", value))
    answer = preflight(*headers, ALLOWED_ORIGINS="https://a.example")
    assert isinstance(answer, Response)
    assert b"access-control-allow-private-network" not in dict(answer.headers)


@pytest.mark.parametrize("wanted", ["", "a:b", "x" * 1001, "a\tb", "é"])
def test_only_names_of_fields_are_echoed(wanted: str) -> None:
    headers = (("origin", "https://a.example"), ("access-control-request-headers", wanted))
    answer = preflight(*headers, ALLOWED_ORIGINS="https://a.example")
    assert isinstance(answer, Response)
    assert b"access-control-allow-headers" not in dict(answer.headers)


def test_a_preflight_of_any_other_origin_is_refused() -> None:
    answer = preflight(("origin", "https://evil.example"), ("access-control-request-private-network", "true"))
    assert isinstance(answer, Fault)
    assert answer.status == 403


def test_a_preflight_without_an_origin_has_no_way_around_the_key() -> None:
    answer = preflight(ROUTER_API_KEY=KEY)
    assert isinstance(answer, Fault)
    assert answer.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", f"Bearer {KEY}")],
        [("authorization", f"bearer   {KEY} ")],
        [("x-api-key", KEY)],
        [("authorization", "Bearer other"), ("x-api-key", KEY)],
        [("authorization", f"Bearer {KEY}"), ("x-api-key", "other")],
    ],
)
def test_the_key_lets_in(headers: list[tuple[str, str]]) -> None:
    assert guard(ROUTER_API_KEY=KEY).refusal(asked(*headers), CHAT) is None


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", KEY)],
        [("authorization", f"Basic {KEY}")],
        [("authorization", f"token {KEY}")],
        [("authorization", f"Bearer {KEY[:-1]}")],
        [("authorization", f"Bearer {KEY}x")],
        [("authorization", f"Bearer {KEY.upper()}")],
        [("authorization", f"Bearer {KEY} {KEY}")],
        [("authorization", "Bearer ké\xff")],
        [("x-api-key", "")],
        [("x-api-key", f"Bearer {KEY}")],
        [("api-key", KEY)],
        [("cookie", f"key={KEY}")],
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/models", "/", "/healthy", "/health/x", "/nothing"])
def test_without_the_key_nothing_is_told(path: str, headers: list[tuple[str, str]]) -> None:
    fault = guard(ROUTER_API_KEY=KEY).refusal(asked(*headers), path)
    assert fault is not None
    assert (fault.status, fault.message) == (
        401,
        "Incorrect API key provided: this router wants the value of ROUTER_API_KEY, as Bearer token or x-api-key.",
    )


def test_without_a_key_of_ours_any_or_none_is_accepted() -> None:
    for headers in ([], [("authorization", "Bearer sk-anything")], [("x-api-key", "x")]):
        assert guard().refusal(asked(*headers), CHAT) is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_health_page_needs_no_key_but_a_host_of_ours(method: str) -> None:
    keyed = guard(ROUTER_API_KEY=KEY)
    assert keyed.refusal(asked(method=method), "/health") is None
    assert code(keyed.refusal(asked(method=method, host="evil.example"), "/health")) == "host_not_allowed"
    assert code(keyed.refusal(asked(("origin", "null"), method=method), "/health")) == "origin_not_allowed"


@pytest.mark.parametrize("headers", [[], [("x-api-key", KEY)], [("authorization", f"Bearer {KEY}")]])
def test_both_places_of_a_key_are_compared_in_constant_time(
    headers: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    in_constant_time = hmac.compare_digest

    def watched(own: bytes, offered: bytes) -> bool:
        compared.append((own, offered))
        return in_constant_time(own, offered)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    guard(ROUTER_API_KEY=KEY).refusal(asked(*headers), CHAT)
    assert [own for own, _ in compared] == [KEY.encode()] * 2


# Over a real socket.

HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\n{more}Content-Type: application/json\r\n"
BIG = "Content-Length: 50000000\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"


async def refused(head: str, **variables: str) -> Answer:
    """What a client gets that sends this head, and then waits with the body."""
    async with simulated() as (simulator, port):
        async with router(port, variables) as running, connected(running) as client:
            client.send(head.encode("latin-1"))
            answer = await client.answer()
        assert simulator.received == []
        return answer


@pytest.mark.parametrize("body", [BIG, CHUNKED, f"Expect: 100-continue\r\n{BIG}"], ids=["length", "chunked", "expect"])
@pytest.mark.parametrize(
    ("host", "more", "status", "words"),
    [
        ("evil.example", "", 403, "ALLOWED_HOSTS"),
        ("localhost", "Origin: app://obsidian.md\r\n", 403, "app://obsidian.md"),
        ("localhost", "Sec-Fetch-Site: cross-site\r\n", 403, "ALLOWED_ORIGINS"),
        ("localhost", "Authorization: Bearer wrong\r\n", 401, "ROUTER_API_KEY"),
    ],
)
def test_a_refusal_does_not_wait_for_the_body(body: str, host: str, more: str, status: int, words: str) -> None:
    async def scenario() -> None:
        answer = await refused(HEAD.format(host=host, more=more) + body, ROUTER_API_KEY=KEY)
        assert answer.status == status
        assert words in answer.error["message"]
        assert answer.header("connection") == "close"

    run(scenario())


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "POST http://localhost/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST http://evil.example/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET //evil.example/v1/models HTTP/1.1\r\nHost: user@localhost\r\n\r\n",
        "CONNECT localhost:3000 HTTP/1.1\r\nHost: localhost:3000\r\n\r\n",
        "GET /v1/models HTTP/1.1\r\n\r\n",
    ],
)
def test_a_target_is_named_once_and_in_one_way(head: str) -> None:
    async def scenario() -> None:
        answer = await refused(head)
        assert answer.status in {400, 403}
        assert answer.error["message"]

    run(scenario())


def of_page(method: str, path: str, *more: str) -> str:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost:3000", *more, "Connection: close"]
    return "".join(f"{line}\r\n" for line in (*lines, ""))


PAGE = "Origin: https://app.example"


@pytest.mark.parametrize(
    ("variables", "request_head", "check"),
    [
        (
            {"ALLOWED_ORIGINS": "https://app.example"},
            of_page("OPTIONS", "/v1/chat/completions", PAGE, "Access-Control-Request-Method: POST"),
            lambda answer: (
                (answer.status, answer.header("access-control-allow-origin")) == (204, "https://app.example")
            ),
        ),
        (
            {"ALLOWED_ORIGINS": "https://app.example", "ROUTER_API_KEY": KEY},
            of_page("GET", "/v1/models", PAGE),
            lambda answer: (
                (answer.status, answer.header("access-control-allow-origin")) == (401, "https://app.example")
            ),
        ),
        (
            {"ALLOWED_ORIGINS": "https://app.example"},
            of_page("OPTIONS", "/v1/nothing", "Origin: https://evil.example", "Access-Control-Request-Method: POST"),
            lambda answer: (answer.status, answer.header("access-control-allow-origin")) == (403, None),
        ),
        (
            {"ROUTER_API_KEY": KEY},
            of_page("GET", "/v1/%68ealth/"),
            lambda answer: answer.status == 200 and KEY not in answer.raw.decode(),
        ),
        (
            {"ROUTER_API_KEY": KEY},
            of_page("GET", "/health%2f..%2fv1/models"),
            lambda answer: answer.status == 401,
        ),
        (
            {},
            of_page("GET", "/health"),
            lambda answer: set(json.loads(answer.body)) == {"status", "version", "demo", "sourcegraph"},
        ),
    ],
)
def test_answers_that_a_page_or_a_probe_gets(
    variables: dict[str, str], request_head: str, check: Callable[[Answer], bool]
) -> None:
    async def scenario() -> None:
        answer = await refused(request_head, **variables)
        assert check(answer), answer.raw

    run(scenario())


def test_a_refused_head_request_has_no_body() -> None:
    async def scenario() -> None:
        async with simulated() as (_, port), router(port) as running, connected(running) as client:
            client.send(of_page("HEAD", "/v1/models", "Origin: null").encode())
            answer = await client.to_end()
            assert (answer.status, answer.rest) == (403, b"")
            assert int(answer.header("content-length") or "0") > 0
            assert (await get(running, "/health")).status == 200

    run(scenario())


def test_every_refusal_is_one_line_of_the_log() -> None:
    async def scenario() -> None:
        async with simulated() as (_, port), router(port) as running, asyncio.timeout(20), connected(running) as client:
            client.send(of_page("GET", "/v1/models", "Origin: null").encode())
            await client.to_end()
        (line,) = [line for line in running.lines if "/v1/models" in line]
        assert " GET /v1/models 403 " in line
        assert line.endswith("failure=forbidden")

    run(scenario())
