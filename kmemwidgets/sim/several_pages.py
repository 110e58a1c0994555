"""Several pages that are no block: a block split into pages, an exact number of them, and bulks (mm/page_alloc.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .bad_page import bad_free
from .events import PCP_TAKE
from .gfp import __GFP_COMP, __GFP_THISNODE
from .memmap import IN_USE, IN_USE_LRU, ORDER_MASK, RESERVED, UNKNOWN_LRU
from .migratetype import MOVABLE
from .pcp import list_index, take

if TYPE_CHECKING:
    from .page_alloc import PageAllocator
    from .zone_lists import ZoneLists


def split_page(allocator: PageAllocator, pfn: int, order: int) -> None:
    """Make 2^order single pages of a block, to be freed one by one (split_page).

    Raises
    ------
    KernelBug
        If no block of that order in use begins there.
    """
    known = 0 <= pfn < allocator.memmap.max_pfn and 0 <= order <= allocator.largest_order
    code = allocator.state[pfn] if known else RESERVED
    if code & ORDER_MASK != IN_USE | order:
        raise bad_free(allocator.memmap, pfn, order)
    size = 1 << order
    allocator.state[pfn : pfn + size] = bytes((code & 0xF0,)) * size
    if allocator.on_taken:
        for page in range(pfn, pfn + size):
            allocator.on_taken(page, 0)


def alloc_pages_exact(allocator: PageAllocator, pages: int, gfp: int, nid: int | None = None, cpu: int = 0) -> int:
    """Allocate a number of pages that is no power of two (alloc_pages_exact): a block, less its end.

    Returns
    -------
    int
        First pfn; -1 if the request failed. Every page is freed by itself.
    """
    if pages < 1:
        raise ValueError("alloc_pages_exact needs at least one page")
    order = (pages - 1).bit_length()
    pfn: int = allocator.alloc_pages(gfp & ~__GFP_COMP, order, nid, cpu)
    if pfn < 0:
        return -1
    split_page(allocator, pfn, order)
    for rest in range(pfn + pages, pfn + (1 << order)):
        free_to_tail(allocator, rest, cpu)
    return pfn


def free_to_tail(allocator: PageAllocator, pfn: int, cpu: int = 0) -> None:
    """Free a single page past the per-CPU lists to the tail of the buddy lists (make_alloc_exact, FPI_TO_TAIL)."""
    code = allocator.state[pfn]
    if code & ORDER_MASK != IN_USE and code < UNKNOWN_LRU:
        raise bad_free(allocator.memmap, pfn, 0)
    live = allocator.zone_of(pfn)
    allocator.tell_free(pfn, 0, cpu)
    allocator.state[pfn] = 0
    to_tail = allocator.rules.buddy.boot_to_tail
    live.free_one(pfn, 0, live.free_area.types[pfn >> allocator.shift], cpu, to_tail)


def alloc_pages_bulk(allocator: PageAllocator, gfp: int, count: int, nid: int | None = None, cpu: int = 0) -> list[int]:
    """Allocate up to `count` single pages in one go, from a node or as the task's policy says; may give fewer."""
    if nid is None and allocator.bulk_policy is not None:
        return allocator.bulk_policy(gfp, count, cpu)
    return alloc_pages_bulk_nodemask(allocator, gfp, count, allocator.cpu_node[cpu] if nid is None else nid, cpu)


def alloc_pages_bulk_nodemask(
    allocator: PageAllocator, gfp: int, count: int, node: int, cpu: int, nodemask: frozenset[int] | None = None
) -> list[int]:
    """Allocate up to `count` single pages from the first node allowed (alloc_pages_bulk_noprof).

    The mark is the low one plus `count`; amounts of the per-CPU lists are not adapted, and no event tells of
    the pages. Where the node can't give the first, one page is allocated the usual way.
    """
    mt, highest, flags = allocator.read_gfp(gfp)
    if allocator.before_request is not None:
        allocator.before_request()
    if count > 1 and allocator.per_cpu_lists:
        for live in _of_first_node(allocator.walk(node, highest, bool(gfp & __GFP_THISNODE)), nodemask):
            if not live.watermark_fast(0, live.mark(flags) + count, highest, flags):
                continue
            taken = _bulk_from(allocator, live, mt, flags | allocator.nofragment(live), count, cpu)
            if taken:
                allocator.numa.count(live, live, cpu, len(taken))
                return taken
            break
    pfn = allocator.alloc_pages_nodemask(gfp, 0, node, cpu, nodemask)
    return [pfn] if pfn >= 0 else []


def _of_first_node(zones: Sequence[ZoneLists], nodemask: frozenset[int] | None) -> list[ZoneLists]:
    """Return the zones of the first node allowed: others are too far off for a bulk."""
    allowed = [live for live in zones if nodemask is None or live.zone.nid in nodemask]
    return [live for live in allowed if live.zone.nid == allowed[0].zone.nid]


def _bulk_from(allocator: PageAllocator, live: ZoneLists, mt: int, flags: int, count: int, cpu: int) -> list[int]:
    pcp = live.pcps[cpu]
    streak = pcp.streak
    taken = []
    for _ in range(count):
        pfn = take(live, pcp, 0, mt, flags)
        if pfn < 0:
            break
        allocator.state[pfn] = IN_USE_LRU if mt == MOVABLE else IN_USE
        if allocator.decisions:
            index = list_index(0, mt)
            allocator.decisions((PCP_TAKE, cpu, live.zone.nid, live.zone.name, index, pfn, pcp.count))
        if allocator.on_taken:
            allocator.on_taken(pfn, 0)
        taken.append(pfn)
    pcp.streak = streak
    return taken
