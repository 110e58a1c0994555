"""Binder gets the same course: what repo2docker would build, read without a container engine, and pins that resolve."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from kmemwidgets.learn import nodelay

ROOT = Path(__file__).resolve().parents[3]
PINS = ROOT / "binder" / "requirements.txt"


@pytest.fixture(scope="module")
def plan() -> tuple[str, str]:
    """Return the Dockerfile that repo2docker makes of this repository, and its log."""
    command = ["-m", "repo2docker", "--no-build", "--debug", "--user-name", "joe", "--user-id", "1001", str(ROOT)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_repo2docker_takes_the_pins_python_and_post_build_from_binder(plan: tuple[str, str]) -> None:
    dockerfile, log = plan
    # A misspelled runtime.txt falls back to another Python without an error, so each is looked for.
    assert "Building conda environment for python=3.11" in log
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in dockerfile
    assert "RUN ./binder/postBuild" in dockerfile


def test_post_build_is_a_program_that_bash_can_read() -> None:
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_requirement_is_pinned_and_fits_the_project() -> None:
    pins = [Requirement(line) for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    assert [str(pin) for pin in pins if not re.fullmatch(r"==[0-9.]+", str(pin.specifier))] == []
    versions = {pin.name: str(pin.specifier)[2:] for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["course"]
    for requirement in map(Requirement, [*asked, *project["build-system"]["requires"]]):
        assert versions[requirement.name] in requirement.specifier, requirement


def test_every_pin_resolves() -> None:
    command = ["-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "-r", str(PINS)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_turns_nagle_off() -> None:
    assert f'"{nodelay.__name__}": true' in (ROOT / "binder" / "postBuild").read_text()
