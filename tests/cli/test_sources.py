"""Finding and reading `.env` files: where, in which order, and in which words one that cannot be used is refused."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cody_oai_router.cli import sources
from cody_oai_router.cli.sources import (
    Machine,
    Sources,
    env_files,
    find_sources,
    read_env_file,
    read_named_file,
    settings_file,
    this_machine,
    user_file,
)
from cody_oai_router.notation import Wrong
from cody_oai_router.reading import File, Source

TOKEN = "SOURCEGRAPH_API_TOKEN"
POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
NOT_ROOT = pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root reads everything")


def machine(
    root: Path,
    *,
    platform: str = "linux",
    environ: dict[str, str] | None = None,
    home: Path | None = None,
    executable: Path | None = None,
) -> Machine:
    return Machine(
        environ=environ or {}, platform=platform, working=root, home=home or root / "home", executable=executable
    )


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {}, "home/.config/cody-oai-router/.env"),
        ("linux", {"XDG_CONFIG_HOME": ""}, "home/.config/cody-oai-router/.env"),
        ("linux", {"XDG_CONFIG_HOME": "relative"}, "home/.config/cody-oai-router/.env"),
        ("linux", {"XDG_CONFIG_HOME": "{root}/xdg"}, "xdg/cody-oai-router/.env"),
        ("darwin", {}, "home/Library/Application Support/cody-oai-router/.env"),
        ("win32", {"APPDATA": "{root}/Roaming"}, "Roaming/cody-oai-router/.env"),
        ("win32", {}, "home/AppData/Roaming/cody-oai-router/.env"),
    ],
)
def test_the_users_file(tmp_path: Path, platform: str, environ: dict[str, str], expected: str) -> None:
    environ = {name: value.format(root=tmp_path) for name, value in environ.items()}
    assert user_file(machine(tmp_path, platform=platform, environ=environ)) == tmp_path / expected


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_user_without_a_home(tmp_path: Path, platform: str) -> None:
    nobody = Machine(environ={}, platform=platform, working=tmp_path, home=None, executable=None)
    assert user_file(nobody) is None
    assert env_files(nobody) == [("directory", tmp_path / ".env")]


def test_from_source_the_working_directory_counts_and_the_executable_does_not(tmp_path: Path) -> None:
    here = machine(tmp_path)
    assert env_files(here) == [
        ("user", tmp_path / "home/.config/cody-oai-router/.env"),
        ("directory", tmp_path / ".env"),
    ]


def test_a_binary_looks_beside_itself_and_not_into_the_working_directory(tmp_path: Path) -> None:
    frozen = machine(tmp_path, executable=tmp_path / "bin" / "cody-oai-router")
    assert env_files(frozen) == [
        ("beside", tmp_path / "bin" / ".env"),
        ("user", tmp_path / "home/.config/cody-oai-router/.env"),
    ]


def test_the_users_folder_as_working_directory_is_still_the_users(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "cody-oai-router"
    assert env_files(machine(folder, home=tmp_path)) == [("user", folder / ".env")]


def test_this_machine_is_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CANARY", "1")
    found = this_machine()
    assert (found.environ["CANARY"], found.working.resolve(), found.executable) == ("1", tmp_path.resolve(), None)


def test_a_process_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", nowhere)
    assert this_machine().home is None


def test_a_file_that_vanishes_is_nobodys_secret(tmp_path: Path) -> None:
    assert sources._mode(tmp_path / ".env") == 0


@POSIX
def test_a_file_where_nobody_can_look_is_a_line() -> None:
    unreachable = read_env_file(Path("/", "x" * 300, ".env"))
    assert isinstance(unreachable, Wrong)
    assert unreachable.why.startswith("cannot be read (")


def test_sources_in_their_order(tmp_path: Path) -> None:
    user = tmp_path / "home/.config/cody-oai-router/.env"
    user.parent.mkdir(parents=True)
    user.write_text("PORT=2\n")
    (tmp_path / ".env").write_text("PORT=3\n")
    found = find_sources(machine(tmp_path, environ={"PORT": "1"}), {"PORT": "0"})
    assert found == Sources(
        (
            Source("flags", "the command line", {"PORT": "0"}),
            Source("environment", "the environment", {"PORT": "1"}),
            Source("user", str(user), {"PORT": "2"}),
            Source("directory", str(tmp_path / ".env"), {"PORT": "3"}),
        )
    )


@pytest.mark.parametrize(
    "data",
    [
        b"PORT=1\nDEFAULT_MODEL=a b\n",
        b"\xef\xbb\xbfPORT=1\r\nDEFAULT_MODEL=a b\r\n",
        b"PORT=1\rDEFAULT_MODEL='a b'",
        b'# comment\n\nexport PORT=1 # port\nexport DEFAULT_MODEL="a b"\n',
        b" PORT = 1\nDEFAULT_MODEL = a b   \n",
        b"PORT=2\nPORT=1\nDEFAULT_MODEL=a b\nUNRELATED\n",
    ],
)
def test_every_way_to_write_a_file(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / ".env"
    file.write_bytes(data)
    assert read_env_file(file) == {"PORT": "1", "DEFAULT_MODEL": "a b"}


def test_nothing_is_expanded(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text('A=$HOME ${HOME}\nB="$(id)"\nC="a\\nb"\n')
    assert read_env_file(file) == {"A": "$HOME ${HOME}", "B": "$(id)", "C": "a\nb"}


_UTF16 = "is not UTF-8 but looks like UTF-16: save it again as UTF-8"


def _line(number: int) -> str:
    return f"line {number} cannot be read: write NAME=value, and close every quotation mark"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("PORT=1\n".encode("utf-16"), _UTF16),
        ("PORT=1\n".encode("utf-16-le"), _UTF16),
        ("PORT=1\n".encode("utf-16-be"), _UTF16),
        (b"PORT=1\n# caf\xe9\n", "line 2 is not UTF-8: save the file again as UTF-8"),
        (b"PORT=1\n\n\nDEFAULT_MODEL='a\n", _line(4)),
        (b"PORT: 1\n", _line(1)),
        (b"A=1\r\n\r\nset PORT=1\r\n", _line(3)),
        (b"A=1\nPORT\n", _line(2)),
        (b"SRC_HEADER_X\n", _line(1)),
        (b"=1\n", _line(1)),
        (b"x" * (4 * 1024 * 1024 + 1), "is larger than any file of settings"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, data: bytes, why: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(data)
    assert read_env_file(file) == Wrong(why)
    assert find_sources(machine(tmp_path), {}).lines == (f"{file}: {why}.",)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert read_env_file(tmp_path / ".env") == Wrong("cannot be read, because it is a folder")


@POSIX
@NOT_ROOT
def test_a_file_of_somebody_elses(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PORT=1\n")
    file.chmod(0)
    assert read_env_file(file) == Wrong("cannot be read (Permission denied)")


@POSIX
def test_a_file_that_the_system_will_not_open(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.symlink_to(file)
    assert read_env_file(file) == Wrong("cannot be read (Too many levels of symbolic links)")


def test_the_hidden_ending_of_windows(tmp_path: Path) -> None:
    (tmp_path / ".env.txt").write_text("PORT=1\n")
    why = "not found, but .env.txt is there: rename it (Windows hides the ending .txt)"
    assert find_sources(machine(tmp_path), {}).lines == (f"{tmp_path / '.env'}: {why}.",)
    (tmp_path / ".env").write_text("PORT=1\n")
    assert find_sources(machine(tmp_path), {}).lines == ()


@POSIX
@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        (f"{TOKEN}=sgp_1\n", 0o644, True),
        (f"{TOKEN}=sgp_1\n", 0o604, True),
        (f"{TOKEN}=sgp_1\n", 0o640, False),
        (f"{TOKEN}=sgp_1\n", 0o600, False),
        (f"{TOKEN}=\n", 0o644, False),
        ("PORT=1\nUNRELATED=2\n", 0o644, False),
        ("ROUTER_API_KEY=k\n", 0o644, True),
        ("SRC_HEADER_X=k\n", 0o644, True),
    ],
)
def test_a_secret_that_everybody_can_read(tmp_path: Path, text: str, mode: int, warned: bool) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    file.chmod(mode)
    line = f"WARNING: {file} holds a secret and every user of this machine can read it: chmod 600 '{file}'"
    assert find_sources(machine(tmp_path), {}).warnings == ((line,) if warned else ())


@pytest.mark.parametrize("name", [str, os.path.relpath])
def test_a_named_file_has_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Callable[[Path], str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfsgp_1\r\n")
    assert read_named_file(name(tmp_path / "token")) == File(str(tmp_path / "token"), "sgp_1\r\n")


def test_a_named_file_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "token").write_text("sgp_1")
    assert read_named_file("~/token") == File(str(tmp_path / "token"), "sgp_1")


def test_a_named_file_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert read_named_file(str(missing)) == Wrong(f"there is no file {missing}")
    assert read_named_file(str(tmp_path)) == Wrong(f"{tmp_path} cannot be read, because it is a folder")
    assert read_named_file("a\0b") == Wrong("it does not name a file")
    if sys.platform != "win32":  # where every user's folder is looked for beside one's own
        assert read_named_file("~no-such-user-here/x") == Wrong("it does not name a file")
    wide = tmp_path / "wide"
    wide.write_text("sgp_1", encoding="utf-16")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x30\x82\x01\x00\x00")
    converted = "is in a binary form (DER or PKCS#12): convert it to PEM with the openssl command"
    assert read_named_file(str(binary)) == Wrong(f"{binary} {converted}")
    assert read_named_file(str(wide)) == Wrong(f"{wide} {_UTF16}")


def test_a_user_is_told_to_write_the_file_that_is_read(tmp_path: Path) -> None:
    assert settings_file(machine(tmp_path)) == tmp_path / "home/.config/cody-oai-router/.env"
    assert settings_file(machine(tmp_path, executable=tmp_path / "bin" / "router")) == tmp_path / "bin" / ".env"


@POSIX
@pytest.mark.parametrize(
    ("owner", "mode", "environ", "why"),
    [
        ("mine", 0o664, {}, None),
        ("roots", 0o644, {}, None),
        ("theirs", 0o644, {}, "belongs to another user of this machine: remove it, or make it your own (chown)."),
        ("mine", 0o666, {}, "every user of this machine can write to it: chmod 600 '{file}'."),
        ("theirs", 0o644, {"container": "oci"}, None),
    ],
)
def test_a_file_beside_the_executable_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, mode: int, environ: dict[str, str], why: str | None
) -> None:
    file = tmp_path / ".env"
    file.write_text("SOURCEGRAPH_BASE_URL=https://sourcegraph.example.com\n")
    file.chmod(mode)
    itself = file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: itself if owner == "mine" else itself + 1)
    if owner == "roots":
        monkeypatch.setattr(sources, "_ROOT", itself)
    elif owner == "theirs":
        monkeypatch.setattr(sources, "_ROOT", itself + 2)
    found = find_sources(machine(tmp_path, executable=tmp_path / "router", environ=environ), {})
    assert found.lines == (() if why is None else (f"{file}: {why.format(file=file)}",))
    assert ("beside" in [source.place for source in found.found]) is (why is None)


def test_a_working_directory_that_was_removed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def removed() -> Path:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", removed)
    assert this_machine().working == Path(os.devnull)
