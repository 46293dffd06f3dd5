"""The bill of materials: nothing of an artefact is left out, nothing is in it that was not seen, and it is the same every time."""

import hashlib
import importlib.metadata
import json
import platform
import ssl
import sys
import tomllib
import zlib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import sbom
from sbom import Interpreter, Pinned

PROJECT = Path(__file__).parents[2]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
LINUX = {"sys_platform": "linux", "implementation_name": "cpython", "python_version": "3.14"}
WINDOWS = LINUX | {"sys_platform": "win32"}
PIECES = ("certifi", "httptools", "msgspec", "pyinstaller", "python-dotenv", "truststore", "uvloop")
PINNED = {name: Pinned("1.0", ("ab" * 32,)) for name in PIECES}
BUILT_BY_DEBIAN = {"libffi": "3.3-6", "openssl": "3.5.7-1~deb13u2", "zlib": "1:1.2.11.dfsg-2+deb11u2"}
BASE = Interpreter({"cpython": "3.14.7", "openssl": "3.5.7", "zlib": "1.2.11"}, BUILT_BY_DEBIAN, LINUX)
ELSEWHERE = Interpreter({"cpython": "3.14.6", "openssl": "3.0.18", "zlib": "1.3.1"}, {}, WINDOWS)


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def listed(components: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {one["name"]: [file["name"] for file in one.get("components", [])] for one in components}


def test_a_requirements_file_is_read() -> None:
    one, two = "1" * 64, "2" * 64
    text = (
        f"httptools==0.9.0 \\\n    --hash=sha256:{two} \\\n    --hash=sha256:{one}\n"
        f"truststore==0.10.5 ; sys_platform == 'win32' \\\n    --hash=sha256:{one}\n# a comment\n"
    )
    assert sbom.read_pinned(text) == {
        "httptools": Pinned("0.9.0", (one, two)),
        "truststore": Pinned("0.10.5", (one,)),
    }


def test_what_is_needed_depends_on_the_system() -> None:
    assert sbom.needed(DECLARED, LINUX) == ["httptools", "msgspec", "python-dotenv", "uvloop"]
    assert sbom.needed(DECLARED, WINDOWS) == ["httptools", "msgspec", "python-dotenv", "truststore"]
    assert sbom.needed(DECLARED, None) == ["httptools", "msgspec", "python-dotenv", "truststore", "uvloop"]


def test_dependencies_have_none_of_their_own() -> None:
    for name in sbom.needed(DECLARED, None):
        requirements = [Requirement(line) for line in importlib.metadata.requires(name) or []]
        assert [one for one in requirements if not (one.marker and "extra" in str(one.marker))] == []


def test_the_licences_are_those_that_the_packages_name() -> None:
    for name in sbom.needed(DECLARED, None):
        told = importlib.metadata.metadata(name)
        if told["License-Expression"]:
            assert sbom.LICENCES[name] == told["License-Expression"]
        else:
            assert {told["License"], sbom.LICENCES[name]} in ({"BSD-3-Clause"}, {"MIT License", "MIT OR Apache-2.0"})


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("cody-oai-router", "pyinstaller"),
        ("cody-oai-router.exe", "pyinstaller"),
        ("_internal/cacert.pem", "certifi"),
        ("_internal/httptools/parser/parser.cpython-314-x86_64-linux-gnu.so", "httptools"),
        ("_internal/msgspec/_core.cp314-win_amd64.pyd", "msgspec"),
        ("_internal/libpython3.14.so.1.0", "cpython"),
        ("_internal/python3.14/lib-dynload/_ssl.cpython-314-x86_64-linux-gnu.so", "cpython"),
        ("_internal/base_library.zip", "cpython"),
        ("_internal/python314.dll", "cpython"),
        ("_internal/python3.dll", "cpython"),
        ("_internal/_ssl.pyd", "cpython"),
        ("_internal/unicodedata.pyd", "cpython"),
        ("_internal/Python", "cpython"),
        ("_internal/libssl.so.3", "openssl"),
        ("_internal/libcrypto-3-x64.dll", "openssl"),
        ("_internal/libssl.3.dylib", "openssl"),
        ("_internal/libz.so.1", "zlib"),
        ("_internal/zlib1.dll", "zlib"),
        ("_internal/libffi.so.7", "libffi"),
        ("_internal/libffi-8.dll", "libffi"),
        ("_internal/VCRUNTIME140_1.dll", "visual-c-runtime"),
        ("_internal/api-ms-win-crt-heap-l1-1-0.dll", "visual-c-runtime"),
        ("_internal/libuuid.so.1", None),
        (".env.example", "cody-oai-router"),
    ],
)
def test_a_file_belongs_to_what_it_came_from(path: str, component: str | None) -> None:
    assert sbom.owner(path) == component


