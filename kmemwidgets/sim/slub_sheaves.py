"""Sheaves: per-cpu arrays of objects in front of a cache's slabs (mm/slub.c, since 6.18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import slub_bulk
from .errors import KernelBug
from .gfp import FLAGS
from .slub_stats import stat

if TYPE_CHECKING:
    from .slab_cache import KmemCache, KmemCacheCpu, KmemCacheNode
    from .slub import Slub

#: Sheaves that a node's barn holds of each kind (MAX_FULL_SHEAVES, MAX_EMPTY_SHEAVES).
MAX_SHEAVES = 10
_DIRECT_RECLAIM = FLAGS["__GFP_DIRECT_RECLAIM"]


@dataclass(slots=True)
class Sheaf:
    """A sheaf that a caller has for itself, filled in advance.

    Attributes
    ----------
    cache : KmemCache
    objects : list of int
        The next one to go out last.
    capacity : int
        The cache's, or more if more was asked for.
    """

    cache: KmemCache
    objects: list[int]
    capacity: int


def alloc(slub: Slub, cache: KmemCache, gfp: int, cpu: int) -> int:
    """Take an object from the cpu's main sheaf, or past the sheaves where none can be had (alloc_from_pcs)."""
    c = cache.cpus[cpu]
    if not c.sheaf and not _replace_empty(slub, cache, c, gfp, cpu):
        return slub.slab_alloc(cache, gfp, cpu)
    stat(cache, "alloc_cpu_sheaf", cpu)
    return c.sheaf.pop()


def _exchange_empty(slub: Slub, cache: KmemCache, c: KmemCacheCpu, cpu: int) -> bool:
    """Give a cpu whose main sheaf is empty its spare one, or a full one of the barn (barn_replace_empty_sheaf)."""
    if c.spare:
        c.sheaf, c.spare = c.spare, c.sheaf
        return True
    barn = cache.nodes[slub.cpu_node[cpu]]
    if not barn.full_sheaves:
        stat(cache, "barn_get_fail", cpu)
        return False
    stat(cache, "barn_get", cpu)
    c.sheaf = barn.full_sheaves.pop()
    barn.empty_sheaves += 1
    return True


def _replace_empty(slub: Slub, cache: KmemCache, c: KmemCacheCpu, gfp: int, cpu: int) -> bool:
    """Find a sheaf with objects for a cpu whose main one is empty (__pcs_replace_empty_main)."""
    if _exchange_empty(slub, cache, c, cpu):
        return True
    if not gfp & _DIRECT_RECLAIM:
        return False
    barn = cache.nodes[slub.cpu_node[cpu]]
    # The sheaf that is filled: the spare one, one of the barn, or a new one.
    if c.spare is not None:
        c.spare = None
    elif barn.empty_sheaves:
        barn.empty_sheaves -= 1
    else:
        stat(cache, "sheaf_alloc", cpu)
    filled = _refill(slub, cache, cache.sheaf_capacity, gfp, cpu)
    if not filled:
        stat(cache, "sheaf_free", cpu)
        return False
    barn.empty_sheaves += 1
    c.sheaf = filled
    return True


def _refill(slub: Slub, cache: KmemCache, count: int, gfp: int, cpu: int) -> list[int]:
    """Return objects for a sheaf, all or none (refill_sheaf)."""
    objects = slub_bulk.from_slabs(slub, cache, count, gfp, cpu)
    stat(cache, "sheaf_refill", cpu, len(objects))
    return objects


def alloc_bulk(slub: Slub, cache: KmemCache, count: int, gfp: int, cpu: int) -> list[int]:
    """Take several objects: what sheaves and barn hold, the rest from slabs (alloc_from_pcs_bulk); all or none."""
    c = cache.cpus[cpu]
    taken: list[int] = []
    while len(taken) < count and (c.sheaf or _exchange_empty(slub, cache, c, cpu)):
        batch = min(count - len(taken), len(c.sheaf))
        stat(cache, "alloc_cpu_sheaf", cpu, batch)
        taken += c.sheaf[-batch:]
        del c.sheaf[-batch:]
    if len(taken) < count:
        rest = slub_bulk.from_slabs(slub, cache, count - len(taken), gfp, cpu)
        if not rest:
            free_bulk(slub, cache, taken, cpu)
            return []
        taken += rest
    return taken


def free(slub: Slub, cache: KmemCache, address: int, cpu: int) -> None:
    """Put an object into the cpu's main sheaf (free_to_pcs)."""
    c = cache.cpus[cpu]
    if len(c.sheaf) >= cache.sheaf_capacity:
        _replace_full(slub, cache, c, cpu)
    stat(cache, "free_cpu_sheaf", cpu)
    c.sheaf.append(address)


