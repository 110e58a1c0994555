"""Making caches, sharing them, taking them away, and the first ones of a boot (mm/slab_common.c, mm/slub.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import slub_rcu, slub_words
from .errors import KernelBug
from .rules.slub import get_order
from .slab_cache import KmemCache
from .slab_common import Mergeable, find_mergeable
from .slub_layout import CacheGeometry, cache_geometry, calculate_alignment, calculate_sizes
from .slub_options import METADATA_DEBUG
from .slub_stats import stat, zeroes

if TYPE_CHECKING:
    from .slub import Slub

#: Flags that a creator may give, by the name that they have in /sys/kernel/slab where they have one.
PERMITTED_FLAGS = frozenset(
    {
        "sanity_checks", "red_zone", "poison", "store_user", "trace", "failslab", "hwcache_align", "cache_dma",
        "cache_dma32", "reclaim_account", "account", "destroy_by_rcu", "noleaktrace", "no_merge",
    }
)  # fmt: skip
#: include/linux/slab.h, KMALLOC_MAX_SIZE: the largest block of the page allocator with 4 KiB pages.
KMALLOC_MAX_SIZE = 4 << 20


def geometry_of(
    slub: Slub, name: str, size: int, align: int, flags: frozenset[str], *, ctor: bool, kmalloc: bool
) -> tuple[CacheGeometry, frozenset[str]]:
    """Lay out a cache; returns its geometry and the flags that were kept (mm/slub.c, kmem_cache_open)."""

    def lay_out(kept: frozenset[str]) -> CacheGeometry:
        layout = calculate_sizes(
            slub.rules, size, align, kept, ctor=ctor, kmalloc=kmalloc, name=name, word=slub.tunables.word
        )
        return cache_geometry(slub.rules, layout, kept, slub.tunables)

    geometry = lay_out(flags)
    page = slub.tunables.page_size
    if slub.options.keep_low_order and get_order(geometry.layout.size, page) > get_order(size, page):
        flags -= METADATA_DEBUG
        geometry = lay_out(flags)
    return geometry, flags


def create(
    slub: Slub,
    name: str,
    size: int,
    align: int,
    flags: frozenset[str],
    *,
    ctor: str = "",
    usersize: int = 0,
    kmalloc: bool = False,
    exempt: bool = False,
) -> KmemCache:
    """Make a cache, or add a name to one that serves as well (kmem_cache_create_usercopy).

    Raises
    ------
    KernelBug
        Where the kernel refuses.
    """
    unknown = sorted(flags - PERMITTED_FLAGS)
    if unknown or not name or not 0 < size <= KMALLOC_MAX_SIZE or align & (align - 1):
        why = f"unknown flags {', '.join(unknown)}" if unknown else f"name {name!r}, size {size}, align {align}"
        raise KernelBug(f"{slub.rules.create_function}({name}) failed with error -22: {why}")
    word = slub.tunables.word
    align = calculate_alignment(align, size, slub.cache_line, hwcache="hwcache_align" in flags, word=word)
    flags |= slub.options.debug_flags(name)
    if slub.tunables.tiny:
        # With CONFIG_SLUB_TINY there is no such flag.
        flags -= {"reclaim_account"}
    if slub.rules.sheaf_capacity(name):
        flags |= {"no_merge"}
    wanted = Mergeable(name, size, align, flags, bool(ctor), bool(usersize), exempt)
    found = find_mergeable(
        wanted, (cache.mergeable() for cache in slub.slab_caches), word=word, merge=slub.options.merge
    )
    if found is not None:
        shared = slub.slab_caches[found]
        shared.refcount += 1
        shared.aliases.append(name)
        shared.object_size = max(shared.object_size, size)
        return shared
    geometry, flags = geometry_of(slub, name, size, align, flags, ctor=bool(ctor), kmalloc=kmalloc)
    if geometry.order < 0:
        why = f"no slab holds {geometry.layout.size} bytes"
        raise KernelBug(f"{slub.rules.create_function}({name}) failed with error -22: {why}")
    cache = KmemCache(
        name, size, align, flags, geometry, ctor=ctor, usersize=usersize, kmalloc=kmalloc, cpus=len(slub.cpu_node),
        nodes=slub.node_ids,
    )  # fmt: skip
    if exempt:
        cache.refcount = -1
    cache.sheaf_capacity = 0 if cache.debug or slub.tunables.tiny else slub.rules.sheaf_capacity(name)
    watched = slub.log is not None or slub.counts or slub.tunables.tiny
    cache.plain = not cache.debug and not cache.sheaf_capacity and not watched
    if slub.counts:
        cache.stats = zeroes(slub.rules.stats, len(slub.cpu_node))
        if cache.sheaf_capacity:
            # init_percpu_sheaves: each cpu begins with an empty one.
            stat(cache, "sheaf_alloc", 0, len(slub.cpu_node))
    cache.secret = slub.random.next() if slub.hardened else 0
    if slub.shuffled and slub.up:
        cache.random_seq = slub.random.permutation(geometry.objs_per_slab)
    _take_structs(slub, cache)
    slub.slab_caches.append(cache)
    return cache


def _take_structs(slub: Slub, cache: KmemCache) -> None:
    """Allocate struct kmem_cache and its nodes from the two caches that hold them, once these exist."""
    if slub.kmem_cache is not None:
        cache.address = slub.kmem_cache_alloc(slub.kmem_cache)
    if slub.kmem_cache_node is not None:
        cache.node_addresses = [
            slub.kmem_cache_alloc(slub.kmem_cache_node, nid=nid if len(slub.node_ids) > 1 else -1)
            for nid in slub.node_ids
        ]


def destroy(slub: Slub, cache: KmemCache) -> None:
    """Take one name off a cache, and the cache itself with the last (kmem_cache_destroy).

    Raises
    ------
    KernelBug
        Where objects are still in use; the cache stays as it was.
    """
    if cache.refcount < 0:
        raise KernelBug(f"this kernel says nothing ({cache.name} is the allocator's own cache)")
    if cache.refcount > 1:
        cache.refcount -= 1
        if cache.aliases:
            cache.aliases.pop()
        return
    if objects_held(slub, cache):
        raise slub_words.objects_left(slub, cache)
    slub_rcu.barrier(slub)
    slub.kmem_cache_shrink(cache)
    slub.slab_caches.remove(cache)
    if slub.kmem_cache_node is not None:
        for address in cache.node_addresses:
            slub.kmem_cache_free(slub.kmem_cache_node, address)
    if slub.kmem_cache is not None and cache.address:
        slub.kmem_cache_free(slub.kmem_cache, cache.address)


def objects_in_use(cache: KmemCache) -> int:
    """Count a cache's objects that are on no free list."""
    free = 0
    for c in cache.cpus:
        free += len(c.freelist) + len(c.sheaf) + len(c.spare or ()) + len(c.rcu_free or ())
        free += len(c.slab.freelist) if c.slab else 0
        free += sum(len(slab.freelist) for slab in c.partial)
    for node in cache.nodes.values():
        free += sum(len(slab.freelist) for slab in node.partial.values())
        free += sum(len(sheaf) for sheaf in node.full_sheaves)
    return cache.num_objects() - free


