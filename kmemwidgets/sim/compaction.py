"""Compaction: moving pages to the top of a zone so that its bottom becomes free (mm/compaction.c).

The scanners are in `compaction_scan`; here is who starts them, when they stop, and when a zone is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .compaction_scan import (
    ASYNC,
    COSTLY_ORDER,
    SYNC,
    SYNC_LIGHT,
    WHOLE,
    CompactControl,
    ZoneCompaction,
    isolate_migratepages,
    order_in_use,
    put_target_back,
    take_target,
)
from .events import OTHER
from .fragmentation import (
    EXTFRAG_THRESHOLD,
    extfrag_for_order,
    fragmentation_index,
    fragmentation_score_node,
    fragmentation_score_wmarks,
)
from .gfp import __GFP_IO, gfp_migratetype
from .memmap import IN_USE_LRU
from .page_alloc import PageAllocator
from .rules.compaction import CompactionRules
from .zone_lists import ZoneLists

#: enum compact_result, as far as a run can end.
SKIPPED, DEFERRED, CONTINUE, COMPLETE, PARTIAL_SKIPPED, CONTENDED, SUCCESS = (
    "skipped", "deferred", "continue", "complete", "partial_skipped", "contended", "success",
)  # fmt: skip
#: Worst first, as direct compaction of several zones reports the best one.
_RANK = (SKIPPED, DEFERRED, CONTINUE, COMPLETE, PARTIAL_SKIPPED, CONTENDED, SUCCESS)

#: enum compact_priority.
PRIO_SYNC_FULL, PRIO_SYNC_LIGHT, PRIO_ASYNC = 0, 1, 2
MAX_DEFER_SHIFT = 6
#: HPAGE_FRAG_CHECK_INTERVAL_MSEC: how often kcompactd looks at the score.
CHECK_INTERVAL_NS = 500_000_000


_MAY_PERFORM_IO = __GFP_IO

#: Counters of /proc/vmstat, in its order.
COUNTERS = (
    "pgmigrate_success", "pgmigrate_fail", "compact_migrate_scanned", "compact_free_scanned", "compact_stall",
    "compact_fail", "compact_success",
)  # fmt: skip


class Compaction:
    """Compaction of all zones of a machine.

    Parameters
    ----------
    allocator : PageAllocator
    rules : CompactionRules
    migrate : callable, optional
        Moves the page at the first pfn, of an order, to the second and tells whether it could; what the
        machine has in page tables and caches follows there.
    proactiveness : int
        vm.compaction_proactiveness.
    kswapd_runs : callable, optional
        Of a node: whether its kswapd is awake, when proactive compaction keeps away.

    Attributes
    ----------
    zones : list of ZoneCompaction
        As `PageAllocator.zones`.
    counters : dict of str to int
        What /proc/vmstat counts of it.
    """

    def __init__(
        self,
        allocator: PageAllocator,
        rules: CompactionRules,
        *,
        migrate: Callable[[int, int, int], bool] | None = None,
        proactiveness: int = 20,
        kswapd_runs: Callable[[int], bool] | None = None,
    ) -> None:
        self.allocator = allocator
        self.rules = rules
        self.migrate = migrate
        self.proactiveness = proactiveness
        self.kswapd_runs = kswapd_runs
        self.zones = [self._fresh(live) for live in allocator.zones]
        self.counters = dict.fromkeys(COUNTERS, 0)

    def _fresh(self, live: ZoneLists) -> ZoneCompaction:
        zone = live.zone
        last = zone.end_pfn - 1 >> self.shift << self.shift
        return ZoneCompaction([zone.start_pfn, zone.start_pfn], last)

    @property
    def shift(self) -> int:
        """Page-block order."""
        return self.allocator.memmap.pageblock_order

    # One run

    def begin(self, zone: int, order: int, mode: int, **more: Any) -> CompactControl:
        """Place the scanners for a run over a zone; `more` are further fields of `CompactControl`.

        Source: mm/compaction.c compact_zone, up to its loop.
        """
        live, memory = self.allocator.zones[zone], self.zones[zone]
        cc = CompactControl(live, memory, order, mode, **more)
        cc.freepages = [[] for _ in range(self.allocator.largest_order + 1)]
        start, end = live.zone.start_pfn, live.zone.end_pfn
        last = end - 1 >> self.shift << self.shift
        if self._restarting(memory, order):
            self.reset_skip(zone)
        if cc.whole_zone:
            cc.migrate_pfn, cc.free_pfn = start, last
        else:
            cc.migrate_pfn = memory.cached_migrate_pfn[mode != ASYNC]
            cc.free_pfn = memory.cached_free_pfn
            if not start <= cc.free_pfn < end:
                cc.free_pfn = memory.cached_free_pfn = last
            if not start <= cc.migrate_pfn < end:
                cc.migrate_pfn = start
                memory.cached_migrate_pfn[:] = [start, start]
            cc.whole_zone = cc.migrate_pfn <= max(memory.init_migrate_pfn, start)
        self._tell(
            cc, "mm_compaction_begin", zone_start=start, migrate_pfn=cc.migrate_pfn, free_pfn=cc.free_pfn,
            zone_end=end, mode="sync" if mode != ASYNC else "async",
        )  # fmt: skip
        return cc

    def next_move(self, cc: CompactControl) -> tuple[int, int, int] | None:
        """Return the next page to move, the frame it goes to, and its order; None when the run is over.

        The caller moves the page (or calls `failed`) and frees its old frame before it asks again. Nothing of a run
        is kept but `cc`, so that it may pause between any two pages.

        Source: mm/compaction.c compact_zone, its loop; mm/migrate.c migrate_pages.
        """
        while True:
            if cc.migratepages:
                order = order_in_use(cc.live.free_area.state[cc.migratepages[-1]])
                target = take_target(cc, self.rules, order)
                self._tell_scans(cc)
                if target >= 0:
                    cc.nr_succeeded += 1 << order
                    return cc.migratepages.pop(), target, order
                # No frame is left to move to: the scanners have met, or the zone is at its minimum.
                cc.nr_failed += len(cc.migratepages)
                cc.migratepages.clear()
                if not cc.scanners_met():
                    self._tell_batch(cc)
                    return None
            self._tell_batch(cc)
            cc.nr_migratepages = 0
            if cc.order > 0 and 0 < cc.last_migrated_pfn < cc.migrate_pfn >> cc.order << cc.order:
                # What was freed merges at once, so that `finished` sees it.
                self.allocator.drain_local_pages(cc.cpu, self.allocator.zones.index(cc.live))
                cc.last_migrated_pfn = 0
            if self.finished(cc) != CONTINUE:
                return None
            cc.rescan = cc.last_migrated_pfn > 0 and cc.last_migrated_pfn >> self.shift == cc.migrate_pfn >> self.shift
            if isolate_migratepages(cc, self.rules):
                cc.last_migrated_pfn = max(cc.live.zone.start_pfn, cc.block_start(cc.migrate_pfn - 1))
            self._tell_scans(cc)

    def failed(self, cc: CompactControl, target: int, order: int) -> None:
        """Keep the frame for another page: the one that was to move there stays where it is."""
        cc.nr_succeeded -= 1 << order
        cc.nr_failed += 1 << order
        put_target_back(cc, self.rules, target, order)

    def release(self, cc: CompactControl) -> list[tuple[int, int]]:
        """End a run: return the isolated blocks nobody moved to, as (pfn, order) in the order they are to be freed.

        Source: mm/compaction.c compact_zone behind its loop, release_freepages.
        """
        rest = [(pfn, order) for order, pfns in enumerate(cc.freepages) for pfn in reversed(pfns)]
        if rest:
            highest = max(pfn for pfn, _ in rest) >> self.shift << self.shift
            cc.memory.cached_free_pfn = max(cc.memory.cached_free_pfn, highest)
        for pfns in cc.freepages:
            pfns.clear()
        cc.nr_freepages = 0
        return rest

    def run(self, cc: CompactControl) -> str:
        """Do a whole run at once and return how it ended."""
        allocator = self.allocator
        state = allocator.memmap.state
        while (move := self.next_move(cc)) is not None:
            source, target, order = move
            if self.migrate is not None and not self.migrate(source, target, order):
                self.failed(cc, target, order)
                continue
            state[target] = IN_USE_LRU | order
            allocator.free_pages(source, order, cc.cpu)
        result = self.finished(cc, tell=False)
        if result == CONTINUE:
            result = CONTENDED
        for pfn, order in self.release(cc):
            allocator.free_pages(pfn, order, cc.cpu)
        self.counters["compact_migrate_scanned"] += cc.migrate_scanned
        self.counters["compact_free_scanned"] += cc.free_scanned
        zone = cc.live.zone
        self._tell(
            cc, "mm_compaction_end", zone_start=zone.start_pfn, migrate_pfn=cc.migrate_pfn, free_pfn=cc.free_pfn,
            zone_end=zone.end_pfn, mode="sync" if cc.mode != ASYNC else "async", status=result,
        )  # fmt: skip
        return result

    def finished(self, cc: CompactControl, tell: bool = True) -> str:
        """Tell whether a run goes on (`CONTINUE`) or how it ended.

        Source: mm/compaction.c compact_finished.
        """
        result = self._finished(cc)
        if tell:
            self._tell(cc, "mm_compaction_finished", **self._zone_fields(cc, cc.order), ret=result)
        return result

    def _finished(self, cc: CompactControl) -> str:
        if cc.scanners_met():
            zone = cc.live.zone
            cc.memory.cached_migrate_pfn[:] = [zone.start_pfn, zone.start_pfn]
            cc.memory.cached_free_pfn = zone.end_pfn - 1 >> self.shift << self.shift
            if cc.direct:
                cc.memory.blockskip_flush = True
            return COMPLETE if cc.whole_zone else PARTIAL_SKIPPED
        if cc.proactive:
            if self.kswapd_runs is not None and self.kswapd_runs(cc.live.zone.nid):
                return PARTIAL_SKIPPED
            low, _ = fragmentation_score_wmarks(self.proactiveness)
            return CONTINUE if extfrag_for_order(_nr_free(cc.live), self.shift) > low else SUCCESS
        if cc.order == WHOLE or cc.migrate_pfn % (1 << self.shift):
            return CONTINUE
        return SUCCESS if cc.live.has_block(cc.order, cc.alloc_flags) else CONTINUE

    # Who starts it

    def compact_node(self, nid: int, cpu: int = 0) -> None:
        """Compact all zones of a node, as a write to compact_memory does (compact_node)."""
        for zone in self._zones_of(nid):
            if self.rules.whole_is_asked:
                self._told_suitable(zone, WHOLE, CONTINUE)
            self.run(self.begin(zone, WHOLE, SYNC, whole_zone=True, ignore_skip_hint=True, cpu=cpu))

    def compact_memory(self, cpu: int = 0) -> None:
        """Compact all nodes: ``echo 1 > /proc/sys/vm/compact_memory``."""
        for nid in sorted({live.zone.nid for live in self.allocator.zones}):
            self.compact_node(nid, cpu)

    def proactive_controls(self, nid: int, cpu: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """Return what a proactive run over each zone of a node is begun with (proactive_compact_node)."""
        more = {"whole_zone": True, "ignore_skip_hint": True, "proactive": True, "cpu": cpu}
        return [(zone, {"order": WHOLE, "mode": SYNC_LIGHT, **more}) for zone in self._zones_of(nid)]

    def proactive_compact_node(self, nid: int, cpu: int = 0) -> None:
        """Compact a node until the score of each zone is low enough."""
        for zone, control in self.proactive_controls(nid, cpu):
            if self.rules.whole_is_asked:
                self._told_suitable(zone, WHOLE, CONTINUE)
            self.run(self.begin(zone, **control))

    def score(self, nid: int) -> int:
        """Return a node's fragmentation score, in percent."""
        zones = [self.allocator.zones[zone] for zone in self._zones_of(nid)]
        return fragmentation_score_node([(_nr_free(live), live.zone.present) for live in zones], self.shift)

    def should_proactive_compact(self, nid: int) -> bool:
        """Tell whether kcompactd would start by itself now (should_proactive_compact_node)."""
        if not self.rules.proactive or not self.proactiveness:
            return False
        if self.kswapd_runs is not None and self.kswapd_runs(nid):
            return False
        return self.score(nid) > fragmentation_score_wmarks(self.proactiveness)[1]

    def kcompactd_do_work(self, nid: int, order: int, highest_zoneidx: int, cpu: int = 0) -> None:
        """Do what kswapd woke kcompactd for (kcompactd_do_work)."""
        for zone in self._zones_of(nid):
            live, memory = self.allocator.zones[zone], self.zones[zone]
            if live.zone.index > highest_zoneidx or self._deferred(memory, order):
                continue
            if self.suitable(zone, order, 0, live.zone.index) != CONTINUE:
                continue
            result = self.run(self.begin(zone, order, SYNC_LIGHT, highest_zoneidx=highest_zoneidx, cpu=cpu))
            if result == SUCCESS:
                self._defer_reset(memory, order, success=False)
            elif result in (PARTIAL_SKIPPED, COMPLETE):
                self.allocator.drain_all_pages()
                self._defer(memory, order)

    def try_to_compact_pages(
        self,
        order: int,
        gfp: int,
        prio: int,
        zones: Sequence[int],
        *,
        highest_zoneidx: int,
        alloc_flags: int,
        cpu: int = 0,
    ) -> str:
        """Compact for an allocation, zone by zone, until it would succeed (try_to_compact_pages)."""
        best = SKIPPED
        if not gfp & _MAY_PERFORM_IO:
            return best
        full = prio == PRIO_SYNC_FULL
        emit = self.allocator.observed_events
        if emit:
            fields = {"order": order, "gfp_mask": gfp, "priority": prio}
            emit((OTHER, cpu, "compaction", "mm_compaction_try_to_compact_pages", fields))
        for zone in zones:
            memory = self.zones[zone]
            if not full and self._deferred(memory, order):
                self._told_deferral(zone, order, "mm_compaction_deferred", cpu)
                best = max(best, DEFERRED, key=_RANK.index)
                continue
            result = self.suitable(zone, order, alloc_flags, highest_zoneidx)
            if result == CONTINUE:
                cc = self.begin(
                    zone, order, ASYNC if prio == PRIO_ASYNC else SYNC_LIGHT, migratetype=gfp_migratetype(gfp),
                    direct=True, whole_zone=full, ignore_skip_hint=full, ignore_block_suitable=full,
                    highest_zoneidx=highest_zoneidx, alloc_flags=alloc_flags, cpu=cpu,
                )  # fmt: skip
                result = self.run(cc)
            best = max(best, result, key=_RANK.index)
            if result == SUCCESS:
                self._defer_reset(memory, order, success=False)
                self._told_deferral(zone, order, "mm_compaction_defer_reset", cpu)
                break
            if prio != PRIO_ASYNC and result in (COMPLETE, PARTIAL_SKIPPED):
                self._defer(memory, order)
                self._told_deferral(zone, order, "mm_compaction_defer_compaction", cpu)
        return best

    def suitable(self, zone: int, order: int, alloc_flags: int, highest_zoneidx: int) -> str:
        """Tell whether a zone should be compacted (`CONTINUE`), needn't be, or has too little free memory for it.

        Source: mm/compaction.c compaction_suitable; compact_gap() is twice the block wanted.
        """
        live = self.allocator.zones[zone]
        result = CONTINUE
        if order != WHOLE:
            base = live.zone.wmark_low if order > COSTLY_ORDER else live.zone.wmark_min
            if live.watermark_ok(order, live.mark(alloc_flags), highest_zoneidx, alloc_flags):
                result = SUCCESS
            elif not live.watermark_ok(0, base + (2 << order), highest_zoneidx, 0x80) or (
                order > COSTLY_ORDER and 0 <= fragmentation_index(_nr_free(live), order) <= EXTFRAG_THRESHOLD
            ):
                result = SKIPPED
        self._told_suitable(zone, order, result)
        return result

    # Deferral

    @staticmethod
    def _defer(memory: ZoneCompaction, order: int) -> None:
        """Leave a zone alone for twice as many attempts (defer_compaction)."""
        memory.considered = 0
        memory.defer_shift = min(memory.defer_shift + 1, MAX_DEFER_SHIFT)
        memory.order_failed = min(memory.order_failed, order)

    @staticmethod
    def _deferred(memory: ZoneCompaction, order: int) -> bool:
        """Count an attempt and tell whether it is to be skipped (compaction_deferred)."""
        if order < memory.order_failed:
            return False
        memory.considered = min(memory.considered + 1, 1 << memory.defer_shift)
        return memory.considered < 1 << memory.defer_shift

    @staticmethod
    def _defer_reset(memory: ZoneCompaction, order: int, *, success: bool) -> None:
        """Note that an allocation succeeded, or should (compaction_defer_reset)."""
        if success:
            memory.considered = memory.defer_shift = 0
        memory.order_failed = max(memory.order_failed, order + 1)

    @staticmethod
    def _restarting(memory: ZoneCompaction, order: int) -> bool:
        """Tell whether the longest deferral has just passed (compaction_restarting)."""
        full = memory.defer_shift == MAX_DEFER_SHIFT and memory.considered >= 1 << MAX_DEFER_SHIFT
        return order >= memory.order_failed and full

    def allocation_succeeded(self, zone: int, order: int) -> None:
        """Tell compaction that a block of an order could be had from a zone."""
        self._defer_reset(self.zones[zone], order, success=True)
        self._told_deferral(zone, order, "mm_compaction_defer_reset", 0)

    def reset_skip(self, zone: int) -> None:
        """Clear the marks of a zone's page blocks and start at its ends again (__reset_isolation_suitable)."""
        fresh, memory = self._fresh(self.allocator.zones[zone]), self.zones[zone]
        memory.skip.clear()
        memory.blockskip_flush = False
        memory.cached_migrate_pfn[:] = fresh.cached_migrate_pfn
        memory.cached_free_pfn = memory.init_free_pfn = fresh.cached_free_pfn
        memory.init_migrate_pfn = fresh.cached_migrate_pfn[0]

    # Keeping

    def save(self) -> tuple[Any, ...]:
        """Copy what the zones remember, and the counters; a run under way is the caller's."""
        kept = tuple(
            replace(memory, cached_migrate_pfn=list(memory.cached_migrate_pfn), skip=set(memory.skip))
            for memory in self.zones
        )
        return kept, dict(self.counters)

    def load(self, saved: tuple[Any, ...] | None) -> None:
        """Bring that back; None is the state of boot."""
        if saved is None:
            self.zones = [self._fresh(live) for live in self.allocator.zones]
            self.counters = dict.fromkeys(COUNTERS, 0)
            return
        self.zones = [
            replace(memory, cached_migrate_pfn=list(memory.cached_migrate_pfn), skip=set(memory.skip))
            for memory in saved[0]
        ]
        self.counters = dict(saved[1])

    # Telling

    def _zones_of(self, nid: int) -> list[int]:
        zones = enumerate(self.allocator.zones)
        return [at for at, live in zones if live.zone.nid == nid and live.zone.present]

    def _zone_fields(self, cc: CompactControl, order: int) -> dict[str, Any]:
        return {"node": cc.live.zone.nid, "zone": cc.live.zone.name, "order": order}

    def _told_suitable(self, zone: int, order: int, result: str) -> None:
        emit = self.allocator.observed_events
        if emit:
            it = self.allocator.zones[zone].zone
            fields = {"node": it.nid, "zone": it.name, "order": order, "ret": result}
            emit((OTHER, 0, "compaction", "mm_compaction_suitable", fields))

    def _told_deferral(self, zone: int, order: int, name: str, cpu: int) -> None:
        emit = self.allocator.observed_events
        if emit:
            it, memory = self.allocator.zones[zone].zone, self.zones[zone]
            fields = {
                "node": it.nid, "zone": it.name, "order": order, "order_failed": memory.order_failed,
                "consider": memory.considered, "limit": 1 << memory.defer_shift,
            }  # fmt: skip
            emit((OTHER, cpu, "compaction", name, fields))

    def _tell(self, cc: CompactControl, name: str, **fields: Any) -> None:
        emit = self.allocator.observed_events
        if emit:
            emit((OTHER, cc.cpu, "compaction", name, fields))

    def _tell_batch(self, cc: CompactControl) -> None:
        """Tell how many of the pages isolated together moved (mm_compaction_migratepages)."""
        if cc.nr_succeeded or cc.nr_failed:
            self.counters["pgmigrate_success"] += cc.nr_succeeded
            self.counters["pgmigrate_fail"] += cc.nr_failed
            self._tell(cc, "mm_compaction_migratepages", nr_migrated=cc.nr_succeeded, nr_failed=cc.nr_failed)
            cc.nr_succeeded = cc.nr_failed = 0

    def _tell_scans(self, cc: CompactControl) -> None:
        for name, start, end, scanned, taken in cc.scans:
            self._tell(cc, name, start_pfn=start, end_pfn=end, nr_scanned=scanned, nr_taken=taken)
        cc.scans.clear()


def _nr_free(live: ZoneLists) -> list[int]:
    """Count a zone's free blocks by order."""
    return [sum(row) for row in live.free_area.counts()]
