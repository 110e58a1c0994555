"""The fast search of compaction: a look at the free lists before the scanners walk (mm/compaction.c, since 5.1).

Free blocks near the top of what is left to scan are places to move to, and free blocks near its bottom lie in page
blocks that are partly empty already. Each list is turned so that the next search begins with what this one left.
"""

from __future__ import annotations

from .compaction_scan import (
    ASYNC,
    CLUSTER_MAX,
    COSTLY_ORDER,
    CompactControl,
    isolate_free_page,
    isolate_freepages_block,
    suitable_target,
)
from .migratetype import MOVABLE, NR_TYPES
from .rules.compaction import CompactionRules

#: `freelist_scan_limit` shifts by a long's bits at most.
_MOST_SHIFT = 63

Blocks = list[tuple[int, int]]


def _scan_limit(cc: CompactControl) -> int:
    """Return how many blocks are looked at: fewer after each search in vain (freelist_scan_limit)."""
    return (CLUSTER_MAX >> min(_MOST_SHIFT, cc.fast_search_fail)) + 1


def _code(order: int) -> int:
    """Return the code of the list of movable blocks of an order."""
    return (order + 1) << 4 | MOVABLE


# Free pages


def fast_isolate_freepages(cc: CompactControl, rules: CompactionRules, blocks: Blocks) -> None:
    """Take a free block high in the zone, and others of its page block; nothing for a run over a whole zone.

    Source: mm/compaction.c fast_isolate_freepages.
    """
    if cc.order <= 0:
        return
    zone, memory = cc.live.zone, cc.memory
    limit = max(1, _scan_limit(cc) >> 1)
    at_start = cc.free_pfn >= memory.init_free_pfn
    if at_start:
        limit = 1 << cc.shift >> 1
    distance = cc.free_pfn - cc.migrate_pfn
    # The upper quarter of what is left to scan is best, the upper half will do.
    low_pfn, min_pfn = (cc.block_start(cc.free_pfn - (distance >> part)) for part in (2, 1))
    search = _Search(cc, rules, low_pfn, min_pfn, limit)
    found = search.run(blocks)
    if rules.fast_stops_when_enough:
        # The event is as old as this rule.
        taken = 1 << blocks[-1][1] if blocks else 0
        cc.scans.append(("mm_compaction_fast_isolate_freepages", min_pfn, cc.free_pfn, search.scanned, taken))
    highest = search.highest
    if found < 0:
        cc.fast_search_fail += 1
        if at_start:
            found = _go_on_at(cc, rules, highest, min_pfn)
    if highest and highest >= memory.cached_free_pfn:
        memory.cached_free_pfn = highest - (1 << cc.shift)
    cc.free_scanned += search.scanned
    if found >= 0:
        _isolate_around(cc, rules, max(found, zone.start_pfn), blocks)


class _Search:
    """One search of the lists of movable blocks, order by order."""

    __slots__ = ("cc", "highest", "limit", "low_pfn", "min_pfn", "rules", "scanned")

    def __init__(self, cc: CompactControl, rules: CompactionRules, low_pfn: int, min_pfn: int, limit: int) -> None:
        self.cc, self.rules = cc, rules
        self.low_pfn, self.min_pfn, self.limit = low_pfn, min_pfn, limit
        #: First pfn of the highest page block seen.
        self.highest = 0
        self.scanned = 0

    def run(self, blocks: Blocks) -> int:
        """Take the first good block, beginning with the order that gave one last; return its pfn, -1 if there is none.

        Source: mm/compaction.c fast_isolate_freepages (its loop), next_search_order.
        """
        cc = self.cc
        first = cc.search_order = min(cc.order - 1, cc.search_order)
        for order in [*range(first, -1, -1), *range(cc.order - 1, first, -1)]:
            if not any(cc.live.free_area.heads[(order + 1) << 4 | mt] for mt in range(NR_TYPES)):
                continue
            found = self._look(order)
            if found >= 0:
                if not isolate_free_page(cc.live, found, order, cc.cpu):
                    # The zone would go below its mark: no other block will do, either.
                    self._next_order()
                    return -1
                blocks.append((found, order))
                cc.nr_freepages += 1 << order
                cc.isolated += 1 << order
                return found
        self._next_order()
        return -1

    def _next_order(self) -> None:
        """Begin the next search one order lower, round and round."""
        cc = self.cc
        cc.search_order = cc.search_order - 1 if cc.search_order else cc.order - 1

    def _look(self, order: int) -> int:
        """Look through one list from its tail; return the block chosen, -1 if there is none."""
        cc = self.cc
        zone = cc.live.zone
        listed = cc.live.free_area.list_of(_code(order))
        chosen, candidate, at, looked = -1, 0, len(listed), 0
        while at:
            at -= 1
            pfn = listed[at]
            looked += 1
            if pfn >= self.highest:
                self.highest = max(cc.block_start(pfn), zone.start_pfn)
            if pfn >= self.low_pfn:
                cc.fast_search_fail = 0
                cc.search_order = order
                chosen = pfn
                break
            if pfn >= self.min_pfn and pfn > candidate:
                candidate = pfn
                self.limit >>= 1
            if looked >= self.limit:
                break
        self.scanned += looked
        if chosen < 0 and candidate:
            chosen = candidate
            at = listed.index(candidate)
        elif chosen < 0 and looked < self.limit:
            at = 0
        if at:
            # What was not looked at comes to the tail, where the next search begins.
            cc.live.free_area.reorder(_code(order), listed[at:] + listed[:at])
        if looked >= self.limit:
            self.limit = max(1, self.limit >> 1) if self.rules.fast_limit_kept else min(1, self.limit >> 1)
        return chosen


