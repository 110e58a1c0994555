"""A zone at work: its buddy lists, its per-CPU lists, and the counters that the watermarks read."""

from __future__ import annotations

from typing import Any

from . import alloc_flags as af
from .buddy import FreeAreas
from .events import BUDDY_TAKE, WATERMARK
from .fallback import FALLBACK, claim, steal_smallest
from .memmap import MemMap
from .migratetype import CMA, HIGHATOMIC, PCPTYPES
from .mmzone import Zone
from .pcp import PerCpuPages
from .rules.allocator import AllocatorRules

#: Where a refill found its last page (enum rmqueue_mode): the next page is sought from there on.
NORMAL, FROM_CMA, STEAL = 0, 1, 3


class ZoneLists:
    """A zone with all its lists.

    Parameters
    ----------
    zone : Zone
    memmap : MemMap
    rules : AllocatorRules
    cpus : int
        How many cpus have lists of it.

    Attributes
    ----------
    free_area : FreeAreas
        The buddy lists.
    pcps : list of PerCpuPages
        By cpu.
    nr_free_pages, nr_free_cma : int
        The zone's counters without what cpus have not added yet (zone->vm_stat).
    diff, diff_cma : list of int
        What each cpu has not added yet (vm_stat_diff).
    nr_reserved_highatomic : int
        Pages of the page blocks kept for high-order atomic requests.
    """

    __slots__ = (
        "_below_high", "_reclaim_active", "diff", "diff_cma", "free_area", "mode", "nr_free_cma", "nr_free_pages",
        "nr_reserved_highatomic", "pcps", "plan_floor", "rules", "taken_type", "zone",
    )  # fmt: skip

    def __init__(self, zone: Zone, memmap: MemMap, rules: AllocatorRules, cpus: int) -> None:
        self.zone = zone
        self.rules = rules
        self.free_area = FreeAreas(rules.buddy, memmap, zone)
        self.pcps = [PerCpuPages(cpu, rules.pcp.lists) for cpu in range(cpus)]
        self.nr_free_pages = 0
        #: The plans of the fast path count on more free pages than this.
        self.plan_floor = -1
        self.nr_free_cma = 0
        self.diff = [0] * cpus
        self.diff_cma = [0] * cpus
        self.nr_reserved_highatomic = 0
        self._below_high = False
        self._reclaim_active = False
        #: Where the refill under way found its last page, and from which type's list.
        self.mode = NORMAL
        self.taken_type = 0

    @property
    def name(self) -> str:
        """The zone's name."""
        return self.zone.name

    @property
    def below_high(self) -> bool:
        """Whether a request found the zone below its high mark (ZONE_BELOW_HIGH)."""
        return self._below_high

    @below_high.setter
    def below_high(self, is_below: bool) -> None:
        self._below_high = is_below
        self.look_at_every_free()

    @property
    def reclaim_active(self) -> bool:
        """Whether kswapd works on the zone (ZONE_RECLAIM_ACTIVE)."""
        return self._reclaim_active

    @reclaim_active.setter
    def reclaim_active(self, is_active: bool) -> None:
        self._reclaim_active = is_active
        self.look_at_every_free()

    def look_at_every_free(self) -> None:
        """Make the next free of each cpu look at the lists' limits again."""
        for pcp in self.pcps:
            pcp.limit = 0

    # Counters

    def account(self, cpu: int, pages: int) -> None:
        """Add to NR_FREE_PAGES by way of the cpu's difference (__mod_zone_page_state)."""
        change = self.diff[cpu] + pages
        threshold = self.zone.stat_threshold
        if change > threshold or change < -threshold:
            self.nr_free_pages += change
            self.diff[cpu] = 0
            if self.nr_free_pages <= self.plan_floor:
                self.free_area.plans.clear()
                self.plan_floor = -1
        else:
            self.diff[cpu] = change

    def account_cma(self, cpu: int, pages: int) -> None:
        """Add to NR_FREE_CMA_PAGES in the same way."""
        change = self.diff_cma[cpu] + pages
        threshold = self.zone.stat_threshold
        if change > threshold or change < -threshold:
            self.nr_free_cma += change
            self.diff_cma[cpu] = 0
            if change > 0:
                # The plans count on no more pages of CMA.
                self.free_area.plans.clear()
                self.plan_floor = -1
        else:
            self.diff_cma[cpu] = change

    def fold(self) -> None:
        """Add all differences to the counters (refresh_cpu_vm_stats)."""
        self.nr_free_pages += sum(self.diff)
        self.free_area.plans.clear()
        self.nr_free_cma += sum(self.diff_cma)
        self.diff[:] = [0] * len(self.diff)
        self.diff_cma[:] = [0] * len(self.diff_cma)

    def free_pages_now(self) -> int:
        """Return NR_FREE_PAGES with every cpu's difference."""
        return self.nr_free_pages + sum(self.diff)

    def free_highatomic(self) -> int:
        """Add up the free pages on the lists of high-atomic blocks."""
        return sum(row[HIGHATOMIC] << order for order, row in enumerate(self.free_area.counts()))

    # The watermark test

    def mark(self, flags: int) -> int:
        """Return the watermark that alloc_flags name, boost included."""
        zone = self.zone
        which = flags & af.WMARK_MASK
        base = (zone.wmark_min, zone.wmark_low, zone.wmark_high, zone.wmark_promo)[which]
        return base + zone.watermark_boost

    def unusable(self, order: int, flags: int) -> int:
        """Return the free pages that this request can't have (__zone_watermark_unusable_free)."""
        pages = (1 << order) - 1
        if self.nr_reserved_highatomic and not flags & af.RESERVES:
            free_only = self.rules.watermark.counts_free_highatomic
            pages += self.free_highatomic() if free_only else self.nr_reserved_highatomic
        if not flags & af.CMA:
            pages += self.nr_free_cma
        return pages

    def watermark_ok(
        self, order: int, mark: int, highest_zoneidx: int, flags: int, free_pages: int | None = None
    ) -> bool:
        """Tell whether more pages are free than a request must leave, in blocks large enough (__zone_watermark_ok).

        `free_pages` is what to take for the zone's counter. Whoever gives it does not ask for a request that may
        have the zone now, and the test is not told.
        """
        free = self.nr_free_pages if free_pages is None else free_pages
        rules = self.rules.watermark
        reserve = self.reserve(highest_zoneidx)
        least = rules.lowered(mark, flags) if flags & af.RESERVES else mark
        if rules.sums_small_blocks:
            passed = self._sums(order, least, reserve)
            unusable = (1 << order) - 1
        else:
            unusable = self.unusable(order, flags)
            passed = free - unusable > least + reserve and (not order or self.has_block(order, flags))
        decide = self.free_area.decide
        if decide and free_pages is None:
            decide((
                WATERMARK, self.free_area.cpu, self.zone.nid, self.zone.name, order, mark, free,
                unusable, least, reserve, passed,
            ))  # fmt: skip
        return passed

    def _sums(self, order: int, least: int, reserve: int) -> bool:
        """Test as 2.6.11 does: smaller blocks don't count, and every order halves the mark."""
        free = self.nr_free_pages - (1 << order) + 1
        if free <= least + reserve:
            return False
        for smaller, row in enumerate(self.free_area.counts()[:order]):
            free -= sum(row) << smaller
            least >>= 1
            if free <= least:
                return False
        return True

    def watermark_fast(self, order: int, mark: int, highest_zoneidx: int, flags: int) -> bool:
        """Test a mark, ignoring the boost for a high-priority page at the minimum (zone_watermark_fast)."""
        if self.watermark_ok(order, mark, highest_zoneidx, flags):
            return True
        zone = self.zone
        if not order and flags & af.MIN_RESERVE and zone.watermark_boost and flags & af.WMARK_MASK == af.WMARK_MIN:
            return self.watermark_ok(order, zone.wmark_min, highest_zoneidx, flags)
        return False

    def reserve(self, highest_zoneidx: int) -> int:
        """Return the pages kept from requests that could use a higher zone (lowmem_reserve)."""
        reserves = self.zone.lowmem_reserve
        return reserves[highest_zoneidx] if highest_zoneidx < len(reserves) else 0

    def has_block(self, order: int, flags: int) -> bool:
        """Tell whether any list that the request may use holds a block of at least an order."""
        heads = self.free_area.heads
        types = list(range(PCPTYPES))
        if flags & af.CMA:
            types.append(CMA)
        if flags & (af.HIGHATOMIC | af.OOM):
            types.append(HIGHATOMIC)
        return any(heads[(o + 1) << 4 | mt] for o in range(order, self.free_area.top + 1) for mt in types)

    # Taking from the buddy lists

    def rmqueue(self, order: int, mt: int, flags: int) -> int:
        """Take one block, from CMA or other types where the rules say so (__rmqueue); -1 if there is none.

        `taken_type` says from which type's list, `mode` where a refill goes on looking.
        """
        area = self.free_area
        self.taken_type = mt
        if flags & af.CMA and self.nr_free_cma > self.nr_free_pages // 2:
            pfn = area.rmqueue_smallest(order, CMA)
            if pfn >= 0:
                self.taken_type = CMA
                return pfn
        if self.mode == NORMAL:
            pfn = area.rmqueue_smallest(order, mt)
            if pfn >= 0:
                return pfn
        if flags & af.CMA and self.mode <= FROM_CMA:
            pfn = area.rmqueue_smallest(order, CMA)
            if pfn >= 0:
                self.taken_type = CMA
                self.mode = FROM_CMA if area.rules.fallback == "claim_or_steal" else NORMAL
                return pfn
        if area.rules.fallback != "claim_or_steal":
            return FALLBACK[area.rules.fallback](area, order, mt, flags)
        if self.mode != STEAL:
            pfn = claim(area, order, mt, flags)
            if pfn >= 0:
                self.mode = NORMAL
                return pfn
        if flags & af.NOFRAGMENT:
            return -1
        pfn = steal_smallest(area, order, mt)
        if pfn >= 0:
            self.mode = STEAL
        return pfn

    def rmqueue_bulk(self, order: int, count: int, mt: int, flags: int, cpu: int) -> list[int]:
        """Take up to `count` blocks at once, in the order obtained (rmqueue_bulk)."""
        area = self.free_area
        area.cpu = cpu
        state = area.state
        self.mode = NORMAL
        taken = []
        each = self.rules.pcp.counts_by_page
        size = 1 << order
        for _ in range(count):
            pfn = self.rmqueue(order, mt, flags)
            if pfn < 0:
                break
            state[pfn] = 0xD0 | self.taken_type
            taken.append(pfn)
            if self.taken_type == CMA:
                self.account_cma(cpu, -size)
            if each:
                self.account(cpu, -size)
        if not each:
            self.account(cpu, -(len(taken) << order))
        return taken

    def rmqueue_buddy(self, order: int, mt: int, flags: int, cpu: int) -> int:
        """Take one block from the buddy lists for a request (rmqueue_buddy); -1 if there is none."""
        area = self.free_area
        area.cpu = cpu
        self.mode = NORMAL
        self.taken_type = HIGHATOMIC
        pfn = -1
        if flags & af.HIGHATOMIC and order > 0:
            pfn = area.rmqueue_smallest(order, HIGHATOMIC)
        if pfn < 0:
            pfn = self.rmqueue(order, mt, flags)
        if pfn < 0 and flags & (af.OOM | af.NON_BLOCK):
            self.taken_type = HIGHATOMIC
            pfn = area.rmqueue_smallest(order, HIGHATOMIC)
        if pfn < 0:
            return -1
        self.account(cpu, -(1 << order))
        if self.taken_type == CMA:
            self.account_cma(cpu, -(1 << order))
        if area.decide:
            area.decide((BUDDY_TAKE, cpu, self.zone.nid, self.zone.name, pfn, order, mt, order, self.taken_type))
        return pfn

    def free_one(self, pfn: int, order: int, mt: int, cpu: int, to_tail: bool = False) -> None:
        """Give a block to the buddy lists and count it (__free_one_page with its accounting)."""
        area = self.free_area
        area.cpu = cpu
        self.account(cpu, 1 << order)
        if mt == CMA:
            self.account_cma(cpu, 1 << order)
        area.free_one_page(pfn, order, mt, to_tail)

    def free_block(self, pfn: int, order: int, cpu: int, to_tail: bool = False) -> None:
        """Give a block to the buddy lists as the type that its page blocks have (free_one_page)."""
        area = self.free_area
        shift = area.memmap.pageblock_order
        if order <= shift or not area.rules.free_by_pageblock:
            self.free_one(pfn, order, area.types[pfn >> shift], cpu, to_tail)
            return
        area.state[pfn] = 0
        for start in range(pfn, pfn + (1 << order), 1 << shift):
            self.free_one(start, shift, area.types[start >> shift], cpu, to_tail)

    # Saving

    def save(self) -> tuple[Any, ...]:
        """Copy all lists and counters."""
        zone = self.zone
        return (
            self.free_area.save(),
            tuple(pcp.save() for pcp in self.pcps),
            (self.nr_free_pages, self.nr_free_cma, self.nr_reserved_highatomic, self.below_high, self.reclaim_active),
            (tuple(self.diff), tuple(self.diff_cma)),
            {name: getattr(zone, name) for name in zone.__slots__},
        )

    def load(self, saved: tuple[Any, ...]) -> None:
        """Bring all lists and counters back to what `save` copied, in place."""
        area, pcps, counters, diffs, zone = saved
        self.free_area.load(area)
        for pcp, kept in zip(self.pcps, pcps, strict=True):
            pcp.load(kept)
        (
            self.nr_free_pages, self.nr_free_cma, self.nr_reserved_highatomic, self.below_high, self.reclaim_active,
        ) = counters  # fmt: skip
        self.diff[:] = diffs[0]
        self.diff_cma[:] = diffs[1]
        for name, value in zone.items():
            setattr(self.zone, name, value)
