"""Certificates made for one test run by the `openssl` command: no key is kept in the repository."""

import shutil
import subprocess
from pathlib import Path

OPENSSL = shutil.which("openssl")


class Authority:
    """A certificate authority of our own, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-keyout", str(self._key), "-out", str(self.certificate)),
        )

    def sign(self, name: str, *, expired: bool = False) -> Path:
        """Return a file with the key and the certificate for a host name or address."""
        folder = self._folder / f"{name}-{expired}"
        folder.mkdir()
        kind = "IP" if name[0].isdigit() else "DNS"
        (folder / "extensions").write_text(
            f"subjectAltName={kind}:{name}\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
            "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nbasicConstraints=CA:FALSE\n"
        )
        _openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(folder / "key"), "-out", str(folder / "request")),
        )
        _openssl(
            *("x509", "-req", "-in", str(folder / "request"), "-CA", str(self.certificate), "-CAkey", str(self._key)),
            *("-days", "-1" if expired else "2", "-set_serial", "1000", "-extfile", str(folder / "extensions")),
            *("-out", str(folder / "certificate")),
        )
        both = folder / "both.pem"
        both.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
        return both


def _openssl(*arguments: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *arguments], check=True, capture_output=True, timeout=60)
