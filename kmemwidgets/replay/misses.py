"""What a replay does about a miss: it finds the cause, takes the recorded frame, and goes on."""

from __future__ import annotations

from kmemwidgets.sim.zone_lists import ZoneLists

from .cpu import Cpu
from .first_refill import doubled_before, refill_on
from .future import Future
from .resync import give_back, take_frame
from .triggers import Triggers

#: So many frames at most are taken to have been allocated without an event before one that was recorded.
PER_PAGE = 512


class Misses(Triggers):
    """What follows where the simulated allocator gave another frame than the kernel."""

    _future: Future | None
    _begun: set[tuple[ZoneLists, int]]

    def _resync(self, state: Cpu, cpu: int, pid: int, gfp: int, order: int, mt: int, mine: int, pfn: int) -> None:
        allocator = self.allocator
        live = allocator.zone_of(pfn)
        predicted = f"pfn {mine:#x}"
        if self.result.doubtful < 0:
            doubts = self.interrupts.doubts
            self.result.doubtful = doubts.get(pfn, doubts.get(mine, -1))
        if mine in state.fresh and self.interrupts.beneath(state, mine, order, mt, cpu) == pfn:
            # The allocation had its frame before the interrupt, and told of it after.
            self.result.inferred += 1
            give_back(allocator, live, mine, order, mt, cpu)
            take_frame(allocator, pfn, order, mt, cpu)
            why = "an interrupt freed the predicted frame after the kernel had chosen"
            self._miss("alloc interrupted before its event", predicted, f"pfn {pfn:#x}", cpu, why)
            return
        if mine >= 0 and allocator.zone_of(mine) is live and self._skip_unseen(mine, pfn, gfp, order, mt, cpu):
            self.result.inferred += 1
            why = "the predicted frame was in use: it was taken without an event, and freed later"
            self._miss("alloc after frames taken without an event", predicted, f"pfn {pfn:#x}", cpu, why)
            return
        if mine >= 0:
            other = allocator.zone_of(mine)
            give_back(allocator, other, mine, order, mt, cpu)
            if other is not live:
                self.result.wrong_zone += 1
                why = ""
                if self._all_explained() and self.tasks.learn(pid, gfp, order, live, other):
                    why = "the task uses reserves as realtime tasks do"
                    self.result.notes.append(f"task {pid}: {why.removeprefix('the task ')} (from event {self._row} on)")
                predicted += f" in node {other.zone.nid} {other.name}"
                mine = self._again(live, gfp, order, mt, cpu)
                if mine == pfn:
                    self._miss("zone", predicted, f"node {live.zone.nid} {live.name}", cpu, why)
                    return
                if mine >= 0:
                    give_back(allocator, live, mine, order, mt, cpu)
        where = take_frame(allocator, pfn, order, mt, cpu)
        self._miss(f"alloc order {order} type {mt}", predicted, f"pfn {pfn:#x}, {where}", cpu)

    def _taken_unseen(self, pfn: int) -> bool:
        """Tell whether a frame is not allocated later before it is freed: then someone took it unseen."""
        return not self._later.next_is_alloc(pfn, self._row)

    @property
    def _later(self) -> Future:
        """What becomes of frames later in the trace."""
        if self._future is None:
            self._future = Future(self._rows)
        return self._future

    def _skip_unseen(self, mine: int, pfn: int, gfp: int, order: int, mt: int, cpu: int) -> bool:
        """Leave frames that were taken unseen with their owners if the recorded one stands behind them, else undo.

        Bulk allocations take single pages; where larger ones differ, something else is the cause. But early in a boot
        all events are off for a while and on again (event_trace_enable_again, kernel/trace/trace_events.c).
        """
        allocator = self.allocator
        skipped = [mine]
        while (order == 0 or self.boot is not None) and len(skipped) <= PER_PAGE and self._taken_unseen(skipped[-1]):
            frame = allocator.alloc_pages(gfp, order, None, cpu)
            if frame == pfn:
                return True
            if frame < 0:
                break
            skipped.append(frame)
        for frame in reversed(skipped[1:]):
            give_back(allocator, allocator.zone_of(frame), frame, order, mt, cpu)
        return False

    def _again(self, live: ZoneLists, gfp: int, order: int, mt: int, cpu: int) -> int:
        """Repeat a request in the zone that was recorded."""
        allocator = self.allocator
        _, highest, flags = allocator.read_gfp(gfp)
        return allocator.get_page_from_freelist([live], order, mt, highest, flags | 4, cpu)

    def _begin_doubled(self, state: Cpu, cpu: int) -> None:
        live = self.allocator.zone_of(state.refilled[0][0])
        pcp = live.pcps[cpu]
        if live.rules.pcp.scheme != "tuned" or (live, cpu) in self._begun:
            return
        self._begun.add((live, cpu))
        if factor := doubled_before(pcp, state.refill, state.refilled):
            refill_on(live, pcp, factor, state.refilled)
            self._hear(state)
            where = f"node {live.zone.nid} {live.name} cpu {cpu}"
            self.result.notes.append(f"{where}: its first refill tells that earlier ones had doubled {factor} times")
