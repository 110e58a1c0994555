"""Slabs that a cpu puts aside, and those that it takes from the nodes' lists (mm/slub.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .gfp import FLAGS
from .slab_cache import CPU_PARTIAL, KmemCache, KmemCacheCpu, KmemCacheNode, Slab
from .slub_stats import stat

if TYPE_CHECKING:
    from .slub import Slub

#: remote_node_defrag_ratio as it is kept: ten times what sysfs shows.
REMOTE_DEFRAG_RATIO = 1000

_THISNODE = FLAGS["__GFP_THISNODE"]


def pass_over(slub: Slub, cache: KmemCache, c: KmemCacheCpu, slab: Slab, cpu: int) -> None:
    """Give a slab of the cpu's partial list, which is of another node than the wanted one, back to its node."""
    if not slub.rules.frozen_cpu_partial:
        unfreeze(slub, cache, [slab], cpu)
        return
    stat(cache, "cpu_partial_alloc", cpu)
    stat(cache, "alloc_node_mismatch", cpu)
    c.slab = slab
    slub.deactivate_slab(c, cpu)


def get_partial(slub: Slub, cache: KmemCache, c: KmemCacheCpu, cpu: int, nid: int, gfp: int) -> Slab | None:
    """Take a slab off a node's list: the wanted node first, then others by distance (get_partial)."""
    home = nid if nid >= 0 else slub.cpu_node[cpu]
    node = cache.nodes.get(home)
    slab = _get_partial_node(slub, cache, node, c, cpu) if node else None
    if slab is not None or (nid >= 0 and gfp & _THISNODE) or len(cache.nodes) == 1:
        return slab
    if slub.random.below(1024) > REMOTE_DEFRAG_RATIO:
        return None
    for other in _by_distance(slub, home):
        node = cache.nodes.get(other)
        if node is not None and other != home and len(node.partial) > cache.geometry.min_partial:
            slab = _get_partial_node(slub, cache, node, c, cpu)
            if slab is not None:
                return slab
    return None


def _by_distance(slub: Slub, home: int) -> Sequence[int]:
    """Return the nodes in the order of a node's zonelist, where the page allocator has one."""
    order: Sequence[Sequence[int]] = getattr(slub.page_alloc, "node_order", ())
    return order[home] if home < len(order) else slub.node_ids


def _get_partial_node(slub: Slub, cache: KmemCache, node: KmemCacheNode, c: KmemCacheCpu, cpu: int) -> Slab | None:
    """Take a node's first slab, and some more for the cpu's partial list (get_partial_node)."""
    if not node.partial:
        return None
    _, first = node.partial.popitem(last=False)
    stat(cache, "alloc_from_partial", cpu)
    free = first.objects - first.inuse
    limit = cache.geometry.cpu_partial
    if limit:
        taken = 0
        slabs = cache.geometry.cpu_partial_slabs
        while node.partial and (taken <= slabs // 2 if slabs else free <= limit // 2):
            _, extra = node.partial.popitem(last=False)
            free += extra.objects - extra.inuse
            taken += 1
            stat(cache, "cpu_partial_node", cpu)
            put_cpu_partial(slub, cache, c, extra, cpu, drain=False)
    return first


def put_cpu_partial(slub: Slub, cache: KmemCache, c: KmemCacheCpu, slab: Slab, cpu: int, *, drain: bool) -> None:
    """Put a slab aside for this cpu; a list that is full goes to the nodes first (put_cpu_partial)."""
    limit = cache.geometry.cpu_partial_slabs
    if limit:
        full = len(c.partial) >= limit
    else:
        full = sum(aside.free_when_put for aside in c.partial) > cache.geometry.cpu_partial
    moved: list[Slab] = []
    if drain and c.partial and full:
        moved, c.partial = c.partial, []
        stat(cache, "cpu_partial_drain", cpu)
    slab.place, slab.cpu = CPU_PARTIAL, cpu
    slab.frozen = slub.rules.frozen_cpu_partial
    slab.free_when_put = slab.objects - slab.inuse
    c.partial.append(slab)
    unfreeze(slub, cache, moved, cpu)


def unfreeze(slub: Slub, cache: KmemCache, slabs: list[Slab], cpu: int) -> None:
    """Move a cpu's partial slabs to their nodes' tails; empty ones go if the node has enough."""
    for slab in reversed(slabs):
        node = cache.nodes[slab.nid]
        slab.frozen = False
        if slab.inuse <= 0 and len(node.partial) >= cache.geometry.min_partial:
            stat(cache, "deactivate_empty", cpu)
            slub.discard_slab(slab, cpu)
        else:
            slub.add_partial(node, slab, tail=True)
            stat(cache, "free_add_partial", cpu)