def free_bulk(slub: Slub, cache: KmemCache, addresses: Sequence[int], cpu: int) -> None:
    """Put several objects into sheaves while the barn can exchange them, the rest into slabs (free_to_pcs_bulk)."""
    c = cache.cpus[cpu]
    barn = cache.nodes[slub.cpu_node[cpu]]
    remote = [each for each in addresses if slub.slabs[each >> slub.page_shift].nid != slub.cpu_node[cpu]]
    waiting = [each for each in addresses if each not in remote]
    while waiting:
        if len(c.sheaf) >= cache.sheaf_capacity and not _exchange_full(cache, c, barn, cpu):
            if c.spare is not None:
                stat(cache, "barn_put_fail", cpu)
            give_back(slub, waiting, cpu)
            break
        batch = cache.sheaf_capacity - len(c.sheaf)
        stat(cache, "free_cpu_sheaf", cpu, len(waiting[:batch]))
        c.sheaf += waiting[:batch]
        del waiting[:batch]
    give_back(slub, remote, cpu)


def _exchange_full(cache: KmemCache, c: KmemCacheCpu, barn: KmemCacheNode, cpu: int) -> bool:
    """Give a cpu whose main sheaf is full another one without making any (barn_replace_full_sheaf)."""
    if c.spare is not None and len(c.spare) < cache.sheaf_capacity:
        c.sheaf, c.spare = c.spare, c.sheaf
        return True
    if not barn.empty_sheaves or (c.spare is not None and len(barn.full_sheaves) >= MAX_SHEAVES):
        return False
    barn.empty_sheaves -= 1
    if c.spare is None:
        c.spare = c.sheaf
    else:
        stat(cache, "barn_put", cpu)
        barn.full_sheaves.append(c.sheaf)
    c.sheaf = []
    return True


def _replace_full(slub: Slub, cache: KmemCache, c: KmemCacheCpu, cpu: int) -> None:
    """Find room for a cpu whose main sheaf is full (__pcs_replace_full_main)."""
    barn = cache.nodes[slub.cpu_node[cpu]]
    if _exchange_full(cache, c, barn, cpu):
        return
    if c.spare is None:
        stat(cache, "sheaf_alloc", cpu)
        c.spare, c.sheaf = c.sheaf, []
    elif len(barn.full_sheaves) < MAX_SHEAVES:
        # With no empty sheaf in the barn a new one is made.
        stat(cache, "sheaf_alloc", cpu)
        stat(cache, "barn_put", cpu)
        barn.full_sheaves.append(c.sheaf)
        c.sheaf = []
    else:
        stat(cache, "barn_put_fail", cpu)
        _flush_unused(slub, cache, c.spare, cpu)
        c.spare, c.sheaf = c.sheaf, []


# --- freed after a grace period -----------------------------------------------------------------


def free_rcu(slub: Slub, cache: KmemCache, address: int, cpu: int) -> None:
    """Put an object into the cpu's sheaf of those that readers may still see (__kfree_rcu_sheaf)."""
    c = cache.cpus[cpu]
    if c.rcu_free is None:
        barn = cache.nodes[slub.cpu_node[cpu]]
        if c.spare is not None and not c.spare:
            c.spare = None
        elif barn.empty_sheaves:
            barn.empty_sheaves -= 1
        else:
            stat(cache, "sheaf_alloc", cpu)
        c.rcu_free = []
    stat(cache, "free_rcu_sheaf", cpu)
    c.rcu_free.append(address)
    if len(c.rcu_free) >= cache.sheaf_capacity:
        slub.rcu_waiting.append((cache, c.rcu_free, cpu, True))
        c.rcu_free = None


def rcu_done(slub: Slub, cache: KmemCache, objects: list[int], cpu: int) -> None:
    """Put a sheaf that nobody reads any more into the barn, or its objects into slabs (rcu_free_sheaf)."""
    barn = cache.nodes[slub.cpu_node[cpu]]
    if len(barn.full_sheaves) < MAX_SHEAVES:
        stat(cache, "barn_put", cpu)
        barn.full_sheaves.append(objects)
        return
    stat(cache, "barn_put_fail", cpu)
    _flush_unused(slub, cache, objects, cpu)
    if barn.empty_sheaves < MAX_SHEAVES:
        barn.empty_sheaves += 1
    else:
        stat(cache, "sheaf_free", cpu)


# --- filled in advance --------------------------------------------------------------------------


