"""Several objects at once, which leave no event, and tidying up (mm/slub.c)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import slub_debug, slub_sheaves, slub_single, slub_words
from .slab_cache import KmemCache, Slab

if TYPE_CHECKING:
    from .slub import Slub

#: Slabs with up to so many free objects are sorted by kmem_cache_shrink (SHRINK_PROMOTE_MAX).
SHRINK_PROMOTE_MAX = 32


def alloc(slub: Slub, cache: KmemCache, count: int, gfp: int, cpu: int) -> list[int]:
    """Take several objects, or none (kmem_cache_alloc_bulk)."""
    if cache.sheaf_capacity:
        return slub_sheaves.alloc_bulk(slub, cache, count, gfp, cpu)
    if cache.debug or slub.tunables.tiny:
        return _one_by_one(slub, cache, count, gfp, cpu)
    return from_slabs(slub, cache, count, gfp, cpu)


def _one_by_one(slub: Slub, cache: KmemCache, count: int, gfp: int, cpu: int) -> list[int]:
    taken: list[int] = []
    for _ in range(count):
        if cache.debug:
            address = slub_debug.alloc(slub, cache, gfp, cpu, -1, cache.object_size)
        else:
            address = slub_single.alloc(slub, cache, gfp, cpu, -1)
        if not address:
            slub.kmem_cache_free_bulk(cache, taken, cpu)
            return []
        taken.append(address)
    return taken


def from_slabs(slub: Slub, cache: KmemCache, count: int, gfp: int, cpu: int) -> list[int]:
    """Take several objects past the sheaves, or none (__kmem_cache_alloc_bulk)."""
    taken: list[int] = []
    for _ in range(count):
        address = slub.slab_alloc(cache, gfp, cpu, bulk=True)
        if not address:
            to_slabs(slub, taken, cpu)
            return []
        slub_debug.note_alloc(slub, cache, address)
        taken.append(address)
    return taken


def free(slub: Slub, cache: KmemCache, addresses: Iterable[int], cpu: int) -> None:
    """Give several objects back (kmem_cache_free_bulk)."""
    waiting = list(addresses)
    for address in waiting:
        slab = slub.slabs.get(address >> slub.page_shift)
        if slab is None or slab.index_of(address) < 0:
            raise slub_words.no_slab_page(slub, cpu) if slab is None else slub_words.inside(slab, address)
    if cache.sheaf_capacity:
        slub_sheaves.free_bulk(slub, cache, waiting, cpu)
    elif cache.debug:
        for address in reversed(waiting):
            slub_debug.free(slub, cache, slub.slabs[address >> slub.page_shift], address, cpu)
    else:
        to_slabs(slub, waiting, cpu)


def to_slabs(slub: Slub, addresses: Iterable[int], cpu: int) -> None:
    """Put several objects into their slabs, those of one slab together (build_detached_freelist)."""
    waiting = list(addresses)
    while waiting:
        slab = slub.slabs[waiting[-1] >> slub.page_shift]
        chain = [waiting.pop()]
        same = size = len(waiting)
        lookahead = 3
        while size:
            size -= 1
            if slub.slabs[waiting[size] >> slub.page_shift] is slab:
                chain.append(waiting[size])
                same -= 1
                waiting[size], waiting[same] = waiting[same], waiting[size]
            else:
                lookahead -= 1
                if not lookahead:
                    break
        del waiting[same:]
        if slab.data is None:
            slub.slab_free(slab.cache, slab, chain, cpu)
            continue
        for address in chain:
            slub_debug.note_free(slub, slab, address)
            slub.slab_free(slab.cache, slab, [address], cpu)


def shrink(slub: Slub, cache: KmemCache, cpu: int) -> int:
    """Give all empty slabs back, and sort the rest by fullness; returns how many slabs are left in use."""
    if cache.sheaf_capacity:
        for node in cache.nodes.values():
            slub_sheaves.empty_barn(slub, cache, node, cpu)
    for each in range(len(cache.cpus)):
        slub.flush_cpu(cache, each)
    left = 0
    for node in cache.nodes.values():
        by_free: dict[int, list[Slab]] = {}
        rest: list[Slab] = []
        for slab in list(node.partial.values()):
            free = slab.objects - slab.inuse
            if free == slab.objects:
                del node.partial[slab.pfn]
                slub.discard_slab(slab, cpu)
            elif free <= SHRINK_PROMOTE_MAX:
                by_free.setdefault(free, []).insert(0, slab)
            else:
                rest.append(slab)
        node.partial.clear()
        for slab in [*(slab for free in sorted(by_free) for slab in by_free[free]), *rest]:
            node.partial[slab.pfn] = slab
        left += node.nr_slabs
    return left
