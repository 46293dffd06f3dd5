"""Makes a container image of the program's folder: `python release/image.py FOLDER OUTPUT`, without an engine and without root.

Strategy: an image is a few JSON files around archives, so it is written as such; the tools for it leave out the health check, date
everything with the present, or want a daemon. The root file system has the folder, what its files need of a system (glibc), the
authorities that Debian trusts, and names of users: no shell and nothing to write to. The same input gives the same bytes.

The result is an archive that both families of tools read: the layout of the Open Container Initiative, and beside it the
`manifest.json` that every `docker load` looks for. Whoever builds needs Debian or a relative: the libraries come from its packages,
whose names, versions and licences stand in the image where scanners look for them. Certificates that this machine trusts beyond
those of the package do not get into it.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

import debian
import libraries
from build import source_date

ROOT: Final = Path(__file__).parent.parent
NAME: Final = "cody-oai-router"
PLACE: Final = PurePosixPath("usr/lib", NAME)
COMMAND: Final = PurePosixPath("usr/bin", NAME)
# Nobody's number: no user of a usual system has it, and Kubernetes sees that it is not root's.
USER: Final = 65532
# Compressed bytes: what an issue promised.
LARGEST: Final = 15_000_000
AUTHORITIES: Final = "ca-certificates"
CERTIFICATES: Final = Path("/usr/share/ca-certificates")
# What glibc loads by itself at the end of a thread that is in its way: without it the program would be aborted.
LOADED_BY_NAME: Final = ("libgcc_s.so.1",)
SECOND: Final = 1_000_000_000
VERSION_NAME: Final = "org.opencontainers.image.ref.name"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIGURATION: Final = "application/vnd.oci.image.config.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Entry:
    """One name in a file system: a file with `data`, a link where `target` is set, else a folder."""

    path: str
    mode: int = 0o755
    data: bytes | None = None
    target: str = ""


def main() -> int:
    """Write the image into the folder OUTPUT; the exit code says whether it is as small as it has to be."""
    parser = argparse.ArgumentParser(description="Make a container image of the program's folder.")
    parser.add_argument("folder", type=Path, help="the program as a folder")
    parser.add_argument("output", type=Path, help="where the image goes")
    options = parser.parse_args()
    folder: Path = options.folder
    version = version_of(folder / NAME)
    machine = platform.machine()
    date = int(source_date())
    architecture = debian.ARCHITECTURES[machine]
    system, packages = system_entries(folder, machine)
    layers = [packed(system, date), packed(program_entries(folder), date)]
    blobs = image(layers, configuration(version, architecture, packages, date), version)
    options.output.mkdir(parents=True, exist_ok=True)
    target: Path = options.output / f"{NAME}-{version}-linux-{machine}.oci.tar"
    target.write_bytes(packed([Entry(path, 0o644, data) for path, data in blobs.items()], date))
    size = target.stat().st_size
    print(
        f"{target.name}: {size / 1e6:.1f} MB, {sum(map(len, layers)) / 1e6:.1f} MB unpacked; with {', '.join(packages)}"
    )
    if size > LARGEST:
        print(f"WRONG: {target.name} has {size} bytes, and {LARGEST} is the most", file=sys.stderr)
    return int(size > LARGEST)


def version_of(program: Path) -> str:
    """The version that a program says it is."""
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return said.split()[-1]


def program_entries(folder: Path) -> list[Entry]:
    """The program itself, its licence, and its name on the path."""
    entries = [
        *(entry_of(path, PLACE / path.relative_to(folder)) for path in folder.rglob("*")),
        Entry(str(PLACE)),
        Entry(str(COMMAND), target=os.path.relpath(PLACE / NAME, COMMAND.parent)),
        Entry(f"usr/share/doc/{NAME}/copyright", 0o644, (ROOT / "LICENSE").read_bytes()),
    ]
    return with_parents(entries)


def entry_of(path: Path, place: PurePosixPath) -> Entry:
    """A file, link or folder of this machine under another name, with the rights that everybody needs and no others."""
    if path.is_symlink():
        return Entry(str(place), target=str(path.readlink()))
    if path.is_dir():
        return Entry(str(place))
    return Entry(str(place), 0o755 if os.access(path, os.X_OK) else 0o644, path.read_bytes())


def system_entries(folder: Path, machine: str) -> tuple[list[Entry], list[str]]:
    """What the program needs around it, and the packages that it is from (`name version`)."""
    known = libraries.known_here(machine)
    found = libraries.with_theirs({*libraries.beyond(folder), *LOADED_BY_NAME}, known)
    loader = Path(libraries.loader(folder / NAME))
    found = {name: path for name, path in found.items() if path.resolve() != loader.resolve()} | {loader.name: loader}
    packages = sorted({AUTHORITIES, *map(debian.owner, found.values())})
    entries = [
        *(Entry(str(path).lstrip("/"), 0o755, path.read_bytes()) for path in found.values()),
        *started_first(folder, known),
        *(Entry(f"var/lib/dpkg/status.d/{package}", 0o644, debian.status(package).encode()) for package in packages),
        *(Entry(f"usr/share/doc/{package}/copyright", 0o644, debian.licence(package)) for package in packages),
        Entry("etc/os-release", 0o644, Path("/etc/os-release").read_bytes()),
        Entry("etc/ssl/certs/ca-certificates.crt", 0o644, authorities(debian.files(AUTHORITIES))),
        Entry("etc/passwd", 0o644, f"root:x:0:0:root:/:/nologin\nrouter:x:{USER}:{USER}:router:/:/nologin\n".encode()),
        Entry("etc/group", 0o644, f"root:x:0:\nrouter:x:{USER}:\n".encode()),
        Entry("etc/nsswitch.conf", 0o644, b"passwd: files\ngroup: files\nhosts: files dns\n"),
        Entry("tmp", 0o1777),
        # Where engines put secrets.
        Entry("run"),
    ]
    return with_parents(entries), [f"{package} {debian.version(package)}" for package in packages]


def started_first(folder: Path, known: dict[str, Path]) -> list[Entry]:
    """Links for libraries that the program needs before it can tell the loader that its folder has them."""
    inside = {path.name: path for path in folder.rglob("*") if path.is_file()}
    first = sorted(libraries.needed(folder / NAME) & inside.keys())
    links = {str(known[name]).lstrip("/"): PLACE / inside[name].relative_to(folder) for name in first}
    return [
        Entry(place, target=os.path.relpath(target, PurePosixPath(place).parent)) for place, target in links.items()
    ]


def authorities(files: Iterable[Path]) -> bytes:
    """The certificates among a package's files as one file: not this machine's own bundle, which may hold its owner's."""
    # Its documentation has an example, which is no certificate.
    found = [
        path.read_bytes().strip() for path in sorted(files) if path.is_relative_to(CERTIFICATES) and path.is_file()
    ]
    return b"".join(certificate + b"\n" for certificate in found)


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in order, after all the folders that they are in."""
    known = {entry.path: entry for entry in entries}
    for path in list(known):
        for parent in PurePosixPath(path).parents[:-1]:
            known.setdefault(str(parent), Entry(str(parent)))
    return [known[path] for path in sorted(known)]


def packed(entries: Sequence[Entry], date: int) -> bytes:
    """An archive of these entries, all root's and of one date."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.mtime, info.mode = date, entry.mode
            if entry.target:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
            elif entry.data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(entry.data)
            archive.addfile(info, io.BytesIO(entry.data or b""))
    return data.getvalue()


