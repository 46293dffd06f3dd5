"""Certificates beyond those of `http1.certificates`: with dates, of intermediate authorities, with encrypted keys."""

import subprocess
from pathlib import Path
from typing import Final

from http1.certificates import OPENSSL, Authority

_CONFIGURATION: Final = """\
[ca]
default_ca = it
[it]
new_certs_dir = {folder}
database = {folder}/index
serial = {folder}/serial
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
"""


class Issuer(Authority):
    """An authority that chooses the dates, and can make others authorities too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        (folder / "index").touch()
        (folder / "serial").write_text("2000\n")
        (folder / "configuration").write_text(_CONFIGURATION.format(folder=folder))

    @property
    def itself(self) -> Path:
        """Its certificate and key in one file, as a server has them that signs for itself."""
        return _together(self.folder / "itself.pem", self.folder / "ca.key", self.certificate)

    @property
    def hashed(self) -> str:
        """The name that OpenSSL looks for this authority by in a folder."""
        return _openssl("x509", "-in", str(self.certificate), "-noout", "-subject_hash").strip()

    def issue(self, name: str, *, start: str, end: str) -> Path:
        """Gives a file with the key and the certificate for a host name, valid between two moments (`YYYYMMDDHHMMSSZ`)."""
        extensions = f"subjectAltName=DNS:{name}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"
        return self._issue(f"{name}-{start}", f"/CN={name}", extensions, start, end)

    def intermediate(self, folder: Path) -> "Issuer":
        """Gives another authority, whose certificate this one has signed."""
        made = Issuer(folder)
        _openssl(
            *("req", "-new", "-key", str(folder / "ca.key"), "-subj", "/CN=Test intermediate"),
            *("-out", str(folder / "request")),
        )
        (folder / "extensions").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n")
        self._sign(folder / "request", folder / "extensions", "20200101000000Z", "20600101000000Z", made.certificate)
        return made

    def _issue(self, called: str, subject: str, extensions: str, start: str, end: str) -> Path:
        folder = self.folder / called
        folder.mkdir()
        (folder / "extensions").write_text(extensions)
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject),
            *("-keyout", str(folder / "key"), "-out", str(folder / "request")),
        )
        self._sign(folder / "request", folder / "extensions", start, end, folder / "certificate")
        return _together(folder / "both.pem", folder / "key", folder / "certificate")

    def _sign(self, request: Path, extensions: Path, start: str, end: str, to: Path) -> None:
        _openssl(
            *("ca", "-batch", "-notext", "-config", str(self.folder / "configuration"), "-in", str(request)),
            *("-cert", str(self.certificate), "-keyfile", str(self.folder / "ca.key"), "-extfile", str(extensions)),
            *("-startdate", start, "-enddate", end, "-out", str(to)),
        )


def encrypted(both: Path, password: str) -> Path:
    """Gives a file with the key of `both`, encrypted, beside it."""
    to = both.with_name("encrypted.key")
    _openssl("pkey", "-in", str(both), "-aes256", "-passout", f"pass:{password}", "-out", str(to))
    return to


def _together(to: Path, *parts: Path) -> Path:
    to.write_text("".join(part.read_text() for part in parts))
    return to


def _openssl(*arguments: str) -> str:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *arguments], check=True, capture_output=True, timeout=60, text=True).stdout
