"""The addresses of vmalloc's space: holes searched from below, lazily freed ranges, and the nodes that share them."""

from __future__ import annotations

from .gfp import GFP_KERNEL
from .rules.vmalloc import MAX_POOL_PAGES, ZONE_PAGES, VmallocRules
from .vmap_area import VmapNode
from .vmap_objects import VmapObjects
from .vmap_space import FreeSpace

_TOP = (1 << 64) - 1


class VmapAddresses:
    """Ranges of addresses, as areas and blocks take and give them (mm/vmalloc.c, alloc_vmap_area and what frees it).

    Parameters
    ----------
    rules : VmallocRules
    start, end : int
        VMALLOC_START and the first address behind VMALLOC_END.
    cpus : int
        Possible and online cpus.
    page_size, word : int
        Bytes of a page and of a pointer.

    Attributes
    ----------
    free : FreeSpace
    nodes : list of VmapNode
    objects : VmapObjects or None
        What ranges take from the slab allocator. None: nothing, as where there is none.
    lazy_pages : int
        Pages of lazily freed areas (vmap_lazy_nr).
    """

    def __init__(self, rules: VmallocRules, start: int, end: int, *, cpus: int, page_size: int, word: int) -> None:
        self.rules = rules
        self.start, self.end = start, end
        self.cpus = cpus
        self.page_size = page_size
        self.word = word
        self.free = FreeSpace(1, _TOP)
        self.objects: VmapObjects | None = None
        self.nodes = [VmapNode() for _ in range(rules.vmap_nodes(cpus, word))]
        self.lazy_pages = 0

    def alloc_vmap_area(
        self,
        size: int,
        align: int = 1,
        vstart: int | None = None,
        vend: int | None = None,
        cpu: int = 0,
        gfp: int = GFP_KERNEL,
    ) -> tuple[int, int]:
        """Reserve addresses (alloc_vmap_area).

        Parameters
        ----------
        size, align : int
            Bytes; the guard page is part of `size`.
        vstart, vend : int, optional
            Bounds; vmalloc's own if not given.
        cpu, gfp : int

        Returns
        -------
        tuple of int
            Start, -1 where no hole fits; and the vmap node that the area goes back to, -1 for none.
        """
        low = self.start if vstart is None else vstart
        high = self.end if vend is None else vend
        node = -1
        if len(self.nodes) > 1 and low == self.start and high >= self.end - 1:
            node = cpu % len(self.nodes)
            pooled = self._from_pool(self.nodes[node], size, align)
            if pooled >= 0:
                return pooled, node
        area = self.objects.new_area(gfp, cpu) if self.objects else -1
        if not area:
            return -1, node
        address = self._search(size, align, low, high, cpu, gfp)
        if address < 0:
            self.purge()
            address = self._search(size, align, low, high, cpu, gfp)
        if self.objects and address >= 0:
            self.objects.enter(address, area)
        elif self.objects:
            self.objects.free_area(area, cpu)
        return address, node

    def _search(self, size: int, align: int, low: int, high: int, cpu: int, gfp: int) -> int:
        """Find a hole, and cut the area out of it; -1 where there is none, or no memory for what is left of it."""
        if self.objects:
            self.objects.preload(gfp, cpu)
        length = self.rules.search_length(size, align, self.page_size)
        address = self.free.find(size, align, low, high, length)
        return address if address >= 0 and self.claim(address, address + size, cpu) else -1

    def claim(self, start: int, end: int, cpu: int = 0) -> bool:
        """Cut addresses out of the free range that holds them; False where there is no memory for what is left."""
        hole = self.free.take(start, end)
        if self.objects and not self.objects.clip(hole, start, end, cpu):
            self.free.give(start, end)
            return False
        return True

    def _from_pool(self, node: VmapNode, size: int, align: int) -> int:
        """Take a ready area of just this size; one that is aligned otherwise goes to the end (node_pool_del_va)."""
        pool = node.pools.get(size // self.page_size, [])
        if not pool:
            return -1
        start, _end = pool.pop(0)
        if start % align == 0:
            return start
        pool.append((start, start + size))
        return -1

    def free_vmap_area(self, start: int, end: int, node: int = -1) -> None:
        """Give addresses back: lazily, where the kernel is lazy (free_vmap_area_noflush)."""
        limit = self.rules.lazy_max_pages(self.cpus, self.page_size)
        if not limit:
            self._give(start, end)
            return
        owner = self.nodes[node] if node >= 0 else self.nodes[self._node_of(start)]
        owner.freed.append((start, end, node >= 0))
        self.lazy_pages += (end - start) // self.page_size
        if self.lazy_pages > limit:
            self.purge()

    def _node_of(self, address: int) -> int:
        return address // (ZONE_PAGES * self.page_size) % len(self.nodes)

    def purge(self) -> None:
        """Make all lazily freed areas free, after one flush of the TLBs (__purge_vmap_area_lazy)."""
        for node in self.nodes:
            freed, node.freed = node.freed, []
            self._decay(node)
            for start, end, pooled in freed:
                pages = (end - start) // self.page_size
                if pooled and pages <= MAX_POOL_PAGES:
                    node.pools.setdefault(pages, []).append((start, end))
                else:
                    self._give(start, end)
        self.lazy_pages = 0

    def _give(self, start: int, end: int) -> None:
        before, after = self.free.give(start, end)
        if self.objects:
            self.objects.merge(start, end, before=before, after=after)

    def _decay(self, node: VmapNode) -> None:
        """Let a quarter of each pool go (decay_va_pool_node)."""
        for pool in node.pools.values():
            for _ in range(len(pool) // 4):
                start, end = pool.pop(0)
                self._give(start, end)
