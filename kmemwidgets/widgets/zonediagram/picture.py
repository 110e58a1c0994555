"""The floors as a still picture."""

from __future__ import annotations

from kmemwidgets.records import Snapshot, ZoneInfo
from kmemwidgets.widgets._picture import svg, tag, words
from kmemwidgets.widgets._words import count, size

from .facts import diagram, nodes_of, pages_in

WIDTH = 720
_LEFT, _ROW = 96, 84

#: Zone -> colour; the front end's style sheet has the same.
HUE = {
    "DMA": "#b5408c", "DMA32": "#0072b2", "Normal": "#00875f", "HighMem": "#e69f00", "Movable": "#6a4fc0",
    "Device": "#7b8794",
}  # fmt: skip


def draw_floors(snapshot: Snapshot) -> str:
    """Draw a row a node: its zones side by side, wide as they are large, filled as high as they are free."""
    parts = [words(f"{snapshot.name}: nodes and zones, wide as their memory, filled as high as they are free", 10, 20)]
    nodes = nodes_of(snapshot)
    largest = max((sum(_pages(z) for z in snapshot.zones if z.nid == node.nid) for node in nodes), default=0)
    y = 36
    for node, told in zip(nodes, diagram(snapshot)["nodes"], strict=True):
        zones = [zone for zone in snapshot.zones if zone.nid == node.nid]
        parts.append(words(f"node {node.nid}", 10, y + 26, font_weight=600))
        if told["cpus"]:
            parts.append(words(f"cpus {told['cpus']}", 10, y + 44, size=11, fill="#454c55"))
        parts += _row(zones, y, largest, snapshot.page_size)
        y += _ROW
    return svg(WIDTH, y + 4, *parts)


def _pages(zone: ZoneInfo) -> int:
    """Return how wide a zone is drawn: its present pages, or what is known of it."""
    if zone.present is not None:
        return zone.present
    return sum(area.nr_free << area.order for area in zone.free_area or ())


def _row(zones: list[ZoneInfo], y: float, largest: int, page_size: int) -> list[str]:
    parts: list[str] = []
    x, room, text_x = float(_LEFT), WIDTH - _LEFT - 10, float(_LEFT)
    for zone in zones:
        if not _pages(zone):
            continue
        wide = max(2.0, room * _pages(zone) / largest)
        hue = HUE.get(zone.name, "#7b8794")
        parts.append(tag("rect", x=x, y=y, width=wide, height=44, fill=hue, fill_opacity="0.16", stroke=hue))
        pages = pages_in(zone)
        if zone.free is not None and pages:
            level = 44 * zone.free / pages
            parts.append(tag("rect", x=x, y=y + 44 - level, width=wide, height=level, fill=hue, fill_opacity="0.5"))
        for mark in (zone.min, zone.low, zone.high):
            if mark and pages:
                at = y + 44 - 44 * mark / pages
                parts.append(tag("line", x1=x, x2=x + wide, y1=at, y2=at, stroke="#16191d", stroke_width="0.6"))
        known = f"{size(_pages(zone) * page_size)}, free {count(zone.free)}" if zone.free is not None else ""
        label = f"{zone.name} {known}"
        text_x = max(text_x, x)
        parts.append(words(label, text_x, y + 60, size=11, fill=hue))
        text_x += 7 * len(label)
        x += wide
    empty = ", ".join(zone.name for zone in zones if not _pages(zone))
    if empty:
        parts.append(words(f"empty: {empty}", text_x, y + 60, size=11, fill="#7b8794"))
    return parts
