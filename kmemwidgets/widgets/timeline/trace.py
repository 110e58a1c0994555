"""A recorded trace as a source that can be brought to any of its moments."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import (
    KPF,
    MIGRATETYPES,
    BadInput,
    Changes,
    FrameInfo,
    FrameTable,
    Snapshot,
    TraceEvent,
    ZoneInfo,
)
from kmemwidgets.sim.frame_kinds import migratetype_table, order_table
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.view import block_of, heads_of, lists_of

from .takers import Takers

#: More events than this between two looks: everything is asked for again.
_FAR = 4096
#: No kernel has larger blocks; a damaged trace may say anything.
_LARGEST = 20
_TAKEN, _FREED = 0, KPF["BUDDY"]

NOTE = "frames as before the trace, changed by its mm_page_alloc and mm_page_free events"
UNFOLLOWED = "zones are not followed: no free lists were recorded before the trace"
REPLAYED = "zones and lists as the replayed allocator has them"

NOTHING = "{name} asks nothing of the page allocator"

#: Returns who brings a recording's allocator to any moment, and which of its rows the events are (`replay.player`).
OpenPlayer = Callable[[], tuple[Any, Any]]


class TraceSource:
    """A machine at any moment of a trace.

    What an event did to the frames is undone from a log, so going back costs as little as going forward, and 100,000
    events are crossed in a fraction of a second. What the events don't tell (zones, lists, decisions) is known where
    the trace can be replayed: a simulated allocator is brought to the same moment when somebody asks.

    Parameters
    ----------
    before : Snapshot
        The machine's state before the first event.
    events : sequence of TraceEvent
    replayed : callable, optional
        Returns the trace's `TracePlayer` and `RowsOfEvents`; called when somebody asks for what only they know.

    Attributes
    ----------
    now : int
        How many events are over.
    """

    def __init__(self, before: Snapshot, events: Sequence[TraceEvent], replayed: OpenPlayer | None = None) -> None:
        self.events = tuple(events)
        self._open = replayed
        self._player: Any = None
        self._takers: Takers | None = None
        self.now = 0
        self._before = before
        self._seq = 0
        self._logged: list[tuple[int, int]] = []
        self._subscribers: list[Callable[[], None]] = []
        palette = list(before.frames.palette) if before.frames is not None else []
        if before.frames is not None:
            palette += [word for word in (_TAKEN, _FREED) if word not in palette]
        self._palette = tuple(palette)
        self._codes = bytearray(before.frames.codes) if before.frames is not None else bytearray()
        self._start = before.frames.start_pfn if before.frames is not None else 0
        self._at = array("Q")
        self._first = array("Q")
        self._count = array("L")
        self._taken = bytearray()
        self._undo: list[bytes] = []
        self._collect()

    def _collect(self) -> None:
        """Note which events take or free frames of the table."""
        size = len(self._codes)
        for index, event in enumerate(self.events):
            if event.name not in ("mm_page_alloc", "mm_page_free"):
                continue
            pfn, order = event.fields.get("pfn"), event.fields.get("order", 0)
            # A failed request has no frame.
            if not isinstance(pfn, int) or not isinstance(order, int) or not event.fields.get("page", 1):
                continue
            first = pfn - self._start
            if first >= 0 and 0 <= order <= _LARGEST and first + (1 << order) <= size:
                self._at.append(index)
                self._first.append(first)
                self._count.append(1 << order)
                self._taken.append(event.name == "mm_page_alloc")

    # Time

    def goto(self, number: int) -> None:
        """Bring the frames to where they were after `number` events.

        Raises
        ------
        ValueError
            For a moment that is not in the trace.
        """
        if not 0 <= number <= len(self.events):
            raise ValueError(f"no moment {number}; there are 0 to {len(self.events)}")
        done, wanted = len(self._undo), bisect_left(self._at, number)
        if wanted >= done:
            self._forward(done, wanted)
        else:
            self._back(wanted, done)
        moved = abs(wanted - done)
        self.now = number
        self._seq += 1
        low, high = min(done, wanted), max(done, wanted)
        self._logged = [*self._logged, (low, high)][-64:] if moved <= _FAR else []
        for callback in tuple(self._subscribers):
            callback()

    def _forward(self, done: int, wanted: int) -> None:
        codes, undo = self._codes, self._undo
        taken, freed = (bytes((self._palette.index(word),)) if self._palette else b"" for word in (_TAKEN, _FREED))
        for index in range(done, wanted):
            first, count = self._first[index], self._count[index]
            undo.append(bytes(codes[first : first + count]))
            codes[first : first + count] = (taken if self._taken[index] else freed) * count

    def _back(self, wanted: int, done: int) -> None:
        codes, undo = self._codes, self._undo
        for index in range(done - 1, wanted - 1, -1):
            first = self._first[index]
            codes[first : first + self._count[index]] = undo.pop()

    # A source, like a recording

    @property
    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        """Only time can be changed; and what was decided can be asked where the trace is replayed."""
        return MappingProxyType({"goto": self.goto, **({"why": self.why} if self._open else {})})

    def why(self, number: int | None = None) -> tuple[str, ...]:
        """Tell in sentences what the allocator decided in event `number`, counted from 1; in the last one if not given.

        Raises
        ------
        ValueError
            For an event that is not in the trace.
        BadInput
            Where the trace can't be replayed.
        """
        number = self.now if number is None else number
        if not 1 <= number <= len(self.events):
            raise ValueError(f"no event {number}; there are 1 to {len(self.events)}")
        player, rows = self._replayed()
        row = rows.row(number)
        told: tuple[str, ...] = () if row is None else player.why(row)
        return told or (NOTHING.format(name=self.events[number - 1].name),)

    def taken_by(self, pfn: int) -> int | None:
        """Return the number of the event that took the block in use that a frame belongs to; None if none did."""
        takers = self._known_takers()
        entry = pfn - self._start
        if takers is None or not 0 <= entry < len(self._codes):
            return None
        index = takers.taken_by(entry, len(self._undo))
        return None if index is None else index + 1

    def frame_kinds(self) -> tuple[str, ...]:
        """Return the kinds of `frame_table`."""
        if self._before.frames is None:
            return ()
        return ("flags", *(("order", "migratetype") if self._open else ()), "owner", "age")

    def frame_table(self, kind: str = "flags") -> FrameTable | None:
        """Return the frames as they are now; `codes` of kind "flags" are live."""
        if self._before.frames is None or kind not in self.frame_kinds():
            return None
        if kind == "flags":
            return FrameTable(self._start, self._codes, self._palette)
        if kind in ("owner", "age"):
            takers = self._known_takers()
            assert takers is not None
            return takers.owners(len(self._undo)) if kind == "owner" else takers.ages(len(self._undo), self.now)
        memory = [
            (zone.start_pfn, zone.start_pfn + zone.spanned)
            for zone in self._before.zones
            if zone.start_pfn is not None and zone.spanned
        ]
        return (order_table if kind == "order" else migratetype_table)(self._allocator(), memory)

    def free_lists(self, nid: int, zone: str, most: int = 64) -> Mapping[tuple[int, str], Sequence[int]]:
        """Return a zone's buddy lists as they are now: (order, migrate type) to the first `most` pfns, head first."""
        if self._open is None:
            areas = self._before.zone(nid, zone).free_area or ()
            lists = {} if self.now else {area.order: area.lists or {} for area in areas}
            return {(order, name): tuple(pfns[:most]) for order, by in lists.items() for name, pfns in by.items()}
        return heads_of(self._allocator(), nid, zone, most)

    def _replayed(self) -> tuple[Any, Any]:
        """Return the player, at this moment, and which rows of it the events are."""
        if self._player is None:
            if self._open is None:
                raise BadInput("this trace can't be replayed", todo="give a Capture with the free lists before it")
            player, rows = self._open()
            self._player = player, rows
        player, rows = self._player
        player.goto(rows.over(self.now))
        return player, rows

    def _allocator(self) -> PageAllocator:
        """Return the simulated allocator as it is now."""
        allocator: PageAllocator = self._replayed()[0].allocator
        return allocator

    def _known_takers(self) -> Takers | None:
        if self._takers is None and self._before.frames is not None:
            journal = list(zip(self._at, self._first, self._count, map(bool, self._taken), strict=True))
            self._takers = Takers(self._before.frames, self.events, journal)
        return self._takers

    def snapshot(self) -> Snapshot:
        """Return what is known now: the frames; of zones only what doesn't change."""
        table = self.frame_table()
        if self.now == 0:
            return self._before
        unknown: dict[str, Any] = {
            "free": None,
            "free_area": None,
            "pagesets": (),
            "pageblock_types": None,
            "stats": {},
        }
        lists = (
            {}
            if self._open is None
            else {(live.zone.nid, live.zone.name): lists_of(live) for live in self._allocator().zones}
        )
        zones = tuple(replace(zone, **lists.get((zone.nid, zone.name), unknown)) for zone in self._before.zones)
        return replace(
            self._before,
            frames=None if table is None else replace(table, codes=bytes(table.codes)),
            frame_tables={}, zones=zones, meminfo=None, vmstat=None, slabs=None, vmalloc=None,
            notes=(*self._before.notes, NOTE, REPLAYED if self._open else UNFOLLOWED),
            time_ns=self.events[self.now - 1].time_ns,
        )  # fmt: skip

    def frame(self, pfn: int) -> FrameInfo:
        """Return what is known of one frame; IndexError outside the table."""
        table = self.frame_table()
        if table is None:
            raise IndexError(f"no frame {pfn:#x}: no flags were recorded before the trace")
        zone = self.zone_of(pfn)
        known: dict[str, Any] = {}
        if self._open is not None and zone is not None:
            allocator = self._allocator()
            known["order"], known["head"] = block_of(allocator, pfn)
            known["migratetype"] = MIGRATETYPES[allocator.memmap.types[pfn >> allocator.memmap.pageblock_order]]
        takers = self._known_takers()
        if takers is not None:
            known["owner"] = takers.owner(pfn - self._start, len(self._undo))
        return FrameInfo(
            pfn,
            None if zone is None else zone.nid,
            None if zone is None else zone.name,
            table[pfn],
            age=self.taken_by(pfn),
            **known,
        )

    def zone_of(self, pfn: int) -> ZoneInfo | None:
        """Return the zone whose span holds a frame."""
        return self._before.zone_of(pfn)

    def changes(self, since: int) -> Changes:
        """Return which frames changed after sequence number `since`."""
        steps = self._seq - since
        if steps == 0:
            return Changes(self._seq, ())
        if steps < 0 or steps > len(self._logged):
            return Changes(self._seq, None, frozenset({"zones", "events"}))
        touched = sorted(
            {(self._first[i], self._count[i]) for low, high in self._logged[-steps:] for i in range(low, high)}
        )
        return Changes(self._seq, _joined(touched, self._start), frozenset({"zones", "events"}))

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after each change; return a function that stops that."""
        self._subscribers.append(callback)

        def stop() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return stop


def _joined(blocks: Sequence[tuple[int, int]], start: int) -> tuple[tuple[int, int], ...]:
    """Join blocks (ascending) that touch or overlap."""
    ranges: list[list[int]] = []
    for first, count in blocks:
        if ranges and first <= ranges[-1][0] + ranges[-1][1]:
            ranges[-1][1] = max(ranges[-1][1], first + count - ranges[-1][0])
        else:
            ranges.append([first, count])
    return tuple((start + first, count) for first, count in ranges)
