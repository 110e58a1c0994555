"""What kswapd's work changes for requests: limits of the per-CPU lists, drift of counters, the boost.

A trace shows when kswapd wakes and sleeps, not when it is done with a round: that is taken to be after the
last event of its task before the next of those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.zone_lists import ZoneLists

WAKE = "mm_vmscan_kswapd_wake"
SLEEP = "mm_vmscan_kswapd_sleep"
#: Events by which a round's end is known better than by frees alone.
ROUND_EVENTS = ("mm_vmscan_lru_shrink_inactive", "mm_vmscan_lru_shrink_active", "mm_vmscan_write_folio")
#: No zone's threshold is larger (calculate_normal_threshold).
THRESHOLD_MAX = 125


def round_ends(rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """Find the rows that end a round of kswapd: row to its node."""
    open_rounds: dict[int, int] = {}
    last: dict[int, int] = {}
    ends: dict[int, int] = {}
    for number, row in enumerate(rows, 1):
        name, pid = row[0], row[2]
        if name in (WAKE, SLEEP):
            if pid in open_rounds:
                ends[last[pid]] = open_rounds.pop(pid)
            if name == WAKE:
                open_rounds[pid] = row[6][0]
        if pid in open_rounds:
            last[pid] = number
    for pid, nid in open_rounds.items():
        ends[last[pid]] = nid
    return ends


class Kswapd:
    """Follows every node's kswapd.

    Parameters
    ----------
    allocator : PageAllocator
    """

    def __init__(self, allocator: PageAllocator) -> None:
        self.allocator = allocator
        self.normal = {id(live): live.zone.stat_threshold for live in allocator.zones}
        self.boosts: dict[int, list[tuple[ZoneLists, int]]] = {}

    def wake(self, nid: int) -> None:
        """Begin a round (kswapd, balance_pgdat). The event doesn't tell up to which zone: all are taken."""
        cpus = len(self.allocator.cpu_node)
        kept = []
        for live in self.allocator.zones:
            if live.zone.nid != nid:
                continue
            distance = live.zone.wmark_low - live.zone.wmark_min
            if cpus * self.normal[id(live)] > distance:
                # Only a zone whose counters could drift past a mark is watched closely (percpu_drift_mark).
                live.zone.stat_threshold = min(THRESHOLD_MAX, max(1, distance // cpus))
            live.reclaim_active = True
            kept.append((live, live.zone.watermark_boost))
        self.boosts[nid] = kept

    def end_round(self, nid: int) -> None:
        """End a round: the boost that there was at its beginning is taken back."""
        for live, boost in self.boosts.pop(nid, []):
            live.reclaim_active = False
            live.zone.watermark_boost -= min(live.zone.watermark_boost, boost)
        self.allocator.marks_changed()

    def sleep(self, nid: int) -> None:
        """Let counters drift as far as usual again."""
        for live in self.allocator.zones:
            if live.zone.nid == nid:
                live.zone.stat_threshold = self.normal[id(live)]
