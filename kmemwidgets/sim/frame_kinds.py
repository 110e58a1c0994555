"""Further tables of frames, worked out when they are asked for: orders of blocks, migrate types of page blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kmemwidgets.records import MIGRATETYPES, FrameTable

from .memmap import IN_USE, IN_USE_LRU, ON_PCP
from .page_alloc import PageAllocator
from .pcp import HUGE_LIST

#: Heads of blocks of more than one frame: free, and in use.
_LARGE = re.compile(rb"[\x20-\xbf\xc1-\xca\xe1-\xea]")
#: Codes of `order_table`: 0 for frames that belong to no block, else the order and one more.
NO_BLOCK = -1
#: What `Machine.frame_table` takes.
KINDS = ("flags", "order", "migratetype", "owner", "age")
#: Above this many frames the tables would take too long.
MOST_FRAMES = 1 << 25


def _order_codes() -> bytes:
    table = bytearray(256)
    for state in range(0x10, IN_USE):
        table[state] = state >> 4
    for order in range(11):
        table[IN_USE | order] = table[IN_USE_LRU | order] = order + 1
    for state in range(ON_PCP, IN_USE_LRU):
        table[state] = 1
    return bytes(table)


_ORDER_CODES = _order_codes()


def order_table(page_alloc: PageAllocator) -> FrameTable:
    """Return for every frame the order of the block that it belongs to, free or in use; -1 where it belongs to none."""
    end = page_alloc.memmap.max_pfn
    raw = bytes(page_alloc.state[:end])
    codes = bytearray(raw.translate(_ORDER_CODES))
    for found in _LARGE.finditer(raw):
        at = found.start()
        code = codes[at]
        codes[at : at + (1 << code - 1)] = bytes((code,)) * (1 << code - 1)
    top = page_alloc.largest_order
    for live in page_alloc.zones:
        for first, count, step in live.free_area.ranges:
            low = min(first, first + (count - 1) * step)
            codes[low : low + (count << top)] = bytes((top + 1,)) * (count << top)
        for pcp in live.pcps:
            for index in range(3, len(pcp.lists)):
                for pfn in pcp.lists[index]:
                    order = index // 3 if index < HUGE_LIST else page_alloc.huge_order
                    codes[pfn : pfn + (1 << order)] = bytes((order + 1,)) * (1 << order)
    return FrameTable(0, bytes(codes[:end]), (NO_BLOCK, *range(top + 1)), "order")


def migratetype_table(page_alloc: PageAllocator, memory: Sequence[tuple[int, int]]) -> FrameTable:
    """Return for every frame the migrate type of its page block, and one code more where there is no memory."""
    memmap = page_alloc.memmap
    size = 1 << memmap.pageblock_order
    none = len(MIGRATETYPES)
    types = bytes(memmap.types)
    codes = bytearray(b"".join(types[at : at + 1] * size for at in range(-(-memmap.max_pfn // size))))[: memmap.max_pfn]
    at = 0
    for start, end in (*memory, (memmap.max_pfn, memmap.max_pfn)):
        codes[at:start] = bytes((none,)) * (start - at)
        at = end
    labels = (*MIGRATETYPES, "no memory here")
    return FrameTable(0, bytes(codes), tuple(range(none + 1)), "migratetype", labels)
