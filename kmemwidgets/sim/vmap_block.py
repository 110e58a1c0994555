"""Short-lived mappings of a few pages: cut from blocks that each cpu keeps (mm/vmalloc.c, vm_map_ram)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kmemwidgets.records import VmallocArea

from .errors import KernelBug
from .rules.slub import get_order
from .vmalloc import Vmalloc
from .vmap_area import VmapArea


def block_pages(vmalloc_bytes: int, nr_cpus: int, *, word: int = 8, page_size: int = 4096) -> int:
    """Return the pages of a block (VMAP_BBMAP_BITS): a small part of the space, for every cpu that may come.

    Parameters
    ----------
    vmalloc_bytes : int
        Size of vmalloc's space.
    nr_cpus : int
        CONFIG_NR_CPUS.
    word, page_size : int
        Bytes.
    """
    share = vmalloc_bytes // page_size // (1 << (nr_cpus - 1).bit_length()) // 16
    return max(2 * largest(word), min(share, 1024))


def largest(word: int = 8) -> int:
    """Return the pages of the largest mapping that is cut from a block (VMAP_MAX_ALLOC): the bits of a word."""
    return 8 * word


class VmapBlock:
    """struct vmap_block: pages are handed out ascending, once; it goes when all have come back.

    Attributes
    ----------
    start : int
    free, dirty : int
        Pages not yet handed out, and pages that came back.
    """

    __slots__ = ("dirty", "free", "start")

    def __init__(self, start: int, pages: int) -> None:
        self.start = start
        self.free = pages
        self.dirty = 0


class VmapBlocks:
    """The blocks of all cpus.

    Parameters
    ----------
    vmalloc : Vmalloc
    nr_cpus : int
        CONFIG_NR_CPUS.

    Attributes
    ----------
    pages : int
        Pages of a block.
    blocks : dict of int to VmapBlock
        By start.
    queues : list of list of int
        Starts of the blocks that each cpu may still cut from, in order.
    """

    def __init__(self, vmalloc: Vmalloc, nr_cpus: int = 8192) -> None:
        self.vmalloc = vmalloc
        self.page_size = vmalloc.page_size
        self.pages = block_pages(vmalloc.end - vmalloc.start, nr_cpus, word=vmalloc.word, page_size=self.page_size)
        self.blocks: dict[int, VmapBlock] = {}
        self.queues: list[list[int]] = [[] for _ in range(vmalloc.cpus)]

    def vm_map_ram(self, pfns: Sequence[int], cpu: int = 0) -> int:
        """Map pages for a short while; returns the address, 0 where there is no room."""
        count = len(pfns)
        if not count:
            raise ValueError("vm_map_ram of no pages")
        if count <= largest(self.vmalloc.word):
            start = self._cut(get_order(count * self.page_size, self.page_size), cpu)
        else:
            # Without a guard page, unlike vmalloc's.
            start, node = self.vmalloc.alloc_vmap_area(count * self.page_size, self.page_size, cpu=cpu)
            if start < 0:
                return 0
            self._enter(start, count, node)
        tables = self.vmalloc.page_tables
        if start and tables and not tables.map_frames(start, pfns, cpu):
            self.vm_unmap_ram(start, count)
            return 0
        return start

    def _enter(self, start: int, pages: int, node: int) -> None:
        size = pages * self.page_size
        self.vmalloc.busy[start] = VmapArea(VmallocArea(start, start + size, size, flags=("vm_map_ram",)), node)

    def _cut(self, order: int, cpu: int) -> int:
        """Take pages from the first block of the cpu that has so many (vb_alloc)."""
        queue = self.queues[cpu]
        for start in queue:
            if self.blocks[start].free >= 1 << order:
                break
        else:
            size = self.pages * self.page_size
            start, node = self.vmalloc.alloc_vmap_area(size, size, cpu=cpu)
            if start < 0:
                return 0
            self._enter(start, self.pages, node)
            self.blocks[start] = VmapBlock(start, self.pages)
            queue.append(start)
        block = self.blocks[start]
        address = start + (self.pages - block.free) * self.page_size
        block.free -= 1 << order
        if not block.free:
            queue.remove(start)
        return address

    def vm_unmap_ram(self, address: int, count: int) -> None:
        """Undo `vm_map_ram`; pages of a block are not used again before all of it came back.

        Raises
        ------
        KernelBug
            For an address that was not mapped so; nothing has changed then.
        """
        if count > largest(self.vmalloc.word):
            area = self.vmalloc.busy.get(address)
            if area is None or area.row.flags != ("vm_map_ram",) or area.row.size != count * self.page_size:
                raise KernelBug(f"kernel BUG at mm/vmalloc.c! vm_unmap_ram({address:#x})")
            del self.vmalloc.busy[address]
            self._unmap(address, count)
            self.vmalloc.free_vmap_area(address, area.row.end, area.node)
            return
        size = self.pages * self.page_size
        block = self.blocks.get(address // size * size)
        pages = 1 << get_order(count * self.page_size, self.page_size)
        if block is None or block.dirty + pages > self.pages - block.free:
            raise KernelBug(f"kernel BUG at mm/vmalloc.c! vm_unmap_ram({address:#x})")
        self._unmap(address, count)
        block.dirty += pages
        if block.dirty == self.pages:
            self._drop(block)

    def _unmap(self, address: int, count: int) -> None:
        if self.vmalloc.page_tables:
            self.vmalloc.page_tables.unmap(address, address + count * self.page_size)

    def _drop(self, block: VmapBlock) -> None:
        """Give a block back, from whichever queue it is on (free_vmap_block)."""
        area = self.vmalloc.busy.pop(block.start)
        del self.blocks[block.start]
        for queue in self.queues:
            if block.start in queue:
                queue.remove(block.start)
        self.vmalloc.free_vmap_area(block.start, area.row.end, area.node)

    def purge_fragmented(self) -> None:
        """Give back the blocks of which nothing is mapped, used up or not (purge_fragmented_blocks_allcpus)."""
        for block in list(self.blocks.values()):
            if block.free + block.dirty == self.pages:
                self._drop(block)

    def save(self) -> tuple[Any, ...]:
        """Return the state that is not vmalloc's."""
        return (tuple((b.start, b.free, b.dirty) for b in self.blocks.values()), tuple(map(tuple, self.queues)))

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        blocks, queues = saved
        self.blocks = {}
        for start, free, dirty in blocks:
            self.blocks[start] = VmapBlock(start, free)
            self.blocks[start].dirty = dirty
        self.queues = [list(queue) for queue in queues]
