"""What Windows shows of an executable under *Properties*, *Details*, and what SmartScreen and virus scanners read of it."""

import re
from typing import Any, Final

LANGUAGE: Final = 0x0409
"""English (United States)."""
CODE_PAGE: Final = 1200
"""Unicode."""


def of_version(version: str, program: str) -> Any:
    """The properties of one version ("1.2.3") as PyInstaller's structure (`VSVersionInfo`); `program` is the name of the file."""
    # Imported here: the module is there on Windows alone.
    from PyInstaller.utils.win32 import versioninfo  # noqa: PLC0415

    numbers = four(version)
    texts = {
        "CompanyName": "The Cody OAI Router authors",
        "FileDescription": "Cody OAI Router",
        "FileVersion": version,
        "InternalName": program.removesuffix(".exe"),
        "LegalCopyright": "MIT License",
        "OriginalFilename": program,
        "ProductName": "Cody OAI Router",
        "ProductVersion": version,
    }
    strings = [versioninfo.StringStruct(name, text) for name, text in texts.items()]
    return versioninfo.VSVersionInfo(
        ffi=versioninfo.FixedFileInfo(filevers=numbers, prodvers=numbers),
        kids=[
            versioninfo.StringFileInfo([versioninfo.StringTable(f"{LANGUAGE:04X}{CODE_PAGE:04X}", strings)]),
            versioninfo.VarFileInfo([versioninfo.VarStruct("Translation", [LANGUAGE, CODE_PAGE])]),
        ],
    )


def four(version: str) -> tuple[int, int, int, int]:
    """A version as the four numbers that Windows compares: what follows the first word of numbers ("rc1") does not count."""
    numbers = [int(number) for number in re.split(r"[^\d.]", version, maxsplit=1)[0].split(".") if number]
    first, second, third, fourth, *_ = (*numbers, 0, 0, 0, 0)
    return first, second, third, fourth
