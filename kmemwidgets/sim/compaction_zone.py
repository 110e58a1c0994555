"""What a zone remembers of compaction: where to go on, which page blocks to skip, how long to leave it alone.

Source: mm/compaction.c, from defer_compaction to reset_isolation_suitable.
"""

from __future__ import annotations

from .compaction_scan import COSTLY_ORDER, ZoneCompaction, order_in_use
from .memmap import IN_USE, IN_USE_LRU, UNKNOWN_LRU
from .migratetype import MOVABLE
from .zone_lists import ZoneLists

MAX_DEFER_SHIFT = 6


def fresh(live: ZoneLists) -> ZoneCompaction:
    """Return what a zone remembers at boot: the scanners start at its ends."""
    memory = ZoneCompaction([], 0)
    reset_cached_positions(live, memory)
    return memory


def reset_cached_positions(live: ZoneLists, memory: ZoneCompaction) -> None:
    """Let the next run start at the ends of the zone again."""
    zone, shift = live.zone, live.free_area.memmap.pageblock_order
    memory.cached_migrate_pfn[:] = [zone.start_pfn, zone.start_pfn]
    memory.cached_free_pfn = zone.end_pfn - 1 >> shift << shift


# Deferral


def defer_compaction(memory: ZoneCompaction, order: int) -> None:
    """Leave a zone alone for twice as many attempts."""
    memory.considered = 0
    memory.defer_shift = min(memory.defer_shift + 1, MAX_DEFER_SHIFT)
    memory.order_failed = min(memory.order_failed, order)


def compaction_deferred(memory: ZoneCompaction, order: int) -> bool:
    """Count an attempt and tell whether it is to be skipped."""
    if order < memory.order_failed:
        return False
    memory.considered = min(memory.considered + 1, 1 << memory.defer_shift)
    return memory.considered < 1 << memory.defer_shift


def compaction_defer_reset(memory: ZoneCompaction, order: int, *, success: bool) -> None:
    """Note that an allocation succeeded, or should."""
    if success:
        memory.considered = memory.defer_shift = 0
    memory.order_failed = max(memory.order_failed, order + 1)


def compaction_restarting(memory: ZoneCompaction, order: int) -> bool:
    """Tell whether the longest deferral has just passed."""
    full = memory.defer_shift == MAX_DEFER_SHIFT and memory.considered >= 1 << MAX_DEFER_SHIFT
    return order >= memory.order_failed and full


# Page blocks to skip


def reset_isolation_suitable(live: ZoneLists, memory: ZoneCompaction) -> None:
    """Clear the marks of page blocks that look worthwhile again, and start at the outermost of them.

    Only after a run for a request has scanned all of the zone. From the bottom upward one with a page to move is
    sought, from the top downward one with a free page; once each is found, either will do.

    Source: mm/compaction.c __reset_isolation_suitable.
    """
    if not memory.blockskip_flush:
        return
    memory.blockskip_flush = False
    zone = live.zone
    size = 1 << live.free_area.memmap.pageblock_order
    low, high = zone.start_pfn, zone.end_pfn - 1
    first, last = high, low
    source_set = target_set = False
    while low < high:
        if _reset_isolation_pfn(live, memory, low, source=True, target=source_set) and low < first:
            source_set = True
            first = memory.init_migrate_pfn = low
            memory.cached_migrate_pfn[:] = [low, low]
        if _reset_isolation_pfn(live, memory, high, source=target_set, target=True) and high > last:
            target_set = True
            last = memory.init_free_pfn = memory.cached_free_pfn = high
        low += size
        high -= size
    if first >= last:
        # Nothing is worthwhile: the scanners meet at once.
        memory.cached_migrate_pfn[:] = [low, low]
        memory.cached_free_pfn = high


def _reset_isolation_pfn(live: ZoneLists, memory: ZoneCompaction, pfn: int, *, source: bool, target: bool) -> bool:
    """Clear a page block's mark if a sample of it shows a page to move or a free one (__reset_isolation_pfn)."""
    area, zone = live.free_area, live.zone
    if not zone.start_pfn <= pfn < zone.end_pfn:
        return False
    shift = area.memmap.pageblock_order
    block = pfn >> shift
    state = area.state
    start, end = max(block << shift, zone.start_pfn), min(block + 1 << shift, zone.end_pfn)
    if order_in_use(state[start]) >= shift:
        return False
    if source and target and block not in memory.skip:
        return True
    if target and not source and area.types[block] != MOVABLE:
        return False
    for at in range(start, end, 1 << COSTLY_ORDER):
        code = state[at]
        if not code and area.is_untouched(at):
            code = 0x10
        elif not code:
            # A page of a larger folio is on the LRU list that its first page is on; one of a free block is none.
            head = area.memmap.head_of(at)
            code = state[head] if head >= 0 and state[head] & 0xF0 == IN_USE_LRU else 0
        if (source and (code & 0xF0 == IN_USE_LRU or code == UNKNOWN_LRU)) or (target and 0x10 <= code < IN_USE):
            memory.skip.discard(block)
            return True
    return False
