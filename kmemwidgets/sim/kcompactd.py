"""The thread of each node that compacts in the background (mm/compaction.c, kcompactd).

It works when kswapd has made room or when a request that may not wait found free memory in pieces, and otherwise looks
twice a second whether free memory is too fragmented. There is no clock here: each run without work is one such look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import alloc_flags as af
from .compact_result import COMPLETE, CONTINUE, PARTIAL_SKIPPED, SUCCESS
from .compaction import Compaction, nr_free
from .compaction_scan import SYNC_LIGHT, CompactControl
from .compaction_zone import compaction_defer_reset, compaction_deferred, defer_compaction
from .events import OTHER
from .fragmentation import fragmentation_score_node, fragmentation_score_wmarks


@dataclass(slots=True)
class NodeCompaction:
    """What a node's thread was woken for (struct pglist_data: kcompactd_*).

    Attributes
    ----------
    max_order : int
        Order of the largest block asked for; 0: no work.
    highest_zoneidx : int or None
        Up to which zone; None: all.
    proactive_trigger : bool
        Someone wrote vm.compaction_proactiveness.
    woken : bool
        It was woken and has not run since.
    left_out : int
        Looks at the score still to be left out.
    """

    max_order: int = 0
    highest_zoneidx: int | None = None
    proactive_trigger: bool = False
    woken: bool = False
    left_out: int = 0


class Kcompactd:
    """The kcompactd of every node.

    Parameters
    ----------
    compaction : Compaction
    cpu_of : sequence of int
        By node: the cpu that its thread runs on.

    Attributes
    ----------
    nodes : dict of int to NodeCompaction
        By node with memory.
    """

    def __init__(self, compaction: Compaction, cpu_of: Sequence[int] = (0,)) -> None:
        self.compaction = compaction
        self.allocator = compaction.allocator
        self.cpu_of = tuple(cpu_of)
        self.nodes = self._fresh()

    def _fresh(self) -> dict[int, NodeCompaction]:
        return {nid: NodeCompaction() for nid in sorted({live.zone.nid for live in self.allocator.zones})}

    # Waking

    def wakeup(self, nid: int, order: int, highest_zoneidx: int) -> bool:
        """Ask a node's thread for a block; tell whether that wakes it (wakeup_kcompactd).

        It sleeps on where no zone is worth the work.
        """
        node = self.nodes[nid]
        if not order:
            return False
        node.max_order = max(node.max_order, order)
        node.highest_zoneidx = min(self._highest(node), highest_zoneidx)
        if node.woken or not self._node_suitable(nid):
            return False
        node.woken = True
        self._tell(nid, "mm_compaction_wakeup_kcompactd", order, highest_zoneidx)
        return True

    def write_proactiveness(self, value: int) -> None:
        """Write vm.compaction_proactiveness, which wakes all threads from 5.15 on."""
        self.compaction.proactiveness = value
        if not value or not self.compaction.rules.proactiveness_wakes:
            return
        for nid, node in self.nodes.items():
            if not node.proactive_trigger:
                node.proactive_trigger = node.woken = True
                self._tell(nid, "mm_compaction_wakeup_kcompactd", -1, len(self.allocator.zone_names) - 1)

    def _highest(self, node: NodeCompaction) -> int:
        last = len(self.allocator.zone_names) - 1
        return last if node.highest_zoneidx is None else node.highest_zoneidx

    def _node_suitable(self, nid: int) -> bool:
        node = self.nodes[nid]
        highest = self._highest(node)
        return any(
            self.compaction.suitable(zone, node.max_order, af.WMARK_MIN, highest) == CONTINUE
            for zone in self._zones(nid, highest)
        )

    def _zones(self, nid: int, highest: int) -> list[int]:
        zones = self.allocator.zones
        return [zone for zone in self.compaction.zones_of(nid) if zones[zone].zone.index <= highest]

    # Working

    def run(self, nid: int) -> None:
        """Let a node's thread run until it sleeps again (kcompactd): work if there is any, else a look at the score."""
        node = self.nodes[nid]
        node.woken = False
        if node.max_order and not node.proactive_trigger:
            self._do_work(nid)
            node.left_out = 0
        else:
            self._look(nid)
        emit = self.allocator.observed_events
        if emit:
            emit((OTHER, self.cpu_of[nid], "compaction", "mm_compaction_kcompactd_sleep", {"nid": nid}))

    def _do_work(self, nid: int) -> None:
        """Compact zone by zone until each has a block of the order asked for (kcompactd_do_work)."""
        compaction, node = self.compaction, self.nodes[nid]
        order, highest, cpu = node.max_order, self._highest(node), self.cpu_of[nid]
        self._tell(nid, "mm_compaction_kcompactd_wake", order, highest)
        compaction.counters["compact_daemon_wake"] += 1
        for zone in self._zones(nid, highest):
            memory = compaction.zones[zone]
            if compaction_deferred(memory, order):
                compaction.told_deferral(zone, order, "mm_compaction_deferred", cpu)
                continue
            index = self.allocator.zones[zone].zone.index
            if compaction.suitable(zone, order, af.WMARK_MIN, index) != CONTINUE:
                continue
            cc = compaction.begin(zone, order, SYNC_LIGHT, highest_zoneidx=highest, cpu=cpu)
            result = compaction.run(cc)
            if result == SUCCESS:
                compaction_defer_reset(memory, order, success=False)
                compaction.told_deferral(zone, order, "mm_compaction_defer_reset", cpu)
            elif result in (PARTIAL_SKIPPED, COMPLETE):
                # Pages on the cpus' lists may be what is missing.
                for each in range(len(self.allocator.cpu_node)):
                    self.allocator.drain_local_pages(each, zone)
                defer_compaction(memory, order)
                compaction.told_deferral(zone, order, "mm_compaction_defer_compaction", cpu)
            self._count(cc)
        if node.max_order <= order:
            node.max_order = 0
        if self._highest(node) >= highest:
            node.highest_zoneidx = None

    def _count(self, cc: CompactControl) -> None:
        counters = self.compaction.counters
        counters["compact_daemon_migrate_scanned"] += cc.migrate_scanned
        counters["compact_daemon_free_scanned"] += cc.free_scanned

    # By itself

    def score(self, nid: int) -> int:
        """Return a node's fragmentation score, in percent."""
        zones = [self.allocator.zones[zone] for zone in self.compaction.zones_of(nid)]
        return fragmentation_score_node([(nr_free(live), live.zone.present) for live in zones], self.compaction.shift)

    def should_proactive_compact(self, nid: int) -> bool:
        """Tell whether it would start by itself now (should_proactive_compact_node)."""
        compaction = self.compaction
        if not compaction.rules.proactive or not compaction.proactiveness:
            return False
        if compaction.kswapd_runs is not None and compaction.kswapd_runs(nid):
            return False
        return self.score(nid) > fragmentation_score_wmarks(compaction.proactiveness)[1]

    def proactive_compact_node(self, nid: int) -> None:
        """Compact a node until the score of each zone is low enough."""
        for zone in self.compaction.zones_of(nid):
            self._count(self.compaction.compact_whole_zone(zone, SYNC_LIGHT, self.cpu_of[nid], proactive=True))

    def _look(self, nid: int) -> None:
        """Compact if the score is too high, and look less often while that does not help."""
        node = self.nodes[nid]
        asked, node.proactive_trigger = node.proactive_trigger, False
        if node.left_out and not asked:
            node.left_out -= 1
            return
        node.left_out = 0
        if self.should_proactive_compact(nid):
            before = self.score(nid)
            self.proactive_compact_node(nid)
            if self.score(nid) >= before:
                node.left_out = self.compaction.rules.looks_left_out

    # Telling and keeping

    def _tell(self, nid: int, name: str, order: int, highest: int) -> None:
        emit = self.allocator.observed_events
        if emit:
            fields = {"nid": nid, "order": order, "classzone_idx": self.allocator.zone_names[highest]}
            emit((OTHER, self.cpu_of[nid], "compaction", name, fields))

    def save(self) -> dict[int, NodeCompaction]:
        """Copy what the threads were woken for."""
        return {nid: replace(node) for nid, node in self.nodes.items()}

    def load(self, saved: dict[int, NodeCompaction] | None) -> None:
        """Bring that back; None is the state of boot."""
        self.nodes = self._fresh() if saved is None else {nid: replace(node) for nid, node in saved.items()}
