"""The kernel's page tables of vmalloc's space: vmalloc, vmap and ioremap fill them, the cpu walks them (mm/vmalloc.c).

A table is a page of entries, kept under the number of its frame; an entry leads to the next table or to memory. Tables
are taken from the page allocator when they are first needed, and stay when what they mapped goes.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Protocol

from kmemwidgets.arch.page_tables import EntryBits, Level
from kmemwidgets.records import PageWalk, WalkStep

from .gfp import FLAGS, GFP_KERNEL

#: What page tables of the kernel are asked for with (include/asm-generic/pgalloc.h).
GFP_PGTABLE_KERNEL = GFP_KERNEL | FLAGS["__GFP_ZERO"]
#: The name of the one table that nothing leads to: swapper_pg_dir, a part of the image.
TOP = -1


class TablePages(Protocol):
    """What tables ask of the page allocator."""

    def alloc_pages(self, gfp: int, order: int = 0, nid: int | None = None, cpu: int = 0) -> int:
        """Return a frame, -1 where there is none."""

    def free_pages(self, pfn: int, order: int = 0, cpu: int = 0) -> None:
        """Take a frame back."""


class PageTables:
    """Page tables of one kernel.

    Parameters
    ----------
    levels : sequence of Level
        Highest first.
    bits : EntryBits
    page_alloc : TablePages
    page_size : int
    huge : bool
        Whether this architecture maps memory of vmalloc's space by entries above the lowest level.
    boot_made : bool
        Whether boot made the tables of the second level. Their frames are among what boot reserved, not known here.
    keeps_tables : bool
        Whether a table that is there is never given back for a larger entry in its place (32-bit kernels).

    Attributes
    ----------
    tables : dict of int to array
        By frame; negative: made at boot. An array is never changed, only replaced, so that a copy of this is cheap.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        bits: EntryBits,
        page_alloc: TablePages,
        *,
        page_size: int = 4096,
        huge: bool = False,
        boot_made: bool = False,
        keeps_tables: bool = False,
    ) -> None:
        self.levels = tuple(levels)
        self.bits = bits
        self.page_alloc = page_alloc
        self.page_size = page_size
        self.huge = huge
        self.boot_made = boot_made
        self.keeps_tables = keeps_tables
        self.tables: dict[int, array[int]] = {}

    @property
    def huge_order(self) -> int:
        """Order of what one entry of the second lowest level maps (PMD_ORDER)."""
        return self.levels[-2].shift - self.levels[-1].shift

    def pages(self) -> int:
        """Return how many frames the page allocator gave for tables."""
        return sum(1 for name in self.tables if name >= 0)

    # Filling

    def map_frames(self, address: int, pfns: Sequence[int], cpu: int = 0) -> bool:
        """Map single frames beside each other (vmap_small_pages_range_noflush); False where a table had no page."""
        lowest = self.levels[-1]
        done = 0
        while done < len(pfns):
            table = self._table(address, len(self.levels) - 1, cpu)
            if table is None:
                return False
            first = lowest.index(address)
            run = pfns[done : done + lowest.entries - first]
            self._write(table, first, [self._leaf(pfn * self.page_size, lowest) for pfn in run])
            done += len(run)
            address += len(run) * self.page_size
        return True

    def map_range(
        self, address: int, physical: int, size: int, *, device: bool = False, largest: int | None = None, cpu: int = 0
    ) -> bool:
        """Map a range of physical memory by the largest entries that fit (vmap_range_noflush).

        Parameters
        ----------
        address, physical, size : int
            Bytes, whole pages.
        device : bool
            Whether it is no memory.
        largest : int, optional
            Bytes that one entry may map; a page if not given and nothing larger is allowed.
        cpu : int

        Returns
        -------
        bool
            False where a table had no page.
        """
        end = address + size
        bound = largest if largest is not None else (1 << 64 if self.huge else self.page_size)
        while address < end:
            depth = self._depth_for(address, physical, end - address, bound)
            level = self.levels[depth]
            table = self._table(address, depth, cpu)
            if table is None:
                return False
            first = level.index(address)
            if depth < len(self.levels) - 1:
                self._free_below(table, first, depth, cpu)
                count = 1
            else:
                # Up to the next entry that could be larger, or the end of the table.
                count = min((end - address) // level.span, level.entries - first)
            leaves = [self._leaf(physical + i * level.span, level, device=device) for i in range(count)]
            self._write(table, first, leaves)
            address += count * level.span
            physical += count * level.span
        return True

    def _depth_for(self, address: int, physical: int, left: int, bound: int) -> int:
        """Return the number of the highest level whose entry can map from here on."""
        present = self._last_table(address)[1] if self.keeps_tables else 0
        for depth, level in enumerate(self.levels[:-1]):
            fits = level.leaf and level.span <= min(left, bound) and depth >= present
            if fits and not (address | physical) & level.span - 1:
                return depth
        return len(self.levels) - 1

    def _leaf(self, physical: int, level: Level, *, device: bool = False) -> int:
        bits = self.bits.page if level is self.levels[-1] else self.bits.block
        return physical | bits | (self.bits.device if device else 0)

    def _table(self, address: int, depth: int, cpu: int) -> int | None:
        """Return the table of a level that an address is looked up in, made where it is missing; None: no page."""
        name = TOP
        for number, level in enumerate(self.levels[:depth]):
            index = level.index(address)
            below = self._below(name, index, number)
            if below is None:
                below = self.page_alloc.alloc_pages(GFP_PGTABLE_KERNEL, 0, None, cpu)
                if below < 0:
                    return None
                self.tables[below] = _empty(self.levels[number + 1])
                self._write(name, index, [below * self.page_size | self.bits.table])
            name = below
        return name

    def _below(self, name: int, index: int, depth: int) -> int | None:
        """Return the table that an entry leads to; None where it leads to none."""
        if self.boot_made and depth == 0:
            return TOP - 1 - index
        entry = self.tables[name][index] if name in self.tables else 0
        return self._frame(entry) if self._kind(entry, depth) == "table" else None

    def _write(self, name: int, first: int, entries: Sequence[int]) -> None:
        old = self.tables.get(name)
        table = array("Q", old) if old is not None else _empty(self.levels[0 if name == TOP else -1])
        table[first : first + len(entries)] = array("Q", entries)
        self.tables[name] = table

    def _free_below(self, name: int, index: int, depth: int, cpu: int) -> None:
        """Give back the tables below an entry that will map memory itself (pmd_free_pte_page, pud_free_pmd_page)."""
        below = self._below(name, index, depth)
        if below is None:
            return
        for number in range(self.levels[depth + 1].entries if depth + 2 < len(self.levels) else 0):
            self._free_below(below, number, depth + 1, cpu)
        del self.tables[below]
        self._write(name, index, [0])
        self.page_alloc.free_pages(below, 0, cpu)

    # Emptying

    def unmap(self, start: int, end: int) -> None:
        """Clear the entries of a range; its tables stay (vunmap_range_noflush)."""
        address = start
        while address < end:
            name, depth = self._last_table(address)
            level = self.levels[depth]
            first = level.index(address)
            base = address & -level.span
            count = min(-(-(end - base) // level.span), level.entries - first)
            if depth == len(self.levels) - 1:
                self._write(name, first, [0] * count)
            else:
                count = 1
                if name in self.tables and self.tables[name][first]:
                    self._write(name, first, [0])
            address = base + count * level.span

    def _last_table(self, address: int) -> tuple[int, int]:
        """Return the last table on an address's way that is there, and its level's number."""
        name = TOP
        for depth, level in enumerate(self.levels[:-1]):
            below = self._below(name, level.index(address), depth)
            if below is None:
                return name, depth
            name = below
        return name, len(self.levels) - 1

    # Looking

    def walk(self, address: int) -> PageWalk:
        """Look an address up, table by table (vmalloc_to_page)."""
        steps: list[WalkStep] = []
        name = TOP
        for depth, level in enumerate(self.levels):
            index = level.index(address)
            entry: int | None = self.tables[name][index] if name in self.tables else 0
            below = self._below(name, index, depth) if depth < len(self.levels) - 1 else None
            if below is not None and below < 0:
                entry = None
            kind = "table" if below is not None else self._kind(entry or 0, depth)
            steps.append(WalkStep(level.name, name if name >= 0 else None, index, entry, kind, level.span))
            if below is None:
                break
            name = below
        if kind != "leaf":
            return PageWalk(address, tuple(steps), None)
        physical = ((entry or 0) & self.bits.frame & -level.span) + (address & level.span - 1)
        return PageWalk(address, tuple(steps), physical)

    def _kind(self, entry: int, depth: int) -> str:
        if not entry & self.bits.present:
            return "none"
        mask, value = self.bits.is_block
        return "leaf" if depth == len(self.levels) - 1 or entry & mask == value else "table"

    def _frame(self, entry: int) -> int:
        return (entry & self.bits.frame) // self.page_size

    # Keeping

    def save(self) -> dict[int, array[int]]:
        """Return the state."""
        return dict(self.tables)

    def load(self, saved: dict[int, array[int]]) -> None:
        """Go back to what `save` returned."""
        self.tables = dict(saved)


def _empty(level: Level) -> array[int]:
    return array("Q", bytes(8 * level.entries))
