"""The event log: what the machine did and decided, cheap to take down, told in full on demand.

An event is taken down as plain values: its kind, the cpu, and its fields.
Where nobody listens, the place that would tell it tests one attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kmemwidgets.records import TraceEvent

ALLOC = 0
FREE = 1
FREE_BATCHED = 2
ZONE_LOCKED = 3
PCPU_DRAIN = 4
EXTFRAG = 5
EXPAND = 6
MERGE = 7
WATERMARK = 8
ZONE_SKIPPED = 9
PCP_TAKE = 10
PCP_REFILL = 11
PCP_PUT = 12
REQUEST = 13
KSWAPD_WAKE = 14
RESERVE_HIGHATOMIC = 15
SLOWPATH = 16
BUDDY_TAKE = 17
OTHER = 18
BUDDY_PUT = 19

#: By kind: system, name, field names.
KINDS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("kmem", "mm_page_alloc", ("pfn", "order", "migratetype", "gfp_flags")),
    ("kmem", "mm_page_free", ("pfn", "order")),
    ("kmem", "mm_page_free_batched", ("pfn", "order")),
    ("kmem", "mm_page_alloc_zone_locked", ("pfn", "order", "migratetype", "percpu_refill")),
    ("kmem", "mm_page_pcpu_drain", ("pfn", "order", "migratetype")),
    (
        "kmem",
        "mm_page_alloc_extfrag",
        (
            "pfn", "alloc_order", "fallback_order", "pageblock_order", "alloc_migratetype",
            "fallback_migratetype", "change_ownership",
        ),
    ),
    ("sim", "expand", ("pfn", "of", "order", "migratetype")),
    ("sim", "merge", ("pfn", "buddy", "order", "migratetype")),
    ("sim", "watermark", ("nid", "zone", "order", "mark", "free", "unusable", "min", "reserve", "passed")),
    ("sim", "zone_skipped", ("nid", "zone", "why")),
    ("sim", "pcp_take", ("nid", "zone", "list", "pfn", "count")),
    ("sim", "pcp_refill", ("nid", "zone", "list", "asked", "got")),
    ("sim", "pcp_put", ("nid", "zone", "list", "pfn", "count", "high")),
    ("sim", "request", ("order", "gfp_flags", "migratetype", "highest_zoneidx", "nid")),
    ("vmscan", "mm_vmscan_wakeup_kswapd", ("nid", "zid", "order", "gfp_flags")),
    ("sim", "reserve_highatomic", ("nid", "zone", "pfn", "pages")),
    ("sim", "slowpath", ("step", "alloc_flags")),
    ("sim", "buddy_take", ("nid", "zone", "pfn", "order", "migratetype", "from_order", "from_migratetype")),
    ("sim", "note", ("system", "name", "fields")),
    ("sim", "buddy_put", ("pfn", "order", "migratetype", "to_tail")),
)  # fmt: skip


#: Values of an event of each kind, kind and cpu included.
SIZES: tuple[int, ...] = tuple(len(names) + 2 for _, _, names in KINDS)


class EventLog:
    """Events in the order they happened.

    Parameters
    ----------
    limit : int or None
        How many to keep at least; older ones are dropped in pieces, and the count goes on.

    Attributes
    ----------
    raw : list
        All events' values one after the other: kind, cpu, fields. (One flat list: a tuple kept for each event would
        cost more in garbage collection than all the rest.)
    emit : callable
        Takes one event, or several in one tuple.
    """

    __slots__ = ("_first", "_starts", "emit", "limit", "raw")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.raw: list[Any] = []
        self.emit = self.raw.extend
        # Number of the oldest event kept; where each event read so far starts in `raw`.
        self._first = 0
        self._starts: list[int] = []

    def note(self, system: str, name: str, fields: dict[str, Any], cpu: int = 0) -> None:
        """Take down an event of a kind that has no number."""
        self.emit((OTHER, cpu, system, name, fields))

    def __len__(self) -> int:
        self._look()
        return self._first + len(self._starts)

    def _look(self) -> None:
        """Find where the events begin that came since the last look, and drop the oldest."""
        raw, starts = self.raw, self._starts
        at = starts[-1] + SIZES[raw[starts[-1]]] if starts else 0
        while at < len(raw):
            starts.append(at)
            at += SIZES[raw[at]]
        if self.limit is not None and len(starts) >= 2 * self.limit:
            dropped = len(starts) - self.limit
            cut = starts[dropped]
            del raw[:cut]
            starts[:] = [start - cut for start in starts[dropped:]]
            self._first += dropped

    def since(self, seq: int) -> Iterator[TraceEvent]:
        """Tell the events from number `seq` on."""
        self._look()
        for index in range(max(seq - self._first, 0), len(self._starts)):
            at = self._starts[index]
            yield told(tuple(self.raw[at : at + SIZES[self.raw[at]]]), self._first + index)


def told(event: tuple[Any, ...], seq: int) -> TraceEvent:
    """Tell one event in full."""
    kind, cpu = event[:2]
    if kind == OTHER:
        return TraceEvent(seq=seq, system=event[2], name=event[3], fields=dict(event[4]), cpu=cpu)
    system, name, names = KINDS[kind]
    return TraceEvent(seq=seq, system=system, name=name, fields=dict(zip(names, event[2:], strict=True)), cpu=cpu)
