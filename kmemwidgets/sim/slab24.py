"""SLAB as 2.4 and 2.6.11 have it: full, partial and free slabs, colours, and arrays of each cpu (mm/slab.c).

Pointers are checked as a kernel with CONFIG_DEBUG_SLAB checks them; its red zones and poison are in `slab24_debug`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from kmemwidgets.records import SlabCacheInfo

from . import slab24_debug, slab24_tune
from .errors import KernelBug
from .gfp import FLAGS, GFP_KERNEL
from .rules.slab import MAX_GFP_ORDER, SlabRules
from .slab24_cache import FREE_SLABS, PARTIAL, ArrayCache, OldSlab, SlabCache24
from .slab24_layout import SlabTunables, slab_geometry
from .slab24_reap import REAPTIMEOUT_LIST3
from .slub_pages import Pages

_DMA = FLAGS["__GFP_DMA"]


class Slab24:
    """The slab allocator of an old machine, with the verbs that SLUB has.

    Parameters
    ----------
    page_alloc : Pages
    rules : SlabRules
    machine : SlabTunables or None
    cpus : int
    page_offset : int
        Address of the frame with pfn 0.
    debug : bool
        CONFIG_DEBUG_SLAB.

    Attributes
    ----------
    slab_caches : list of SlabCache24
        In the order of /proc/slabinfo: the newest first; the cache of caches is first in 2.4, last in 2.6.
    cache_cache : SlabCache24 or None
        The cache that the structs of caches come from.
    general : list of (SlabCache24, SlabCache24)
        kmalloc's caches by size, each with its twin for DMA.
    most_off_slab : int
        Objects that a slab may have whose descriptor lies outside; 0 while that isn't known.
    online : int
        Cpus that are up.
    up : bool
        Whether new caches get arrays of their full size.
    pages : dict of int to OldSlab
        The slab of each page, by address over page size.
    users : dict of int to str
        Who had each object of debugged caches last.
    clock_hand : int
        Number of the cache that the reaper looks at next (2.4).
    seconds : int
        How long the reaper's timer has run (2.6).
    dmesg : list of str
    """

    def __init__(
        self, page_alloc: Pages, rules: SlabRules, *, machine: SlabTunables | None = None, cpus: int = 1,
        page_offset: int = 0xC0000000, debug: bool = False,
    ) -> None:  # fmt: skip
        self.page_alloc = page_alloc
        self.rules = rules
        self.machine = machine or SlabTunables()
        self.cpus = cpus
        self.page_offset = page_offset
        self.slab_caches: list[SlabCache24] = []
        self.cache_cache: SlabCache24 | None = None
        self.general: list[tuple[SlabCache24, SlabCache24]] = []
        self.most_off_slab = 0
        self.online = 1
        self.up = False
        self.pages: dict[int, OldSlab] = {}
        self.debug = debug
        self.users: dict[int, str] = {}
        self.clock_hand = 0
        self.seconds = 0
        self.dmesg: list[str] = []

    # --- allocation -------------------------------------------------------------------------

    def kmem_cache_alloc(self, cache: SlabCache24, gfp: int = GFP_KERNEL, cpu: int = 0) -> int:
        """Take an object; 0 where there are no pages."""
        if self.rules.checks_dma and bool(gfp & _DMA) != ("cache_dma" in cache.flags):
            words = self.rules.words
            said = words.dma_of_plain if gfp & _DMA else words.plain_of_dma
            raise KernelBug(f"{said} ({cache.name} and GFP_DMA don't agree)")
        if not cache.guard.active:
            return self._alloc(cache, gfp, cpu)
        before = cache.save() if self.rules.damage_stops else None
        slot = self._alloc(cache, gfp, cpu)
        if not slot:
            return 0
        try:
            slab24_debug.take(self, self.pages[slot // self.machine.page_size], slot, "kmem_cache_alloc")
        except KernelBug:
            assert before is not None
            cache.load(before)
            for slab in cache.slabs():
                self._enter(slab)
            raise
        return slot + cache.guard.head

    def _alloc(self, cache: SlabCache24, gfp: int, cpu: int) -> int:
        """Take an object's place (__cache_alloc)."""
        array = cache.arrays[cpu] if cache.arrays else None
        if array is None:
            slab = self._source(cache) or self._grow(cache, gfp, cpu)
            return 0 if slab is None else self._take(cache, slab)
        if not array.objects and not self._refill(cache, array, gfp, cpu):
            return 0
        array.touched = True
        return array.objects.pop()

    def _refill(self, cache: SlabCache24, array: ArrayCache, gfp: int, cpu: int) -> bool:
        """Fetch a batch: from the shared array, else from slabs, else from one new slab (cache_alloc_refill)."""
        while True:
            batch = array.batchcount
            if self.rules.cold_batch and not array.touched:
                batch = min(batch, self.rules.cold_batch)
            if cache.shared is not None and cache.shared.objects:
                array.objects = cache.shared.objects[-batch:]
                del cache.shared.objects[-batch:]
                cache.shared.touched = True
                return True
            while batch and (slab := self._source(cache)) is not None:
                cache.free_touched |= slab.pfn in cache.free
                array.objects.append(self._take(cache, slab))
                batch -= 1
            if array.objects:
                return True
            if self._grow(cache, gfp, cpu) is None:
                return False

    def _source(self, cache: SlabCache24) -> OldSlab | None:
        """Return the slab that the next object comes from: the first partial one, else the first free one."""
        for slabs in (cache.partial, cache.free):
            for slab in slabs.values():
                return slab
        return None

    def _take(self, cache: SlabCache24, slab: OldSlab) -> int:
        """Take a slab's next object, and put the slab where it then belongs (kmem_cache_alloc_one_tail)."""
        address = slab.address_of(slab.free.pop())
        slab.inuse += 1
        cache.free_objects -= 1
        cache.partial.pop(slab.pfn, None)
        cache.free.pop(slab.pfn, None)
        _to_head(cache.partial if slab.free else cache.full, slab)
        return address

    def _grow(self, cache: SlabCache24, gfp: int, cpu: int) -> OldSlab | None:
        """Cut a new slab, shifted by the next colour (kmem_cache_grow)."""
        g = cache.geometry
        shift = cache.colour_next * g.colour_off
        cache.colour_next = cache.colour_next + 1 if cache.colour_next + 1 < g.colours else 0
        wanted = gfp | _DMA if "cache_dma" in cache.flags else gfp
        pfn = self.page_alloc.alloc_pages(wanted, g.order, None, cpu)
        if pfn < 0:
            return None
        descriptor = 0
        if g.off_slab:
            descriptor = self.kmem_cache_alloc(self.general_cache(g.slab_size), gfp & ~_DMA, cpu)
            if not descriptor:
                self.page_alloc.free_pages(pfn, g.order, cpu)
                return None
        base = self.page_offset + pfn * self.machine.page_size
        slab = OldSlab(cache, pfn, base, base + shift + (0 if g.off_slab else g.slab_size), descriptor)
        self._enter(slab)
        cache.grown = True
        if cache.guard.active:
            slab24_debug.fill(self, slab)
        cache.free[pfn] = slab
        cache.free_objects += g.num
        return slab

    def _pages_of(self, slab: OldSlab) -> range:
        first = slab.base // self.machine.page_size
        return range(first, first + (1 << slab.cache.geometry.order))

    def _enter(self, slab: OldSlab) -> None:
        for page in self._pages_of(slab):
            self.pages[page] = slab

    def _destroy(self, slab: OldSlab, cpu: int) -> None:
        """Give back the pages of a slab that is on no list, and its descriptor (slab_destroy)."""
        if slab.cache.guard.active:
            slab24_debug.check_slab(self, slab)
        for page in self._pages_of(slab):
            del self.pages[page]
        self.page_alloc.free_pages(slab.pfn, slab.cache.geometry.order, cpu)
        if slab.descriptor:
            self.kfree(slab.descriptor, cpu)

    # --- free -------------------------------------------------------------------------------

    def kmem_cache_free(self, cache: SlabCache24, address: int, cpu: int = 0) -> None:
        """Give an object back.

        Raises
        ------
        KernelBug
            For an address that is no object of this cache, or one that is free; nothing has changed then.
        """
        slab = self._slab_of(address)
        slot = address - cache.guard.head
        words = self.rules.words
        number = slab.index_of(slot) if slab.cache is cache else -1
        if slab.cache is not cache:
            said = words.wrong_cache.format(
                name=slab.cache.name, cache=slab.cache.address, other=cache.name, other_cache=cache.address
            )
            raise self._debugged(said, f"{address:08x} is an object of {slab.cache.name}, not of {cache.name}")
        if number < 0:
            raise self._debugged(words.no_object, f"{address:08x} is no object of {cache.name}")
        if number in slab.free or slot in cache.in_arrays():
            said = words.freed_twice_zoned if cache.guard.red_zone else words.freed_twice
            said = said.format(name=cache.name, pointer=slot, zone=slab24_debug.RED_FREE)
            raise self._debugged(said, f"{address:08x} of {cache.name} is free already")
        if cache.guard.active:
            slab24_debug.give_back(self, slab, slot, "kmem_cache_free")
        array = cache.arrays[cpu] if cache.arrays else None
        if array is None:
            self.free_block(cache, [slot], cpu)
            return
        if len(array.objects) >= array.limit:
            self._flush(cache, array, cpu)
        array.objects.append(slot)

    def _slab_of(self, address: int) -> OldSlab:
        slab = self.pages.get(address // self.machine.page_size)
        if slab is None:
            raise self._debugged(self.rules.words.bad_pointer.format(pointer=address), f"{address:08x} is in no slab")
        return slab

    def _debugged(self, said: str, plain: str) -> KernelBug:
        """Return what a kernel with CONFIG_DEBUG_SLAB says; another one says nothing."""
        return KernelBug(f"{said if self.debug else 'this kernel says nothing'} ({plain})")

    def _flush(self, cache: SlabCache24, array: ArrayCache, cpu: int) -> None:
        """Make room in a full array, a batch at once (cache_flusharray)."""
        batch = array.batchcount
        if not self.rules.oldest_leave:
            leaving = array.objects[-batch:]
            del array.objects[-batch:]
            self.free_block(cache, leaving, cpu)
            return
        room = cache.shared.limit - len(cache.shared.objects) if cache.shared is not None else 0
        if cache.shared is not None and room:
            leaving = array.objects[: min(batch, room)]
            cache.shared.objects += leaving
        else:
            leaving = array.objects[:batch]
            self.free_block(cache, leaving, cpu)
        del array.objects[: len(leaving)]

    def free_block(self, cache: SlabCache24, addresses: Iterable[int], cpu: int) -> None:
        """Put objects into their slabs, and these where they then belong (free_block)."""
        waiting = list(addresses)
        cache.free_objects += len(waiting)
        for address in waiting:
            slab = self.pages[address // self.machine.page_size]
            was_full = not slab.free
            slab.free.append(slab.index_of(address))
            slab.inuse -= 1
            cache.full.pop(slab.pfn, None)
            if not slab.inuse:
                cache.partial.pop(slab.pfn, None)
                if self.rules.frees_empty and cache.free_objects > cache.free_limit:
                    cache.free_objects -= cache.geometry.num
                    self._destroy(slab, cpu)
                else:
                    _to_head(cache.free, slab)
            elif self.rules.partial_to_tail:
                cache.partial.pop(slab.pfn, None)
                cache.partial[slab.pfn] = slab
            elif was_full:
                _to_head(cache.partial, slab)

    def _drain(self, cache: SlabCache24, cpu: int) -> None:
        """Empty all arrays (drain_cpu_caches)."""
        for array in (*cache.arrays, cache.shared):
            if array is not None:
                objects, array.objects = array.objects, []
                self.free_block(cache, objects, cpu)

    def give_back_free(self, cache: SlabCache24, cpu: int, *, most: int = -1, first: bool = False) -> None:
        """Give empty slabs back, all or some, the last of the list first (__kmem_cache_shrink_locked) or the first."""
        while cache.free and most:
            most -= 1
            _, slab = cache.free.popitem(last=not first)
            cache.free_objects -= cache.geometry.num
            self._destroy(slab, cpu)

    def kmem_cache_shrink(self, cache: SlabCache24, cpu: int = 0) -> int:
        """Give empty slabs back; returns how many slabs are left."""
        if self.rules.shrink_drains:
            self._drain(cache, cpu)
        self.give_back_free(cache, cpu)
        return sum(1 for _ in cache.slabs())

    # --- caches -------------------------------------------------------------------------------

    def kmem_cache_create(
        self, name: str, size: int, align: int = 0, flags: Iterable[str] = (), ctor: str = "", usersize: int = 0
    ) -> SlabCache24:
        """Make a cache; this allocator shares none, and asks nothing of copies to user space.

        Raises
        ------
        KernelBug
            For arguments that make no cache, a name that is taken, or a size that no slab holds.
        """
        del usersize
        wanted = frozenset(flags)
        m = self.machine
        unknown = sorted(wanted - self.rules.flags)
        refused = not name or not m.word <= size <= m.page_size << MAX_GFP_ORDER or unknown
        if refused or (self.rules.align_is_offset and not 0 <= align <= size) or align < 0:
            words = self.rules.words
            why = f"unknown flags {', '.join(unknown)}" if unknown else f"size {size}, align {align}"
            raise KernelBug(f"{(words.bad_flags if unknown else words.bad_arguments).format(name=name)} ({why})")
        if any(cache.name == name for cache in self.slab_caches):
            raise KernelBug(f"{self.rules.words.duplicate.format(name=name)} ({name} is there already)")
        guard = slab24_debug.Guard()
        if self.debug:
            guard = slab24_debug.guard_of(self.rules, size, align, wanted, ctor=bool(ctor), word=m.word)
        try:
            geometry = slab_geometry(
                self.rules, size, align, wanted, machine=m, most_off_slab=self.most_off_slab, guard=guard
            )
        except ValueError as error:
            raise KernelBug(f"kmem_cache_create: couldn't create cache {name}.") from error
        cache = SlabCache24(name, size, geometry, wanted, ctor, guard)
        cache.next_reap = self.seconds + REAPTIMEOUT_LIST3
        if self.cache_cache is not None:
            cache.address = self.kmem_cache_alloc(self.cache_cache)
        if self.up:
            self.enable_cpucache(cache)
        first = 1 if self.rules.own_cache_first and self.slab_caches else 0
        self.slab_caches.insert(first, cache)
        return cache

    def new_array(self, limit: int, batchcount: int) -> ArrayCache:
        """Allocate an array for objects (alloc_arraycache)."""
        return ArrayCache(limit, batchcount, self.kmalloc(self.rules.array_head + limit * self.machine.word))

    def enable_cpucache(self, cache: SlabCache24) -> None:
        """Give a cache arrays of the size that fits its objects; see `slab24_tune.enable`."""
        slab24_tune.enable(self, cache)

    def kmem_cache_destroy(self, cache: SlabCache24) -> None:
        """Take a cache away.

        Raises
        ------
        KernelBug
            Where objects are still in use; they stay.
        """
        if cache is self.cache_cache or cache in (each for pair in self.general for each in pair):
            raise KernelBug(f"this kernel says nothing ({cache.name} is the allocator's own cache)")
        if cache.in_use():
            raise KernelBug(self.rules.destroy_words.format(name=cache.name, pointer=cache.address))
        self._drain(cache, 0)
        self.give_back_free(cache, 0)
        self.slab_caches.remove(cache)
        for array in (*cache.arrays, cache.shared):
            if array is not None:
                self.kfree(array.address)
        if self.cache_cache is not None and cache.address:
            self.kmem_cache_free(self.cache_cache, cache.address)

    def find_cache(self, name: str) -> SlabCache24:
        """Return a cache by its name; KeyError where there is none."""
        for cache in self.slab_caches:
            if cache.name == name:
                return cache
        raise KeyError(f"no cache {name!r}")

    def caches(self) -> tuple[SlabCacheInfo, ...]:
        """Return the figures of all caches in the order of /proc/slabinfo."""
        return tuple(cache.info() for cache in self.slab_caches)

    # --- by size ------------------------------------------------------------------------------

    def general_cache(self, size: int, gfp: int = 0) -> SlabCache24:
        """Return kmalloc's cache for a size (kmem_find_general_cachep); LookupError above the largest."""
        for plain, dma in self.general:
            if size <= plain.object_size:
                return dma if gfp & _DMA else plain
        raise LookupError(size)

    def kmalloc(self, size: int, gfp: int = GFP_KERNEL, cpu: int = 0, caller: str = "") -> int:  # noqa: ARG002
        """Allocate by size; 0 above the largest cache. No bytes get the smallest object; all callers share caches."""
        if size < 0:
            raise ValueError(f"kmalloc of {size} bytes")
        try:
            cache = self.general_cache(size, gfp)
        except LookupError:
            return 0
        return self.kmem_cache_alloc(cache, gfp, cpu)

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what `kmalloc` gave; nothing for NULL.

        Raises
        ------
        KernelBug
            For an address in no slab.
        """
        if address:
            self.kmem_cache_free(self._slab_of(address).cache, address, cpu)

    def ksize(self, address: int) -> int:
        """Return how many bytes may be used behind a pointer."""
        if not address:
            return 0
        cache = self._slab_of(address).cache
        return cache.guard.length or cache.geometry.size

    # --- bytes, and keeping -------------------------------------------------------------------

    def write(self, address: int, data: bytes) -> None:
        """Write through a pointer. Nothing is checked, and nothing of the allocator lies in objects."""
        slab = self.pages.get(address // self.machine.page_size)
        if slab is None:
            raise KernelBug(f"Unable to handle kernel paging request at virtual address {address:08x}")
        total = self.machine.page_size << slab.cache.geometry.order
        at = address - slab.base
        if at + len(data) > total:
            raise ValueError(f"{len(data)} bytes at {address:#x} reach beyond the slab at {slab.base:#x}")
        if slab.data is None:
            slab.data = bytearray(total)
        slab.data[at : at + len(data)] = data

    def save(self) -> tuple[Any, ...]:
        """Return the state as plain tuples."""
        caches = tuple((cache, cache.save()) for cache in self.slab_caches)
        return caches, tuple(self.dmesg), self.online, tuple(self.users.items()), self.clock_hand, self.seconds

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned, of the same allocator."""
        caches, dmesg, self.online, users, self.clock_hand, self.seconds = saved
        self.users = dict(users)
        self.slab_caches = [cache for cache, _state in caches]
        self.pages = {}
        for cache, state in caches:
            cache.load(state)
            for slab in cache.slabs():
                self._enter(slab)
        self.dmesg = list(dmesg)


def _to_head(slabs: OrderedDict[int, OldSlab], slab: OldSlab) -> None:
    slabs[slab.pfn] = slab
    slabs.move_to_end(slab.pfn, last=False)


def check(allocator: Slab24) -> list[str]:
    """Compare lists with counters and each other; returns what disagrees, nothing where all is well."""
    wrong: list[str] = []
    pages = 0
    for cache in allocator.slab_caches:
        wrong += _check_cache(cache)
        pages += sum(1 << cache.geometry.order for _ in cache.slabs())
    if pages != len(allocator.pages):
        wrong.append(f"{len(allocator.pages)} pages, on lists {pages}")
    return wrong


def _check_cache(cache: SlabCache24) -> list[str]:
    wrong: list[str] = []
    num = cache.geometry.num
    resting: Sequence[int] = list(cache.in_arrays())
    for name, slabs in cache.lists():
        for slab in slabs.values():
            free = len(slab.free)
            fits = free == num if name == FREE_SLABS else 0 < free < num if name == PARTIAL else not free
            if not fits or slab.inuse + free != num or len(set(slab.free)) != free:
                wrong.append(f"{cache.name}: the slab at {slab.base:#x} is on {name} with {free} of {num} free")
    if cache.free_objects != sum(len(slab.free) for slab in cache.slabs()):
        wrong.append(f"{cache.name}: {cache.free_objects} free objects counted")
    if len(set(resting)) != len(resting):
        wrong.append(f"{cache.name}: an object is in two arrays")
    return wrong
