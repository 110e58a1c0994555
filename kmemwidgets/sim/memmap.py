"""struct page as flat tables: one entry a frame, and nothing paid for frames never used.

The byte of a frame in `MemMap.state` says what the page allocator knows of it:

====================  =====================================================
``0x00``              inside a block whose head says more, or never handed over
``0x10``..``0xBF``    head of a free block: ``(order + 1) << 4 | migratetype of its list``
``0xC0 | order``      head of a block in use
``0xD0 | type``       on a per-CPU list, to be freed as that migrate type
``0xE0 | order``      head of a block in use whose pages are on an LRU list (PageLRU)
``0xFC``              reserved at boot (PageReserved)
``0xFE``, ``0xFF``    in use, order unknown (a recorded machine): on an LRU list, or not
====================  =====================================================
"""

from __future__ import annotations

from typing import TypeAlias

from .page_bugs import PageBugs

Table: TypeAlias = "memoryview | bytearray"

#: First code of a block in use; the order is in the low four bits.
IN_USE = 0xC0
ON_PCP = 0xD0
IN_USE_LRU = 0xE0
#: ``code & ORDER_MASK`` is ``IN_USE | order`` for both kinds of blocks in use.
ORDER_MASK = 0xDF
RESERVED = 0xFC
UNKNOWN_LRU = 0xFE
UNKNOWN = 0xFF

#: Zone number of page blocks whose frees always go the whole way; larger than any zone's.
NO_ZONE = 0xFF

#: Frames whose state is saved as one piece in a checkpoint; a multiple of the largest block.
CHUNK = 1 << 16


def make_table(entries: int) -> memoryview:
    """Return `entries` zero bytes that take no memory until they are written.

    An anonymous mapping where the platform has one (the operating system gives it
    zero pages on demand), a bytearray elsewhere.
    """
    size = max(entries, 1)
    try:
        import mmap

        if hasattr(mmap, "MAP_PRIVATE"):
            # Of a shared mapping even reading would take memory.
            return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        return memoryview(mmap.mmap(-1, size))
    except (ImportError, OSError, ValueError):
        return memoryview(bytearray(size))


class MemMap:
    """The tables of one machine, indexed by pfn.

    Parameters
    ----------
    max_pfn : int
        First pfn behind all memory.
    pageblock_order : int
        Pages of a page block, as a power of two.

    Attributes
    ----------
    state : memoryview
        One byte a frame; see the module.
    types : memoryview
        Migrate type of each page block, indexed by ``pfn >> pageblock_order``.
    zone_ids : memoryview
        Number of the zone of each page block, in the page allocator's order.
    places : list of int
        ``(zone number + 1) << 3 | type`` of a page block, once worked out; 0: not yet. Forgotten when its type changes.
    touched : set of int
        Pieces of `state` that may differ from zero, by ``pfn // CHUNK``.
    bugs : PageBugs
        What this kernel writes of a page that must not be freed.
    """

    __slots__ = ("_kept", "bugs", "max_pfn", "pageblock_order", "places", "state", "touched", "types", "zone_ids")

    def __init__(self, max_pfn: int, pageblock_order: int = 9) -> None:
        # Rounded up to the largest block, with one block to spare: buddies are looked
        # up without asking for the end first.
        entries = (max_pfn + 0x7FF) & ~0x3FF
        self.max_pfn = max_pfn
        self.pageblock_order = pageblock_order
        self.state = make_table(entries)
        self.types = make_table((entries >> pageblock_order) + 1)
        self.zone_ids = make_table((entries >> pageblock_order) + 1)
        self.places = [0] * ((entries >> pageblock_order) + 1)
        self.touched: set[int] = set()
        self.bugs = PageBugs()
        # What `save` copied last.
        self._kept: dict[int, bytes] = {}

    def touch(self, start_pfn: int, end_pfn: int) -> None:
        """Note that the state of a range of frames is written for the first time."""
        self.touched.update(range(start_pfn // CHUNK, (end_pfn - 1) // CHUNK + 1))

    def head_of(self, pfn: int) -> int:
        """Return the first pfn of the block that a frame belongs to, -1 where none does."""
        state = self.state
        for order in range(11):
            head = pfn & -(1 << order)
            code = state[head]
            if code:
                if head == pfn:
                    return pfn
                size = (code >> 4) - 1 if code < IN_USE else code & 15 if code & 0xF0 != ON_PCP else 0
                return head if code < RESERVED and size >= order else -1
        return -1

    def save(self) -> tuple[dict[int, bytes], bytes]:
        """Copy what was ever written of the tables; pieces unchanged since the last copy are shared with it."""
        state, kept = self.state, self._kept
        pieces = {}
        for at in self.touched:
            piece = state[at * CHUNK : (at + 1) * CHUNK]
            old = kept.get(at)
            pieces[at] = old if old is not None and piece == old else bytes(piece)
        self._kept = pieces
        return pieces, bytes(self.types)

    def load(self, saved: tuple[dict[int, bytes], bytes]) -> None:
        """Bring the tables back to what `save` copied."""
        state = self.state
        pieces, self.types[:] = saved
        self.places[:] = [0] * len(self.places)
        for at in self.touched | set(pieces):
            size = min(CHUNK, len(state) - at * CHUNK)
            state[at * CHUNK : at * CHUNK + size] = pieces.get(at, bytes(size))
        self.touched = set(pieces)
