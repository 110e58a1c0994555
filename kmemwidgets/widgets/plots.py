"""Quantities over time, over order or by name: bqplot where it imports, the same series as SVG where it does not.

bqplot costs the better part of a second to import (numpy, pandas), and has no build for Pyodide; so it is loaded
when a plot is first drawn, and only here. A table of the same numbers goes with both, for screen readers.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ._picture import tag, words

#: Hues after Okabe and Ito, seen on light and on dark paper.
HUES = ("#0072b2", "#d55e00", "#00875f", "#e69f00", "#b5408c", "#56b4e9", "#6a4fc0", "#7b8794")

#: Ink and lines: the page's theme where there is one, else as on white paper.
INK, SOFT, LINE = "var(--kmem-ink, #16191d)", "var(--kmem-ink-soft, #454c55)", "var(--kmem-line, #d5dae0)"

#: From here on a tick's number is written short: 10k.
_THOUSANDS = 10_000

_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 12, 40


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers under one name.

    Attributes
    ----------
    name : str
    values : tuple of float or None
        One for each x; None leaves a gap.
    color : str
        #rrggbb.
    kind : {"line", "bars", "points"}
        Bars stand on those of the series before.
    """

    name: str
    values: tuple[float | None, ...]
    color: str
    kind: str = "line"


@dataclass(frozen=True, slots=True)
class Plot:
    """Series over the same x.

    Attributes
    ----------
    x : tuple of float, or of str
        Numbers (a moment, an order) or names.
    series : tuple of Series
    x_label, y_label : str
    title : str
        What it shows, for a screen reader.
    ordinal : bool
        Whether each x has a place of its own; else x is a measure.
    """

    title: str
    x: tuple[Any, ...]
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    ordinal: bool = field(default=True)

    def __post_init__(self) -> None:
        for each in self.series:
            if len(each.values) != len(self.x):
                raise ValueError(f"series {each.name!r} has {len(each.values)} values for {len(self.x)} places")


def table(plot: Plot) -> dict[str, Any]:
    """Return the numbers as rows: what a screen reader reads."""
    return {
        "caption": plot.title,
        "head": [plot.x_label or "x", *(each.name for each in plot.series)],
        "rows": [[shown(x), *(shown(each.values[i]) for each in plot.series)] for i, x in enumerate(plot.x)],
    }


def legend(plot: Plot) -> list[list[str]]:
    """Return name, colour and kind of each series."""
    return [[each.name, each.color, each.kind] for each in plot.series]


def shown(value: Any) -> str:
    """Write a number for people: groups of three, four digits behind the point at most."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")


# As SVG ---------------------------------------------------------------------------------


def draw(plot: Plot, width: int = 640, height: int = 220) -> str:
    """Return the plot as SVG that follows the page's theme where it is put into a page.

    The same input gives the same text.
    """
    lows, highs = _extent(plot)
    ticks = nice_ticks(lows, highs)
    low, high = min(lows, ticks[0]), max(highs, ticks[-1])
    inner = (width - _LEFT - _RIGHT, height - _TOP - _BOTTOM)

    def at_y(value: float) -> float:
        return _TOP + inner[1] * (1 - (value - low) / (high - low))

    places = _places(plot, inner[0])
    parts = []
    for tick in ticks:
        y = at_y(tick)
        parts.append(tag("line", x1=_LEFT, x2=width - _RIGHT, y1=y, y2=y, stroke=LINE, stroke_width=1))
        parts.append(words(_short(tick), _LEFT - 6, y + 4, size=11, fill=SOFT, text_anchor="end"))
    parts += _x_ticks(plot, places, height)
    parts += _bars(plot, places, at_y, inner[0])
    for each in plot.series:
        if each.kind != "bars":
            parts += _dots(each, places, at_y) if each.kind == "points" else _line(each, places, at_y)
    if plot.x_label:
        parts.append(words(plot.x_label, _LEFT + inner[0] / 2, height - 4, size=11, fill=SOFT, text_anchor="middle"))
    if plot.y_label:
        turn = f"translate(12 {_TOP + inner[1] / 2:.1f}) rotate(-90)"
        parts.append(words(plot.y_label, 0, 0, size=11, fill=SOFT, text_anchor="middle", transform=turn))
    return tag(
        "svg", "".join(parts), xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}",
        role="img", aria_label=plot.title,
    )  # fmt: skip


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers from at most `low` to at least `high`."""
    if high - low < 1e-12 * max(1.0, abs(low)):
        high = low + 1
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _extent(plot: Plot) -> tuple[float, float]:
    stacks = [sum(each.values[i] or 0 for each in plot.series if each.kind == "bars") for i in range(len(plot.x))]
    values = [value for each in plot.series if each.kind != "bars" for value in each.values if value is not None]
    every = [0.0, *stacks, *values]
    return min(every), max(every)


