"""Addresses: what is taken, into which parts, and what is refused in which words."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.addresses import (
    Proxy,
    Upstream,
    bypasses,
    is_loopback,
    reached,
    read_end_point,
    read_host_names,
    read_listen,
    read_origins,
    read_proxy,
    read_upstream,
)
from cody_oai_router.credentials import Secret
from cody_oai_router.notation import Wrong


@pytest.mark.parametrize(
    ("text", "upstream", "url"),
    [
        ("https://sg.example.com", Upstream("https", "sg.example.com", 443), "https://sg.example.com"),
        ("https://sg.example.com///", Upstream("https", "sg.example.com", 443), "https://sg.example.com"),
        ("HTTPS://SG.Example.com:443/", Upstream("https", "sg.example.com", 443), "https://sg.example.com"),
        ("https://h:8443/a/b/", Upstream("https", "h", 8443, "/a/b"), "https://h:8443/a/b"),
        ("http://localhost:7080", Upstream("http", "localhost", 7080), "http://localhost:7080"),
        ("http://127.8.9.1", Upstream("http", "127.8.9.1", 80), "http://127.8.9.1"),
        ("http://[::1]:3080/x", Upstream("http", "::1", 3080, "/x"), "http://[::1]:3080/x"),
        ("https://[2001:DB8::1]", Upstream("https", "2001:db8::1", 443), "https://[2001:db8::1]"),
        (
            "https://b\u00fccher.example",
            Upstream("https", "xn--bcher-kva.example", 443),
            "https://xn--bcher-kva.example",
        ),
        ("https://sg_1.example.com.", Upstream("https", "sg_1.example.com.", 443), "https://sg_1.example.com."),
    ],
)
def test_an_instance(text: str, upstream: Upstream, url: str) -> None:
    assert read_upstream(text, insecure=False) == upstream
    assert upstream.url == url


def test_the_parts_that_a_request_needs() -> None:
    upstream = Upstream("https", "::1", 444, "/base")
    assert (upstream.authority, upstream.target("/.api/x")) == ("[::1]:444", "/base/.api/x")
    assert Upstream("http", "h", 443).authority == "h:443"


_ODD = "contains a space, a backslash or a control character"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sg.example.com", "'sg.example.com' has no scheme: write it like https://sourcegraph.example.com"),
        ("localhost:3080", "'localhost:3080' has no scheme: write it like https://sourcegraph.example.com"),
        ("ftp://h", "'ftp://h' is neither https nor http"),
        ("://h", "'://h' is neither https nor http"),
        ("https://", "'https://' has no valid host name or port"),
        ("https://h:0", "'https://h:0' has no valid host name or port"),
        ("https://h:65536", "'https://h:65536' has no valid host name or port"),
        ("https://h:x", "'https://h:x' has no valid host name or port"),
        ("https://a..b", "'https://a..b' has no valid host name or port"),
        ("https://-a", "'https://-a' has no valid host name or port"),
        ("https://a,b", "'https://a,b' has no valid host name or port"),
        ("https://[fe80::1%25eth0]", "'https://[fe80::1%25eth0]' has no valid host name or port"),
        ("https://[::1", "'https://[::1' is not a URL"),
        ("https://h\\@evil", f"'https://h\\\\@evil' {_ODD}"),
        ("https://h /a", f"'https://h /a' {_ODD}"),
        ("https://h\t", f"'https://h\\t' {_ODD}"),
        ("https://h?x", "'https://h?x' has a query or a fragment: give the address alone"),
        ("https://h#", "'https://h#' has a query or a fragment: give the address alone"),
        ("https://h/a/../b", "the path of 'https://h/a/../b' contains . or .. as a segment"),
        ("https://h/%2e%2E/b", "the path of 'https://h/%2e%2E/b' contains . or .. as a segment"),
        ("https://h/a//b", "the path of 'https://h/a//b' contains an empty segment, a backslash or an encoded slash"),
        ("https://h/a%2fb", "the path of 'https://h/a%2fb' contains an empty segment, a backslash or an encoded slash"),
        ("https://h/%0a", "the path of 'https://h/%0a' contains a character that a path may not have"),
        ("https://h/\u00e9", "the path of 'https://h/\\xe9' contains a character that a path may not have"),
        ("https://h/.api/llm", "'https://h/.api/llm' names an endpoint: leave out everything from /.api on"),
        ("https://u:canary@h", "it contains a user name or password: the access token has its own variable"),
        ("https://@h", "it contains a user name or password: the access token has its own variable"),
        (
            "http://sg.example.com",
            (
                "'http://sg.example.com' would send your token unencrypted: use https, or accept it with "
                "ALLOW_INSECURE_UPSTREAM=1"
            ),
        ),
        (
            "http://localhost.example.com",
            (
                "'http://localhost.example.com' would send your token unencrypted: use https, or accept it with "
                "ALLOW_INSECURE_UPSTREAM=1"
            ),
        ),
    ],
)
def test_an_address_that_is_refused(text: str, why: str) -> None:
    assert read_upstream(text, insecure=False) == Wrong(why)


def test_plain_http_where_the_user_accepts_it() -> None:
    assert read_upstream("http://sg.example.com", insecure=True) == Upstream("http", "sg.example.com", 80)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost.", "a.localhost", "127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"]
)
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.0", "::", "10.0.0.1", "notlocalhost", "localhost.example", "127.0.0.1.nip.io", "127.1"]
)
def test_not_this_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("listening", "near"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("10.0.0.1", "10.0.0.1")],  # noqa: S104 - data
)
def test_where_this_machine_reaches_what_listens(listening: str, near: str) -> None:
    assert reached(listening) == near


@pytest.mark.parametrize("text", ["/.api/llm/chat/completions", "/a", "/a%20b/~c;d=1"])
def test_an_end_point(text: str) -> None:
    assert read_end_point(text) == text


_ONE = "does not begin with exactly one /: give a path on the instance, not a whole address"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a", f"'a' {_ONE}"),
        ("//evil.example/a", f"'//evil.example/a' {_ONE}"),
        ("https://evil.example/a", f"'https://evil.example/a' {_ONE}"),
        ("\\\\evil", f"'\\\\\\\\evil' {_ONE}"),
        ("/\\evil", "'/\\\\evil' contains an empty segment, a backslash or an encoded slash"),
        ("/a//b", "'/a//b' contains an empty segment, a backslash or an encoded slash"),
        ("/%2fevil", "'/%2fevil' contains an empty segment, a backslash or an encoded slash"),
        ("/%5cevil", "'/%5cevil' contains an empty segment, a backslash or an encoded slash"),
        ("/a/../b", "'/a/../b' contains . or .. as a segment"),
        ("/.", "'/.' contains . or .. as a segment"),
        ("/a?b", "'/a?b' has a query or a fragment: give the path alone"),
        ("/a#b", "'/a#b' has a query or a fragment: give the path alone"),
        ("/a b", "'/a b' contains a character that a path may not have"),
        ("/a\r\nX: y", "'/a\\r\\nX: y' contains a character that a path may not have"),
        ("/", "'/' ends with a slash"),
        ("/a/", "'/a/' ends with a slash"),
    ],
)
def test_an_end_point_that_is_refused(text: str, why: str) -> None:
    assert read_end_point(text) == Wrong(why)


@given(st.text(alphabet="/\\.%25cfae@:?#[]\t h", max_size=20))
def test_whatever_is_taken_as_an_end_point_stays_on_the_instance(tail: str) -> None:
    end_point = read_end_point("/" + tail)
    if isinstance(end_point, str):
        joined = urlsplit(urljoin("https://sg.example.com/base/", end_point))
        assert (joined.scheme, joined.netloc, joined.path) == ("https", "sg.example.com", end_point)


@given(st.text(max_size=40))
def test_no_reader_of_addresses_raises(text: str) -> None:
    for candidate in (text, f"https://{text}", f"/{text}"):
        assert isinstance(read_upstream(candidate, insecure=True), Upstream | Wrong)
        assert isinstance(read_proxy(candidate), Proxy | Wrong)
        assert isinstance(read_end_point(candidate), str | Wrong)


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("http://proxy:3128", Proxy("proxy", 3128)),
        ("proxy:3128", Proxy("proxy", 3128)),
        ("proxy/", Proxy("proxy", 80)),
        ("http://[::1]:8080/", Proxy("::1", 8080)),
        ("http://u:p%40%3Aw@proxy:1", Proxy("proxy", 1, Secret("u:p@:w"))),
        ("http://u:p@w@proxy:1", Proxy("proxy", 1, Secret("u:p@w"))),
        ("http://u@proxy:1", Proxy("proxy", 1, Secret("u:"))),
    ],
)
def test_a_proxy(text: str, proxy: Proxy) -> None:
    assert read_proxy(text) == proxy


_PLAIN = "only proxies that are spoken to in plain HTTP are supported: give http://host:port"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("socks5://u:canary@h:1", _PLAIN),
        ("https://u:canary@h:1", _PLAIN),
        ("http://u:canary@h:x", "it is not a proxy address: give http://host:port"),
        ("http://u:canary@h/path", "it is not a proxy address: give http://host:port"),
        ("http://u:canary @h", "it contains a character that a proxy address may not have, or is not a URL"),
        ("http://u:canary@[h", "it contains a character that a proxy address may not have, or is not a URL"),
    ],
)
def test_a_proxy_that_is_refused_is_not_shown(text: str, why: str) -> None:
    assert read_proxy(text) == Wrong(why)


@pytest.mark.parametrize(
    ("host", "entry", "direct"),
    [
        ("sg.example.com", "*", True),
        ("sg.example.com", "example.com", True),
        ("sg.example.com", ".example.com", True),
        ("sg.example.com", "*.example.com", True),
        ("sg.example.com", "SG.EXAMPLE.COM", True),
        ("sg.example.com.", "example.com", True),
        ("sg.example.com", "sg.example.com:443", True),
        ("sg.example.com", "sg.example.com:444", False),
        ("notexample.com", "example.com", False),
        ("example.com", "ample.com", False),
        ("sg.example.com", ".", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "11.0.0.0/8", False),
        ("10.1.2.3", "3", False),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db8::1", "[2001:db8::1]:443", True),
        ("2001:db8::1", "2001:db8::1", True),
        ("localhost", "example.com", True),
    ],
)
def test_what_is_reached_without_the_proxy(host: str, entry: str, direct: bool) -> None:
    assert bypasses(Upstream("https", host, 443), [entry]) is direct


def test_where_to_listen() -> None:
    assert read_listen("127.0.0.1, [::1],10.0.0.1,localhost") == ("127.0.0.1", "::1", "10.0.0.1")
    why = "'my-laptop' is not an IP address: give 127.0.0.1, ::1, or 0.0.0.0 for every network"
    assert read_listen("::1,my-laptop") == Wrong(why)


def test_names_of_this_router() -> None:
    assert read_host_names("Router.Example,[::2],10.0.0.1") == ("router.example", "::2", "10.0.0.1")
    for word in ("https://h", "h:3000", "*", "a/b"):
        why = f"'{word}' is not a host name: give the name alone, without a scheme or a port"
        assert read_host_names(word) == Wrong(why)


def test_origins_of_web_pages() -> None:
    words = "https://App.example.com:8443/,app://obsidian.md,null,*,chrome-extension://abc"
    assert read_origins(words) == (
        "https://app.example.com:8443",
        "app://obsidian.md",
        "null",
        "*",
        "chrome-extension://abc",
    )
    for word in (
        "app.example.com",
        "https://",
        "https://a/b",
        "https://*.example.com",
        "https://u@h",
        "https://\u00e9",
    ):
        why = f"{word!a} is not an origin: write it like https://app.example.com or app://name"
        assert read_origins(word) == Wrong(why)
