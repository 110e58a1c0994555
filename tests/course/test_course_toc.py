"""The table of contents: every chapter numbered once, every file where it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kmemwidgets.learn.course import Chapter, chapters

ROOT = Path(__file__).resolve().parents[2]
COURSE = ROOT / "course"
ALL = chapters(COURSE)
THERE = [chapter for chapter in ALL if chapter.there]


def test_numbers_ids_and_files_are_each_used_once_and_fit_together() -> None:
    assert [chapter.number for chapter in ALL] == list(range(1, len(ALL) + 1))
    assert len({chapter.id for chapter in ALL}) == len(ALL)
    assert [chapter.file for chapter in ALL] == [f"{chapter.number:02}-{chapter.id}.ipynb" for chapter in ALL]
    assert all(10 <= chapter.minutes <= 60 for chapter in ALL)


def test_a_chapter_needs_only_chapters_before_it() -> None:
    seen: set[str] = set()
    for chapter in ALL:
        assert set(chapter.needs) <= seen, chapter.id
        seen.add(chapter.id)


def test_what_is_there_is_what_is_in_the_folder() -> None:
    assert sorted(path.name for path in COURSE.glob("*.ipynb")) == [chapter.file for chapter in THERE]


def markdown(chapter: Chapter) -> list[str]:
    cells = json.loads((COURSE / chapter.file).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


@pytest.mark.parametrize("chapter", THERE, ids=lambda chapter: chapter.id)
def test_a_chapter_has_the_form_of_a_chapter(chapter: Chapter) -> None:
    text = markdown(chapter)
    assert text[0].startswith(f"# {chapter.number}. {chapter.title}\n")
    assert f"{chapter.minutes} minutes" in text[0]
    headings = [line[3:] for cell in text for line in cell.splitlines() if line.startswith("## ")]
    for needed in ("What you will learn", "Predict", "What a real kernel shows", "Exercises", "Take-away", "Next"):
        assert needed in headings, f"{chapter.file} has no section {needed!r}"
    assert headings[0] == "What you will learn"
    assert headings[-1] == "Next"


@pytest.mark.parametrize("chapter", THERE, ids=lambda chapter: chapter.id)
def test_links_between_chapters_lead_somewhere(chapter: Chapter) -> None:
    for cell in markdown(chapter):
        for target in re.findall(r"\]\(([^)#]+)\)", cell):
            if not target.startswith("http"):
                assert (COURSE / target).exists(), f"{chapter.file} links to {target}"
