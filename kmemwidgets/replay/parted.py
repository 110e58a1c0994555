"""Slab requests that an interrupt parted from their event.

A request takes its object, an interrupt comes and gives objects of the same cache back, and only then the request's
event is written. The replay has given back first; where the recorded object shows that this was the wrong way round,
`Parted.redo` does both in the kernel's order, so that what comes next is not told from a wrong list.
"""

from __future__ import annotations

from collections import defaultdict

from kmemwidgets.sim.gfp import GFP_KERNEL
from kmemwidgets.sim.slab_cache import KmemCache, Slab
from kmemwidgets.sim.slub import Slub


class _Before:
    """A cache as the interrupt found it, and what the interrupt gave back to it."""

    def __init__(self, slub: Slub, cache: KmemCache, cpu: int) -> None:
        self.next_object = slub.next_object(cache, cpu)
        self.freed: list[int] = []
        self._cpus = [(c, c.slab, list(c.freelist), list(c.partial)) for c in cache.cpus]
        self._nodes = [(node, node.partial.copy()) for node in cache.nodes.values()]
        self._slabs: dict[int, tuple[Slab, list[int], int, int, bool, int, int]] = {}
        for c in cache.cpus:
            for slab in (c.slab, *c.partial):
                self.keep(slab)

    def keep(self, slab: Slab | None) -> None:
        """Remember a slab as it is, unless that has been done."""
        if slab is not None and slab.pfn not in self._slabs:
            self._slabs[slab.pfn] = (
                slab, list(slab.freelist), slab.inuse, slab.place, slab.frozen, slab.cpu, slab.free_when_put,
            )  # fmt: skip

    def is_whole(self, slub: Slub) -> bool:
        """Tell whether all the slabs are still there."""
        return all(slub.slabs.get(slab.base >> slub.page_shift) is slab for slab, *_ in self._slabs.values())

    def restore(self) -> None:
        """Bring the cache back to where the interrupt found it."""
        for c, current, freelist, partial in self._cpus:
            c.slab, c.freelist, c.partial = current, freelist, partial
        for node, slabs in self._nodes:
            node.partial = slabs
        for slab, freelist, inuse, place, frozen, cpu, free_when_put in self._slabs.values():
            slab.freelist, slab.inuse, slab.place = freelist, inuse, place
            slab.frozen, slab.cpu, slab.free_when_put = frozen, cpu, free_when_put


class Parted:
    """Remembers what interrupts gave back since the last event of the task beneath them.

    Parameters
    ----------
    slub : Slub
    """

    def __init__(self, slub: Slub) -> None:
        self.slub = slub
        self._given: dict[int, dict[str, _Before]] = defaultdict(dict)

    def about_to_free(self, slab: Slab, address: int, cpu: int) -> None:
        """Note that an interrupt is giving an object back."""
        cache = slab.cache
        before = self._given[cpu].get(cache.name)
        if before is None:
            before = self._given[cpu][cache.name] = _Before(self.slub, cache, cpu)
        before.keep(slab)
        before.freed.append(address)

    def over(self, cpu: int) -> None:
        """Forget a cpu's interrupt: the task has gone on."""
        if cpu in self._given:
            del self._given[cpu]

    def touched(self, cache: KmemCache, cpu: int) -> None:
        """Forget what interrupts on other cpus gave to a cache: it can't be undone any more."""
        for other, given in self._given.items():
            if other != cpu:
                given.pop(cache.name, None)

    def redo(self, cache: KmemCache, address: int, cpu: int) -> bool:
        """Hand an object out before what the interrupt gave back, if that explains it.

        Returns
        -------
        bool
            Whether it was done.
        """
        before = self._given[cpu].pop(cache.name, None)
        if before is None or before.next_object != address or not before.is_whole(self.slub):
            return False
        before.restore()
        self.slub.slab_alloc(cache, GFP_KERNEL, cpu)
        for freed in before.freed:
            self.slub.slab_free(cache, self.slub.slabs[freed >> self.slub.page_shift], [freed], cpu)
        return True
