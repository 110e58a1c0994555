"""What the fast path looks up: how a request that was seen before goes next time (fast_path).

A plan names what a request touches, so that nothing has to be worked out. Blocks are popped from, and appended to, a
list of the cpu; where a request goes past the lists, or someone listens, an object stands for the list that does the
same in more steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import alloc_flags as af
from .events import ALLOC, FREE, PCP_PUT, PCP_TAKE, WATERMARK
from .memmap import IN_USE, IN_USE_LRU, NO_ZONE, ON_PCP, UNKNOWN, UNKNOWN_LRU, MemMap
from .migratetype import MOVABLE
from .page import Page
from .pcp import PerCpuPages, list_index, streak_bound

if TYPE_CHECKING:
    from .page_alloc import PageAllocator
    from .zone_lists import ZoneLists

Record = Callable[[tuple[Any, ...]], None]

#: By node, cpu, order and GFP flags: list, PerCpuPages, pages of the block, its code in the frame table, the request
#: as the log has it.
Plans = dict["int | None", dict[int, dict[int, dict[Any, tuple[Any, ...]]]]]
#: By cpu, code of the block in the frame table and place of its page block (`MemMap.places`): list, PerCpuPages, order,
#: pages of the block, what `streak` grows by and must stay below, code on the list, what the log adds to the page.
FreePlans = dict[int, list["list[tuple[Any, ...] | None] | None"]]

#: The places of so many page blocks are noted at once.
NEAR_BLOCKS = 32

#: Codes of the frame table.
CODES = 256
#: Bits of a page number in the log.
PFN_BITS = 40


def log_tag(order: int, cpu: int) -> int:
    """Return what is added to a page for the log to tell with what order and on which cpu it was freed."""
    return (order << 12 | cpu) << PFN_BITS


def freed_page(entry: int) -> tuple[int, int, int]:
    """Return page, order and cpu of a free in the log: a Page is a single one on cpu 0."""
    if entry.__class__ is Page:
        return entry, 0, 0
    return entry & (1 << PFN_BITS) - 1, entry >> PFN_BITS + 12, entry >> PFN_BITS & 0xFFF


class FromBuddy:
    """Stands for a list where requests go past the per-CPU lists: pops from the buddy lists."""

    __slots__ = ("account", "change", "cpu", "gfp", "mt", "order", "record", "take")

    def __init__(self, live: ZoneLists, gfp: int, order: int, mt: int, cpu: int, record: Record | None) -> None:
        self.take = live.free_area.rmqueue_smallest
        self.account = live.account
        self.gfp = gfp
        self.order = order
        self.change = -1 << order
        self.mt = mt
        self.cpu = cpu
        self.record = record

    def pop(self) -> Page:
        """Take a block; IndexError if only other types have one."""
        pfn = self.take(self.order, self.mt)
        if pfn < 0:
            raise IndexError
        self.account(self.cpu, self.change)
        if self.record is not None:
            self.record((ALLOC, self.cpu, pfn, self.order, self.mt, self.gfp))
        return pfn if type(pfn) is Page else Page(pfn)


class ToBuddy:
    """Stands for a list where frees go past the per-CPU lists: appends to the buddy lists."""

    __slots__ = ("account", "cpu", "give", "mt", "order", "record", "size")

    def __init__(self, live: ZoneLists, order: int, mt: int, cpu: int, record: Record | None) -> None:
        self.account = live.account
        self.give = live.free_area.free_one_page
        self.order = order
        self.size = 1 << order
        self.mt = mt
        self.cpu = cpu
        self.record = record

    def append(self, page: Page) -> None:
        """Give a block back."""
        if self.record is not None:
            self.record((FREE, self.cpu, page, self.order))
        self.account(self.cpu, self.size)
        self.give(page, self.order, self.mt)


class ToldPop:
    """Stands for a per-CPU list where someone listens: tells what a request decided."""

    __slots__ = ("pages", "pcp", "record", "told")

    def __init__(self, pages: list[Page], pcp: PerCpuPages, record: Record, told: tuple[Any, ...]) -> None:
        self.pages = pages
        self.pcp = pcp
        self.record = record
        self.told = told

    def pop(self) -> Page:
        """Take the head of the list."""
        page = self.pages.pop()
        live, gfp, order, size, mt, cpu, nid, zone, mark, reserve, index = self.told
        self.record((
            WATERMARK, cpu, nid, zone, order, mark, live.nr_free_pages, size - 1, mark, reserve, True,
            PCP_TAKE, cpu, nid, zone, index, page, self.pcp.count - size,
            ALLOC, cpu, page, order, mt, gfp,
        ))  # fmt: skip
        return page


class ToldAppend:
    """Stands for a per-CPU list where someone listens: tells what a free decided."""

    __slots__ = ("pages", "pcp", "record", "told")

    def __init__(self, pages: list[Page], pcp: PerCpuPages, record: Record, told: tuple[Any, ...]) -> None:
        self.pages = pages
        self.pcp = pcp
        self.record = record
        self.told = told

    def append(self, page: Page) -> None:
        """Put a block, which is counted already, at the head of the list."""
        self.pages.append(page)
        order, cpu, nid, zone, index = self.told
        pcp = self.pcp
        self.record((FREE, cpu, page, order, PCP_PUT, cpu, nid, zone, index, page, pcp.count, pcp.high))


def _no_lists(cpu: int) -> PerCpuPages:
    """Return what stands for a cpu's lists where a request goes past them: it has room, and counts nothing."""
    pcp = PerCpuPages(cpu, 0)
    pcp.limit = 1
    return pcp


