"""Every chapter runs and gives what is stored in it, compared output by output (nbval, strict)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COURSE = Path(__file__).resolve().parents[2] / "course"
CHAPTERS = sorted(COURSE.glob("*.ipynb"))

VIEW = "application/vnd.jupyter.widget-view+json"

#: nbval's tags that take a cell out of the comparison.
UNCOMPARED = {"nbval-skip", "nbval-ignore-output", "raises-exception"}


def nbval(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Run notebooks of one folder against their stored outputs, in this environment's kernel."""
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120", "-v", "--tb=short"]
    apart = ["-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(paths[0].parent)]
    command = [sys.executable, "-m", "pytest", *options, *apart, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=paths[0].parent)


def outcomes(printed: str, path: Path) -> list[str]:
    """Return what became of each code cell of a notebook."""
    return re.findall(rf"^{re.escape(path.stem)}::ipynb::Cell \d+ ([A-Z]+)", printed, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> str:
    """Run the chapters that are asked for in one go: starting pytest for each would take longer than most of them."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asked = [item for item in items if item.originalname == test_a_chapter_gives_what_is_stored.__name__]
    done = nbval(*(item.callspec.params["path"] for item in asked))
    return done.stdout + done.stderr


def read(path: Path) -> dict[str, Any]:
    book: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return book


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_gives_what_is_stored(path: Path, run: str) -> None:
    cells = sum(cell["cell_type"] == "code" for cell in read(path)["cells"])
    told = run[run.find(f"{path.name}:") :][:6000] if "= FAILURES =" in run else run[-3000:]
    assert outcomes(run, path) == ["PASSED"] * cells, told


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_is_stored_as_it_must_be(path: Path) -> None:
    book = read(path)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in book["metadata"], "no widget state"
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    # nbval compares nothing in a cell without a count; counts that run on show one whole, ordered run.
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in book["cells"]:
        assert not UNCOMPARED & set(cell["metadata"].get("tags", [])), cell["id"]
        assert "NBVAL_" not in "".join(cell["source"]), cell["id"]
    stored = json.dumps([cell["outputs"] for cell in code])
    assert " object at 0x" not in stored, "no Python object ids"
    assert "application/javascript" not in stored
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_picture_has_words_beside_it(path: Path) -> None:
    for cell in read(path)["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if VIEW in data:
                words = "".join(data.get("text/plain", ""))
                assert len(words) > 20, f"{cell['id']}: a widget needs text for those who don't see it"


def outputs(book: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in book["cells"]:
        yield from cell.get("outputs", [])


def test_tampered_results_words_and_pictures_are_noticed(tmp_path: Path) -> None:
    book = read(CHAPTERS[0])
    printed = next(output for output in outputs(book) if output["output_type"] == "stream")
    printed["text"] = ["something else\n"]
    shown = [output["data"] for output in outputs(book) if "text/html" in output.get("data", {})]
    picture = "".join(shown[0]["text/html"])
    shown[0]["text/html"] = [picture.replace("base64,P", "base64,Q")]
    wordless = next(data for output in outputs(book) if VIEW in (data := output.get("data", {})) and data not in shown)
    wordless["text/plain"] = ["a widget of something else"]
    copy = tmp_path / "tampered.ipynb"
    copy.write_text(json.dumps(book), encoding="utf-8")
    done = nbval(copy)
    assert done.returncode == 1, done.stdout
    assert "3 failed" in done.stdout


#: A chapter, and a rule that it must notice a change of: module, rule, the changed value.
CHANGED_RULES = [
    ("11-buddy", "page_alloc", "keeps_upper_half", "True"),
    ("15-gfp", "watermark", "lowered", "lambda mark, flags: mark"),
    ("17-replay", "page_alloc", "merge_likely_to_tail", "False"),
]

CHANGE = """
from dataclasses import replace
from kmemwidgets.sim.rules import {module} as rules

rules.TABLE = tuple(replace(rule, value={value}) if rule.name == "{rule}" else rule for rule in rules.TABLE)
"""


@pytest.mark.parametrize(("chapter", "module", "rule", "value"), CHANGED_RULES)
def test_a_changed_rule_makes_a_chapter_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chapter: str, module: str, rule: str, value: str
) -> None:
    """Every Python that the notebook starts gets the changed rule before its first cell."""
    (tmp_path / "sitecustomize.py").write_text(CHANGE.format(module=module, rule=rule, value=value))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = COURSE / f"{chapter}.ipynb"
    done = nbval(path)
    assert done.returncode == 1, done.stdout
    became = outcomes(done.stdout, path)
    assert became[0] == "PASSED", "the notebook itself still works"
    assert "FAILED" in became
