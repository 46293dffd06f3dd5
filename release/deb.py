"""Makes a Debian package of the program's folder: `python release/deb.py FOLDER OUTPUT`, without root.

Strategy: one binary package with everything in place, staged as a tree and handed to `dpkg-deb`. Nothing starts by being installed:
a router without a token is of no use, so the two systemd units (one for the machine, one for a user) wait for whoever has one. The
same input gives the same bytes.
"""

import argparse
import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Final

import debian
import floor
import libraries
import names
from build import source_date
from image import version_of
from manual import manual

ROOT: Final = Path(__file__).parent.parent
PARTS: Final = Path(__file__).parent / "package"
NAME: Final = "cody-oai-router"
PLACE: Final = Path("usr/lib", NAME)
DOCUMENTS: Final = Path("usr/share/doc", NAME)
# The one file that the administrator edits; only root may read it, as it holds the token.
SETTINGS: Final = Path("etc", NAME, "env")
SCRIPTS: Final = ("postinst", "prerm", "postrm")
# Debian's own variable for whoever makes packages; there is no public address of ours.
MAINTAINER: Final = os.environ.get("DEBEMAIL", "Cody OAI Router authors <cody-oai-router@localhost>")
# Packages that have the libraries which the program needs of the system, by how the libraries' names begin.
PACKAGES: Final = {"libz.so": "zlib1g"}
_OF_GLIBC: Final = re.compile(r"(ld-linux.*|libc|libdl|libm|libpthread|librt|libutil|libresolv)\.so\.\d+")

_CONTROL: Final = """\
Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Recommends: ca-certificates
Section: net
Priority: optional
Description: OpenAI's API on your own machine, answered by Sourcegraph
 A small, fast proxy for the user of a company's Sourcegraph: it presents
 OpenAI's API at http://127.0.0.1:3000 and carries each request to the
 Sourcegraph instance with the user's own access token.
 .
 The package has systemd units for the machine and for a user. It enables
 neither, since an access token is needed first.
"""

_COPYRIGHT: Final = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Cody OAI Router

Files: *
Copyright: {copyright}
License: MIT

