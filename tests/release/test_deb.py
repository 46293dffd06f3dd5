"""The Debian package as data: what its parts say."""

import configparser
import os
import subprocess
from pathlib import Path

import pytest

import deb
from cody_oai_router.cli.arguments import COMMANDS
from cody_oai_router.variables import VARIABLES
from deb import PARTS, ROOT, copyright_file, debian_version, describe, installed_size, package_of, stage
from libraries import Unknown
from manual import manual

pytestmark = pytest.mark.skipif(os.name != "posix", reason="made where links and rights are as POSIX has them")


class Unit(configparser.RawConfigParser):
    """A unit file; where a setting is given more than once, the last one counts here."""

    def __init__(self, kind: str) -> None:
        super().__init__(strict=False, interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign] # names keep their letters
        self.read(PARTS / f"{kind}.service", encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "debian"),
    [("0.1.0", "0.1.0"), ("1.0.0rc1", "1.0.0~rc1"), ("1.0.0b2", "1.0.0~b2"), ("1.0.0.dev3", "1.0.0~dev3")],
)
def test_what_comes_before_a_release_is_older(version: str, debian: str) -> None:
    assert debian_version(version) == debian


def test_a_library_from_an_unknown_package_is_no_guess() -> None:
    assert package_of("libz.so.1") == "zlib1g"
    with pytest.raises(Unknown, match=r"^libfoo\.so\.1 is from a package"):
        package_of("libfoo.so.1")


def staged(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / "_internal").mkdir(parents=True)
    for name in (deb.NAME, "_internal/library.so"):
        (folder / name).write_bytes(b"x" * 1500)
    (folder / deb.NAME).chmod(0o700)
    tree = tmp_path / "tree"
    stage(folder, tree, "1.2.3", 0)
    describe(tree, "1.2.3", "amd64", "libc6 (>= 2.31), zlib1g")
    return tree


def test_the_description(tmp_path: Path) -> None:
    lines = (staged(tmp_path) / "DEBIAN/control").read_text().splitlines()
    assert lines[:3] == ["Package: cody-oai-router", "Version: 1.2.3", "Architecture: amd64"]
    assert "Depends: libc6 (>= 2.31), zlib1g" in lines
    assert max(map(len, lines)) <= 80


def test_only_the_settings_are_the_administrators(tmp_path: Path) -> None:
    tree = staged(tmp_path)
    assert (tree / "DEBIAN/conffiles").read_text() == "/etc/cody-oai-router/env\n"
    assert (tree / "etc/cody-oai-router/env").stat().st_mode & 0o777 == 0o600
    sums = [line.split("  ", 1)[1] for line in (tree / "DEBIAN/md5sums").read_text().splitlines()]
    assert "etc/cody-oai-router/env" not in sums
    assert "usr/lib/cody-oai-router/cody-oai-router" in sums
    assert sums == sorted(sums)


def test_programs_run_and_nothing_else_does(tmp_path: Path) -> None:
    tree = staged(tmp_path)
    assert (tree / "usr/lib/cody-oai-router/cody-oai-router").stat().st_mode & 0o777 == 0o755
    assert (tree / "usr/lib/cody-oai-router/_internal/library.so").stat().st_mode & 0o777 == 0o644
    assert str((tree / "usr/bin/cody-oai-router").readlink()) == "../lib/cody-oai-router/cody-oai-router"
    scripts = {path.name for path in (tree / "DEBIAN").iterdir() if path.stat().st_mode & 0o111}
    assert scripts == {"postinst", "prerm", "postrm"}


def test_the_size_counts_every_file_by_the_kibibyte(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"x" * 1025)
    (tmp_path / "folder/link").symlink_to("file")
    assert installed_size(tmp_path) == 1 + 2 + 1


def test_the_licence_is_ours() -> None:
    text = copyright_file((ROOT / "LICENSE").read_text(encoding="utf-8"))
    assert "\nCopyright: 2026 The Cody OAI Router authors\nLicense: MIT\n" in text
    assert "\n .\n" in text
    with pytest.raises(ValueError, match="does not begin as an MIT licence"):
        copyright_file("Apache License\n\nVersion 2\n\nText")


@pytest.mark.parametrize("kind", ["system", "user"])
def test_both_units_start_the_same_and_are_confined(kind: str) -> None:
    service = Unit(kind)["Service"]
    assert service["ExecStart"] == "/usr/bin/cody-oai-router serve"
    assert service["RestartPreventExitStatus"] == "2"
    for name in ("NoNewPrivileges", "MemoryDenyWriteExecute", "RestrictNamespaces", "LockPersonality"):
        assert service[name] == "yes"
    assert service["RestrictAddressFamilies"] == "AF_INET AF_INET6 AF_UNIX"


