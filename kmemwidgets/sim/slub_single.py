"""Objects one at a time, from and to a node's list: caches that are debugged, and CONFIG_SLUB_TINY (mm/slub.c).

No cpu keeps a slab. The first slab of the list gives, a new one goes to its beginning, and a full one that gets an
object back to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .slab_cache import FULL, KmemCache, Slab
from .slub_stats import stat

if TYPE_CHECKING:
    from .slub import Slub


def alloc(slub: Slub, cache: KmemCache, gfp: int, cpu: int, nid: int) -> int:
    """Take an object of a kernel with CONFIG_SLUB_TINY; 0 where there are no pages (__slab_alloc_node)."""
    home = nid if nid in cache.nodes else slub.cpu_node[cpu]
    for wanted in (home, *(other for other in cache.nodes if other != home)):
        node = cache.nodes.get(wanted)
        if node is not None and node.partial:
            slab = next(iter(node.partial.values()))
            break
    else:
        fresh = slub.new_slab(cache, gfp, cpu, nid)
        if fresh is None:
            return 0
        slab = fresh
        slub.add_partial(cache.nodes[slab.nid], slab, tail=False)
    address = slab.freelist.pop()
    slab.inuse += 1
    if not slab.freelist:
        del cache.nodes[slab.nid].partial[slab.pfn]
        slab.place = FULL
    return address


def give_back(slub: Slub, slab: Slab, address: int, cpu: int) -> None:
    """Put an object back into its slab (free_to_partial_list); an empty one goes if the node has enough."""
    cache = slab.cache
    node = cache.nodes[slab.nid]
    was_full = not slab.freelist
    slab.freelist.append(address)
    slab.inuse -= 1
    spare = slab.inuse == 0 and len(node.partial) >= cache.geometry.min_partial
    if was_full:
        node.full.pop(slab.pfn, None)
        if not spare:
            slub.add_partial(node, slab, tail=True)
            stat(cache, "free_add_partial", cpu)
    elif spare:
        del node.partial[slab.pfn]
        stat(cache, "free_remove_partial", cpu)
    if spare:
        slub.discard_slab(slab, cpu)
