"""The frees of a trace: when their pages reach the lists.

A batch tells of all its pages first and gives them to the lists one by one, and an interrupt may come in between; what
a task frees of a block that it has just split goes to the buddy lists at once.
"""

from __future__ import annotations

from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.page import Page
from kmemwidgets.sim.pcp import COSTLY_ORDER
from kmemwidgets.sim.pcp_lock import free_past_lists
from kmemwidgets.sim.several_pages import free_to_tail

from .boot import DEFERRED, BootStages
from .boot_policy import BootPolicy
from .bulks import take_bulk
from .checkpoints import Checkpoints
from .cpu import IN_INTERRUPT, Cpu
from .future import LookAhead
from .interrupts import Interrupts
from .resync import take_frame


class Frees(Checkpoints):
    """What becomes of the frees of a trace.

    Attributes
    ----------
    cpus : list of Cpu
        What is under way on each cpu.
    interrupts : Interrupts
    triggers : bool
        Whether drains by timers and workers and the moments of reclaim are given.
    boot : BootStages or None
    boot_policy : BootPolicy or None
    """

    cpus: list[Cpu]
    interrupts: Interrupts
    triggers: bool
    boot: BootStages | None
    boot_policy: BootPolicy | None
    _ahead: LookAhead

    def _free(self, state: Cpu, cpu: int, comm: str, pid: int, flags: str, pfn: int, order: int) -> None:
        if flags[2:3] in IN_INTERRUPT:
            state.fresh.append(pfn)
            if pid == state.pid and self._interrupt(state, cpu, flags, pfn, order):
                return
        else:
            state.closed = None
            if state.fresh:
                self._free_late(state, cpu)
        if state.exact is not None:
            first, end, owner = state.exact
            if order == 0 and first < pfn < end and pid == owner:
                self._free_remainder(cpu, pfn)
                return
            state.exact = None
        if state.bulk:
            self._settle(state, cpu)
        if self.boot is not None and comm.startswith(DEFERRED):
            self._settle(state, cpu)
            self.boot.free_deferred(pfn, order, cpu)
            return
        if self.boot is not None:
            self.boot.free_reserved(pfn, order)
        if order > COSTLY_ORDER and not self.allocator.pcp_allowed(order):
            # Such blocks go straight to the buddy lists, in no batch.
            self._free_now(pfn, order, cpu)
            return
        state.pid = pid
        state.pending.append((pfn, order))
        if state.refill or state.drain or state.drained or state.refilled:
            self._compare(state, cpu)

    def _interrupt(self, state: Cpu, cpu: int, flags: str, pfn: int, order: int) -> bool:
        """Free what an interrupt frees before the interrupted task goes on; False if that is nothing special."""
        if state.drain or state.drained:
            self._hear(state)
        if state.pending and state.fresh[-2:-1] == [state.pending[-1][0]]:
            # A batch of the interrupt's own.
            return False
        if state.pending and state.batched < 0 and not self._ahead.is_batched(state.pending[0][0]):
            # Freed singly: it is on the lists by now.
            self._commit(state, cpu)
        lock = self.interrupts.lock_held(state, flags)
        locked = lock is not None and lock is self.allocator.zone_of(pfn)
        if state.refill and self.triggers and not state.pending:
            if not state.bulk:
                state.late.append((pfn, order, locked))
                return True
            self._settle(state, cpu)
        elif not state.pending and lock is None:
            self.interrupts.doubt(state, pfn)
            return False
        if state.drain:
            self._compare(state, cpu)
        self._free_now(pfn, order, cpu, past_lists=locked)
        return True

    def _free_late(self, state: Cpu, cpu: int) -> None:
        """Free what an interrupt freed inside a refill, now that the allocation is known."""
        state.fresh.clear()
        for pfn, order, locked in state.late:
            self._free_now(pfn, order, cpu, past_lists=locked)
        state.late.clear()

    def _free_remainder(self, cpu: int, pfn: int) -> None:
        state = self.allocator.state
        if state[pfn] == 0:
            state[pfn] = 0xFF
        free_to_tail(self.allocator, pfn, cpu)

    def _batched(self, state: Cpu, cpu: int, pfn: int) -> None:
        if state.drain:
            self._compare(state, cpu)
        pending = state.pending
        if pending and pending[0][0] == pfn:
            first = pending.pop(0)
            self._free_now(*first, cpu)
        elif pending and any(entry[0] == pfn for entry in pending):
            while pending and pending[0][0] != pfn:
                self._free_now(*pending.pop(0), cpu)
            self._free_now(*pending.pop(0), cpu)
        elif len(self.cpus) > 1 and (other := self._holder(pfn)) is not None:
            # The task went on on this cpu.
            self._commit(state, cpu)
            state.pid = other.pid
            state.pending, other.pending = other.pending, pending
            self._batched(state, cpu, pfn)
            return
        state.freed = pfn
        state.batched = pfn if state.pending else -1
        state.closed = None if state.pending else (self._row, pfn)

    def _holder(self, pfn: int) -> Cpu | None:
        """Find the cpu on which a frame was freed that has not reached the lists."""
        return next((state for state in self.cpus if any(entry[0] == pfn for entry in state.pending)), None)

    def _commit(self, state: Cpu, cpu: int) -> None:
        for pfn, order in state.pending:
            self._free_now(pfn, order, cpu)
        state.pending.clear()
        state.batched = -1

    def _free_now(self, pfn: int, order: int, cpu: int, past_lists: bool = False) -> None:
        state = self.cpus[cpu]
        state.freed_at = self._row
        allocator = self.allocator
        # As what the allocator gave out: a plain number takes the whole way.
        page = Page(pfn)
        try:
            if past_lists:
                free_past_lists(allocator, page, order, cpu)
            else:
                allocator.free_pages(page, order, cpu)
        except KernelBug:
            # The frame is in the simulation's lists though the kernel had given it away unseen.
            self.result.inferred += 1
            take_frame(allocator, pfn, order, 0, cpu)
            if past_lists:
                free_past_lists(allocator, pfn, order, cpu)
            else:
                allocator.free_pages(pfn, order, cpu)
        if self._told:
            # At once: the next row may be another cpu's.
            self._hear(state)

    def _settle(self, state: Cpu, cpu: int) -> None:
        """Do what earlier events announced."""
        if state.late:
            self._free_late(state, cpu)
        if state.pending:
            self._commit(state, cpu)
        if state.bulk and not (self.boot_policy is not None and self.boot_policy.deal(state, cpu)):
            counts, state.bulk = state.bulk, []
            for pages in counts:
                take_bulk(self.allocator, pages, cpu)
