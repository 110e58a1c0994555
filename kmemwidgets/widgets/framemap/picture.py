"""The frame map as SVG text: what a reader without a kernel sees."""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.records import FrameTable, Snapshot
from kmemwidgets.widgets._picture import svg, tag, words
from kmemwidgets.widgets._words import count, share, size

from .kinds import Kind
from .layout import Layout

#: Cells of the picture in a row, and at most in a column.
ACROSS, DOWN = 128, 64

#: Rows of frames that are looked at for one cell of the picture.
LOOKS = 4

WIDTH = 760
_LEFT, _TOP, _MAP_WIDTH, _LEGEND = 14, 44, 512, 546
_INK, _SOFT = "#16191d", "#454c55"


def downsample(table: FrameTable, layout: Layout, kinds: bytes, holes: int | None) -> list[list[int | None]]:
    """Return the picture's cells by row: each the kind of most of its frames (the first on a tie), None where none is.

    Parameters
    ----------
    kinds : bytes
        The kind of each code.
    holes : int or None
        The kind that means a hole.
    """
    across = min(ACROSS, layout.columns)
    wide = layout.columns // across
    high = max(1, -(-layout.height // DOWN))
    codes = memoryview(table.codes)
    translate = kinds + bytes(256 - len(kinds))
    picture: list[list[int | None]] = []
    for top in range(0, layout.height, high):
        rows = range(top, min(top + high, layout.height))
        rows = rows[:: max(1, len(rows) // LOOKS)]
        # Each looked-at row of frames, as one bytes object of kinds with its place in it.
        looks = [look for row in rows if (look := _look(codes, layout, row, translate)) is not None]
        picture.append([_most(looks, x * wide, wide, holes) for x in range(across)])
    return picture


def _look(codes: memoryview, layout: Layout, row: int, translate: bytes) -> tuple[int, bytes] | None:
    for at, first, rows in layout.bands:
        if at <= row < at + rows:
            begin = layout.first + (row - at + first) * layout.columns * layout.step - layout.start
            end = begin + layout.columns * layout.step
            skip = max(0, -begin) // layout.step
            return skip, bytes(codes[max(0, begin) : max(0, end) : layout.step]).translate(translate)
    return None


def _most(looks: Sequence[tuple[int, bytes]], x: int, wide: int, holes: int | None) -> int | None:
    seen = b"".join(look[max(0, x - skip) : max(0, x + wide - skip)] for skip, look in looks)
    if not seen:
        return None
    found = max(sorted(set(seen)), key=seen.count)
    return None if found == holes else found


def draw(
    snapshot: Snapshot, table: FrameTable, layout: Layout, kinds: Sequence[Kind], codes: bytes, counts: Sequence[int]
) -> str:
    """Return the picture of a map whose frames are known."""
    holes = next((index for index, kind in enumerate(kinds) if kind.name == "hole"), None)
    cells = downsample(table, layout, codes, holes)
    across, down = len(cells[0]), len(cells)
    unit = _MAP_WIDTH / across
    tall = min(unit, 4.0 if layout.height > DOWN else unit)
    paths: list[str] = []
    for index, kind in enumerate(kinds):
        path = "".join(f"M{x} {y}h{length}" for y, row in enumerate(cells) for x, length in _runs(row, index))
        if path:
            paths.append(tag("path", d=path, stroke=kind.light, **{"class": f"kind-{kind.name}"}))
    body = tag(
        "g", "".join(paths), transform=f"translate({_LEFT},{_TOP}) scale({unit:.4f},{tall:.4f}) translate(0,0.5)",
        fill="none", stroke_width=1,
    )  # fmt: skip
    frame = tag("rect", x=_LEFT, y=_TOP, width=_MAP_WIDTH, height=down * tall, fill="#f6f7f9")
    legend, y = [], _TOP + 10
    total = sum(each for index, each in enumerate(counts) if index != holes)
    for index, kind in enumerate(kinds):
        if counts[index] and index != holes:
            legend.append(
                tag("rect", x=_LEGEND, y=y - 10, width=12, height=12, rx=2, fill=kind.light, stroke="#00000022")
            )
            legend.append(words(kind.label, _LEGEND + 18, y, fill=_INK))
            legend.append(words(f"{count(counts[index])}, {share(counts[index], total)}", WIDTH - 14, y, fill=_SOFT,
                                text_anchor="end"))  # fmt: skip
            y += 19
    height = int(max(_TOP + down * tall + 14, y + 4))
    return svg(WIDTH, height, _title(snapshot, total), frame, body, *legend)


def draw_totals(snapshot: Snapshot) -> str:
    """Return the picture of a machine whose frames' positions are unknown: free memory per zone and order."""
    parts, y = [_title(snapshot, None)], 58
    parts.append(words("Positions unknown: no per-frame file is readable. Free blocks by order:", 14, y, fill=_SOFT))
    for zone in snapshot.zones:
        if not zone.free_area:
            continue
        y += 24
        parts.append(words(f"node {zone.nid} {zone.name}", 14, y, fill=_INK))
        parts += [
            words(count(area.nr_free), 190 + 50 * area.order, y, fill=_INK, text_anchor="end")
            for area in zone.free_area
        ]
    return svg(WIDTH, y + 16, *parts)


def _title(snapshot: Snapshot, frames: int | None) -> str:
    about = "" if frames is None else f"{count(frames)} frames, {size(frames * snapshot.page_size)}"
    return words(f"Page frames of {snapshot.name}", 14, 26, size=15, font_weight=650) + words(
        about, WIDTH - 14, 26, fill=_SOFT, text_anchor="end"
    )


def _runs(row: Sequence[int | None], kind: int) -> list[tuple[int, int]]:
    runs, x = [], 0
    while x < len(row):
        begin = x
        while x < len(row) and row[x] == kind:
            x += 1
        if x > begin:
            runs.append((begin, x - begin))
        else:
            x += 1
    return runs
