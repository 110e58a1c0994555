"""Taking from the lists of another migrate type: claim a page block, or steal a page.

Three generations of the same idea (mm/page_alloc.c): a request whose lists are all
empty should spoil as few page blocks of other types as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from .migratetype import FALLBACKS, HIGHATOMIC, MOVABLE, RECLAIMABLE, UNMOVABLE

if TYPE_CHECKING:
    from .buddy import FreeAreas

#: Bits of alloc_flags that a fallback reads (mm/internal.h).
ALLOC_NOFRAGMENT = 0x100
ALLOC_KSWAPD = 0x800

Fallback = Callable[["FreeAreas", int, int, int], int]


def may_claim(area: FreeAreas, order: int, mt: int) -> bool:
    """Tell whether a block of `order` is worth its whole page block (can_steal_fallback, should_try_claim_block)."""
    return order >= area.memmap.pageblock_order // 2 or mt in (RECLAIMABLE, UNMOVABLE)


def find_suitable_fallback(area: FreeAreas, order: int, mt: int) -> int:
    """Return the first other type with a free block of an order, -1 if none has."""
    for other in FALLBACKS[mt]:
        if area.heads[(order + 1) << 4 | other]:
            return other
    return -1


def boost_watermark(area: FreeAreas) -> bool:
    """Raise the zone's marks for a while, so that reclaim makes room for whole blocks; tell whether they rose."""
    zone = area.zone
    block = 1 << area.memmap.pageblock_order
    if not zone.boost_factor or block * 4 > zone.managed:
        return False
    most = zone.wmark_high * zone.boost_factor // 10000
    if not most:
        return False
    zone.watermark_boost = min(zone.watermark_boost + block, max(block, most))
    return True


def block_bounds(area: FreeAreas, pfn: int) -> tuple[int, int] | None:
    """Return the part of a page block that may be claimed, None if the block sticks out of the zone."""
    size = 1 << area.memmap.pageblock_order
    start = pfn & -size
    end = start + size
    if start < area.zone.start_pfn:
        if not area.rules.start_may_stick_out:
            return None
        start = pfn
    return (start, end) if end <= area.zone.end_pfn else None


def alike_pages(area: FreeAreas, mt: int, from_mt: int, free: int, lru: int) -> int:
    """Estimate how many pages in use of a page block suit the new type."""
    if mt == MOVABLE:
        return lru
    return (1 << area.memmap.pageblock_order) - free - lru if from_mt == MOVABLE else 0


def steal(area: FreeAreas, order: int, mt: int, flags: int) -> int:
    """Steal, then look again at the own lists, until they hold something (5.6 to 6.9)."""
    while _steal_once(area, order, mt, flags):
        pfn = area.rmqueue_smallest(order, mt)
        if pfn >= 0:
            return pfn
    return -1


def choose(area: FreeAreas, order: int, mt: int, flags: int) -> tuple[int, int, bool] | None:
    """Choose the order and type to steal from: the largest block, or the smallest for small movable requests.

    Returns
    -------
    tuple of (int, int, bool), or None
        Order, type, and whether the page block may be claimed.
    """
    block_order = area.memmap.pageblock_order
    least = block_order if flags & ALLOC_NOFRAGMENT and order < block_order else order
    for found in range(area.top, least - 1, -1):
        other = find_suitable_fallback(area, found, mt)
        if other < 0:
            continue
        whole = may_claim(area, found, mt)
        if not whole and mt == MOVABLE and found > order:
            for smaller in range(order, area.top + 1):
                other = find_suitable_fallback(area, smaller, mt)
                if other >= 0:
                    return smaller, other, whole
        return found, other, whole
    return None


def _steal_once(area: FreeAreas, order: int, mt: int, flags: int) -> bool:
    """Move one block, or the free pages of its page block, to the lists of `mt` (steal_suitable_fallback)."""
    chosen = choose(area, order, mt, flags)
    if chosen is None:
        return False
    found, other, whole = chosen
    pfn = area.first((found + 1) << 4 | other)
    shift = area.memmap.pageblock_order
    old = area.types[pfn >> shift]
    if old == HIGHATOMIC:
        _move_one(area, pfn, mt)
    elif found >= shift:
        area.set_types(pfn, 1 << found, mt)
        _move_one(area, pfn, mt)
    else:
        if boost_watermark(area) and flags & ALLOC_KSWAPD:
            area.boosted = True
        bounds = block_bounds(area, pfn) if whole else None
        if bounds is None:
            _move_one(area, pfn, mt)
        else:
            free, lru = area.count_block(*bounds)
            alike = alike_pages(area, mt, old, free, lru)
            area.move_freepages(*bounds, mt)
            if free + alike >= 1 << shift - 1:
                area.set_types(pfn, 1, mt)
    area.extfrag(pfn, order, found, mt, other)
    return True


