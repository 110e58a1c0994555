"""The widget: what it sends, what it says, what Python can do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import traitlets

from kmemwidgets.records import FrameInfo, FrameTable, Snapshot, ZoneInfo
from kmemwidgets.records.page_words import KPF_WORDS
from kmemwidgets.widgets._assemble import assemble, styles
from kmemwidgets.widgets._base import HELP, RESET, UNDO, Gesture, KmemWidget
from kmemwidgets.widgets._words import count, share, size
from kmemwidgets.widgets.focus import Focus
from kmemwidgets.widgets.source import frame_kinds, frame_table
from kmemwidgets.widgets.strings import text

from .cells import by_rarity, cells_of, count_codes, differences
from .kinds import FLAG_KINDS, Kind, kinds_of, words_of
from .layout import Layout, lay_out
from .picture import draw, draw_totals

_PALETTE_LIMIT = 255

#: A change of more than this share of all frames is sent as everything anew.
_MOST = 0.5


class FrameMap(KmemWidget):
    """The page frames of a machine as a map: a frame a cell, rows in address order.

    Parameters
    ----------
    source : Machine, Capture, Snapshot or str
        What to show; a str is the text of /proc/buddyinfo or /proc/zoneinfo (positions are unknown then).
    color_by : str, optional
        "flags", or a further table that the source has: "order", "migratetype", "owner", "age".
    only : sequence of str, optional
        Names of the kinds to show (`kinds` lists them); empty: all.
    on_select, width, height, theme
        As with every widget.

    Examples
    --------
    >>> from kmemwidgets import Capture, FrameMap
    >>> FrameMap(Capture.bundled("amd64-512m"))                                     # doctest: +SKIP
    """

    _esm = assemble(__file__)
    _css = styles(__file__)

    NAME = "framemap"
    TITLE = "Page frames"
    TAKES = ("buddyinfo", "zoneinfo")
    TERMS = ("node", "zone", "page frame", "pfn", "order", "migrate type", "unmovable", "movable", "reclaimable",
             "highatomic", "cma", "isolate")  # fmt: skip
    GESTURES: ClassVar[tuple[Gesture, ...]] = (
        Gesture("left", "One frame to the left", "hover", ("ArrowLeft", "h"), "move"),
        Gesture("right", "One frame to the right", "hover", ("ArrowRight", "l"), "move"),
        Gesture("up", "One row up", "hover", ("ArrowUp", "k"), "move"),
        Gesture("down", "One row down", "hover", ("ArrowDown", "j"), "move"),
        Gesture("page_up", "A screen up", "drag", ("PageUp",), "pan"),
        Gesture("page_down", "A screen down", "drag", ("PageDown",), "pan"),
        Gesture("home", "To the first frame", "click in the overview", ("Home",), "go_to"),
        Gesture("end", "To the last frame", "click in the overview", ("End",), "go_to"),
        Gesture("next_kind", "To the next frame of another kind", "hover", ("n",), "move"),
        Gesture("zoom_in", "Closer", "double click; wheel with Ctrl or in the map", ("+", "="), "zoom"),
        Gesture("zoom_out", "Farther", "wheel", ("-", "_"), "zoom"),
        Gesture("fit", "The whole map", "click ⤢", ("0",), "fit"),
        Gesture("part", "Map only what is on screen, frame by frame", "click ▣", ("m",), "show_part"),
        Gesture("select", "Choose a frame", "click it", ("Enter", " "), "select"),
        Gesture("why", "Why here? What took the chosen frame decided", "click it, then Why here?", ("w",), "why",
                "why"),
        Gesture("clear", "Choose nothing", "click the chosen frame", ("Escape",), "clear_selection"),
        Gesture("filter", "Show only this kind, or all again", "click it in the legend", ("f",), "toggle_kind"),
        Gesture("all", "Show all kinds", "click “Show all”", ("a",), "show_all"),
        Gesture("color", "Colour by something else", "choose it in the list", ("c",), "color"),
        Gesture("png", "Save as PNG", "click PNG", ("p",), "save"),
        Gesture("svg", "Save as SVG", "click SVG", ("s",), "save"),
        UNDO,
        RESET,
        HELP,
    )  # fmt: skip

    color_by = traitlets.Unicode("flags", help="which table colours the frames").tag(sync=True)
    only = traitlets.List(traitlets.Unicode(), help="names of the kinds shown; empty: all").tag(sync=True)
    camera = traitlets.List(
        traitlets.Float(), help="column and row in the middle, CSS pixels a cell; empty: the whole map"
    ).tag(sync=True)
    part = traitlets.List(
        traitlets.Int(), help="first frame and the one behind the last that are mapped; empty: all"
    ).tag(sync=True)
    cursor = traitlets.Int(None, allow_none=True, help="frame under the keyboard's cursor").tag(sync=True)
    said = traitlets.Unicode("", help="what was decided for the frame asked about last, in words").tag(sync=True)

    def __init__(
        self,
        source: object,
        /,
        *,
        color_by: str = "flags",
        only: Sequence[str] = (),
        on_select: Callable[[Focus], object] | None = None,
        width: int | None = None,
        height: int | None = None,
        theme: str | None = None,
        **unknown: Any,
    ) -> None:
        self._sent: tuple[FrameTable, Layout] | None = None
        self._order: tuple[int, ...] = ()
        super().__init__(source, on_select=on_select, width=width, height=height, theme=theme, **unknown)
        self.color(color_by)
        self.only = list(only)

    # What is shown --------------------------------------------------------------------

    @property
    def tables(self) -> tuple[str, ...]:
        """What `color` takes here; empty where no frame's position is known."""
        return frame_kinds(self._source)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The rows of the legend."""
        table = self._table()
        return () if table is None else kinds_of(table)[0]

    @property
    def counts(self) -> dict[str, int]:
        """Frames of each kind, by name."""
        table = self._table()
        if table is None:
            return {}
        kinds, codes = kinds_of(table)
        return {kind.name: number for kind, number in zip(kinds, _count(table, len(kinds), codes), strict=True)}

    @property
    def layout_of_frames(self) -> Layout | None:
        """Where on the map each frame lies."""
        table = self._table()
        return None if table is None else _layout(self.snapshot, table)

    def summary(self) -> str:
        """Say what is shown, in one line a kind of frame."""
        snapshot = self.snapshot
        table = self._table()
        if table is None:
            free = [number for zone in snapshot.zones if (number := _free(zone)) is not None]
            known = f"; {count(sum(free))} frames free" if free else ""
            return f"FrameMap of {snapshot.name}: positions unknown{known}"
        kinds, codes = kinds_of(table)
        counts = _count(table, len(kinds), codes)
        real = sum(number for kind, number in zip(kinds, counts, strict=True) if kind.name != "hole")
        head = f"FrameMap of {snapshot.name}: {count(real)} frames, {size(real * snapshot.page_size)}"
        rows = sorted(
            (-number, kind.label) for kind, number in zip(kinds, counts, strict=True) if number and kind.name != "hole"
        )
        return "\n".join([head, *(f"  {label}: {count(-number)}, {share(-number, real)}" for number, label in rows)])

    def picture(self) -> str:
        """Draw the map, or the totals where positions are unknown."""
        snapshot = self.snapshot
        table = self._table()
        if table is None:
            return draw_totals(snapshot)
        kinds, codes = kinds_of(table)
        return draw(snapshot, table, _layout(snapshot, table), kinds, codes, _count(table, len(kinds), codes))

    # What can be done -----------------------------------------------------------------

    def color(self, kind: str) -> None:
        """Colour the frames by another table; see `tables`."""
        known = self.tables
        if known and kind not in known:
            raise ValueError(f"{self.snapshot.name} has no table {kind!r}; it has {', '.join(known)}")
        self.color_by = kind

    def toggle_kind(self, name: str) -> None:
        """Show a kind only, or no longer only; several may be shown."""
        names = [kind.name for kind in self.kinds]
        if name not in names:
            raise ValueError(f"no kind {name!r}; there are {', '.join(names)}")
        self.only = [each for each in self.only if each != name] if name in self.only else [*self.only, name]

    def show_all(self) -> None:
        """Show all kinds again."""
        self.only = []

    def fit(self) -> None:
        """Show the whole map."""
        self.part = []
        self.camera = []

    def show_part(self, start: int, end: int) -> None:
        """Map only the frames from `start` to `end`: with up to 16 million of them, each has its own cell."""
        whole = frame_table(self._source, self.color_by)
        if whole is None or not whole.start_pfn <= start < end <= whole.end_pfn:
            raise ValueError(f"no frames {start:#x}-{end:#x} on this map")
        self.camera = []
        self.part = [start, end]

    def go_to(self, pfn: int, scale: float | None = None) -> None:
        """Put a frame in the middle; `scale` is CSS pixels a frame (24 if the whole map was shown)."""
        layout = self.layout_of_frames
        place = layout and layout.place(pfn)
        if not place:
            raise ValueError(f"frame {pfn:#x} is not on this map")
        self.cursor = pfn
        self.camera = [place[0] + 0.5, place[1] + 0.5, scale or (self.camera[2] if self.camera else 24.0)]

    def zoom(self, factor: float) -> None:
        """Go closer (factor above 1) or farther."""
        if factor <= 0:
            raise ValueError(f"a factor is above 0, not {factor}")
        column, row, scale = self.camera or self._middle()
        self.camera = [column, row, scale * factor]

    def pan(self, columns: float, rows: float) -> None:
        """Move the view by cells."""
        column, row, scale = self.camera or self._middle()
        self.camera = [column + columns, row + rows, scale]

    def move(self, frames: int) -> None:
        """Move the cursor."""
        table = self._table()
        if table is not None:
            at = table.start_pfn if self.cursor is None else self.cursor
            self.cursor = min(max(at + frames, table.start_pfn), table.end_pfn - 1)

    def select(self, pfn: int | None = None, count: int = 1, **place: Any) -> None:
        """Choose `count` frames from `pfn`, or another place (node, zone, ...)."""
        if pfn is not None:
            zone = self.snapshot.zone_of(pfn)
            if zone is not None:
                place = {"node": zone.nid, "zone": zone.name, **place}
            place = {**place, "start": pfn, "count": count}
            self.cursor = pfn
        super().select(**place)

    def frame(self, pfn: int) -> FrameInfo:
        """Return all that is known of a frame."""
        return self._source.frame(pfn)

    def why(self, pfn: int | None = None) -> tuple[str, ...]:
        """Tell, in sentences, what the command or event decided that took a frame.

        Parameters
        ----------
        pfn : int, optional
            The chosen frame, else the one under the cursor, if not given.
        """
        pfn = next((each for each in (pfn, self.focus.frame, self.cursor) if each is not None), None)
        if pfn is None:
            raise ValueError(text("framemap.nothing_chosen"))
        taken_by = getattr(self._source, "taken_by", None)
        number = taken_by(pfn) if callable(taken_by) else None
        if number is None:
            frame = self.frame(pfn)
            owner = frame.owner or frame.state or "?"
            told: tuple[str, ...] = (text("framemap.untaken", pfn=f"{pfn:#x}", owner=owner),)
        else:
            told = tuple(self._verb("why", number=number))
        self.said = "\n".join(told)
        return told

    def save(self, path: str | Path) -> Path:
        """Write the picture of the whole map as an SVG file."""
        path = Path(path)
        path.write_text(self.picture(), "utf-8")
        return path

    # What is sent ---------------------------------------------------------------------

    def terms(self) -> dict[str, str]:
        """Return what kinds and flags mean."""
        kinds = {kind.name: kind.says for kind in FLAG_KINDS}
        return {**super().terms(), **kinds, **{name.lower(): f"{name}: {says}" for name, says in KPF_WORDS.items()}}

    def data(self) -> dict[str, Any]:
        """Return all but the frames."""
        snapshot = self.snapshot
        table = self._table()
        head = {
            "name": snapshot.name,
            "page_size": snapshot.page_size,
            "tables": list(self.tables),
            "whole": not self.part,
            "zones": [
                {"node": zone.nid, "zone": zone.name, "start": zone.start_pfn, "end": zone.start_pfn + zone.spanned}
                for zone in snapshot.zones
                if zone.start_pfn is not None and zone.spanned
            ],
        }
        if table is None:
            return {**head, "known": False, "totals": _totals(snapshot)}
        layout = _layout(snapshot, table)
        kinds, codes = kinds_of(table)
        return {
            **head,
            "known": True,
            "first": layout.first,
            "start": layout.start,
            "end": layout.end,
            "step": layout.step,
            "columns": layout.columns,
            "bands": [list(band) for band in layout.bands],
            "height": layout.height,
            "kinds": [self._kind(kind, table) for kind in kinds],
            "kind": list(codes),
            "words": [words_of(table, code) for code in range(len(table.palette))],
            # How many frames there are of each code, where a cell is several: its own colour doesn't tell.
            "counts": self._counts(table) if layout.step > 1 else None,
        }

    def _counts(self, table: FrameTable) -> list[int]:
        """Count the frames of each code, and settle which are rare."""
        counts = count_codes(table.codes)
        self._order = by_rarity(counts)
        return [counts.get(code, 0) for code in range(256)]

    def _kind(self, kind: Kind, table: FrameTable) -> dict[str, str]:
        terms = self.about["terms"]
        term = next((name for name in (kind.name, kind.label.lower(), table.kind) if name in terms), "")
        return {"name": kind.name, "label": kind.label, "light": kind.light, "dark": kind.dark, "term": term}

    def send_all(self) -> None:
        """Send the map and all frames."""
        self._seen = self._source.changes(self._seen).seq
        table = self._table()
        if table is None:
            self._wire.full(self.data())
            return
        layout = _layout(self.snapshot, table)
        self._sent = (table, layout)
        self._wire.full(self.data(), self._codes(table, layout))

    def send_changes(self) -> None:
        """Send the frames that changed."""
        changes = self._source.changes(self._seen)
        if self._sent is None or changes.ranges is None:
            self.refresh()
            return
        table, layout = self._sent
        frames = changes.ranges
        if not _is_live(table):
            # An owner or an age may change where the frame itself does not.
            now = self._table()
            if now is None or (now.palette, now.labels) != (table.palette, table.labels):
                self.refresh()
                return
            frames = tuple((table.start_pfn + start, length) for start, length in differences(table.codes, now.codes))
            table = now
            self._sent = (table, layout)
        self._seen = changes.seq
        ranges = list(_cells(frames, layout))
        if sum(length for _, length in ranges) * layout.step > _MOST * (layout.end - layout.start):
            self._wire.full({**self.data()}, self._codes(table, layout))
            return
        if ranges:
            codes, step = memoryview(table.codes), layout.step
            parts = (self._part(codes[start * step : (start + length) * step], layout) for start, length in ranges)
            self._wire.delta(None, ranges, b"".join(parts))

    @traitlets.observe("color_by")
    def _recolor(self, _change: Mapping[str, Any]) -> None:
        self.only = []
        if self._sent is not None:
            self.refresh()

    @traitlets.observe("part")
    def _repart(self, _change: Mapping[str, Any]) -> None:
        if self._sent is not None:
            self.refresh()

    def _codes(self, table: FrameTable, layout: Layout) -> bytes | bytearray | memoryview:
        """Return a code for each cell, by the counts that `data` took."""
        return table.codes if layout.step == 1 else cells_of(table.codes, layout.step, self._order)

    def _part(self, codes: memoryview, layout: Layout) -> bytes:
        """Return a code for each cell of a part: what is rare stays what it was when everything was sent last."""
        part = bytes(codes)
        if layout.step == 1:
            return part
        new = sorted(set(part) - set(self._order))
        return cells_of(part, layout.step, (*self._order, *new))

    def _table(self) -> FrameTable | None:
        table = frame_table(self._source, self.color_by)
        if table is not None and len(table.palette) > _PALETTE_LIMIT:
            raise ValueError(f"a palette of {len(table.palette)} is more than a byte can tell apart from no frame")
        if table is not None and self.part:
            start, end = (pfn - table.start_pfn for pfn in self.part)
            return replace(table, start_pfn=self.part[0], codes=memoryview(table.codes)[start:end])
        return table

    def _middle(self) -> tuple[float, float, float]:
        layout = self.layout_of_frames
        if layout is None:
            raise ValueError("positions are unknown here, so there is no map to move over")
        return layout.columns / 2, layout.height / 2, 1.0


def _is_live(table: FrameTable) -> bool:
    """Tell whether a table goes on to show the frames as they change: its codes are no copy."""
    codes = table.codes
    held = codes.obj if isinstance(codes, memoryview) else codes
    return table.kind == "flags" and not isinstance(held, bytes)


def _layout(snapshot: Snapshot, table: FrameTable) -> Layout:
    known = sorted((zone.start_pfn, zone.start_pfn + zone.spanned)
                   for zone in snapshot.zones if zone.start_pfn is not None and zone.spanned)  # fmt: skip
    holes, at = [], table.start_pfn
    for start, end in known:
        if start > at:
            holes.append((at, start))
        at = max(at, end)
    if known and at < table.end_pfn:
        holes.append((at, table.end_pfn))
    return lay_out(table.start_pfn, table.end_pfn, holes)


def _count(table: FrameTable, kinds: int, kind_of_code: bytes) -> list[int]:
    """Count the frames of each kind; a code outside the palette is of none."""
    counts = [0] * kinds
    for code, number in count_codes(table.codes).items():
        if code < len(kind_of_code):
            counts[kind_of_code[code]] += number
    return counts


def _cells(ranges: Sequence[tuple[int, int]], layout: Layout) -> list[tuple[int, int]]:
    """Turn ranges of pfns into ranges of cells, counted from the table's first."""
    cells: list[tuple[int, int]] = []
    for pfn, length in ranges:
        start, end = max(pfn, layout.start) - layout.start, min(pfn + length, layout.end) - layout.start
        if end <= start:
            continue
        first, last = start // layout.step, (end - 1) // layout.step
        if cells and first <= sum(cells[-1]):
            before = cells.pop()
            first, last = before[0], max(last, sum(before) - 1)
        cells.append((first, last - first + 1))
    return cells


def _free(zone: ZoneInfo) -> int | None:
    """Return a zone's free frames: its own figure, else the sum of its free blocks."""
    if zone.free is not None or zone.free_area is None:
        return zone.free
    return sum(area.nr_free << area.order for area in zone.free_area)


def _totals(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [
        {
            "node": zone.nid,
            "zone": zone.name,
            "free": _free(zone),
            "managed": zone.managed,
            "orders": None if zone.free_area is None else [area.nr_free for area in zone.free_area],
        }
        for zone in snapshot.zones
        if zone.managed != 0
    ]
