"""How far requests may go, where that depends on the task: who reclaims or has just done so, who is to die or realtime.

A trace names kswapd, who began and ended to reclaim by himself, and whom the OOM killer chose. Nothing recorded tells
a task's scheduling class; a task is taken to be realtime once a request of its was served from a reserve that only
such tasks may use.
"""

from __future__ import annotations

from kmemwidgets.sim import alloc_flags as af

# Names that begin with two underscores are mangled inside a class.
from kmemwidgets.sim.gfp import __GFP_MEMALLOC as MEMALLOC
from kmemwidgets.sim.gfp import __GFP_NOMEMALLOC as NOMEMALLOC
from kmemwidgets.sim.gfp import __GFP_THISNODE as THISNODE
from kmemwidgets.sim.migratetype import MOVABLE
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.zone_lists import ZoneLists

from .kswapd import Kswapd


class Tasks:
    """The tasks whose requests are not like any other's.

    Parameters
    ----------
    allocator : PageAllocator
    kswapd : Kswapd
        Who is woken where a realtime task's request goes slowly.

    Attributes
    ----------
    special : set of int
        Their pids.
    """

    def __init__(self, allocator: PageAllocator, kswapd: Kswapd) -> None:
        self.allocator = allocator
        self.kswapd = kswapd
        self.special: set[int] = set()
        self._reclaiming: set[int] = set()
        self._reclaimed: set[int] = set()
        self._realtime: set[int] = set()
        self._victims: set[int] = set()

    @property
    def has_reclaimed(self) -> bool:
        """Whether a task has just reclaimed and not yet got what it reclaimed for."""
        return bool(self._reclaimed)

    def begin_reclaim(self, pid: int) -> None:
        """Note that a task reclaims from now on: what it asks for meanwhile may use every reserve (PF_MEMALLOC)."""
        self._reclaiming.add(pid)
        self.special.add(pid)

    def end_reclaim(self, pid: int) -> None:
        """Note that a task is done: the request for which it reclaimed goes on, past the fast path."""
        self._reclaiming.discard(pid)
        self._reclaimed.add(pid)
        self.special.add(pid)

    def mark_victim(self, pid: int) -> None:
        """Note that the OOM killer has chosen a task: it may go deeper than others to be able to end."""
        self._victims.add(pid)
        self.special.add(pid)

    def alloc(self, pid: int, gfp: int, order: int, cpu: int) -> int:
        """Allocate for one of the special tasks; -1 if the request fails."""
        allocator = self.allocator
        if pid in self._reclaiming:
            return int(allocator.alloc_pages(gfp | MEMALLOC, order, None, cpu))
        mt, highest, low = allocator.read_gfp(gfp)
        zones = allocator.walk(allocator.cpu_node[cpu], highest, bool(gfp & THISNODE))
        if not zones:
            return -1
        reserves = self._reserves(pid, gfp, order, mt)
        first = low | allocator.nofragment(zones[0])
        goes_on = pid in self._reclaimed
        if goes_on:
            # It got nothing with the fast path's flags before.
            first = reserves
            self._reclaimed.discard(pid)
            if pid not in self._realtime | self._victims:
                self.special.discard(pid)
        pfn = allocator.get_page_from_freelist(zones, order, mt, highest, first, cpu)
        if pfn < 0:
            if goes_on:
                # No list is to hold pages back.
                allocator.drain_all_pages()
            else:
                self.kswapd.ask(None, gfp)
            pfn = allocator.get_page_from_freelist(zones, order, mt, highest, reserves, cpu)
        if pfn < 0 and pid in self._victims and not gfp & NOMEMALLOC:
            # __gfp_pfmemalloc_flags
            pfn = allocator.get_page_from_freelist(zones, order, mt, highest, reserves & af.CMA | af.OOM, cpu)
        return pfn if pfn >= 0 else int(allocator.alloc_pages(gfp, order, None, cpu))

    def _reserves(self, pid: int, gfp: int, order: int, mt: int) -> int:
        """Return the slow path's flags (gfp_to_alloc_flags)."""
        flags = self.allocator.rules.gfp.alloc_flags(gfp, order, pid in self._realtime)
        return flags | af.CMA if self.allocator.cma and mt == MOVABLE else flags

    def learn(self, pid: int, gfp: int, order: int, live: ZoneLists, other: ZoneLists) -> bool:
        """Take a task to be realtime if only that explains why `live` served a request of its, and not `other`."""
        mt, highest, low = self.allocator.read_gfp(gfp)
        if pid in self._realtime or other.watermark_fast(order, other.mark(low), highest, low):
            return False
        flags = self._reserves(pid, gfp, order, mt)
        if live.watermark_fast(order, live.mark(flags), highest, flags):
            return False
        self._realtime.add(pid)
        flags = self._reserves(pid, gfp, order, mt)
        if not live.watermark_fast(order, live.mark(flags), highest, flags):
            self._realtime.discard(pid)
            return False
        self.special.add(pid)
        return True
