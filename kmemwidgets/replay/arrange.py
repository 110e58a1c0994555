"""What the lists of a cache must have been, once an object has come that nobody expected.

Where all requests for a cache are in the trace, no free object can have gone unseen: those that were expected first
still lie on some list, and as little as possible is moved to make the recorded object the next one (`hand_out`).
Of a cache from which kmem_cache_alloc_bulk takes, they went without an event (`use_up`).
"""

from __future__ import annotations

from kmemwidgets.sim.gfp import GFP_KERNEL
from kmemwidgets.sim.slab_cache import CPU_PARTIAL, CPU_SLAB, FULL, NODE_PARTIAL, KmemCache, KmemCacheCpu, Slab
from kmemwidgets.sim.slub import Slub


def off_the_lists(slab: Slab) -> None:
    """Take a slab from wherever it is; what a cpu had of it goes back to its own list."""
    cache = slab.cache
    cache.nodes[slab.nid].partial.pop(slab.pfn, None)
    for c in cache.cpus:
        if slab in c.partial:
            c.partial.remove(slab)
        if c.slab is slab:
            _give_up_list(slab, c)
            c.slab = None
    slab.place, slab.frozen, slab.cpu = FULL, False, -1


def _give_up_list(slab: Slab, c: KmemCacheCpu) -> None:
    """Let what a cpu had of a slab go back to the slab's own list."""
    slab.freelist += c.freelist
    slab.inuse = slab.objects - len(slab.freelist)
    c.freelist = []


def hand_out(slub: Slub, slab: Slab, address: int, cpu: int) -> None:
    """Hand out an object that was not the next one.

    Parameters
    ----------
    slub : Slub
    slab : Slab
        Where it lies.
    address : int
    cpu : int
    """
    cache = slab.cache
    c = cache.cpus[cpu]
    if slab is c.slab:
        if address in c.freelist:
            c.freelist.remove(address)
        elif address in slab.freelist:
            # get_freelist: the cpu's own list had run dry. What lies above came from other cpus in the meantime.
            at = slab.freelist.index(address)
            c.freelist, slab.freelist = slab.freelist[:at] + c.freelist, slab.freelist[at + 1 :]
            slab.inuse = slab.objects - len(slab.freelist)
        else:
            # The cpu's list holds what nothing has told of yet, so all that is known lies on the slab's.
            _give_up_list(slab, c)
        return
    _step_aside(slub, cache, slab, cpu)
    if address in slab.freelist:
        slab.freelist.remove(address)
    slab.freelist.append(address)
    slab.inuse = slab.objects - len(slab.freelist)
    slub.slab_alloc(cache, GFP_KERNEL, cpu)


def mark_used_up(slab: Slab) -> None:
    """Take a slab that is no cpu's for one whose objects have all been taken."""
    slab.cache.nodes[slab.nid].partial.pop(slab.pfn, None)
    slab.freelist, slab.inuse = [], slab.objects
    slab.place, slab.frozen, slab.cpu = FULL, False, -1


def use_up(slab: Slab, address: int, cpu: int) -> None:
    """Hand out an object that was not the next one: whatever seemed to lie before it has been taken.

    Parameters
    ----------
    slab : Slab
        Where it lies.
    address : int
    cpu : int
    """
    cache = slab.cache
    c = cache.cpus[cpu]
    if slab is not c.slab:
        gone = [c.slab] if c.slab is not None else []
        if slab in c.partial:
            at = c.partial.index(slab)
            gone += c.partial[at + 1 :]
            del c.partial[at + 1 :]
        elif slab.place == NODE_PARTIAL:
            partial = cache.nodes[slab.nid].partial
            while (first := partial.popitem(last=False)[1]) is not slab:
                gone.append(first)
        off_the_lists(slab)
        c.slab, c.freelist = None, []
        for other in gone:
            mark_used_up(other)
        c.slab = slab
        c.freelist, slab.freelist = slab.freelist, []
        slab.place, slab.frozen, slab.cpu = CPU_SLAB, True, cpu
    elif address in slab.freelist:
        c.freelist, slab.freelist = slab.freelist, []
    slab.inuse = slab.objects - len(slab.freelist)
    while c.freelist and c.freelist.pop() != address:
        pass


def _step_aside(slub: Slub, cache: KmemCache, slab: Slab, cpu: int) -> None:
    """Make a slab the next that a cpu takes: all that would come before it goes to the node's list."""
    c = cache.cpus[cpu]
    if c.slab is not None:
        former = c.slab
        off_the_lists(former)
        if former.freelist:
            slub.add_partial(cache.nodes[former.nid], former, tail=False)
    while c.partial and c.partial[-1] is not slab:
        former = c.partial.pop()
        slub.add_partial(cache.nodes[former.nid], former, tail=True)
    if slab.place == NODE_PARTIAL and slab.nid == slub.cpu_node[cpu]:
        cache.nodes[slab.nid].partial.move_to_end(slab.pfn, last=False)
    elif not c.partial:
        off_the_lists(slab)
        slab.place, slab.cpu = CPU_PARTIAL, cpu
        c.partial.append(slab)
