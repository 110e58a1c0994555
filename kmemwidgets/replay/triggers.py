"""The triggers of a trace: what a kernel's requests can't do without, and what is told of reclaim.

A drain of a worker or a reclaimer is obeyed with its moment, cpu and zone; which pages go is predicted. kswapd's rounds
change the limits of the lists.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from kmemwidgets.sim.pcp import (
    SCALE_MAX,
    PerCpuPages,
    decay_high,
    drain_all,
    drain_remote,
    empty_for_high_orders,
    lower_high,
    may_empty,
)
from kmemwidgets.sim.zone_lists import ZoneLists
from kmemwidgets.tracefs import Row

from .cpu import Cpu
from .flags import GfpFlags
from .freed_lately import may_have_emptied
from .frees import Frees
from .kswapd import DIRECT_BEGIN, DIRECT_END, MARK_VICTIM, SLEEP, WAKE, WAKEUP, Kswapd, round_ends
from .tasks import Tasks

#: Kernel threads that drain lists without a free, besides workers: reclaim, compaction.
KTHREADS = ("kswapd", "kcompactd", "khugepaged", "ksoftirqd")


class Triggers(Frees):
    """What the triggers of a trace do.

    Attributes
    ----------
    kswapd : Kswapd
    tasks : Tasks
        Who reclaims, or has just done so.
    """

    kswapd: Kswapd
    tasks: Tasks
    _gfp: GfpFlags
    _rows: Iterable[Row]
    _ends: dict[int, int] | None

    def _drain(self, state: Cpu, cpu: int, comm: str, values: tuple[Any, ...]) -> None:
        if state.refill:
            self._compare(state, cpu)
        if state.bulk:
            self._settle(state, cpu)
        if self._told:
            self._hear(state)
        if len(state.drain) >= len(state.drained) and not self._with_lowered_high(state, cpu, comm, values):
            while state.pending and len(state.drain) >= len(state.drained):
                # Of a batch that is freed page by page, no more than what caused this drain.
                self._free_now(*state.pending.pop(0), cpu)
                self._hear(state)
            if len(state.drain) >= len(state.drained):
                self._triggered(state, cpu, comm, values)
        state.drain.append(values)

    def _with_lowered_high(self, state: Cpu, cpu: int, comm: str, values: tuple[Any, ...]) -> bool:
        """Drain as the last free does whose count reaches a tuned `high`: since then the timer has lowered it unseen.

        No event tells when the timer came (decay_pcp_high); the first drain behind it tells that it did.
        """
        live = self.allocator.zone_of(values[0])
        pcp = live.pcps[cpu]
        if live.rules.pcp.scheme != "tuned" or not self.triggers or comm.startswith("kworker"):
            return False
        order = 0
        while state.pending and state.batched < 0 and len(state.drain) >= len(state.drained):
            state.freed, order = state.pending.pop(0)
            self._free_now(state.freed, order, cpu)
            self._hear(state)
        if len(state.drain) >= len(state.drained):
            if may_empty(pcp, state.freed, order) and self._emptied(live, pcp, values):
                empty_for_high_orders(live, pcp, state.freed, order)
                where = f"node {live.zone.nid} {live.name} cpu {cpu}"
                self.result.notes.append(f"{where}: a drain tells that blocks of order 1 to 3 had been freed before")
            elif lower_high(live, pcp, state.freed):
                self.result.triggers += 1
            else:
                return False
            self._hear(state)
        return True

    def _emptied(self, live: ZoneLists, pcp: PerCpuPages, values: tuple[Any, ...]) -> bool:
        """Tell whether the drain that begins is that of many blocks freed: one of full lists leaves a batch."""
        drained = (1 << values[1]) + self._ahead.drained(pcp.cpu)
        if drained < min(pcp.count, pcp.batch << SCALE_MAX):
            return False
        return may_have_emptied(self.allocator, live, pcp, islice(self._rows, self._row - 1))

    def _triggered(self, state: Cpu, cpu: int, comm: str, values: tuple[Any, ...]) -> None:
        """Empty lists as a timer, a worker or a reclaimer did; moment, cpu and zone are given.

        A drain behind a free is that free's, unless a worker has gone on to something else; and a task that just asks
        for memory drains nothing.
        """
        live = self.allocator.zone_of(values[0])
        pcp = live.pcps[cpu]
        behind_a_free = state.freed_at >= self._row - len(state.drain) - 1
        others = not behind_a_free and (comm.startswith(KTHREADS) or self.tasks.has_reclaimed)
        if not pcp.count or not (comm.startswith("kworker") or others):
            return
        self.result.triggers += 1
        if not self.triggers:
            return
        if live.zone.nid != self.allocator.cpu_node[cpu]:
            drain_remote(live, pcp)
        elif comm.startswith("kworker") and live.rules.pcp.scheme == "tuned":
            # The timer that folds the counters lets lists of the own node shrink.
            decay_high(live, pcp)
        else:
            drain_all(live, pcp)
        self._hear(state)

    def _aside(self, name: str, pid: int, values: tuple[Any, ...]) -> None:
        """Note who reclaims by himself, who is to die, and what kswapd is asked for."""
        if name == DIRECT_END:
            self.tasks.end_reclaim(pid)
            return
        if name == MARK_VICTIM:
            self.tasks.mark_victim(values[0])
            return
        flags = values[-1]
        if flags != "none":
            # Else a zone's mark was boosted, and the simulation knows which.
            self.kswapd.ask(values[0] if name == WAKEUP else None, self._gfp[flags])
        if name == DIRECT_BEGIN:
            self.tasks.begin_reclaim(pid)

    def _usual_cause(self) -> str:
        return "reclaim has begun: no event tells when kswapd ends a round" if self.kswapd.has_run else ""

    def _vmscan(self, name: str, state: Cpu, cpu: int, _comm: str, pid: int, values: tuple[Any, ...]) -> None:
        """Follow kswapd: its rounds change what requests do."""
        self._settle(state, cpu)
        self._compare(state, cpu)
        if not self.triggers:
            return
        if name == WAKE:
            self._ends = self._ends if self._ends is not None else round_ends(self._rows)
            self.kswapd.wake(values[0])
            self.tasks.begin_reclaim(pid)
        elif name == SLEEP:
            self.kswapd.sleep(values[0])