def _move_one(area: FreeAreas, pfn: int, mt: int) -> None:
    """Move one free block to the list of another type."""
    code = area.remove(pfn) & 0xF0 | mt
    (area.push_tail if area.rules.moved_to_tail else area.push_head)(pfn, code)


def steal_page(area: FreeAreas, order: int, mt: int, flags: int) -> int:
    """Choose as `steal` does, then claim the page block or split one block in place (6.10 to 6.14)."""
    chosen = choose(area, order, mt, flags)
    if chosen is None:
        return -1
    found, other, whole = chosen
    block = area.first((found + 1) << 4 | other)
    old = area.types[block >> area.memmap.pageblock_order]
    pfn = -1
    if old != HIGHATOMIC and (found >= area.memmap.pageblock_order or whole):
        pfn = claim_block(area, block, found, order, mt, old, flags)
    elif old != HIGHATOMIC and boost_watermark(area) and flags & ALLOC_KSWAPD:
        area.boosted = True
    if pfn < 0:
        code = area.remove(block)
        pfn = area.expand(block, code, (order + 1) << 4 | code & 15)
    area.extfrag(block, order, found, mt, other)
    return pfn


def claim_block(area: FreeAreas, block: int, found: int, order: int, mt: int, other: int, flags: int) -> int:
    """Claim the page block around a free block if enough of it is free or alike; -1 if not (try_to_claim_block)."""
    shift = area.memmap.pageblock_order
    wanted = (order + 1) << 4 | mt
    if found >= shift:
        area.remove(block)
        area.set_types(block, 1 << found, mt)
        return area.expand(block, (found + 1) << 4 | mt, wanted)
    if boost_watermark(area) and flags & ALLOC_KSWAPD:
        area.boosted = True
    bounds = block_bounds(area, block)
    if bounds is None:
        return -1
    free, lru = area.count_block(*bounds)
    if free + alike_pages(area, mt, other, free, lru) < 1 << shift - 1:
        return -1
    area.move_freepages(*bounds, mt)
    area.set_types(block, 1, mt)
    return area.rmqueue_smallest(order, mt)


def claim(area: FreeAreas, order: int, mt: int, flags: int) -> int:
    """Take a block by claiming its whole page block, the largest first; -1 if none can be claimed (__rmqueue_claim)."""
    block_order = area.memmap.pageblock_order
    least = block_order if flags & ALLOC_NOFRAGMENT and order < block_order else order
    for found in range(area.top, least - 1, -1):
        if not may_claim(area, found, mt):
            break
        other = find_suitable_fallback(area, found, mt)
        if other < 0:
            continue
        block = area.first((found + 1) << 4 | other)
        pfn = claim_block(area, block, found, order, mt, other, flags)
        if pfn >= 0:
            area.extfrag(pfn, order, found, mt, other)
            return pfn
    return -1


def steal_smallest(area: FreeAreas, order: int, mt: int) -> int:
    """Take one block of another type, the smallest first, and leave its rest there; -1 if none (__rmqueue_steal)."""
    for found in range(order, area.top + 1):
        other = find_suitable_fallback(area, found, mt)
        if other >= 0:
            pfn = area.take_first((found + 1) << 4 | other, (order + 1) << 4 | other)
            area.extfrag(pfn, order, found, mt, other)
            return pfn
    return -1


def claim_or_steal(area: FreeAreas, order: int, mt: int, flags: int) -> int:
    """Claim a page block, else steal a page unless fragmentation is to be avoided (6.15 and up)."""
    pfn = claim(area, order, mt, flags)
    if pfn < 0 and not flags & ALLOC_NOFRAGMENT:
        pfn = steal_smallest(area, order, mt)
    return pfn


FALLBACK: Mapping[str, Fallback] = MappingProxyType(
    {"steal": steal, "steal_page": steal_page, "claim_or_steal": claim_or_steal, "none": lambda *_: -1}
)