def _go_on_at(cc: CompactControl, rules: CompactionRules, highest: int, min_pfn: int) -> int:
    """Set the free scanner where walking is worthwhile; return where to search around, -1 for nowhere."""
    if highest and (highest >= min_pfn or not rules.fast_needs_min):
        cc.free_pfn = highest
        return highest
    if not cc.direct:
        return -1
    cc.free_pfn = min_pfn
    return -1 if rules.fast_target_checked and not suitable_target(cc, min_pfn) else min_pfn


def _isolate_around(cc: CompactControl, rules: CompactionRules, pfn: int, blocks: Blocks) -> None:
    """Take more of the page block around a find, if that was not enough (fast_isolate_around)."""
    enough = cc.nr_migratepages
    if cc.nr_freepages >= enough or (cc.direct and cc.mode == ASYNC):
        return
    zone = cc.live.zone
    start = max(cc.block_start(pfn), zone.start_pfn)
    end = min(cc.block_start(pfn) + (1 << cc.shift), zone.end_pfn)
    if rules.fast_around_whole:
        at, _ = isolate_freepages_block(cc, start, end, blocks, 1)
        if at == end:
            cc.memory.skip.add(pfn >> cc.shift)
        return
    if start != pfn:
        isolate_freepages_block(cc, start, pfn, blocks, 1)
        if cc.nr_freepages >= enough:
            return
    behind = pfn + sum(1 << order for head, order in blocks if head == pfn)
    if behind < end:
        isolate_freepages_block(cc, behind, end, blocks, 1)
    if cc.nr_freepages < enough:
        cc.memory.skip.add(pfn >> cc.shift)


# Pages to move


def fast_find_migrateblock(cc: CompactControl, rules: CompactionRules) -> int:
    """Return where to look for pages to move: a page block near the bottom that is partly free, for a costly order.

    Source: mm/compaction.c fast_find_migrateblock.
    """
    start = cc.migrate_pfn
    zone = cc.live.zone
    begun = start not in (zone.start_pfn, cc.block_start(start))
    if cc.ignore_skip_hint or begun or cc.order <= COSTLY_ORDER or (rules.finishes_failed_block and cc.rescan):
        return start
    if cc.direct and cc.migratetype != MOVABLE:
        return start
    limit = _scan_limit(cc)
    distance = cc.free_pfn - start >> 1
    if start != zone.start_pfn:
        # Once begun, only what is near: a page that moved soon would move again.
        distance >>= 2
    found, scanned = _find_source(cc, cc.block_start(start + distance), limit)
    cc.migrate_scanned += scanned
    if found < 0:
        cc.fast_search_fail += 1
        if cc.fast_start_pfn:
            cc.migrate_pfn, cc.fast_start_pfn = cc.fast_start_pfn, None
        return cc.migrate_pfn
    cc.fast_search_fail = 0
    if cc.fast_start_pfn is not None:
        cc.fast_start_pfn = min(cc.fast_start_pfn or found, found)
    if rules.fast_search_marks:
        cc.memory.skip.add(found >> cc.shift)
    return max(cc.block_start(found), zone.start_pfn)


def _find_source(cc: CompactControl, high_pfn: int, limit: int) -> tuple[int, int]:
    """Look through the lists, largest blocks first; return one below `high_pfn` or -1, and how many were looked at."""
    area = cc.live.free_area
    scanned = 0
    for order in range(cc.order - 1, COSTLY_ORDER - 1, -1):
        if scanned >= limit:
            break
        listed = area.list_of(_code(order))
        for at, pfn in enumerate(listed, 1):
            scanned += 1
            over = scanned > limit
            if over or (pfn < high_pfn and pfn >> cc.shift not in cc.memory.skip):
                # What was looked at comes to the tail, so that the next search finds others.
                if at < len(listed):
                    area.reorder(_code(order), listed[at:] + listed[:at])
                if over:
                    break
                return pfn, scanned
    return -1, scanned
