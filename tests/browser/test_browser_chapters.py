"""Every chapter in a real JupyterLab, one in Notebook 7 too: opened, run, painted, without a complaint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, Notebook, Watch, expect

from kmemwidgets.learn.course import Chapter, chapters
from kmemwidgets.learn.course_copy import copy_course

COURSE = Path(__file__).resolve().parents[2] / "course"
THERE = [chapter for chapter in chapters(COURSE) if chapter.there]
VIEW = "application/vnd.jupyter.widget-view+json"

#: Whether every code cell has run to its end.
DONE = """() => {
    const cells = jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === "code");
    return cells.every(cell => /^\\[\\d+\\]:$/.test(cell.promptNode.textContent));
}"""


def widgets_of(chapter: Chapter) -> int:
    """Count the outputs of a stored chapter that are widgets."""
    cells = json.loads((COURSE / chapter.file).read_text(encoding="utf-8"))["cells"]
    return sum(VIEW in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


@pytest.fixture(scope="module")
def course(server: Any) -> str:
    """Bring the course into the server's folder, as kmem lab would."""
    copy_course(COURSE, server.root / "my course")
    return "my course"


@pytest.mark.parametrize("chapter", THERE, ids=lambda chapter: chapter.id)
def test_a_chapter_opens_and_runs(lab: Any, course: str, chapter: Chapter) -> None:
    book = lab.show(f"{course}/{chapter.file}")
    panel = book.panel
    # Before it runs a reader sees what is stored: the pictures, not an error.
    pictures = panel.locator("img[src^='data:image/svg+xml']")
    stored = (COURSE / chapter.file).read_text(encoding="utf-8").count("data:image/svg+xml")
    expect(pictures).to_have_count(stored)
    lab.page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    lab.run_all()
    lab.page.wait_for_function(DONE, timeout=3 * PATIENCE)
    for kind in ("stderr", "error"):
        wrong = panel.locator(f"[data-mime-type='application/vnd.jupyter.{kind}']")
        assert wrong.count() == 0, wrong.first.inner_text()
    assert widgets_of(chapter) > 0, "a chapter without anything to touch"
    expect(panel.locator("section.kmem")).to_have_count(widgets_of(chapter))
    # Each picture has given way to its widget.
    expect(pictures).to_have_count(0)
    lab.close_all()


@pytest.fixture(scope="module")
def untouched(server: Any) -> str:
    """A copy that no test has run: one saved by JupyterLab is trusted, and shows widgets of a kernel that is gone."""
    copy_course(COURSE, server.root / "for Notebook 7")
    return "for Notebook 7"


@pytest.mark.parametrize("chapter", THERE, ids=lambda chapter: chapter.id)
def test_notebook_7_runs_a_chapter(server: Any, apart: Watch, untouched: str, chapter: Chapter) -> None:
    page = apart.page
    path = f"{untouched}/{chapter.file}"
    book = Notebook.at(page, f"{server.url}/notebooks/{path}", path)
    page.evaluate("() => jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(DONE, timeout=3 * PATIENCE)
    expect(book.panel.locator("section.kmem")).to_have_count(widgets_of(chapter))
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
