"""The slow path: reserves, kswapd, reclaim (__alloc_pages_slowpath)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from . import alloc_flags as af
from .events import KSWAPD_WAKE, SLOWPATH
from .gfp import (
    __GFP_DIRECT_RECLAIM,
    __GFP_FS,
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
#: enum compact_priority, as far as the slow path begins with it.
PRIO_SYNC_LIGHT, PRIO_ASYNC = 1, 2


class Reclaim(Protocol):
    """What the slow path asks for when marks are not met: vmscan, compaction and the OOM killer."""

    def wake_kswapd(self, nid: int, highest_zoneidx: int, order: int, gfp: int) -> None:
        """Wake the node's kswapd (wakeup_kswapd)."""

    def compact(
        self, zones: Sequence[ZoneLists], order: int, gfp: int, prio: int, highest_zoneidx: int, flags: int, cpu: int
    ) -> bool:
        """Compact; tell whether another look is worthwhile (try_to_compact_pages)."""

    def compacted(self, order: int, pfn: int) -> None:
        """Note what that look gave: a first pfn, or -1."""

    def reclaim(self, order: int, gfp: int, highest_zoneidx: int, nid: int, cpu: int) -> int:
        """Reclaim directly and return the pages freed (try_to_free_pages)."""

    def out_of_memory(self, order: int, gfp: int) -> bool:
        """Kill a task; tell whether that made progress."""


def alloc_pages_slowpath(
    allocator: PageAllocator,
    zones: Sequence[ZoneLists],
    gfp: int,
    order: int,
    mt: int,
    highest: int,
    nid: int,
    cpu: int,
) -> int:
    """Try the reserves, then reclaim, then give up; -1 if the request fails."""
    flags = allocator.rules.gfp.alloc_flags(gfp, order, False)
    if allocator.cma and mt == MOVABLE:
        flags |= af.CMA
    _step(allocator, "reserves", flags, cpu)
    if gfp & __GFP_KSWAPD_RECLAIM:
        _wake_kswapds(allocator, zones, gfp, order, highest, cpu)
    pfn = allocator.get_page_from_freelist(zones, order, mt, highest, flags, cpu)
    if pfn >= 0:
        return pfn
    reclaim = allocator.reclaim
    can_reclaim = bool(gfp & __GFP_DIRECT_RECLAIM)
    may_use_all = bool(gfp & __GFP_MEMALLOC and not gfp & __GFP_NOMEMALLOC)
    costly = order > COSTLY_ORDER
    if reclaim and can_reclaim and not may_use_all and (costly or (order > 0 and mt != MOVABLE)):
        pfn = _compact(allocator, zones, gfp, order, mt, highest, cpu, flags, PRIO_ASYNC)
        if pfn >= 0:
            return pfn
    if may_use_all:
        flags = af.NO_WATERMARKS
        pfn = allocator.get_page_from_freelist(zones, order, mt, highest, flags, cpu)
    if pfn < 0 and reclaim and can_reclaim:
        pfn = _reclaim(allocator, zones, gfp, order, mt, highest, nid, cpu, flags)
    return pfn


def _reclaim(
    allocator: PageAllocator,
    zones: Sequence[ZoneLists],
    gfp: int,
    order: int,
    mt: int,
    highest: int,
    nid: int,
    cpu: int,
    flags: int,
) -> int:
    """Reclaim and look again until that makes no more progress (__alloc_pages_direct_reclaim, should_reclaim_retry)."""
    reclaim = allocator.reclaim
    assert reclaim is not None
    without_progress = 0
    costly = order > COSTLY_ORDER
    while True:
        _step(allocator, "direct reclaim", flags, cpu)
        progress = reclaim.reclaim(order, gfp, highest, nid, cpu)
        pfn = -1
        if progress:
            pfn = allocator.get_page_from_freelist(zones, order, mt, highest, flags, cpu)
            if pfn < 0:
                # Pages may be stuck on high-atomic blocks or on other cpus' lists.
                unreserve_highatomic(allocator, zones, mt, force=False)
                allocator.drain_all_pages()
                pfn = allocator.get_page_from_freelist(zones, order, mt, highest, flags, cpu)
        if pfn < 0 and order:
            pfn = _compact(allocator, zones, gfp, order, mt, highest, cpu, flags, PRIO_SYNC_LIGHT)
        if pfn >= 0:
            return pfn
        if gfp & __GFP_NORETRY or (costly and not gfp & __GFP_RETRY_MAYFAIL):
            return -1
        without_progress = 0 if progress and not costly else without_progress + 1
        if without_progress <= MAX_RECLAIM_RETRIES and progress:
            continue
        if unreserve_highatomic(allocator, zones, mt, force=True):
            continue
        may_kill = not costly and gfp & __GFP_FS and not gfp & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE)
        if may_kill and reclaim.out_of_memory(order, gfp):
            without_progress = 0
            continue
        if gfp & __GFP_NOFAIL:
            # The kernel loops for ever; the machine has nothing that would change in the meantime.
            return allocator.get_page_from_freelist(zones, order, mt, highest, af.NO_WATERMARKS, cpu)
        return -1


def _compact(
    allocator: PageAllocator,
    zones: Sequence[ZoneLists],
    gfp: int,
    order: int,
    mt: int,
    highest: int,
    cpu: int,
    flags: int,
    prio: int,
) -> int:
    """Compact and look again, if any zone was worth it (__alloc_pages_direct_compact)."""
    reclaim = allocator.reclaim
    assert reclaim is not None
    _step(allocator, "compact", flags, cpu)
    if not reclaim.compact(zones, order, gfp, prio, highest, flags, cpu):
        return -1
    pfn = allocator.get_page_from_freelist(zones, order, mt, highest, flags, cpu)
    reclaim.compacted(order, pfn)
    return pfn


def _wake_kswapds(
    allocator: PageAllocator, zones: Sequence[ZoneLists], gfp: int, order: int, highest: int, cpu: int
) -> None:
    for nid in dict.fromkeys(live.zone.nid for live in zones):
        if allocator.observed_events is not None:
            allocator.observed_events((KSWAPD_WAKE, cpu, nid, highest, order, gfp))
        if allocator.reclaim:
            allocator.reclaim.wake_kswapd(nid, highest, order, gfp)


def _step(allocator: PageAllocator, step: str, flags: int, cpu: int) -> None:
    if allocator.decisions is not None:
        allocator.decisions((SLOWPATH, cpu, step, flags))
