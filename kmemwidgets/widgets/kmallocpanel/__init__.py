"""KmallocPanel: type a size, see which cache serves it, what is wasted, and how a slab of it looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import traitlets

from kmemwidgets.records import format_version

from .._assemble import assemble, styles
from .._base import HELP, Gesture, KmemWidget
from .._picture import svg, tag, words
from .._words import count, share, size
from ..strings import text
from .classes import REQUESTS, Kmalloc, describe, kmalloc_of

GESTURES = (
    Gesture("more", "One byte more", "type, or the arrows of the field", ("ArrowUp",), "ask"),
    Gesture("less", "One byte less", "type, or the arrows of the field", ("ArrowDown",), "ask"),
    Gesture("next_class", "Fill the next larger class", "click a bar", ("PageUp", "ArrowRight"), "ask"),
    Gesture("previous_class", "Fill the next smaller class", "click a bar", ("PageDown", "ArrowLeft"), "ask"),
    Gesture("type", "Type a size", "click the field", ("/",), "ask"),
    HELP,
)

#: Recorded sizes that are drawn, the most frequent ones; all are counted.
MOST_SIZES = 400

_HUE, _WASTE = "#3b78c2", "#e0a044"


class KmallocPanel(KmemWidget):
    """What kmalloc does with a size.

    Parameters
    ----------
    source : Machine, Capture or Snapshot
        Whose kmalloc: architecture, kernel and configuration decide the classes.
    requests : mapping of int to int, optional
        Sizes and how often each was asked for, such as those of a recorded trace; their waste is shown too.
    on_select, width, height, theme
        See `KmemWidget`.

    Attributes
    ----------
    size : int
        Bytes asked for.
    gfp : int
        Number of the kind of request in the list that is offered.
    """

    NAME: ClassVar[str] = "kmallocpanel"
    TITLE: ClassVar[str] = text("kmallocpanel.title")
    GESTURES: ClassVar[tuple[Gesture, ...]] = GESTURES
    TERMS: ClassVar[tuple[str, ...]] = ("slab", "tail of a slab")
    _esm = assemble(__file__)
    _css = styles(__file__)

    size = traitlets.Int(100, min=0, max=1 << 40, help="bytes asked for").tag(sync=True)
    gfp = traitlets.Int(0, min=0, max=len(REQUESTS) - 1, help="which of the offered requests").tag(sync=True)

    def __init__(self, source: object, /, *, requests: Mapping[int, int] | None = None, **options: Any) -> None:
        super().__init__(source, **options)
        self._requests = dict(requests or {})
        self._kmalloc = kmalloc_of(describe(source, self.snapshot))

    @property
    def kmalloc(self) -> Kmalloc:
        """The classes, to ask in Python."""
        return self._kmalloc

    def ask(self, size: int, gfp: int | None = None) -> str | None:
        """Show a request and return the name of the cache that serves it (None: pages, nothing, or refused)."""
        if size < 0:
            raise ValueError(f"a size of {size} bytes")
        self.size = size
        if gfp is not None:
            self.gfp = gfp
        return self._kmalloc.cache(self.size, REQUESTS[self.gfp][1])

    def data(self) -> dict[str, Any]:
        """Return the classes; the front end does the arithmetic, so it also works without a kernel."""
        model = self._kmalloc
        asked, taken = model.wasted(self._requests)
        return {
            "subtitle": f"{self.snapshot.name}: {self.snapshot.arch}, Linux {format_version(self.snapshot.kernel)}; "
            f"kinds of caches: {model.kinds_said()}",
            "page_size": model.page_size,
            "largest": model.largest,
            "zero": model.zero,
            "bound": model.bound,
            "classes": [[each.size, each.order, each.objects] for each in model.classes],
            "requests": [
                {"words": label, "names": [model.cache(each.size, flags) for each in model.classes]}
                for label, flags in REQUESTS
            ],
            "recorded": [asked, taken] if self._requests else None,
            "sizes": sorted(self._requests.items(), key=lambda row: -row[1])[:MOST_SIZES],
        }

    def summary(self) -> str:
        """Say what the shown request gets, then list the classes."""
        model = self._kmalloc
        snapshot = self.snapshot
        lines = [
            f"KmallocPanel of {snapshot.name} ({snapshot.arch}, Linux {format_version(snapshot.kernel)})",
            "  " + self.answer(),
            "  classes: " + " ".join(str(each.size) for each in model.classes),
            "  kinds: " + model.kinds_said(),
        ]
        if self._requests:
            asked, taken = model.wasted(self._requests)
            lines.append(
                f"  {count(sum(self._requests.values()))} recorded requests ask for {size(asked)}, take {size(taken)}, "
                f"waste {share(taken - asked, taken)}"
            )
        return "\n".join(lines)

    def answer(self) -> str:
        """Say in one sentence what the shown request gets."""
        model = self._kmalloc
        request, flags = REQUESTS[self.gfp]
        call = f"kmalloc({self.size}, {request})"
        taken = model.gets(self.size)
        if taken is None:
            return f"{call}: NULL, above {model.bound} ({count(model.largest)} bytes)"
        if taken == 0:
            return f"{call}: ZERO_SIZE_PTR, no memory"
        cache = model.cache(self.size, flags)
        where = cache or f"{count(taken // model.page_size)} pages of the page allocator"
        return f"{call}: {where}, {taken} bytes, {taken - self.size} wasted ({share(taken - self.size, taken)})"

    def picture(self) -> str:
        """Return the classes as bars, the shown request marked."""
        model = self._kmalloc
        taken = model.gets(self.size)
        parts = [words(self.answer(), 10, 20, size=13, font_weight="600")]
        for row, each in enumerate(model.classes):
            y = 34 + 18 * row
            long = 24 + 26 * (each.size.bit_length() - 3)
            chosen = each.size == taken
            parts += [
                words(str(each.size), 56, y + 13, size=11, text_anchor="end"),
                tag("rect", x=64, y=y + 2, width=long, height=13, rx=2, fill=_HUE, opacity=None if chosen else 0.35),
                words(f"{each.objects} objects in {1 << each.order} pages", 74 + long, y + 13, size=11, fill="#454c55"),
            ]
            if chosen:
                wasted = long * (each.size - self.size) / each.size
                parts.append(tag("rect", x=64 + long - wasted, y=y + 2, width=wasted, height=13, fill=_WASTE))
        return svg(640, 44 + 18 * len(model.classes), *parts)
