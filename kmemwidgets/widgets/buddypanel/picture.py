"""A zone's lists as a still picture."""

from __future__ import annotations

from kmemwidgets.records import MIGRATETYPES, Snapshot, ZoneInfo
from kmemwidgets.widgets._picture import svg, tag, words
from kmemwidgets.widgets._words import count, size

from .facts import TYPES, zone_line

WIDTH = 720
_LEFT, _RIGHT, _ROW = 120, 90, 22


def draw_lists(snapshot: Snapshot, zone: ZoneInfo) -> str:
    """Draw a bar an order: the share of free memory in its blocks, by migrate type."""
    areas = zone.free_area or ()
    parts = [words(f"{snapshot.name}, {zone_line(zone, snapshot.page_size)}", 8, 18)]
    most = max((area.nr_free << area.order for area in areas), default=0) or 1
    y = 30
    for area in reversed(areas):
        parts.append(words(f"order {area.order} · {size(snapshot.page_size << area.order)}", 8, y + 14, size=11))
        x = float(_LEFT)
        types = area.by_type or {"": area.nr_free}
        for name in (*MIGRATETYPES, ""):
            wide = (WIDTH - _LEFT - _RIGHT) * (types.get(name, 0) << area.order) / most
            if wide:
                parts.append(
                    tag(
                        "rect",
                        x=x,
                        y=y + 3,
                        width=max(wide, 1.0),
                        height=_ROW - 7,
                        fill=TYPES.get(name, ("#7b8794",))[0],
                    )
                )
                x += max(wide, 1.0)
        parts.append(words(count(area.nr_free), x + 6, y + 14, size=11))
        y += _ROW
    x = 8.0
    for name in MIGRATETYPES:
        if any((area.by_type or {}).get(name) for area in areas):
            parts.append(tag("rect", x=x, y=y + 4, width=10, height=10, fill=TYPES[name][0]))
            parts.append(words(name, x + 14, y + 13, size=11))
            x += 24 + 7 * len(name)
    return svg(WIDTH, y + 22, *parts)
