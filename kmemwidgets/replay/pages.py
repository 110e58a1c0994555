"""Drive a page allocator with the requests of a trace, and lay its decisions beside the kernel's.

Only requests go in: order, GFP flags and cpu of an allocation, frame, order and cpu of a free, and the few
triggers that a kernel's request can't do without. Everything else in the trace is compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from functools import partial
from itertools import islice
from typing import Any

from kmemwidgets.records import Version
from kmemwidgets.sim.errors import KernelBug
from kmemwidgets.sim.page import Page
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp import COSTLY_ORDER, decay_high, drain_all, drain_remote, lower_high
from kmemwidgets.sim.pcp_lock import alloc_past_lists, free_past_lists
from kmemwidgets.sim.several_pages import alloc_pages_bulk, free_to_tail
from kmemwidgets.sim.zone_lists import ZoneLists
from kmemwidgets.tracefs import LOST, Row

from .boot import BOOT_EVENTS, DEFERRED, BootStages
from .checkpoints import Checkpoints
from .cpu import IN_INTERRUPT, Cpu
from .first_refill import doubled_before, refill_on
from .flags import GfpFlags
from .future import KHUGEPAGED, Future, LookAhead
from .interrupts import Interrupts
from .kswapd import ASIDE, DIRECT_BEGIN, DIRECT_END, ROUND_EVENTS, SLEEP, WAKE, WAKEUP, Kswapd, round_ends
from .result import PageResult
from .resync import give_back, take_frame
from .tasks import Tasks

#: Events that a replay of pages reads.
REPLAYED = (
    "mm_page_alloc",
    "mm_page_free",
    "mm_page_free_batched",
    "mm_page_alloc_zone_locked",
    "mm_page_pcpu_drain",
    "mm_page_alloc_extfrag",
    WAKE,
    SLEEP,
    *ASIDE,
    *ROUND_EVENTS,
    "kmalloc",
    "kmalloc_node",
)

SLAB_EVENTS = frozenset({"kmalloc", "kmalloc_node", *BOOT_EVENTS})

#: Call sites of the kmalloc that makes a vmalloc's page array.
PAGE_ARRAY = ("__vmalloc_node_range+", "__vmalloc_node_range_noprof+", "__vmalloc_area_node+")
VM_AREA = "__get_vm_area_node"
VMAP_AREA = "alloc_vmap_area"
BULK_CHUNK = 100
#: Kernel threads that drain lists without a free, besides workers: reclaim, compaction.
KTHREADS = ("kswapd", "kcompactd", "khugepaged", "ksoftirqd")
ACCOUNT, HIGHMEM, NOWARN = 0x400000, 0x2, 0x2000
PER_PAGE = 512


class PageReplay(Checkpoints):
    """One replay.

    Parameters
    ----------
    allocator : PageAllocator
        In the state before the trace.
    version : tuple of int
    pointer_size : int
        Bytes.
    triggers : bool
        Whether drains by timers and workers and the moments of reclaim are given.
    boot : BootStages, optional
        For a trace from early boot.
    counts_preemption : bool
        CONFIG_PREEMPT_COUNT: the latency flags tell how deep preemption was disabled.
    held : collection of int
        After which batches an interrupt found the lists locked (`Interrupts`).
    """

    def __init__(
        self,
        allocator: PageAllocator,
        version: Version,
        pointer_size: int = 8,
        *,
        triggers: bool = True,
        boot: BootStages | None = None,
        counts_preemption: bool = False,
        held: Collection[int] = (),
    ) -> None:
        self.allocator = allocator
        self.interrupts = Interrupts(allocator, counts_preemption, held)
        self.triggers = triggers
        self.boot = boot
        self.kswapd = allocator.reclaim = Kswapd(allocator)
        self.tasks = Tasks(allocator, self.kswapd)
        self._ends: dict[int, int] | None = None
        self._future: Future | None = None
        self.version = version
        self.pointer_size = pointer_size
        self.per_array_page = 4096 // pointer_size
        super().__init__()
        self.cpus = [Cpu() for _ in allocator.cpu_node]
        self._begun: set[tuple[ZoneLists, int]] = set()
        self._gfp = GfpFlags(version, self.result.notes)
        for live in allocator.zones:
            live.free_area.trace = self._told.append

    def run(self, rows: Iterable[Row]) -> PageResult:
        """Go through a trace."""
        self.begin(rows)
        self.go_on()
        return self.end()

    def begin(self, rows: Iterable[Row], over: int = 0) -> None:
        """Take a trace, of which so many rows are over."""
        self._rows = rows
        self._ahead = LookAhead(islice(rows, over, None) if over else rows)
        self._next = iter(self._ahead)
        self._row = over

    def go_on(self, most: int | None = None) -> None:
        """Go through the rows that come next: so many, or all."""
        cpus = self.cpus
        count = self._row
        for name, comm, pid, cpu, time, flags, values in islice(self._next, most):
            count += 1
            self._row = count
            if cpu >= len(cpus) or name == LOST:
                self._unknown_cpu(name, cpu)
                continue
            self._time = time
            state = cpus[cpu]
            if name == "mm_page_alloc":
                self._alloc(state, cpu, comm, pid, flags, *values)
            elif name == "mm_page_free":
                self._free(state, cpu, comm, pid, flags, *values)
            elif name == "mm_page_free_batched":
                self._batched(state, cpu, values[0])
            elif name == "mm_page_alloc_zone_locked":
                if state.pending:
                    self._commit(state, cpu)
                if state.drain:
                    self._compare(state, cpu)
                state.pid = pid
                state.refill.append(values)
            elif name == "mm_page_pcpu_drain":
                self._drain(state, cpu, comm, values)
            elif name == "mm_page_alloc_extfrag":
                if state.pending:
                    self._commit(state, cpu)
                if state.drain:
                    self._compare(state, cpu)
                state.steal.append(values)
            elif name in SLAB_EVENTS:
                if self.boot is not None:
                    self._settle(state, cpu)
                    self.boot.see(values)
                self._slab(state, cpu, pid, values)
            elif name not in ASIDE:
                self._vmscan(name, state, cpu, comm, pid, values)
            elif self.triggers:
                self._aside(name, pid, values)
            if self._ends is not None and count in self._ends:
                self._settle(state, cpu)
                self.kswapd.end_round(self._ends[count])

    def end(self) -> PageResult:
        """Do what the last rows announced, and return what was found."""
        for cpu, state in enumerate(self.cpus):
            self._settle(state, cpu)
            self._compare(state, cpu)
        self.result.events = self._row
        return self.result

    def _slab(self, state: Cpu, cpu: int, pid: int, values: tuple[Any, ...]) -> None:
        """Look whether a kmalloc is the page array of a vmalloc, whose pages follow at once."""
        site = values[0]
        if site.startswith(PAGE_ARRAY):
            self._settle(state, cpu)
            self._compare(state, cpu)
            pages = values[2] // self.pointer_size
            state.bulk = [pages]
            if state.areas == (pid, 2):
                # The array is larger than a page and was vmalloc'ed itself: its own array tells how many pages it has.
                state.bulk.append(pages * self.per_array_page)
        if site.startswith(VM_AREA):
            state.areas = (pid, 2 if state.areas == (pid, 1) else 1)
        elif not site.startswith(VMAP_AREA):
            state.areas = (0, 0)

    def _unknown_cpu(self, name: str, cpu: int) -> None:
        if name != LOST:
            note = f"events of cpu {cpu}, which has no lists before the trace, were left out"
            if note not in self.result.notes:
                self.result.notes.append(note)

    # Requests

    def _alloc(
        self, state: Cpu, cpu: int, comm: str, pid: int, flags: str, pfn: int | None, order: int, mt: int, gfp_text: str
    ) -> None:
        gfp = self._gfp[gfp_text]
        if state.bulk and gfp & (ACCOUNT | HIGHMEM | NOWARN) == ACCOUNT | HIGHMEM | NOWARN:
            # Accounted pages are allocated one by one, each with its event.
            state.bulk = []
        allocator = self.allocator
        interrupts = flags[2:3] in IN_INTERRUPT and pid == state.pid and state.batched >= 0
        if flags[2:3] not in IN_INTERRUPT:
            state.closed = None
        if not interrupts and (state.pending or state.bulk):
            self._settle(state, cpu)
        if pfn is None:
            return
        if pid in self.tasks.special and flags[2:3] not in IN_INTERRUPT:
            mine = self.tasks.alloc(pid, gfp, order, cpu)
        elif interrupts and self.interrupts.lock_held(state, flags) is not None:
            mine = alloc_past_lists(allocator, gfp, order, cpu)
        else:
            nid = self._target_node() if order and comm == KHUGEPAGED else None
            mine = allocator.alloc_pages(gfp, order, nid, cpu)
        tally = self.result.allocs
        tally.of += 1
        if mine == pfn:
            tally.exact += 1
        else:
            self._resync(state, cpu, pid, gfp, order, mt, mine, pfn)
        if self._told or state.refill or state.steal or state.refilled or state.drain or state.drained:
            self._compare(state, cpu)
        state.exact = (pfn, pfn + (1 << order), pid) if order else None
        if state.fresh and not interrupts:
            self._free_late(state, cpu)

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

    def _target_node(self) -> int | None:
        """Return the node that khugepaged asks: the one with most of the pages that it is about to copy and free.

        mm/khugepaged.c, hpage_collapse_find_target_node.
        """
        freed = Counter(self.allocator.zone_of(pfn).zone.nid for pfn in self._ahead.collapsed())
        return freed.most_common(1)[0][0] if freed else None

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
        self.cpus[cpu].freed_at = self._row
        free = partial(free_past_lists, self.allocator) if past_lists else self.allocator.free_pages
        try:
            # As what the allocator gave out: a plain number takes the whole way.
            free(Page(pfn), order, cpu)
        except KernelBug:
            # The frame is in the simulation's lists though the kernel had given it away unseen.
            self.result.inferred += 1
            take_frame(self.allocator, pfn, order, 0, cpu)
            free(pfn, order, cpu)
        if self._told:
            # At once: the next row may be another cpu's.
            self._hear(self.cpus[cpu])

    def _settle(self, state: Cpu, cpu: int) -> None:
        """Do what earlier events announced."""
        if state.late:
            self._free_late(state, cpu)
        if state.pending:
            self._commit(state, cpu)
        if state.bulk:
            counts, state.bulk = state.bulk, []
            for pages in counts:
                self._bulk(pages, cpu)

    def _bulk(self, pages: int, cpu: int) -> None:
        """Take the pages of a vmalloc (vm_area_alloc_pages)."""
        while pages:
            ask = min(BULK_CHUNK, pages)
            if ask == 1:
                # A single page is allocated the usual way and has its event.
                return
            got = alloc_pages_bulk(self.allocator, 0xCC0 | HIGHMEM | NOWARN, ask, None, cpu)
            pages -= len(got)
            if len(got) < ask:
                return

    # Triggers

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
        while state.pending and state.batched < 0 and len(state.drain) >= len(state.drained):
            state.freed, order = state.pending.pop(0)
            self._free_now(state.freed, order, cpu)
            self._hear(state)
        if len(state.drain) >= len(state.drained):
            if not lower_high(live, pcp, state.freed):
                return False
            self.result.triggers += 1
            self._hear(state)
        return True

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
        """Note who reclaims by himself, and what kswapd is asked for."""
        if name == DIRECT_END:
            self.tasks.end_reclaim(pid)
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
