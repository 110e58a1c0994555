"""A source with real slabs, for tests of what shows them."""

from __future__ import annotations

from kmemwidgets.records import Changes, Snapshot
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.slub import TABLE, SlubRules
from kmemwidgets.sim.slub import Slub
from kmemwidgets.sim.slub_view import slab_object, slabs_of


class Pages:
    """Hands out one block after the other."""

    def __init__(self):
        self.next = 0x1000

    def alloc_pages(self, gfp, order=0, nid=None, cpu=0):
        pfn = (self.next + (1 << order) - 1) >> order << order
        self.next = pfn + (1 << order)
        return pfn

    def free_pages(self, pfn, order=0, cpu=0):
        pass


class SlabBox:
    """A machine that has only SLUB."""

    def __init__(self, *, flags=(), kernel=(6, 1, 192), size=192):
        rules = pick(SlubRules, TABLE, kernel)
        self.slub = Slub(Pages(), rules, page_offset=0xFFFF888000000000, cpu_node=(0, 0), seed=3)
        self.cache = self.slub.kmem_cache_create("<i>cred</i>", size, 0, flags)
        self.other = self.slub.kmem_cache_create("big", 2048, 0, ("no_merge",))
        self.taken = [self.slub.kmem_cache_alloc(self.cache) for _ in range(30)]
        self.slub.kmem_cache_free(self.cache, self.taken[3])
        self.listeners = []
        self.verbs = {"kmem_cache_alloc": self.alloc, "kmem_cache_free": self.free}

    def alloc(self, name):
        address = self.slub.kmem_cache_alloc(self.slub.find_cache(name))
        self.tell()
        return address

    def free(self, name, address):
        self.slub.kmem_cache_free(self.slub.find_cache(name), address)
        self.tell()

    def tell(self):
        for listener in self.listeners:
            listener()

    def slabs(self, cache, most=120):
        return slabs_of(self.slub, cache, most)

    def slab_object(self, address):
        return slab_object(self.slub, address)

    def snapshot(self):
        return Snapshot("box", "x86_64", (6, 1, 192), slabs=tuple(cache.info() for cache in self.slub.slab_caches))

    def changes(self, since):
        return Changes(since + 1, (), frozenset({"slabs"}))

    def frame(self, pfn):
        raise IndexError(pfn)

    def subscribe(self, callback):
        self.listeners.append(callback)
        return lambda: self.listeners.remove(callback)
