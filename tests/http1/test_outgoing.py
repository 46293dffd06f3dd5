"""Where a request goes, in the forms that the wire and messages need."""

import pytest

from cody_oai_router.http1 import Origin, Proxy


@pytest.mark.parametrize(
    ("origin", "text", "authority", "address"),
    [
        (Origin("https", "a.example", 443), "https://a.example", "a.example", "a.example:443"),
        (Origin("http", "a.example", 443), "http://a.example:443", "a.example:443", "a.example:443"),
        (Origin("http", "::1", 80), "http://[::1]", "[::1]", "[::1]:80"),
        (Origin("https", "::1", 8443), "https://[::1]:8443", "[::1]:8443", "[::1]:8443"),
    ],
)
def test_the_forms_of_an_origin(origin: Origin, text: str, authority: str, address: str) -> None:
    assert (str(origin), origin.authority, origin.address) == (text, authority, address)


def test_a_proxy_never_shows_its_credentials() -> None:
    proxy = Proxy("proxy.example", 3128, "user:canary")
    assert "canary" not in repr(proxy)
    assert "user" not in str(proxy)
    assert (proxy.address, Proxy("::1", 1).address) == ("proxy.example:3128", "[::1]:1")
