"""The buddy system of one zone: free lists by order and migrate type (struct free_area).

A list is a dict used as an ordered set, so that any block can be taken out at once
(its buddy was freed) and the head is the entry inserted last. Blocks that were
put at the tail wait in a second dict, newest last, until the first runs empty. Boot
hands over whole ranges of largest blocks; they stay ranges behind both until they
are needed, so that a terabyte costs a few tuples.

The order and list of every free block stand in its byte of `MemMap.state`; that byte
is also the proof that a buddy is free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import fallback
from .bad_page import bad_free
from .events import BUDDY_PUT, EXPAND, EXTFRAG, MERGE, ZONE_LOCKED
from .memmap import IN_USE, IN_USE_LRU, ORDER_MASK, UNKNOWN_LRU, MemMap, make_table
from .migratetype import MOVABLE, NR_TYPES, PCPTYPES
from .mmzone import Zone
from .rules.page_alloc import BuddyRules

if TYPE_CHECKING:
    from .shuffle import Shuffle

Emit = Callable[[tuple[Any, ...]], None]

CODES = 256


class FreeAreas:
    """The free lists of a zone, and the rules that keep them.

    Parameters
    ----------
    rules : BuddyRules
    memmap : MemMap
        The machine's frame tables.
    zone : Zone
        Its span limits merging; its marks are what a boost raises.

    Attributes
    ----------
    heads, tails : list of dict or None
        Indexed by ``(order + 1) << 4 | migratetype``. `tails` is used only while `heads` is not empty.
    ranges : list of list
        Largest movable blocks never touched since boot, as ``[next pfn, blocks left, step]``,
        behind `heads` and before `tails` of that list.
    trace, decide : callable or None
        Take the kernel's own events, and decisions for which it has none, where someone listens.
    """

    __slots__ = (
        "boosted", "cpu", "decide", "free_limit", "heads", "memmap", "pcp_huge", "pcp_largest", "plans", "ragged",
        "ranges", "rules", "shuffle", "state", "tail_limit", "tails", "top", "top_movable", "trace", "types", "zone",
    )  # fmt: skip

    def __init__(self, rules: BuddyRules, memmap: MemMap, zone: Zone) -> None:
        self.rules = rules
        self.memmap = memmap
        self.state = memmap.state
        self.types = memmap.types
        self.zone = zone
        self.top = rules.nr_orders - 1
        self.top_movable = rules.nr_orders << 4 | (MOVABLE if rules.migrate_types else 0)
        self.heads: list[dict[int, None]] = [{} for _ in range(CODES)]
        self.tails: list[dict[int, None]] = [{} for _ in range(CODES)]
        self.ranges: list[list[int]] = []
        #: Orders plus one: up to which merging needs no look at page block types; from which on the buddy one level
        #: up does not matter.
        self.free_limit = min(self.top, memmap.pageblock_order)
        self.tail_limit = self.top if rules.merge_likely_to_tail else 0
        block = 1 << self.top
        #: A zone whose ends are no multiples of the largest block must look whether a buddy is its own.
        self.ragged = bool(zone.start_pfn % block or zone.end_pfn % block)
        self.boosted = False
        #: Which end of its list a largest block goes to, where pages are shuffled.
        self.shuffle: Shuffle | None = None
        #: Plans of the fast path, which count on a largest block.
        self.plans: dict[Any, Any] = {}
        #: Orders that the per-CPU lists hold: up to one, and the huge page's (-1: no such list).
        self.pcp_largest = -1
        self.pcp_huge = -1
        self.trace: Emit | None = None
        self.decide: Emit | None = None
        self.cpu = 0

    def own_types(self) -> None:
        """Keep the page blocks' types apart from another zone that shares a block (FLATMEM, pageblock_flags)."""
        self.types = make_table(len(self.memmap.types))

    # Lists

    def push_head(self, pfn: int, code: int) -> None:
        """Put a free block at the head of the list of `code`."""
        self.state[pfn] = code
        self.heads[code][pfn] = None

    def push_tail(self, pfn: int, code: int) -> None:
        """Put a free block at the tail of the list of `code`."""
        self.state[pfn] = code
        (self.tails if self.heads[code] else self.heads)[code][pfn] = None

    def remove(self, pfn: int) -> int:
        """Take a free block off its list, wherever it stands, and return the list's code."""
        code = self.state[pfn]
        head = self.heads[code]
        if pfn in head:
            del head[pfn]
            if not head:
                self.turn(code)
        else:
            del self.tails[code][pfn]
        self.state[pfn] = 0
        return code

    def turn(self, code: int) -> None:
        """Make what waits behind an empty head part the head part."""
        head = self.heads[code]
        if code == self.top_movable and self.ranges:
            # One block at a time: what is not asked for stays a range.
            run = self.ranges[0]
            self.memmap.touch(run[0], run[0] + 1)
            head[run[0]] = None
            self.state[run[0]] = code
            run[0] += run[2]
            run[1] -= 1
            if not run[1]:
                del self.ranges[0]
            return
        tail = self.tails[code]
        if tail:
            head.update(dict.fromkeys(reversed(tail)))
            tail.clear()
        elif code == self.top_movable:
            self.plans.clear()

    def first(self, code: int) -> int:
        """Return the head of a list that is not empty."""
        return next(reversed(self.heads[code]))

    # Taking

    def rmqueue_smallest(self, order: int, mt: int) -> int:
        """Take the head of the smallest list of a type that holds `order`, splitting it; -1 if all are empty."""
        heads = self.heads
        wanted = code = (order + 1) << 4 | mt
        head = heads[code]
        while not head:
            code += 16
            if code > 0xBF:
                return -1
            head = heads[code]
        if self.decide or self.rules.keeps_upper_half:
            pfn = self.take_first(code, wanted)
        else:
            # The same as take_first and expand, without their calls.
            pfn = head.popitem()[0]
            if not head and (self.tails[code] or code == self.top_movable):
                self.turn(code)
            state = self.state
            state[pfn] = 0
            size = 1 << (code >> 4) - 1
            while code > wanted:
                code -= 16
                size >>= 1
                half = pfn + size
                heads[code][half] = None
                state[half] = code
        if self.trace:
            refill = mt < PCPTYPES and (order <= self.pcp_largest or order == self.pcp_huge)
            self.trace((ZONE_LOCKED, self.cpu, pfn, order, mt, int(refill)))
        return pfn

    def take_first(self, code: int, wanted: int) -> int:
        """Take the head of a list that is not empty and split it down to the order of `wanted`."""
        head = self.heads[code]
        pfn = head.popitem()[0]
        if not head:
            self.turn(code)
        if code != wanted:
            return self.expand(pfn, code, wanted)
        self.state[pfn] = 0
        return pfn

    def expand(self, pfn: int, code: int, wanted: int) -> int:
        """Split a block that is on no list down to the order of `wanted`; the halves go to the heads of the lists."""
        state = self.state
        heads = self.heads
        decide = self.decide
        size = 1 << (code >> 4) - 1
        state[pfn] = 0
        if self.rules.keeps_upper_half:
            while code > wanted:
                code -= 16
                size >>= 1
                heads[code][pfn] = None
                state[pfn] = code
                if decide:
                    decide((EXPAND, self.cpu, pfn, pfn + size, (code >> 4) - 1, code & 15))
                pfn += size
            return pfn
        while code > wanted:
            code -= 16
            size >>= 1
            half = pfn + size
            heads[code][half] = None
            state[half] = code
            if decide:
                decide((EXPAND, self.cpu, half, pfn, (code >> 4) - 1, code & 15))
        return pfn

    # Giving back

    def free_one_page(self, pfn: int, order: int, mt: int, to_tail: bool = False) -> None:
        """Give a block back to the lists of type `mt`: merge it upwards, then insert it (__free_one_page)."""
        state = self.state
        heads = self.heads
        tails = self.tails
        decide = self.decide
        bit = 1 << order
        key = order + 1
        limit = self.free_limit
        ragged = self.ragged
        while key <= limit:
            buddy = pfn ^ bit
            code = state[buddy]
            if code >> 4 != key or (ragged and not self.zone.start_pfn <= buddy < self.zone.end_pfn):
                break
            head = heads[code]
            if buddy in head:
                del head[buddy]
                if not head and tails[code]:
                    self.turn(code)
            else:
                del tails[code][buddy]
            if decide:
                decide((MERGE, self.cpu, pfn, buddy, key - 1, code & 15))
            state[buddy] = 0
            if buddy < pfn:
                state[pfn] = 0
                pfn = buddy
            bit += bit
            key += 1
        else:
            if key <= self.top:
                pfn, key = self._merge_pageblocks(pfn, key, mt)
                bit = 1 << key - 1
            if self.shuffle and key > self.top and not to_tail:
                to_tail = self.shuffle.pick_tail()
        code = key << 4 | mt
        state[pfn] = code
        if decide:
            decide((BUDDY_PUT, self.cpu, pfn, key - 1, mt, to_tail or self._merge_likely(pfn, key)))
        if not to_tail:
            if key >= self.tail_limit:
                heads[code][pfn] = None
                return
            higher = (pfn & ~bit) ^ (bit + bit)
            if state[higher] >> 4 != key + 1 or (self.ragged and not self.zone.start_pfn <= higher < self.zone.end_pfn):
                heads[code][pfn] = None
                return
        head = heads[code]
        if head:
            self.tails[code][pfn] = None
        else:
            head[pfn] = None

    def _merge_likely(self, pfn: int, key: int) -> bool:
        """Tell whether a block goes to the tail as its next merge is likely, in the same words as where it is put."""
        if key >= self.tail_limit:
            return False
        bit = 1 << key - 1
        higher = (pfn & ~bit) ^ (bit + bit)
        inside = not self.ragged or self.zone.start_pfn <= higher < self.zone.end_pfn
        return self.state[higher] >> 4 == key + 1 and inside

    def _merge_pageblocks(self, pfn: int, key: int, mt: int) -> tuple[int, int]:
        """Go on merging at and above the size of a page block, where the types of the blocks matter."""
        state = self.state
        types = self.types
        shift = self.memmap.pageblock_order
        unmergeable = self.rules.unmergeable
        while key <= self.top:
            bit = 1 << key - 1
            buddy = pfn ^ bit
            if state[buddy] >> 4 != key or not self.zone.start_pfn <= buddy < self.zone.end_pfn:
                break
            other = types[buddy >> shift]
            if other != mt and self.rules.migrate_types:
                if other in unmergeable or mt in unmergeable:
                    break
                if self.rules.retype_on_merge:
                    self.set_types(buddy, bit, mt)
            code = self.remove(buddy)
            if self.decide:
                self.decide((MERGE, self.cpu, pfn, buddy, key - 1, code & 15))
            state[pfn] = 0
            pfn &= buddy
            key += 1
        return pfn, key

    def free_large(self, pfn: int, order: int, to_tail: bool = False) -> None:
        """Give a block back as the type that its page block has now (free_one_page of the kernel)."""
        shift = self.memmap.pageblock_order
        if order <= shift or not self.rules.free_by_pageblock:
            self.free_one_page(pfn, order, self.types[pfn >> shift], to_tail)
            return
        for start in range(pfn, pfn + (1 << order), 1 << shift):
            self.free_one_page(start, shift, self.types[start >> shift], to_tail)

    def free_boot_range(self, start: int, end: int) -> None:
        """Hand over a range of frames never used before, as boot does: the largest aligned blocks, ascending."""
        to_tail = self.rules.boot_to_tail
        whole = 1 << self.top
        pfn = start
        while pfn < end:
            order = self.top
            if pfn & (whole - 1):
                order = (pfn & -pfn).bit_length() - 1
            while pfn + (1 << order) > end:
                order -= 1
            blocks = (end - pfn) >> order
            if order == self.top and not self.shuffle and self._hand_over_range(pfn, blocks, to_tail):
                pfn += blocks << order
                continue
            self.memmap.touch(pfn, pfn + (1 << order))
            self.free_one_page(pfn, order, self.types[pfn >> self.memmap.pageblock_order], to_tail)
            pfn += 1 << order

    def _hand_over_range(self, pfn: int, blocks: int, to_tail: bool) -> bool:
        """Append a run of largest blocks as a range, if it stands at the end of its list that it belongs to."""
        code = self.top_movable
        shift = self.memmap.pageblock_order
        span = bytes(self.types[pfn >> shift : (pfn + (blocks << self.top)) >> shift])
        if span.count(code & 15) != len(span) or self.tails[code]:
            return False
        step = 1 << self.top
        if to_tail:
            self.ranges.append([pfn, blocks, step])
        else:
            self.ranges[:0] = [[pfn + (blocks - 1) * step, blocks, -step]] + [
                [block, 1, -step] for block in reversed(self.heads[code])
            ]
            self.heads[code].clear()
        if not self.heads[code]:
            self.turn(code)
        return True

    # Page blocks

    def set_types(self, pfn: int, pages: int, mt: int) -> None:
        """Give all page blocks of a range a type."""
        shift = self.memmap.pageblock_order
        first = pfn >> shift
        count = max(pages >> shift, 1)
        self.types[first : first + count] = bytes((mt,)) * count
        self.memmap.places[first : first + count] = [0] * count

    def move_freepages(self, start: int, end: int, mt: int) -> int:
        """Move all free blocks of a range to the lists of a type and return their pages (move_freepages)."""
        state = self.state
        moved = 0
        pfn = start
        to_tail = self.rules.moved_to_tail
        while pfn < end:
            code = state[pfn]
            if 0x10 <= code < IN_USE:
                order = (code >> 4) - 1
                self.remove(pfn)
                (self.push_tail if to_tail else self.push_head)(pfn, code & 0xF0 | mt)
                moved += 1 << order
                pfn += 1 << order
            else:
                pfn += 1
        return moved

    def count_block(self, start: int, end: int) -> tuple[int, int]:
        """Count the free pages of a range, and those on an LRU list."""
        state = self.state
        free = lru = 0
        pfn = start
        while pfn < end:
            code = state[pfn]
            if 0x10 <= code < IN_USE:
                free += 1 << (code >> 4) - 1
                pfn += 1 << (code >> 4) - 1
            elif IN_USE_LRU <= code <= IN_USE_LRU + 10:
                lru += min(1 << code - IN_USE_LRU, end - pfn)
                pfn += 1 << code - IN_USE_LRU
            else:
                lru += code == UNKNOWN_LRU
                pfn += 1
        return free, lru

    def rmqueue(self, order: int, mt: int, flags: int = 0) -> int:
        """Take a block of a type, from other types if need be (__rmqueue without CMA); -1 if there is none."""
        pfn = self.rmqueue_smallest(order, mt)
        if pfn < 0 and self.rules.migrate_types:
            pfn = fallback.FALLBACK[self.rules.fallback](self, order, mt, flags)
        return pfn

    def extfrag(self, pfn: int, order: int, from_order: int, mt: int, from_mt: int) -> None:
        """Tell of a fallback (mm_page_alloc_extfrag)."""
        if self.trace:
            changed = self.types[pfn >> self.memmap.pageblock_order] == mt
            self.trace(
                (EXTFRAG, self.cpu, pfn, order, from_order, self.memmap.pageblock_order, mt, from_mt, int(changed))
            )

    # The lists alone

    def alloc(self, order: int, migratetype: int = 0) -> int | None:
        """Take a block from the free lists alone: no per-CPU lists, no watermarks.

        Returns
        -------
        int or None
            First pfn, None if no list of any type holds it.
        """
        pfn = self.rmqueue(order, migratetype)
        if pfn < 0:
            return None
        self.state[pfn] = (IN_USE_LRU if migratetype == MOVABLE else IN_USE) | order
        return pfn

    def free(self, pfn: int, order: int) -> None:
        """Give back what `alloc` gave, as the type that its page block has now.

        Raises
        ------
        KernelBug
            If no block in use of that order begins at `pfn`.
        """
        known = 0 <= pfn < len(self.state) and 0 <= order <= self.top
        if not known or self.state[pfn] & ORDER_MASK != IN_USE | order:
            raise bad_free(self.memmap, pfn, order)
        self.free_large(pfn, order)

    def list_of(self, code: int) -> list[int]:
        """Return the blocks of a list, head first."""
        blocks = list(reversed(self.heads[code]))
        if code == self.top_movable:
            for first, count, step in self.ranges:
                blocks.extend(range(first, first + count * step, step))
        blocks.extend(self.tails[code])
        return blocks

    def is_untouched(self, pfn: int) -> bool:
        """Tell whether a frame lies in a largest block that nobody took since boot: no byte of it tells."""
        whole = 1 << self.top
        return any(
            min(first, first + (count - 1) * step) <= pfn < max(first, first + (count - 1) * step) + whole
            for first, count, step in self.ranges
        )

    def largest_codes(self) -> list[int]:
        """Return the codes of the lists of largest blocks that are not empty."""
        first = self.rules.nr_orders << 4
        return [code for code in range(first, first + NR_TYPES) if self.heads[code]]

    def reorder(self, code: int, blocks: list[int]) -> None:
        """Put the blocks of a list into another order, head first."""
        self.tails[code].clear()
        self.heads[code].clear()
        self.heads[code].update(dict.fromkeys(reversed(blocks)))

    def lists(self) -> dict[tuple[int, int], list[int]]:
        """Return all lists that are not empty: ``(migratetype, order)`` to first pfns, head first."""
        result = {}
        for order in range(self.top + 1):
            for mt in range(NR_TYPES):
                blocks = self.list_of((order + 1) << 4 | mt)
                if blocks:
                    result[mt, order] = blocks
        return result

    def counts(self) -> list[list[int]]:
        """Return the number of blocks by order and migrate type, without listing them."""
        table = []
        for order in range(self.top + 1):
            row = [
                len(self.heads[c]) + len(self.tails[c]) for c in range((order + 1) << 4, ((order + 1) << 4) + NR_TYPES)
            ]
            table.append(row)
        table[self.top][self.top_movable & 15] += sum(run[1] for run in self.ranges)
        return table

    def free_pages(self) -> int:
        """Add up the pages on all lists."""
        return sum(sum(row) << order for order, row in enumerate(self.counts()))

    def pageblock_types(self) -> bytes:
        """Return the type of each page block, from the one that holds the zone's first frame."""
        shift = self.memmap.pageblock_order
        return bytes(self.types[self.zone.start_pfn >> shift : (self.zone.end_pfn - 1 >> shift) + 1])

    def save(self) -> tuple[Any, ...]:
        """Copy the lists."""
        return (
            {c: tuple(d) for c, d in enumerate(self.heads) if d},
            {c: tuple(d) for c, d in enumerate(self.tails) if d},
            tuple(tuple(run) for run in self.ranges),
            self.boosted,
            bytes(self.types) if self.types is not self.memmap.types else None,
        )

    def load(self, saved: tuple[Any, ...]) -> None:
        """Bring the lists back to what `save` copied, in place."""
        heads, tails, ranges, self.boosted, types = saved
        if types is not None:
            self.types[:] = types
        for code in range(CODES):
            for lists, kept in ((self.heads, heads), (self.tails, tails)):
                lists[code].clear()
                lists[code].update(dict.fromkeys(kept.get(code, ())))
        self.ranges[:] = [list(run) for run in ranges]
