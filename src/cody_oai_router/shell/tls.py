"""The TLS context that verifies Sourcegraph: whose word is trusted, and as whom this machine shows itself.

Strategy: there is one way to trust and no way to trust everybody. CA_FILE replaces the system's authorities. Without it, Windows and
macOS judge a certificate themselves (truststore asks them), as a browser there does; elsewhere OpenSSL judges by the authorities
that the distribution keeps. truststore is not used for that: it would read them again for every connection, some 40 ms in which
the loop stands still, where a context of our own reads them once.
"""

import os
import re
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cody_oai_router.network import ClientCertificate
from cody_oai_router.settings import Settings

# Where distributions keep all authorities in one file, for an OpenSSL that was built elsewhere and knows none of these.
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # RHEL 6 to 9
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/certs/ca-bundle.crt",  # NixOS
    "/etc/ssl/cert.pem",  # Alpine, the BSDs
)
_BUNDLED: Final = "cacert.pem"
# The name that OpenSSL finds an authority by in a folder.
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")
_SYSTEMS_THAT_JUDGE: Final = ("win32", "darwin")


def client_context(settings: Settings) -> ssl.SSLContext:
    """The context for connections to the instance; raises OSError, which says what to change."""
    # Python reads this variable only in create_default_context, but OpenSSL can be built to read it by itself.
    os.environ.pop("SSLKEYLOGFILE", None)
    context = _own_judge(settings.ca_file) if settings.ca_file else _systems_judge()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.client_certificate:
        _show(settings.client_certificate, context)
    return context


def _own_judge(ca_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Whoever names an intermediate authority, or the very certificate, means it; browsers' exports are often one of these.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise OSError(f"CA_FILE (or SSL_CERT_FILE): {ca_file} holds no certificate that OpenSSL can read") from None
    return context


def _systems_judge() -> ssl.SSLContext:
    if sys.platform in _SYSTEMS_THAT_JUDGE:
        import truststore  # noqa: PLC0415 - not there on other systems

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load_authorities(context, _BUNDLES)
    return context


def _load_authorities(context: ssl.SSLContext, bundles: Sequence[str]) -> None:
    known = ssl.get_default_verify_paths()
    if known.cafile or (known.capath and _holds_authorities(known.capath)):
        context.set_default_verify_paths()
        return
    # The executables carry one of their own, for a machine that has none.
    bundled = Path(str(getattr(sys, "_MEIPASS", os.devnull)), _BUNDLED)
    for bundle in (*map(Path, bundles), bundled):
        if bundle.is_file():
            context.load_verify_locations(cafile=bundle)
            return
    raise OSError(
        "this machine has no certificates of authorities to verify Sourcegraph by: install the package ca-certificates, or "
        "set CA_FILE"
    )


def _holds_authorities(folder: str) -> bool:
    return any(_HASHED.fullmatch(name) for name in os.listdir(folder))  # noqa: PTH208 - names are all that is needed


def _show(identity: ClientCertificate, context: ssl.SSLContext) -> None:
    # With an empty password OpenSSL refuses an encrypted key; without any it would ask on the terminal.
    password = identity.password.reveal() if identity.password else ""
    try:
        context.load_cert_chain(identity.certificate_file, identity.key_file, password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise OSError(f"the key in {identity.key_file} is not that of the CLIENT_CERT_FILE") from None
        raise OSError(
            f"the certificate in {identity.certificate_file} or the key in {identity.key_file} cannot be used: set "
            "CLIENT_KEY_PASSWORD if the key is encrypted, and correct it if it is set"
        ) from None
