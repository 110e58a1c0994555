"""The panel for a reader without a kernel: physical memory at the left, the kernel's addresses at the right."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from kmemwidgets.records import HighmemInfo

from .._picture import svg, tag, words
from .._words import size
from .ways import Ram, Window

HEIGHT = 260
TOP = 46
#: Colour of each kind; style.css has the same for the live widget.
COLORS = {
    "direct": "#3b78c2", "vmalloc": "#c77a1c", "pkmap": "#2f8f6b", "fixmap": "#8a5bb8", "other": "#c3cad2",
    "high": "#e4e7eb",
}  # fmt: skip


def picture(name: str, ram: Ram, windows: Sequence[Window], info: HighmemInfo | None, page_size: int) -> str:
    """Return the SVG."""
    low = HEIGHT * ram.first_high / ram.end
    parts = [
        words(f"High memory of {name}", 10, 20, size=13, font_weight="600"),
        words("physical memory", 20, 38, size=11, fill="#454c55"),
        words("the kernel's addresses", 330, 38, size=11, fill="#454c55"),
        tag("rect", x=20, y=TOP, width=70, height=HEIGHT - low, fill=COLORS["high"], stroke="#7d8792"),
        tag("rect", x=20, y=TOP + HEIGHT - low, width=70, height=low, fill=COLORS["direct"]),
        words(f"high memory {size((ram.end - ram.first_high) * page_size)}", 98, TOP + 14, size=12),
        words(f"low memory {size(ram.first_high * page_size)}", 98, TOP + HEIGHT - 6, size=12),
        words(f"from pfn {ram.first_high:#x}", 98, TOP + HEIGHT - low, size=11, fill="#454c55"),
    ]
    weights = [log2(window.end - window.start) - 9 for window in windows]
    y = float(TOP + HEIGHT)
    for window, weight in zip(windows, weights, strict=True):
        high = HEIGHT * weight / sum(weights)
        y -= high
        parts += [
            tag("rect", x=330, y=y, width=70, height=high - 1, fill=COLORS[window.kind]),
            words(
                f"{window.start:#x}  {window.name}, {size(window.end - window.start)}", 408, y + high / 2 + 4, size=11
            ),
        ]
    if info is not None:
        for number, (split, bytes_) in enumerate(info.lowmem):
            line = f"{split}: low memory up to {size(bytes_)}"
            parts.append(words(line, 20 + 220 * (number % 3), TOP + HEIGHT + 24 + 16 * (number // 3), size=11))
    return svg(680, TOP + HEIGHT + 56, *parts)
