"""A recorded trace as a source that can be brought to any of its moments."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import KPF, Changes, FrameInfo, FrameTable, Snapshot, TraceEvent, ZoneInfo

#: More events than this between two looks: everything is asked for again.
_FAR = 4096
#: No kernel has larger blocks; a damaged trace may say anything.
_LARGEST = 20
_TAKEN, _FREED = 0, KPF["BUDDY"]

NOTE = "frames as before the trace, changed by its mm_page_alloc and mm_page_free events; zones are not followed"


class TraceSource:
    """A machine's frames at any moment of a trace.

    What an event did is undone from a log, so going back costs as little as going forward, and 100,000 events are
    crossed in a fraction of a second. What the events don't tell (free pages of a zone, lists) is unknown here.

    Parameters
    ----------
    before : Snapshot
        The machine's state before the first event.
    events : sequence of TraceEvent

    Attributes
    ----------
    now : int
        How many events are over.
    """

    def __init__(self, before: Snapshot, events: Sequence[TraceEvent]) -> None:
        self.events = tuple(events)
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
        """Only time can be changed."""
        return MappingProxyType({"goto": self.goto})

    def frame_table(self, kind: str = "flags") -> FrameTable | None:
        """Return the frames as they are now; `codes` are live."""
        if kind != "flags" or self._before.frames is None:
            return None
        return FrameTable(self._start, self._codes, self._palette)

    def snapshot(self) -> Snapshot:
        """Return what is known now: the frames; of zones only what doesn't change."""
        table = self.frame_table()
        if self.now == 0:
            return self._before
        zones = tuple(
            replace(zone, free=None, free_area=None, pagesets=(), stats={}, pageblock_types=None)
            for zone in self._before.zones
        )
        return replace(
            self._before,
            frames=None if table is None else replace(table, codes=bytes(table.codes)),
            frame_tables={}, zones=zones, meminfo=None, vmstat=None, slabs=None, vmalloc=None,
            notes=(*self._before.notes, NOTE),
            time_ns=self.events[self.now - 1].time_ns,
        )  # fmt: skip

    def frame(self, pfn: int) -> FrameInfo:
        """Return what is known of one frame; IndexError outside the table."""
        table = self.frame_table()
        if table is None:
            raise IndexError(f"no frame {pfn:#x}: no flags were recorded before the trace")
        zone = self.zone_of(pfn)
        return FrameInfo(pfn, None if zone is None else zone.nid, None if zone is None else zone.name, table[pfn])

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
