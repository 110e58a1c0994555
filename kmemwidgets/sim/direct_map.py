"""How much the kernel counts as mapped directly at boot on x86-64 (init_mem_mapping, DirectMap* of /proc/meminfo).

Memory is mapped from the top in steps that grow, so that the first page tables find room in what is mapped already. A
page of 1 GiB (or 2 MiB) that a later step comes across again is counted again: with large pages the counters say more
than there is. Splitting a page later moves bytes between the counters and leaves the sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from kmemwidgets.records import MemoryRange

from .memblock import Memblock

KIB4 = 1 << 12
MIB2 = 1 << 21
GIB = 1 << 30
#: What was mapped before: the first MiB, in small pages.
ISA_END = 1 << 20
#: How a step grows: half of what one more level of tables maps, so that crossing 1 GiB never needs more tables than
#: the last step has room for (get_new_step_size).
STEP_SHIFT = 8

#: Start, end, and size of the pages that may be used.
Piece = tuple[int, int, int]


def counted_bytes(ram: Sequence[tuple[int, int]], reserved: Sequence[MemoryRange], *, gbpages: bool) -> int:
    """Return the sum of the DirectMap counters.

    Parameters
    ----------
    ram : sequence of (int, int)
        RAM in whole pages, bytes, ascending.
    reserved : sequence of MemoryRange
        What is taken when memory is mapped: the image and the initrd.
    gbpages : bool
        Whether the cpu has pages of 1 GiB.
    """
    mapper = _Mapper(ram, MIB2 if not gbpages else GIB)
    end = ram[-1][1]
    memblock = Memblock()
    for low, high in ram:
        memblock.add(low, high - low)
    for entry in reserved:
        if entry.name in ("kernel", "initrd"):
            memblock.reserve(entry.start, entry.end - entry.start)
    place = memblock.find(MIB2, MIB2, ISA_END, end)
    top = place + MIB2 if place is not None else max(ISA_END, end // MIB2 * MIB2)
    step, last, mapped = MIB2, top, 0
    while last > ISA_END:
        start = max((last - 1) // step * step, ISA_END) if last > step else ISA_END
        mapped += mapper.map(start, last)
        last = start
        if mapped >= step:
            step <<= STEP_SHIFT
    mapper.map(top, end)
    return ISA_END + mapper.total


class _Mapper:
    """Page tables, as far as counting needs them: which parts of 1 GiB are one page."""

    def __init__(self, ram: Sequence[tuple[int, int]], largest: int) -> None:
        self.ram = ram
        self.largest = largest
        self.total = 0
        self._one_page: dict[int, bool] = {}

    def map(self, start: int, end: int) -> int:
        """Map the RAM in a range; return its bytes."""
        mapped = 0
        for low, high in self.ram:
            low, high = max(low, start), min(high, end)
            if low < high:
                mapped += high - low
                for piece in self._pieces(low, high):
                    self._count(*piece)
        return mapped

    def _is_ram(self, start: int, end: int) -> bool:
        return any(low <= start and end <= high for low, high in self.ram)

    def _pieces(self, start: int, end: int) -> list[Piece]:
        """Cut a range where larger pages fit, then use larger pages still where all around is RAM."""
        cuts = [start, min(-(-start // MIB2) * MIB2, end)]
        if self.largest == GIB:
            cuts += [min(-(-start // GIB) * GIB, end // MIB2 * MIB2), end // GIB * GIB]
        cuts += [end // MIB2 * MIB2, end]
        found: list[Piece] = []
        edges = sorted({cut for cut in cuts if start <= cut <= end})
        for low, high in itertools.pairwise(edges):
            size = KIB4
            for larger in (MIB2, self.largest):
                around = low // larger * larger, -(-high // larger) * larger
                if (low, high) == around or self._is_ram(*around):
                    size = larger
            if found and found[-1][1:] == (low, size):
                found[-1] = (found[-1][0], high, size)
            else:
                found.append((low, high, size))
        return found

    def _count(self, low: int, high: int, size: int) -> None:
        for number in range(low // GIB, -(-high // GIB)):
            first, last = max(low, number * GIB), min(high, (number + 1) * GIB)
            if size == GIB and self._one_page.setdefault(number, True):
                self.total += GIB
                continue
            self._one_page[number] = False
            unit = KIB4 if size == KIB4 else MIB2
            self.total += -(-last // unit) * unit - first // unit * unit
