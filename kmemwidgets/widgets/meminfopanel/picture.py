"""The treemap as a still picture."""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.widgets._picture import svg, tag, words
from kmemwidgets.widgets._words import share, size

from .parts import Part
from .treemap import squarify

WIDTH, HEIGHT, _TOP = 720, 300, 30

#: Group -> colour; the front end's style sheet has the same.
HUE = {
    "free": "#dde5ec", "processes": "#f0b48a", "page cache": "#8ec1e4", "kernel": "#8fd0b5", "unaccounted": "#ffffff",
}  # fmt: skip


def draw_parts(name: str, found: Sequence[Part]) -> str:
    """Draw MemTotal as a treemap; what is unaccounted is hatched."""
    total = sum(part.kb for part in found)
    hatch = tag(
        "pattern",
        tag("rect", width=7, height=7, fill="#ffffff") + tag("path", d="M0 7L7 0", stroke="#a51d2d", stroke_width=1.2),
        id="hatch", width=7, height=7, patternUnits="userSpaceOnUse",
    )  # fmt: skip
    parts = [tag("defs", hatch), words(f"{name}: MemTotal {size(total * 1024)}, cut into parts", 8, 20)]
    for part, (x, y, wide, high) in zip(found, squarify([part.kb for part in found]), strict=True):
        if not wide:
            continue
        left, top, width, height = x * WIDTH, _TOP + y * HEIGHT, wide * WIDTH, high * HEIGHT
        fill = "url(#hatch)" if part.group == "unaccounted" else HUE[part.group]
        parts.append(
            tag("rect", x=left, y=top, width=width, height=height, fill=fill, stroke="#16191d", stroke_width=0.6)
        )
        label = f"{part.name} {share(part.kb, total)}"
        if width > 7 * len(label) and height > 16:
            parts.append(words(label, left + 5, top + 15, size=11))
    rest = found[-1].kb
    if rest < 0:
        parts.append(words(f"the parts are {size(-rest * 1024)} more than MemTotal", 8, HEIGHT + _TOP + 16, size=11))
    return svg(WIDTH, HEIGHT + _TOP + (24 if rest < 0 else 2), *parts)