def test_the_system_service_has_no_rights_and_roots_file_of_settings() -> None:
    service = Unit("system")["Service"]
    assert (service["DynamicUser"], service["CapabilityBoundingSet"]) == ("yes", "")
    assert (service["ProtectSystem"], service["ProtectHome"], service["UMask"]) == ("strict", "yes", "0077")
    assert service["EnvironmentFile"] == "/etc/cody-oai-router/env"


def test_units_wait_longer_than_answers_get() -> None:
    grace = next(float(variable.default) for variable in VARIABLES if variable.name == "SHUTDOWN_GRACE")
    for kind in ("system", "user"):
        assert float(Unit(kind)["Service"]["TimeoutStopSec"]) > grace


class Machine:
    """A machine with systemd on which scripts run; `asked` is what they ask of it. Their /run is a folder of the test."""

    def __init__(self, folder: Path, *, active: bool = False, users: str = "") -> None:
        self._folder = folder
        self._asked = folder / "asked"
        (folder / "run/systemd/system").mkdir(parents=True)
        tool = f"""#!/bin/sh
            case "$*" in
                *is-active*) exit {0 if active else 3} ;;
                *list-units*) printf '{users}'; exit 0 ;;
            esac
            echo "${{0##*/}} $*" >>{self._asked}
        """
        for name in ("systemctl", "deb-systemd-invoke"):
            (folder / name).write_text(tool)
            (folder / name).chmod(0o755)

    def run(self, script: str, *arguments: str) -> list[str]:
        """Runs a script; gives what it asked of systemd but for reading units anew."""
        text = (PARTS / script).read_text(encoding="utf-8").replace("/run/", f"{self._folder}/run/")
        self._asked.write_text("")
        path = f"{self._folder}:{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", text, script, *arguments],
            check=False, capture_output=True, text=True, timeout=30, env={"PATH": path},
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return [line for line in self._asked.read_text().splitlines() if "daemon-reload" not in line]

    @property
    def left(self) -> list[str]:
        """What the scripts have left in /run."""
        return [path.name for path in (self._folder / "run").iterdir() if path.name != "systemd"]


STOP = "deb-systemd-invoke stop cody-oai-router.service"
START = "systemctl start cody-oai-router.service"
DISABLE = "systemctl --quiet --no-reload disable cody-oai-router.service"


def test_an_installation_starts_nothing(tmp_path: Path) -> None:
    assert Machine(tmp_path).run("postinst", "configure") == []


def test_an_upgrade_stops_what_runs_and_starts_it_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path, active=True)
    assert machine.run("prerm", "upgrade", "1.2.4") == [STOP]
    assert machine.run("postrm", "upgrade", "1.2.4") == []
    assert machine.run("postinst", "configure", "1.2.3") == [START]
    assert machine.left == []


def test_an_upgrade_of_what_does_not_run_starts_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.run("prerm", "upgrade", "1.2.4") == machine.run("postinst", "configure", "1.2.3") == []


@pytest.mark.parametrize(("before", "after"), [("upgrade", "abort-upgrade"), ("remove", "abort-remove")])
def test_what_an_attempt_has_stopped_runs_again_after_it_failed(tmp_path: Path, before: str, after: str) -> None:
    machine = Machine(tmp_path, active=True)
    assert machine.run("prerm", before)[0] == STOP
    assert machine.run("postinst", after) == [START]


def test_removal_stops_and_disables_and_a_later_installation_starts_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, active=True)
    assert machine.run("prerm", "remove") == [STOP, DISABLE]
    assert machine.run("postrm", "remove") == machine.run("postrm", "purge") == []
    assert machine.left == []
    assert machine.run("postinst", "configure") == []


def test_users_own_services_are_restarted_where_they_run(tmp_path: Path) -> None:
    users = "user@1000.service loaded active running User Manager\\nuser@1001.service loaded active running x\\n"
    restarts = [
        f"systemctl --quiet --user --machine={user}@ try-restart cody-oai-router.service" for user in (1000, 1001)
    ]
    assert Machine(tmp_path, users=users).run("postinst", "configure", "1.2.3") == restarts


def test_the_manual_has_every_command_and_variable() -> None:
    text = manual("1.2.3")
    for name in (*COMMANDS, *(variable.name for variable in VARIABLES)):
        assert f"\n.B {name.replace('-', chr(92) + '-')}\n" in text
    assert text.isascii()
    assert not [line for line in text.splitlines() if line.startswith("'")]


def test_the_settings_of_the_service_do_not_speak_of_a_copy(tmp_path: Path) -> None:
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / deb.NAME).touch()
    deb.stage(tmp_path / "built", tmp_path / "tree", "1.2.3", 0)
    example = (tmp_path / "tree" / deb.DOCUMENTS / ".env.example").read_text("utf-8")
    settings = (tmp_path / "tree" / deb.SETTINGS).read_text("utf-8")
    assert "Copy this file to .env" in example
    assert "Copy this file to .env" not in settings
    assert settings.splitlines()[1:] == example.splitlines()[1:]
