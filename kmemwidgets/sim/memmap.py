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

#: Bytes compared and saved as one piece of a table in a checkpoint.
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


def save_table(table: memoryview) -> list[tuple[int, bytes]]:
    """Copy the pieces of a table that are not all zero: ``(offset, bytes)``."""
    zero = bytes(CHUNK)
    pieces = []
    for offset in range(0, len(table), CHUNK):
        piece = bytes(table[offset : offset + CHUNK])
        if piece != zero[: len(piece)]:
            pieces.append((offset, piece))
    return pieces


def load_table(table: memoryview, pieces: list[tuple[int, bytes]]) -> None:
    """Write back what `save_table` copied; all else becomes zero again."""
    saved = dict(pieces)
    zero = bytes(CHUNK)
    for offset in range(0, len(table), CHUNK):
        size = min(CHUNK, len(table) - offset)
        piece = saved.get(offset, zero[:size])
        if table[offset : offset + size] != piece:
            table[offset : offset + size] = piece


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
    """

    __slots__ = ("max_pfn", "pageblock_order", "state", "types")

    def __init__(self, max_pfn: int, pageblock_order: int = 9) -> None:
        # Rounded up to the largest block, with one block to spare: buddies are looked
        # up without asking for the end first.
        entries = (max_pfn + 0x7FF) & ~0x3FF
        self.max_pfn = max_pfn
        self.pageblock_order = pageblock_order
        self.state = make_table(entries)
        self.types = make_table((entries >> pageblock_order) + 1)

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

    def save(self) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
        """Copy the tables."""
        return save_table(self.state), save_table(self.types)

    def load(self, saved: tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]) -> None:
        """Bring the tables back to what `save` copied."""
        load_table(self.state, saved[0])
        load_table(self.types, saved[1])
