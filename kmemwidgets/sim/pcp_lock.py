"""What a request does that finds the per-CPU lists locked: it goes past them, to the buddy lists.

The lists are taken with a try-lock. Whoever interrupts their holder on the same cpu can't wait for it, and an interrupt
comes easily while they are held: at the moment that a refill or a drain lets interrupts in again (mm/page_alloc.c
pcp_spin_trylock; free_unref_page, rmqueue).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .bad_page import bad_free
from .memmap import IN_USE, ORDER_MASK, UNKNOWN_LRU

if TYPE_CHECKING:
    from .page_alloc import PageAllocator


def free_past_lists(allocator: PageAllocator, pfn: int, order: int = 0, cpu: int = 0) -> None:
    """Free a block straight to the buddy lists (free_one_page, as free_unref_page calls it without the lock).

    Raises
    ------
    KernelBug
        If no block of that order in use begins there.
    """
    state = allocator.state
    code = state[pfn] if 0 <= pfn < allocator.memmap.max_pfn else 0
    if code & ORDER_MASK != IN_USE | order and code < UNKNOWN_LRU:
        raise bad_free(allocator.memmap, pfn, order)
    allocator.tell_free(pfn, order, cpu)
    state[pfn : pfn + (1 << order)] = bytes(1 << order)
    allocator.zone_of(pfn).free_block(pfn, order, cpu)


def alloc_past_lists(allocator: PageAllocator, gfp: int, order: int = 0, cpu: int = 0) -> Any:
    """Allocate straight from the buddy lists, of whichever zone (rmqueue_buddy); -1 if the request fails."""
    listed = allocator.per_cpu_lists
    allocator.per_cpu_lists = False
    try:
        return allocator.alloc_pages_nodemask(gfp, order, None, cpu)
    finally:
        allocator.per_cpu_lists = listed
        # What was noted for the fast path knows of no lists.
        allocator.marks_changed()
