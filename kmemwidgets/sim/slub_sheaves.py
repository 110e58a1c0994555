"""Sheaves: per-cpu arrays of objects in front of a cache's slabs (mm/slub.c, since 6.18)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .gfp import FLAGS

if TYPE_CHECKING:
    from .slab_cache import KmemCache, KmemCacheCpu, KmemCacheNode
    from .slub import Slub

#: Sheaves that a node's barn holds of each kind (MAX_FULL_SHEAVES, MAX_EMPTY_SHEAVES).
MAX_SHEAVES = 10
_DIRECT_RECLAIM = FLAGS["__GFP_DIRECT_RECLAIM"]


def alloc(slub: Slub, cache: KmemCache, gfp: int, cpu: int) -> int:
    """Take an object from the cpu's main sheaf, or past the sheaves where none can be had (alloc_from_pcs)."""
    c = cache.cpus[cpu]
    if not c.sheaf and not _replace_empty(slub, cache, c, gfp, cpu):
        return slub.slab_alloc(cache, gfp, cpu)
    return c.sheaf.pop()


def _replace_empty(slub: Slub, cache: KmemCache, c: KmemCacheCpu, gfp: int, cpu: int) -> bool:
    """Find a sheaf with objects for a cpu whose main one is empty (__pcs_replace_empty_main)."""
    if c.spare:
        c.sheaf, c.spare = c.spare, c.sheaf
        return True
    barn = cache.nodes[slub.cpu_node[cpu]]
    if barn.full_sheaves:
        c.sheaf = barn.full_sheaves.pop()
        barn.empty_sheaves = min(barn.empty_sheaves + 1, MAX_SHEAVES)
        return True
    if not gfp & _DIRECT_RECLAIM:
        return False
    filled: list[int] = []
    for _ in range(cache.sheaf_capacity):
        address = slub.slab_alloc(cache, gfp, cpu)
        if not address:
            break
        filled.append(address)
    if not filled:
        return False
    if c.spare is None:
        barn.empty_sheaves = max(barn.empty_sheaves - 1, 0)
        c.spare = c.sheaf
    c.sheaf = filled
    return True


def free(slub: Slub, cache: KmemCache, address: int, cpu: int) -> None:
    """Put an object into the cpu's main sheaf (free_to_pcs)."""
    c = cache.cpus[cpu]
    if len(c.sheaf) >= cache.sheaf_capacity:
        _replace_full(slub, cache, c, cpu)
    c.sheaf.append(address)


def _replace_full(slub: Slub, cache: KmemCache, c: KmemCacheCpu, cpu: int) -> None:
    """Find room for a cpu whose main sheaf is full (__pcs_replace_full_main)."""
    barn = cache.nodes[slub.cpu_node[cpu]]
    if c.spare is None:
        barn.empty_sheaves = max(barn.empty_sheaves - 1, 0)
        c.spare, c.sheaf = c.sheaf, []
    elif len(c.spare) < cache.sheaf_capacity:
        c.sheaf, c.spare = c.spare, c.sheaf
    elif len(barn.full_sheaves) < MAX_SHEAVES:
        # With no empty sheaf in the barn a new one is made.
        barn.empty_sheaves = max(barn.empty_sheaves - 1, 0)
        barn.full_sheaves.append(c.sheaf)
        c.sheaf = []
    else:
        give_back(slub, cache, c.spare, cpu)
        c.spare, c.sheaf = c.sheaf, []


def give_back(slub: Slub, cache: KmemCache, objects: list[int], cpu: int) -> None:
    """Return a sheaf's objects to their slabs (sheaf_flush_unused)."""
    for address in reversed(objects):
        slub.slab_free(cache, slub.slabs[address >> slub.page_shift], [address], cpu)


def flush(slub: Slub, cache: KmemCache, cpu: int) -> None:
    """Empty a cpu's sheaves (pcs_flush_all)."""
    c = cache.cpus[cpu]
    main, spare = c.sheaf, c.spare
    c.sheaf, c.spare = [], None
    give_back(slub, cache, main, cpu)
    give_back(slub, cache, spare or [], cpu)


def empty_barn(slub: Slub, cache: KmemCache, node: KmemCacheNode, cpu: int) -> None:
    """Return what a node's full sheaves hold (barn_shrink)."""
    sheaves, node.full_sheaves = node.full_sheaves, []
    node.empty_sheaves = 0
    for sheaf in sheaves:
        give_back(slub, cache, sheaf, cpu)
