"""What a machine does with pages past single blocks: exact numbers of them, bulks, and compaction.

The commands take plain arguments, as a log of them needs it. The page allocator's slow path asks here for compaction
and for reclaim; there is nothing yet that could be reclaimed, so that every direct reclaim comes back with nothing.
It wakes the threads of the nodes here, too (`threads`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from kmemwidgets.records import BadInput, MachineSpec, format_version

from .bad_page import bad_free
from .compaction import Compaction
from .events import OTHER
from .memmap import IN_USE, ORDER_MASK
from .moves import MoveLog
from .page import Page
from .page_alloc import PageAllocator
from .rules import pick
from .rules.compaction import TABLE, CompactionRules, has_compaction
from .several_pages import alloc_pages_bulk, alloc_pages_exact, split_page
from .threads import KernelThreads
from .zone_lists import ZoneLists

#: The commands of this module, each a method that takes plain arguments.
COMMANDS = frozenset(
    {
        "alloc_pages_exact", "free_pages_exact", "split_page", "alloc_pages_bulk", "drain_all_pages", "compact_memory",
        "let_pages_move", "run_kcompactd", "run_kswapd",
    }
)  # fmt: skip

#: Sysctls of vm/ that are written here.
SYSCTLS = ("compact_memory", "compaction_proactiveness", "extfrag_threshold", "watermark_boost_factor")
#: The largest value that a sysctl takes, where there is one.
MOST = MappingProxyType({"compaction_proactiveness": 100, "extfrag_threshold": 1000})


class PageCommands:
    """Commands about pages and compaction of one machine, and what its slow path asks for.

    Parameters
    ----------
    spec : MachineSpec
    allocator : PageAllocator

    Attributes
    ----------
    compaction : Compaction or None
        None: this kernel has none.
    threads : KernelThreads
        kswapd and kcompactd of each node.
    moves : dict of int to int
        Frame that a page left to the frame that it went to, of the last compaction.
    may_move : bool
        Whether a request that compacts for itself, and kcompactd when it was woken, may move pages. Who has a page's
        number has it pinned, and the kernel leaves pinned pages where they are, until all holders say that they
        follow (`let_pages_move`).
    on_move : callable or None
        Told of every page that moves: from, to, order.
    move_log : MoveLog or None
        Keeps every move.
    """

    def __init__(self, spec: MachineSpec, allocator: PageAllocator) -> None:
        self._spec = spec
        self._allocator = allocator
        self.compaction: Compaction | None = None
        self.moves: dict[int, int] = {}
        #: Moves that requests made and nobody has taken; no state of the machine.
        self.untold: dict[int, int] = {}
        self.may_move = False
        self.on_move: Callable[[int, int, int], None] | None = None
        self.move_log: MoveLog | None = None
        if has_compaction(spec.kernel) and spec.option("CONFIG_COMPACTION") != "n":
            self.compaction = Compaction(allocator, pick(CompactionRules, TABLE, spec.kernel), migrate=self._migrate)
        self.threads = KernelThreads(allocator, spec.kernel, self.compaction)
        allocator.reclaim = self

    def run(self, name: str, arguments: Sequence[Any]) -> Any:
        """Carry out a command."""
        return getattr(self, name)(*arguments)

    def write(self, name: str, value: str) -> bool:
        """Write a sysctl of vm/ that is about pages; False for others."""
        if name not in SYSCTLS:
            return False
        number = int(value) if value.strip().isdecimal() else -1
        if not 0 <= number <= MOST.get(name, number):
            raise ValueError(f"vm.{name}: invalid value {value!r}")
        if name == "compact_memory":
            self.compact_memory()
        elif name == "watermark_boost_factor":
            for live in self._allocator.zones:
                live.zone.boost_factor = number if self._allocator.rules.watermark.boosts else 0
        elif name == "extfrag_threshold":
            self._compaction().extfrag_threshold = number
        else:
            self._write_proactiveness(number)
        return True

    def _write_proactiveness(self, number: int) -> None:
        kcompactd = self.threads.kcompactd
        if kcompactd is None or not kcompactd.compaction.rules.proactive:
            raise BadInput(
                f"Linux {format_version(self._spec.kernel)} as configured does not compact by itself",
                todo="boot 5.9 or newer, with CONFIG_COMPACTION",
            )
        kcompactd.write_proactiveness(number)
        self._heed_threads()

    # Several pages

    def alloc_pages_exact(self, size: int, gfp: int, node: int | None = None, cpu: int = 0) -> Page | None:
        """Allocate the pages that `size` bytes need, no more; None where there are none."""
        pfn = alloc_pages_exact(self._allocator, self._pages(size), gfp, node, cpu)
        return None if pfn < 0 else Page(pfn)

    def free_pages_exact(self, page: int, size: int, cpu: int = 0) -> None:
        """Free what `alloc_pages_exact` gave, page by page; nothing is freed if one of them can't be."""
        allocator = self._allocator
        last = page + self._pages(size)
        for pfn in range(page, last):
            known = 0 <= pfn < allocator.memmap.max_pfn
            if not known or allocator.state[pfn] & ORDER_MASK != IN_USE:
                raise bad_free(allocator.memmap, pfn, 0)
        for pfn in range(page, last):
            allocator.free_pages(Page(pfn), 0, cpu)

    def split_page(self, page: int, order: int) -> None:
        """Make single pages of a block in use."""
        split_page(self._allocator, page, order)

    def alloc_pages_bulk(self, gfp: int, count: int, node: int | None = None, cpu: int = 0) -> list[Page]:
        """Allocate up to `count` single pages in one go."""
        return [Page(pfn) for pfn in alloc_pages_bulk(self._allocator, gfp, count, node, cpu)]

    def drain_all_pages(self) -> None:
        """Empty all cpus' lists into the buddy lists."""
        self._allocator.drain_all_pages()

    def _pages(self, size: int) -> int:
        if size < 1:
            raise ValueError(f"{size} bytes are no pages")
        return -(-size // self._spec.page_size)

    # Compaction

    def let_pages_move(self, on: bool = True) -> None:
        """Let requests that compact for themselves, and kcompactd, move pages from now on, or no longer."""
        self.may_move = bool(on)
        self._heed_threads()

    @contextmanager
    def again(self) -> Iterator[None]:
        """Carry out commands again: whoever follows their moves has followed them before."""
        untold, self.untold = self.untold, {}
        assert self.move_log is not None
        self.move_log.stopped = True
        try:
            yield
        finally:
            self.move_log.stopped = False
            self.untold = untold

    def take_moves(self) -> dict[int, int]:
        """Return where pages were and are that have moved since the last call without a command for it."""
        untold, self.untold = self.untold, {}
        return untold

    def compact_memory(self, node: int | None = None, cpu: int = 0) -> dict[int, int]:
        """Compact a node, or all; returns where each moved page was and is.

        Frames that pages left may wait on the cpu's lists until something drains those.

        Source: mm/compaction.c compact_nodes, sysctl_compaction_handler.
        """
        compaction = self._compaction()
        nodes = self._nodes(node)
        self.moves = {}
        for nid in nodes:
            compaction.compact_node(nid, cpu)
        return dict(self.moves)

    def run_kcompactd(self, node: int | None = None) -> dict[int, int]:
        """Let kcompactd of a node, or of each, run; returns where each page that it moved was and is."""
        self._compaction()
        assert self.threads.kcompactd is not None
        nodes = self._nodes(node)
        self.moves = {}
        for nid in nodes:
            self.threads.kcompactd.run(nid)
        self._heed_threads()
        return dict(self.moves)

    def run_kswapd(self, node: int | None = None) -> None:
        """Let kswapd of a node, or of each, do what it was woken for."""
        for nid in self._nodes(node):
            self.threads.kswapd.run(nid)
        self._heed_threads()

    def fragmentation_score(self, node: int) -> int:
        """Return how fragmented a node's free memory is, in percent."""
        self._compaction()
        assert self.threads.kcompactd is not None
        (nid,) = self._nodes(node)
        return self.threads.kcompactd.score(nid)

    def _compaction(self) -> Compaction:
        if self.compaction is None:
            raise BadInput(
                f"Linux {format_version(self._spec.kernel)} as configured can't compact memory",
                todo="boot 5.6 or newer, with CONFIG_COMPACTION",
            )
        return self.compaction

    def _nodes(self, node: int | None) -> list[int]:
        """Return one node, or all that have memory."""
        nodes = sorted({live.zone.nid for live in self._allocator.zones})
        if node is not None and node not in nodes:
            raise ValueError(f"no node {node} with memory; there are {', '.join(map(str, nodes))}")
        return nodes if node is None else [node]

    # Threads that were woken

    def _heed_threads(self) -> None:
        """Let the next request for pages wait for the threads that were woken, or for none."""
        waits = self.threads.are_woken(may_move=self.may_move)
        self._allocator.before_request = self._run_woken if waits else None
        if waits:
            # No request may take the fast path past them.
            self._allocator.marks_changed()

    def _run_woken(self) -> None:
        # They ask for nothing themselves, so that none has to wait for itself.
        self._allocator.before_request = None
        self.moves = {}
        self.threads.run_woken(may_move=self.may_move)
        self._keep_moves()
        self._heed_threads()

    def _keep_moves(self) -> None:
        """Keep what moved until somebody takes it."""
        began = {new: old for old, new in self.untold.items()}
        for old, new in self.moves.items():
            # A page may move on from where it was put before.
            self.untold[began.get(old, old)] = new

    def _migrate(self, source: int, target: int, order: int) -> bool:
        """Let a page move: whoever has its frame's number has to follow (`moves`)."""
        self.moves[source] = target
        if self.on_move:
            self.on_move(source, target, order)
        if self.move_log:
            self.move_log.moved(source, target)
        if self._allocator.decisions:
            self._allocator.decisions((OTHER, 0, "sim", "migrate", {"pfn": source, "to": target, "order": order}))
        return True

    # What the slow path asks for (slowpath.Reclaim)

    def wake_kswapd(self, nid: int, highest_zoneidx: int, order: int, gfp: int, cpu: int = 0) -> None:
        """Ask a node's kswapd for memory: if that wakes it, or kcompactd, they run before the next request."""
        self.threads.kswapd.wakeup(nid, highest_zoneidx, order, gfp, cpu)
        self._heed_threads()

    def compact(
        self, zones: Sequence[ZoneLists], order: int, gfp: int, prio: int, highest_zoneidx: int, flags: int, cpu: int
    ) -> str | None:
        """Compact zone by zone for a request and tell how that ended; None if this kernel can't or nothing may move."""
        if self.compaction is None:
            return None
        if not self.may_move:
            if self._allocator.decisions:
                self._allocator.decisions((OTHER, cpu, "sim", "pinned", {"order": order}))
            return None
        self.moves = {}
        result = self.compaction.try_to_compact_pages(
            order, gfp, prio, self._numbers(zones), highest_zoneidx=highest_zoneidx, alloc_flags=flags, cpu=cpu
        )
        self._keep_moves()
        return result

    def _numbers(self, zones: Sequence[ZoneLists]) -> list[int]:
        return [self._allocator.zones.index(live) for live in zones]

    def compaction_suitable(self, zones: Sequence[ZoneLists], order: int, flags: int, highest_zoneidx: int) -> bool:
        """Tell whether any zone has room to move pages in."""
        compaction = self.compaction
        return compaction is not None and compaction.zonelist_suitable(
            self._numbers(zones), order, flags, highest_zoneidx
        )

    def reclaimable(self, _live: ZoneLists) -> int:
        """Count the pages of a zone that might be reclaimed: none, as for reclaim."""
        return 0

    def compacted(self, order: int, pfn: int) -> None:
        """Note whether the request that was compacted for could be served then."""
        if self.compaction is None:
            return
        counters = self.compaction.counters
        counters["compact_stall"] += 1
        if pfn < 0:
            counters["compact_fail"] += 1
            return
        counters["compact_success"] += 1
        live = self._allocator.zone_of(pfn)
        self.compaction.allocation_succeeded(self._allocator.zones.index(live), order)

    def reclaim(self, order: int, gfp: int, _highest_zoneidx: int, _nid: int, cpu: int = 0) -> int:
        """Reclaim directly: there is nothing on any LRU list that could be given up."""
        tell = self._allocator.observed_events
        if tell:
            begin = {"order": order, "gfp_flags": gfp}
            tell((OTHER, cpu, "vmscan", "mm_vmscan_direct_reclaim_begin", begin))
            tell((OTHER, cpu, "vmscan", "mm_vmscan_direct_reclaim_end", {"nr_reclaimed": 0}))
        return 0

    def out_of_memory(self, _order: int, _gfp: int) -> bool:
        """Kill nobody: there are no tasks."""
        return False

    # Keeping

    def save(self) -> Any:
        """Return what compaction remembers, what threads were woken for, and whether pages may move."""
        return self.may_move, None if self.compaction is None else self.compaction.save(), self.threads.save()

    def load(self, saved: Any) -> None:
        """Go back to what `save` returned; None is that of boot."""
        self.moves = {}
        self.may_move, kept, threads = saved or (False, None, None)
        if self.compaction is not None:
            self.compaction.load(kept)
        self.threads.load(threads)
        self._heed_threads()
