"""What makes a Windows ready under Wine, as far as no Wine is needed."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import windows

PACKAGE = """
import os, setuptools.build_meta, sys
backend = setuptools.build_meta.__legacy__
assert backend.get_requires_for_build_wheel() == []
print(backend.prepare_metadata_for_build_wheel(sys.argv[1]))
"""


def test_what_is_needed_of_python_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "PYTHON", tmp_path)
    needed = {"python.exe", "DLLs/_ssl.pyd", "Lib/ssl.py"}
    others = {"Lib/site-packages/pip/__init__.py", "Lib/test/test_ssl.py", "DLLs/_wmi.pyd", "tcl/tcl8.6/init.tcl"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "")
        archive.writestr(windows.INSIDE, "")
        for name in needed | others:
            archive.writestr(windows.INSIDE + name, name)
    windows.unpack(packed.getvalue())
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == needed


def test_pip_learns_what_a_package_is_and_runs_nothing_of_it(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    told = "Metadata-Version: 2.1\nName: some-package\nVersion: 3.1\n"
    (package / "PKG-INFO").write_text(told)
    (package / "setup.py").write_text("raise SystemExit('it was run')")
    backend = tmp_path / "path" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(windows.STAND_IN)
    ended = subprocess.run(
        [sys.executable, "-c", PACKAGE, tmp_path],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(backend.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.strip() == "some_package-3.1.dist-info"
    assert (tmp_path / "some_package-3.1.dist-info" / "METADATA").read_text() == told


def test_a_path_as_wine_shows_it() -> None:
    assert windows.windows_path(Path("/srv/a b/c.py")) == r"Z:\srv\a b\c.py"
