"""Where settings come from on this machine: the environment and `.env` files, found, read and explained.

Strategy: everything that can be wrong with a file (its encoding, its permissions, the hidden `.txt` of Windows) is a
line for the user, never an exception. What the values mean is decided in the core.
"""

import io
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from cody_oai_router.notation import Wrong
from cody_oai_router.reading import File, Place, Source
from cody_oai_router.variables import BY_NAME

if TYPE_CHECKING:
    from dotenv.parser import Binding

_FOLDER: Final = "cody-oai-router"
# A bundle of every authority there is has half a megabyte; a `.env` a few lines.
_LARGEST: Final = 4 * 1024 * 1024
_HIDDEN: Final = Wrong("not found, but .env.txt is there: rename it (Windows hides the ending .txt)")
# How certificates and keys in a binary form begin: a sequence, its length in two bytes.
_DER: Final = b"\x30\x82"
_HEADER: Final = re.compile(r"SRC_HEADER_.+")
# Set in the router's image, and by podman in every container (systemd's container interface).
_CONTAINER: Final = "container"
_OCI: Final = "oci"
_ROOT: Final = 0
_IN_A_CONTAINER: Final = (
    "In a container ROUTER_HOST has to be 0.0.0.0, or its port cannot be published; so it needs a key, which generate-key makes.",
    "Give variables with -e NAME=value, or secrets as files: ROUTER_API_KEY_FILE, SOURCEGRAPH_API_TOKEN_FILE=/run/secrets/...",
    "Publish the port on your own machine alone: -p 127.0.0.1:3000:3000",
)


class Sources(msgspec.Struct, frozen=True):
    """What was found: sources in their order of precedence, lines that refuse the start, and lines that only warn.

    `advice` says how settings are given on a machine of this kind, for whom they are refused.
    """

    found: tuple[Source, ...]
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What decides where files are looked for; `executable` is set in a frozen build alone."""

    environ: Mapping[str, str]
    platform: str
    working: Path
    home: Path | None
    executable: Path | None


def this_machine() -> Machine:
    """The machine as this process sees it."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    frozen = bool(getattr(sys, "frozen", False))
    return Machine(
        environ=dict(os.environ),
        platform=sys.platform,
        working=_working_directory(),
        home=home,
        executable=Path(sys.executable) if frozen else None,
    )


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed while it was in use
        return Path(os.devnull)


def user_file(machine: Machine) -> Path | None:
    """The `.env` in the platform's folder for a user's configuration."""
    folder = _user_folder(machine)
    return folder / _FOLDER / ".env" if folder else None


def settings_file(machine: Machine) -> Path | None:
    """The `.env` that a user is told to write: an executable's lies beside it."""
    return machine.executable.parent / ".env" if machine.executable else user_file(machine)


def _user_folder(machine: Machine) -> Path | None:
    if machine.platform == "win32":
        roaming = machine.environ.get("APPDATA", "")
        return Path(roaming) if roaming else machine.home and machine.home / "AppData" / "Roaming"
    if machine.platform == "darwin":
        return machine.home and machine.home / "Library" / "Application Support"
    # The XDG specification: a relative path is invalid and ignored.
    configured = Path(machine.environ.get("XDG_CONFIG_HOME", ""))
    return configured if configured.is_absolute() else machine.home and machine.home / ".config"


def env_files(machine: Machine) -> list[tuple[Place, Path]]:
    """The `.env` files to look for, in their order of precedence."""
    files: list[tuple[Place, Path]] = []
    if machine.executable:
        files.append(("beside", machine.executable.parent / ".env"))
    user = user_file(machine)
    if user:
        files.append(("user", user))
    working = machine.working / ".env"
    # A binary may be started anywhere; whoever runs Python in a folder has chosen the folder.
    if not machine.executable and working != user:
        files.append(("directory", working))
    return files


