"""The kernel threads of each node that work on memory, and when they run: kswapd and kcompactd.

A thread that was woken runs before the next request for pages, or when it is told to. So what woke it is still to be
seen when the request that did so comes back.
"""

from __future__ import annotations

from typing import Any

from kmemwidgets.records import Version

from .compaction import Compaction
from .kcompactd import Kcompactd
from .page_alloc import PageAllocator
from .rules import pick
from .rules.vmscan import TABLE, KswapdRules
from .vmscan import Kswapd


class KernelThreads:
    """The threads of a machine.

    Parameters
    ----------
    allocator : PageAllocator
    version : tuple of int
    compaction : Compaction or None

    Attributes
    ----------
    kswapd : Kswapd
    kcompactd : Kcompactd or None
    """

    def __init__(self, allocator: PageAllocator, version: Version, compaction: Compaction | None) -> None:
        cpus = allocator.cpu_node
        nodes = range(max((live.zone.nid for live in allocator.zones), default=0) + 1)
        # On a node without cpus a thread may run anywhere.
        cpu_of = tuple(cpus.index(nid) if nid in cpus else 0 for nid in nodes)
        self.kcompactd = None if compaction is None else Kcompactd(compaction, cpu_of)
        self.kswapd = Kswapd(
            allocator,
            pick(KswapdRules, TABLE, version),
            wakeup_kcompactd=self._wakeup_kcompactd,
            reset_isolation_suitable=self._reset_isolation_suitable,
            cpu_of=cpu_of,
        )
        if compaction is not None:
            compaction.kswapd_runs = self._kswapd_is_running

    def _wakeup_kcompactd(self, nid: int, order: int, highest_zoneidx: int) -> None:
        if self.kcompactd is not None:
            self.kcompactd.wakeup(nid, order, highest_zoneidx)

    def _reset_isolation_suitable(self, nid: int) -> None:
        if self.kcompactd is not None:
            self.kcompactd.compaction.reset_isolation_suitable(nid)

    def _kswapd_is_running(self, nid: int) -> bool:
        return self.kswapd.at_work == nid or self.kswapd.nodes[nid].woken

    def are_woken(self, *, may_move: bool) -> bool:
        """Tell whether one waits to run; kcompactd does only if pages may move."""
        return any(node.woken for node in self.kswapd.nodes.values()) or (may_move and bool(self._woken_compactors()))

    def _woken_compactors(self) -> list[int]:
        return [] if self.kcompactd is None else [nid for nid, node in self.kcompactd.nodes.items() if node.woken]

    def run_woken(self, *, may_move: bool) -> None:
        """Let all that were woken run until they sleep again."""
        for nid in self.kswapd.nodes:
            self.kswapd.run(nid)
        if may_move and self.kcompactd is not None:
            for nid in self._woken_compactors():
                self.kcompactd.run(nid)

    def save(self) -> Any:
        """Return what they were woken for."""
        return self.kswapd.save(), None if self.kcompactd is None else self.kcompactd.save()

    def load(self, saved: Any) -> None:
        """Go back to what `save` returned; None is that of boot."""
        kswapd, kcompactd = saved or (None, None)
        self.kswapd.load(kswapd)
        if self.kcompactd is not None:
            self.kcompactd.load(kcompactd)