def _places(plot: Plot, room: float) -> list[float]:
    count = len(plot.x)
    if plot.ordinal:
        return [_LEFT + room * (i + 0.5) / count for i in range(count)]
    low, high = (min(plot.x), max(plot.x)) if count else (0, 1)
    span = (high - low) or 1
    return [_LEFT + room * (x - low) / span for x in plot.x]


def _x_ticks(plot: Plot, places: Sequence[float], height: int) -> list[str]:
    y = height - _BOTTOM + 16
    if plot.ordinal:
        every = max(1, math.ceil(len(plot.x) / 16))
        return [
            words(shown(x), places[i], y, size=11, fill=SOFT, text_anchor="middle")
            for i, x in enumerate(plot.x)
            if i % every == 0
        ]
    if len(plot.x) < 2:
        return [words(shown(x), places[0], y, size=11, fill=SOFT) for x in plot.x]
    low, high = min(plot.x), max(plot.x)
    left, right = min(places), max(places)
    ticks = [tick for tick in nice_ticks(low, high, 6) if low <= tick <= high]
    return [
        words(
            _short(tick),
            left + (right - left) * (tick - low) / (high - low),
            y,
            size=11,
            fill=SOFT,
            text_anchor="middle",
        )
        for tick in ticks
    ]


def _bars(plot: Plot, places: Sequence[float], at_y: Any, room: float) -> list[str]:
    wide = max(1.0, min(46.0, room / max(1, len(places)) * 0.66))
    parts = []
    for i, x in enumerate(places):
        base = 0.0
        for each in plot.series:
            value = each.values[i] if each.kind == "bars" else None
            if not value:
                continue
            top, foot = at_y(base + value), at_y(base)
            parts.append(tag("rect", x=x - wide / 2, y=top, width=wide, height=max(foot - top, 0.5), fill=each.color))
            base += value
    return parts


def _line(series: Series, places: Sequence[float], at_y: Any) -> list[str]:
    runs: list[list[str]] = [[]]
    for x, value in zip(places, series.values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{x:.1f},{at_y(value):.1f}")
    look = {"fill": "none", "stroke": series.color, "stroke_width": 2, "stroke_linejoin": "round"}
    return [tag("polyline", points=" ".join(run), **look) for run in runs if run]


def _dots(series: Series, places: Sequence[float], at_y: Any) -> list[str]:
    return [
        tag("path", d=f"M{x:.1f} {at_y(v) - 5:.1f}l5 5l-5 5l-5 -5z", fill=series.color, stroke=INK, stroke_width=1)
        for x, v in zip(places, series.values, strict=True)
        if v is not None
    ]


def _short(value: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):g}{sign}"
    return f"{value:g}"


# As bqplot ------------------------------------------------------------------------------


