"""Reads who issued a certificate, and tells a company's own authority, or a program that looks into TLS, from a public one.

Strategy: the names are read from the certificate itself (DER), since Python gives them only for one that OpenSSL has verified, and one
that was refused is the one to explain. Nothing is trusted because of what is read here.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

# In the names of public authorities, as their certificates have them in lower case.
_PUBLIC: Final = (
    *("let's encrypt", "digicert", "google trust services", "sectigo", "globalsign", "amazon", "entrust", "godaddy"),
    *(
        "starfield",
        "microsoft",
        "zerossl",
        "ssl.com",
        "ssl corp",
        "identrust",
        "buypass",
        "actalis",
        "certum",
        "asseco",
    ),
    *(
        "harica",
        "hellenic academic",
        "swisssign",
        "quovadis",
        "telekom security",
        "d-trust",
        "gandi",
        "geant",
        "internet2",
    ),
    *("trustasia", "comodo", "geotrust", "thawte", "rapidssl", "cloudflare", "apple", "certsign", "telia", "e-tugra"),
    *("firmaprofesional", "izenpe", "netlock", "trustwave", "secom", "cybertrust", "wisekey", "network solutions"),
)
# In the names of authorities that programs make which look into TLS; with the name to say.
_INSPECTORS: Final = {
    "zscaler": "Zscaler",
    "netskope": "Netskope",
    "blue coat": "Blue Coat",
    "bluecoat": "Blue Coat",
    "symantec web": "Symantec",
    "palo alto": "Palo Alto Networks",
    "fortinet": "Fortinet",
    "fortigate": "Fortinet",
    "cisco umbrella": "Cisco Umbrella",
    "forcepoint": "Forcepoint",
    "websense": "Forcepoint",
    "skyhigh": "Skyhigh",
    "mcafee": "McAfee",
    "check point": "Check Point",
    "sophos": "Sophos",
    "watchguard": "WatchGuard",
    "barracuda": "Barracuda",
    "cato networks": "Cato Networks",
    "kaspersky": "Kaspersky",
    "avast": "Avast",
    "bitdefender": "Bitdefender",
    "eset ": "ESET",
    "mitmproxy": "mitmproxy",
    "charles proxy": "Charles",
    "fiddler": "Fiddler",
}
_LONGEST: Final = 100
_VERSION: Final = 0xA0  # the tag of the version, the only field before the issuer that may be missing
_ATTRIBUTES: Final = {b"\x55\x04\x03": "common name", b"\x55\x04\x0a": "organisation"}  # 2.5.4.3 and 2.5.4.10 (X.520)
_ENCODINGS: Final = {0x0C: "utf-8", 0x1E: "utf-16-be", 0x14: "latin-1"}  # UTF8String, BMPString, T61String; else ASCII


class Issuer(msgspec.Struct, frozen=True):
    """Who signed a certificate; either name may be empty. `itself` tells that the certificate names no other."""

    common_name: str
    organisation: str
    itself: bool

    @property
    def shown(self) -> str:
        """Both names, as a sentence can hold them."""
        if self.common_name and self.organisation and self.organisation not in self.common_name:
            return f'"{self.common_name}" ({self.organisation})'
        return f'"{self.common_name or self.organisation or "an authority without a name"}"'

    @property
    def kind(self) -> Literal["public", "inspection", "private"]:
        """Whose authority that is, as far as its names tell."""
        if self.inspector:
            return "inspection"
        names = f"{self.common_name} {self.organisation}".lower()
        return "public" if any(word in names for word in _PUBLIC) else "private"

    @property
    def inspector(self) -> str:
        """The program that looks into TLS, by its name; empty where it is none that is known."""
        names = f"{self.common_name} {self.organisation} ".lower()
        return next((shown for word, shown in _INSPECTORS.items() if word in names), "")


def read_issuer(certificate: bytes) -> Issuer | None:
    """Reads the issuer of a certificate in DER (RFC 5280 §4.1); nothing where it cannot be read."""
    try:
        ((_, whole),) = _values(certificate)
        _, to_be_signed = next(_values(whole))
        fields = [content for tag, content in _values(to_be_signed) if tag != _VERSION]
        _, _, issuer, _, subject, *_ = fields
        names = dict(_names(issuer))
    except (ValueError, IndexError, StopIteration):
        return None
    return Issuer(names.get("common name", ""), names.get("organisation", ""), issuer == subject)


def _names(name: bytes) -> Iterator[tuple[str, str]]:
    for _, part in _values(name):
        for _, attribute in _values(part):
            (_, kind), (tag, value) = _values(attribute)
            if kind in _ATTRIBUTES:
                text = value.decode(_ENCODINGS.get(tag, "ascii"), "replace")
                yield _ATTRIBUTES[kind], text[:_LONGEST]


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Gives the tag and the content of each value; raises ValueError or IndexError where the data is no DER."""
    position = 0
    while position < len(data):
        tag, length, start = data[position], data[position + 1], position + 2
        if length & 0x80:
            size = length & 0x7F
            length, start = int.from_bytes(data[start : start + size]), start + size
        position = start + length
        if position > len(data):
            raise ValueError("a value ends behind the data")
        yield tag, data[start:position]
