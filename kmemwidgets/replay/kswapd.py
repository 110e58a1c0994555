"""What kswapd's work changes for requests: limits of the per-CPU lists, drift of counters, the boost.

A trace shows when kswapd wakes and sleeps, not when it is done with a round. If someone wakes it before its next
round it had slept, and was done after its last event; if nobody does it went from one round into the next, however
long other tasks ran in between. Who begins to reclaim by himself without waking kswapd found it at work.
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
#: Told only where kswapd waits to be woken (wakeup_kswapd).
WAKEUP = "mm_vmscan_wakeup_kswapd"
DIRECT_BEGIN, DIRECT_END = "mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end"
#: Events that only tell whether kswapd is at work.
ASIDE = frozenset((WAKEUP, DIRECT_BEGIN, DIRECT_END))
#: No zone's threshold is larger (calculate_normal_threshold).
THRESHOLD_MAX = 125


def round_ends(rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """Find the rows behind which a round of kswapd is over: row to its node."""
    rounds: dict[int, int] = {}
    last: dict[int, int] = {}
    slept: set[int] = set()
    wakers: set[int] = set()
    beside: set[int] = set()
    ends: dict[int, int] = {}
    number = 0
    for number, (name, _, pid, _, _, _, values) in enumerate(rows, 1):
        if name == "mm_page_alloc":
            wakers.discard(pid)
        elif name == WAKEUP:
            slept.add(values[0])
            wakers.add(pid)
        elif name == DIRECT_BEGIN and pid not in wakers:
            beside.add(pid)
        elif name in (WAKE, SLEEP):
            if pid in rounds:
                nid = rounds.pop(pid)
                ends[last[pid] if nid in slept or name == SLEEP else number - 1] = nid
            if name == WAKE:
                rounds[pid] = values[0]
                slept.discard(values[0])
        if pid in rounds:
            last[pid] = number
        elif pid in beside:
            last.update((daemon, number) for daemon, nid in rounds.items() if nid not in slept)
            if name == DIRECT_END:
                beside.discard(pid)
    for pid, nid in rounds.items():
        ends[last[pid] if nid in slept else number] = nid
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
