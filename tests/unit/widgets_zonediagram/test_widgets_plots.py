"""Plots: the same numbers as bqplot, as SVG and as a table."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmemwidgets.widgets.plots import Chart, Plot, Series, draw, legend, nice_ticks, shown, table

PLOT = Plot(
    "Pages <b>by</b> order", (0, 1, 2),
    (Series("a", (1, 2, 3), "#112233", "bars"), Series("b", (4, 0, 1), "#445566", "bars"),
     Series("free", (2.5, None, 1), "#778899"), Series("mark", (1, 1, 1), "#aabbcc", "points")),
    x_label="order", y_label="pages",
)  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def test_bars_stand_on_each_other() -> None:
    root = ET.fromstring(draw(PLOT))
    bars = [rect.attrib for rect in root.iter(f"{SVG}rect")]
    assert [bar["fill"] for bar in bars] == ["#112233", "#445566", "#112233", "#112233", "#445566"]
    first, second = (({key: float(bar[key]) for key in ("x", "y", "height")}) for bar in bars[:2])
    assert second["y"] + second["height"] == pytest.approx(first["y"])
    assert second["height"] == pytest.approx(4 * first["height"], abs=0.1)


def test_a_third_bar_stands_on_both() -> None:
    series = tuple(Series(name, (2,), f"#{name * 6}", "bars") for name in "abc")
    rects = list(ET.fromstring(draw(Plot("t", ("x",), series))).iter(f"{SVG}rect"))
    feet = [float(rect.attrib["y"]) + float(rect.attrib["height"]) for rect in rects]
    tops = [float(rect.attrib["y"]) for rect in rects]
    assert feet[1:] == pytest.approx(tops[:-1], abs=0.02)


def test_a_gap_breaks_the_line() -> None:
    lines = [line for line in ET.fromstring(draw(PLOT)).iter(f"{SVG}polyline") if line.get("stroke") == "#778899"]
    assert len(lines) == 2


def test_text_is_escaped_and_the_same_twice() -> None:
    assert "<b>" not in draw(PLOT)
    assert ET.fromstring(draw(PLOT)).get("aria-label") == PLOT.title
    assert draw(PLOT) == draw(PLOT)


def test_the_table_has_all_numbers() -> None:
    assert table(PLOT) == {
        "caption": "Pages <b>by</b> order",
        "head": ["order", "a", "b", "free", "mark"],
        "rows": [["0", "1", "4", "2.5", "1"], ["1", "2", "0", "–", "1"], ["2", "3", "1", "1", "1"]],
    }
    assert legend(PLOT)[0] == ["a", "#112233", "bars"]


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_ticks_are_round_and_cover(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    slack = (abs(low) + span + 1) * 1e-6
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + span - slack
    assert 2 <= len(ticks) <= 12


@pytest.mark.parametrize("numbers", [(), (5,), (0, 0), (1e12, -3)])
def test_odd_amounts_are_drawn(numbers: tuple[float, ...]) -> None:
    plot = Plot("t", tuple(range(len(numbers))), (Series("s", numbers, "#000000"),), ordinal=False)
    ET.fromstring(draw(plot))


def test_series_must_fit() -> None:
    with pytest.raises(ValueError, match="'s' has 2 values for 1 places"):
        Plot("t", (1,), (Series("s", (1, 2), "#000000"),))


def test_shown() -> None:
    assert [shown(value) for value in (1234567, 0.25, None, "DMA", 1 / 3)] == [
        "1,234,567",
        "0.25",
        "–",
        "DMA",
        "0.3333",
    ]


def test_the_figure_gets_the_same_numbers() -> None:
    pytest.importorskip("bqplot")
    chart = Chart()
    told = chart.show(PLOT)
    assert told["svg"] == ""
    bars, line, points = chart.figure.marks
    assert bars.y.tolist() == [[1, 2, 3], [4, 0, 1]]
    assert list(bars.x) == ["0", "1", "2"]
    assert line.y.tolist()[::2] == [2.5, 1]
    assert points.y.tolist() == [1, 1, 1]
    figure = chart.figure
    gap = Plot("t", (0, 1), (Series("p", (None, 3), "#000000", "points"), Series("l", (None, 3), "#000000")))
    chart.show(gap)
    assert chart.figure.marks[0].y.tolist() == [3]
    assert list(chart.figure.marks[0].x) == ["1"]
    assert str(chart.figure.marks[1].y.tolist()) == "[nan, 3.0]"
    chart.show(Plot("t", (0, 1), tuple(Series(s.name, (7, 8), s.color, s.kind) for s in PLOT.series), "order", "pages"))
    assert chart.figure is figure
    assert bars.y.tolist() == [[7, 8], [7, 8]]
    chart.close()
    assert chart.figure is None


def test_without_bqplot_it_is_svg() -> None:
    chart = Chart("no_such_module")
    told = chart.show(PLOT)
    assert chart.figure is None
    assert told["svg"] == draw(PLOT)
    assert told["table"] == table(PLOT)


def test_importing_costs_no_bqplot() -> None:
    code = (
        "import sys, kmemwidgets.widgets.plots; print([m for m in ('bqplot', 'numpy', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
