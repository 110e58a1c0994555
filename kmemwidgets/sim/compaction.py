"""Compaction: moving pages to the top of a zone so that its bottom becomes free (mm/compaction.c).

The scanners are in `compaction_scan`; here is who starts them, when they stop, and when a zone is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from . import alloc_flags as af
from .compact_result import (
    COMPLETE,
    CONTENDED,
    CONTINUE,
    DEFERRED,
    PARTIAL_SKIPPED,
    PRIO_ASYNC,
    PRIO_SYNC_FULL,
    RANK,
    SKIPPED,
    SUCCESS,
)
from .compaction_isolate import isolate_migratepages, put_target_back, take_target
from .compaction_scan import (
    ASYNC,
    COSTLY_ORDER,
    SYNC,
    SYNC_LIGHT,
    WHOLE,
    CompactControl,
    ZoneCompaction,
    order_in_use,
)
from .compaction_zone import (
    compaction_defer_reset,
    compaction_deferred,
    compaction_restarting,
    defer_compaction,
    fresh,
    reset_cached_positions,
    reset_isolation_suitable,
)
from .events import OTHER
from .fallback import find_suitable_fallback, may_claim
from .fragmentation import EXTFRAG_THRESHOLD, extfrag_for_order, fragmentation_index, fragmentation_score_wmarks
from .gfp import __GFP_IO, gfp_migratetype
from .memmap import IN_USE_LRU
from .migratetype import CMA, MOVABLE
from .page_alloc import PageAllocator
from .rules.compaction import CompactionRules
from .zone_lists import ZoneLists

_MAY_PERFORM_IO = __GFP_IO

#: Counters of /proc/vmstat, in its order.
COUNTERS = (
    "pgmigrate_success", "pgmigrate_fail", "compact_migrate_scanned", "compact_free_scanned", "compact_isolated",
    "compact_stall", "compact_fail", "compact_success", "compact_daemon_wake", "compact_daemon_migrate_scanned",
    "compact_daemon_free_scanned",
)  # fmt: skip

#: A run ends that has looked at all pages so often. In 6.3 and 6.4 one could go on for ever: the fast search found a
#: page block again and again whose marks were never set, as its first page could not move.
MOST_ROUNDS = 16


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
        vm.compaction_proactiveness; 0: kcompactd does nothing by itself.
    kswapd_runs : callable, optional
        Of a node: whether its kswapd is awake, when proactive compaction keeps away.

    Attributes
    ----------
    zones : list of ZoneCompaction
        As `PageAllocator.zones`.
    counters : dict of str to int
        What /proc/vmstat counts of it.
    extfrag_threshold : int
        vm.extfrag_threshold.
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
        self.zones = [fresh(live) for live in allocator.zones]
        self.extfrag_threshold = EXTFRAG_THRESHOLD
        self._knobs = proactiveness, EXTFRAG_THRESHOLD
        self.counters = dict.fromkeys(COUNTERS, 0)

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
        cc.search_order = order
        start, end = live.zone.start_pfn, live.zone.end_pfn
        last = end - 1 >> self.shift << self.shift
        if compaction_restarting(memory, order):
            reset_isolation_suitable(live, memory)
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
            cc.whole_zone = cc.migrate_pfn <= memory.init_migrate_pfn
        # Where both kinds of runs stopped at one place, what the asynchronous one passes over is nothing to the other.
        cc.update_cached = mode == ASYNC and memory.cached_migrate_pfn[0] == memory.cached_migrate_pfn[1]
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
            failed = cc.nr_failed
            self._tell_batch(cc)
            cc.nr_migratepages = 0
            if not failed or not self._go_on_after_failure(cc):
                if cc.order > 0 and 0 < cc.last_migrated_pfn < cc.migrate_pfn >> cc.order << cc.order:
                    # What was freed merges at once, so that `finished` sees it.
                    self.allocator.drain_local_pages(cc.cpu, self.allocator.zones.index(cc.live))
                    cc.last_migrated_pfn = 0
                if self.finished(cc) != CONTINUE:
                    return None
                last, here = cc.last_migrated_pfn, cc.migrate_pfn
                cc.rescan = last > 0 and last >> self.shift == here >> self.shift
            if isolate_migratepages(cc, self.rules):
                cc.update_cached = False
                cc.last_migrated_pfn = max(cc.live.zone.start_pfn, cc.block_start(cc.migrate_pfn - 1))
            elif cc.update_cached:
                cc.memory.cached_migrate_pfn[1] = cc.memory.cached_migrate_pfn[0]
            self._tell_scans(cc)

    def _go_on_after_failure(self, cc: CompactControl) -> bool:
        """Leave out what can't become one block after a page of it did not move; tell whether to isolate more at once.

        Source: mm/compaction.c compact_zone, behind migrate_pages.
        """
        if not self.rules.finishes_failed_block:
            if cc.direct and cc.mode == ASYNC:
                cc.migrate_pfn = (cc.migrate_pfn - 1 >> cc.order) + 1 << cc.order
                cc.last_migrated_pfn = 0
            return False
        begun = cc.migrate_pfn % (1 << self.shift)
        if not begun or cc.ignore_skip_hint or cc.rescan or cc.mode == SYNC:
            return False
        cc.rescan = True
        if cc.order == self.shift:
            cc.last_migrated_pfn = 0
        return True

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
        self.counters["compact_isolated"] += cc.isolated
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
            reset_cached_positions(cc.live, cc.memory)
            if cc.direct:
                cc.memory.blockskip_flush = True
            return COMPLETE if cc.whole_zone else PARTIAL_SKIPPED
        if cc.migrate_scanned > MOST_ROUNDS * cc.live.zone.spanned:
            return CONTENDED
        if cc.proactive:
            if self.kswapd_runs is not None and self.kswapd_runs(cc.live.zone.nid):
                return PARTIAL_SKIPPED
            low, _ = fragmentation_score_wmarks(self.proactiveness)
            return CONTINUE if extfrag_for_order(nr_free(cc.live), self.shift) > low else SUCCESS
        if cc.order == WHOLE or cc.migrate_pfn % (1 << self.shift):
            return CONTINUE
        return SUCCESS if self._block_is_there(cc) else CONTINUE

    @staticmethod
    def _block_is_there(cc: CompactControl) -> bool:
        """Tell whether a request of the run's type would find a block: of its own type, or one it may claim."""
        area, mt = cc.live.free_area, cc.migratetype
        for order in range(cc.order, area.top + 1):
            code = (order + 1) << 4
            if area.heads[code | mt] or (mt == MOVABLE and area.heads[code | CMA]):
                return True
            if may_claim(area, order, mt) and find_suitable_fallback(area, order, mt) >= 0:
                return True
        return False

    # Who starts it

    def compact_node(self, nid: int, cpu: int = 0) -> None:
        """Compact all zones of a node, as a write to compact_memory does (compact_node)."""
        for zone in self.zones_of(nid):
            self.compact_whole_zone(zone, SYNC, cpu)

    def compact_whole_zone(self, zone: int, mode: int, cpu: int = 0, *, proactive: bool = False) -> CompactControl:
        """Compact all of a zone, or until its score is low enough; return the run."""
        if self.rules.whole_is_asked:
            self._told_suitable(zone, WHOLE, CONTINUE)
        cc = self.begin(zone, WHOLE, mode, whole_zone=True, ignore_skip_hint=True, proactive=proactive, cpu=cpu)
        self.run(cc)
        return cc

    def compact_memory(self, cpu: int = 0) -> None:
        """Compact all nodes: ``echo 1 > /proc/sys/vm/compact_memory``."""
        for nid in sorted({live.zone.nid for live in self.allocator.zones}):
            self.compact_node(nid, cpu)

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
            if not full and compaction_deferred(memory, order):
                self.told_deferral(zone, order, "mm_compaction_deferred", cpu)
                best = max(best, DEFERRED, key=RANK.index)
                continue
            result = self.suitable(zone, order, alloc_flags, highest_zoneidx)
            if result == CONTINUE:
                cc = self.begin(
                    zone, order, ASYNC if prio == PRIO_ASYNC else SYNC_LIGHT, migratetype=gfp_migratetype(gfp),
                    direct=True, whole_zone=full, ignore_skip_hint=full, ignore_block_suitable=full,
                    highest_zoneidx=highest_zoneidx, alloc_flags=alloc_flags, cpu=cpu,
                )  # fmt: skip
                result = self.run(cc)
            best = max(best, result, key=RANK.index)
            if result == SUCCESS:
                compaction_defer_reset(memory, order, success=False)
                self.told_deferral(zone, order, "mm_compaction_defer_reset", cpu)
                break
            if prio != PRIO_ASYNC and result in (COMPLETE, PARTIAL_SKIPPED):
                defer_compaction(memory, order)
                self.told_deferral(zone, order, "mm_compaction_defer_compaction", cpu)
        return best

    def suitable(self, zone: int, order: int, alloc_flags: int, highest_zoneidx: int) -> str:
        """Tell whether a zone should be compacted (`CONTINUE`), needn't be, or has too little free memory for it.

        Source: mm/compaction.c compaction_suitable; compact_gap() is twice the block wanted.
        """
        live = self.allocator.zones[zone]
        result = CONTINUE
        if order != WHOLE:
            if live.watermark_ok(order, live.mark(alloc_flags), highest_zoneidx, alloc_flags):
                result = SUCCESS
            elif not live.watermark_ok(0, self._needed(live, order), highest_zoneidx, af.CMA) or (
                order > COSTLY_ORDER and 0 <= fragmentation_index(nr_free(live), order) <= self.extfrag_threshold
            ):
                result = SKIPPED
        self._told_suitable(zone, order, result)
        return result

    def zonelist_suitable(self, zones: Sequence[int], order: int, alloc_flags: int, highest_zoneidx: int) -> bool:
        """Tell whether any zone has, or would have after reclaim, what compaction needs (compaction_zonelist_suitable).

        Nothing can be reclaimed yet: what is free now is all that there is.
        """
        for zone in zones:
            live = self.allocator.zones[zone]
            now = live.free_pages_now()
            done = live.watermark_ok(order, live.mark(alloc_flags), highest_zoneidx, alloc_flags)
            if done or live.watermark_ok(0, self._needed(live, order), highest_zoneidx, af.CMA, now):
                return True
        return False

    @staticmethod
    def _needed(live: ZoneLists, order: int) -> int:
        """Return the mark at which a zone has room to move pages in (compact_gap)."""
        return live.mark(af.WMARK_LOW if order > COSTLY_ORDER else af.WMARK_MIN) + (2 << order)

    def allocation_succeeded(self, zone: int, order: int) -> None:
        """Tell compaction that a block of an order could be had from a zone."""
        self.zones[zone].blockskip_flush = False
        compaction_defer_reset(self.zones[zone], order, success=True)
        self.told_deferral(zone, order, "mm_compaction_defer_reset", 0)

    def reset_isolation_suitable(self, nid: int) -> None:
        """Forget which page blocks were not worthwhile, as kswapd does before it sleeps."""
        for zone in self.zones_of(nid):
            reset_isolation_suitable(self.allocator.zones[zone], self.zones[zone])

    # Keeping

    def save(self) -> tuple[Any, ...]:
        """Copy what the zones remember, the counters and the sysctls; a run under way is the caller's."""
        return _copies(self.zones), dict(self.counters), (self.proactiveness, self.extfrag_threshold)

    def load(self, saved: tuple[Any, ...] | None) -> None:
        """Bring that back; None is the state of boot."""
        zones, counters, knobs = saved or (
            [fresh(live) for live in self.allocator.zones], dict.fromkeys(COUNTERS, 0), self._knobs,
        )  # fmt: skip
        self.zones = _copies(zones)
        self.counters = dict(counters)
        self.proactiveness, self.extfrag_threshold = knobs

    # Telling

    def zones_of(self, nid: int) -> list[int]:
        """Return the numbers of a node's zones that have memory."""
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

    def told_deferral(self, zone: int, order: int, name: str, cpu: int) -> None:
        """Tell of an attempt put off, or of one that ends or lengthens that."""
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


def _copies(zones: Sequence[ZoneCompaction]) -> list[ZoneCompaction]:
    return [
        replace(memory, cached_migrate_pfn=list(memory.cached_migrate_pfn), skip=set(memory.skip)) for memory in zones
    ]


def nr_free(live: ZoneLists) -> list[int]:
    """Count a zone's free blocks by order."""
    return [sum(row) for row in live.free_area.counts()]
