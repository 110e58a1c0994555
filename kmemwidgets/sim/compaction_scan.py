"""What the two scanners of compaction take from a page block: pages to move, and free pages (mm/compaction.c).

A `CompactControl` is one run over one zone. It is a plain record; what stays with the zone between
runs is a `ZoneCompaction`. Which page block comes next stands in `compaction_isolate`.
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
        Where the scanners started when the skip marks were last cleared; 0 before that.
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
        This page block was begun before, or a page of it could not move: take all of it (finish_pageblock).
    update_cached : bool
        While nothing was found, an asynchronous run takes the start of synchronous ones along.
    search_order : int
        With which order's list the next fast search for free pages begins.
    fast_search_fail : int
        Searches of the lists in a row that found nothing; each halves how far the next one looks.
    fast_start_pfn : int or None
        Lowest block that the fast search chose to move pages from, where the scanner goes back to once that
        fails; 0: none yet, None: it has gone back.
    migrate_scanned, free_scanned, isolated : int
        Pages looked at by each scanner, and taken by both.
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
    update_cached: bool = False
    search_order: int = 0
    fast_search_fail: int = 0
    fast_start_pfn: int | None = 0
    last_migrated_pfn: int = 0
    migrate_scanned: int = 0
    free_scanned: int = 0
    isolated: int = 0
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


def suitable_source(cc: CompactControl, start: int) -> bool:
    """Tell whether a page block is worth scanning for pages to move (suitable_migration_source)."""
    area = cc.live.free_area
    if order_in_use(area.state[start]) >= cc.shift:
        return False
    if cc.mode != ASYNC or not cc.direct:
        return True
    mt = area.types[start >> cc.shift]
    return mt in (MOVABLE, CMA) if cc.migratetype == MOVABLE else mt == cc.migratetype


def isolate_migratepages_block(cc: CompactControl, rules: CompactionRules, low: int, end: int) -> None:
    """Take pages on an LRU list off it, from `low` to the end of its page block.

    Source: mm/compaction.c isolate_migratepages_block.
    """
    state = cc.live.free_area.state
    skip, block = cc.memory.skip, low >> cc.shift
    start = low
    scanned = isolated = 0
    marked = False
    skip_on_failure = cc.direct and cc.mode == ASYNC
    window = (low >> cc.order) + 1 << cc.order if skip_on_failure else end
    if low == cc.block_start(low) and not cc.ignore_skip_hint and block in skip:
        # Somebody marked it since the scanner chose it: the fast search itself, until 6.3.
        low = end
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
            if not marked:
                marked = True
                if _test_and_set_skip(cc, rules, low) and not (rules.finishes_failed_block and cc.rescan):
                    low = end
                    break
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
            skip.add(block)
        update_cached_migrate(cc, low)
    cc.migrate_scanned += scanned
    cc.isolated += isolated
    cc.scans.append(("mm_compaction_isolate_migratepages", start, low, scanned, isolated))
    cc.migrate_pfn = low


def _test_and_set_skip(cc: CompactControl, rules: CompactionRules, pfn: int) -> bool:
    """Mark the page block that a page is taken from, for other runs; tell whether it was marked (test_and_set_skip)."""
    if cc.ignore_skip_hint or (not rules.skip_set_midway and pfn != cc.block_start(pfn)):
        return False
    block = pfn >> cc.shift
    was = block in cc.memory.skip
    cc.memory.skip.add(block)
    return was


def _folio_may_move(cc: CompactControl, rules: CompactionRules, order: int) -> bool:
    """Tell whether a large folio may be moved (skip_isolation_on_order, negated)."""
    return rules.moves_large_folios and order < cc.shift and (cc.order == WHOLE or order < cc.order)


def update_cached_migrate(cc: CompactControl, pfn: int) -> None:
    """Let the next run start behind a page block."""
    cached = cc.memory.cached_migrate_pfn
    pfn = -(-pfn >> cc.shift) << cc.shift
    cached[0] = max(cached[0], pfn)
    if cc.mode != ASYNC:
        cached[1] = max(cached[1], pfn)


def suitable_target(cc: CompactControl, start: int) -> bool:
    """Tell whether pages may move to a page block (suitable_migration_target)."""
    area = cc.live.free_area
    code = area.state[max(start, cc.live.zone.start_pfn)]
    if 0x10 <= code < IN_USE and (code >> 4) - 1 >= cc.shift:
        return False
    if not code and area.is_untouched(start):
        return False
    return cc.ignore_block_suitable or area.types[start >> cc.shift] in (MOVABLE, CMA)


def isolate_freepages_block(
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
    cc.isolated += total
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
