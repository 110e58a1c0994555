"""What an interrupt's requests find when it came into a request of the task that it interrupted."""

from __future__ import annotations

from collections.abc import Collection

from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import COSTLY_ORDER, list_index
from kmemwidgets.sim.zone_lists import ZoneLists

from .cpu import Cpu

#: Preemption is off twice while per-CPU lists are locked: to stay on the cpu, and by the lock.
DEEP = frozenset("23456789abcdef")


class Interrupts:
    """Tells whether the per-CPU lists are locked, and what lies beneath what an interrupt freed.

    Parameters
    ----------
    allocator : PageAllocator
    counts_preemption : bool
        The fourth latency flag tells how deep preemption was disabled.
    held : collection of int
        Rows of batches' last events after which the lists were still locked when an interrupt came: the last page
        reaches its list, and the lock is dropped, after the event. Where preemption is counted, it must be disabled
        deep enough, but a task may hold two other locks by then.

    Attributes
    ----------
    doubts : dict of int to int
        Frames that an interrupt freed after a batch's last event, and the row of that, where nothing told.
    """

    def __init__(self, allocator: PageAllocator, counts_preemption: bool, held: Collection[int] = ()) -> None:
        self.allocator = allocator
        self.counts_preemption = counts_preemption
        self.held = frozenset(held)
        self._beyond = False
        self.doubts: dict[int, int] = {}
        self.possible = allocator.rules.pcp.interruptible

    def lock_held(self, state: Cpu, flags: str) -> ZoneLists | None:
        """Return the zone whose lists the interrupted task holds locked; None if there is none.

        A batch of frees keeps the lock while it goes on. A refill and a drain let interrupts in with the lock still
        held, and what came in the meantime comes then. A kernel that counts how deep preemption is disabled tells
        whether that was so; of one that doesn't, it is taken to be so in a refill of small pages: from there to the
        allocation's event it is not far. A huge page is cleared before its event, which takes far longer.
        """
        self._beyond = False
        if not self.possible or (self.counts_preemption and flags[3:4] not in DEEP):
            return None
        if state.pending:
            return self.allocator.zone_of(state.batched) if state.batched >= 0 else None
        if state.refill:
            pfn, order, _, is_refill = state.refill[-1]
            near = self.counts_preemption or order <= COSTLY_ORDER
            return self.allocator.zone_of(pfn) if is_refill and near else None
        if state.drained and self.counts_preemption:
            return self.allocator.zone_of(state.drained[-1][0])
        if state.closed is not None:
            if state.closed[0] in self.held:
                return self.allocator.zone_of(state.closed[1])
            self._beyond = True
        return None

    def doubt(self, state: Cpu, pfn: int) -> None:
        """Note a frame that an interrupt frees to lists of which `lock_held` could not tell whether they are locked."""
        if self._beyond and state.closed is not None:
            self.doubts[pfn] = state.closed[0]

    def beneath(self, state: Cpu, mine: int, order: int, mt: int, cpu: int) -> int:
        """Return what a list would have given before an interrupt freed pages to it; -1 if nothing."""
        if not self.allocator.pcp_allowed(order):
            return -1
        pages = self.allocator.zone_of(mine).pcps[cpu].lists[list_index(order, mt)]
        return next((pfn for pfn in reversed(pages) if pfn not in state.fresh), -1)
