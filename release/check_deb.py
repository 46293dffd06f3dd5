"""Proves a Debian package: `python release/check_deb.py PACKAGE`, without root. Exit code 0 where all that could be shown holds.

Strategy: the package is unpacked into a folder of its own, where the program runs as it would when installed, and its units are
judged by systemd's own tools. An installation needs root and a Debian to spare: that part is said, not shown.
"""

import argparse
import http.client
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from check_image import shown
from running import PATIENCE, CannotShow, Failed, Running, free_port, want, want_in

NAME: Final = "cody-oai-router"
UNITS: Final = ("system", "user")
# What systemd calls "OK"; a unit of no protection at all has 9.6.
MOST_EXPOSED: Final = 2.0


class Package:
    """A package, unpacked beneath `root`, and the fields of its description."""

    def __init__(self, file: Path, root: Path) -> None:
        self.file = file
        self.root = root
        said("dpkg-deb", "--extract", file, root)
        lines = said("dpkg-deb", "--field", file).splitlines()
        pairs = (line.partition(": ") for line in lines if not line.startswith(" "))
        self.fields: Mapping[str, str] = {name: value for name, _, value in pairs}

    def unit(self, kind: str) -> Path:
        """The unit for the system or for a user."""
        return self.root / "usr/lib/systemd" / kind / f"{NAME}.service"

    def running(self, *arguments: str) -> Running:
        """Start the program on a port of its own, by its name on the path and with nothing of this machine's settings."""
        port = free_port()
        environ = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PORT": str(port)}
        command = [str(self.root / "usr/bin" / NAME), *arguments]
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        return Running(process, port)


def said(*command: str | Path) -> str:
    """What a command prints; fails where it does."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def it_describes_itself(package: Package) -> None:
    """Its name, version and architecture stand in its file's name, and it needs a glibc of some version."""
    fields = package.fields
    named = f"{fields['Package']}_{fields['Version']}_{fields['Architecture']}.deb"
    want(package.file.name, named, "the name of the file")
    if not re.fullmatch(r"libc6 \(>= 2\.\d+\), zlib1g", fields["Depends"]):
        raise Failed(f"Depends is {fields['Depends']!r}")


def its_files_are_roots(package: Package) -> None:
    """Everything belongs to root; only root can read the settings, and nobody else can write to anything."""
    for line in said("dpkg-deb", "--contents", package.file).splitlines():
        rights, owner, *_, name = line.partition(" -> ")[0].split()
        want("root/root", owner, f"the owner of {name}")
        if name == f"./etc/{NAME}/env":
            want("-rw-------", rights, f"the rights of {name}")
        elif not rights.startswith("l") and (rights[5] == "w" or rights[8] == "w" or "s" in rights):
            raise Failed(f"{name} has the rights {rights}")


def its_sums_are_right(package: Package) -> None:
    """Every file but the settings has its sum, and the sum is right."""
    with tempfile.TemporaryDirectory() as folder:
        said("dpkg-deb", "--control", package.file, folder)
        sums = Path(folder, "md5sums").read_text(encoding="utf-8")
        settings = Path(folder, "conffiles").read_text(encoding="utf-8").split()
    checked = subprocess.run(["md5sum", "--check", "--quiet"], input=sums, cwd=package.root, check=False, text=True)
    want(0, checked.returncode, "the exit code of md5sum")
    files = {f"/{path.relative_to(package.root)}" for path in package.root.rglob("*") if _is_file(path)}
    want(files, {f"/{line.split('  ', 1)[1]}" for line in sums.splitlines()} | set(settings), "files with a sum")


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def its_program_answers(package: Package) -> None:
    """By its name on the path it runs in demo mode, is well, answers, and ends with 0 when it is asked to."""
    running = package.running("demo")
    try:
        running.ready()
        want(http.client.OK, running.chat()[0], "a chat")
        asked = package.running("healthcheck", "--port", str(running.port))
        want(0, asked.process.wait(PATIENCE), "the exit code of the health check")
        want(0, running.signalled(signal.SIGTERM), "the exit code")
    finally:
        running.end()


def its_settings_are_nobodys(package: Package) -> None:
    """The example of settings that it installs sets nothing, for systemd as for the router."""
    lines = (package.root / "etc" / NAME / "env").read_text(encoding="utf-8").splitlines()
    given = [line for line in lines if line and not line.startswith("#") and not line.endswith("=")]
    want([], given, "what is set")


def its_manual_is_one(package: Package) -> None:
    """The manual page has no mistake that man would tell."""
    if shutil.which("man") is None:
        raise CannotShow("man is not installed")
    page = package.root / "usr/share/man/man1" / f"{NAME}.1.gz"
    done = subprocess.run(
        ["man", "--warnings", "--local-file", page],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    want((0, ""), (done.returncode, done.stderr), "man's complaints")
    for part in ("doctor", "SOURCEGRAPH_API_TOKEN", "--base-url"):
        want_in(part, done.stdout, "the page")


def systemd_takes_its_units(package: Package) -> None:
    """Both units are read by systemd without a complaint."""
    if shutil.which("systemd-analyze") is None:
        raise CannotShow("systemd-analyze is not installed")
    for kind in UNITS:
        # Named by its path, so that what is missing here (its program, its manual) is found beneath the folder.
        text = package.unit(kind).read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, f"{NAME}.service")
            text = text.replace("/usr/bin/", f"{package.root}/usr/bin/")
            copy.write_text(text.replace("Documentation=man:", "Documentation=file:///"), encoding="utf-8")
            done = subprocess.run(
                ["systemd-analyze", "verify", f"--{kind}", "--recursive-errors=no", copy],
                check=False,
                capture_output=True,
                text=True,
                env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": folder, "HOME": folder},
            )
        want((0, ""), (done.returncode, done.stderr.strip()), f"systemd's word on the {kind} unit")


def its_service_is_confined(package: Package) -> None:
    """The exposure of the service, as systemd measures it, is at most 2.0 of 10."""
    if shutil.which("systemd-analyze") is None:
        raise CannotShow("systemd-analyze is not installed")
    judged = said("systemd-analyze", "security", "--offline=true", "--no-pager", package.unit("system"))
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged)
    if score is None or float(score[1]) > MOST_EXPOSED:
        raise Failed(judged)
    print(f"    exposure {score[1]}")


CHECKS: Final = (
    it_describes_itself,
    its_files_are_roots,
    its_sums_are_right,
    its_program_answers,
    its_settings_are_nobodys,
    its_manual_is_one,
    systemd_takes_its_units,
    its_service_is_confined,
)


def main() -> int:
    """Make every check that this machine can make, print a line for each, and return the exit code."""
    parser = argparse.ArgumentParser(description="Prove a Debian package.")
    parser.add_argument("package", type=Path, help="the package that release/deb.py made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        package = Package(options.package, Path(folder))
        outcomes = [shown(check, package) for check in CHECKS]
    print(
        "NOT SHOWN: installation, upgrade, removal and the services themselves, which need root and a Debian to spare"
    )
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
