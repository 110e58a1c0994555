"""The two scanners of compaction: pages to move from the bottom of a zone, free pages from its top (mm/compaction.c).

A `CompactControl` is one run over one zone. It is a plain record; what stays with the zone between
runs is a `ZoneCompaction`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import alloc_flags as af
from .memmap import IN_USE, IN_USE_LRU, UNKNOWN_LRU
from .migratetype import CMA, MOVABLE, PCPTYPES
from .rules.compaction import CompactionRules
from .zone_lists import ZoneLists

#: enum migrate_mode.
ASYNC, SYNC_LIGHT, SYNC = 0, 1, 2
#: COMPACT_CLUSTER_MAX: so many pages are moved at once.
CLUSTER_MAX = 32
#: PAGE_ALLOC_COSTLY_ORDER.
COSTLY_ORDER = 3
#: The order of a run that isn't for an allocation.
WHOLE = -1


@dataclass(slots=True)
class ZoneCompaction:
    """What a zone remembers of compaction (struct zone: compact_*).

    Attributes
    ----------
    cached_migrate_pfn : list of int
        Where the migrate scanner starts, for asynchronous and for synchronous runs.
    cached_free_pfn : int
    init_migrate_pfn, init_free_pfn : int
        Where the scanners started when the skip marks were last cleared.
    skip : set of int
        Page blocks marked to be skipped (PB_migrate_skip).
    considered, defer_shift, order_failed : int
        Deferral: attempts since the last failure, how many are skipped as a power of two, from which order on.
    blockskip_flush : bool
        The marks may be cleared when kswapd goes to sleep.
    """

    cached_migrate_pfn: list[int]
    cached_free_pfn: int
    init_migrate_pfn: int = 0
    init_free_pfn: int = 0
    skip: set[int] = field(default_factory=set)
    considered: int = 0
    defer_shift: int = 0
    order_failed: int = 0
    blockskip_flush: bool = False


@dataclass(slots=True)
class CompactControl:
    """struct compact_control: one run.

    Attributes
    ----------
    live : ZoneLists
    memory : ZoneCompaction
    order : int
        Of the block wanted; `WHOLE` for all of the zone.
    mode : int
        `ASYNC`, `SYNC_LIGHT` or `SYNC`.
    migratetype : int
        Of the request.
    direct : bool
        An allocation waits for it.
    whole_zone, ignore_skip_hint, ignore_block_suitable, proactive : bool
    migrate_pfn, free_pfn : int
        The scanners.
    migratepages : list of int
        Heads of what is to be moved, next one last.
    freepages : list of list of int
        By order: isolated free blocks, next one last.
    nr_migratepages, nr_freepages : int
    nr_succeeded, nr_failed : int
        Pages of the batch under way that moved, and that could not.
    rescan : bool
        This page block was begun before: take all of it.
    migrate_scanned, free_scanned : int
    """

    live: ZoneLists
    memory: ZoneCompaction
    order: int
    mode: int
    migratetype: int = 0
    direct: bool = False
    whole_zone: bool = False
    ignore_skip_hint: bool = False
    ignore_block_suitable: bool = False
    proactive: bool = False
    highest_zoneidx: int = 0
    alloc_flags: int = 0
    cpu: int = 0
    migrate_pfn: int = 0
    free_pfn: int = 0
    migratepages: list[int] = field(default_factory=list)
    freepages: list[list[int]] = field(default_factory=list)
    nr_migratepages: int = 0
    nr_freepages: int = 0
    nr_succeeded: int = 0
    nr_failed: int = 0
    rescan: bool = False
    last_migrated_pfn: int = 0
    migrate_scanned: int = 0
    free_scanned: int = 0
    scans: list[tuple[str, int, int, int, int]] = field(default_factory=list)

    @property
    def shift(self) -> int:
        """Page-block order."""
        return self.live.free_area.memmap.pageblock_order

    def block_start(self, pfn: int) -> int:
        """Return the first pfn of a page block."""
        return pfn >> self.shift << self.shift

    def scanners_met(self) -> bool:
        """Tell whether the free scanner is in the migrate scanner's page block, or below (compact_scanners_met)."""
        return self.free_pfn >> self.shift <= self.migrate_pfn >> self.shift


