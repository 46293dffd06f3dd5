"""Writes down what an artefact is made of: a CycloneDX 1.6 bill of materials, as JSON.

    python release/sbom.py OUTPUT
    python release/sbom.py --folder FOLDER --python PYTHON --requirements requirements/binary.txt OUTPUT

The first is of the wheel and the source distribution: the package and what it needs, with the versions and hashes that it is tested
with. The second is of an executable, read off the folder that the same build made with the interpreter PYTHON.

Strategy: nothing is listed from memory that can be seen. Every file of the folder is in the result once, with its hash, under the
component that it came from; a library that no rule knows is a component of its own, so that it is noticed. Versions come from the pinned
requirements, from the interpreter, and from `share/sources.txt` beside it where `release/base.sh` built it. The same input gives the same
bytes: the time is SOURCE_DATE_EPOCH, the serial number is made from the content.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from packaging.requirements import Requirement

PROJECT: Final = Path(__file__).parents[1]
NAME: Final = "cody-oai-router"

# What a user may do with each part, as its authors say (SPDX).
LICENCES: Final = {
    "cpython": "Python-2.0",
    "httptools": "MIT",
    "libffi": "MIT",
    "certifi": "MPL-2.0",
    "msgspec": "BSD-3-Clause",
    "openssl": "Apache-2.0",
    "pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception",
    "python-dotenv": "BSD-3-Clause",
    "truststore": "MIT",
    "uvloop": "MIT OR Apache-2.0",
    "zlib": "Zlib",
}
# Where vulnerabilities of what is not on PyPI are looked up.
_CPE: Final = {"cpython": "python:python", "openssl": "openssl:openssl", "zlib": "zlib:zlib"}
# Which component a file of the folder came from: the first rule that fits its path, in lower case.
_OWNERS: Final = (
    (re.compile(r"(^|/)(httptools|msgspec|uvloop|truststore)/"), r"\2"),
    (re.compile(r"(^|/)dotenv/"), "python-dotenv"),
    (re.compile(r"(^|/)cacert\.pem$"), "certifi"),
    (re.compile(r"(^|/)lib(ssl|crypto)[-.]"), "openssl"),
    (re.compile(r"(^|/)(libz\.|zlib1?\.dll)"), "zlib"),
    (re.compile(r"(^|/)libffi[-.]"), "libffi"),
    (re.compile(r"(^|/)(vcruntime|msvcp|ucrtbase|api-ms-win-)[^/]*\.dll$"), "visual-c-runtime"),
    (re.compile(r"(^|/)(libpython|python3?\d*\.dll$|python$|python\.framework/|base_library\.zip$)"), "cpython"),
    (re.compile(r"(^|/)lib-dynload/|(^|/)python3\.\d+/|(^|/)_?[a-z0-9]+\.pyd$"), "cpython"),
    (re.compile(rf"^{NAME}(\.exe)?$"), "pyinstaller"),
)
# Packages of PyPI that an executable carries a piece of, though no program here imports them: its authorities, and what starts it.
_BUILT_IN: Final = ("certifi", "pyinstaller")
_LIBRARY: Final = re.compile(r"\.(so(\.[\d.]+)?|dll|dylib|pyd)$")
_PINNED: Final = re.compile(r"^([a-z0-9][a-z0-9-]*)==([^\s;]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# What is asked of the interpreter that the executable carries.
_QUESTION: Final = """
import json, platform, ssl, sys, zlib
print(json.dumps({
    "cpython": platform.python_version(),
    "openssl": ssl.OPENSSL_VERSION.split()[1],
    "zlib": getattr(zlib, "ZLIB_RUNTIME_VERSION", ""),
    "prefix": sys.base_prefix,
    "markers": {
        "implementation_name": sys.implementation.name,
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    },
}))
"""


class Pinned(NamedTuple):
    """A release that a requirements file pins, and the hashes of the files that it may be installed from."""

    version: str
    hashes: tuple[str, ...]


class Interpreter(NamedTuple):
    """The Python that an executable carries: versions of what came with it, and what decides its dependencies.

    `sources` are the versions of what Debian built or patched of it, empty where Debian had no part.
    """

    versions: Mapping[str, str]
    sources: Mapping[str, str]
    markers: Mapping[str, str]


def read_pinned(text: str) -> dict[str, Pinned]:
    """Reads a requirements file with hashes."""
    found: dict[str, Pinned] = {}
    for entry in text.replace("\\\n", " ").splitlines():
        pinned = _PINNED.match(entry)
        if pinned:
            found[pinned[1]] = Pinned(pinned[2], tuple(sorted(_HASH.findall(entry))))
    return found


def needed(project: Mapping[str, Any], markers: Mapping[str, str] | None) -> list[str]:
    """The names of the dependencies, on every system or on the one that the markers describe."""
    requirements = [Requirement(line) for line in project["dependencies"]]
    return sorted(
        one.name for one in requirements if not one.marker or markers is None or one.marker.evaluate(dict(markers))
    )


def ask(python: Path) -> Interpreter:
    """Asks an interpreter what it is made of; raises where it cannot run."""
    done = subprocess.run([str(python), "-I", "-c", _QUESTION], capture_output=True, check=True, timeout=60)
    told = json.loads(done.stdout)
    listed = Path(told["prefix"]) / "share" / "sources.txt"
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    versions = {name: told[name] for name in ("cpython", "openssl", "zlib") if told[name]}
    return Interpreter(versions, dict(line.split(maxsplit=1) for line in lines), told["markers"])


def owner(path: str) -> str | None:
    """The component that a file of the folder came from; nothing for a library that no rule knows."""
    for rule, name in _OWNERS:
        found = rule.search(path.lower())
        if found:
            return found.expand(name)
    return None if _LIBRARY.search(path.lower()) else NAME


def python_component(name: str, pinned: Pinned) -> dict[str, Any]:
    """Describes a package of PyPI."""
    return _component(name, pinned.version, _purl("pypi", name, pinned.version)) | {"hashes": _hashes(pinned.hashes)}


def native_component(name: str, interpreter: Interpreter) -> dict[str, Any]:
    """Describes what came with the interpreter; the version is left out where nobody can tell it."""
    source = interpreter.sources.get(name)
    if source is not None:
        return _component(name, source, _purl("deb/debian", name, source) + "?arch=source")
    version = interpreter.versions.get(name, "")
    described = _component(name, version, _purl("generic", name, version))
    return described | ({"cpe": f"cpe:2.3:a:{_CPE[name]}:{version}:*:*:*:*:*:*:*"} if name in _CPE and version else {})


def of_package(pinned: Mapping[str, Pinned], project: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the wheel needs, on every system; raises KeyError where a dependency is not pinned."""
    for name in needed(project, None):
        yield python_component(name, pinned[name])