def plan_alloc(
    allocator: PageAllocator, live: ZoneLists, gfp: int, order: int, nid: int | None, cpu: int, mt: int, highest: int
) -> None:
    """Note how a request goes next time, if the preferred zone stays above its mark.

    A request for more than a page needs a block large enough, too: the zone has to have a largest one.
    """
    if gfp in allocator.plans.get(nid, {}).get(cpu, {}).get(order, {}):
        # It found the list empty, and there is one for the next request.
        return
    rules = allocator.rules
    if live.nr_reserved_highatomic or rules.pcp.scheme == "hot_cold" or allocator.unnoted:
        return
    listed = allocator.pcp_allowed(order)
    from_cma = allocator.cma and mt == MOVABLE
    record = allocator.record
    if live.nr_free_cma and (record or (from_cma and not listed)):
        # How many CMA pages are free would have to be told, or tell from which type's lists to take.
        return
    area = live.free_area
    mark = live.mark(af.WMARK_HIGH if rules.watermark.tries_high_first else af.WMARK_LOW)
    reserve = live.reserve(highest)
    size = 1 << order
    floor = mark + reserve + size - 1 + (0 if from_cma else live.nr_free_cma)
    if (order and not area.heads[area.top_movable]) or live.nr_free_pages <= floor:
        return
    live.plan_floor = max(live.plan_floor, floor)
    pages: Any
    if listed:
        index = list_index(order, mt)
        pcp = live.pcps[cpu]
        pages = pcp.lists[index]
        if record:
            told = live, gfp, order, size, mt, cpu, live.zone.nid, live.zone.name, mark, reserve, index
            pages = ToldPop(pages, pcp, record, told)
        counted = size
    else:
        pages, pcp, counted = FromBuddy(live, gfp, order, mt, cpu, record), _no_lists(cpu), 0
    code = (IN_USE_LRU if mt == MOVABLE else IN_USE) | order
    by_gfp = allocator.plans.setdefault(nid, {}).setdefault(cpu, {}).setdefault(order, {})
    by_gfp[gfp] = pages, pcp, counted, code, (gfp, order, nid, cpu)


def _note_places(memmap: MemMap, live: ZoneLists, block: int, number: int) -> None:
    """Note the places of a zone's page block and of those near it, which are freed to next."""
    places = memmap.places
    types = live.free_area.types
    shift = memmap.pageblock_order
    first = max(block & -NEAR_BLOCKS, -(-live.zone.start_pfn >> shift))
    for near in range(first, min((block & -NEAR_BLOCKS) + NEAR_BLOCKS, live.zone.end_pfn >> shift)):
        if memmap.zone_ids[near] == memmap.zone_ids[block]:
            places[near] = number + 1 << 3 | types[near]
    places[block] = number + 1 << 3 | types[block]


def plan_free(allocator: PageAllocator, live: ZoneLists, pfn: int, order: int, mt: int, cpu: int) -> None:
    """Note how a free of this order, cpu, zone and type goes next time."""
    listed = allocator.pcp_allowed(order)
    if allocator.unnoted or (listed and allocator.rules.pcp.scheme not in ("free_factor", "tuned")):
        return
    memmap = allocator.memmap
    block = pfn >> memmap.pageblock_order
    number = memmap.zone_ids[block]
    if number == NO_ZONE:
        # The zone shares a page block with the one below it. Of blocks that are its own, all is known even so.
        shift = memmap.pageblock_order
        if not live.zone.start_pfn <= block << shift or not block < live.zone.end_pfn >> shift:
            return
        number = allocator.zones.index(live)
    place = number + 1 << 3 | mt
    if not memmap.places[block]:
        _note_places(memmap, live, block, number)
    by_code = allocator.free_plans.setdefault(cpu, [None] * CODES)
    by_place = by_code[IN_USE | order]
    if by_place is None:
        by_place = by_code[IN_USE | order] = by_code[IN_USE_LRU | order] = [None] * (len(allocator.zones) + 1 << 3)
        if not order:
            # A recorded frame of which nobody knows the order: freed as a single page it is one.
            by_code[UNKNOWN] = by_code[UNKNOWN_LRU] = by_place
    record = allocator.record
    tag = log_tag(order, cpu)
    if not listed:
        by_place[place] = ToBuddy(live, order, mt, cpu, record), _no_lists(cpu), order, 0, 0, 1, 0, tag
        return
    index = list_index(order, mt)
    pcp = live.pcps[cpu]
    pages: Any = pcp.lists[index]
    if record:
        pages = ToldAppend(pages, pcp, record, (order, cpu, live.zone.nid, live.zone.name, index))
    by_place[place] = pages, pcp, order, 1 << order, *streak_bound(live, pcp, order), ON_PCP | mt, tag
