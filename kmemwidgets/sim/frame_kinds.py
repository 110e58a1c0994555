"""Further tables of frames, worked out when they are asked for: orders of blocks, migrate types of page blocks.

Code 0 is what nearly all frames of a large machine are that nobody has used, so that those cost nothing here either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kmemwidgets.records import MIGRATETYPES, FrameTable

from .memmap import CHUNK, IN_USE, IN_USE_LRU, ON_PCP, make_table
from .migratetype import MOVABLE, UNMOVABLE
from .page_alloc import PageAllocator
from .pcp import HUGE_LIST

#: Heads of blocks of more than one frame: free, and in use.
_LARGE = re.compile(rb"[\x20-\xbf\xc1-\xca\xe1-\xea]")
#: In the palette of orders: the frame belongs to no block.
NO_BLOCK = -1
#: Its code, and that of order 0; the largest order has code 0.
_NONE, _SINGLE = 1, 2
#: What `Machine.frame_table` takes.
KINDS = ("flags", "order", "migratetype", "owner", "age")


def _order_codes(top: int) -> bytes:
    table = bytearray((_NONE,)) * 256
    for state in range(0x10, IN_USE):
        table[state] = _code(min((state >> 4) - 1, top), top)
    for order in range(top + 1):
        table[IN_USE | order] = table[IN_USE_LRU | order] = _code(order, top)
    for state in range(ON_PCP, IN_USE_LRU):
        table[state] = _SINGLE
    return bytes(table)


def _code(order: int, top: int) -> int:
    return 0 if order == top else _SINGLE + order


def order_table(page_alloc: PageAllocator, memory: Sequence[tuple[int, int]] = ()) -> FrameTable:
    """Return for every frame the order of the block that it belongs to, free or in use; -1 where it belongs to none.

    Parameters
    ----------
    page_alloc : PageAllocator
    memory : sequence of (int, int)
        Ranges of frames that exist, ascending; all of them if not given.
    """
    memmap = page_alloc.memmap
    top, end = page_alloc.largest_order, memmap.max_pfn
    by_state = _order_codes(top)
    codes = make_table(end)
    untouched = [
        (min(first, first + (count - 1) * step), count << top)
        for live in page_alloc.zones
        for first, count, step in live.free_area.ranges
    ]
    for number in memmap.touched:
        base, stop = number * CHUNK, min((number + 1) * CHUNK, end)
        if base < stop:
            _spread(codes, bytes(page_alloc.state[base:stop]), base, by_state, top)
            for low, length in untouched:
                # As boot handed them over: no byte of theirs tells.
                first, last = max(low, base), min(low + length, stop)
                codes[first:last] = bytes(max(0, last - first))
    for live in page_alloc.zones:
        for pcp in live.pcps:
            for index in range(3, len(pcp.lists)):
                order = index // 3 if index < HUGE_LIST else page_alloc.huge_order
                for pfn in pcp.lists[index]:
                    codes[pfn : pfn + (1 << order)] = bytes((_code(order, top),)) * (1 << order)
    _paint_holes(codes, memory, end, _NONE)
    return FrameTable(0, codes, (top, NO_BLOCK, *range(top)), "order")


def _spread(codes: memoryview, raw: bytes, base: int, by_state: bytes, top: int) -> None:
    """Give all frames of each block of a piece the order that its head has."""
    piece = bytearray(raw.translate(by_state))
    for found in _LARGE.finditer(raw):
        at = found.start()
        code = piece[at]
        size = 1 << (top if code == 0 else code - _SINGLE)
        piece[at : at + size] = bytes((code,)) * size
    codes[base : base + len(raw)] = piece[: len(raw)]


def migratetype_table(page_alloc: PageAllocator, memory: Sequence[tuple[int, int]]) -> FrameTable:
    """Return for every frame the migrate type of its page block, and one code more where there is no memory."""
    memmap = page_alloc.memmap
    size, end, none = 1 << memmap.pageblock_order, memmap.max_pfn, len(MIGRATETYPES)
    # What boot makes every page block.
    usual = MOVABLE if page_alloc.grouping else UNMOVABLE
    palette = (usual, *(each for each in range(none + 1) if each != usual))
    codes = make_table(end)
    for found in re.finditer(rb"[^%c]+" % usual, bytes(memmap.types)):
        for number, mt in enumerate(found.group(), found.start()):
            first, last = number * size, min(number * size + size, end)
            if first < last:
                codes[first:last] = bytes((palette.index(mt),)) * (last - first)
    _paint_holes(codes, memory, end, palette.index(none))
    labels = (*MIGRATETYPES, "no memory here")
    return FrameTable(0, codes, palette, "migratetype", tuple(labels[each] for each in palette))


def _paint_holes(codes: memoryview, memory: Sequence[tuple[int, int]], end: int, code: int) -> None:
    """Give all frames outside of memory a code, where it is known which those are."""
    at = 0
    for start, stop in (*memory, (end, end)) if memory else ():
        codes[at:start] = bytes((code,)) * max(0, start - at)
        at = max(at, stop)