def objects_held(slub: Slub, cache: KmemCache) -> int:
    """Count a cache's objects that somebody has, those left out that only wait for their last readers."""
    return objects_in_use(cache) - sum(len(objects) for owner, objects, *_ in slub.rcu_waiting if owner is cache)


def kmem_cache_init(slub: Slub, cache_size: int = 216, node_size: int = 64) -> None:
    """Make the two caches that every other one needs (mm/slub.c, kmem_cache_init).

    Parameters
    ----------
    slub : Slub
    cache_size, node_size : int
        Bytes of struct kmem_cache without its array of nodes, and of struct kmem_cache_node.
    """
    # The first slab of nodes is used before it has a cpu: its first object is taken by hand.
    nodes = create(slub, "kmem_cache_node", node_size, slub.min_align, frozenset({"hwcache_align"}), exempt=True)
    for nid in slub.node_ids:
        nodes.node_addresses.append(_early_node(slub, nodes, nid))
    slub.kmem_cache_node = nodes
    size = cache_size + len(slub.node_ids) * slub.tunables.word
    caches = create(slub, "kmem_cache", size, slub.min_align, frozenset({"hwcache_align"}), exempt=True)
    slub.kmem_cache = caches
    # bootstrap: both structs were static until now and move into objects of their own.
    for cache in (caches, nodes):
        cache.address = slub.kmem_cache_alloc(caches)
        slub.flush_cpu(cache, 0)
    slub.slab_caches[:] = [caches, nodes]


def _early_node(slub: Slub, nodes: KmemCache, nid: int) -> int:
    """early_kmem_cache_node_alloc: an object from a slab that no cpu has yet."""
    slab = slub.new_slab(nodes, 0, 0, nid)
    if slab is None:
        raise KernelBug("kernel BUG at mm/slub.c: no page for the first slab")
    address = slab.freelist.pop()
    slab.inuse = 1
    slub.add_partial(nodes.nodes[slab.nid], slab, tail=False)
    return address


def slab_up(slub: Slub) -> None:
    """Give the caches made so far their random order (init_freelist_randomization)."""
    slub.up = True
    if slub.shuffled:
        for cache in slub.slab_caches:
            cache.random_seq = slub.random.permutation(cache.geometry.objs_per_slab)