def prefill(slub: Slub, cache: KmemCache, size: int, gfp: int, cpu: int) -> Sheaf | None:
    """Give a caller a sheaf with at least `size` objects (kmem_cache_prefill_sheaf); None where there is no memory."""
    if size > cache.sheaf_capacity:
        stat(cache, "sheaf_prefill_oversize", cpu)
        objects = slub_bulk.from_slabs(slub, cache, size, gfp, cpu)
        return Sheaf(cache, objects, size) if objects else None
    c = cache.cpus[cpu]
    barn = cache.nodes[slub.cpu_node[cpu]]
    found: list[int] = []
    if c.spare is not None:
        stat(cache, "sheaf_prefill_fast", cpu)
        found, c.spare = c.spare, None
    else:
        stat(cache, "sheaf_prefill_slow", cpu)
        stat(cache, "barn_get" if barn.full_sheaves else "barn_get_fail", cpu)
        if barn.full_sheaves:
            found = barn.full_sheaves.pop()
        elif barn.empty_sheaves:
            barn.empty_sheaves -= 1
        else:
            stat(cache, "sheaf_alloc", cpu)
    if len(found) < size:
        more = _refill(slub, cache, cache.sheaf_capacity - len(found), gfp, cpu)
        if not more:
            _drop(slub, cache, found, cpu)
            return None
        found = found + more
    return Sheaf(cache, found, cache.sheaf_capacity)


def alloc_from(sheaf: Sheaf) -> int:
    """Take an object of a sheaf that was filled in advance: it never waits; 0 once it is empty."""
    return sheaf.objects.pop() if sheaf.objects else 0


def give_sheaf(slub: Slub, sheaf: Sheaf, gfp: int, cpu: int) -> None:
    """Take a sheaf back: as the cpu's spare one, filled up into the barn, or into slabs (kmem_cache_return_sheaf)."""
    cache = sheaf.cache
    c = cache.cpus[cpu]
    barn = cache.nodes[slub.cpu_node[cpu]]
    if sheaf.capacity != cache.sheaf_capacity:
        _flush_unused(slub, cache, sheaf.objects, cpu)
    elif c.spare is None:
        stat(cache, "sheaf_return_fast", cpu)
        c.spare = sheaf.objects
    else:
        stat(cache, "sheaf_return_slow", cpu)
        missing = cache.sheaf_capacity - len(sheaf.objects)
        room = len(barn.full_sheaves) < MAX_SHEAVES
        more = _refill(slub, cache, missing, gfp, cpu) if room and missing else []
        if room and len(more) == missing:
            stat(cache, "barn_put", cpu)
            barn.full_sheaves.append(sheaf.objects + more)
        else:
            _drop(slub, cache, sheaf.objects, cpu)


# --- tidying up ---------------------------------------------------------------------------------


def give_back(slub: Slub, objects: Sequence[int], cpu: int) -> None:
    """Return objects to their slabs (__kmem_cache_free_bulk)."""
    slub_bulk.to_slabs(slub, objects, cpu)


def _flush_unused(slub: Slub, cache: KmemCache, objects: Sequence[int], cpu: int) -> None:
    """Return a sheaf's objects to their slabs (sheaf_flush_unused)."""
    stat(cache, "sheaf_flush", cpu, len(objects))
    give_back(slub, objects, cpu)


def _drop(slub: Slub, cache: KmemCache, objects: Sequence[int], cpu: int) -> None:
    """Return a sheaf's objects to their slabs, and the sheaf itself (free_empty_sheaf)."""
    _flush_unused(slub, cache, objects, cpu)
    stat(cache, "sheaf_free", cpu)


def flush(slub: Slub, cache: KmemCache, cpu: int) -> None:
    """Empty a cpu's sheaves; what readers may still see waits (pcs_flush_all)."""
    c = cache.cpus[cpu]
    main, spare, rcu = c.sheaf, c.spare, c.rcu_free
    c.sheaf, c.spare, c.rcu_free = [], None, None
    if spare is not None:
        _drop(slub, cache, spare, cpu)
    _flush_unused(slub, cache, main, cpu)
    if rcu:
        slub.rcu_waiting.append((cache, rcu, cpu, False))


def empty_barn(slub: Slub, cache: KmemCache, node: KmemCacheNode, cpu: int) -> None:
    """Return what a node's full sheaves hold, the newest first (barn_shrink)."""
    sheaves, node.full_sheaves = node.full_sheaves, []
    stat(cache, "sheaf_free", cpu, node.empty_sheaves)
    node.empty_sheaves = 0
    for sheaf in reversed(sheaves):
        _drop(slub, cache, sheaf, cpu)


def check_sheaf(slub: Slub, number: int) -> Sheaf:
    """Return a sheaf that a caller has; KernelBug where nobody has it."""
    try:
        return slub.prefilled[number]
    except KeyError:
        raise KernelBug(f"BUG: kmem_cache_return_sheaf of {number}, which nobody has") from None
