"""The tables of SLUB: slabs, a cache's per-cpu and per-node parts, and the cache itself (mm/slab.h)."""

from __future__ import annotations

from collections import OrderedDict

from kmemwidgets.records import SlabCacheInfo

from .slab_common import Mergeable, unique_id
from .slub_layout import DEBUG_FLAGS, CacheGeometry, ObjectLayout
from .slub_stats import Stats

#: Where a slab is: on no list and full; a cpu's; on a cpu's partial list; on a node's partial list.
FULL, CPU_SLAB, CPU_PARTIAL, NODE_PARTIAL = range(4)
PLACES = ("full", "cpu slab", "cpu partial", "node partial")


class Slab:
    """struct slab: one block of pages cut into objects.

    Attributes
    ----------
    cache : KmemCache
    base : int
        Address of its first byte.
    pfn, order, nid : int
    objects, inuse : int
        Objects it holds, and those not on `freelist`. A cpu's slab counts them all as in use.
    freelist : list of int
        Addresses of free objects; the next one to go out is the last.
    frozen : bool
        Taken off the lists by a cpu.
    place : int
        One of FULL, CPU_SLAB, CPU_PARTIAL, NODE_PARTIAL.
    cpu : int
        Whose slab or partial list it is on, -1 for none.
    free_when_put : int
        Free objects when a cpu put it aside (kernels that count these).
    data : bytearray or None
        Its bytes, where somebody looks at them: debugging, or a write through a pointer.
    """

    __slots__ = (
        "base", "cache", "cpu", "data", "free_when_put", "freelist", "frozen", "inuse", "nid", "objects", "order",
        "pfn", "place",
    )  # fmt: skip

    def __init__(self, cache: KmemCache, base: int, pfn: int, order: int, nid: int, objects: int) -> None:
        self.cache = cache
        self.base = base
        self.pfn = pfn
        self.order = order
        self.nid = nid
        self.objects = objects
        self.inuse = objects
        self.freelist: list[int] = []
        self.frozen = False
        self.place = FULL
        self.cpu = -1
        self.free_when_put = 0
        self.data: bytearray | None = None

    def object_addresses(self) -> range:
        """Return the addresses of all objects, ascending."""
        first = self.base + self.cache.layout.red_left_pad
        return range(first, first + self.objects * self.cache.layout.size, self.cache.layout.size)

    def index_of(self, address: int) -> int:
        """Return the number of the object that begins at an address, -1 if none does."""
        number, rest = divmod(address - self.base - self.cache.layout.red_left_pad, self.cache.layout.size)
        return number if rest == 0 and 0 <= number < self.objects else -1


class KmemCacheCpu:
    """struct kmem_cache_cpu: what one cpu can take without asking anybody.

    Attributes
    ----------
    slab : Slab or None
    freelist : list of int
        Free objects of `slab` that are this cpu's; the next one is the last.
    partial : list of Slab
        Slabs put aside; the next one is the last.
    sheaf, spare, rcu_free : list of int or None
        Caches with sheaves: arrays of objects, taken from the end; and what may be read until a grace period ends.
    """

    __slots__ = ("freelist", "partial", "rcu_free", "sheaf", "slab", "spare")

    def __init__(self) -> None:
        self.slab: Slab | None = None
        self.freelist: list[int] = []
        self.partial: list[Slab] = []
        self.sheaf: list[int] = []
        self.spare: list[int] | None = None
        self.rcu_free: list[int] | None = None


class KmemCacheNode:
    """struct kmem_cache_node: the partial slabs of one node.

    Attributes
    ----------
    nid : int
    partial : OrderedDict of int to Slab
        By first pfn, in list order, head first.
    full : OrderedDict of int to Slab
        Full slabs of caches that are debugged.
    nr_slabs, total_objects : int
    full_sheaves, empty_sheaves : list, int
        The barn: sheaves to exchange.
    """

    __slots__ = ("empty_sheaves", "full", "full_sheaves", "nid", "nr_slabs", "partial", "total_objects")

    def __init__(self, nid: int) -> None:
        self.nid = nid
        self.partial: OrderedDict[int, Slab] = OrderedDict()
        self.full: OrderedDict[int, Slab] = OrderedDict()
        self.nr_slabs = 0
        self.total_objects = 0
        self.full_sheaves: list[list[int]] = []
        self.empty_sheaves = 0


