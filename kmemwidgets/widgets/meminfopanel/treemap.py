"""Rectangles whose areas are the parts: a squarified treemap (Bruls, Huizing, van Wijk 2000), to scale."""

from __future__ import annotations

from collections.abc import Sequence

#: A rectangle: left, top, width, height, in shares of the whole picture.
Box = tuple[float, float, float, float]


def squarify(sizes: Sequence[float], aspect: float = 2.4) -> list[Box]:
    """Lay out sizes in the unit square so that boxes are as square as they can be on a picture of this aspect.

    Boxes come in the order of `sizes`; one of size 0 or less gets none of the area.

    Parameters
    ----------
    sizes : sequence of float
    aspect : float
        Width of the picture divided by its height.
    """
    whole = sum(size for size in sizes if size > 0)
    boxes: list[Box] = [(0.0, 0.0, 0.0, 0.0)] * len(sizes)
    todo = sorted((i for i, size in enumerate(sizes) if size > 0), key=lambda i: (-sizes[i], i))
    left, top, width, height = 0.0, 0.0, aspect, 1.0
    while todo:
        scale = width * height / sum(sizes[i] for i in todo)
        side = min(width, height)
        row = [todo[0]]
        while len(row) < len(todo) and _worst([*row, todo[len(row)]], sizes, side, scale) <= _worst(
            row, sizes, side, scale
        ):
            row.append(todo[len(row)])
        thick = sum(sizes[i] for i in row) * scale / side
        at = 0.0
        for i in row:
            long = sizes[i] * scale / thick
            box = (left, top + at, thick, long) if width >= height else (left + at, top, long, thick)
            boxes[i] = (box[0] / aspect, box[1], box[2] / aspect, box[3])
            at += long
        if width >= height:
            left, width = left + thick, width - thick
        else:
            top, height = top + thick, height - thick
        todo = todo[len(row) :]
    return boxes if whole else [(0.0, 0.0, 0.0, 0.0)] * len(sizes)


def _worst(row: Sequence[int], sizes: Sequence[float], side: float, scale: float) -> float:
    """Return the worst ratio of a box's sides if these boxes fill a row along `side`."""
    areas = [sizes[i] * scale for i in row]
    thick = sum(areas) / side
    return max(max(thick * thick / area, area / (thick * thick)) for area in areas)
