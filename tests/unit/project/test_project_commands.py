"""The README's two commands: they use what is there, make what is missing, and say plainly what they cannot do."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"command_{Path(path).stem}", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the environment's maker, for a project in a folder of the test's, with all commands taken down only."""
    module: Any = load("course/environment.py")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "kmemwidgets.json")
    module.calls = []

    def call(words: list[str], cwd: str) -> int:
        module.calls.append(words)
        if words[1:3] == ["-m", "venv"]:
            python = module.python_of(module.VENV)
            python.parent.mkdir(parents=True, exist_ok=True)
            python.write_text("")
        return 0

    monkeypatch.setattr(module.subprocess, "call", call)
    return module


def test_the_environment_is_made_once_and_again_when_it_does_not_fit(environment: Any, tmp_path: Path) -> None:
    python = environment.prepare("course")
    assert python == tmp_path / ".venv" / "bin" / "python"
    assert [words[2] for words in environment.calls] == ["venv", "pip"]
    assert environment.calls[1][-1] == ".[course]"

    environment.calls.clear()
    environment.prepare("course")
    assert environment.calls == [], "nothing to do the second time"
    environment.prepare("test")
    assert [words[-1] for words in environment.calls] == [".[test]"]
    assert json.loads(environment.STAMP.read_text())["extras"] == ["course", "test"]

    environment.calls.clear()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    environment.prepare("course")
    assert [words[2] for words in environment.calls] == ["venv", "pip"], "pyproject has changed"


def test_what_goes_wrong_is_one_plain_line(environment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.subprocess, "call", lambda words, cwd: 1)
    with pytest.raises(SystemExit, match="sudo apt-get install python3-venv"):
        environment.prepare("course")
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, and this is .*python3\.11"):
        environment.prepare("course")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    before = list(sys.path)
    module: Any = load("tests/run.py")
    sys.path[:] = before
    module.calls = []
    monkeypatch.setattr(module, "prepare", lambda extra: Path("/env/python"))
    monkeypatch.delenv("KMEM_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "may_install", lambda: False)

    def call(words: list[str], **more: Any) -> int:
        module.calls.append((words, more.get("env", {})))
        return 1 if "mypy" in words else 0

    monkeypatch.setattr(module.subprocess, "call", call)
    return module


def browser(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_browser_is_found_by_variable_and_by_name(
    runner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.find_browser() is None
    chrome = browser(tmp_path, "google-chrome")
    assert runner.find_browser() == str(chrome)
    chromium = browser(tmp_path, "chromium")
    assert runner.find_browser() == str(chromium)
    monkeypatch.setenv("KMEM_BROWSER", str(chrome))
    assert runner.find_browser() == str(chrome)
    monkeypatch.setenv("KMEM_BROWSER", str(tmp_path / "gone"))
    assert runner.find_browser() is None


def test_without_a_browser_the_rest_runs_and_the_whole_fails(runner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["unit", "browser"]) == 1
    said = capsys.readouterr().out
    assert "sudo apt-get install chromium" in said
    assert "KMEM_BROWSER" in said
    assert "failed: browser (no Chromium)" in said
    assert [words[-1] for words, _ in runner.calls] == ["tests/unit"]


def test_as_root_on_debian_a_browser_is_installed(runner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "may_install", lambda: True)
    installed = []

    def call(words: list[str], **more: Any) -> int:
        if words[0] == "apt-get":
            installed.append(words[1])
            browser(tmp_path, "chromium")
        else:
            runner.calls.append((words, more["env"]))
        return 0

    monkeypatch.setattr(runner.subprocess, "call", call)
    assert runner.main(["browser"]) == 0
    assert installed == ["update", "install"]
    assert runner.calls[0][1]["KMEM_BROWSER"] == str(tmp_path / "chromium")


def test_pytest_runs_last_and_one_failure_fails_the_whole(
    runner: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    browser(tmp_path, "chromium")
    assert runner.main([]) == 1
    assert runner.calls[-1][0][1:] == ["-m", "pytest", *(f"tests/{name}" for name in runner.SUITES)]
    assert capsys.readouterr().out.rstrip().endswith("failed: types")
    assert runner.main(["unit", "--", "-k", "zone"]) == 0
    assert runner.calls[-1][0][-3:] == ["tests/unit", "-k", "zone"]