class KmemCache:
    """struct kmem_cache.

    Attributes
    ----------
    name : str
        The first owner's name for it; `aliases` are the others'.
    object_size, align, usersize : int
    flags : frozenset of str
    ctor : str
        Name of the constructor, or empty.
    geometry : CacheGeometry
    layout : ObjectLayout
        The geometry's.
    refcount : int
        Owners; below 0 for a cache that must not be shared.
    cpus, nodes : list
    random_seq : tuple of int
        Order in which the objects of a new slab are linked; empty: ascending.
    secret : int
        What links in free objects are mixed with; 0: plain.
    debug : bool
        Whether every request goes the slow way and is checked.
    plain : bool
        Whether the fast paths may be used: nobody debugs, watches or counts sheaves.
    stats : dict of str to list of int, or None
        With CONFIG_SLUB_STATS what each cpu did, by the file that shows it.
    address, node_addresses : int, list of int
        Where its own struct and those of its nodes live.
    """

    __slots__ = (
        "address",
        "aliases",
        "align",
        "cpus",
        "ctor",
        "debug",
        "flags",
        "geometry",
        "kmalloc",
        "layout",
        "name",
        "node_addresses",
        "nodes",
        "object_size",
        "plain",
        "random_seq",
        "refcount",
        "secret",
        "sheaf_capacity",
        "stats",
        "usersize",
    )  # fmt: skip

    def __init__(
        self, name: str, object_size: int, align: int, flags: frozenset[str], geometry: CacheGeometry,
        *, ctor: str = "", usersize: int = 0, kmalloc: bool = False, cpus: int = 1, nodes: tuple[int, ...] = (0,),
    ) -> None:  # fmt: skip
        self.name = name
        self.object_size = object_size
        self.align = align
        self.flags = flags
        self.ctor = ctor
        self.usersize = usersize
        self.kmalloc = kmalloc
        self.geometry = geometry
        self.layout: ObjectLayout = geometry.layout
        self.aliases: list[str] = []
        self.refcount = 1
        self.cpus = [KmemCacheCpu() for _ in range(cpus)]
        self.nodes = {nid: KmemCacheNode(nid) for nid in nodes}
        self.random_seq: tuple[int, ...] = ()
        self.secret = 0
        self.debug = bool(flags & DEBUG_FLAGS)
        self.sheaf_capacity = 0
        self.plain = not self.debug
        self.stats: Stats | None = None
        self.address = 0
        self.node_addresses: list[int] = []

    def mergeable(self) -> Mergeable:
        """Return the cache as merging looks at it."""
        return Mergeable(
            self.name, self.layout.size, self.align, self.flags, bool(self.ctor), bool(self.usersize), self.refcount < 0
        )

    def id(self) -> str:
        """Return the name that it has in /sys/kernel/slab once it is shared."""
        return unique_id(self.mergeable())

    def num_slabs(self) -> int:
        """Return how many slabs it has."""
        return sum(node.nr_slabs for node in self.nodes.values())

    def num_objects(self) -> int:
        """Return how many objects its slabs hold, in use or free."""
        return sum(node.total_objects for node in self.nodes.values())

    def free_in_partial(self) -> int:
        """Return the free objects of slabs on the nodes' partial lists: all that /proc/slabinfo calls free."""
        return sum(slab.objects - slab.inuse for node in self.nodes.values() for slab in node.partial.values())

    def info(self) -> SlabCacheInfo:
        """Return the figures of /proc/slabinfo and /sys/kernel/slab (mm/slub.c, get_slabinfo)."""
        total = self.num_objects()
        return SlabCacheInfo(
            name=self.name,
            object_size=self.object_size,
            slab_size=self.layout.size,
            align=self.align,
            order=self.geometry.order,
            objs_per_slab=self.geometry.objs_per_slab,
            min_partial=self.geometry.min_partial,
            cpu_partial=self.geometry.cpu_partial,
            active_objs=total - self.free_in_partial(),
            num_objs=total,
            slabs=self.num_slabs(),
            partial=sum(len(node.partial) for node in self.nodes.values()),
            aliases=tuple(self.aliases),
            flags=tuple(sorted(self.flags)),
            usersize=self.usersize,
            ctor=self.ctor or None,
            stats=None if self.stats is None else {name: tuple(row) for name, row in self.stats.items()},
        )
