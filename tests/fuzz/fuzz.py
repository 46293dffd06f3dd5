"""Fuzzes one target with atheris: `python tests/fuzz/fuzz.py TARGET [libFuzzer's arguments]`; without one, lists them.

What libFuzzer learns stays under `.make/fuzz`, where the next run goes on from it; an input that fails is written there.
"""

import importlib
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
KEPT = TESTS.parent / ".make" / "fuzz"


def main(arguments: list[str]) -> str | None:
    """Runs until the bound that the arguments set, or the first finding."""
    import atheris  # type: ignore[import-untyped, unused-ignore]  # noqa: PLC0415 - only in its own environment

    sys.path[0] = str(TESTS)  # not this folder, whose `fuzz` is this file
    with atheris.instrument_imports(include=["cody_oai_router"]):
        targets = importlib.import_module("fuzz.targets")
    name, *rest = arguments or [""]
    if name not in targets.TARGETS:
        return f"Name one of: {' '.join(targets.TARGETS)}"
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([__file__, f"-artifact_prefix={KEPT / name}-", *rest, str(corpus)], targets.TARGETS[name])
    atheris.Fuzz()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
