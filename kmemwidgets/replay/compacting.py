"""A page replay that follows compaction: which free frames it takes, and where pages move.

The kernel takes the frames that pages move to off the free lists without an event. What a trace does show are the
frees of the frames that pages left. So a run begins where the trace says that it began (a trigger: moment, zone and
who runs it), everything else is predicted: which pages are taken, where they go, and when the run is over. Each
free by the running task is laid beside the page that was to move next; a page that is passed over could not be moved.
"""

from __future__ import annotations

from typing import Any

from kmemwidgets.capture import Capture
from kmemwidgets.records import Version
from kmemwidgets.sim.compaction import Compaction
from kmemwidgets.sim.compaction_isolate import put_target_back, take_target
from kmemwidgets.sim.compaction_scan import SYNC, SYNC_LIGHT, WHOLE, CompactControl
from kmemwidgets.sim.memmap import IN_USE, IN_USE_LRU, UNKNOWN, UNKNOWN_LRU
from kmemwidgets.sim.page_alloc import PageAllocator
from kmemwidgets.sim.rules import pick
from kmemwidgets.sim.rules.compaction import TABLE, CompactionRules

from .cpu import Cpu
from .pages import REPLAYED, PageReplay

COMPACTION_EVENTS = ("mm_compaction_suitable", "mm_compaction_begin", "mm_compaction_end")
#: A run begins so many rows at most after its task was told whether the zone is suitable; other cpus may act between.
NEXT = 4
FOLLOWED = (*REPLAYED, *COMPACTION_EVENTS)


class Run:
    """One run under way, and the page that is to move next."""

    __slots__ = ("cc", "move", "over")

    def __init__(self, cc: CompactControl) -> None:
        self.cc = cc
        self.move: tuple[int, int, int] | None = None
        self.over = False


class CompactingReplay(PageReplay):
    """One replay of a trace in which memory is compacted.

    Parameters
    ----------
    allocator : PageAllocator
        In the state before the trace.
    version : tuple of int
    more
        As for `PageReplay`.

    Attributes
    ----------
    moves : dict of int to int
        Frame that a page left to the frame predicted for it; last move of each.
    """

    def __init__(self, allocator: PageAllocator, version: Version, *args: Any, **more: Any) -> None:
        super().__init__(allocator, version, *args, **more)
        self.compaction = Compaction(allocator, pick(CompactionRules, TABLE, version))
        self.moves: dict[int, int] = {}
        self._runs: dict[int, Run] = {}
        self._orders: dict[int, tuple[int, int]] = {}

    def _vmscan(self, name: str, state: Cpu, cpu: int, comm: str, pid: int, values: tuple[Any, ...]) -> None:
        super()._vmscan(name, state, cpu, comm, pid, values)
        if name == "mm_compaction_suitable":
            self._orders[pid] = values[2], self._row
        elif name == "mm_compaction_begin":
            self._begin(comm, pid, cpu, values)
        elif name == "mm_compaction_end":
            self._end(pid, cpu)

    def _begin(self, comm: str, pid: int, cpu: int, values: tuple[Any, ...]) -> None:
        zone_start = values[0]
        zone = next((at for at, live in enumerate(self.allocator.zones) if live.zone.start_pfn == zone_start), None)
        self.result.triggers += 1
        order, row = self._orders.pop(pid, (WHOLE, self._row))
        if self._row - row > NEXT:
            # Since 6.5 nobody asks whether a whole zone is suitable: what was asked was about something else.
            order = WHOLE
        if zone is None or not self.triggers or order != WHOLE:
            return
        daemon = comm.startswith("kcompactd")
        mode = SYNC_LIGHT if daemon else SYNC
        more = {"whole_zone": True, "ignore_skip_hint": True, "proactive": daemon, "cpu": cpu}
        self._runs[pid] = Run(self.compaction.begin(zone, WHOLE, mode, **more))

    def _end(self, pid: int, cpu: int) -> None:
        run = self._runs.pop(pid, None)
        if run is None:
            return
        self._give_up(run)
        for pfn, order in self.compaction.release(run.cc):
            # Frames that the kernel had not taken: back to where they were.
            self.allocator.state[pfn] = 0
            run.cc.live.free_block(pfn, order, cpu)

    def _free(self, state: Cpu, cpu: int, comm: str, pid: int, flags: str, pfn: int, order: int) -> None:
        run = self._runs.get(pid)
        if run is not None:
            self._settle(state, cpu)
            self._compare(state, cpu)
            if self._release(run.cc, pfn):
                # A frame that nobody moved to: the run is over and gives back the rest.
                self._give_up(run)
                run.over = True
            elif not run.over:
                self._follow(run, pfn, order)
        super()._free(state, cpu, comm, pid, flags, pfn, order)

    @staticmethod
    def _release(cc: CompactControl, pfn: int) -> bool:
        """Give back a frame that was taken to move to; tell whether it is one."""
        for size, pfns in enumerate(cc.freepages):
            if pfns and pfn in pfns:
                pfns.remove(pfn)
                cc.nr_freepages -= 1 << size
                return True
        return False

    def _follow(self, run: Run, pfn: int, order: int) -> None:
        """Do what the run did before it freed the frame that a page had left."""
        cc = run.cc
        while not run.over:
            if run.move is None:
                run.move = self.compaction.next_move(cc)
                run.over = run.move is None
                continue
            source, target, size = run.move
            if source != pfn and (pfn in cc.migratepages or pfn >= cc.migrate_pfn):
                # The page could not be moved, nor any before the one that was.
                if pfn not in cc.migratepages:
                    cc.migratepages.clear()
                self._give_up(run)
                continue
            run.move = None
            if source != pfn:
                # A page nobody knew to be movable, or one that moved only when it was tried again.
                other = take_target(cc, self.compaction.rules, size)
                run.move = (source, other, size) if other >= 0 else None
            self.allocator.state[target] = IN_USE_LRU | order
            self.moves[pfn] = target
            return

    def _give_up(self, run: Run) -> None:
        """Keep the frame of a page that did not move after all."""
        if run.move is not None:
            put_target_back(run.cc, self.compaction.rules, run.move[1], run.move[2])
            run.move = None


def mark_compound(allocator: PageAllocator, capture: Capture, trace: str) -> None:
    """Give recorded compound pages their order, and keep huge pages from being taken for single movable ones.

    Parameters
    ----------
    allocator : PageAllocator
        With all frames in use marked as of unknown order.
    capture : Capture
    trace : str
        Folder of the trace; its kpageflags.before tells (bit 15 is COMPOUND_HEAD, bit 16 COMPOUND_TAIL).
    """
    path = f"{trace}/kpageflags.before"
    words = capture.bytes(path) if capture.has(path) else b""
    state = allocator.memmap.state
    heads, tails = words[1::8], words[2::8]
    for pfn, flags in enumerate(heads[: len(state)]):
        if not flags & 0x80 or state[pfn] < UNKNOWN_LRU:
            continue
        end = pfn + 1
        while end < len(tails) and tails[end] & 1:
            end += 1
        order = (end - pfn).bit_length() - 1
        if state[pfn] == UNKNOWN_LRU:
            state[pfn] = UNKNOWN
        elif 1 << order == end - pfn:
            state[pfn:end] = bytes((IN_USE | order,)) + bytes(end - pfn - 1)