def order_in_use(code: int) -> int:
    """Return the order of the block in use that begins at a frame, 0 where none does or nobody knows."""
    return code & 15 if code & 0xF0 in (IN_USE, IN_USE_LRU) else 0


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
    low = cc.migrate_pfn
    end = cc.block_start(low) + size
    while end <= cc.free_pfn:
        start = max(end - size, zone.start_pfn)
        if low % size == 0 and not cc.ignore_skip_hint and low >> cc.shift in cc.memory.skip:
            pass
        elif not _suitable_source(cc, start):
            _update_cached_migrate(cc, end)
        else:
            _isolate_migratepages_block(cc, rules, low, end)
            break
        cc.migrate_pfn = low = end
        end += size
    return bool(cc.migratepages)


def _suitable_source(cc: CompactControl, start: int) -> bool:
    """Tell whether a page block is worth scanning for pages to move (suitable_migration_source)."""
    area = cc.live.free_area
    if order_in_use(area.state[start]) >= cc.shift:
        return False
    if cc.mode != ASYNC or not cc.direct:
        return True
    mt = area.types[start >> cc.shift]
    return mt in (MOVABLE, CMA) if cc.migratetype == MOVABLE else mt == cc.migratetype


def _isolate_migratepages_block(cc: CompactControl, rules: CompactionRules, low: int, end: int) -> None:
    """Take pages on an LRU list off it, from `low` to the end of its page block.

    Source: mm/compaction.c isolate_migratepages_block.
    """
    state = cc.live.free_area.state
    start = low
    scanned = isolated = 0
    skip_on_failure = cc.direct and cc.mode == ASYNC
    window = (low >> cc.order) + 1 << cc.order if skip_on_failure else end
    while low < end:
        if skip_on_failure and low >= window:
            if isolated:
                break
            window = (low >> cc.order) + 1 << cc.order
        scanned += 1
        code = state[low]
        if 0x10 <= code < IN_USE:
            low += 1 << (code >> 4) - 1
            continue
        order = order_in_use(code)
        if (code & 0xF0 == IN_USE_LRU or code == UNKNOWN_LRU) and (not order or _folio_may_move(cc, rules, order)):
            cc.migratepages.append(low)
            cc.nr_migratepages += 1 << order
            isolated += 1 << order
            low += 1 << order
            if cc.nr_migratepages >= CLUSTER_MAX and not cc.rescan:
                break
            continue
        # A compound page is passed over as a whole.
        low += 1 << order
        if skip_on_failure:
            cc.migratepages.clear()
            cc.nr_migratepages = isolated = 0
            low = max(low, window)
    low = min(low, end)
    if low == end and (not isolated or cc.rescan):
        if start % (1 << cc.shift) == 0 and (not isolated or rules.marks_rescanned):
            cc.memory.skip.add(start >> cc.shift)
        _update_cached_migrate(cc, low)
    cc.migrate_scanned += scanned
    cc.scans.append(("mm_compaction_isolate_migratepages", start, low, scanned, isolated))
    cc.migrate_pfn = low


def _folio_may_move(cc: CompactControl, rules: CompactionRules, order: int) -> bool:
    """Tell whether a large folio may be moved (skip_isolation_on_order, negated)."""
    return rules.moves_large_folios and order < cc.shift and (cc.order == WHOLE or order < cc.order)


def _update_cached_migrate(cc: CompactControl, pfn: int) -> None:
    cached = cc.memory.cached_migrate_pfn
    pfn = -(-pfn >> cc.shift) << cc.shift
    cached[0] = max(cached[0], pfn)
    if cc.mode != ASYNC:
        cached[1] = max(cached[1], pfn)


