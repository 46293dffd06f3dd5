"""The container image as data: what its files are, in which order, with which rights, and always the same."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import image
from image import Entry, authorities, configuration, entry_of, packed, with_parents


def test_an_archive_is_roots_and_of_one_date() -> None:
    entries = [Entry("tmp", 0o1777), Entry("a/file", 0o644, b"text"), Entry("a/link", target="file")]
    with tarfile.open(fileobj=io.BytesIO(packed(entries, 1000))) as archive:
        found = [(one.name, one.mode, one.type, one.linkname, one.size) for one in archive]
        assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in archive} == {(0, 0, "", "", 1000)}
    assert found == [
        ("tmp", 0o1777, tarfile.DIRTYPE, "", 0),
        ("a/file", 0o644, tarfile.REGTYPE, "", 4),
        ("a/link", 0o777, tarfile.SYMTYPE, "file", 0),
    ]


def test_folders_come_before_what_is_in_them() -> None:
    entries = with_parents([Entry("usr/lib/x/y", 0o644, b""), Entry("tmp", 0o1777), Entry("usr/bin", 0o700)])
    assert [(entry.path, entry.mode) for entry in entries] == [
        ("tmp", 0o1777),
        ("usr", 0o755),
        ("usr/bin", 0o700),
        ("usr/lib", 0o755),
        ("usr/lib/x", 0o755),
        ("usr/lib/x/y", 0o644),
    ]


def test_a_file_of_the_builder_keeps_no_rights_of_the_builder(tmp_path: Path) -> None:
    program, data, link = tmp_path / "program", tmp_path / "data", tmp_path / "link"
    program.write_bytes(b"1")
    program.chmod(0o700)
    data.write_bytes(b"2")
    data.chmod(0o600)
    link.symlink_to("program")
    place = PurePosixPath("x")
    assert entry_of(program, place) == Entry("x", 0o755, b"1")
    assert entry_of(data, place) == Entry("x", 0o644, b"2")
    assert entry_of(link, place) == Entry("x", target="program")
    assert entry_of(tmp_path, place) == Entry("x")


def test_only_the_packages_authorities_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "CERTIFICATES", tmp_path / "certificates")
    names = ("certificates/b.crt", "certificates/a.crt", "doc/example.crt")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"\n{name}\n\n")
    files = [tmp_path / "certificates", *(tmp_path / name for name in names)]
    assert authorities(files) == b"certificates/a.crt\ncertificates/b.crt\n"


def made() -> dict[str, bytes]:
    layers = [packed([Entry("a", 0o644, b"1")], 0), packed([Entry("b", 0o644, b"2")], 0)]
    return image.image(layers, configuration("1.2.3", "amd64", ["libc6 2.36"], 0), "1.2.3")


def blob(files: dict[str, bytes], described: dict[str, Any]) -> bytes:
    data = files[f"blobs/{described['digest'].replace(':', '/')}"]
    assert described["size"] == len(data)
    assert described["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    return data


def test_the_same_input_gives_the_same_bytes() -> None:
    assert made() == made()


def test_every_part_is_found_by_its_digest() -> None:
    files = made()
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads(files["index.json"])["manifests"]
    assert described["annotations"]["org.opencontainers.image.ref.name"] == "1.2.3"
    manifest = json.loads(blob(files, described))
    config = json.loads(blob(files, manifest["config"]))
    layers = [gzip.decompress(blob(files, layer)) for layer in manifest["layers"]]
    assert [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers] == config["rootfs"]["diff_ids"]
    assert len(config["history"]) == len(layers)


def test_docker_finds_the_same_parts() -> None:
    files = made()
    (loaded,) = json.loads(files["manifest.json"])
    (described,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, described))
    assert files[loaded["Config"]] == blob(files, manifest["config"])
    assert [files[path] for path in loaded["Layers"]] == [blob(files, layer) for layer in manifest["layers"]]
    assert loaded["RepoTags"] == ["cody-oai-router:1.2.3"]


def test_how_it_is_run() -> None:
    found = configuration("1.2.3", "arm64", ["libc6 2.36"], 1_000_000_000)
    assert (found["created"], found["architecture"], found["os"]) == ("2001-09-09T01:46:40Z", "arm64", "linux")
    config = found["config"]
    assert config["User"] == "65532:65532"
    assert (config["Entrypoint"], config["Cmd"]) == (["/usr/bin/cody-oai-router"], ["serve"])
    assert config["Healthcheck"] == {
        "Test": ["CMD", "/usr/bin/cody-oai-router", "healthcheck"],
        "Interval": 30_000_000_000,
        "Timeout": 5_000_000_000,
        "StartPeriod": 10_000_000_000,
        "Retries": 3,
    }
    environ = dict(value.split("=", 1) for value in config["Env"])
    assert environ["ROUTER_HOST"] == "0.0.0.0"  # noqa: S104 - what the image says
    assert not [name for name in environ if "TOKEN" in name or "KEY" in name]