def test_every_file_of_a_folder_is_listed_once_under_what_it_came_from(tmp_path: Path) -> None:
    names = ("cody-oai-router", "_internal/libssl.so.3", "_internal/libpython3.14.so.1.0", "_internal/uvloop/loop.so")
    fill(tmp_path, *names, "_internal/strange.so.2", ".env.example")
    components = list(sbom.of_folder(tmp_path, BASE, PINNED, DECLARED))
    assert listed(components) == {
        "certifi": [],
        "cpython": ["_internal/libpython3.14.so.1.0"],
        "files of cody-oai-router": [".env.example"],
        "httptools": [],
        "msgspec": [],
        "openssl": ["_internal/libssl.so.3"],
        "pyinstaller": ["cody-oai-router"],
        "python-dotenv": [],
        "strange.so.2": ["_internal/strange.so.2"],
        "uvloop": ["_internal/uvloop/loop.so"],
    }
    (file,) = next(one for one in components if one["name"] == "openssl")["components"]
    assert file["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"_internal/libssl.so.3").hexdigest()}]


def test_a_package_that_is_not_pinned_is_an_error(tmp_path: Path) -> None:
    fill(tmp_path, "cody-oai-router")
    unpinned = {name: pinned for name, pinned in PINNED.items() if name != "pyinstaller"}
    with pytest.raises(KeyError, match="pyinstaller"):
        list(sbom.of_folder(tmp_path, BASE, unpinned, DECLARED))


def test_what_debian_patched_goes_by_its_version() -> None:
    assert sbom.native_component("zlib", BASE) == {
        "type": "library",
        "bom-ref": "pkg:deb/debian/zlib@1%3A1.2.11.dfsg-2%2Bdeb11u2?arch=source",
        "name": "zlib",
        "version": "1:1.2.11.dfsg-2+deb11u2",
        "licenses": [{"expression": "Zlib"}],
        "purl": "pkg:deb/debian/zlib@1%3A1.2.11.dfsg-2%2Bdeb11u2?arch=source",
    }


def test_what_came_from_elsewhere_can_be_looked_up_for_vulnerabilities() -> None:
    assert sbom.native_component("openssl", ELSEWHERE) == {
        "type": "library",
        "bom-ref": "pkg:generic/openssl@3.0.18",
        "name": "openssl",
        "version": "3.0.18",
        "licenses": [{"expression": "Apache-2.0"}],
        "purl": "pkg:generic/openssl@3.0.18",
        "cpe": "cpe:2.3:a:openssl:openssl:3.0.18:*:*:*:*:*:*:*",
    }
    unknown = sbom.native_component("libffi", ELSEWHERE)
    assert "version" not in unknown
    assert unknown["purl"] == "pkg:generic/libffi"


def test_an_interpreter_tells_what_it_is_made_of() -> None:
    told = sbom.ask(Path(sys.executable))
    assert told.versions["cpython"] == platform.python_version()
    assert told.versions["openssl"] == ssl.OPENSSL_VERSION.split()[1]
    assert told.versions["zlib"] == zlib.ZLIB_RUNTIME_VERSION
    assert told.markers["sys_platform"] == sys.platform


def test_the_document_holds_together() -> None:
    document = json.loads(sbom.write(DECLARED, list(sbom.of_package(PINNED, DECLARED)), 1_700_000_000))
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    main = document["metadata"]["component"]
    assert (main["type"], main["purl"]) == ("application", f"pkg:pypi/cody-oai-router@{DECLARED['version']}")
    references = [component["bom-ref"] for component in document["components"]]
    assert len(references) == len(set(references)) == 5
    assert document["dependencies"][0] == {"ref": main["bom-ref"], "dependsOn": references}
    assert [one["ref"] for one in document["dependencies"][1:]] == references
    assert document["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]


def test_the_serial_number_is_made_from_the_content() -> None:
    components = list(sbom.of_package(PINNED, DECLARED))
    first = sbom.write(DECLARED, components, 1_700_000_000)
    assert first == sbom.write(DECLARED, components, 1_700_000_000)
    numbers = {json.loads(first)["serialNumber"]}
    numbers.add(json.loads(sbom.write(DECLARED, components[1:], 1_700_000_000))["serialNumber"])
    numbers.add(json.loads(sbom.write(DECLARED, components, 1_700_000_001))["serialNumber"])
    assert len(numbers) == 3
    assert all(number.startswith("urn:uuid:") for number in numbers)


def test_the_package_is_described_with_what_is_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert sbom.main([str(tmp_path / "package.cdx.json")]) == 0
    components = json.loads((tmp_path / "package.cdx.json").read_text("utf-8"))["components"]
    pinned = sbom.read_pinned((PROJECT / "requirements" / "run.txt").read_text("utf-8"))
    assert {one["name"]: one["version"] for one in components} == {
        name: pinned[name].version for name in sbom.needed(DECLARED, None)
    }
    assert all(one["hashes"] for one in components)


def test_an_executable_is_described_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    fill(tmp_path / "built", "cody-oai-router", "_internal/libcrypto.so.3")
    output, requirements = tmp_path / "folder.cdx.json", PROJECT / "requirements" / "binary.txt"
    arguments = ["--folder", tmp_path / "built", "--python", sys.executable, "--requirements", requirements, output]
    assert sbom.main([str(argument) for argument in arguments]) == 0
    components = {one["name"]: one for one in json.loads(output.read_text("utf-8"))["components"]}
    assert components["openssl"]["version"] == ssl.OPENSSL_VERSION.split()[1]
    assert components["pyinstaller"]["purl"].startswith("pkg:pypi/pyinstaller@")


@pytest.mark.parametrize(
    ("arguments", "epoch", "said"),
    [
        (["out.json"], "", "SOURCE_DATE_EPOCH is not set"),
        (["--folder", ".", "out.json"], "1", "--folder and --python belong together"),
        (["--folder", "nowhere", "--python", "python", "out.json"], "1", "nowhere is not a folder"),
    ],
)
def test_what_is_wrong_is_told(
    arguments: list[str], epoch: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(SystemExit) as stopped:
        sbom.main(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