class Chart:
    """A plot on the page. A figure is made once for each kind of plot, and its marks are changed in place.

    Attributes
    ----------
    figure : ipywidgets.Widget or None
        None where bqplot can't be imported, and before the first `show`.
    """

    def __init__(self, module: str = "bqplot") -> None:
        self._module = module
        self._made: dict[tuple[Any, ...], tuple[Any, list[Any]]] = {}
        self.figure: Any = None

    def show(self, plot: Plot) -> dict[str, Any]:
        """Bring the figure up to date; return what the front end draws around, or instead of, it."""
        shape = (plot.ordinal, plot.x_label, plot.y_label, *((s.color, s.kind) for s in plot.series))
        if shape not in self._made:
            try:
                bq = importlib.import_module(self._module)
            except ImportError:
                return self._around(plot, draw(plot))
            self._made[shape] = self._make(bq, plot)
        self.figure, marks = self._made[shape]
        self._fill(self.figure, marks, plot)
        return self._around(plot, "")

    def close(self) -> None:
        """Remove all figures from the page."""
        for figure, marks in self._made.values():
            for each in (*marks, *figure.axes, figure):
                each.close()
        self._made.clear()
        self.figure = None

    @staticmethod
    def _around(plot: Plot, picture: str) -> dict[str, Any]:
        return {"title": plot.title, "table": table(plot), "legend": legend(plot), "svg": picture}

    @staticmethod
    def _make(bq: Any, plot: Plot) -> tuple[Any, list[Any]]:
        marks: list[Any] = []
        # A name is ordinal, and so is an order; both keep their place when the numbers change.
        scales = {"x": bq.OrdinalScale() if plot.ordinal else bq.LinearScale(), "y": bq.LinearScale()}
        stacked = [each for each in plot.series if each.kind == "bars"]
        if stacked:
            colors = [each.color for each in stacked]
            marks.append(bq.Bars(scales=scales, colors=colors, type="stacked", padding=0.3, stroke="transparent"))
        for each in plot.series:
            if each.kind == "line":
                marks.append(bq.Lines(scales=scales, colors=[each.color], stroke_width=2))
            elif each.kind == "points":
                marks.append(
                    bq.Scatter(scales=scales, colors=[each.color], marker="diamond", default_size=60, stroke="black")
                )
        axes = [
            bq.Axis(scale=scales["x"], label=plot.x_label, grid_lines="none", label_offset="32px"),
            bq.Axis(scale=scales["y"], label=plot.y_label, side="left", label_offset="54px"),
        ]
        figure = bq.Figure(
            marks=marks, axes=axes, animation_duration=0,
            fig_margin={"top": _TOP, "bottom": _BOTTOM, "left": _LEFT, "right": _RIGHT},
            background_style={"fill": "transparent"}, padding_y=0, display_toolbar=False,
            min_aspect_ratio=0.1, max_aspect_ratio=100,
        )  # fmt: skip
        figure.layout.height = "220px"
        figure.layout.width = "100%"
        return figure, marks

    def _fill(self, figure: Any, marks: Sequence[Any], plot: Plot) -> None:
        numpy = importlib.import_module("numpy")
        x: list[Any] = [shown(each) if plot.ordinal else float(each) for each in plot.x]
        ticks = nice_ticks(*_extent(plot))
        axis = figure.axes[1]
        axis.scale.min, axis.scale.max = ticks[0], ticks[-1]
        axis.tick_values = numpy.array(ticks)
        axis.tick_format = "~s" if ticks[-1] >= _THOUSANDS else "~g"
        if not plot.ordinal and len(x) > 1:
            # Moments are counted: no tick between two of them.
            whole = [tick for tick in nice_ticks(min(x), max(x), 6) if min(x) <= tick <= max(x) and tick == int(tick)]
            figure.axes[0].tick_values = numpy.array(whole)
            figure.axes[0].tick_format = "~s" if max(x) >= _THOUSANDS else "~g"
        left = list(marks)
        rows = [[value or 0.0 for value in each.values] for each in plot.series if each.kind == "bars"]
        if rows:
            self._put(left.pop(0), numpy.array(x), numpy.array(rows, dtype=float))
        for mark, each in zip(left, (each for each in plot.series if each.kind != "bars"), strict=True):
            # A line breaks at what is unknown; bqplot's points can't stand there.
            seen = [i for i, value in enumerate(each.values) if value is not None or each.kind == "line"]
            values = [math.nan if each.values[i] is None else each.values[i] for i in seen]
            self._put(mark, numpy.array([x[i] for i in seen]), numpy.array(values, dtype=float))

    @staticmethod
    def _put(mark: Any, x: Any, y: Any) -> None:
        with mark.hold_sync():
            mark.x = x
            mark.y = y
