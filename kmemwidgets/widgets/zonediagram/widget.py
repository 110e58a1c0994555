"""The widget: what it sends, what it says, what Python can do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import ipywidgets
import traitlets

from kmemwidgets.records import Snapshot, ZoneInfo
from kmemwidgets.widgets._assemble import assemble, styles
from kmemwidgets.widgets._base import HELP, Gesture, KmemWidget
from kmemwidgets.widgets.focus import Focus
from kmemwidgets.widgets.plots import HUES, Chart, Plot, Series

from .facts import PIECES, Answer, answers, diagram, nodes_of, summary_lines, zone_names
from .picture import draw_floors


class ZoneDiagram(KmemWidget):
    """Nodes, their zones and a zone's pages, to scale, with watermarks and reserves.

    Parameters
    ----------
    source : Machine, Capture, Snapshot or str
        What to show; a str is the text of /proc/zoneinfo or /proc/buddyinfo.
    on_select, width, height, theme
        As with every widget.

    Examples
    --------
    >>> from kmemwidgets import Capture, ZoneDiagram
    >>> ZoneDiagram(Capture.bundled("amd64-2g-numa2"))                              # doctest: +SKIP
    """

    _esm = assemble(__file__)
    _css = styles(__file__, "chart.css")

    NAME = "zonediagram"
    TITLE = "Nodes, zones, pages"
    TAKES = ("zoneinfo", "buddyinfo")
    TERMS: ClassVar[tuple[str, ...]] = (
        "node", "zone", "page frame", "spanned", "present", "managed", "free", "protection", "boost", "cma",
    )  # fmt: skip
    GESTURES: ClassVar[tuple[Gesture, ...]] = (
        Gesture("previous", "The one to the left on this floor", "click it", ("ArrowLeft", "h"), "across"),
        Gesture("next", "The one to the right on this floor", "click it", ("ArrowRight", "l"), "across"),
        Gesture("down", "One floor down: node, zone, page", "click in that floor", ("ArrowDown", "Enter", "j"), "down"),
        Gesture("up", "One floor up", "click the name of that floor", ("ArrowUp", "Escape", "k"), "up"),
        Gesture("first", "The first on this floor", "click it", ("Home",), "across"),
        Gesture("last", "The last on this floor", "click it", ("End",), "across"),
        HELP,
    )

    chart = traitlets.Instance(
        ipywidgets.Widget, allow_none=True, help="the bqplot figure of watermarks; None where there is none"
    ).tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(
        self,
        source: object,
        /,
        *,
        on_select: Callable[[Focus], object] | None = None,
        width: int | None = None,
        height: int | None = None,
        theme: str | None = None,
        **unknown: Any,
    ) -> None:
        self._chart = Chart()
        super().__init__(source, on_select=on_select, width=width, height=height, theme=theme, **unknown)

    # What is shown --------------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        """Return the floors, and the plot of watermarks."""
        snapshot = self.snapshot
        plot = _plot(snapshot)
        shown = None if plot is None else self._chart.show(plot)
        if self.chart is not self._chart.figure:
            self.chart = self._chart.figure
        return {**diagram(snapshot), "chart": shown}

    def summary(self) -> str:
        """Say every node and zone in a line."""
        snapshot = self.snapshot
        return "\n".join([f"ZoneDiagram of {snapshot.name}", *(f"  {line}" for line in summary_lines(snapshot))])

    def picture(self) -> str:
        """Draw the floors of nodes and zones."""
        return draw_floors(self.snapshot)

    def plot(self) -> Plot | None:
        """Return watermarks and the largest reserve of every zone that has any; None where they are not known."""
        return _plot(self.snapshot)

    def answers(self, node: int, zone: str) -> tuple[Answer, ...]:
        """Tell for every kind of request whether it may take a page from a zone, and why."""
        snapshot = self.snapshot
        return answers(snapshot.zone(node, zone), zone_names(snapshot.zones))

    # What can be done -----------------------------------------------------------------

    def select_node(self, node: int) -> None:
        """Choose a node."""
        if node not in self._nodes():
            raise ValueError(f"there is no node {node}; there are {', '.join(map(str, self._nodes()))}")
        self.select(node=node)

    def select_zone(self, node: int, zone: str) -> None:
        """Choose a zone of a node."""
        self.select(node=node, zone=self.snapshot.zone(node, zone).name)

    def down(self) -> None:
        """Go one floor down: to a node, to its first zone with memory, to that zone's first pages."""
        focus = self.focus
        if focus.node is None:
            self.select(node=self._nodes()[0])
        elif focus.zone is None:
            zones = self._zones(focus.node)
            self.select(node=focus.node, zone=next((each for each in zones if each.present), zones[0]).name)
        elif focus.frame is None:
            self._select_piece(self.snapshot.zone(focus.node, focus.zone), 0)

    def up(self) -> None:
        """Go one floor up: from pages to their zone, to its node, to the machine."""
        focus = self.focus
        if focus.frame is not None and focus.zone is not None:
            self.select(node=focus.node, zone=focus.zone)
        elif focus.zone is not None:
            self.select(node=focus.node)
        else:
            self.clear_selection()

    def across(self, step: int) -> None:
        """Go along the floor: to the next node, zone or piece of pages; stops at the ends."""
        focus = self.focus
        if focus.node is None:
            self.down()
        elif focus.zone is None:
            nodes = self._nodes()
            self.select(node=nodes[_stop(nodes.index(focus.node) + step, len(nodes))])
        elif focus.frame is None:
            zones = self._zones(focus.node)
            at = [each.name for each in zones].index(focus.zone)
            self.select(node=focus.node, zone=zones[_stop(at + step, len(zones))].name)
        else:
            zone = self.snapshot.zone(focus.node, focus.zone)
            self._select_piece(zone, _piece(zone, focus.frame) + step)

    # Inside ---------------------------------------------------------------------------

    def _nodes(self) -> list[int]:
        return [node.nid for node in nodes_of(self.snapshot)]

    def _zones(self, node: int) -> list[ZoneInfo]:
        return [zone for zone in self.snapshot.zones if zone.nid == node]

    def _select_piece(self, zone: ZoneInfo, piece: int) -> None:
        if zone.start_pfn is None or not zone.spanned:
            return
        pieces = min(PIECES, zone.spanned)
        piece = _stop(piece, pieces)
        start, end = (zone.spanned * at // pieces for at in (piece, piece + 1))
        self.select(node=zone.nid, zone=zone.name, start=zone.start_pfn + start, count=end - start)


def _plot(snapshot: Snapshot) -> Plot | None:
    zones = [zone for zone in snapshot.zones if zone.present and zone.min is not None]
    if not zones:
        return None
    marks = [(zone.min or 0, zone.low or 0, zone.high or 0) for zone in zones]
    many = len({zone.nid for zone in zones}) > 1
    return Plot(
        title="Watermarks and the largest reserve of every zone, in pages",
        x=tuple(f"{zone.nid}/{zone.name}" if many else zone.name for zone in zones),
        series=(
            Series("min", tuple(low[0] for low in marks), HUES[1], "bars"),
            Series("low above min", tuple(low - least for least, low, _ in marks), HUES[3], "bars"),
            Series("high above low", tuple(high - low for _, low, high in marks), HUES[2], "bars"),
            Series("protection, largest", tuple(max(zone.protection or (0,)) for zone in zones), HUES[6], "bars"),
        ),
        y_label="pages",
    )


def _stop(at: int, length: int) -> int:
    return min(max(at, 0), length - 1)


def _piece(zone: ZoneInfo, pfn: int) -> int:
    """Return the piece that a frame lies in."""
    spanned = zone.spanned or 1
    pieces = min(PIECES, spanned)
    return _stop(((pfn - (zone.start_pfn or 0)) * pieces + pieces - 1) // spanned, pieces)
