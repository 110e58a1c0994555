"""The slow path: reserves, kswapd, compaction, reclaim, and when to try again (__alloc_pages_slowpath)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from . import alloc_flags as af
from .compact_result import DEFERRED, PRIO_ASYNC, PRIO_SYNC_FULL, PRIO_SYNC_LIGHT, SKIPPED, SUCCESS, feedback
from .events import OTHER, SLOWPATH
from .gfp import (
    __GFP_DIRECT_RECLAIM,
    __GFP_FS,
    __GFP_IO,
    __GFP_KSWAPD_RECLAIM,
    __GFP_MEMALLOC,
    __GFP_NOFAIL,
    __GFP_NOMEMALLOC,
    __GFP_NORETRY,
    __GFP_RETRY_MAYFAIL,
    __GFP_THISNODE,
)
from .highatomic import unreserve_highatomic
from .migratetype import MOVABLE
from .pcp import COSTLY_ORDER

if TYPE_CHECKING:
    from .page_alloc import PageAllocator
    from .zone_lists import ZoneLists

MAX_RECLAIM_RETRIES = 16
MAX_COMPACT_RETRIES = 16

#: The names of `compact_result.PRIO_...` in events.
_PRIORITIES = ("COMPACT_PRIO_SYNC_FULL", "COMPACT_PRIO_SYNC_LIGHT", "COMPACT_PRIO_ASYNC")

# Names that begin with two underscores are mangled inside a class.
_MAY_RECLAIM, _WAKES_KSWAPD, _MAY_IO, _MAY_FS = __GFP_DIRECT_RECLAIM, __GFP_KSWAPD_RECLAIM, __GFP_IO, __GFP_FS
_MEMALLOC, _NOMEMALLOC, _THISNODE = __GFP_MEMALLOC, __GFP_NOMEMALLOC, __GFP_THISNODE
_NORETRY, _RETRY_MAYFAIL, _NOFAIL = __GFP_NORETRY, __GFP_RETRY_MAYFAIL, __GFP_NOFAIL


class Reclaim(Protocol):
    """What the slow path asks for when marks are not met: vmscan, compaction and the OOM killer."""

    def wake_kswapd(self, nid: int, highest_zoneidx: int, order: int, gfp: int, cpu: int = 0) -> None:
        """Ask the node's kswapd for memory (wakeup_kswapd)."""

    def compact(
        self, zones: Sequence[ZoneLists], order: int, gfp: int, prio: int, highest_zoneidx: int, flags: int, cpu: int
    ) -> str | None:
        """Compact and tell how that ended (try_to_compact_pages); None where nobody can."""

    def compacted(self, order: int, pfn: int) -> None:
        """Note what the look after that gave: a first pfn, or -1."""

    def compaction_suitable(self, zones: Sequence[ZoneLists], order: int, flags: int, highest_zoneidx: int) -> bool:
        """Tell whether reclaim could make room to compact in (compaction_zonelist_suitable)."""

    def reclaimable(self, live: ZoneLists) -> int:
        """Return the pages of a zone that might be reclaimed (zone_reclaimable_pages)."""

    def reclaim(self, order: int, gfp: int, highest_zoneidx: int, nid: int, cpu: int) -> int:
        """Reclaim directly and return the pages freed (try_to_free_pages)."""

    def out_of_memory(self, order: int, gfp: int) -> bool:
        """Kill a task; tell whether that made progress."""


