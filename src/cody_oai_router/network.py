"""The way to the instance: which proxy, whose certificates are trusted, and the certificate that shows who we are.

Strategy: only what can be told from the text of a file is judged here; what OpenSSL makes of it is the shell's to find out.
"""

from typing import Final

import msgspec

from cody_oai_router.addresses import Proxy, Upstream, bypasses, read_proxy
from cody_oai_router.credentials import Secret
from cody_oai_router.notation import read_list
from cody_oai_router.reading import File, Found, Reading

# The ends of the opening lines: OpenSSL reads TRUSTED CERTIFICATE, RSA PRIVATE KEY and the like too.
_CERTIFICATE: Final = "CERTIFICATE-----"
_KEY: Final = "PRIVATE KEY-----"


class ClientCertificate(msgspec.Struct, frozen=True):
    """What this machine shows to an instance, or a gateway in front of it, that asks: whole paths of PEM files."""

    certificate_file: str
    key_file: str
    password: Secret | None


def read_proxy_on_the_way(reading: Reading, upstream: Upstream) -> Proxy | None:
    """The proxy between here and the instance, where there is one: never for plain http, nor for what NO_PROXY lists."""
    proxy = reading.optional("HTTPS_PROXY", read_proxy)
    direct = reading.optional("NO_PROXY", read_list) or ()
    return None if upstream.scheme == "http" or bypasses(upstream, direct) else proxy


def read_ca_file(reading: Reading) -> str | None:
    """The path of the file with the authorities to trust, where one is named."""
    found = reading.find("CA_FILE") or reading.find("SSL_CERT_FILE")
    file = reading.file(found) if found else None
    return _checked(reading, found, file, _CERTIFICATE) if found and file else None


def read_client_certificate(reading: Reading) -> ClientCertificate | None:
    """The client certificate, where one is named; its key may stand in the same file."""
    certificate = _identity(reading, "CLIENT_CERT_FILE", _CERTIFICATE)
    key = _identity(reading, "CLIENT_KEY_FILE", _KEY)
    password = reading.optional("CLIENT_KEY_PASSWORD", Secret)
    if reading.find("CLIENT_CERT_FILE") is None:
        for found in filter(None, map(reading.find, ("CLIENT_KEY_FILE", "CLIENT_KEY_PASSWORD"))):
            reading.refuse(found, "it belongs to a client certificate: set CLIENT_CERT_FILE too")
    return ClientCertificate(certificate, key or certificate, password) if certificate else None


def _identity(reading: Reading, name: str, ending: str) -> str | None:
    found = reading.find(name)
    file = reading.secret_file(found) if found else None
    return _checked(reading, found, file, ending) if found and file else None


def _checked(reading: Reading, found: Found, file: File, ending: str) -> str:
    if ending not in file.text:
        what = "certificate" if ending == _CERTIFICATE else "private key"
        reading.refuse(found, f"{file.path} holds no {what} in PEM form (-----BEGIN {ending})")
    return file.path
