"""What is installed is whole: the wheel holds all that the package and the course need, and imports alone."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from kmemwidgets import __version__

ROOT = Path(__file__).resolve().parents[3]

#: Loaded by none of the rooms below the widgets.
JUPYTER = ("ipywidgets", "anywidget", "bqplot", "traitlets", "IPython", "numpy", "pandas")


def tracked(folder: str) -> set[str]:
    """Return what a folder of the project holds, without what tools leave there."""
    noise = {"__pycache__", ".ipynb_checkpoints"}
    paths = (ROOT / folder).rglob("*")
    return {p.relative_to(ROOT).as_posix() for p in paths if p.is_file() and not noise & set(p.parts)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file_of_the_package_and_of_the_course(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    course = {name.replace("course/", "kmemwidgets/_course/", 1) for name in tracked("course")}
    assert sorted((tracked("kmemwidgets") | course) - names) == []
    for needed in ("kmemwidgets/py.typed", "kmemwidgets/_course/toc.toml"):
        assert needed in names
    stray = {n for n in names if not n.startswith(("kmemwidgets/", f"kmemwidgets-{__version__}.dist-info/"))}
    assert not stray


def test_the_chapters_that_are_there_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    toc = tomllib.loads(wheel.read("kmemwidgets/_course/toc.toml").decode())
    there = [c["file"] for part in toc["part"] for c in part["chapter"] if c["status"] == "there"]
    missing = [name for name in there if f"kmemwidgets/_course/{name}" not in wheel.namelist()]
    assert missing == []


def test_the_wheel_names_what_it_needs_and_the_command(wheel: zipfile.ZipFile) -> None:
    info = f"kmemwidgets-{__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert f"Version: {__version__}" in metadata
    assert "License-Expression: BSD-3-Clause" in metadata
    assert "Requires-Python: >=3.11" in metadata
    required = {line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra" not in line}
    assert {line.split()[1].split("<")[0].split(">")[0] for line in required} == {"ipywidgets", "anywidget", "bqplot"}
    assert "kmem = kmemwidgets.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_without_jupyter_the_simulator_imports_and_the_course_is_copied(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    home = tmp_path / "an environment"
    venv.create(home, with_pip=False, symlinks=True)
    (site,) = home.glob("lib/python3*/site-packages")
    wheel.extractall(site)
    python = str(home / "bin" / "python")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, *words], capture_output=True, text=True, check=False, cwd=tmp_path, env={})

    rooms = "records arch procfs tracefs capture sim classic replay explain learn"
    code = f"import importlib, sys\nfor room in {rooms.split()!r}: importlib.import_module('kmemwidgets.' + room)\n"
    code += f"print(sorted(set({JUPYTER!r}) & set(sys.modules)))"
    done = run("-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")

    done = run("-m", "kmemwidgets.cli", "lab", "mine", "--copy-only")
    assert done.returncode == 0, done.stderr
    done = run("-m", "kmemwidgets.cli", "lab", "mine")
    assert done.returncode == 2
    assert "JupyterLab is not installed" in done.stderr