class SlowPath:
    """One request on the slow path (struct alloc_context, and what __alloc_pages_slowpath keeps beside it).

    Parameters
    ----------
    allocator : PageAllocator
    zones : sequence of ZoneLists
        Those that the request walks, the preferred one first.
    gfp, order, mt : int
    highest : int
        Index of the highest zone that it may use.
    nid, cpu : int
        Where it begins, and who asks.
    """

    __slots__ = (
        "allocator", "can_compact", "compact_priority", "compact_result", "compaction_retries", "costly", "cpu",
        "flags", "gfp", "highest", "mt", "nid", "no_progress_loops", "order", "reclaim", "zones",
    )  # fmt: skip

    def __init__(
        self,
        allocator: PageAllocator,
        zones: Sequence[ZoneLists],
        gfp: int,
        order: int,
        mt: int,
        highest: int,
        nid: int,
        cpu: int,
    ) -> None:
        self.allocator, self.zones = allocator, zones
        self.gfp, self.order, self.mt = gfp, order, mt
        self.highest, self.nid, self.cpu = highest, nid, cpu
        self.reclaim = allocator.reclaim
        self.costly = order > COSTLY_ORDER
        self.flags = allocator.rules.gfp.alloc_flags(gfp, order, False)
        if allocator.cma and mt == MOVABLE:
            self.flags |= af.CMA
        self.can_compact = bool(gfp & _MAY_IO) or not allocator.rules.slowpath.compaction_needs_io
        self.compact_priority = PRIO_SYNC_LIGHT
        self.compact_result = SKIPPED
        self.compaction_retries = self.no_progress_loops = 0

    def run(self) -> int:
        """Try the reserves, then compaction and reclaim, then give up, in the kernel's order; -1 if that fails."""
        gfp, reclaim = self.gfp, self.reclaim
        may_use_all = bool(gfp & _MEMALLOC and not gfp & _NOMEMALLOC)
        self._step("reserves")
        if gfp & _WAKES_KSWAPD and reclaim:
            for nid in dict.fromkeys(live.zone.nid for live in self.zones):
                reclaim.wake_kswapd(nid, self.highest, self.order, gfp, self.cpu)
        pfn = self._look()
        if pfn >= 0:
            return pfn
        may_reclaim = reclaim is not None and bool(gfp & _MAY_RECLAIM)
        worthwhile = self.costly or (self.order > 0 and self.mt != MOVABLE)
        if may_reclaim and self.can_compact and worthwhile and not may_use_all:
            # There may be pages enough, only in pieces; and to move others beats mixing page blocks.
            pfn = self._direct_compact(PRIO_ASYNC)
            if pfn >= 0:
                return pfn
            if self.costly and gfp & _NORETRY:
                if self.compact_result in (SKIPPED, DEFERRED):
                    return -1
                self.compact_priority = PRIO_ASYNC
        # The kernel now wakes kswapd and looks again, as others may have freed pages; here nobody has.
        if may_use_all:
            self.flags = af.NO_WATERMARKS
            pfn = self._look()
        return self._retry() if pfn < 0 and may_reclaim else pfn

    def _retry(self) -> int:
        """Reclaim and compact until that makes no more sense."""
        reclaim, gfp = self.reclaim, self.gfp
        assert reclaim is not None
        again = False
        while True:
            pfn = self._look() if again else -1
            if pfn >= 0:
                return pfn
            again = True
            self._step("direct reclaim")
            progress = reclaim.reclaim(self.order, gfp, self.highest, self.nid, self.cpu)
            pfn = self._look_after_reclaim() if progress else -1
            if pfn < 0 and self.order:
                pfn = self._direct_compact(self.compact_priority)
            if pfn >= 0:
                return pfn
            if gfp & _NORETRY or (self.costly and not (gfp & _RETRY_MAYFAIL and self.can_compact)):
                return -1
            if self._should_reclaim_retry(progress):
                continue
            if progress and self.can_compact and self._should_compact_retry():
                continue
            if self._may_kill() and reclaim.out_of_memory(self.order, gfp):
                self.no_progress_loops = 0
                continue
            if gfp & _NOFAIL:
                # The kernel loops for ever; the machine has nothing that would change in the meantime.
                self.flags = af.NO_WATERMARKS
                return self._look()
            return -1

    def _look(self) -> int:
        allocator = self.allocator
        return allocator.get_page_from_freelist(self.zones, self.order, self.mt, self.highest, self.flags, self.cpu)

    def _look_after_reclaim(self) -> int:
        """Look, and once more without what may hold pages back (__alloc_pages_direct_reclaim)."""
        pfn = self._look()
        if pfn < 0:
            # Pages may be stuck on high-atomic blocks or on other cpus' lists.
            unreserve_highatomic(self.allocator, self.zones, self.mt, force=False)
            self.allocator.drain_all_pages()
            pfn = self._look()
        return pfn

    def _direct_compact(self, prio: int) -> int:
        """Compact and look again, if any zone was worth it (__alloc_pages_direct_compact)."""
        reclaim = self.reclaim
        assert reclaim is not None
        self._step("compact")
        result = reclaim.compact(self.zones, self.order, self.gfp, prio, self.highest, self.flags, self.cpu)
        self.compact_result = result or SKIPPED
        if result is None or (result == SKIPPED and not self.allocator.rules.slowpath.looks_after_skipped):
            return -1
        pfn = self._look()
        reclaim.compacted(self.order, pfn)
        return pfn

    def _should_reclaim_retry(self, progress: int) -> bool:
        """Tell whether reclaiming all that can be would help, or would have a moment ago (should_reclaim_retry)."""
        self.no_progress_loops = 0 if progress and not self.costly else self.no_progress_loops + 1
        always = self.allocator.rules.slowpath.gives_back_highatomic
        retry = False
        if self.no_progress_loops <= MAX_RECLAIM_RETRIES:
            retry = any(self._would_do(live) for live in self.zones)
        if retry or not (always or self.no_progress_loops > MAX_RECLAIM_RETRIES):
            return retry
        return unreserve_highatomic(self.allocator, self.zones, self.mt, force=True)

    def _would_do(self, live: ZoneLists) -> bool:
        """Tell whether a zone would do for the request if all of it that can be were reclaimed."""
        assert self.reclaim is not None
        reclaimable = self.reclaim.reclaimable(live)
        available = reclaimable + live.free_pages_now()
        mark = live.mark(af.WMARK_MIN)
        would = live.watermark_ok(self.order, mark, self.highest, self.flags, available)
        fields = {
            "node": live.zone.nid, "zone": live.zone.name, "order": self.order, "reclaimable": reclaimable,
            "available": available, "min_wmark": mark, "no_progress_loops": self.no_progress_loops,
            "wmark_check": int(would),
        }  # fmt: skip
        self._tell("reclaim_retry_zone", fields)
        return would

    def _should_compact_retry(self) -> bool:
        """Tell whether to compact again, and how hard (should_compact_retry)."""
        if not self.order:
            return False
        assert self.reclaim is not None
        most = MAX_COMPACT_RETRIES // 4 if self.costly else MAX_COMPACT_RETRIES
        prio, result = self.compact_priority, self.compact_result
        if result == SUCCESS:
            self.compaction_retries += 1
        if result == SKIPPED:
            # Too little was free to move pages to.
            retry = self.reclaim.compaction_suitable(self.zones, self.order, self.flags, self.highest)
        else:
            # Somebody else was quicker, or it takes more effort.
            retry = result == SUCCESS and self.compaction_retries <= most
            if not retry and prio > (PRIO_SYNC_LIGHT if self.costly else PRIO_SYNC_FULL):
                self.compact_priority -= 1
                self.compaction_retries = 0
                retry = True
        fields = {
            "order": self.order, "priority": _PRIORITIES[prio], "compaction_result": feedback(result),
            "retries": self.compaction_retries, "max_retries": most, "should_retry": int(retry),
        }  # fmt: skip
        self._tell("compact_retry", fields)
        return retry

    def _may_kill(self) -> bool:
        """Tell whether a task may be killed for this request (__alloc_pages_may_oom, out_of_memory)."""
        for_all = self.highest >= self.allocator.zone_index("Normal")
        return not self.costly and for_all and bool(self.gfp & _MAY_FS) and not self.gfp & (_RETRY_MAYFAIL | _THISNODE)

    # Telling

    def _step(self, step: str) -> None:
        if self.allocator.decisions is not None:
            self.allocator.decisions((SLOWPATH, self.cpu, step, self.flags))

    def _tell(self, name: str, fields: dict[str, Any]) -> None:
        if self.allocator.observed_events is not None:
            self.allocator.observed_events((OTHER, self.cpu, "oom", name, fields))
