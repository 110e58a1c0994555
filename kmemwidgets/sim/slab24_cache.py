"""The tables of the older SLAB: slabs, arrays of objects, and the cache itself (mm/slab.c)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from kmemwidgets.records import SlabCacheInfo

from .slab24_debug import Guard
from .slab24_layout import SlabGeometry

#: The lists that a slab may be on, as the kernel calls them.
FULL, PARTIAL, FREE_SLABS = "slabs_full", "slabs_partial", "slabs_free"


class OldSlab:
    """struct slab: a block of pages cut into objects.

    Attributes
    ----------
    cache : SlabCache24
    pfn : int
    base, first : int
        Addresses of its first byte and of object 0.
    free : list of int
        Numbers of the free objects, the next one last.
    inuse : int
    descriptor : int
        Address of the descriptor where it lies outside, else 0.
    data : bytearray or None
        Its bytes, once somebody wrote into them.
    """

    __slots__ = ("base", "cache", "data", "descriptor", "first", "free", "inuse", "pfn")

    def __init__(self, cache: SlabCache24, pfn: int, base: int, first: int, descriptor: int = 0) -> None:
        self.cache = cache
        self.pfn = pfn
        self.base = base
        self.first = first
        self.free = list(range(cache.geometry.num - 1, -1, -1))
        self.inuse = 0
        self.descriptor = descriptor
        self.data: bytearray | None = None

    def address_of(self, number: int) -> int:
        """Return an object's address."""
        return self.first + number * self.cache.geometry.size

    def index_of(self, address: int) -> int:
        """Return the number of the object that begins at an address, -1 if none does."""
        number, rest = divmod(address - self.first, self.cache.geometry.size)
        return number if not rest and 0 <= number < self.cache.geometry.num else -1


class ArrayCache:
    """struct array_cache (2.4: cpucache_t): objects that can be had at once.

    Attributes
    ----------
    objects : list of int
        Addresses, the next one to go out last.
    limit, batchcount : int
        What it holds, and how many objects come and go at once.
    touched : bool
        Whether somebody took an object.
    address : int
        Where it lies itself; 0: in the kernel's image.
    """

    __slots__ = ("address", "batchcount", "limit", "objects", "touched")

    def __init__(self, limit: int, batchcount: int, address: int = 0) -> None:
        self.objects: list[int] = []
        self.limit = limit
        self.batchcount = batchcount
        self.touched = False
        self.address = address

    def save(self) -> tuple[Any, ...]:
        """Return the state as a plain tuple."""
        return (self.limit, self.batchcount, self.address, tuple(self.objects), self.touched)

    @classmethod
    def of(cls, saved: tuple[Any, ...]) -> ArrayCache:
        """Return the array that was saved."""
        limit, batchcount, address, objects, touched = saved
        made = cls(limit, batchcount, address)
        made.objects, made.touched = list(objects), touched
        return made


