"""What files on the way to the instance must hold, and who may name them."""

import pytest

from cody_oai_router.credentials import Secret
from cody_oai_router.network import ClientCertificate, read_ca_file, read_client_certificate
from cody_oai_router.reading import File, Reading, Source

TEXTS = {
    "/certificate": "-----BEGIN CERTIFICATE-----",
    "/trusted": "# some words\n-----BEGIN TRUSTED CERTIFICATE-----",
    "/key": "-----BEGIN RSA PRIVATE KEY-----",
    "/encrypted": "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "/none": "",
}
LABEL = "the place"
NO_CERTIFICATE = "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----) (from the place)."
NO_KEY = "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----) (from the place)."
NO_SECRETS = "a .env in the working directory may not name files to read secrets from (from the place)."
ALONE = "it belongs to a client certificate: set CLIENT_CERT_FILE too (from the place)."


def reading(**values: str) -> Reading:
    return Reading([Source("environment", LABEL, values)], lambda path: File(path, TEXTS[path]))


@pytest.mark.parametrize("path", ["/certificate", "/trusted"])
@pytest.mark.parametrize("name", ["CA_FILE", "SSL_CERT_FILE"])
def test_a_file_of_authorities(name: str, path: str) -> None:
    found = reading(**{name: path})
    assert (read_ca_file(found), found.lines) == (path, [])


@pytest.mark.parametrize("path", ["/key", "/none"])
def test_a_file_without_a_certificate(path: str) -> None:
    found = reading(CA_FILE=path)
    read_ca_file(found)
    assert found.lines == [f"CA_FILE: {path} {NO_CERTIFICATE}"]


@pytest.mark.parametrize("key", ["/key", "/encrypted"])
def test_a_client_certificate_and_its_key(key: str) -> None:
    found = reading(CLIENT_CERT_FILE="/certificate", CLIENT_KEY_FILE=key, CLIENT_KEY_PASSWORD="x")
    assert read_client_certificate(found) == ClientCertificate("/certificate", key, Secret("x"))
    assert found.lines == []
    assert read_client_certificate(reading()) is None


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({"CLIENT_CERT_FILE": "/key"}, [f"CLIENT_CERT_FILE: /key {NO_CERTIFICATE}"]),
        (
            {"CLIENT_CERT_FILE": "/certificate", "CLIENT_KEY_FILE": "/certificate"},
            [f"CLIENT_KEY_FILE: /certificate {NO_KEY}"],
        ),
        (
            {"CLIENT_KEY_FILE": "/key", "CLIENT_KEY_PASSWORD": "x"},
            [f"CLIENT_KEY_FILE: {ALONE}", f"CLIENT_KEY_PASSWORD: {ALONE}"],
        ),
    ],
)
def test_a_client_certificate_that_is_not_complete(values: dict[str, str], lines: list[str]) -> None:
    found = reading(**values)
    read_client_certificate(found)
    assert found.lines == lines


@pytest.mark.parametrize("name", ["CLIENT_CERT_FILE", "CLIENT_KEY_FILE"])
def test_a_repository_names_no_key(name: str) -> None:
    found = Reading(
        [
            Source("environment", "the environment", {"CLIENT_CERT_FILE": "/certificate"}),
            Source("directory", LABEL, {name: "/key"}),
        ][name == "CLIENT_CERT_FILE" :],
        lambda path: File(path, TEXTS[path]),
    )
    read_client_certificate(found)
    assert found.lines == [f"{name}: {NO_SECRETS}"]