def of_folder(
    folder: Path, interpreter: Interpreter, pinned: Mapping[str, Pinned], project: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """What a folder build holds, each file under what it came from; raises KeyError where a package of PyPI is not pinned."""
    packages = {*needed(project, interpreter.markers), *_BUILT_IN}
    files: dict[str, list[dict[str, Any]]] = {name: [] for name in sorted(packages)}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        entry = {"type": "file", "name": name, "hashes": _hashes([digest])}
        files.setdefault(owner(name) or path.name, []).append(entry)
    for name, entries in sorted(files.items()):
        if name in packages:
            described = python_component(name, pinned[name])
        elif name == NAME:
            described = {"type": "data", "bom-ref": f"{NAME}-files", "name": f"files of {NAME}"}
        else:
            described = native_component(name, interpreter)
        yield described | ({"components": entries} if entries else {})


def write(project: Mapping[str, Any], components: Sequence[Mapping[str, Any]], epoch: int) -> str:
    """Writes the document; `epoch` is its time in seconds since 1970."""
    main = _component(NAME, project["version"], _purl("pypi", NAME, project["version"]))
    main |= {
        "type": "application",
        "description": project["description"],
        "licenses": [{"expression": project["license"]}],
    }
    parts = [component["bom-ref"] for component in components]
    document: dict[str, Any] = {
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "lifecycles": [{"phase": "build"}],
            "authors": project["authors"],
            "component": main,
        },
        "components": list(components),
        "dependencies": [{"ref": main["bom-ref"], "dependsOn": parts}, *({"ref": part} for part in parts)],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True))
    head = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
    }
    return json.dumps(head | document, indent=2) + "\n"


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name}
    described |= {"version": version} if version else {}
    described |= {"licenses": [{"expression": LICENCES[name]}]} if name in LICENCES else {}
    return described | {"purl": purl}


def _purl(kind: str, name: str, version: str) -> str:
    return f"pkg:{kind}/{name}@{quote(version, safe='')}" if version else f"pkg:{kind}/{name}"


def _hashes(digests: Iterable[str]) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest} for digest in digests]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bill of materials; return 0."""
    parser = argparse.ArgumentParser(description="Write what an artefact is made of (CycloneDX 1.6).")
    parser.add_argument("output", type=Path)
    parser.add_argument("--folder", type=Path, help="the folder build of an executable")
    parser.add_argument("--python", type=Path, help="the interpreter that the folder was built with")
    parser.add_argument("--requirements", type=Path, default=PROJECT / "requirements" / "run.txt")
    given = parser.parse_args(arguments)
    if (given.folder is None) != (given.python is None):
        parser.error("--folder and --python belong together")
    if given.folder is not None and not given.folder.is_dir():
        parser.error(f"{given.folder} is not a folder")
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch.isdecimal():
        parser.error("SOURCE_DATE_EPOCH is not set; make sets it to the time of the commit")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = read_pinned(given.requirements.read_text("utf-8"))
    found = of_folder(given.folder, ask(given.python), pinned, project) if given.folder else of_package(pinned, project)
    components = list(found)
    given.output.write_text(write(project, components, int(epoch)), "utf-8", newline="\n")
    print(f"{given.output}: {len(components)} components")
    return 0


if __name__ == "__main__":
    sys.exit(main())
