"""VmallocPanel: the areas of vmalloc, vmap and ioremap, with the holes that the next one may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import traitlets

from kmemwidgets.records import BadInput, VmallocArea

from .._assemble import assemble, styles
from .._base import HELP, Gesture, KmemWidget
from .._picture import svg, tag, words
from .._words import count, size
from ..strings import text
from .rows import Place, by_caller, places
from .walk import WalkSource, told
from .walk import words as walk_words

#: More areas than this are not drawn one by one.
MOST = 4000

GESTURES = (
    Gesture("next", "Choose the next area", "click an area", ("ArrowRight", "ArrowDown"), "select"),
    Gesture("previous", "Choose the area before", "click an area", ("ArrowLeft", "ArrowUp"), "select"),
    Gesture("first", "Choose the lowest area", "click an area", ("Home",), "select"),
    Gesture("last", "Choose the highest area", "click an area", ("End",), "select"),
    Gesture("next_page", "Walk to the next page of the area", "button ▶ of the page tables", ("PageDown",), "select"),
    Gesture("previous_page", "Walk to the page before", "button ◀ of the page tables", ("PageUp",), "select"),
    Gesture("find", "Show only areas of a caller", "click the search field, or a caller", ("/",), "find"),
    Gesture("clear", "Show all areas again", "empty the search field", ("Escape",), "find"),
    Gesture("allocate", "vmalloc as many pages as the field says", "button vmalloc", ("a",), "vmalloc", "vmalloc"),
    Gesture("free", "vfree the chosen area", "button vfree", ("Delete",), "vfree", "vfree"),
    HELP,
)
COLORS = {
    "vmalloc": "#a8620f", "vmap": "#8455b3", "ioremap": "#336fb8", "user": "#3f7a3b", "vm_map_ram": "#2b7a77",
    "unpurged": "#cdd3da", "other": "#5f6a75", "hole": "#ffffff",
}  # fmt: skip


class VmallocPanel(KmemWidget):
    """Every area of /proc/vmallocinfo, in order of address.

    Parameters
    ----------
    source : Machine, Capture, Snapshot or str
        A str is the text of /proc/vmallocinfo.
    on_select, width, height, theme
        See `KmemWidget`.

    Attributes
    ----------
    caller : str
        Only areas whose caller holds this text are shown in full colour; empty: all.
    walked : dict
        The way through the page tables to the chosen address; empty where the source has none.
    """

    NAME: ClassVar[str] = "vmallocpanel"
    TITLE: ClassVar[str] = text("vmallocpanel.title")
    GESTURES: ClassVar[tuple[Gesture, ...]] = GESTURES
    TAKES: ClassVar[tuple[str, ...]] = ("vmallocinfo",)
    TERMS: ClassVar[tuple[str, ...]] = ("vmalloc",)
    _esm = assemble(__file__)
    _css = styles(__file__)

    caller = traitlets.Unicode("", help="areas of this caller stand out").tag(sync=True)
    walked = traitlets.Dict(help="the page tables on the way to the chosen address").tag(sync=True)

    def __init__(self, source: object, /, **options: Any) -> None:
        super().__init__(source, **options)
        if self.snapshot.vmalloc is None and "kmem_cache_init" in self.source.verbs:
            self.source.verbs["kmem_cache_init"]()
        if self.snapshot.vmalloc is None:
            raise BadInput(
                f"{self.snapshot.name} doesn't show vmalloc's areas",
                todo="record it as root, or paste /proc/vmallocinfo",
            )

    @property
    def areas(self) -> tuple[VmallocArea, ...]:
        """The areas, in the file's order."""
        return self.snapshot.vmalloc or ()

    def data(self) -> dict[str, Any]:
        """Return areas and holes, and the callers."""
        found = places(self.areas)
        return {
            "subtitle": self._subtitle(),
            "page_size": self.snapshot.page_size,
            "places": [_place(place, self.snapshot.page_size) for place in found[:MOST]],
            "left_out": max(0, len(found) - MOST),
            "callers": [[name, number, size(total)] for name, number, total in by_caller(self.areas)],
        }

    def send_changes(self) -> None:
        """Send what changed; the way to the chosen address may be another now."""
        self.walked = self._walk()
        super().send_changes()

    def find(self, caller: str = "") -> tuple[VmallocArea, ...]:
        """Let a caller's areas stand out, and return them; without one, all."""
        self.caller = caller
        return tuple(area for area in self.areas if caller in area.caller)

    def vmalloc(self, pages: int = 1) -> int | None:
        """Allocate pages on the machine, choose the new area, and return its address."""
        address = self.source.verbs["vmalloc"](pages * self.snapshot.page_size)
        if address is not None:
            self.select(address=int(address))
        return None if address is None else int(address)

    def vfree(self, address: int | str | None = None) -> None:
        """Free an area of the machine, the chosen one if no address is given."""
        chosen = self.focus.address if address is None else address
        if chosen is None:
            raise ValueError("choose the area to free first")
        self.source.verbs["vfree"](int(chosen, 16) if isinstance(chosen, str) else chosen)

    def summary(self) -> str:
        """Count the areas, then list the largest callers."""
        lines = [f"VmallocPanel of {self.snapshot.name}: {self._subtitle()}"]
        lines += [f"  {size(total):>9}  {number:>4}  {name}" for name, number, total in by_caller(self.areas)[:8]]
        if isinstance(self.source, WalkSource) and self.focus.address is not None:
            lines.append(f"  {walk_words(self.source.walk(self.focus.address))}")
        return "\n".join(lines)

    def picture(self) -> str:
        """Return the areas as a band of blocks, as wide as the logarithm of their pages."""
        parts = [words(f"vmalloc of {self.snapshot.name}: {self._subtitle()}", 10, 20, size=13, font_weight="600")]
        x, y = 10.0, 34.0
        for place in places(self.areas):
            pages = max(1, (place.end - place.start) // self.snapshot.page_size)
            long = 6.0 + 5.0 * pages.bit_length()
            if x + long > 700:
                x, y = 10.0, y + 22
            parts.append(
                tag("rect", x=x, y=y, width=long - 2, height=18, rx=2, fill=COLORS[place.kind], stroke="#d5dae0")
            )
            x += long
        for kind, color in COLORS.items():
            row = list(COLORS).index(kind)
            left, top = 10 + 88 * row, y + 44
            parts += [
                tag("rect", x=left, y=top - 10, width=11, height=11, rx=2, fill=color, stroke="#d5dae0"),
                words(kind, left + 16, top, size=11),
            ]
        return svg(720, int(y) + 56, *parts)

    def _walk(self) -> dict[str, Any]:
        """Return the way to the chosen address."""
        address = self.focus.address
        if address is None or not isinstance(self.source, WalkSource):
            return {}
        if not any(area.start <= address < area.end for area in self.areas):
            return {}
        return told(self.source.walk(address), self.snapshot.page_size)

    def _chosen(self, change: Mapping[str, Any]) -> None:
        self.walked = self._walk()
        super()._chosen(change)

    def _subtitle(self) -> str:
        areas = self.areas
        holes = sum(1 for place in places(areas) if place.kind == "hole")
        between = "1 hole" if holes == 1 else f"{count(holes)} holes"
        number = "1 area" if len(areas) == 1 else f"{count(len(areas))} areas"
        return f"{number}, {size(sum(area.size for area in areas))}, {between} between them"


def _place(place: Place, page_size: int) -> dict[str, Any]:
    area = place.area
    told: dict[str, Any] = {
        "start": hex(place.start),
        "end": hex(place.end),
        "pages": (place.end - place.start) // page_size,
        "kind": place.kind,
    }
    if area is not None:
        told |= {
            "caller": area.caller,
            "backed": area.pages,
            "phys": None if area.phys is None else hex(area.phys),
            "flags": list(area.flags),
            "nodes": [f"N{nid}={pages}" for nid, pages in sorted(area.nodes.items())],
        }
    return told
