"""Counts the instructions that a proxy executes: exact, whatever else the machine does. User space only."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

_SUMMARY: Final = "summary: "
_PATIENCE: Final = 60.0


def missing() -> str | None:
    """Gives the reason why nothing can be counted here."""
    return None if shutil.which("valgrind") and shutil.which("callgrind_control") else "valgrind is not installed"


def command(scratch: Path) -> list[str]:
    """Gives what a program is to be run under."""
    return ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={scratch}/callgrind.%p"]


class Counter:
    """Counts in a running process: each `take` gives the instructions since the one before."""

    def __init__(self, pid: int, scratch: Path) -> None:
        self._pid = pid
        self._scratch = scratch
        self._parts = 0

    async def take(self) -> int:
        """Has the process write down what it has counted, and begin anew."""
        self._parts += 1
        process = await asyncio.create_subprocess_exec(
            "callgrind_control",
            "--dump",
            str(self._pid),
            env=os.environ | {"PERL5LIB": ""},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_PATIENCE):
            if await process.wait():
                raise RuntimeError("callgrind_control cannot reach the process")
            return await self._written()

    async def _written(self) -> int:
        file = self._scratch / f"callgrind.{self._pid}.{self._parts}"
        while True:
            text = file.read_text(errors="replace") if file.exists() else ""
            _, found, rest = text.partition(_SUMMARY)
            if found and "\n" in rest:
                file.unlink()
                return int(rest.partition("\n")[0])
            await asyncio.sleep(0.05)
