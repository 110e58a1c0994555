"""What kswapd's work changes for requests: limits of the per-CPU lists, drift of counters, the boost.

A trace shows when kswapd wakes and sleeps, not when it is done with a round. If someone wakes it before its next
round it had slept, and was done after its last event; if nobody does it went from one round into the next, however
long other tasks ran in between. Who begins to reclaim by himself without waking kswapd found it at work, or as one
that has given up: nobody wakes it then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.zone_lists import ZoneLists

from .cpu import IN_INTERRUPT

WAKE = "mm_vmscan_kswapd_wake"
SLEEP = "mm_vmscan_kswapd_sleep"
#: Without its end kswapd waits within a shrinker.
SHRINK_START = "mm_shrink_slab_start"
#: Events by which a round's end is known better than by frees alone.
ROUND_EVENTS = (
    "mm_vmscan_lru_shrink_inactive", "mm_vmscan_lru_shrink_active", "mm_vmscan_write_folio", SHRINK_START,
    "mm_shrink_slab_end",
)  # fmt: skip
#: Told only where kswapd waits to be woken (wakeup_kswapd).
WAKEUP = "mm_vmscan_wakeup_kswapd"
DIRECT_BEGIN, DIRECT_END = "mm_vmscan_direct_reclaim_begin", "mm_vmscan_direct_reclaim_end"
#: The OOM killer has chosen a task, which may use its reserve from then on (mark_oom_victim).
MARK_VICTIM = "mark_victim"
#: Events that only tell who is at work, and on what terms.
ASIDE = frozenset((WAKEUP, DIRECT_BEGIN, DIRECT_END, MARK_VICTIM))
#: The second latency flag where the task is about to be put off the cpu, which it is wherever it may be.
NEED_RESCHED = frozenset("Nnp")
#: After so many rounds in a row without a page reclaimed kswapd leaves its node to others (MAX_RECLAIM_RETRIES).
FAILURES_MAX = 16
#: No zone's threshold is larger (calculate_normal_threshold).
THRESHOLD_MAX = 125


def round_ends(rows: Iterable[tuple[Any, ...]]) -> dict[int, int]:
    """Find the rows behind which a round of kswapd is over: row to its node."""
    rounds: dict[int, int] = {}
    last: dict[int, int] = {}
    slept: set[int] = set()
    wakers: set[int] = set()
    # Who reclaims by himself, and the daemons that he found at work and that did not run since.
    beside: dict[int, set[int]] = {}
    put_off: set[int] = set()
    # Rounds without a page reclaimed, of each daemon, and those that have reclaimed in this one.
    failures: dict[int, int] = {}
    freed: set[int] = set()
    ends: dict[int, int] = {}
    number = 0
    for number, (name, _, pid, _, _, flags, values) in enumerate(rows, 1):
        if name == "mm_page_alloc":
            wakers.discard(pid)
        elif name == WAKEUP:
            slept.add(values[0])
            wakers.add(pid)
            # Put off the cpu, it came to the end of its round after that.
            last.update(
                (daemon, number - 1) for daemon, nid in rounds.items() if nid == values[0] and daemon in put_off
            )
        elif name == DIRECT_BEGIN and pid not in wakers:
            # One that gives up at the end of this round is not woken either (wakeup_kswapd); one that was woken waits
            # for the cpu.
            beside[pid] = {
                daemon
                for daemon, nid in rounds.items()
                if nid not in slept and (daemon in freed or failures[daemon] + 1 < FAILURES_MAX)
            }
        elif name == DIRECT_END and values[0]:
            failures = dict.fromkeys(failures, 0)
        elif name in (WAKE, SLEEP):
            if pid in rounds:
                nid = rounds.pop(pid)
                failures[pid] = 0 if pid in freed else failures[pid] + 1
                freed.discard(pid)
                ends[last[pid] if nid in slept or name == SLEEP else number - 1] = nid
            if name == WAKE:
                rounds[pid] = values[0]
                slept.discard(values[0])
                failures.setdefault(pid, 0)
        if pid in rounds:
            last[pid] = number
            if name == "mm_page_free" and flags[2:3] not in IN_INTERRUPT:
                freed.add(pid)
            if name in ROUND_EVENTS:
                at_work = name == SHRINK_START or flags[1:2] in NEED_RESCHED
                (put_off.add if at_work else put_off.discard)(pid)
            for found in beside.values():
                found.discard(pid)
        elif pid in beside:
            last.update(dict.fromkeys(beside[pid], number))
            if name == DIRECT_END:
                del beside[pid]
    for pid, nid in rounds.items():
        gives_up = pid not in freed and failures[pid] + 1 >= FAILURES_MAX
        ends[last[pid] if nid in slept or gives_up else number] = nid
    return ends


class Kswapd:
    """Follows every node's kswapd, and stands for it where the simulation would wake it.

    Parameters
    ----------
    allocator : PageAllocator
    """

    def __init__(self, allocator: PageAllocator) -> None:
        self.allocator = allocator
        self.normal = {id(live): live.zone.stat_threshold for live in allocator.zones}
        self.boosts: dict[int, list[tuple[ZoneLists, int]]] = {}
        self.has_run = False
        self._asked: dict[int, int] = {}
        self._highest: dict[int, int] = {}

    def ask(self, nid: int | None, gfp: int) -> None:
        """Note up to which zone a request of these GFP flags needs pages, of one node or (None) of all."""
        for node in {live.zone.nid for live in self.allocator.zones if nid is None or live.zone.nid == nid}:
            self.wake_kswapd(node, self.allocator.read_gfp(gfp)[1])

    def wake_kswapd(self, nid: int, highest_zoneidx: int, _order: int = 0, _gfp: int = 0, _cpu: int = 0) -> None:
        """Note up to which zone pages are needed when it wakes next (pgdat->kswapd_highest_zoneidx)."""
        self._asked[nid] = max(highest_zoneidx, self._asked.get(nid, 0))

    # The rest of what the slow path calls: a trace tells what is reclaimed as frees, so nothing is done here.

    def compact(self, *_request: Any) -> None:
        """Don't compact."""

    def compacted(self, _order: int, _pfn: int) -> None:
        """Note nothing."""

    def compaction_suitable(self, *_request: Any) -> bool:
        """Make no room to compact in."""
        return False

    def reclaimable(self, _live: ZoneLists) -> int:
        """Know of nothing that might be reclaimed."""
        return 0

    def reclaim(self, *_request: Any) -> int:
        """Reclaim no page."""
        return 0

    def out_of_memory(self, _order: int, _gfp: int) -> bool:
        """Kill no task."""
        return False

    def _zones(self, nid: int) -> list[ZoneLists]:
        return [live for live in self.allocator.zones if live.zone.nid == nid]

    def wake(self, nid: int) -> None:
        """Begin a round (kswapd, balance_pgdat)."""
        self.has_run = True
        cpus = len(self.allocator.cpu_node)
        # Asked for nothing new, it goes on as before.
        before = self._highest.get(nid, len(self.allocator.zone_names))
        highest = self._highest[nid] = self._asked.pop(nid, before)
        kept = []
        for live in self._zones(nid):
            distance = live.zone.wmark_low - live.zone.wmark_min
            if cpus * self.normal[id(live)] > distance:
                # Only a zone whose counters could drift past a mark is watched closely (percpu_drift_mark).
                live.zone.stat_threshold = min(THRESHOLD_MAX, max(1, distance // cpus))
            if live.zone.index <= highest:
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
        for live in self._zones(nid):
            live.zone.stat_threshold = self.normal[id(live)]
