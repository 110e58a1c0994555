"""Where on the map a frame lies: rows in address order, long holes shortened.

The map is cut into *cells* of `step` frames (one frame, but for machines beyond
`LIMIT`). Rows are a power of two wide and begin at multiples of their length, so that
buddy blocks lie at even places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Up to here each frame is a cell of its own.
LIMIT = 1 << 24

#: Width to height that the map aims at.
ASPECT = 2.2

#: A hole of at least this share of the rows is shortened.
SHORTEN = 1 / 16


@dataclass(frozen=True, slots=True)
class Layout:
    """The map's geometry.

    Attributes
    ----------
    first : int
        Pfn of the first cell of row 0 (may lie before the first frame).
    start, end : int
        First frame, and the one behind the last.
    step : int
        Frames in a cell.
    columns : int
        Cells in a row.
    bands : tuple of (int, int, int)
        Rows that are shown one below the other: where on the map, first row, number of rows. Between two
        bands lies a shortened hole.
    height : int
        Rows of the map, shortened holes included.
    """

    first: int
    start: int
    end: int
    step: int
    columns: int
    bands: tuple[tuple[int, int, int], ...]
    height: int

    def place(self, pfn: int) -> tuple[int, int] | None:
        """Return column and row on the map of a frame; None outside it, or in a shortened hole."""
        if not self.start <= pfn < self.end:
            return None
        row, column = divmod((pfn - self.first) // self.step, self.columns)
        for at, first, rows in self.bands:
            if first <= row < first + rows:
                return column, at + row - first
        return None

    def pfn(self, column: int, row: int) -> int | None:
        """Return the first frame of a cell, None where there is none."""
        for at, first, rows in self.bands:
            if at <= row < at + rows:
                pfn = self.first + ((row - at + first) * self.columns + column) * self.step
                return pfn if self.start <= pfn < self.end else None
        return None


def lay_out(start: int, end: int, holes: Sequence[tuple[int, int]] = (), *, limit: int = LIMIT) -> Layout:
    """Lay out the frames from `start` to `end`.

    Parameters
    ----------
    start, end : int
        Pfns, end exclusive.
    holes : sequence of (int, int)
        Ranges of pfns without memory, ascending.
    limit : int
        Most cells; beyond it a cell holds more than one frame.
    """
    count = max(1, end - start)
    step = 1
    while count > limit * step:
        step *= 2
    cells = -(-count // step)
    columns = _nearest_power(cells * ASPECT)
    length = columns * step
    first = start // length * length
    rows = max(1, -(-(end - first) // length))
    bands, at, row = [], 0, 0
    gap = max(2, rows // 24)
    for low, high in holes:
        begin, stop = -(-(max(low, first) - first) // length), (min(high, end) - first) // length
        if begin >= row and stop - begin >= max(8, rows * SHORTEN):
            if begin > row:
                bands.append((at, row, begin - row))
                at += begin - row
            at += gap
            row = stop
    if row < rows:
        bands.append((at, row, rows - row))
        at += rows - row
    return Layout(first, start, end, step, columns, tuple(bands), at)


def _nearest_power(square: float) -> int:
    """Return the power of two nearest, by ratio, to the square root."""
    power = 1
    while power * power * 2 < square:
        power *= 2
    return power