def find_sources(machine: Machine, flags: Mapping[str, str]) -> Sources:
    """Every source of settings on this machine, after the flags."""
    found = [Source("flags", "the command line", flags), Source("environment", "the environment", machine.environ)]
    lines: list[str] = []
    warnings: list[str] = []
    for place, path in env_files(machine):
        # An engine shows a container files of its host, whose owners it does not know.
        foreign = _foreign(path) if place == "beside" and not machine.environ.get(_CONTAINER) else None
        values = foreign or read_env_file(path)
        if isinstance(values, Wrong):
            lines.append(f"{path}: {values.why}.")
        elif values is not None:
            found.append(Source(place, str(path), values))
            warnings.extend(_exposed(path, values))
    advice = _IN_A_CONTAINER if machine.environ.get(_CONTAINER) == _OCI else ()
    return Sources(tuple(found), tuple(lines), tuple(warnings), advice)


def _foreign(path: Path) -> Wrong | None:
    """Why a file beside the executable is not this user's word: the folder may be one that others can put files into."""
    if sys.platform == "win32":
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    if found.st_uid not in {os.geteuid(), _ROOT}:
        return Wrong("belongs to another user of this machine: remove it, or make it your own (chown)")
    return (
        Wrong(f"every user of this machine can write to it: chmod 600 '{path}'")
        if found.st_mode & stat.S_IWOTH
        else None
    )


def _exposed(path: Path, values: Mapping[str, str]) -> list[str]:
    secret = any(value and _secret(name) for name, value in values.items())
    if os.name != "posix" or not secret or not _mode(path) & stat.S_IROTH:
        return []
    return [f"WARNING: {path} holds a secret and every user of this machine can read it: chmod 600 '{path}'"]


def _secret(name: str) -> bool:
    return BY_NAME[name].secret if name in BY_NAME else _HEADER.fullmatch(name) is not None


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def read_env_file(path: Path) -> Mapping[str, str] | Wrong | None:
    """The variables of a `.env`, `None` where there is none, or why it cannot be used."""
    data = _read(path)
    if data is None:
        hidden = path.with_name(".env.txt")
        return _HIDDEN if hidden.is_file() else None
    text = data if isinstance(data, Wrong) else _decode(data)
    return text if isinstance(text, Wrong) else _parse(text)


def _read(path: Path) -> bytes | Wrong | None:
    """The bytes of a file, `None` where there is none, or why it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where this user may not look
            return Wrong("cannot be read, because it is a folder")
        return Wrong(f"cannot be read ({error.strerror or error})")
    return data if len(data) <= _LARGEST else Wrong("is larger than any file of settings")


def _decode(data: bytes) -> str | Wrong:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        return Wrong("is not UTF-8 but looks like UTF-16: save it again as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Wrong(f"line {line} is not UTF-8: save the file again as UTF-8")


def _parse(text: str) -> dict[str, str] | Wrong:
    # Imported here: the package brings tempfile, shutil and more, and a start without a file needs none of it.
    from dotenv.parser import parse_stream  # noqa: PLC0415

    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.value is None and _ours(binding.key)):
            return Wrong(f"line {_line(binding)} cannot be read: write NAME=value, and close every quotation mark")
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def _ours(name: str | None) -> bool:
    return name is not None and (name in BY_NAME or _HEADER.fullmatch(name) is not None)


def _line(binding: "Binding") -> int:
    """The number of a binding's line: the parser counts from the blank lines before it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(re.findall(r"\r\n|\n|\r", blank))


def read_named_file(name: str) -> File | Wrong:
    """A file that a variable names."""
    try:
        path = Path(name).expanduser().absolute()
        data = _read(path)
    except (RuntimeError, ValueError):
        return Wrong("it does not name a file")
    if data is None:
        return Wrong(f"there is no file {path}")
    if not isinstance(data, Wrong) and data.startswith(_DER):
        return Wrong(f"{path} is in a binary form (DER or PKCS#12): convert it to PEM with the openssl command")
    text = data if isinstance(data, Wrong) else _decode(data)
    return Wrong(f"{path} {text.why}") if isinstance(text, Wrong) else File(str(path), text)
