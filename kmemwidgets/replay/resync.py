"""After a miss: give back the frame that was predicted, and take the one that was recorded, wherever it stands."""

from __future__ import annotations

from kmemwidgets.sim.memmap import IN_USE, IN_USE_LRU
from kmemwidgets.sim.migratetype import CMA, MOVABLE, PCPTYPES
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import list_index, list_order
from kmemwidgets.sim.zone_lists import ZoneLists


def give_back(allocator: PageAllocator, live: ZoneLists, pfn: int, order: int, mt: int, cpu: int) -> None:
    """Undo an allocation: its frame goes to where the next request would find it."""
    if allocator.pcp_allowed(order):
        pcp = live.pcps[cpu]
        block_type = live.free_area.types[pfn >> live.free_area.memmap.pageblock_order]
        noted = block_type if mt == MOVABLE and block_type >= PCPTYPES else mt
        allocator.state[pfn] = 0xD0 | noted
        pcp.lists[list_index(order, mt)].append(pfn)
        pcp.count += 1 << order
    else:
        allocator.state[pfn] = 0
        live.free_area.push_head(pfn, (order + 1) << 4 | mt)
        live.account(cpu, 1 << order)


def take_frame(allocator: PageAllocator, pfn: int, order: int, mt: int, cpu: int) -> str:
    """Take a recorded frame out of whatever list holds it and tell where it stood."""
    live = allocator.zone_of(pfn)
    state = allocator.state
    code = state[pfn]
    where = "in use"
    if code & 0xF0 == 0xD0:
        where = _take_from_pcp(live, pfn)
    else:
        found = _free_block(live, pfn, order)
        if found is not None:
            where = "buddy lists"
            _carve(live, pfn, order, found, cpu)
    state[pfn] = (IN_USE_LRU if mt == MOVABLE else IN_USE) | order
    return where


def _take_from_pcp(live: ZoneLists, pfn: int) -> str:
    for pcp in live.pcps:
        for index, pages in enumerate(pcp.lists):
            if pfn in pages:
                depth = len(pages) - 1 - pages.index(pfn)
                pages.remove(pfn)
                pcp.count -= 1 << list_order(index, live.free_area.pcp_huge)
                return f"cpu {pcp.cpu} list {index} behind {depth}"
    return "nowhere"


def _free_block(live: ZoneLists, pfn: int, order: int) -> int | None:
    """Find the free block that holds a frame."""
    area = live.free_area
    for size in range(order, area.top + 1):
        head = pfn & -(1 << size)
        if area.state[head] >> 4 == size + 1:
            return head
    return None


def _carve(live: ZoneLists, pfn: int, order: int, head: int, cpu: int) -> None:
    """Take one block out of a larger free one; the rest goes to the heads of the lists."""
    area = live.free_area
    code = area.remove(head)
    size = (code >> 4) - 1
    mt = code & 15
    while size > order:
        size -= 1
        half = head + (1 << size)
        if pfn >= half:
            area.push_head(head, (size + 1) << 4 | mt)
            head = half
        else:
            area.push_head(half, (size + 1) << 4 | mt)
    area.state[head] = 0
    live.account(cpu, -(1 << order))
    if mt == CMA:
        live.account_cma(cpu, -(1 << order))