def isolate_freepages(cc: CompactControl, rules: CompactionRules) -> None:
    """Take free blocks off the lists, from the top of the zone downward, until there are enough to move into.

    Source: mm/compaction.c isolate_freepages. While blocks give nothing, fewer and fewer of their pages are looked at.
    """
    zone = cc.live.zone
    size = 1 << cc.shift
    at = cc.free_pfn
    start = cc.block_start(at)
    end = min(start + size, zone.end_pfn)
    lowest = cc.block_start(cc.migrate_pfn) + size
    stride = CLUSTER_MAX if cc.mode == ASYNC else 1
    blocks: list[tuple[int, int]] = []
    while start >= lowest:
        if _suitable_target(cc, start):
            at, isolated = _isolate_freepages_block(cc, at, end, blocks, stride)
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
    _keep(cc, rules, blocks)


def _suitable_target(cc: CompactControl, start: int) -> bool:
    """Tell whether free pages are taken from a page block (suitable_migration_target, isolation_suitable)."""
    area = cc.live.free_area
    code = area.state[max(start, cc.live.zone.start_pfn)]
    if 0x10 <= code < IN_USE and (code >> 4) - 1 >= cc.shift:
        return False
    if not cc.ignore_block_suitable and area.types[start >> cc.shift] not in (MOVABLE, CMA):
        return False
    return cc.ignore_skip_hint or start >> cc.shift not in cc.memory.skip


def _isolate_freepages_block(
    cc: CompactControl, start: int, end: int, blocks: list[tuple[int, int]], stride: int
) -> tuple[int, int]:
    """Take free blocks of one page block; return where it stopped and the pages taken.

    Source: mm/compaction.c isolate_freepages_block.
    """
    state = cc.live.free_area.state
    pfn = start
    scanned = total = 0
    while pfn < end:
        scanned += 1
        code = state[pfn]
        if 0x10 <= code < IN_USE:
            order = (code >> 4) - 1
            if not isolate_free_page(cc.live, pfn, order, cc.cpu):
                break
            blocks.append((pfn, order))
            total += 1 << order
            cc.nr_freepages += 1 << order
            if cc.nr_migratepages <= cc.nr_freepages:
                pfn += 1 << order
                break
            pfn += (1 << order) - 1
        else:
            pfn += (1 << order_in_use(code)) - 1
        pfn += stride
    pfn = min(pfn, end)
    cc.free_scanned += scanned
    cc.scans.append(("mm_compaction_isolate_freepages", start, pfn, scanned, total))
    return pfn, total


def isolate_free_page(live: ZoneLists, pfn: int, order: int, cpu: int) -> bool:
    """Take one free block off its list, if the zone keeps its reserve; nobody owns it then.

    Source: mm/page_alloc.c __isolate_free_page.
    """
    area = live.free_area
    size = 1 << order
    mt = area.types[pfn >> area.memmap.pageblock_order]
    if not live.watermark_ok(0, live.zone.wmark_min + size, 0, af.CMA):
        return False
    live.account(cpu, -size)
    if mt == CMA:
        live.account_cma(cpu, -size)
    area.remove(pfn)
    area.state[pfn] = IN_USE | order
    shift = area.memmap.pageblock_order
    if order >= shift - 1:
        for block in range(pfn, pfn + size, 1 << shift):
            if area.types[block >> shift] < PCPTYPES:
                area.set_types(block, 1 << shift, MOVABLE)
    return True


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
    if not any(cc.freepages[order:]):
        isolate_freepages(cc, rules)
    found = next((o for o in range(order, len(cc.freepages)) if cc.freepages[o]), -1)
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


def put_target_back(cc: CompactControl, rules: CompactionRules, pfn: int, order: int = 0) -> None:
    """Keep a frame that a page could not be moved to for the next one (compaction_free)."""
    cc.freepages[order].append(pfn)
    cc.nr_freepages += 1 << order
    if rules.free_lists_by_order:
        cc.nr_migratepages += 1 << order