class SlabCache24:
    """struct kmem_cache_s.

    Attributes
    ----------
    name : str
    object_size : int
        What the maker asked for.
    geometry : SlabGeometry
    flags : frozenset of str
    ctor : str
        Name of the constructor, or empty.
    full, partial, free : OrderedDict of int to OldSlab
        By first pfn, head first.
    arrays : list of ArrayCache or None
        Each cpu's; None where cpus have none.
    shared : ArrayCache or None
        What all cpus share.
    free_objects, free_limit : int
        Free objects in slabs, and how many there may be before empty slabs go.
    colour_next : int
        The next slab's shift, in steps.
    address : int
        Where its own struct lies; 0: in the kernel's image.
    guard : Guard
        How it is debugged.
    grown, free_touched : bool
        Whether it got a slab, and whether it took from an empty one, since the reaper came (2.4 and 2.6).
    next_reap : int
        When its lists are looked at again (2.6).
    """

    __slots__ = (
        "address", "arrays", "colour_next", "ctor", "flags", "free", "free_limit", "free_objects", "free_touched",
        "full", "geometry", "grown", "guard", "name", "next_reap", "object_size", "partial", "shared",
    )  # fmt: skip

    def __init__(
        self, name: str, object_size: int, geometry: SlabGeometry, flags: frozenset[str] = frozenset(), ctor: str = "",
        guard: Guard | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.object_size = object_size
        self.geometry = geometry
        self.flags = flags
        self.ctor = ctor
        self.full: OrderedDict[int, OldSlab] = OrderedDict()
        self.partial: OrderedDict[int, OldSlab] = OrderedDict()
        self.free: OrderedDict[int, OldSlab] = OrderedDict()
        self.arrays: list[ArrayCache | None] = []
        self.shared: ArrayCache | None = None
        self.free_objects = 0
        self.free_limit = 0
        self.colour_next = 0
        self.address = 0
        self.guard = guard or Guard()
        self.grown = False
        self.free_touched = False
        self.next_reap = 0

    def lists(self) -> tuple[tuple[str, OrderedDict[int, OldSlab]], ...]:
        """Return the three lists by name."""
        return (PARTIAL, self.partial), (FREE_SLABS, self.free), (FULL, self.full)

    def slabs(self) -> Iterator[OldSlab]:
        """Yield all slabs."""
        for _name, slabs in self.lists():
            yield from slabs.values()

    def in_arrays(self) -> Iterator[int]:
        """Yield the objects that no slab counts as free although nobody has them."""
        for array in (*self.arrays, self.shared):
            if array is not None:
                yield from array.objects

    def in_use(self) -> int:
        """Return how many objects somebody has."""
        return sum(slab.inuse for slab in self.slabs()) - sum(1 for _ in self.in_arrays())

    def info(self) -> SlabCacheInfo:
        """Return the figures of /proc/slabinfo; objects in an array count as in use (s_show)."""
        slabs = len(self.full) + len(self.partial) + len(self.free)
        return SlabCacheInfo(
            name=self.name,
            object_size=self.object_size,
            slab_size=self.geometry.size,
            align=self.geometry.align,
            order=self.geometry.order,
            objs_per_slab=self.geometry.num,
            active_objs=sum(slab.inuse for slab in self.slabs()),
            num_objs=slabs * self.geometry.num,
            slabs=slabs,
            partial=len(self.partial),
            flags=tuple(sorted(self.flags)),
            ctor=self.ctor or None,
            active_slabs=len(self.full) + len(self.partial),
            tunables=self.tunables(),
            sharedavail=0 if self.shared is None else len(self.shared.objects),
        )

    def tunables(self) -> tuple[int, int, int]:
        """Return limit, batchcount and sharedfactor as /proc/slabinfo shows them."""
        first = self.arrays[0] if self.arrays else None
        if first is None:
            return 0, 0, 0
        shared = self.shared.limit // first.batchcount if self.shared is not None and first.batchcount else 0
        return first.limit, first.batchcount, shared

    def save(self) -> tuple[Any, ...]:
        """Return the state as plain tuples."""
        lists = tuple(
            tuple(
                (slab.pfn, slab.base, slab.first, slab.descriptor, tuple(slab.free), slab.inuse,
                 None if slab.data is None else bytes(slab.data))
                for slab in slabs.values()
            )
            for slabs in (self.full, self.partial, self.free)
        )  # fmt: skip
        arrays = tuple(None if array is None else array.save() for array in (*self.arrays, self.shared))
        reaping = (self.grown, self.free_touched, self.next_reap)
        return (lists, arrays, self.free_objects, self.free_limit, self.colour_next, reaping)

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to what `save` returned."""
        lists, arrays, self.free_objects, self.free_limit, self.colour_next, reaping = saved
        self.grown, self.free_touched, self.next_reap = reaping
        for slabs, kept in zip((self.full, self.partial, self.free), lists, strict=True):
            slabs.clear()
            for pfn, base, first, descriptor, free, inuse, data in kept:
                slab = OldSlab(self, pfn, base, first, descriptor)
                slab.free, slab.inuse = list(free), inuse
                slab.data = None if data is None else bytearray(data)
                slabs[pfn] = slab
        *own, shared = [None if array is None else ArrayCache.of(array) for array in arrays]
        self.arrays, self.shared = own, shared
