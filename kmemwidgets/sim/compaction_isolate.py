"""Where the scanners of compaction go on: at what free lists show, else at the next page block (mm/compaction.c)."""

from __future__ import annotations

from .compaction_fast import fast_find_migrateblock, fast_isolate_freepages
from .compaction_scan import (
    ASYNC,
    CLUSTER_MAX,
    CompactControl,
    isolate_freepages_block,
    isolate_migratepages_block,
    suitable_source,
    suitable_target,
    update_cached_migrate,
)
from .memmap import IN_USE
from .rules.compaction import CompactionRules


def isolate_migratepages(cc: CompactControl, rules: CompactionRules) -> bool:
    """Take the pages that may move from the next page block that has any, 32 at most unless it is scanned again.

    Source: mm/compaction.c isolate_migratepages.

    Returns
    -------
    bool
        Whether there is anything to move now.
    """
    zone = cc.live.zone
    size = 1 << cc.shift
    low = fast_find_migrateblock(cc, rules) if rules.fast_search else cc.migrate_pfn
    found = low != cc.migrate_pfn and not cc.fast_search_fail
    end = cc.block_start(low) + size
    while end <= cc.free_pfn:
        start = max(end - size, zone.start_pfn)
        if low % size == 0 and not found and not cc.ignore_skip_hint and low >> cc.shift in cc.memory.skip:
            pass
        elif not suitable_source(cc, start):
            update_cached_migrate(cc, end)
        else:
            isolate_migratepages_block(cc, rules, low, end)
            break
        found = False
        cc.migrate_pfn = low = end
        end += size
    return bool(cc.migratepages)


def isolate_freepages(cc: CompactControl, rules: CompactionRules) -> None:
    """Take free blocks off the lists until there are enough to move into: those near the top, else walking down.

    Source: mm/compaction.c isolate_freepages. While blocks give nothing, fewer and fewer of their pages are looked at.
    """
    blocks: list[tuple[int, int]] = []
    if rules.fast_search:
        fast_isolate_freepages(cc, rules, blocks)
    if not cc.nr_freepages:
        _walk_down(cc, blocks)
    _keep(cc, rules, blocks)


def _walk_down(cc: CompactControl, blocks: list[tuple[int, int]]) -> None:
    """Take free blocks from page block to page block, from the free scanner's place downward."""
    zone = cc.live.zone
    size = 1 << cc.shift
    at = cc.free_pfn
    start = cc.block_start(at)
    end = min(start + size, zone.end_pfn)
    lowest = cc.block_start(cc.migrate_pfn) + size
    stride = CLUSTER_MAX if cc.mode == ASYNC else 1
    while start >= lowest:
        if suitable_target(cc, start) and (cc.ignore_skip_hint or start >> cc.shift not in cc.memory.skip):
            at, isolated = isolate_freepages_block(cc, at, end, blocks, stride)
            if at == end:
                cc.memory.skip.add(start >> cc.shift)
                cc.memory.cached_free_pfn = min(cc.memory.cached_free_pfn, start)
            if cc.nr_freepages >= cc.nr_migratepages:
                if at >= end:
                    at = start - size
                break
            if at < end:
                break
            stride = 1 if isolated else min(CLUSTER_MAX, stride << 1)
        end = start
        start -= size
        at = start
    cc.free_pfn = at


def _keep(cc: CompactControl, rules: CompactionRules, blocks: list[tuple[int, int]]) -> None:
    """Put isolated blocks where `take_target` finds them."""
    if rules.free_lists_by_order:
        for pfn, order in blocks:
            cc.freepages[order].insert(0, pfn)
        return
    state = cc.live.free_area.state
    for pfn, order in blocks:
        state[pfn : pfn + (1 << order)] = bytes((IN_USE,)) * (1 << order)
        cc.freepages[0].extend(range(pfn, pfn + (1 << order)))


def take_target(cc: CompactControl, rules: CompactionRules, order: int = 0) -> int:
    """Return the frame that the next page moves to, isolating more where none is left; -1 where there are none.

    Source: mm/compaction.c compaction_alloc.
    """
    found = _smallest(cc.freepages, order)
    if found < 0:
        isolate_freepages(cc, rules)
        found = _smallest(cc.freepages, order)
    if found < 0:
        return -1
    pfn = cc.freepages[found].pop()
    state = cc.live.free_area.state
    while found > order:
        found -= 1
        half = pfn + (1 << found)
        state[half] = IN_USE | found
        cc.freepages[found].append(half)
    state[pfn] = IN_USE | order
    cc.nr_freepages -= 1 << order
    if rules.free_lists_by_order:
        cc.nr_migratepages -= 1 << order
    return pfn


def _smallest(freepages: list[list[int]], order: int) -> int:
    """Return the lowest order, from `order` on, of which there are frames to move to; -1 if there are none."""
    for at in range(order, len(freepages)):
        if freepages[at]:
            return at
    return -1


def put_target_back(cc: CompactControl, rules: CompactionRules, pfn: int, order: int = 0) -> None:
    """Keep a frame that a page could not be moved to for the next one (compaction_free)."""
    cc.freepages[order].append(pfn)
    cc.nr_freepages += 1 << order
    if rules.free_lists_by_order:
        cc.nr_migratepages += 1 << order
