"""Objects that are given back while somebody may still read them: kfree_rcu (mm/slab_common.c, mm/slub.c).

There are no readers here, so a grace period ends where a caller waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import slub_sheaves, slub_words

if TYPE_CHECKING:
    from .slub import Slub


def kfree_rcu(slub: Slub, address: int, cpu: int) -> None:
    """Give an object back once all present readers are done (kvfree_call_rcu).

    Raises
    ------
    KernelBug
        For what is no object.
    ValueError
        For one that waits already, which the kernel notices only with CONFIG_DEBUG_OBJECTS_RCU_HEAD.
    """
    slab = slub.slabs.get(address >> slub.page_shift)
    if slab is None or slab.index_of(address) < 0:
        # Nobody looks before it is given back, and then as kfree does.
        raise slub.no_slab(address) or slub_words.bad_rcu_pointer(slub, slab, address, cpu)
    cache = slab.cache
    waiting = [each for _cache, objects, _cpu, _full in slub.rcu_waiting for each in objects]
    waiting += [each for c in cache.cpus for each in c.rcu_free or ()]
    if address in waiting:
        raise ValueError(f"{address:#x} waits for its readers already")
    if cache.sheaf_capacity and slab.nid == slub.cpu_node[cpu]:
        slub_sheaves.free_rcu(slub, cache, address, cpu)
    else:
        slub.rcu_waiting.append((cache, [address], cpu, False))


def barrier(slub: Slub) -> None:
    """Wait until nobody reads what was given back before (kvfree_rcu_barrier)."""
    for cache in slub.slab_caches:
        for cpu, c in enumerate(cache.cpus):
            if c.rcu_free:
                slub.rcu_waiting.append((cache, c.rcu_free, cpu, False))
            c.rcu_free = None
    waiting, slub.rcu_waiting = slub.rcu_waiting, []
    for cache, objects, cpu, full in waiting:
        if full:
            slub_sheaves.rcu_done(slub, cache, objects, cpu)
        elif cache.sheaf_capacity:
            slub_sheaves.give_back(slub, objects, cpu)
        else:
            for address in objects:
                slub.kmem_cache_free(cache, address, cpu)
