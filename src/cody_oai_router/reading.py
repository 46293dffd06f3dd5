"""Reading variables from several sources: what is set where, what is wrong with it, and who may steer a secret.

Strategy: the sources come in their order of precedence, and precedence is trust: what comes first is nearer to the
user's own hand. A `Reading` remembers everything that it found and everything that was wrong, so that all of it is
reported at once.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final, Literal, TypeVar

import msgspec

from cody_oai_router.credentials import Secret
from cody_oai_router.notation import Wrong, quoted
from cody_oai_router.variables import BY_NAME

Place = Literal["flags", "environment", "beside", "user", "directory"]

# How far each place is from the user's own hand. Whoever sets a flag or the environment runs the program already; the
# folder of the executable and the configuration folder are the user's; the working directory may be anybody's
# repository.
_DISTANCE: Final[dict[Place, int]] = {"flags": 0, "environment": 0, "beside": 1, "user": 2, "directory": 3}

T = TypeVar("T")


class Source(msgspec.Struct, frozen=True):
    """One place that sets variables; `label` names it in messages ("the environment", a path)."""

    place: Place
    label: str
    values: Mapping[str, str]

    @property
    def distance(self) -> int:
        """How far the place is from the user's own hand: the smaller, the more trusted."""
        return _DISTANCE[self.place]


class File(msgspec.Struct, frozen=True):
    """A file that a variable names: the whole path and its text."""

    path: str
    text: str


ReadFile = Callable[[str], File | Wrong]


class Found(msgspec.Struct, frozen=True):
    """A variable that is set, as its source spells it."""

    name: str
    value: str
    source: Source


class Reading:
    """One pass over the sources. `lines` collects what is wrong, `used` what had an effect."""

    def __init__(self, sources: Sequence[Source], read_file: ReadFile) -> None:
        self.lines: list[str] = []
        self.used: dict[str, Found] = {}
        self._sources = sources
        self._read_file = read_file

    def find(self, name: str) -> Found | None:
        """Where the variable is set first; an empty value counts as unset."""
        spellings = (name, *BY_NAME[name].spellings) if name in BY_NAME else (name,)
        for source in self._sources:
            for spelling in spellings:
                value = source.values.get(spelling, "").strip()
                if value:
                    return Found(spelling, value, source)
        return None

    def find_pair(self, first: str, second: str) -> tuple[Found, Found] | None:
        """The first source that sets both variables."""
        for source in self._sources:
            one, other = source.values.get(first, "").strip(), source.values.get(second, "").strip()
            if one and other:
                return Found(first, one, source), Found(second, other, source)
        return None

    def find_prefixed(self, prefix: str) -> list[Found]:
        """Every variable whose name begins with `prefix`, each where it is set first."""
        names = {name for source in self._sources for name in source.values if len(name) > len(prefix)}
        return [found for name in sorted(names) if name.startswith(prefix) and (found := self.find(name))]

    def parse(self, found: Found, read: Callable[[str], T | Wrong]) -> T | None:
        """What `read` makes of a value, or `None` where it is wrong, which is noted."""
        self.used[found.name] = found
        value = read(found.value)
        if isinstance(value, Wrong):
            self.refuse(found, value.why)
            return None
        return value

    def optional(self, name: str, read: Callable[[str], T | Wrong]) -> T | None:
        """The value of a variable that may be unset."""
        found = self.find(name)
        return self.parse(found, read) if found else None

    def value(self, name: str, read: Callable[[str], T | Wrong]) -> T:
        """The value of a variable with a default in the table, which also stands in for a wrong value."""
        value = self.optional(name, read)
        if value is not None:
            return value
        default = read(BY_NAME[name].default)
        if isinstance(default, Wrong):
            raise TypeError(f"the table's default of {name} is wrong: {default.why}")
        return default

    def secret(self, name: str, read: Callable[[str], Secret | Wrong]) -> tuple[Secret | None, Found | None]:
        """A secret and where it is set: its variable or the file that its `_FILE` names, whichever comes first."""
        direct, named = self.find(name), self.find(f"{name}_FILE")
        if direct and named and direct.source is named.source:
            self.lines.append(f"{name} and {name}_FILE are both set (from {direct.source.label}): set only one.")
        if direct and (named is None or self._order(direct) <= self._order(named)):
            return self.parse(direct, read), direct
        return (self._secret_in_file(named, read), named) if named else (None, None)

    def _order(self, found: Found) -> int:
        return next(place for place, source in enumerate(self._sources) if source is found.source)

    def _secret_in_file(self, found: Found, read: Callable[[str], Secret | Wrong]) -> Secret | None:
        file = self.secret_file(found)
        if file is None:
            return None
        secret = read(file.text.strip()) if file.text.strip() else Wrong("the file is empty")
        if isinstance(secret, Wrong):
            self.refuse(found, f"{secret.why} (in {file.path})")
            return None
        return secret

    def secret_file(self, found: Found) -> File | None:
        """The file with a secret that a variable names; a `.env` in the working directory may not name one."""
        if found.source.place == "directory":
            # Together with an address in the same .env it would send any file of the user's to anybody.
            self.used[found.name] = found
            self.refuse(found, "a .env in the working directory may not name files to read secrets from")
            return None
        return self.file(found)

    def file(self, found: Found) -> File | None:
        """The file that a variable names; a relative path is only the environment's and the command line's to give."""
        rooted = PurePosixPath(found.value).is_absolute() or PureWindowsPath(found.value).is_absolute()
        if found.source.distance and not rooted and not found.value.startswith("~"):
            self.refuse(found, f"{quoted(found.value)} depends on the working directory: give the whole path, or ~/...")
            return None
        return self.parse(found, self._read_file)

    def refuse(self, found: Found, why: str) -> None:
        """Note that a variable's value cannot be used."""
        self.lines.append(f"{found.name}: {why} (from {found.source.label}).")

    def check_trust(self, secret: Found, steering: Sequence[Found]) -> None:
        """Note each variable that comes from a less trusted source than the secret that it would steer."""
        for found in steering:
            if found.source.distance > secret.source.distance:
                self.lines.append(
                    f"{found.name} from {found.source.label} would decide about {secret.name} from "
                    f"{secret.source.label}, which is trusted more: set both in the same place, or remove {found.name}."
                )
