"""SLAB as 2.4 and 2.6.11 have it: full, partial and free slabs, colours, and arrays of each cpu (mm/slab.c)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from kmemwidgets.records import SlabCacheInfo

from .errors import KernelBug
from .gfp import GFP_KERNEL
from .rules.slab import GOOD_WASTE, MAX_GFP_ORDER, SlabRules
from .rules.slub import align_up
from .slub_pages import Pages


@dataclass(frozen=True, slots=True)
class SlabGeometry:
    """How a cache's slabs are cut. Bytes.

    Attributes
    ----------
    size, align : int
    order, num : int
        Of a slab, and its objects.
    off_slab : bool
        Whether the descriptor lies outside, as it does for objects of an eighth of a page and more.
    slab_size : int
        The descriptor with its array.
    left_over, colours, colour_off : int
        What is unused, and by how many steps of how many bytes the objects may be shifted in it.
    """

    size: int
    align: int
    order: int
    num: int
    off_slab: bool
    slab_size: int
    left_over: int
    colours: int
    colour_off: int


def slab_geometry(
    rules: SlabRules, size: int, align: int = 0, *, word: int = 4, page_size: int = 4096, cache_line: int = 32,
    large_machine: bool = True,
) -> SlabGeometry:  # fmt: skip
    """Cut slabs for objects of a size (kmem_cache_create, kmem_cache_estimate).

    Parameters
    ----------
    rules : SlabRules
    size, align : int
        Bytes; `align` 0: a word.
    word, page_size, cache_line : int
        Bytes.
    large_machine : bool
        More than 32 MiB.
    """
    align = max(align, word)
    size = align_up(size, align)
    off_slab = size >= page_size >> 3

    def estimate(order: int) -> tuple[int, int]:
        """Return the objects of a slab and what is left over."""
        total = page_size << order
        base, each = (0, 0) if off_slab else (rules.descriptor(word), rules.link)
        num = 0
        while (num + 1) * size + align_up(base + (num + 1) * each, align) <= total:
            num += 1
        return num, total - num * size - align_up(base + num * each, align)

    order = 0
    while True:
        num, left = estimate(order)
        wasteful = left * GOOD_WASTE > page_size << order
        if order >= MAX_GFP_ORDER or (num and (order >= rules.enough_order(large_machine) or not wasteful)):
            break
        order += 1
    if not num:
        raise ValueError(f"kmem_cache_create: couldn't create a cache of objects of {size} bytes")
    slab_size = align_up(num * rules.link + rules.descriptor(word), align)
    if off_slab and left >= slab_size:
        off_slab = False
        left -= slab_size
    colour_off = align_up(max(cache_line, align), align)
    return SlabGeometry(size, align, order, num, off_slab, slab_size, left, left // colour_off, colour_off)


class OldSlab:
    """A slab: `free` numbers the free objects, the next one last; `first` is the address of object 0."""

    __slots__ = ("first", "free", "inuse", "pfn")

    def __init__(self, pfn: int, first: int, num: int) -> None:
        self.pfn = pfn
        self.first = first
        self.free = list(range(num - 1, -1, -1))
        self.inuse = 0


class SlabCache24:
    """A cache of the older SLAB.

    Parameters
    ----------
    name : str
    geometry : SlabGeometry
    rules : SlabRules
    page_alloc : Pages
    cpus : int
    page_offset, page_size : int

    Attributes
    ----------
    full, partial, free : OrderedDict of int to OldSlab
        By first pfn, head first.
    arrays : list of list of int
        Objects that each cpu can take at once, the next one last.
    limit, batchcount : int
        What an array holds, and how many objects come and go at once.
    colour_next : int
        The next slab's shift, in steps.
    pages : dict of int to OldSlab
        The slab of each page, by address over page size.
    """

    def __init__(
        self, name: str, geometry: SlabGeometry, rules: SlabRules, page_alloc: Pages, *, cpus: int = 1,
        page_offset: int = 0xC0000000, page_size: int = 4096,
    ) -> None:  # fmt: skip
        self.name = name
        self.geometry = geometry
        self.rules = rules
        self.page_alloc = page_alloc
        self.page_offset, self.page_size = page_offset, page_size
        self.full: OrderedDict[int, OldSlab] = OrderedDict()
        self.partial: OrderedDict[int, OldSlab] = OrderedDict()
        self.free: OrderedDict[int, OldSlab] = OrderedDict()
        self.arrays: list[list[int]] = [[] for _ in range(cpus)]
        self.limit = rules.array_limit(geometry.size)
        self.batchcount = (self.limit + 1) // 2
        self.colour_next = 0
        self.pages: dict[int, OldSlab] = {}

    # --- requests -------------------------------------------------------------------------------

    def alloc(self, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take an object; 0 where there are no pages."""
        array = self.arrays[cpu]
        if not array:
            for _ in range(max(self.batchcount, 1)):
                address = self._take(gfp if not array else None)
                if not address:
                    break
                array.append(address)
        return array.pop() if array else 0

    def _take(self, gfp: int | None) -> int:
        """Take an object from the first partial slab, else a free one, else a new one if `gfp` is given."""
        if self.partial:
            slab = next(iter(self.partial.values()))
        elif self.free:
            slab = self.free.popitem(last=False)[1]
        elif gfp is None or (grown := self._grow(gfp)) is None:
            return 0
        else:
            slab = grown
        address = slab.first + slab.free.pop() * self.geometry.size
        slab.inuse += 1
        self.partial.pop(slab.pfn, None)
        _to_head(self.partial if slab.free else self.full, slab)
        return address

    def _grow(self, gfp: int) -> OldSlab | None:
        """Cut a new slab, shifted by the next colour (kmem_cache_grow)."""
        pfn = self.page_alloc.alloc_pages(gfp, self.geometry.order)
        if pfn < 0:
            return None
        g = self.geometry
        shift = self.colour_next * g.colour_off
        self.colour_next = self.colour_next + 1 if self.colour_next + 1 < g.colours else 0
        inside = 0 if g.off_slab else g.slab_size
        slab = OldSlab(pfn, self.page_offset + pfn * self.page_size + shift + inside, g.num)
        self._enter(slab)
        return slab

    def _pages_of(self, pfn: int) -> range:
        first = self.page_offset // self.page_size + pfn
        return range(first, first + (1 << self.geometry.order))

    def _enter(self, slab: OldSlab) -> None:
        for page in self._pages_of(slab.pfn):
            self.pages[page] = slab

    def _destroy(self, slab: OldSlab) -> None:
        """Give a slab's pages back (kmem_slab_destroy)."""
        for page in self._pages_of(slab.pfn):
            del self.pages[page]
        self.page_alloc.free_pages(slab.pfn, self.geometry.order)

    def release(self, address: int, cpu: int = 0) -> None:
        """Give an object back (kmem_cache_free).

        Raises
        ------
        KernelBug
            For an address that is no object of this cache; nothing has changed then.
        """
        slab, number = self._find(address)
        if number in slab.free or address in self.arrays[cpu]:
            raise KernelBug(f"slab: double free detected in cache '{self.name}', objp {address:08x}")
        if not self.limit:
            self._put(address)
            return
        array = self.arrays[cpu]
        if len(array) >= self.limit:
            # The objects that waited longest leave, a batch at once (cache_flusharray).
            leaving = array[: self.batchcount]
            del array[: self.batchcount]
            for old in leaving:
                self._put(old)
        array.append(address)

    def _find(self, address: int) -> tuple[OldSlab, int]:
        slab = self.pages.get(address // self.page_size)
        if slab is None:
            raise KernelBug(f"kernel BUG at slab.c! {address:08x} is in no slab of cache '{self.name}'")
        number, rest = divmod(address - slab.first, self.geometry.size)
        if rest or not 0 <= number < self.geometry.num:
            raise KernelBug(f"kernel BUG at slab.c! {address:08x} is no object of cache '{self.name}'")
        return slab, number

    def _put(self, address: int) -> None:
        """Put an object into its slab (free_block)."""
        slab, number = self._find(address)
        was_full = not slab.free
        slab.free.append(number)
        slab.inuse -= 1
        self.full.pop(slab.pfn, None)
        if not slab.inuse:
            self.partial.pop(slab.pfn, None)
            if self.rules.frees_empty and self._free_objects() + self.geometry.num > self._free_limit():
                self._destroy(slab)
            else:
                _to_head(self.free, slab)
        elif self.rules.partial_to_tail:
            self.partial.pop(slab.pfn, None)
            self.partial[slab.pfn] = slab
        elif was_full:
            _to_head(self.partial, slab)

    def _free_objects(self) -> int:
        return sum(len(slab.free) for slabs in (self.partial, self.free) for slab in slabs.values())

    def _free_limit(self) -> int:
        return (1 + len(self.arrays)) * self.batchcount + self.geometry.num

    def shrink(self) -> int:
        """Empty the arrays and give all free slabs back (kmem_cache_shrink); returns how many went."""
        for array in self.arrays:
            for address in array:
                self._put(address)
            array.clear()
        gone = len(self.free)
        for slab in self.free.values():
            self._destroy(slab)
        self.free.clear()
        return gone

    # --- what can be seen -------------------------------------------------------------------------

    def info(self) -> SlabCacheInfo:
        """Return the figures of /proc/slabinfo; objects in a cpu's array count as in use."""
        slabs = [*self.full.values(), *self.partial.values(), *self.free.values()]
        return SlabCacheInfo(
            name=self.name,
            slab_size=self.geometry.size,
            order=self.geometry.order,
            objs_per_slab=self.geometry.num,
            active_objs=sum(slab.inuse for slab in slabs),
            num_objs=len(slabs) * self.geometry.num,
            slabs=len(slabs),
        )

    def save(self) -> tuple[Any, ...]:
        """Return the state as plain tuples."""
        lists = tuple(
            tuple((slab.pfn, slab.first, tuple(slab.free), slab.inuse) for slab in slabs.values())
            for slabs in (self.full, self.partial, self.free)
        )
        return (lists, tuple(map(tuple, self.arrays)), self.colour_next)

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        lists, arrays, self.colour_next = saved
        self.pages.clear()
        for slabs, kept in zip((self.full, self.partial, self.free), lists, strict=True):
            slabs.clear()
            for pfn, first, free, inuse in kept:
                slab = OldSlab(pfn, first, 0)
                slab.free, slab.inuse = list(free), inuse
                slabs[pfn] = slab
                self._enter(slab)
        self.arrays = [list(array) for array in arrays]


class Slab24:
    """The slab allocator of an old machine, with the verbs that SLUB has.

    Parameters
    ----------
    page_alloc : Pages
    rules : SlabRules
    cpus : int
    word, page_size, cache_line : int
        Bytes.
    page_offset : int
        Address of the frame with pfn 0.

    Attributes
    ----------
    slab_caches : list of SlabCache24
        In order of creation; first kmalloc's, size-32 and so on.
    """

    def __init__(
        self, page_alloc: Pages, rules: SlabRules, *, cpus: int = 1, word: int = 4, page_size: int = 4096,
        cache_line: int = 32, page_offset: int = 0xC0000000,
    ) -> None:  # fmt: skip
        self.page_alloc = page_alloc
        self.rules = rules
        self.cpus = cpus
        self.word, self.page_size, self.cache_line = word, page_size, cache_line
        self.page_offset = page_offset
        self.slab_caches: list[SlabCache24] = []
        self.general = [
            self.kmem_cache_create(f"size-{size}", size, cache_line if size >= cache_line else 0)
            for size in rules.sizes
        ]

    def kmem_cache_create(self, name: str, size: int, align: int = 0) -> SlabCache24:
        """Make a cache; this allocator shares none.

        Raises
        ------
        KernelBug
            For a name that is taken, or a size that no slab holds.
        """
        if any(cache.name == name for cache in self.slab_caches):
            raise KernelBug(f"kmem_cache_create: duplicate cache {name}")
        try:
            geometry = slab_geometry(
                self.rules, size, align, word=self.word, page_size=self.page_size, cache_line=self.cache_line
            )
        except ValueError as error:
            raise KernelBug(str(error)) from error
        cache = SlabCache24(
            name, geometry, self.rules, self.page_alloc, cpus=self.cpus, page_offset=self.page_offset,
            page_size=self.page_size,
        )  # fmt: skip
        self.slab_caches.append(cache)
        return cache

    def kmem_cache_alloc(self, cache: SlabCache24, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take an object; 0 where there are no pages."""
        return cache.alloc(gfp, cpu)

    def kmem_cache_free(self, cache: SlabCache24, address: int, cpu: int = 0) -> None:
        """Give an object back; see `SlabCache24.release`."""
        cache.release(address, cpu)

    def kmem_cache_destroy(self, cache: SlabCache24) -> None:
        """Take a cache away.

        Raises
        ------
        KernelBug
            Where objects are still in use; they stay.
        """
        cache.shrink()
        if cache.full or cache.partial:
            raise KernelBug(f"kmem_cache_destroy: Can't free all objects of {cache.name}")
        self.slab_caches.remove(cache)

    def kmalloc(self, size: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Allocate by size; 0 above the largest cache."""
        for cache in self.general:
            if size <= cache.geometry.size:
                return cache.alloc(gfp, cpu)
        return 0

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what `kmalloc` gave; nothing for NULL.

        Raises
        ------
        KernelBug
            For an address in no slab.
        """
        if not address:
            return
        for cache in self.slab_caches:
            if address // self.page_size in cache.pages:
                cache.release(address, cpu)
                return
        raise KernelBug(f"kfree: {address:08x} is in no slab")

    def caches(self) -> tuple[SlabCacheInfo, ...]:
        """Return the figures of all caches, the newest first."""
        return tuple(cache.info() for cache in reversed(self.slab_caches))


def _to_head(slabs: OrderedDict[int, OldSlab], slab: OldSlab) -> None:
    slabs[slab.pfn] = slab
    slabs.move_to_end(slab.pfn, last=False)
