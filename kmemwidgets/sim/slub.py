"""SLUB: objects from slabs, each cpu with a slab of its own (mm/slub.c).

A free list is a Python list whose last element goes out first. A slab's place and the lists it
is on are kept in step by the few functions that move slabs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kmemwidgets.records import SlabCacheInfo, Version

from . import slab_create, slub_bulk, slub_debug, slub_sheaves, slub_single, slub_words
from .errors import KernelBug
from .events import EventLog
from .gfp import GFP_KERNEL
from .oops import answer
from .rules.slub import SlubRules, get_order
from .slab_cache import CPU_PARTIAL, CPU_SLAB, FULL, NODE_PARTIAL, KmemCache, KmemCacheCpu, KmemCacheNode, Slab
from .slub_layout import Tunables
from .slub_options import SlubOptions
from .slub_pages import Pages, eager_gfp, slab_gfp
from .slub_partial import get_partial, pass_over, put_cpu_partial, unfreeze
from .slub_random import Random
from .slub_stats import asked as note_asked
from .slub_stats import stat

if TYPE_CHECKING:
    from .kmalloc import Kmalloc

#: Who, at which request, on which cpu, which task.
Track = tuple[str, int, int, int]


class Slub:
    """The slab allocator of one machine.

    Parameters
    ----------
    page_alloc : Pages
    rules : SlubRules
    tunables : Tunables
    options : SlubOptions
        What the command line asks for.
    cpu_node : sequence of int
        Node of each cpu.
    nodes : sequence of int
        Nodes with memory.
    page_offset : int
        Address of the frame with pfn 0.
    hardened, shuffled : bool
        CONFIG_SLAB_FREELIST_HARDENED and CONFIG_SLAB_FREELIST_RANDOM.
    cache_line : int
        Bytes.
    seed : int
        The machine's.
    log : EventLog or None
    counts : bool
        CONFIG_SLUB_STATS.

    Attributes
    ----------
    slab_caches : list of KmemCache
        The oldest first; shared ones once.
    slabs : dict of int to Slab
        By the number of each of its pages, counted from address 0.
    kmem_cache, kmem_cache_node : KmemCache or None
        The caches of caches; None before `slab_create.kmem_cache_init`.
    general : Kmalloc or None
        The caches of kmalloc; None before `slub_init.slab_allocator` has made them.
    up : bool
        Whether free lists may be shuffled yet (slab_state UP).
    tainted : bool
        Whether slub_debug has found damage (TAINT_BAD_PAGE).
    requests : int
        Requests to debugged caches so far: the clock of the tracks.
    version, arch, va_bits : tuple of int, str, int
        The kernel's, to name the flags of pages and to say what an access to nothing is answered with.
    vmemmap, page_bytes, direct_end : int
        Where struct pages lie, 0 where that isn't known; the bytes of one; where the direct map ends.
    tracks : dict of int to (Track, Track)
        Who took and who gave back each object of debugged caches.
    rcu_waiting : list of (KmemCache, list of int, int, bool)
        Objects given back that readers may still see: the cpu's that gave them, and whether they are a full sheaf.
    prefilled : dict of int to Sheaf
        Sheaves that callers have, by number.
    dmesg : list of str
        Reports of slub_debug and warnings, as the kernel would have printed them.
    """

    def __init__(
        self,
        page_alloc: Pages,
        rules: SlubRules,
        *,
        tunables: Tunables | None = None,
        options: SlubOptions | None = None,
        cpu_node: Sequence[int] = (0,),
        nodes: Sequence[int] = (0,),
        page_offset: int = 0,
        hardened: bool = True,
        shuffled: bool = True,
        cache_line: int = 64,
        min_align: int = 8,
        seed: int = 0,
        log: EventLog | None = None,
        counts: bool = False,
    ) -> None:
        self.page_alloc = page_alloc
        self.rules = rules
        self.tunables = tunables or Tunables(len(cpu_node), len(cpu_node))
        self.options = options or SlubOptions()
        self.cpu_node = tuple(cpu_node)
        self.node_ids = tuple(nodes)
        self.page_offset = page_offset
        self.page_shift = self.tunables.page_size.bit_length() - 1
        self.hardened = hardened
        self.shuffled = shuffled
        self.cache_line = cache_line
        self.min_align = min_align
        self.random = Random(seed)
        self.log = log
        self.counts = counts
        self.slab_caches: list[KmemCache] = []
        self.kmem_cache: KmemCache | None = None
        self.kmem_cache_node: KmemCache | None = None
        self.up = False
        self.general: Kmalloc | None = None
        self.slabs: dict[int, Slab] = {}
        self.rcu_waiting: list[tuple[KmemCache, list[int], int, bool]] = []
        self.prefilled: dict[int, slub_sheaves.Sheaf] = {}
        self.dmesg: list[str] = []
        self.tainted = False
        self.requests = 0
        self.version: Version = (6, 1)
        self.arch, self.va_bits = "x86_64", 48
        self.vmemmap, self.page_bytes, self.direct_end = 0, 64, 1 << 64
        self.tracks: dict[int, tuple[Track | None, Track | None]] = {}

    # --- allocation -------------------------------------------------------------------------

    def kmem_cache_alloc(self, cache: KmemCache, gfp: int = GFP_KERNEL, cpu: int = 0, nid: int = -1) -> int:
        """Take an object; returns its address, 0 where there are no pages left for a slab."""
        c = cache.cpus[cpu]
        if c.freelist and cache.plain and nid < 0:
            return c.freelist.pop()
        return self.alloc_watched(cache, gfp, cpu, nid)

    def alloc_watched(self, cache: KmemCache, gfp: int, cpu: int, nid: int, asked: int = 0) -> int:
        """Take an object where the fast path may not: a list ran dry, or somebody looks on."""
        if cache.debug:
            address = slub_debug.alloc(self, cache, gfp, cpu, nid, asked or cache.object_size)
        elif self.tunables.tiny:
            address = slub_single.alloc(self, cache, gfp, cpu, nid)
        elif cache.sheaf_capacity and nid < 0:
            address = slub_sheaves.alloc(self, cache, gfp, cpu)
        else:
            address = self.slab_alloc(cache, gfp, cpu, nid)
        if address and not cache.debug:
            slub_debug.note_alloc(self, cache, address)
        if self.log is not None and address:
            fields: dict[str, Any] = {
                "ptr": address, "bytes_req": asked or cache.object_size, "bytes_alloc": cache.layout.size,
                "gfp_flags": gfp, "node": nid,
            }  # fmt: skip
            self.log.note("kmem", "kmalloc" if asked else "kmem_cache_alloc", fields, cpu)
        return address

    def slab_alloc(self, cache: KmemCache, gfp: int, cpu: int, nid: int = -1, *, bulk: bool = False) -> int:
        """Take an object from the cpu's slab, or find it another one (mm/slub.c, ___slab_alloc)."""
        c = cache.cpus[cpu]
        if nid >= 0 and nid not in cache.nodes:
            nid = -1
        slab = c.slab
        fits = slab is not None and (nid < 0 or slab.nid == nid)
        note_asked(cache, cpu, fast=fits and bool(c.freelist), bulk=bulk, bulk_counts=self.rules.bulk_counts)
        if slab is not None and not fits:
            stat(cache, "alloc_node_mismatch", cpu)
            self.deactivate_slab(c, cpu)
        elif slab is not None:
            # get_freelist: what others gave back to this slab meanwhile.
            if not c.freelist and slab.freelist:
                stat(cache, "alloc_refill", cpu)
                self._load(c, slab, cpu)
            if c.freelist:
                return c.freelist.pop()
            stat(cache, "deactivate_bypass", cpu)
            slab.place, slab.frozen, slab.cpu = FULL, False, -1
            c.slab = None
        while c.partial:
            slab = c.partial.pop()
            if nid >= 0 and slab.nid != nid:
                pass_over(self, cache, c, slab, cpu)
                continue
            stat(cache, "cpu_partial_alloc", cpu)
            if self.rules.frozen_cpu_partial:
                stat(cache, "alloc_refill", cpu)
            self._load(c, slab, cpu)
            return c.freelist.pop()
        slab = get_partial(self, cache, c, cpu, nid, gfp)
        if slab is None:
            slab = self.new_slab(cache, gfp, cpu, nid)
            if slab is None:
                return 0
            stat(cache, "alloc_slab", cpu)
        self._load(c, slab, cpu)
        return c.freelist.pop()

    def next_object(self, cache: KmemCache, cpu: int = 0) -> int:
        """Tell which object the next request on a cpu would get; 0 where a new slab would be cut for it."""
        c = cache.cpus[cpu]
        if c.freelist:
            return c.freelist[-1]
        if c.slab is not None and c.slab.freelist:
            return c.slab.freelist[-1]
        if c.partial:
            return c.partial[-1].freelist[-1]
        node = cache.nodes.get(self.cpu_node[cpu])
        return next(iter(node.partial.values())).freelist[-1] if node is not None and node.partial else 0

    def _load(self, c: KmemCacheCpu, slab: Slab, cpu: int) -> None:
        """Give a cpu a slab with all its free objects."""
        c.slab = slab
        c.freelist, slab.freelist = slab.freelist, []
        slab.inuse = slab.objects
        slab.place, slab.frozen, slab.cpu = CPU_SLAB, True, cpu

    def new_slab(self, cache: KmemCache, gfp: int, cpu: int, nid: int = -1) -> Slab | None:
        """Cut pages into objects (mm/slub.c, allocate_slab)."""
        order = cache.geometry.order
        wanted = nid if nid >= 0 else None
        least = get_order(cache.layout.size, self.tunables.page_size)
        pfn = self.page_alloc.alloc_pages(
            eager_gfp(slab_gfp(gfp, cache.flags, order), may_shrink=order > least), order, wanted, cpu
        )
        if pfn < 0 and order > least:
            order = least
            stat(cache, "order_fallback", cpu)
            pfn = self.page_alloc.alloc_pages(slab_gfp(gfp, cache.flags, order), order, wanted, cpu)
        if pfn < 0:
            return None
        slab = self.add_slab(cache, pfn, order, self.node_of(pfn, nid if nid >= 0 else self.cpu_node[cpu]))
        slab.freelist = self._new_freelist(cache, slab)
        slab.inuse = 0
        if cache.debug:
            slub_debug.setup_slab(self, slab)
        return slab

    def add_slab(self, cache: KmemCache, pfn: int, order: int, nid: int) -> Slab:
        """Enter pages as a slab, all of whose objects are in use."""
        objects = (self.tunables.page_size << order) // cache.layout.size
        slab = Slab(cache, self.page_offset + (pfn << self.page_shift), pfn, order, nid, objects)
        first = slab.base >> self.page_shift
        for page in range(first, first + (1 << order)):
            self.slabs[page] = slab
        node = cache.nodes.get(nid) or next(iter(cache.nodes.values()))
        slab.nid = node.nid
        node.nr_slabs += 1
        node.total_objects += objects
        return slab

    def node_of(self, pfn: int, wanted: int) -> int:
        """Return the node of a page; a page allocator that knows its zones is asked."""
        zone_of = getattr(self.page_alloc, "zone_of", None)
        return int(zone_of(pfn).zone.nid) if zone_of is not None else wanted

    def _new_freelist(self, cache: KmemCache, slab: Slab) -> list[int]:
        """Link a new slab's objects: in the cache's random order from a random place on, or ascending."""
        addresses = slab.object_addresses()
        if not cache.random_seq or slab.objects < 2:
            return list(reversed(addresses))
        sequence = cache.random_seq
        start = self.random.below(len(sequence))
        order = [index for index in (*sequence[start:], *sequence[:start]) if index < slab.objects]
        return [addresses[index] for index in reversed(order)]

    # --- free -------------------------------------------------------------------------------

    def kmem_cache_free(self, cache: KmemCache, address: int, cpu: int = 0) -> None:
        """Give an object back.

        Raises
        ------
        KernelBug
            What the kernel would say of such a pointer; nothing has changed then.
        ValueError
            For an address inside an object, which this kernel would not notice.
        """
        slab = self.slabs.get(address >> self.page_shift)
        c = cache.cpus[cpu]
        if slab is None or slab is not c.slab or not cache.plain:
            self._free_watched(cache, slab, address, cpu)
            return
        if slab.index_of(address) < 0:
            self._refuse(cache, slab, address)
        freelist = c.freelist
        if freelist and freelist[-1] == address and self.hardened:
            raise slub_words.freed_twice(cache, address)
        freelist.append(address)

    def _free_watched(self, cache: KmemCache, slab: Slab | None, address: int, cpu: int) -> None:
        if slab is None:
            raise self.no_slab(address) or slub_words.no_slab_page(self, cpu)
        if slab.cache is not cache:
            slub_words.wrong_cache(self, cache, slab, address, cpu)
            cache = slab.cache
        if cache.debug:
            slub_debug.free(self, cache, slab, address, cpu)
        else:
            if slab.index_of(address) < 0:
                self._refuse(cache, slab, address)
            head = cache.cpus[cpu].freelist if slab is cache.cpus[cpu].slab else slab.freelist
            if self.hardened and head and head[-1] == address:
                raise slub_words.freed_twice(cache, address)
            slub_debug.note_free(self, slab, address)
            if cache.sheaf_capacity and slab.nid == self.cpu_node[cpu]:
                slub_sheaves.free(self, cache, address, cpu)
            else:
                self.slab_free(cache, slab, [address], cpu)
        if self.log is not None:
            self.log.note("kmem", "kmem_cache_free", {"ptr": address, "name": cache.name}, cpu)

    def fault(self, address: int) -> KernelBug:
        """Return the kernel's answer to an access to an address behind which there is nothing."""
        return KernelBug(answer(self.version, self.arch, self.va_bits, address))

    def no_slab(self, address: int) -> KernelBug | None:
        """Return what becomes of a kernel that looks for the struct page of an address outside its direct map."""
        if self.page_offset <= address < self.direct_end:
            return None
        word = self.tunables.word
        mask = (1 << 8 * word) - 1
        pfn = (address - self.page_offset & mask) >> self.page_shift
        # Its second word is read: whether it belongs to a larger page (compound_head).
        return self.fault(self.vmemmap + pfn * self.page_bytes + word & mask)

    def _refuse(self, cache: KmemCache, slab: Slab, address: int) -> None:
        number = (address - slab.base - cache.layout.red_left_pad) // cache.layout.size
        raise ValueError(
            f"{address:#x} is no object of {cache.name}; the kernel notices that only with slub_debug=F"
            f" (object {number} of the slab at {slab.base:#x})"
        )

    def slab_free(self, cache: KmemCache, slab: Slab, objects: list[int], cpu: int) -> None:
        """Put objects of one slab back, the last one on top (do_slab_free)."""
        c = cache.cpus[cpu]
        if self.tunables.tiny:
            for address in objects:
                slub_single.give_back(self, slab, address, cpu)
        elif slab is c.slab:
            stat(cache, "free_fastpath", cpu, len(objects) if self.rules.counts_freed_objects else 1)
            c.freelist.extend(objects)
        else:
            self._slab_free_slow(cache, slab, objects, cpu)

    def _slab_free_slow(self, cache: KmemCache, slab: Slab, objects: list[int], cpu: int) -> None:
        """Put objects back into a slab that isn't this cpu's (__slab_free)."""
        stat(cache, "free_slowpath", cpu)
        was_full = not slab.freelist
        slab.freelist.extend(objects)
        slab.inuse -= len(objects)
        if slab.place in (CPU_SLAB, CPU_PARTIAL):
            if slab.frozen:
                stat(cache, "free_frozen", cpu)
            return
        if was_full and cache.geometry.cpu_partial:
            stat(cache, "cpu_partial_free", cpu)
            put_cpu_partial(self, cache, cache.cpus[cpu], slab, cpu, drain=True)
            return
        node = cache.nodes[slab.nid]
        if slab.inuse <= 0 and len(node.partial) >= cache.geometry.min_partial:
            if not was_full:
                del node.partial[slab.pfn]
                stat(cache, "free_remove_partial", cpu)
            self.discard_slab(slab, cpu)
        elif was_full:
            self.add_partial(node, slab, tail=True)
            stat(cache, "free_add_partial", cpu)

    def add_partial(self, node: KmemCacheNode, slab: Slab, *, tail: bool) -> None:
        """Put a slab on its node's list."""
        slab.place, slab.frozen, slab.cpu = NODE_PARTIAL, False, -1
        node.partial[slab.pfn] = slab
        if not tail:
            node.partial.move_to_end(slab.pfn, last=False)

    def deactivate_slab(self, c: KmemCacheCpu, cpu: int = 0) -> None:
        """Take a cpu's slab from it, with what is left on its list (deactivate_slab)."""
        slab = c.slab
        if slab is None:
            return
        remote = bool(slab.freelist)
        if remote:
            stat(slab.cache, "deactivate_remote_frees", cpu)
        rest = c.freelist[::-1] if self.rules.deactivate_reverses else c.freelist
        slab.freelist = slab.freelist + rest
        slab.inuse = slab.objects - len(slab.freelist)
        c.slab, c.freelist = None, []
        slab.frozen, slab.cpu = False, -1
        node = slab.cache.nodes[slab.nid]
        if slab.inuse <= 0 and len(node.partial) >= slab.cache.geometry.min_partial:
            stat(slab.cache, "deactivate_empty", cpu)
            self.discard_slab(slab, cpu)
        elif slab.freelist:
            self.add_partial(node, slab, tail=remote)
            stat(slab.cache, "deactivate_to_tail" if remote else "deactivate_to_head", cpu)
        else:
            slab.place = FULL
            stat(slab.cache, "deactivate_full", cpu)

    def discard_slab(self, slab: Slab, cpu: int) -> None:
        """Give a slab's pages back."""
        stat(slab.cache, "free_slab", cpu)
        self.forget_slab(slab)
        self.page_alloc.free_pages(slab.pfn, slab.order, cpu)

    def forget_slab(self, slab: Slab) -> None:
        """Strike a slab, which is on no list, from the tables."""
        first = slab.base >> self.page_shift
        for page in range(first, first + (1 << slab.order)):
            del self.slabs[page]
        node = slab.cache.nodes[slab.nid]
        node.nr_slabs -= 1
        node.total_objects -= slab.objects

    # --- several at once, and tidying up ------------------------------------------------------

    def kmem_cache_alloc_bulk(self, cache: KmemCache, count: int, gfp: int = GFP_KERNEL, cpu: int = 0) -> list[int]:
        """Take several objects, or none; see `slub_bulk.alloc`."""
        return slub_bulk.alloc(self, cache, count, gfp, cpu)

    def kmem_cache_free_bulk(self, cache: KmemCache, addresses: Iterable[int], cpu: int = 0) -> None:
        """Give several objects back; see `slub_bulk.free`."""
        slub_bulk.free(self, cache, addresses, cpu)

    def flush_cpu(self, cache: KmemCache, cpu: int) -> None:
        """Take a cpu's slabs from it (flush_slab, unfreeze_partials)."""
        c = cache.cpus[cpu]
        if cache.sheaf_capacity:
            slub_sheaves.flush(self, cache, cpu)
        if c.slab is not None:
            stat(cache, "cpuslab_flush", cpu)
        self.deactivate_slab(c, cpu)
        moved, c.partial = c.partial, []
        unfreeze(self, cache, moved, cpu)

    def kmem_cache_shrink(self, cache: KmemCache, cpu: int = 0) -> int:
        """Give all empty slabs back, and sort the rest by fullness; see `slub_bulk.shrink`."""
        return slub_bulk.shrink(self, cache, cpu)

    # --- caches -------------------------------------------------------------------------------

    def kmem_cache_create(
        self, name: str, size: int, align: int = 0, flags: Iterable[str] = (), ctor: str = "", usersize: int = 0
    ) -> KmemCache:
        """Make a cache, or find one to share; see `slab_create.create`."""
        return slab_create.create(self, name, size, align, frozenset(flags), ctor=ctor, usersize=usersize)

    def kmem_cache_destroy(self, cache: KmemCache) -> None:
        """Take a cache away; see `slab_create.destroy`."""
        slab_create.destroy(self, cache)

    def kmalloc(self, size: int, gfp: int = GFP_KERNEL, cpu: int = 0, caller: str = "") -> int:
        """Allocate by size; see `Kmalloc.kmalloc`."""
        return self._kmalloc_caches().kmalloc(size, gfp, cpu, caller=caller)

    def kfree(self, address: int, cpu: int = 0) -> None:
        """Give back what `kmalloc` gave; see `Kmalloc.kfree`."""
        self._kmalloc_caches().kfree(address, cpu)

    def _kmalloc_caches(self) -> Kmalloc:
        if self.general is None:
            raise KernelBug("kernel BUG at mm/slab_common.c: kmalloc before kmem_cache_init")
        return self.general

    def caches(self) -> tuple[SlabCacheInfo, ...]:
        """Return the figures of all caches in the order of /proc/slabinfo: the newest first."""
        return tuple(cache.info() for cache in reversed(self.slab_caches))

    def find_cache(self, name: str) -> KmemCache:
        """Return the cache that a name stands for, a shared one too; KeyError where there is none."""
        for cache in self.slab_caches:
            if name == cache.name or name in cache.aliases:
                return cache
        raise KeyError(f"no cache {name!r}")

    def warn(self, text: str) -> None:
        """Print a line to the kernel's log."""
        self.dmesg.append(text)
