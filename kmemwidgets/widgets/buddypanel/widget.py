"""The widget: what it sends, what it says, what Python can do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import ipywidgets
import traitlets

from kmemwidgets.records import BadInput, Snapshot, ZoneInfo
from kmemwidgets.widgets._assemble import assemble, styles
from kmemwidgets.widgets._base import HELP, RESET, UNDO, Gesture, KmemWidget
from kmemwidgets.widgets._words import count
from kmemwidgets.widgets.focus import Focus
from kmemwidgets.widgets.plots import Chart, Plot

from .facts import TYPES, Sample, by_order, over_time, row_says, zone_data, zone_line
from .picture import draw_lists

#: Requests that the panel offers.
REQUESTS = (
    "GFP_KERNEL", "GFP_HIGHUSER_MOVABLE", "GFP_KERNEL|__GFP_RECLAIMABLE", "GFP_ATOMIC", "GFP_DMA32", "GFP_DMA",
)  # fmt: skip

#: Moments that the plot over time keeps; then every second one goes.
_SAMPLES = 400


@dataclass(slots=True)
class _Mine:
    """A block that was allocated here.

    Attributes
    ----------
    pfn, order : int
        As it was allocated.
    gfp : str
    taken : int
        Moment behind that.
    last : int
        Where it was when somebody last looked.
    gone : int or None
        Moment at which it was no longer in use.
    """

    pfn: int
    order: int
    gfp: str
    taken: int
    last: int = -1
    gone: int | None = None


class BuddyPanel(KmemWidget):
    """A zone's free lists, with splits and merges as they happen, and the lists of each cpu.

    Parameters
    ----------
    source : Machine, Capture, Snapshot or str
        What to show; a str is the text of /proc/buddyinfo or /proc/pagetypeinfo (positions are unknown then).
    node, zone : optional
        Which zone to show first; the one with most free memory if not given.
    on_select, width, height, theme
        As with every widget.

    Examples
    --------
    >>> from kmemwidgets import BuddyPanel, Machine
    >>> BuddyPanel(Machine.boot(memory="64M", cpus=1))                              # doctest: +SKIP
    """

    _esm = assemble(__file__)
    _css = styles(__file__, "chart.css")

    NAME = "buddypanel"
    TITLE = "Buddy lists"
    TAKES = ("buddyinfo", "pagetypeinfo")
    TERMS: ClassVar[tuple[str, ...]] = (
        "order", "buddy", "pcp", "batch", "high", "zone", "free area", "unmovable", "movable", "reclaimable",
        "highatomic", "cma", "isolate", "unusable index", "fragmentation index", "gfp flags",
    )  # fmt: skip
    GESTURES: ClassVar[tuple[Gesture, ...]] = (
        Gesture("higher", "To the next higher order", "click its row", ("ArrowUp", "k"), "step_order"),
        Gesture("lower", "To the next lower order", "click its row", ("ArrowDown", "j"), "step_order"),
        Gesture("highest", "To the highest order", "click its row", ("Home",), "step_order"),
        Gesture("lowest", "To order 0", "click its row", ("End",), "step_order"),
        Gesture("next", "To the next block that was allocated here", "click it", ("ArrowRight", "l"), "step_held"),
        Gesture("previous", "To the one before", "click it", ("ArrowLeft", "h"), "step_held"),
        Gesture(
            "allocate", "Allocate a block of this order", "click Allocate", ("a", "Enter"), "allocate", "alloc_pages"
        ),
        Gesture("free", "Free the chosen block", "click Free", ("f", "Delete"), "free", "free_pages"),
        Gesture("gfp", "The next kind of request", "choose it in the list", ("g",), "next_request"),
        Gesture("cpu", "The next cpu", "choose it in the list", ("c",), "next_cpu"),
        Gesture("zone", "The next zone", "choose it in the list", ("z",), "next_zone"),
        Gesture("why", "Why here? What the last request decided", "click Why here?", ("w",), "why", "why"),
        Gesture("time", "Plot over time, or over order", "click “over time”", ("t",), "toggle_time"),
        UNDO,
        RESET,
        HELP,
    )

    chart = traitlets.Instance(
        ipywidgets.Widget, allow_none=True, help="the bqplot figure of the indexes; None where there is none"
    ).tag(sync=True, **ipywidgets.widget_serialization)
    order = traitlets.Int(0, help="order of the row that is chosen, and of the next request").tag(sync=True)
    gfp = traitlets.Unicode(REQUESTS[0], help="GFP flags of the next request").tag(sync=True)
    cpu = traitlets.Int(0, help="cpu of the next request").tag(sync=True)
    held: Any = traitlets.List(help="blocks allocated here: [pfn, order, gfp]").tag(sync=True)
    chosen = traitlets.Int(None, allow_none=True, help="pfn of the chosen block of `held`").tag(sync=True)
    time = traitlets.Bool(False, help="whether the plot is over time").tag(sync=True)
    said = traitlets.Unicode("", help="what the last request gave, in words").tag(sync=True)

    def __init__(
        self,
        source: object,
        /,
        *,
        node: int | None = None,
        zone: str | None = None,
        on_select: Callable[[Focus], object] | None = None,
        width: int | None = None,
        height: int | None = None,
        theme: str | None = None,
        **unknown: Any,
    ) -> None:
        self._chart = Chart()
        self._samples: list[Sample] = []
        #: Every block that was allocated here; undoing a free gives it back.
        self._mine: list[_Mine] = []
        self._states = 0
        self._at: tuple[int, str] = (0, "")
        #: The block that was chosen since the last request.
        self._asked: int | None = None
        super().__init__(source, on_select=on_select, width=width, height=height, theme=theme, **unknown)
        self._at = self._first_zone(node, zone)
        self.observe(self._redraw, names=["order", "time"])

    # What is shown --------------------------------------------------------------------

    @property
    def zone(self) -> ZoneInfo:
        """The zone that is shown."""
        return self.snapshot.zone(*self._at)

    def data(self) -> dict[str, Any]:
        """Return the zone's lists, the plot, and what can be asked for."""
        snapshot = self.snapshot
        zone = snapshot.zone(*self._at)
        self._sample(zone)
        plot = self._chart.show(self._plot(zone))
        if self.chart is not self._chart.figure:
            self.chart = self._chart.figure
        return {
            "name": snapshot.name,
            "page_size": snapshot.page_size,
            **zone_data(self._source, zone, snapshot.pageblock_order or 9),
            "zones": [[each.nid, each.name] for each in self._zones(snapshot)],
            "cpus": snapshot.cpus or 1,
            "requests": list(REQUESTS),
            "types": {name: list(colors) for name, colors in TYPES.items()},
            "line": zone_line(zone, snapshot.page_size),
            "chart": plot,
            "moments": len(self._samples),
        }

    def send_changes(self) -> None:
        """Send the lists as they are now; what was freed elsewhere is no longer held, what moved is held elsewhere."""
        self._forget()
        super().send_changes()

    def plot(self) -> Plot:
        """Return the indexes of the zone: over time, or of this moment over order."""
        return self._plot(self.zone)

    def _plot(self, zone: ZoneInfo) -> Plot:
        where = f"node {zone.nid} {zone.name}"
        if self.time and self._samples:
            return over_time(self._samples, self.order, where, self._unit)
        return by_order(self._nr_free(zone), where)

    def summary(self) -> str:
        """Say the zone's lists, highest order first, and the blocks held."""
        snapshot = self.snapshot
        zone = snapshot.zone(*self._at)
        lines = [f"BuddyPanel of {snapshot.name}, {zone_line(zone, snapshot.page_size)}"]
        lines += [f"  {row_says(area)}" for area in reversed(zone.free_area or ())]
        lines += [f"  cpu {pcp.cpu}: {count(pcp.count)} pages, high {count(pcp.high)}" for pcp in zone.pagesets]
        lines += [f"  held: pfn {pfn:#x}, order {order}, {gfp}" for pfn, order, gfp in self.held]
        return "\n".join(lines)

    def picture(self) -> str:
        """Draw the free memory by order."""
        return draw_lists(self.snapshot, self.zone)

    # What can be done -----------------------------------------------------------------

    def allocate(self, order: int | None = None, gfp: str | None = None, cpu: int | None = None) -> int | None:
        """Allocate a block, of the chosen order, request and cpu if they are not given; return its first pfn."""
        order, gfp = self.order if order is None else order, gfp or self.gfp
        self._asked = None
        page = self._verb("alloc_pages", gfp=gfp, order=order, cpu=self.cpu if cpu is None else cpu)
        if page is not None:
            self._mine = [block for block in self._mine if self._place(block) != page]
            self._mine.append(_Mine(int(page), order, gfp, self._moment()))
        # The request may have moved others.
        self._forget()
        if page is None:
            self.said = f"{gfp}, order {order}: no page"
            return None
        self.said = f"{gfp}, order {order}: pfn {int(page):#x}"
        self._choose(int(page))
        return int(page)

    def free(self, pfn: int | None = None) -> None:
        """Free a block that was allocated here; the chosen one, else the last, if it is not named."""
        self._forget()
        if not self.held:
            raise ValueError("nothing was allocated here")
        pfn = pfn if pfn is not None else self.chosen if self.chosen is not None else self.held[-1][0]
        order = next((order for head, order, _ in self.held if head == pfn), None)
        if order is None:
            places = [block.last for block in self._mine if block.pfn == pfn and block.gone is None]
            raise ValueError(
                f"pfn {pfn:#x} was not allocated here" + "".join(f", or moved to {at:#x}" for at in places)
            )
        self._verb("free_pages", page=pfn, order=order)
        self._asked = None
        self._forget()
        self.said = f"freed pfn {pfn:#x}, order {order}"
        self._choose(self.held[-1][0] if self.held else None)

    def why(self, number: int | None = None) -> tuple[str, ...]:
        """Tell what a command decided, in sentences: zones, watermarks, lists, splits.

        Parameters
        ----------
        number : int, optional
            If not given: the command that took the block chosen by hand, else the last one.
        """
        taken_by = getattr(self._source, "taken_by", None)
        if number is None and self._asked is not None and callable(taken_by):
            number = taken_by(self._asked)
        told: tuple[str, ...] = tuple(self._verb("why", **({} if number is None else {"number": number})))
        self.said = "\n".join(told)
        return told

    def choose(self, pfn: int) -> None:
        """Choose a block that was allocated here."""
        if pfn not in [block[0] for block in self.held]:
            raise ValueError(f"pfn {pfn:#x} was not allocated here")
        self._asked = pfn
        self._choose(pfn)

    def choose_order(self, order: int) -> None:
        """Choose a row."""
        orders = len(self.zone.free_area or ())
        if not 0 <= order < orders:
            raise ValueError(f"no order {order}; there are 0 to {orders - 1}")
        self.order = order

    def show_zone(self, node: int, zone: str) -> None:
        """Show another zone."""
        self._at = self._first_zone(node, zone)
        self._samples, self._states = [], 0
        self.refresh()

    def step_order(self, step: int) -> None:
        """Go to a higher or lower order; stops at the ends."""
        self.order = min(max(self.order + step, 0), max(len(self.zone.free_area or ()) - 1, 0))

    def step_held(self, step: int) -> None:
        """Choose the next block that was allocated here, or the one before."""
        heads = [block[0] for block in self.held]
        if heads:
            at = heads.index(self.chosen) + step if self.chosen in heads else 0
            self.choose(heads[min(max(at, 0), len(heads) - 1)])

    def next_request(self) -> None:
        """Ask for the next kind of request."""
        at = REQUESTS.index(self.gfp) + 1 if self.gfp in REQUESTS else 0
        self.gfp = REQUESTS[at % len(REQUESTS)]

    def next_cpu(self) -> None:
        """Ask on the next cpu."""
        self.cpu = (self.cpu + 1) % (self.snapshot.cpus or 1)

    def next_zone(self) -> None:
        """Show the next zone that has memory."""
        keys = [(zone.nid, zone.name) for zone in self._zones(self.snapshot)]
        self.show_zone(*keys[(keys.index(self._at) + 1) % len(keys)])

    def toggle_time(self) -> None:
        """Plot over time, or over order."""
        self.time = not self.time

    # Inside ---------------------------------------------------------------------------

    def _answer(self, content: Mapping[str, Any]) -> None:
        if content.get("kmem") == "show":
            self.show_zone(int(content["node"]), str(content["zone"]))
        elif content.get("kmem") == "choose":
            self.choose(int(content["pfn"]))
        else:
            super()._answer(content)

    @staticmethod
    def _zones(snapshot: Snapshot) -> list[ZoneInfo]:
        return [zone for zone in snapshot.zones if zone.free_area and zone.present != 0]

    def _first_zone(self, node: int | None, name: str | None) -> tuple[int, str]:
        snapshot = self.snapshot
        zones = self._zones(snapshot)
        fit = [zone for zone in zones if node in (None, zone.nid) and name in (None, zone.name)]
        if not zones:
            raise BadInput(f"{snapshot.name} shows no free lists", todo="give a source that shows /proc/buddyinfo")
        if not fit:
            there = ", ".join(f"{zone.nid}/{zone.name}" for zone in zones)
            raise ValueError(f"no zone {node}/{name} with free lists; there are {there}")
        best = max(fit, key=lambda zone: sum(area.nr_free << area.order for area in zone.free_area or ()))
        return best.nid, best.name

    @staticmethod
    def _nr_free(zone: ZoneInfo) -> Sequence[int]:
        return tuple(area.nr_free for area in zone.free_area or ())

    @property
    def _unit(self) -> str:
        """What the moments of the plot over time are."""
        if not hasattr(self._source, "now"):
            return "looks"
        return "commands" if "alloc_pages" in self._source.verbs else "events"

    def _sample(self, zone: ZoneInfo) -> None:
        """Note this moment for the plot over time; going back forgets what came after."""
        self._states += 1
        now = getattr(self._source, "now", None)
        moment = now if isinstance(now, int) else self._states
        while self._samples and self._samples[-1].moment >= moment:
            self._samples.pop()
        self._samples.append(Sample(moment, tuple(self._nr_free(zone))))
        if len(self._samples) > _SAMPLES:
            del self._samples[1:-1:2]

    def _choose(self, pfn: int | None) -> None:
        self.chosen = pfn
        block = next((block for block in self.held if block[0] == pfn), None)
        if block is not None:
            zone = self.snapshot.zone_of(block[0])
            place = {} if zone is None else {"node": zone.nid, "zone": zone.name}
            self.select(**place, start=block[0], count=1 << block[1])

    def _forget(self) -> None:
        """Hold what is in use of the blocks allocated here, where it is now.

        Some were undone, or freed by somebody else, and compaction may have moved some.
        """
        now = self._moment()
        chosen = next((block for block in self._mine if block.last == self.chosen), None)
        kept: list[list[Any]] = []
        for block in self._mine:
            if block.gone is not None and now < block.gone:
                block.gone = None
            if block.gone is not None or now < block.taken:
                continue
            block.last = self._place(block)
            frame = self._source.frame(block.last)
            if (frame.state or "").startswith("in use") and (frame.head, frame.order) == (block.last, block.order):
                kept.append([block.last, block.order, block.gfp])
            else:
                # Whoever has the frame after this moment is somebody else.
                block.gone = now
        if kept != self.held:
            self.held = kept
            heads = [each[0] for each in kept]
            if chosen is not None and chosen.last in heads:
                self.chosen = chosen.last
            elif self.chosen not in heads:
                self.chosen = heads[-1] if heads else None

    def _moment(self) -> int:
        """Return the number of the last command, where a source counts them."""
        return int(getattr(self._source, "now", 0))

    def _place(self, block: _Mine) -> int:
        """Return where a block is now: sources whose pages move tell where they went."""
        follow = getattr(self._source, "follow_page", None)
        return block.pfn if follow is None else int(follow(block.pfn, block.taken))

    def _redraw(self, change: Mapping[str, Any]) -> None:
        """Send the other plot: of another order only the one over time differs."""
        if self.watched and (self.time or change["name"] == "time"):
            super().send_changes()

    def _chosen(self, change: Mapping[str, Any]) -> None:
        """Follow a linked widget to the zone that it looks at."""
        super()._chosen(change)
        place = change["new"]
        key = (place.get("node"), place.get("zone"))
        if place.get("origin") == self.model_id or key == self._at:
            return
        if any((zone.nid, zone.name) == key for zone in self._zones(self.snapshot)):
            self.show_zone(*key)
