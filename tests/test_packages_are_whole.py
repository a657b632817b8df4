"""What users install is whole: the sdist holds every file, and every module of the wheel built from it imports.

The build runs in a copy of the sources, without isolation: it needs setuptools from the extra ``dev`` and no network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from helpers.house import HOUSE, ROOMS, modules

SOURCES = (*ROOMS, "pyproject.toml", "setup.py", "README.md", "LICENSE")
# Imports every module from the folder it is given, and says which ones came from anywhere else.
IMPORT_ALL = """
import importlib, sys
from pathlib import Path
folder, names = sys.argv[1], sys.argv[2:]
sys.path.insert(0, folder)
for name in names:
    file = importlib.import_module(name).__file__
    if not Path(file).is_relative_to(folder):
        print(name, file)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of sdist and wheel; the wheel is built from the sdist."""
    folder = tmp_path_factory.mktemp("build")
    source, out = folder / "source", folder / "dist"
    source.mkdir()
    for name in SOURCES:
        if (HOUSE / name).is_dir():
            shutil.copytree(HOUSE / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(HOUSE / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


def shipped_files() -> set[Path]:
    """Every file of the three folders that a user needs, relative to the house."""
    return {
        file.relative_to(HOUSE)
        for room in ROOMS
        for file in (HOUSE / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def in_wheel(file: Path) -> str:
    """Where a file of the house stands in the wheel."""
    return "/".join((*ROOMS[file.parts[0]].split("."), *file.parts[1:]))


def test_the_sdist_holds_every_file(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        held = {Path(*Path(name).parts[1:]) for name in tar.getnames()}
    assert not shipped_files() - held
    assert {Path("pyproject.toml"), Path("setup.py"), Path("README.md"), Path("LICENSE")} <= held


def test_the_wheel_holds_every_file_and_nothing_beside_the_package(built: Path) -> None:
    (archive,) = built.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {in_wheel(file) for file in shipped_files()}


def test_every_module_of_the_wheel_can_be_imported(built: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("*.whl")
    with zipfile.ZipFile(archive) as wheel:
        wheel.extractall(tmp_path / "site")
    command = [sys.executable, "-c", IMPORT_ALL, str(tmp_path / "site"), *sorted(modules())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == ""
