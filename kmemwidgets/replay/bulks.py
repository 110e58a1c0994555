"""Pages that a vmalloc takes without an event of their own: the kmalloc of its page array announces them.

Source: mm/vmalloc.c, __vmalloc_area_node and vm_area_alloc_pages.
"""

from __future__ import annotations

from typing import Any

from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.several_pages import alloc_pages_bulk

from .cpu import Cpu

#: Call sites of the kmalloc that makes a vmalloc's page array.
PAGE_ARRAY = ("__vmalloc_node_range+", "__vmalloc_node_range_noprof+", "__vmalloc_area_node+")
VM_AREA = "__get_vm_area_node"
VMAP_AREA = "alloc_vmap_area"
#: All of a vmalloc's call sites.
_VMALLOC = (*PAGE_ARRAY, VM_AREA, VMAP_AREA)
#: So many pages are asked for at a time (vm_area_alloc_pages).
CHUNK = 100
_NO_AREA = (0, 0)
PAGE_SIZE = 4096
ACCOUNT, HIGHMEM, NOWARN = 0x400000, 0x2, 0x2000
#: With such flags the pages are asked for that a bulk could not give.
ONE_BY_ONE = ACCOUNT | HIGHMEM | NOWARN
#: What a bulk's pages are asked for with, whatever else.
BULK_GFP = 0xCC0 | HIGHMEM | NOWARN


def named_node(values: tuple[Any, ...]) -> int | None:
    """Return the node that an object was asked of, None if it was of any."""
    node = values[5] if len(values) > 5 else None
    return node if isinstance(node, int) and node >= 0 else None


def see_kmalloc(state: Cpu, pid: int, values: tuple[Any, ...], pointer_size: int) -> None:
    """Note what a kmalloc tells of a vmalloc under way: its area, or the array of its pages, which follow at once."""
    site = values[0]
    if not site.startswith(_VMALLOC):
        state.areas = _NO_AREA
        return
    if site.startswith(PAGE_ARRAY):
        pages = values[2] // pointer_size
        state.bulk = [pages]
        state.asker = pid
        state.named_node = named_node(values)
        if state.areas == (pid, 2):
            # The array is larger than a page and was vmalloc'ed itself: its own array tells how many pages it has.
            state.bulk.append(pages * (PAGE_SIZE // pointer_size))
    if site.startswith(VM_AREA):
        state.areas = (pid, 2 if state.areas == (pid, 1) else 1)
    elif not site.startswith(VMAP_AREA):
        state.areas = _NO_AREA


def take_bulk(allocator: PageAllocator, pages: int, cpu: int) -> None:
    """Take the pages of a vmalloc (vm_area_alloc_pages)."""
    while pages:
        ask = min(CHUNK, pages)
        if ask == 1:
            # A single page is allocated the usual way and has its event.
            return
        got = alloc_pages_bulk(allocator, BULK_GFP, ask, None, cpu)
        pages -= len(got)
        if len(got) < ask:
            return
