"""`kmem lab`: the learner's work is never lost, and JupyterLab is opened as promised."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from kmemwidgets import cli
from kmemwidgets.learn import course_copy, lab, nodelay
from kmemwidgets.learn.course_copy import MANIFEST, Outcome, copy_course
from kmemwidgets.records import BadInput


def notebook(*sources: str, outputs: bool = False) -> str:
    shown = [{"output_type": "stream", "name": "stdout", "text": ["ran\n"]}] if outputs else []
    cells = [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "execution_count": None,
            "outputs": shown,
            "source": [text],
        }
        for i, text in enumerate(sources)
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path: Path) -> Path:
    folder = tmp_path / "the course"
    (folder / "reference").mkdir(parents=True)
    (folder / "01-a.ipynb").write_text(notebook("1 + 1"))
    (folder / "reference" / "words.md").write_text("words\n")
    (folder / "toc.toml").write_text("")
    (folder / "start.py").write_text("")
    return folder


def outcomes(report: dict[str, tuple[Outcome, str]]) -> dict[str, Outcome]:
    return {name: outcome for name, (outcome, _) in report.items()}


def test_a_new_folder_gets_what_a_learner_needs(course: Path, tmp_path: Path) -> None:
    mine = tmp_path / "my memory" / "course"
    report = copy_course(course, mine)
    assert outcomes(report) == {"01-a.ipynb": Outcome.NEW, "reference/words.md": Outcome.NEW}
    assert sorted(p.name for p in mine.rglob("*") if p.is_file()) == [MANIFEST, "01-a.ipynb", "words.md"]


def test_running_a_notebook_is_not_changing_it(course: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / "01-a.ipynb").write_text(notebook("1 + 1", outputs=True))
    assert outcomes(copy_course(course, mine))["01-a.ipynb"] is Outcome.SAME
    assert "ran" in (mine / "01-a.ipynb").read_text(), "the learner's outputs stay"
    (course / "01-a.ipynb").write_text(notebook("1 + 2"))
    assert outcomes(copy_course(course, mine))["01-a.ipynb"] is Outcome.UPDATED
    assert "1 + 2" in (mine / "01-a.ipynb").read_text()


def test_a_changed_notebook_stays_and_the_new_version_is_put_beside_it(course: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / "01-a.ipynb").write_text(notebook("my answer"))
    assert copy_course(course, mine)["01-a.ipynb"] == (Outcome.KEPT, "")
    assert not (mine / "01-a.new.ipynb").exists(), "nothing new, so nothing beside it"

    (course / "01-a.ipynb").write_text(notebook("second edition"))
    assert copy_course(course, mine)["01-a.ipynb"] == (Outcome.BESIDE, "01-a.new.ipynb")
    assert "my answer" in (mine / "01-a.ipynb").read_text()
    assert "second edition" in (mine / "01-a.new.ipynb").read_text()

    (course / "01-a.ipynb").write_text(notebook("third edition"))
    copy_course(course, mine)
    assert "third edition" in (mine / "01-a.new.ipynb").read_text(), "untouched, so it follows"

    (mine / "01-a.new.ipynb").write_text(notebook("my second answer"))
    (course / "01-a.ipynb").write_text(notebook("fourth edition"))
    assert copy_course(course, mine)["01-a.ipynb"] == (Outcome.BLOCKED, "01-a.new.ipynb")
    assert "my second answer" in (mine / "01-a.new.ipynb").read_text()
    assert "my answer" in (mine / "01-a.ipynb").read_text()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"cells": 3}', '{"files": 3}'])
def test_a_damaged_notebook_or_manifest_loses_nothing(course: Path, tmp_path: Path, damage: str) -> None:
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / "01-a.ipynb").write_text(damage)
    (mine / MANIFEST).write_text(damage)
    assert outcomes(copy_course(course, mine))["01-a.ipynb"] is Outcome.BESIDE
    assert (mine / "01-a.ipynb").read_text() == damage


def test_a_deleted_chapter_comes_back(course: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    copy_course(course, mine)
    (mine / "01-a.ipynb").unlink()
    assert outcomes(copy_course(course, mine))["01-a.ipynb"] is Outcome.NEW


def test_an_interrupted_copy_leaves_whole_files_and_knows_them(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    put = course_copy._put

    def interrupted(source: Path, target: Path) -> None:
        if target.name == "words.md":
            raise KeyboardInterrupt
        put(source, target)

    monkeypatch.setattr(course_copy, "_put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy_course(course, mine)
    monkeypatch.undo()
    assert sorted(p.name for p in mine.rglob("*") if p.is_file()) == [MANIFEST, "01-a.ipynb"]
    (course / "01-a.ipynb").write_text(notebook("second edition"))
    assert outcomes(copy_course(course, mine)) == {"01-a.ipynb": Outcome.UPDATED, "reference/words.md": Outcome.NEW}


def test_a_folder_that_cannot_be_made_is_one_clear_line(course: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot write the course.*name another folder") as caught:
        copy_course(course, tmp_path / "file" / "course")
    assert "\n" not in str(caught.value)


def test_lab_tells_what_it_kept(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lab, "course_folder", lambda: course)
    mine = tmp_path / "mine"
    assert cli.main(["lab", str(mine), "--copy-only"]) == 0
    assert "2 new files" in capsys.readouterr().out
    (mine / "01-a.ipynb").write_text(notebook("my answer"))
    (course / "01-a.ipynb").write_text(notebook("second edition"))
    assert cli.main(["lab", str(mine), "--copy-only"]) == 0
    told = capsys.readouterr().out
    assert "01-a.ipynb: kept as you changed it; the new version is beside it as 01-a.new.ipynb" in told


def test_lab_without_jupyterlab_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main(["lab", str(tmp_path / "mine")]) == 2
    told = capsys.readouterr().err
    assert "JupyterLab is not installed" in told
    assert "pip install 'kmemwidgets[course]'" in told
    assert told.count("\n") == 1


def test_what_follows_the_dashes_goes_to_jupyter_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    class Process:
        def __init__(self, command: list[str], cwd: Path) -> None:
            started.append((command, cwd))

        def wait(self) -> int:
            if not hasattr(self, "asked"):
                self.asked = True
                raise KeyboardInterrupt  # JupyterLab asks; we go on waiting for it
            return 0

    monkeypatch.setattr(lab.subprocess, "Popen", Process)
    words = ["lab", str(tmp_path), "--no-browser", "--port", "8890", "--", "--ServerApp.ip=0.0.0.0", "--debug"]
    assert cli.main(words) == 0
    command, folder = started[0]
    assert folder == tmp_path
    assert command[-2:] == ["--ServerApp.ip=0.0.0.0", "--debug"]
    assert {"--no-browser", "--port=8890", "--LabApp.news_url=None"} <= set(command)
    assert "--ServerApp.jpserver_extensions=kmemwidgets.learn.nodelay=True" in command


def test_root_may_open_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.os, "geteuid", lambda: 0)
    assert "--allow-root" in lab.lab_command("01-a.ipynb")
    monkeypatch.setattr(lab.os, "geteuid", lambda: 1000)
    assert "--allow-root" not in lab.lab_command("01-a.ipynb")


def test_the_kernel_websocket_opens_without_nagle() -> None:
    opened: list[tuple[Any, ...]] = []

    class Socket:
        def set_nodelay(self, value: bool) -> None:
            opened.append(("nodelay", value))

        async def open(self, kernel: str) -> str:
            opened.append(("open", kernel))
            return "opened"

    assert asyncio.run(nodelay.without_delay(Socket.open)(Socket(), "k1")) == "opened"
    assert opened == [("nodelay", True), ("open", "k1")]
