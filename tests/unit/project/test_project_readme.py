"""What the README promises is so: its links lead somewhere, its commands exist, its example runs when pasted."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from kmemwidgets.cli import COMMANDS
from kmemwidgets.learn.course import chapters

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
BINDER = f"https://mybinder.org/v2/gh/{SOURCE.removeprefix('https://github.com/')}/HEAD?urlpath=lab/tree/course/"
THERE = [chapter for chapter in chapters(ROOT / "course") if chapter.there]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_every_chapter_has_its_row_and_nothing_else_has_one() -> None:
    row = r"^\| (\d+) \| \[(.+?)\]\(course/(.+?)\) \| (\d+) min \| \[run on Binder\]\((.+?)\) \|$"
    rows = re.findall(row, README, re.MULTILINE)
    assert rows == [(str(c.number), c.title, c.file, str(c.minutes), BINDER + c.file) for c in THERE]
    assert f"{len(THERE)} of {len(chapters(ROOT / 'course'))} chapters are written" in README


def test_the_badge_opens_the_first_chapter_of_this_repository() -> None:
    badge = re.search(r"\[!\[.*?\]\(https://mybinder.org/badge_logo.svg\)\]\((.*?)\)", README)
    assert badge is not None
    assert badge[1] == BINDER + THERE[0].file
    clone = blocks("sh")[0].splitlines()[0]
    assert clone == f"git clone {SOURCE} && cd {SOURCE.rpartition('/')[2]}"


def test_every_link_into_the_project_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_two_commands_are_scripts_that_explain_themselves() -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("python3 ")]
    assert commands == ["python3 course/start.py", "python3 tests/run.py"]
    done = subprocess.run([sys.executable, "tests/run.py", "no-such-part"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "no part is called no-such-part" in done.stdout


def test_every_command_of_kmem_is_named() -> None:
    assert set(re.findall(r"`kmem (\w+)", README)) == set(COMMANDS)


def test_the_example_has_ten_lines_and_runs_when_pasted() -> None:
    (example,) = blocks("python")
    assert sum(1 for line in example.splitlines() if line.strip()) <= 10
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^\d+ kB free on the recorded machine\nfour frames from pfn 0x[0-9a-f]+$", done.stdout, re.M)


def test_the_example_s_last_line_shows_both_widgets() -> None:
    *before, last = blocks("python")[0].rstrip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(before), names)
    shown = eval(last, names)
    assert [type(widget).__name__ for widget in shown.children] == ["FrameMap", "ZoneDiagram"]


def test_the_picture_is_a_picture_with_words() -> None:
    alt, path = re.findall(r"!\[([^\]]+)\]\(([^)]+\.svg)\)", README)[-1]
    assert len(alt) > 20
    assert (ROOT / path).read_text(encoding="utf-8").startswith("<svg")
