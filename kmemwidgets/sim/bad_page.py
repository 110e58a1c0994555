"""The kernel's answer to a free that must not be (mm/page_alloc.c, __free_pages and what it calls)."""

from __future__ import annotations

from .errors import KernelBug
from .memmap import IN_USE, ON_PCP, ORDER_MASK, RESERVED, MemMap


def bad_free(memmap: MemMap, pfn: int, order: int) -> KernelBug:
    """Say in the kernel's words why a block can't be freed, and in plain ones behind them."""
    words, plain = _answer(memmap, pfn, order)
    return KernelBug(f"{words or 'this kernel says nothing'} ({plain})")


def _answer(memmap: MemMap, pfn: int, order: int) -> tuple[str, str]:
    bugs = memmap.bugs
    rules = bugs.rules
    if not 0 <= pfn < memmap.max_pfn:
        return bugs.bad_page(rules.no_page, pfn, 0), f"pfn:{pfn:#x} has no struct page"
    code = memmap.state[pfn]
    head = memmap.head_of(pfn)
    zone = memmap.zone_ids[pfn >> memmap.pageblock_order]
    if code == RESERVED:
        words = bugs.bad_page(rules.reserved, pfn, 0, flags=("reserved",), zone=zone)
        return words, "boot keeps the page: it is reserved"
    if code & 0xF0 == ON_PCP or head < 0 or 0x10 <= memmap.state[head] < IN_USE:
        return bugs.bad_page(rules.free_already, pfn, -1, zone=zone), "the page is free already"
    if not code:
        plain = f"it lies inside the block at pfn {head:#x}: no allocation begins here"
        return bugs.bad_page(rules.tail, pfn, -1, zone=zone), plain
    return _wrong_order(memmap, pfn, code & 15, order, zone), f"it was allocated with order {code & 15}, not {order}"


def _wrong_order(memmap: MemMap, pfn: int, right: int, order: int, zone: int) -> str:
    """Return what is said of a block that is given back with another order.

    A compound page is looked at as a whole; else every page of the range must be nobody's.
    """
    bugs = memmap.bugs
    rules = bugs.rules
    if right and rules.knows_orders:
        return bugs.bad_page(rules.wrong_order, pfn, 0, flags=("head",), order=right, zone=zone)
    for page in range(pfn + (1 << right), min(pfn + (1 << max(order, 0)), memmap.max_pfn)):
        if memmap.state[page] & ORDER_MASK & 0xF0 == IN_USE:
            return bugs.bad_page(rules.neighbour, page, 1, zone=zone)
    if order > 0 and pfn & ((1 << order) - 1):
        return bugs.bad_page(rules.misaligned, pfn, 0, zone=zone)
    return ""
