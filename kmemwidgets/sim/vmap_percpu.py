"""Room for per-CPU chunks in vmalloc's space: one area for each group of cpus, as far apart as in the first chunk.

Source: mm/vmalloc.c pcpu_get_vm_areas; mm/percpu-vm.c pcpu_create_chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kmemwidgets.records import VmallocArea

from .gfp import GFP_KERNEL
from .vmalloc import Vmalloc
from .vmap_area import VmapArea


@dataclass(frozen=True, slots=True)
class Group:
    """Cpus of a node, whose units lie side by side.

    Attributes
    ----------
    start : int
        Physical address of its part of the first chunk.
    cpus : tuple of int
    units : int
        Units of a chunk that it has; more than cpus where these don't fill the last block.
    """

    start: int
    cpus: tuple[int, ...]
    units: int


def find_base(
    free: Iterable[tuple[int, int]], offsets: Sequence[int], sizes: Sequence[int], align: int, bounds: tuple[int, int]
) -> int:
    """Return the highest base at which every area lies in a free range; -1 where there is none.

    Parameters
    ----------
    free : iterable of (int, int)
        Free ranges, ascending.
    offsets, sizes : sequence of int
        Of each area, from the base on; multiples of `align`.
    align : int
    bounds : (int, int)
        VMALLOC_START, and the first address that no area may reach.
    """
    low, high = -(-bounds[0] // align) * align, bounds[1] & -align
    ranges = [(start, min(end, high) & -align) for start, end in free]
    # The highest area decides how far down the base has to go; then all others are asked in turn, from above.
    order = sorted(range(len(offsets)), key=lambda area: -offsets[area])
    base = high - max(offset + size for offset, size in zip(offsets, sizes, strict=True))
    fitting = 0
    while fitting < len(order):
        area = order[fitting]
        start, end = base + offsets[area], base + offsets[area] + sizes[area]
        if base < low:
            return -1
        below = [entry for entry in ranges if entry[0] < end]
        if not below:
            return -1
        range_start, range_end = below[-1]
        if end <= range_end and range_start <= start:
            fitting += 1
            continue
        # Down to where this area just fits: the end of this range, or of the one below it.
        if end <= range_end or range_end - sizes[area] < range_start:
            below.pop()
        if not below:
            return -1
        base = min(below[-1][1], end) - sizes[area] - offsets[area]
        fitting = 0
    return base


class PerCpuAreas:
    """The places of a machine's per-CPU chunks.

    Parameters
    ----------
    vmalloc : Vmalloc
    groups : sequence of Group
        By node.
    unit : int
        Bytes of a cpu's unit.
    atom : int
        What areas are multiples of (pcpu_atom_size).
    first : int
        Address of the first chunk: of the lowest group's part of it (pcpu_base_addr).
    end : int
        VMALLOC_END, which on x86-64 is the last byte.

    Attributes
    ----------
    unit_offsets : dict of int to int
        Where each cpu's unit lies in every chunk.
    """

    def __init__(
        self, vmalloc: Vmalloc, groups: Sequence[Group], *, unit: int, atom: int, first: int, end: int
    ) -> None:
        self.vmalloc = vmalloc
        self.end = end
        self.atom = atom
        self.first = first
        lowest = min(group.start for group in groups)
        self.offsets = [group.start - lowest for group in groups]
        self.sizes = [group.units * unit for group in groups]
        self.unit_offsets = {
            cpu: offset + number * unit
            for group, offset in zip(groups, self.offsets, strict=True)
            for number, cpu in enumerate(group.cpus)
        }
        self._mask = (1 << 8 * vmalloc.word) - 1

    def create(self) -> int | None:
        """Reserve a chunk's areas; returns the pointer to its first byte, None where there is no room or memory."""
        vmalloc, objects = self.vmalloc, self.vmalloc.objects
        count = len(self.offsets)
        taken: list[tuple[int, int]] = []
        if objects is not None:
            for _ in range(count):
                area, struct = objects.new_area(GFP_KERNEL, 0), objects.new_struct(GFP_KERNEL, 0)
                taken.append((area, struct))
                if not (area and struct):
                    self._give_up(taken)
                    return None
        base = self._find()
        if base < 0:
            vmalloc.purge()
            base = self._find()
        if base < 0:
            self._give_up(taken)
            return None
        for number in range(count):
            start, size = base + self.offsets[number], self.sizes[number]
            vmalloc.claim(start, start + size, 0)
            if objects is not None:
                area, objects.structs[start] = taken[number]
                objects.enter(start, area)
            row = VmallocArea(start, start + size, size, "pcpu_get_vm_areas", flags=("vmalloc",))
            vmalloc.busy[start] = VmapArea(row)
        return base - self.first & self._mask

    def _find(self) -> int:
        vmalloc = self.vmalloc
        # Where the end is the last byte, rounding it down costs a whole atom.
        return find_base(vmalloc.free, self.offsets, self.sizes, self.atom, (vmalloc.start, self.end))

    def _give_up(self, taken: Sequence[tuple[int, int]]) -> None:
        objects = self.vmalloc.objects
        for area, struct in taken:
            if objects is not None and area > 0:
                objects.free_area(area)
            if objects is not None and struct:
                objects.slabs.kfree(struct)

    def address(self, pointer: int, cpu: int) -> int:
        """Return where a cpu's copy lies (per_cpu_ptr)."""
        return self.first + self.unit_offsets[cpu] + pointer & self._mask

    def map(self, pointer: int, cpu: int, pfn: int) -> bool:
        """Put a page behind a cpu's part of a chunk (pcpu_map_pages); False where a page table had no page."""
        tables = self.vmalloc.page_tables
        return tables is None or tables.map_frames(self.address(pointer, cpu), (pfn,), cpu)

    def unmap(self, pointer: int, cpu: int) -> None:
        """Undo `map`."""
        start = self.address(pointer, cpu)
        if self.vmalloc.page_tables is not None:
            self.vmalloc.page_tables.unmap(start, start + self.vmalloc.page_size)