def configuration(version: str, architecture: str, packages: Sequence[str], date: int) -> dict[str, Any]:
    """How the image is run, and what it says of itself."""
    command = f"/{COMMAND}"
    return {
        "created": datetime.fromtimestamp(date, UTC).isoformat().replace("+00:00", "Z"),
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": [
                "PATH=/usr/bin",
                "LANG=C.UTF-8",
                # Its own loopback address is of no use to a container, and any other one wants a key.
                "ROUTER_HOST=0.0.0.0",
                # Settings may be mounted as /etc/cody-oai-router/.env.
                "XDG_CONFIG_HOME=/etc",
                "container=oci",
            ],
            "Entrypoint": [command],
            "Cmd": ["serve"],
            "WorkingDir": "/",
            "ExposedPorts": {"3000/tcp": {}},
            "StopSignal": "SIGTERM",
            "Healthcheck": {
                "Test": ["CMD", command, "healthcheck"],
                "Interval": 30 * SECOND,
                "Timeout": 5 * SECOND,
                "StartPeriod": 10 * SECOND,
                "Retries": 3,
            },
            "Labels": {
                "org.opencontainers.image.title": "Cody OAI Router",
                "org.opencontainers.image.description": "OpenAI's API, answered by your company's Sourcegraph.",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "MIT",
                "cody-oai-router.packages": ", ".join(packages),
            },
        },
    }


def image(layers: Sequence[bytes], config: dict[str, Any], version: str) -> dict[str, bytes]:
    """Every file of an image's layout, by its path, in order: of layers that are archives, and a configuration without them."""
    blobs: dict[str, bytes] = {}

    def described(media_type: str, data: bytes) -> dict[str, Any]:
        digest = digest_of(data)
        blobs[f"blobs/{digest.replace(':', '/')}"] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    history = [
        {"created": config["created"], "created_by": f"release/image.py: {what}"} for what in ("system", "program")
    ]
    roots = {"type": "layers", "diff_ids": [digest_of(archive) for archive in layers]}
    written = as_json({**config, "rootfs": roots, "history": history})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(CONFIGURATION, written),
        "layers": [described(LAYER, gzip.compress(archive, 9, mtime=0)) for archive in layers],
        "annotations": config["config"]["Labels"],
    }
    found = described(MANIFEST, as_json(manifest)) | {
        "annotations": {VERSION_NAME: version},
        "platform": {"architecture": config["architecture"], "os": config["os"]},
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [found]}
    paths = [f"blobs/{part['digest'].replace(':', '/')}" for part in (manifest["config"], *manifest["layers"])]
    loaded = [{"Config": paths[0], "RepoTags": [f"{NAME}:{version}"], "Layers": paths[1:]}]
    return {
        "oci-layout": as_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": as_json(index),
        "manifest.json": as_json(loaded),
        **dict(sorted(blobs.items())),
    }


def digest_of(data: bytes) -> str:
    """The name of some bytes in an image."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def as_json(value: Any) -> bytes:
    """A value as JSON, always in the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    sys.exit(main())
