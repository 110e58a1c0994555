"""The address map for a reader without a kernel: a list from high to low, a bar for each area's size."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from .._picture import svg, tag, words
from .._words import size
from .areas import Area

ROW = 20
LEFT = 150
#: Colour of each kind of area; style.css has the same for the live widget.
COLORS = {
    "user": "#4f8f4a", "direct": "#3b78c2", "vmalloc": "#c77a1c", "vmemmap": "#8a5bb8", "modules": "#b8497a",
    "text": "#b5452f", "fixmap": "#3f9c99", "pkmap": "#2f8f6b", "kasan": "#8d8259", "hole": "#d9dde2",
    "other": "#7d8792",
}  # fmt: skip


def picture(title: str, areas: Sequence[Area], digits: int) -> str:
    """Return the SVG. `digits`: hex digits of an address."""
    parts = [words(title, 10, 20, size=14, font_weight="600")]
    longest = max(log2(area.end - area.start) for area in areas)
    for row, area in enumerate(reversed(areas)):
        y = 34 + row * ROW
        long = 40 + 160 * log2(area.end - area.start) / longest
        parts += [
            words(f"{area.start:0{digits}x}", 10, y + 14, size=11, font_family="monospace", fill="#454c55"),
            tag("rect", x=LEFT, y=y + 2, width=long, height=ROW - 4, rx=2, fill=COLORS[area.kind]),
            words(f"{area.name}  {size(area.end - area.start)}", LEFT + 212, y + 14, size=12),
        ]
    parts.append(words("Bars grow with the logarithm of the size.", 10, 34 + len(areas) * ROW + 16, size=11))
    return svg(640, 34 + len(areas) * ROW + 26, *parts)
