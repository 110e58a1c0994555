"""kmalloc: memory by size, from the cache that fits or from whole pages (mm/slab_common.c, mm/slub.c)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmemwidgets.records import MachineSpec

from . import slub_debug, slub_words
from .gfp import FLAGS, GFP_KERNEL
from .rules.kmalloc import KmallocRules
from .rules.slub import get_order
from .slab_cache import KmemCache
from .slab_common import ZERO_SIZE_PTR, KmallocCache, kmalloc_caches, kmalloc_size
from .slab_create import create

if TYPE_CHECKING:
    from .slub import Slub
    from .vmalloc import Vmalloc

_COMP = FLAGS["__GFP_COMP"]
_QUIETLY = FLAGS["__GFP_NORETRY"] | FLAGS["__GFP_NOWARN"]
#: Which flag asks for which kind; the first that a request has decides (include/linux/slab.h, kmalloc_type).
_KINDS = (
    (FLAGS["__GFP_DMA"], "dma"),
    (FLAGS["__GFP_RECLAIMABLE"], "reclaim"),
    (FLAGS["__GFP_ACCOUNT"], "cgroup"),
)
_KIND_BITS = _KINDS[0][0] | _KINDS[1][0] | _KINDS[2][0]
_KIND_FLAGS = {"dma": {"cache_dma"}, "reclaim": {"reclaim_account"}, "cgroup": {"account"}}


@dataclass(frozen=True, slots=True)
class KmallocInfo:
    """What a request of a size gets.

    Attributes
    ----------
    asked, taken : int
        Bytes.
    cache : str or None
        Name of the cache; None for nothing, and for whole pages.
    order : int or None
        Of the pages, where kmalloc takes some.
    """

    asked: int
    taken: int
    cache: str | None
    order: int | None = None

    @property
    def waste(self) -> int:
        """Bytes that nobody uses."""
        return self.taken - self.asked


class Kmalloc:
    """kmalloc's caches and what was taken from the page allocator directly.

    Parameters
    ----------
    slub : Slub
    rules : KmallocRules
    spec : MachineSpec
        Architecture, configuration and command line.
    vmalloc : Vmalloc or None
        Where kvmalloc turns when there are no pages beside each other.
    seed : int
        Chooses the random copies.

    Attributes
    ----------
    caches : dict of (kind, size) to KmemCache
    large : dict of int to int
        Order of each block that a large request took, by address.
    """

    def __init__(
        self, slub: Slub, rules: KmallocRules, spec: MachineSpec, vmalloc: Vmalloc | None = None, seed: int = 0
    ) -> None:
        self.slub = slub
        self.rules = rules
        self.vmalloc = vmalloc
        self.seed = seed
        self.page_size = spec.page_size
        self.max_size = spec.page_size << slub.tunables.highest_order
        self.large: dict[int, int] = {}
        self.caches: dict[tuple[str, int], KmemCache] = {}
        described = kmalloc_caches(rules, spec)
        for entry in described:
            self.caches[entry.kind, entry.size] = self._make(entry)
        self.sizes: tuple[int, ...] = tuple(sorted({entry.size for entry in described}))
        self.copies: tuple[str, ...] = tuple(
            dict.fromkeys(entry.kind for entry in described if entry.kind.startswith("rnd-"))
        )
        # The caches of plain requests by size, in steps of 8 bytes: the table of kmalloc_index.
        self.small = [self.caches["normal", kmalloc_size(8 * step, self.sizes)] for step in range(1, 25)]

    def _make(self, entry: KmallocCache) -> KmemCache:
        """create_kmalloc_cache: user space may copy all of an object, so that none is ever shared."""
        flags = frozenset(_KIND_FLAGS.get(entry.kind, set()))
        if entry.kind not in _KIND_FLAGS and entry.kind != "normal":
            flags |= {"no_merge"}
        return create(self.slub, entry.name, entry.size, entry.align, flags, usersize=entry.size, kmalloc=True)

    def cache_for(self, size: int, gfp: int = GFP_KERNEL, caller: str = "") -> KmemCache | None:
        """Return the cache of a request, None where it takes pages (kmalloc_slab)."""
        taken = kmalloc_size(size, self.sizes, self.page_size)
        return self.caches.get((self.kind_of(gfp, caller), taken))

    def kind_of(self, gfp: int, caller: str = "") -> str:
        """Return the kind of cache that serves a request (kmalloc_type)."""
        if caller in self.rules.buckets and (caller, self.sizes[0]) in self.caches:
            # kmem_buckets_alloc: whoever has caches of its own takes them, whatever its flags.
            return caller
        for bit, kind in _KINDS:
            if gfp & bit and (kind, self.sizes[0]) in self.caches:
                return kind
        if not self.copies:
            return "normal"
        # The kernel hashes the return address with a seed of its own; here the caller's name stands for it.
        return ("normal", *self.copies)[zlib.crc32(f"{self.seed} {caller}".encode()) % (len(self.copies) + 1)]

    def kmalloc(self, size: int, gfp: int = GFP_KERNEL, cpu: int = 0, nid: int = -1, caller: str = "") -> int:
        """Allocate; returns the address, ZERO_SIZE_PTR for nothing, 0 (NULL) where the kernel refuses."""
        if size <= 0:
            if size < 0:
                raise ValueError(f"kmalloc of {size} bytes")
            return ZERO_SIZE_PTR
        if size <= 192 and not gfp & _KIND_BITS and not self.copies and not caller:
            cache: KmemCache | None = self.small[(size - 1) >> 3]
        else:
            cache = self.cache_for(size, gfp, caller)
        if cache is None:
            return self._kmalloc_large(size, gfp, cpu, nid)
        if cache.plain:
            return self.slub.kmem_cache_alloc(cache, gfp, cpu, nid)
        address = self.slub.alloc_watched(cache, gfp, cpu, nid, size)
        if cache.debug and address:
            slub_debug.name_caller(self.slub, address, caller or "kmalloc")
        return address

    def _kmalloc_large(self, size: int, gfp: int, cpu: int, nid: int) -> int:
        """Take pages (kmalloc_large_node)."""
        order = get_order(size, self.page_size)
        if order > self.slub.tunables.highest_order:
            slub_words.too_large(self.slub, gfp, cpu)
            return 0
        pfn = self.slub.page_alloc.alloc_pages(gfp | _COMP, order, nid if nid >= 0 else None, cpu)
        if pfn < 0:
            return 0
        address = self.slub.page_offset + pfn * self.page_size
        self.large[address] = order
        return address

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kmalloc gave; nothing for NULL and ZERO_SIZE_PTR.

        Raises
        ------
        KernelBug
            For what is no object and no large block; nothing has changed then.
        """
        if address in (0, ZERO_SIZE_PTR):
            return
        slab = self.slub.slabs.get(address >> self.slub.page_shift)
        if slab is not None:
            before = self.slub.requests
            self.slub.kmem_cache_free(slab.cache, address, cpu)
            if slab.cache.debug and self.slub.requests > before:
                slub_debug.name_caller(self.slub, address, "kfree", freed=True)
            return
        block = self.large_block(address)
        if not block:
            raise self.slub.no_slab(address) or slub_words.bad_kfree(self, address, cpu)
        pfn = (block - self.slub.page_offset) // self.page_size
        self.slub.page_alloc.free_pages(pfn, self.large[block], cpu)
        del self.large[block]

    def large_block(self, address: int) -> int:
        """Return where the large block begins that an address lies in, 0 where there is none.

        A pointer into one serves the kernel as well as one to its beginning (virt_to_head_page, virt_to_folio).
        """
        offset = self.slub.page_offset
        for order in range(self.slub.tunables.highest_order + 1):
            block = offset + (address - offset & -(self.page_size << order))
            if self.large.get(block) == order:
                return block
        return 0

    def ksize(self, address: int) -> int:
        """Return how many bytes may be used behind a pointer (__ksize).

        Raises
        ------
        KernelBug
            For a pointer that kmalloc didn't give.
        """
        if address in (0, ZERO_SIZE_PTR):
            return 0
        slab = self.slub.slabs.get(address >> self.slub.page_shift)
        if slab is not None:
            return slab.cache.object_size
        block = self.large_block(address)
        if block and (block == address or slub_words.words_of(self.slub).ksize_takes_tails):
            return self.page_size << self.large[block]
        raise slub_words.bad_ksize(self, address)

    def krealloc(self, address: int, size: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Make what a pointer points to larger; it moves only where it must (krealloc)."""
        if size == 0:
            self.kfree(address, cpu)
            return ZERO_SIZE_PTR
        if self.ksize(address) >= size:
            return address
        moved = self.kmalloc(size, gfp, cpu)
        if moved:
            self.kfree(address, cpu)
        return moved

    def kvmalloc(
        self,
        size: int,
        gfp: int = GFP_KERNEL,
        cpu: int = 0,
        *,
        fallback: bool = True,
        most: int = 0,
        huge: bool = False,
    ) -> int:
        """Allocate by kmalloc, and by vmalloc where that fails for more than a page (kvmalloc_node).

        Parameters
        ----------
        size, gfp, cpu : int
        fallback : bool
            Whether the request may go on to vmalloc, which waits.
        most : int
            Bytes that vmalloc is asked for at most; 0 for any number.
        huge : bool
            Whether vmalloc may take huge pages.
        """
        quietly = _QUIETLY if size > self.page_size and fallback else 0
        address = self.kmalloc(size, gfp | quietly, cpu)
        if address or size <= self.page_size or self.vmalloc is None or not fallback:
            return address
        if most and size > most:
            if not gfp & FLAGS["__GFP_NOWARN"]:
                self.slub.warn(f"WARNING: CPU: {cpu} PID: 0 at mm/util.c kvmalloc_node")
            return 0
        return self.vmalloc.vmalloc(size, gfp, caller="kvmalloc_node", huge=huge, cpu=cpu)

    def kvfree(self, address: int, cpu: int = 0) -> None:
        """Give back what kvmalloc gave (kvfree)."""
        if self.vmalloc is not None and address in self.vmalloc.busy:
            self.vmalloc.vfree(address, cpu)
        else:
            self.kfree(address, cpu)

    def info(self, size: int, gfp: int = GFP_KERNEL) -> KmallocInfo:
        """Tell what a request would get, without making it."""
        cache = self.cache_for(size, gfp)
        if size <= 0 or size > self.max_size:
            return KmallocInfo(size, 0, None)
        if cache is not None:
            return KmallocInfo(size, cache.object_size, cache.name)
        order = get_order(size, self.page_size)
        return KmallocInfo(size, self.page_size << order, None, order)

    def waste(self, sizes: Sequence[int]) -> int:
        """Return the bytes that requests of these sizes leave unused."""
        return sum(self.info(size).waste for size in sizes)

    def save(self) -> tuple[Any, ...]:
        """Return the state that is not SLUB's."""
        return tuple(self.large.items())

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        self.large = dict(saved)
