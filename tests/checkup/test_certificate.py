"""Names in certificates: written here byte by byte, and by OpenSSL."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody_oai_router.checkup.certificate import Issuer, read_issuer
from http1.certificates import OPENSSL, Authority

CN, O = b"\x55\x04\x03", b"\x55\x04\x0a"  # noqa: E741 - X.520's own letters


def value(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    return bytes([tag, 0x82]) + len(content).to_bytes(2) + content


def name(*attributes: tuple[bytes, int, bytes]) -> bytes:
    return value(0x30, *(value(0x31, value(0x30, value(6, kind), value(tag, text))) for kind, tag, text in attributes))


def certificate(issuer: bytes, subject: bytes, *, version: bool = True) -> bytes:
    fields = [value(0xA0, b"\x02\x01\x02")] if version else []
    fields += [value(2, b"\x01"), value(0x30), issuer, value(0x30, value(0x17, b"260101000000Z")), subject]
    return value(0x30, value(0x30, *fields, value(0x30, bytes(300))), value(0x30), value(3, b"\0"))


SUBJECT = name((CN, 12, b"sourcegraph.example.com"))


def test_both_names_are_read() -> None:
    issuer = name((b"\x55\x04\x06", 0x13, b"US"), (O, 0x13, b"Example Corp"), (CN, 12, "Würzburg CA".encode()))
    found = read_issuer(certificate(issuer, SUBJECT))
    assert found == Issuer("Würzburg CA", "Example Corp", itself=False)
    assert found.shown == '"Würzburg CA" (Example Corp)'


@pytest.mark.parametrize("version", [True, False])
def test_a_certificate_that_names_itself(version: bool) -> None:
    assert read_issuer(certificate(SUBJECT, SUBJECT, version=version)) == Issuer(
        "sourcegraph.example.com", "", itself=True
    )


@pytest.mark.parametrize(
    ("tag", "text", "shown"),
    [
        (0x1E, "Ж".encode("utf-16-be"), '"Ж"'),
        (0x14, b"\xe9", '"é"'),
        (0x13, b"\xe9", '"\ufffd"'),
        (12, b"x" * 200, f'"{"x" * 100}"'),
    ],
)
def test_every_encoding_of_a_name(tag: int, text: bytes, shown: str) -> None:
    found = read_issuer(certificate(name((CN, tag, text)), SUBJECT))
    assert found is not None
    assert found.shown == shown


@pytest.mark.parametrize(
    ("issuer", "kind", "inspector"),
    [
        (Issuer("R11", "Let's Encrypt", itself=False), "public", ""),
        (Issuer("DigiCert Global G2 TLS RSA SHA256 2020 CA1", "DigiCert Inc", itself=False), "public", ""),
        (Issuer("WR2", "Google Trust Services", itself=False), "public", ""),
        (Issuer("Example Corp Issuing CA 2", "Example Corp", itself=False), "private", ""),
        (Issuer("Zscaler Intermediate Root CA", "Zscaler Inc.", itself=False), "inspection", "Zscaler"),
        (Issuer("ca.example.goskope.com", "Netskope Inc", itself=False), "inspection", "Netskope"),
        (Issuer("", "", itself=False), "private", ""),
    ],
)
def test_whose_authority_it_is(issuer: Issuer, kind: str, inspector: str) -> None:
    assert (issuer.kind, issuer.inspector) == (kind, inspector)


def test_a_name_is_said_once() -> None:
    assert Issuer("Example Root", "Example", itself=False).shown == '"Example Root"'
    assert Issuer("", "Example", itself=False).shown == '"Example"'
    assert Issuer("", "", itself=False).shown == '"an authority without a name"'


@pytest.mark.skipif(OPENSSL is None, reason="the certificate is made by the openssl command")
def test_a_certificate_of_openssl(tmp_path: Path) -> None:
    both = Authority(tmp_path).sign("localhost").read_text()
    found = read_issuer(ssl.PEM_cert_to_DER_cert(both[both.index("-----BEGIN CERTIFICATE") :]))
    assert found == Issuer("Test CA", "", itself=False)


@given(st.binary(max_size=80))
def test_nothing_breaks_the_reader(data: bytes) -> None:
    assert isinstance(read_issuer(data), Issuer | None)


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=1))
def test_a_damaged_certificate_breaks_nothing(position: int, other: bytes) -> None:
    whole = certificate(name((CN, 12, b"CA")), SUBJECT)
    position %= len(whole)
    assert isinstance(read_issuer(whole[:position] + other + whole[position + 1 :]), Issuer | None)
    assert isinstance(read_issuer(whole[:position]), Issuer | None)