Files: usr/lib/cody-oai-router/_internal/*
Copyright: The authors of CPython, OpenSSL, libffi, zlib, uvloop, libuv, httptools, llhttp, msgspec, python-dotenv and certifi
License: PSF-2.0 and Apache-2.0 and MIT and Zlib and BSD-3-clause and MPL-2.0
 Python, its standard library and its libraries, as PyInstaller gathered them. Each part keeps the licence of its authors.

Files: usr/lib/cody-oai-router/cody-oai-router
Copyright: The PyInstaller Development Team
License: GPL-2.0-or-later with bootloader exception
 The program that starts the rest is PyInstaller's bootloader. Its exception allows it to be combined with any program and distributed
 without conditions of its own. The texts of all licences are in /usr/lib/cody-oai-router/_internal/LICENCES.txt.

License: MIT
{licence}
"""

# The first line of `.env.example`, and what stands in its place where systemd reads the file.
_OF_A_COPY: Final = b"Copy this file to .env and fill in the first two; save it as UTF-8."
_OF_THE_SERVICE: Final = b"Fill in the first two; the service reads them when it starts. UTF-8."

_CHANGES: Final = """\
{name} ({version}) stable; urgency=medium

  * The changes of this version are in CHANGELOG.md.

 -- {maintainer}  {date}
"""

# What lintian would say, with the reason why it is so.
_OVERRIDES: Final = """\
# The token stands in it.
non-standard-file-perm 0600 != 0644 [etc/cody-oai-router/env]
# Python and its libraries are bundled, so that the same files run on every Debian and Ubuntu since 2020,
embedded-library
# where they find each other,
custom-library-search-path RUNPATH $ORIGIN*
# and where parts of Python use nothing but Python, which is there when they are loaded.
library-not-linked-against-libc [usr/lib/cody-oai-router/_internal/*]
shared-library-lacks-prerequisites [usr/lib/cody-oai-router/_internal/*]
# PyInstaller makes it so.
hardening-no-pie [usr/lib/cody-oai-router/cody-oai-router]
# What an administrator enabled is undone by what enabled it: deb-systemd-helper undoes only its own work.
maintainer-script-calls-systemctl [prerm:*]
# What ran runs again, also where it was started and never enabled, and users' own services too.
maintainer-script-calls-systemctl [postinst:*]
# There is no public address yet; who publishes the package sets DEBEMAIL.
bogus-mail-host
bogus-mail-host-in-debian-changelog
"""


def main() -> int:
    """Write the package into the folder OUTPUT."""
    parser = argparse.ArgumentParser(description="Make a Debian package of the program's folder.")
    parser.add_argument("folder", type=Path, help="the program as a folder")
    parser.add_argument("output", type=Path, help="where the package goes")
    options = parser.parse_args()
    version = version_of(options.folder / NAME)
    architecture = debian.ARCHITECTURES[platform.machine()]
    date = int(source_date())
    options.output.mkdir(parents=True, exist_ok=True)
    target: Path = options.output / names.debian(version, architecture)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        stage(options.folder, tree, debian_version(version), date)
        describe(tree, debian_version(version), architecture, depends(options.folder))
        for path in tree.rglob("*"):
            os.utime(path, (date, date), follow_symlinks=False)
        build = ("dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, target)
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": str(date)})
    print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB; needs {depends(options.folder)}")
    return 0


def debian_version(version: str) -> str:
    """A version as Debian sorts it: what comes before a release, before it."""
    return re.sub(r"(?:a|b|rc|\.dev)\d+$", lambda found: f"~{found[0].lstrip('.')}", version)


def depends(folder: Path) -> str:
    """The packages that the program needs: glibc of the version that its files ask for, and what is not in the folder."""
    oldest = max((floor.needs(path) for path in floor.programs(folder)), key=floor.version)
    # Until it has told the loader of its folder, the program itself has what the system has.
    outside = libraries.beyond(folder) | libraries.needed(folder / NAME)
    return ", ".join(
        [f"libc6 (>= {oldest})", *sorted({package_of(name) for name in outside if not _OF_GLIBC.match(name)})]
    )


def package_of(library: str) -> str:
    """The package that a library is from; raises `libraries.Unknown`."""
    for begins, package in PACKAGES.items():
        if library.startswith(begins):
            return package
    raise libraries.Unknown(f"{library} is from a package that release/deb.py does not know")


def stage(folder: Path, tree: Path, version: str, date: int) -> None:
    """Lay out everything that the package installs."""
    shutil.copytree(folder, tree / PLACE, symlinks=True)
    example = (ROOT / ".env.example").read_bytes()
    settings = example.replace(_OF_A_COPY, _OF_THE_SERVICE, 1)
    changes = _CHANGES.format(
        name=NAME, version=version, maintainer=MAINTAINER, date=formatdate(date, usegmt=True).replace("GMT", "+0000")
    )
    texts: Mapping[Path, bytes] = {
        SETTINGS: settings,
        DOCUMENTS / ".env.example": example,
        DOCUMENTS / "CHANGELOG.md": (ROOT / "CHANGELOG.md").read_bytes(),
        DOCUMENTS / "README.md": (ROOT / "docs" / "pypi.md").read_bytes(),
        DOCUMENTS / "changelog.gz": gzip.compress(changes.encode(), 9, mtime=0),
        DOCUMENTS / "copyright": copyright_file((ROOT / "LICENSE").read_text(encoding="utf-8")).encode(),
        Path("usr/share/lintian/overrides", NAME): _OVERRIDES.encode(),
        Path("usr/share/man/man1", f"{NAME}.1.gz"): gzip.compress(manual(version).encode(), 9, mtime=0),
        Path("usr/lib/systemd/system", f"{NAME}.service"): (PARTS / "system.service").read_bytes(),
        Path("usr/lib/systemd/user", f"{NAME}.service"): (PARTS / "user.service").read_bytes(),
    }
    for path, data in texts.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin" / NAME).symlink_to(f"../lib/{NAME}/{NAME}")
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or (path.name == NAME and path.parent == tree / PLACE) else 0o644)
    (tree / SETTINGS).chmod(0o600)


def copyright_file(licence: str) -> str:
    """The licences in Debian's form."""
    title, _, text = licence.strip().partition("\n\n")
    holder, _, text = text.partition("\n\n")
    if not title.startswith("MIT") or not holder.startswith("Copyright"):
        raise ValueError("LICENSE does not begin as an MIT licence does")
    indented = "\n".join(f" {line}" if line else " ." for line in text.splitlines())
    return _COPYRIGHT.format(copyright=holder.removeprefix("Copyright (c) "), licence=indented)


def describe(tree: Path, version: str, architecture: str, needed: str) -> None:
    """Write what dpkg reads: the description, the sums of the files, the settings that are the administrator's, the scripts."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    sums = [f"{md5_of(path)}  {path.relative_to(tree)}\n" for path in files if path != tree / SETTINGS]
    control = tree / "DEBIAN"
    size = installed_size(tree)
    control.mkdir(0o755)
    texts = {
        "control": _CONTROL.format(
            name=NAME, version=version, architecture=architecture, maintainer=MAINTAINER, size=size, depends=needed
        ),
        "md5sums": "".join(sums),
        "conffiles": f"/{SETTINGS}\n",
        **{script: (PARTS / script).read_text(encoding="utf-8") for script in SCRIPTS},
    }
    for name, text in texts.items():
        (control / name).write_text(text, encoding="utf-8")
        (control / name).chmod(0o755 if name in SCRIPTS else 0o644)


def installed_size(tree: Path) -> int:
    """Kibibytes, as Debian's policy counts them: each file rounded up, everything else as one."""
    return sum(
        -(-path.stat().st_size // 1024) if path.is_file() and not path.is_symlink() else 1 for path in tree.rglob("*")
    )


def md5_of(path: Path) -> str:
    """The sum by which `dpkg --verify` finds damage; no protection against anybody."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
