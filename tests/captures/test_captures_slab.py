"""Slab caches of recorded machines: every figure, every shared cache, every kmalloc."""

from __future__ import annotations

from pathlib import Path

import pytest
from casefinder import capture_id, captures

from kmemwidgets.capture import Capture
from kmemwidgets.explain import explain
from kmemwidgets.explain.slab_caches import FIGURES, predict_slab_caches
from kmemwidgets.explain.slab_inputs import cache_input, read_rows
from kmemwidgets.explain.slab_sections import SECTIONS

NAMES = [section.name for section in SECTIONS]


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_every_figure_is_predicted(path: Path) -> None:
    capture = Capture.load(path)
    for result in explain(capture, NAMES):
        assert result.misses == (), result.name
        if capture.has("slab.tsv"):
            assert result.of > 0, result.name


@pytest.mark.parametrize("path", captures(), ids=capture_id)
def test_no_prediction_reads_an_answer(path: Path) -> None:
    capture = Capture.load(path)
    text = capture.text_or_none("slab.tsv")
    if not text or text.startswith("#"):
        pytest.skip("this machine doesn't show its caches")
    rows = read_rows(text)
    blanked = [{column: "0" if column in FIGURES else value for column, value in row.items()} for row in rows]
    assert any(row[figure] != "0" for row in rows for figure in FIGURES)
    spec = capture.spec()
    assert predict_slab_caches(spec, map(cache_input, rows)) == predict_slab_caches(spec, map(cache_input, blanked))
