"""Objects of debugged caches: no cpu keeps a slab of them, each request goes to the node's list.

The first slab of the list gives, a full slab that gets an object back goes to its end, and a new one to its
beginning (mm/slub.c, alloc_single_from_partial, alloc_single_from_new_slab and free_debug_processing, 6.1).
"""

from __future__ import annotations

from collections.abc import Sequence

from kmemwidgets.sim.slab_cache import FULL, NODE_PARTIAL, Slab
from kmemwidgets.sim.slub import Slub

from .arrange import mark_used_up


def take(slub: Slub, slab: Slab, address: int, rest: Sequence[int] = ()) -> None:
    """Hand out an object that was recorded.

    Parameters
    ----------
    slub : Slub
    slab : Slab
        Where it lies.
    address : int
    rest : sequence of int
        What a slab that was unknown so far hands out after it, the next one first.
    """
    node = slab.cache.nodes[slab.nid]
    # The first of the list gives: whatever seemed to stand before it was used up without an event.
    while node.partial and slab.place == NODE_PARTIAL and (first := next(iter(node.partial.values()))) is not slab:
        mark_used_up(first)
    while slab.freelist and slab.freelist.pop() != address:
        slab.inuse += 1
    if rest and not slab.freelist:
        slab.freelist = [*reversed(rest)]
        slub.add_partial(node, slab, tail=False)
    slab.inuse = slab.objects - len(slab.freelist)
    if not slab.freelist:
        mark_used_up(slab)


def give_back(slub: Slub, slab: Slab, address: int) -> None:
    """Take an object back."""
    slab.freelist.append(address)
    slab.inuse -= 1
    if slab.place == FULL:
        slub.add_partial(slab.cache.nodes[slab.nid], slab, tail=True)
