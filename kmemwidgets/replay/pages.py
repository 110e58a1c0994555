"""Drive a page allocator with the requests of a trace, and lay its decisions beside the kernel's.

Only requests go in: order, GFP flags and cpu of an allocation, frame, order and cpu of a free (`frees`), and the few
triggers that a kernel's request can't do without (`triggers`). Everything else in the trace is compared with (`runs`);
after a miss the recorded frame is taken (`misses`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any

from kmemwidgets.records import Version
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.pcp_lock import alloc_past_lists
from kmemwidgets.tracefs import LOST, Row, Scan

from .boot import BOOT_EVENTS, BootStages
from .boot_policy import POLICY_EVENTS, BootPolicy
from .bulks import ONE_BY_ONE, PAGE_ARRAY, see_kmalloc
from .cpu import IN_INTERRUPT, Cpu
from .flags import GfpFlags
from .future import KHUGEPAGED, LookAhead
from .interrupts import Interrupts
from .kswapd import ASIDE, ROUND_EVENTS, SLEEP, WAKE, Kswapd
from .misses import Misses
from .result import PageResult
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
#: Why a task's round of the nodes is not where it was last seen.
MOVED = "slabs were looked for on other nodes, of which no event tells"


class PageReplay(Misses):
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
    boot_policy : BootPolicy, optional
        For one on several nodes.
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
        boot_policy: BootPolicy | None = None,
        counts_preemption: bool = False,
        held: Collection[int] = (),
    ) -> None:
        self.allocator = allocator
        self.interrupts = Interrupts(allocator, counts_preemption, held)
        self.triggers = triggers
        self.boot = boot
        self.boot_policy = boot_policy
        self.kswapd = allocator.reclaim = Kswapd(allocator)
        self.tasks = Tasks(allocator, self.kswapd)
        self._ends = None
        self._future = None
        self.version = version
        self.pointer_size = pointer_size
        super().__init__()
        self.cpus = [Cpu() for _ in allocator.cpu_node]
        self._begun = set()
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
        if isinstance(rows, Scan) and rows.mentions(WAKE):
            # What comes later tells when kswapd's rounds end: better kept than read again.
            rows = list(rows)
        self._rows = rows
        self._ahead = LookAhead(islice(rows, over, None) if over else rows)
        self._next = iter(self._ahead)
        self._row = over

    def go_on(self, most: int | None = None) -> None:
        """Go through the rows that come next: so many, or all."""
        cpus = self.cpus
        number = len(cpus)
        count = self._row
        for name, comm, pid, cpu, time, flags, values in islice(self._next, most):
            count += 1
            self._row = count
            if cpu >= number or name == LOST:
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
                if self.boot_policy is not None:
                    self.boot_policy.see(name, pid, values)
                if self.boot is not None:
                    self._settle(state, cpu)
                    self.boot.see(values)
                self._slab(state, cpu, pid, values)
            elif self.boot_policy is not None and name in POLICY_EVENTS:
                self.boot_policy.see(name, pid, values)
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

    def _unknown_cpu(self, name: str, cpu: int) -> None:
        if name != LOST:
            note = f"events of cpu {cpu}, which has no lists before the trace, were left out"
            if note not in self.result.notes:
                self.result.notes.append(note)

    def _slab(self, state: Cpu, cpu: int, pid: int, values: tuple[Any, ...]) -> None:
        """Look whether a kmalloc is the page array of a vmalloc, whose pages follow at once."""
        if values[0].startswith(PAGE_ARRAY):
            self._settle(state, cpu)
            self._compare(state, cpu)
        see_kmalloc(state, pid, values, self.pointer_size)

    def _alloc(
        self, state: Cpu, cpu: int, comm: str, pid: int, flags: str, pfn: int | None, order: int, mt: int, gfp_text: str
    ) -> None:
        gfp = self._gfp[gfp_text]
        if state.bulk and self._one_by_one(pid, gfp, order):
            state.bulk = []
        allocator = self.allocator
        moved = None
        from_interrupt = flags[2:3] in IN_INTERRUPT
        interrupts = from_interrupt and pid == state.pid and state.batched >= 0
        if not from_interrupt:
            state.closed = None
        if not interrupts and (state.pending or state.bulk):
            self._settle(state, cpu)
        if pfn is None:
            return
        if pid in self.tasks.special and not from_interrupt:
            mine = self.tasks.alloc(pid, gfp, order, cpu)
        elif interrupts and self.interrupts.lock_held(state, flags) is not None:
            mine = alloc_past_lists(allocator, gfp, order, cpu)
        else:
            nid = self._target_node() if order and comm == KHUGEPAGED else None
            if self.boot_policy is not None and nid is None:
                nid = self.boot_policy.node(pid, flags, gfp, order, self._ahead.next_rows())
                moved = self.boot_policy.moved(pid, nid, pfn)
                nid = nid if moved is None else moved
            mine = allocator.alloc_pages(gfp, order, nid, cpu)
        tally = self.result.allocs
        tally.of += 1
        if mine == pfn and moved is not None:
            self._tell_moved(order, pfn, cpu)
        elif mine == pfn:
            tally.exact += 1
        else:
            self._resync(state, cpu, pid, gfp, order, mt, mine, pfn)
        if self._told or state.refill or state.steal or state.refilled or state.drain or state.drained:
            self._compare(state, cpu)
        state.exact = (pfn, pfn + (1 << order), pid) if order else None
        if state.fresh and not interrupts:
            self._free_late(state, cpu)

    def _tell_moved(self, order: int, pfn: int, cpu: int) -> None:
        """Count a page as inferred whose node the trace had to tell."""
        self.result.inferred += 1
        self._miss(f"alloc order {order} from another node", "the round's next node", f"pfn {pfn:#x}", cpu, MOVED)
        note = f"a boot's first tasks go round the nodes; {MOVED}: pages that show it count as inferred"
        if note not in self.result.notes:
            self.result.notes.append(note)

    def _one_by_one(self, pid: int, gfp: int, order: int) -> bool:
        """Tell whether pages of a vmalloc's array are allocated one by one, each with its event: if huge or accounted.

        While a boot goes round the nodes there are no groups yet that pages could be accounted to.
        """
        policy = self.boot_policy
        if policy is not None and pid in policy.tasks:
            return order > 0
        return gfp & ONE_BY_ONE == ONE_BY_ONE

    def _target_node(self) -> int | None:
        """Return the node that khugepaged asks: the one with most of the pages that it is about to copy and free.

        mm/khugepaged.c, hpage_collapse_find_target_node.
        """
        freed = Counter(self.allocator.zone_of(pfn).zone.nid for pfn in self._ahead.collapsed())
        return freed.most_common(1)[0][0] if freed else None
